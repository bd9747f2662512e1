//! One listener for all AWS services of this machine: a request is told by its `X-Amz-Target`, else by
//! its path, and whatever is left is S3.

use std::{io, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State},
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, HOST},
};
use http_body_util::BodyExt as _;
use serde_json::json;
use tintype_chaos::{Chaos, Place};
use tokio::{net::TcpListener, sync::watch};
use tower::ServiceExt as _;

use crate::{
    chaos,
    connection::{CuttableListener, Scissors},
    dynamodb::{self, DynamoDb, Streams},
    s3::{self, Buckets},
    secrets::{self, Secrets},
    sqs::{self, Queues},
};

/// What answers behind the endpoint.
#[derive(Clone)]
pub struct Services {
    /// DynamoDB
    pub database: dynoxide::Database,
    /// Told of writes.
    pub streams: Streams,
    /// S3
    pub buckets: Buckets,
    /// SQS
    pub queues: Queues,
    /// Secrets Manager
    pub secrets: Secrets,
    /// Lambda: `/2015-03-31/...`
    pub lambda: Router,
    /// What goes wrong on purpose.
    pub chaos: Chaos,
}

/// Where Lambda's API begins.
const LAMBDA_PATH: &str = "/2015-03-31/";
const HEALTH_PATH: &str = "/_tintype/health";

/// DynamoDB's limit, the largest of the services that speak JSON.
const MAX_JSON_BYTES: usize = 16 * 1024 * 1024;

/// Most bytes of a refused upload that are read before the answer: more than any photograph has.
const MAX_DRAINED_BYTES: usize = 64 * 1024 * 1024;
/// How long they may take to come.
const DRAIN: Duration = Duration::from_secs(20);

/// How long running requests may take to end.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Endpoint {
    services: Services,
    database: DynamoDb,
    places: Places,
    stop: watch::Receiver<bool>,
}

/// Where requests may fail.
#[derive(Clone)]
struct Places {
    dynamodb: Place,
    streams: Place,
    s3: Place,
    sqs: Place,
}

/// Serves until `stop` turns true, then lets running requests end.
pub async fn serve(listener: TcpListener, services: Services, stop: watch::Receiver<bool>) -> io::Result<()> {
    let [dynamodb, streams, s3, sqs] = ["dynamodb", "streams", "s3", "sqs"].map(|target| services.chaos.place(target));
    let (database, database_server) = DynamoDb::start(services.database.clone(), services.streams.clone(), dynamodb.clone()).await?;
    let sweeper = tokio::spawn(dynamodb::sweep(services.database.clone(), services.streams.clone()));
    let endpoint = Endpoint { services, database, places: Places { dynamodb, streams, s3, sqs }, stop: stop.clone() };
    let router = Router::new().fallback(dispatch).with_state(endpoint).into_make_service_with_connect_info::<Scissors>();

    let server = axum::serve(CuttableListener(listener), router).with_graceful_shutdown(stopped(stop.clone()));
    tokio::select! {
        served = server.into_future() => served?,
        // A client that holds its connection open must not hold up the end.
        () = async { stopped(stop).await; tokio::time::sleep(GRACE).await } => {}
    }
    sweeper.abort();
    database_server.stop().await;
    Ok(())
}

/// Completes when `stop` turns true, or when nobody is left to turn it.
async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn dispatch(State(endpoint): State<Endpoint>, ConnectInfo(connection): ConnectInfo<Scissors>, request: Request) -> Response {
    let target = request.headers().get("x-amz-target").map(|target| String::from_utf8_lossy(target.as_bytes()).into_owned());
    match target {
        Some(target) => endpoint.json_service(&target, request, &connection).await,
        None if request.uri().path().starts_with(LAMBDA_PATH) => match endpoint.services.lambda.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None if request.uri().path() == HEALTH_PATH => health(),
        None if request.uri().path() == chaos::PATH => chaos::switch(&endpoint.services.chaos, request).await,
        None => match sqs::refuse_query_protocol(request.method(), request.headers()) {
            Some(refusal) => refusal.map(Body::from),
            None => endpoint.buckets(request, &connection).await,
        },
    }
}

impl Endpoint {
    /// The services of the AWS JSON protocols, whatever the path: some SDKs post to the queue's URL.
    async fn json_service(self, target: &str, request: Request, connection: &Scissors) -> Response {
        let (head, body) = request.into_parts();
        let Ok(body) = axum::body::to_bytes(body, MAX_JSON_BYTES).await else {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "The request's body cannot be read, or is too large.");
        };
        if let Some(action) = target.strip_prefix(sqs::TARGET_PREFIX) {
            let (turn, refusal) = chaos::before(&self.places.sqs).await;
            if let Some(refusal) = refusal {
                return chaos::queue_refusal(refusal);
            }
            let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
            let mut stop = self.stop.clone();
            let answer = tokio::select! {
                answer = self.services.queues.answer(action, host, &body) => answer.map(Body::from),
                // Else a long poll would hold up the end.
                _ = stop.wait_for(|stop| *stop) => refuse(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "The endpoint is stopping."),
            };
            chaos::after(&turn, connection);
            answer
        } else if let Some(action) = target.strip_prefix(secrets::TARGET_PREFIX) {
            self.services.secrets.answer(action, &body).map(Body::from)
        } else if dynamodb::TARGET_PREFIXES.iter().any(|prefix| target.starts_with(prefix)) {
            let place = if target.starts_with(dynamodb::STREAMS_PREFIX) { &self.places.streams } else { &self.places.dynamodb };
            let tables = self.tables_that_may_fail(target, &body);
            let (turn, refusal) = chaos::before_all(place, &tables).await;
            if let Some(refusal) = refusal {
                return dynamodb::refuse(refusal, &turn, target, &body);
            }
            let answer = match self.database.answer(&turn, target, head, body).await {
                Ok(response) => response,
                Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "The database does not answer."),
            };
            chaos::after(&turn, connection);
            answer
        } else {
            refuse(StatusCode::BAD_REQUEST, "UnknownOperationException", &format!("{target} is not emulated on this machine."))
        }
    }

    /// The tables that a request is about, if anything strikes single tables. They are targets by their logical ids, with which their
    /// physical names end.
    fn tables_that_may_fail(&self, target: &str, body: &[u8]) -> Vec<Place> {
        if !self.services.chaos.strikes_tables() || target.starts_with(dynamodb::STREAMS_PREFIX) {
            return Vec::new();
        }
        let logical_id = |name: &String| name.rsplit('-').next().map(str::to_owned);
        dynamodb::tables_of(body).iter().filter_map(logical_id).map(|table| self.services.chaos.place(&table)).collect()
    }

    async fn buckets(self, request: Request, connection: &Scissors) -> Response {
        let for_pages = self.services.buckets.cors_headers(&request);
        let (turn, refusal) = chaos::before(&self.places.s3).await;
        let mut answer = if let Some(refusal) = refusal {
            // Whoever still sends when the answer comes may miss it.
            drain(request.into_body()).await;
            s3::refusal(refusal)
        } else {
            let answer = self.services.buckets.answer(request).await;
            chaos::after(&turn, connection);
            answer
        };
        answer.headers_mut().extend(for_pages);
        answer
    }
}

/// Reads a body that nobody wants, unless it is too long or takes too long: its sender then sees the connection close.
async fn drain(mut body: Body) {
    let mut left = MAX_DRAINED_BYTES;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { break };
            left = rest;
        }
    };
    // What came in time is enough.
    let _ = tokio::time::timeout(DRAIN, all).await;
}

fn refuse(status: StatusCode, error: &str, message: &str) -> Response {
    let body = json!({"__type": format!("com.amazon.coral.service#{error}"), "message": message}).to_string();
    let mut response = (status, body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    response
}

/// In the manner of LocalStack, so that its users' scripts find what they wait for.
fn health() -> Response {
    let services = ["dynamodb", "dynamodbstreams", "lambda", "s3", "secretsmanager", "sqs"].map(|name| (name.to_owned(), json!("running")));
    let body = json!({"services": serde_json::Map::from_iter(services), "version": env!("CARGO_PKG_VERSION")});
    axum::Json(body).into_response()
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    const CHUNK: &[u8] = &[0; 1024 * 1024];

    #[tokio::test]
    async fn of_a_refused_upload_no_more_is_read_than_a_photograph_has() {
        let endless = stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(CHUNK)));
        drain(Body::from_stream(endless)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_upload_that_stops_half_way_is_not_waited_for() {
        let stuck = stream::StreamExt::chain(stream::iter([Ok::<_, io::Error>(Bytes::from_static(CHUNK))]), stream::pending());
        let started = tokio::time::Instant::now();
        drain(Body::from_stream(stuck)).await;
        assert_eq!(started.elapsed(), DRAIN);
    }
}
