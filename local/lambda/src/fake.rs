//! Workers for tests: tasks of the test's own process that speak the Runtime API over HTTP, as a
//! worker process does.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tintype_chaos::Chaos;
use tintype_cloud::{
    sqs::{Message, Queues},
    state::StateDir,
};
use tintype_template::deployment::{Asynchronous, Function, Queue, Table};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf, Repeat},
    net::TcpStream,
    sync::oneshot,
};

use crate::{
    InvokeError,
    invocation::Invocation,
    output::{Output, Reader},
    pool::Pool,
    runtime_api::RuntimeApi,
    worker::{Ended, Process, Spawn},
};

/// An event, as a worker sees it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) worker: String,
    pub(crate) request_id: String,
    pub(crate) deadline_ms: u128,
    pub(crate) function_arn: String,
    pub(crate) trace_id: String,
    pub(crate) event: Value,
}

/// What a worker does with an event.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Succeed(Value),
    Fail(Value),
    /// Ends without an answer.
    Exit,
    /// Never answers.
    Hang,
    /// Prints a line, then succeeds.
    Print(String, Value),
    /// Prints a line, and never answers.
    PrintAndHang(String),
}

/// What a worker prints that prints without end, for as long as it runs.
struct Flood {
    lines: Repeat,
    running: Arc<AtomicBool>,
}

impl AsyncRead for Flood {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if !self.running.load(Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.lines).poll_read(context, buffer)
    }
}

/// Workers that print without end from their first moment on.
pub(crate) fn flooding(spawn: Spawn) -> Spawn {
    Arc::new(move |function, session| {
        let mut process = spawn(function, session)?;
        let running = Arc::new(AtomicBool::new(true));
        let reader = Reader::start(Output::default(), Flood { lines: tokio::io::repeat(b'\n'), running: Arc::clone(&running) });
        let mut flooding = self::process(|killed| async move {
            let _ = killed.await;
            process.kill().await;
            running.store(false, Ordering::SeqCst);
            killed_from_outside()
        });
        flooding.readers.push(reader.questions);
        Ok(flooding)
    })
}

/// Workers that treat every event alike.
pub(crate) fn workers<F, Fut>(handler: F) -> Spawn
where
    F: Fn(Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |_, session| {
        let (address, worker) = (session.address.clone(), session.id.clone());
        let handler = Arc::clone(&handler);
        let output = Output::default();
        let printed = output.clone();
        Ok(process_with(output, |killed| async move {
            tokio::select! {
                _ = killed => killed_from_outside(),
                how = live(&address, &worker, &printed, |call| handler(call)) => ended(how),
            }
        }))
    })
}

/// A process that runs for as long as this future.
pub(crate) fn process<F>(run: impl FnOnce(oneshot::Receiver<()>) -> F) -> Process
where
    F: Future<Output = Ended> + Send + 'static,
{
    process_with(Output::default(), run)
}

fn process_with<F>(output: Output, run: impl FnOnce(oneshot::Receiver<()>) -> F) -> Process
where
    F: Future<Output = Ended> + Send + 'static,
{
    let running = Arc::new(AtomicBool::new(true));
    let runs = Arc::clone(&running);
    Process::follow(
        output,
        move || runs.load(Ordering::SeqCst),
        |killed| {
            let life = run(killed);
            async move {
                let ended = life.await;
                running.store(false, Ordering::SeqCst);
                ended
            }
        },
    )
}

/// The end of a worker that ends by itself.
pub(crate) fn ended(how: impl Into<String>) -> Ended {
    Ended { how: how.into(), killed: false }
}

/// The end of a worker by `kill -9`.
pub(crate) fn killed_from_outside() -> Ended {
    Ended { how: "signal: 9 (SIGKILL)".to_owned(), killed: true }
}

/// Asks for events and answers them, until one makes the worker end.
async fn live<Fut>(address: &str, worker: &str, output: &Output, handler: impl Fn(Call) -> Fut) -> String
where
    Fut: Future<Output = Answer>,
{
    let client = reqwest::Client::new();
    let runtime = format!("{address}/2018-06-01/runtime");
    loop {
        let Ok(call) = next(&client, &runtime, worker).await else { return "connection lost".to_owned() };
        let invocation = format!("{runtime}/invocation/{}", call.request_id);
        let (path, body) = match handler(call).await {
            Answer::Succeed(body) => ("response", body),
            Answer::Fail(body) => ("error", body),
            Answer::Exit => return "exit status: 1".to_owned(),
            Answer::Hang => std::future::pending().await,
            Answer::Print(line, body) => {
                output.write(&line);
                ("response", body)
            }
            Answer::PrintAndHang(line) => {
                output.write(&line);
                std::future::pending().await
            }
        };
        client.post(format!("{invocation}/{path}")).json(&body).send().await.unwrap();
    }
}

async fn next(client: &reqwest::Client, runtime: &str, worker: &str) -> reqwest::Result<Call> {
    let next = client.get(format!("{runtime}/invocation/next")).send().await?.error_for_status()?;
    let header = |name| next.headers()[name].to_str().unwrap().to_owned();
    Ok(Call {
        worker: worker.to_owned(),
        request_id: header("lambda-runtime-aws-request-id"),
        deadline_ms: header("lambda-runtime-deadline-ms").parse().unwrap(),
        function_arn: header("lambda-runtime-invoked-function-arn"),
        trace_id: header("lambda-runtime-trace-id"),
        event: next.json().await?,
    })
}

/// Answers one event with `"once"`.
pub(crate) async fn serve_once(runtime: &str) {
    let client = reqwest::Client::new();
    let call = next(&client, runtime, "").await.unwrap();
    let response = format!("{runtime}/invocation/{}/response", call.request_id);
    client.post(response).json("once").send().await.unwrap();
}

/// Asks for an event and hangs up, as a process does that dies while it waits. Returns when the
/// server has noticed.
pub(crate) async fn ask_and_hang_up(next: &str) {
    let (host, path) = next.trim_start_matches("http://").split_once('/').unwrap();
    let mut connection = TcpStream::connect(host).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    connection.shutdown().await.unwrap();
    connection.read_to_end(&mut Vec::new()).await.unwrap();
}

/// A function with a timeout that no test reaches unless it wants to.
pub(crate) fn function(name: &str) -> Function {
    Function {
        name: name.to_owned(),
        arn: format!("arn:aws:lambda:us-east-1:000000000000:function:{name}"),
        binary: name.to_owned(),
        timeout: Duration::from_mins(1),
        memory_mb: 256,
        environment: BTreeMap::new(),
        concurrency: None,
        asynchronous: Asynchronous { max_retries: 2, max_age: Duration::from_hours(6), on_failure: None },
        triggers: Vec::new(),
    }
}

/// The workers of a function, with which nothing goes wrong on purpose.
pub(crate) async fn pool(function: Function, spawn: Spawn) -> Arc<Pool> {
    pool_with(function, spawn, "").await
}

/// The workers of a function, with which this goes wrong.
pub(crate) async fn pool_with(function: Function, spawn: Spawn, chaos: &str) -> Arc<Pool> {
    let place = chaos_of(&function, chaos).place(&function.binary);
    Pool::new(function, Arc::new(RuntimeApi::start().await.unwrap()), spawn, place)
}

/// What goes wrong with a function, for example `error=0.5`.
pub(crate) fn chaos_of(function: &Function, faults: &str) -> Chaos {
    let chaos = Chaos::new([function.binary.clone()]);
    if !faults.is_empty() {
        chaos.set(&format!("{}:{faults};seed=1", function.binary)).unwrap();
    }
    chaos
}

/// What a function answers to an event that may be repeated.
pub(crate) async fn invoke(pool: &Arc<Pool>, event: Value) -> Result<Value, InvokeError> {
    invoke_as(pool, event, true).await
}

pub(crate) async fn invoke_as(pool: &Arc<Pool>, event: Value, repeatable: bool) -> Result<Value, InvokeError> {
    let answer = pool.invoke(Invocation::synchronous(event.to_string().into(), "", repeatable)).await?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

/// What a function answers to an event that waits for its turn, as a batch does.
pub(crate) async fn invoke_in_turn(pool: &Arc<Pool>, event: Value) -> Result<Value, InvokeError> {
    let answer = pool.invoke(Invocation::batch(event.to_string().into())).await?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

/// The type that an error tells.
pub(crate) fn error_type(error: &InvokeError) -> String {
    let payload: Value = serde_json::from_slice(&error.payload()).unwrap();
    assert!(payload["errorMessage"].is_string());
    payload["errorType"].as_str().unwrap().to_owned()
}

/// A table with a stream: `posts`, whose key is `pk`.
pub(crate) fn stream_table() -> Table {
    let create = json!({
        "TableName": "posts",
        "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
    });
    Table { name: "posts".to_owned(), create, ttl_attribute: None }
}

/// A queue whose messages stay hidden for this long.
pub(crate) fn queue(name: &str, visibility_timeout: Duration) -> Queue {
    Queue {
        name: name.to_owned(),
        arn: queue_arn(name),
        visibility_timeout,
        retention: Duration::from_hours(1),
        delay: Duration::ZERO,
        receive_wait: Duration::ZERO,
        max_message_bytes: 1024 * 1024,
        redrive: None,
    }
}

pub(crate) fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

/// A state folder with queues in it.
pub(crate) struct State {
    pub(crate) folder: TempDir,
    pub(crate) dir: StateDir,
    pub(crate) queues: Queues,
}

pub(crate) fn state(queues: &[Queue]) -> State {
    let folder = tempfile::tempdir().unwrap();
    let dir = StateDir::open(folder.path(), false).unwrap();
    let queues = Queues::open(&dir.path("queues.db"), queues, tintype_chaos::Chaos::new([]).place("sqs")).unwrap();
    State { folder, dir, queues }
}

/// The next message of a queue, as JSON.
pub(crate) async fn received(queues: &Queues, queue: &str) -> Value {
    let messages = queues.receive(queue, 1, Duration::from_secs(10), None).await.unwrap();
    let [Message { body, .. }] = messages.as_slice() else { panic!("no message in {queue}") };
    serde_json::from_str(body).unwrap()
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The error that tests let functions answer with.
pub(crate) fn refusal() -> Value {
    json!({ "errorType": "Refused", "errorMessage": "not today" })
}
