//! Clients that are slow, silent, half gone or deaf: they cost no more than their places, and keep nobody out.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
};

use super::{Fixture, api};
use crate::{gateway::Gateway, integration::Invoke, server};

const PLACES: usize = 8;
const DEADLINE: Duration = Duration::from_secs(20);
const GET: &[u8] = b"GET /v1/open/x HTTP/1.1\r\nhost: a\r\n\r\n";

struct Served {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: JoinHandle<()>,
}

impl Served {
    /// With few places, so that they can be filled.
    async fn new() -> Self {
        let fixture = Fixture::new(api(), |_, event| {
            let body = if event["path"] == "/open/large" { "x".repeat(3_000_000) } else { "hello".to_owned() };
            Ok(json!({"body": body}))
        });
        Self::of(fixture.gateway).await
    }

    async fn of(gateway: Arc<Gateway>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let ended = tokio::spawn(server::serve(listener, gateway, PLACES, stopping));
        Self { address, stop, ended }
    }

    async fn connect(&self, sends: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(sends).await.unwrap();
        stream
    }

    /// Somebody who speaks is answered.
    async fn serves(&self) {
        let answer = async {
            let mut stream = self.connect(GET).await;
            let mut text = Vec::new();
            while !text.ends_with(b"hello") {
                assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0, "{}", String::from_utf8_lossy(&text));
            }
        };
        tokio::time::timeout(DEADLINE, answer).await.expect("an answer");
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.ended.await.unwrap();
    }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Whether the server has hung up.
fn is_closed(stream: &TcpStream) -> bool {
    let mut chunk = vec![0; 1 << 16];
    loop {
        match stream.try_read(&mut chunk) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

#[tokio::test]
async fn however_many_slow_clients_come_the_places_are_as_many_and_others_are_served() {
    let served = Served::new().await;
    let at_rest = tasks();
    let ways: [&[u8]; 5] = [
        b"",
        b"GET /v1/open/x HT",
        b"GET /v1/open/x HTTP/1.1\r\nhost: a\r\nx-slow: ",
        b"POST /v1/open HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{",
        b"POST /v1/open HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe",
    ];
    let mut slow = Vec::new();
    for n in 0..40 * ways.len() {
        slow.push(served.connect(ways[n % ways.len()]).await);
        if n % 50 == 49 {
            served.serves().await;
        }
        assert!(tasks() <= at_rest + PLACES, "{} tasks more", tasks() - at_rest);
    }
    served.serves().await;
    eventually("only as many are open as there are places", || slow.iter().filter(|stream| !is_closed(stream)).count() <= PLACES).await;
    served.stop().await;
}

/// They ask for much and read nothing of it.
#[tokio::test]
async fn deaf_clients_make_room() {
    let served = Served::new().await;
    let at_rest = tasks();
    let mut deaf = Vec::new();
    for _ in 0..3 * PLACES {
        deaf.push(served.connect(b"GET /v1/open/large HTTP/1.1\r\nhost: a\r\n\r\n").await);
        assert!(tasks() <= at_rest + PLACES);
    }
    served.serves().await;
    drop(deaf);
    eventually("nothing is left of them", || tasks() <= at_rest).await;
    served.stop().await;
}

#[tokio::test]
async fn who_has_said_all_is_still_answered_and_leaves_nothing_behind() {
    let served = Served::new().await;
    let at_rest = tasks();
    for n in 0..100 {
        let sends: &[u8] = match n % 3 {
            0 => GET,
            1 => b"",
            _ => b"POST /v1/open HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{",
        };
        let mut stream = served.connect(sends).await;
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("the end").unwrap();
        assert_eq!(answer.ends_with(b"hello"), n % 3 == 0, "{}", String::from_utf8_lossy(&answer));
    }
    eventually("nothing is left of them", || tasks() <= at_rest).await;
    served.stop().await;
}

#[tokio::test]
async fn who_has_said_all_gets_a_late_answer_too() {
    let invoke: Invoke = Arc::new(|_| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(r#"{"body":"hello"}"#.into())
        })
    });
    let account = crate::Account { id: String::new(), region: String::new() };
    let served = Served::of(Arc::new(Gateway::new(account, api(), None, invoke, None))).await;
    let mut stream = served.connect(GET).await;
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("the end").unwrap();
    assert!(answer.ends_with(b"hello"), "{}", String::from_utf8_lossy(&answer));
    served.stop().await;
}

/// Time is paused, and moves on by itself whenever everyone waits: so does the patience.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_slow_is_let_go_even_where_there_is_room() {
    let served = Arc::new(Served::new().await);
    let at_rest = tasks();
    for sends in [
        &b""[..],
        b"GET /v1/open/x HTTP/1.1\r\nhost: a\r\nx-slow: ",
        b"POST /v1/open HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{",
        b"GET /v1/open/x HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let mut stream = served.connect(sends).await;
        let mut answer = Vec::new();
        let end = tokio::time::timeout(Duration::from_mins(3), stream.read_to_end(&mut answer)).await;
        end.unwrap_or_else(|_| panic!("{:?} has no end", String::from_utf8_lossy(sends))).unwrap();
    }
    let _deaf = served.connect(b"GET /v1/open/large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_mins(3)).await;
    assert!(tasks() <= at_rest);
}
