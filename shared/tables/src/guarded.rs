//! What stands before a table's calls: its breaker, and the budget of its retries.

use aws_sdk_dynamodb::{
    Client,
    config::{
        SharedInterceptor,
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction},
    },
    operation::transact_write_items::TransactWriteItemsError,
};
use aws_smithy_runtime_api::client::{orchestrator::OrchestratorError, retries::classifiers::SharedRetryClassifier};
use tintype_resilience::{Dependency, Guard};

use crate::{
    config::ATTEMPT_TIMEOUT,
    table::{CONFLICT, codes},
};

/// A client like `client` for the table that logs call `dependency`. What stands before another table stays there.
pub(crate) fn guarded(client: &Client, dependency: &str) -> Client {
    let guard = Guard::new(Dependency::new(dependency), ATTEMPT_TIMEOUT);
    let mut config = client.config().to_builder().retry_partition(guard.retries());
    config.set_interceptors([SharedInterceptor::new(guard)]);
    config.set_retry_classifiers([SharedRetryClassifier::new(ThrottledTransaction)]);
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

    use super::*;
    use crate::{Key, Table, config};

    fn config() -> Builder {
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
    }

    fn table(client: &Client, name: &str) -> Table {
        Table { client: guarded(client, name), name: name.to_owned() }
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
}
