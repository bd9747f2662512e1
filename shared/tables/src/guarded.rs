//! What stands before a table's calls: its breaker, and the budget of its retries.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    config::{
        SharedInterceptor,
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction},
    },
    operation::{
        batch_get_item::BatchGetItemOutput, batch_write_item::BatchWriteItemOutput, transact_write_items::TransactWriteItemsError,
    },
    types::ConsumedCapacity,
};
use aws_smithy_runtime_api::client::{orchestrator::OrchestratorError, retries::classifiers::SharedRetryClassifier};
use tintype_resilience::{Dependency, Guard};

use crate::table::{CONFLICT, codes};

/// A client like `client` for the table that logs call `dependency`. What stands before another table stays there. A call whose caller
/// gives it up has failed if that took `patience`.
pub(crate) fn guarded(client: &Client, dependency: &str, patience: Duration) -> Client {
    let guard = Guard::new(Dependency::new(dependency), patience);
    let mut config = client.config().to_builder().retry_partition(guard.retries());
    config.set_interceptors([SharedInterceptor::new(guard)]);
    config.set_retry_classifiers([SharedRetryClassifier::new(ThrottledTransaction), SharedRetryClassifier::new(IdleBatch)]);
    Client::from_conf(config.build())
}

/// The SDK sees in a transaction that was cancelled an answer like others; if one of its items was throttled, the table has had too much.
#[derive(Debug)]
struct ThrottledTransaction;

impl ClassifyRetry for ThrottledTransaction {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context.output_or_error().and_then(Result::err).and_then(OrchestratorError::as_operation_error);
        match error.and_then(|error| error.downcast_ref::<TransactWriteItemsError>()) {
            Some(error) if is_throttled(error) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "ThrottledTransaction"
    }
}

/// A batch of which nothing was done is an answer to the SDK: none that earns a retry, and the table has had too much. AWS says so itself, with
/// an error, where an emulator may say that all is unprocessed.
#[derive(Debug)]
struct IdleBatch;

impl ClassifyRetry for IdleBatch {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Ok(output)) = context.output_or_error() else { return RetryAction::NoActionIndicated };
        let is_idle = if let Some(read) = output.downcast_ref::<BatchGetItemOutput>() {
            read.unprocessed_keys().is_some_and(|rest| !rest.is_empty()) && is_nothing(read.consumed_capacity())
        } else if let Some(written) = output.downcast_ref::<BatchWriteItemOutput>() {
            written.unprocessed_items().is_some_and(|rest| !rest.is_empty()) && is_nothing(written.consumed_capacity())
        } else {
            false
        };
        if is_idle { RetryAction::throttling_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "IdleBatch"
    }
}

/// Whether nothing was done at all: also an item that is not there costs something. All our batches ask for what they cost.
fn is_nothing(capacity: &[ConsumedCapacity]) -> bool {
    capacity.iter().filter_map(ConsumedCapacity::capacity_units).sum::<f64>() == 0.0
}

const THROTTLED: [&str; 2] = ["ThrottlingError", "ProvisionedThroughputExceeded"];

/// Whether it was cancelled because some of its items were throttled, if by rivals too, and by nothing that lasts.
pub(crate) fn is_throttled(error: &TransactWriteItemsError) -> bool {
    codes(error).any(|code| THROTTLED.contains(&code)) && codes(error).all(|code| code == CONFLICT || THROTTLED.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
    use aws_smithy_runtime_api::client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
    };
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream},
        net::{TcpListener, TcpStream},
    };

    use tintype_resilience::breaker::LEAST;

    use super::*;
    use crate::{Key, Table, batches, config, writes};

    fn config() -> Builder {
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
    }

    fn table(client: &Client, name: &str) -> Table {
        Table { client: guarded(client, name, config::ATTEMPT_TIMEOUT), name: name.to_owned() }
    }

    async fn read(table: &Table) -> Result<(), crate::Error> {
        table.get::<Key>(&Key::new("p", "s"), false).await.map(drop)
    }

    /// Answers every request on a connection that nothing was found.
    async fn answer(connection: TcpStream) {
        let mut connection = BufStream::new(connection);
        let (mut line, mut length) = (String::new(), 0);
        while connection.read_line(&mut line).await.unwrap_or(0) > 0 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                connection.read_exact(&mut vec![0; length]).await.unwrap();
                connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
                connection.flush().await.unwrap();
            }
            line.clear();
        }
    }

    /// Else a function's start would pay one handshake a table.
    #[tokio::test]
    async fn tables_have_clients_of_their_own_and_one_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let opened = Arc::new(AtomicUsize::new(0));
        let server = tokio::spawn({
            let opened = Arc::clone(&opened);
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    opened.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(answer(connection));
                }
            }
        });
        let client = Client::from_conf(config().endpoint_url(endpoint).http_client(config::connections()).build());
        for name in ["users_table", "posts_table", "users_table"] {
            read(&table(&client, name)).await.unwrap();
        }
        assert_eq!(opened.load(Ordering::Relaxed), 1);
        server.abort();
    }

    /// Fails for one table.
    #[derive(Debug)]
    struct OneFails(&'static str);

    impl HttpConnector for OneFails {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let request: serde_json::Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let status = if request["TableName"] == self.0 { 500 } else { 200 };
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), "{}".into())))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_that_fails_shuts_no_other() {
        let connector = SharedHttpConnector::new(OneFails("users_table"));
        let client = Client::from_conf(config().http_client(http_client_fn(move |_, _| connector.clone())).build());
        let users = table(&client, "users_table");
        // Made of the client of the one that fails, as the Edge table is.
        let edge = table(&users.client, "edge_table");
        for _ in 0..30 {
            read(&users).await.unwrap_err();
            read(&edge).await.unwrap();
        }
        let refused = read(&users).await.unwrap_err();
        assert!(matches!(&refused, crate::Error::Unavailable(why) if why.contains("users_table has failed too often")), "{refused}");
    }

    /// Does with each request what it is told, by its number; `None`: it hangs.
    #[derive(Debug, Clone)]
    struct Told(Arc<AtomicUsize>, fn(usize) -> Option<(u16, &'static str)>);

    impl HttpConnector for Told {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            match self.1(self.0.fetch_add(1, Ordering::Relaxed)) {
                Some((status, body)) => HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body.into()))),
                None => HttpConnectorFuture::new(std::future::pending()),
            }
        }
    }

    /// A table that does so, with that patience, and how often it was asked.
    fn told(patience: Duration, does: fn(usize) -> Option<(u16, &'static str)>) -> (Table, Arc<AtomicUsize>) {
        let told = Told(Arc::default(), does);
        let (asked, connector) = (Arc::clone(&told.0), SharedHttpConnector::new(told));
        let client = Client::from_conf(config().http_client(http_client_fn(move |_, _| connector.clone())).build());
        (Table::guarded(&client, "table", "table".to_owned(), patience), asked)
    }

    fn is_left_alone<T: std::fmt::Debug>(answer: Result<T, crate::Error>) -> bool {
        matches!(&answer, Err(crate::Error::Unavailable(why)) if why.contains("has failed too often"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_table_that_hangs_is_left_alone_also_where_nobody_waits_for_it_as_long_as_it_may_take() {
        const WAITED: Duration = Duration::from_millis(300);
        let (impatient, _) = told(Duration::from_millis(250), |_| None);
        let (patient, _) = told(config::ATTEMPT_TIMEOUT, |_| None);
        for _ in 0..LEAST {
            for table in [&impatient, &patient] {
                tokio::time::timeout(WAITED, read(table)).await.unwrap_err();
            }
        }
        assert!(is_left_alone(read(&impatient).await));
        assert!(tokio::time::timeout(WAITED, read(&patient)).await.is_err(), "nobody knows what it would have done in two seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn a_transaction_with_a_throttled_item_is_tried_thrice_and_has_failed() {
        const CANCELLED: &str =
            r#"{"__type":"TransactionCanceledException","CancellationReasons":[{"Code":"None"},{"Code":"ThrottlingError"}]}"#;
        let (table, asked) = told(config::ATTEMPT_TIMEOUT, |number| Some(if number == 0 { (200, "{}") } else { (400, CANCELLED) }));
        let write = async || table.transact(vec![writes::put(&table, Key::new("p", "s").item())]).await;
        write().await.unwrap();
        assert!(matches!(write().await, Err(crate::Error::Unavailable(_))));
        assert_eq!(asked.load(Ordering::Relaxed), 1 + 3);
        for _ in 0..LEAST {
            write().await.unwrap_err();
        }
        assert!(is_left_alone(write().await));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_of_which_nothing_is_done_has_failed_and_earns_no_retries() {
        const NOTHING_READ: &str = r#"{"Responses":{"table":[]},"UnprocessedKeys":{"table":{"Keys":[{"pk":{"S":"p"},"sk":{"S":"s"}}]}},
            "ConsumedCapacity":[{"TableName":"table","CapacityUnits":0}]}"#;
        const NOTHING_WRITTEN: &str = r#"{"UnprocessedItems":{"table":[{"DeleteRequest":{"Key":{"pk":{"S":"p"},"sk":{"S":"s"}}}}]}}"#;
        let (reads, read) = told(config::ATTEMPT_TIMEOUT, |number| Some((200, if number == 0 { "{}" } else { NOTHING_READ })));
        let (deletes, deleted) = told(config::ATTEMPT_TIMEOUT, |number| Some((200, if number == 0 { "{}" } else { NOTHING_WRITTEN })));
        let get = async || reads.batch_get::<Key>(&[Key::new("p", "s")], false).await;
        let delete = async || batches::delete(&deletes, [Key::new("p", "s")]).await;
        get().await.unwrap();
        delete().await.unwrap();
        // One after the other: while one waits for its next try, the other's breaker may become half-open.
        for _ in 0..LEAST {
            assert!(matches!(get().await, Err(crate::Error::Unavailable(_))));
        }
        assert!(is_left_alone(get().await));
        for _ in 0..LEAST {
            assert!(matches!(delete().await, Err(crate::Error::Unavailable(_))));
        }
        assert!(is_left_alone(delete().await));
        for asked in [read, deleted] {
            let asked = asked.load(Ordering::Relaxed);
            assert!(asked <= 1 + 3 * LEAST, "{asked} requests");
        }
    }
}
