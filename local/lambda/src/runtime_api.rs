//! The Lambda Runtime API: how a worker process asks for events and answers them.
//!
//! Every worker has a base path of its own (`http://127.0.0.1:PORT/{worker}`), by which the server
//! knows it, and a [`Session`], through which the pool hands it one event at a time.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::{IntoResponse, Response},
    serve::ListenerExt as _,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use http_body_util::LengthLimitError;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use uuid::Uuid;

use crate::invocation::{Invocation, error_payload};

/// Lambda's limit of a synchronous answer: 6 MB and a little for its envelope.
pub(crate) const ANSWER_LIMIT: usize = 6 * 1024 * 1024 + 100;

/// The type of the error that a worker reports.
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// The server, on a port of its own.
pub(crate) struct RuntimeApi {
    address: SocketAddr,
    workers: Arc<Workers>,
    server: JoinHandle<()>,
}

/// The workers that may call, by their id.
#[derive(Default)]
struct Workers(Mutex<HashMap<String, Arc<Port>>>);

impl RuntimeApi {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let workers = Arc::new(Workers::default());
        let router = Router::new().fallback(handle).with_state(Arc::clone(&workers));
        // Small messages to and fro: each goes at once.
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        let server = tokio::spawn(async move {
            // Serving ends with the process; accept errors are retried inside.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, workers, server })
    }

    /// Lets a new worker call, until its session is dropped.
    pub(crate) fn connect(&self) -> Session {
        let id = Uuid::now_v7().simple().to_string();
        let (hand, next) = mpsc::channel(1);
        let (report, reports) = mpsc::unbounded_channel();
        let port = Arc::new(Port { next: tokio::sync::Mutex::new(next), in_hand: Mutex::new(None), is_up: AtomicBool::new(false), report });
        self.workers.lock().insert(id.clone(), Arc::clone(&port));
        Session {
            // With the scheme: without one, a path after host and port is no valid URI.
            address: format!("http://{}/{id}", self.address),
            id,
            hand,
            reports,
            port,
            workers: Arc::clone(&self.workers),
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Workers {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Port>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host's side of one worker.
pub(crate) struct Session {
    /// Names the worker, in its base path and its log stream.
    pub(crate) id: String,
    /// What the worker finds in `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) address: String,
    hand: mpsc::Sender<Delivery>,
    reports: mpsc::UnboundedReceiver<Report>,
    port: Arc<Port>,
    workers: Arc<Workers>,
}

/// An event with what its headers say.
pub(crate) struct Delivery {
    pub(crate) invocation: Invocation,
    pub(crate) function_arn: String,
    pub(crate) timeout: Duration,
}

/// What a worker has said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// It asks for an event: it is up, and has nothing in hand.
    Ready,
    /// Its answer to the event in hand: the function's result, or its error.
    Answered(Result<Bytes, Bytes>),
    /// It could not start, and says why.
    InitFailed(Bytes),
}

impl Session {
    /// Gives the worker an event, which it gets as soon as it asks.
    pub(crate) fn hand(&self, delivery: Delivery) {
        // One event is in hand at a time and the session holds the other end: there is room.
        let handed = self.hand.try_send(delivery);
        debug_assert!(handed.is_ok(), "an event was handed to a worker that has one");
    }

    /// The next thing that the worker says.
    pub(crate) async fn report(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            // Not while the session lives: it holds the port, and with it a sender.
            None => std::future::pending().await,
        }
    }

    /// What the worker has answered and nobody has heard yet. Of a worker that has ended it is asked
    /// after [`Session::has_taken`]: the hand is not empty before the answer is here.
    pub(crate) fn answered(&mut self) -> Option<Result<Bytes, Bytes>> {
        loop {
            match self.reports.try_recv().ok()? {
                Report::Answered(answer) => return Some(answer),
                Report::Ready | Report::InitFailed(_) => {}
            }
        }
    }

    /// Whether the worker has taken this event and not answered it.
    pub(crate) fn has_taken(&self, request_id: &str) -> bool {
        self.port.in_hand().as_deref() == Some(request_id)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.workers.lock().remove(&self.id);
    }
}

/// The worker's side.
struct Port {
    /// Locked by the worker's waiting `next`, so that there is one.
    next: tokio::sync::Mutex<mpsc::Receiver<Delivery>>,
    /// The request id of the event that the worker has and owes an answer to.
    in_hand: Mutex<Option<String>>,
    /// Whether it has asked for an event yet.
    is_up: AtomicBool,
    report: mpsc::UnboundedSender<Report>,
}

impl Port {
    fn in_hand(&self) -> MutexGuard<'_, Option<String>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, report: Report) {
        // Nobody listens only when the worker is being ended, and then nobody wants to know.
        let _ = self.report.send(report);
    }

    async fn next(&self) -> Response {
        if self.in_hand().is_some() {
            return refuse(StatusCode::FORBIDDEN, "InvalidStateTransition", "the event in hand has no answer yet");
        }
        let Ok(mut next) = self.next.try_lock() else {
            return refuse(StatusCode::FORBIDDEN, "InvalidStateTransition", "another call waits for the next event");
        };
        self.is_up.store(true, Ordering::Relaxed);
        self.report(Report::Ready);
        let Some(delivery) = next.recv().await else {
            return refuse(StatusCode::GONE, "WorkerEnded", "this worker gets no more events");
        };
        *self.in_hand() = Some(delivery.invocation.request_id.clone());
        delivery.into_response()
    }

    /// An answer, or with the headers of an error call an error, to the event in hand.
    async fn answer(&self, request_id: &str, error: Option<&HeaderMap>, body: Body) -> Response {
        if self.in_hand().as_deref() != Some(request_id) {
            return refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
        }
        let (answer, response) = match read(body).await {
            Ok(body) => (error.map_or_else(|| Ok(body.clone()), |headers| Err(said(headers, &body))), accepted()),
            Err(Unread::TooLarge) => {
                let message = format!("Response payload size exceeded maximum allowed payload size ({ANSWER_LIMIT} bytes).");
                (Err(error_payload("Function.ResponseSizeTooLarge", &message)), too_large())
            }
            // No answer: the event stays in its hand.
            Err(Unread::BrokenOff) => return broken_off(),
        };
        let mut in_hand = self.in_hand();
        if in_hand.as_deref() != Some(request_id) {
            // Twice at once: the first to come has answered.
            return refuse(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
        }
        // In this order, and under the lock: an event that is not in the hand any more is known to be answered.
        self.report(Report::Answered(answer));
        *in_hand = None;
        response
    }

    async fn init_error(&self, headers: &HeaderMap, body: Body) -> Response {
        if self.is_up.load(Ordering::Relaxed) {
            return refuse(StatusCode::FORBIDDEN, "InvalidStateTransition", "the initialisation is over");
        }
        match read(body).await {
            Ok(body) => {
                self.report(Report::InitFailed(said(headers, &body)));
                accepted()
            }
            Err(Unread::TooLarge) => too_large(),
            Err(Unread::BrokenOff) => broken_off(),
        }
    }
}

/// Why there is no body.
enum Unread {
    TooLarge,
    BrokenOff,
}

async fn read(body: Body) -> Result<Bytes, Unread> {
    to_bytes(body, ANSWER_LIMIT).await.map_err(|error| {
        let too_large = error.into_inner().is::<LengthLimitError>();
        if too_large { Unread::TooLarge } else { Unread::BrokenOff }
    })
}

/// What a worker says of its error: if nothing, at least the type that the header names.
fn said(headers: &HeaderMap, body: &Bytes) -> Bytes {
    if !body.is_empty() {
        return body.clone();
    }
    let error_type = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok());
    error_payload(error_type.unwrap_or("Runtime.Unknown"), "the function gave no message")
}

async fn handle(State(workers): State<Arc<Workers>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Ids are lower-case hexadecimal digits and hyphens: nothing needs decoding.
    let segments: Vec<&str> = parts.uri.path().split('/').skip(1).collect();
    let [worker, "2018-06-01", "runtime", call @ ..] = segments.as_slice() else {
        return refuse(StatusCode::NOT_FOUND, "NotFound", "no such path");
    };
    let port = workers.lock().get(*worker).cloned();
    let Some(port) = port else {
        return refuse(StatusCode::NOT_FOUND, "UnknownWorker", "no such worker");
    };
    match (&parts.method, call) {
        (&Method::GET, ["invocation", "next"]) => port.next().await,
        (&Method::POST, ["invocation", id, "response"]) => port.answer(id, None, body).await,
        (&Method::POST, ["invocation", id, "error"]) => port.answer(id, Some(&parts.headers), body).await,
        (&Method::POST, ["init", "error"]) => port.init_error(&parts.headers, body).await,
        (_, ["invocation", "next"] | ["invocation", _, "response" | "error"] | ["init", "error"]) => {
            refuse(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "not with this method")
        }
        _ => refuse(StatusCode::NOT_FOUND, "NotFound", "no such path"),
    }
}

impl IntoResponse for Delivery {
    fn into_response(self) -> Response {
        let deadline = SystemTime::now() + self.timeout;
        let deadline_ms = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let Invocation { request_id, payload, trace_id, .. } = self.invocation;
        let mut response = payload.into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [
            ("lambda-runtime-aws-request-id", request_id),
            ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
            ("lambda-runtime-invoked-function-arn", self.function_arn),
            ("lambda-runtime-trace-id", trace_id),
        ] {
            // Only a trace id comes from outside, and one that is no header value is dropped.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

fn accepted() -> Response {
    json(StatusCode::ACCEPTED, Bytes::from_static(br#"{"status":"OK"}"#))
}

fn refuse(status: StatusCode, error_type: &str, message: &str) -> Response {
    json(status, error_payload(error_type, message))
}

fn too_large() -> Response {
    let message = format!("Exceeded maximum allowed payload size ({ANSWER_LIMIT} bytes).");
    refuse(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
}

fn broken_off() -> Response {
    refuse(StatusCode::BAD_REQUEST, "BodyBrokenOff", "the body broke off")
}

fn json(status: StatusCode, body: Bytes) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
#[path = "runtime_api_tests.rs"]
mod tests;
