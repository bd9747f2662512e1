//! Over a real socket: connections are kept, refusals arrive, slow clients go, and the server stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use super::{Fixture, api};
use crate::{gateway::Gateway, integration::Invoke, server};

struct Served {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: JoinHandle<()>,
}

async fn serve(gateway: Arc<Gateway>) -> Served {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    let ended = tokio::spawn(server::serve(listener, gateway, server::MOST_CONNECTIONS, stopping));
    Served { address, stop, ended }
}

/// Reads until `end` has come.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.unwrap();
        assert_ne!(count, 0, "the connection ended after {text:?}");
        text += std::str::from_utf8(&chunk[..count]).unwrap();
    }
    text
}

const GET: &[u8] = b"GET /v1/open/x HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn a_connection_is_kept_and_ends_with_the_server() {
    let fixture = Fixture::new(api(), |_, _| Ok(json!({"body": "hello"})));
    let served = serve(fixture.gateway).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(GET).await.unwrap();
        let answer = read_until(&mut stream, "hello").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-length: 5\r\n"), "{answer}");
    }

    served.stop.send(true).unwrap();
    served.ended.await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_is_being_answered_when_the_server_stops_is_answered() {
    let (release, released) = watch::channel(false);
    let invoke: Invoke = Arc::new(move |_| {
        let mut released = released.clone();
        Box::pin(async move {
            released.wait_for(|released| *released).await.unwrap();
            Ok(r#"{"body":"hello"}"#.into())
        })
    });
    let account = crate::Account { id: String::new(), region: String::new() };
    let served = serve(Arc::new(Gateway::new(account, api(), None, invoke, None))).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    while release.receiver_count() < 2 {
        tokio::task::yield_now().await;
    }
    served.stop.send(true).unwrap();
    release.send(true).unwrap();
    read_until(&mut stream, "hello").await;
    served.ended.await.unwrap();
}

/// However the client sends: it is sending still when the answer comes, and must get to read it.
#[tokio::test]
async fn a_client_that_sends_too_much_reads_why() {
    let fixture = Fixture::of_empty_answers();
    let served = serve(fixture.gateway).await;
    let megabyte = vec![b'x'; 1024 * 1024];

    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = format!("POST /v1/open HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 20 * megabyte.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..20 {
        stream.write_all(&megabyte).await.unwrap();
    }
    let answer = read_until(&mut stream, "REQUEST_TOO_LARGE").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"POST /v1/open HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    for _ in 0..20 {
        stream.write_all(b"100000\r\n").await.unwrap();
        stream.write_all(&megabyte).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let answer = read_until(&mut stream, "REQUEST_TOO_LARGE").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_sends_nothing() {
    let fixture = Fixture::of_empty_answers();
    let served = serve(fixture.gateway).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = "POST /v1/open HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 20971520\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "REQUEST_TOO_LARGE").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_finishes_its_head_is_let_go() {
    let fixture = Fixture::of_empty_answers();
    let served = serve(fixture.gateway).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /v1/open/x HTTP/1.1\r\nhost: a\r\nx-slow: ").await.unwrap();
    // Time is paused and moves on by itself whenever everyone waits.
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_function_has_29_seconds() {
    let invoke: Invoke = Arc::new(|_| Box::pin(std::future::pending()));
    let account = crate::Account { id: String::new(), region: String::new() };
    let gateway = Gateway::new(account, api(), None, invoke, None);
    let fixture = Fixture { gateway: Arc::new(gateway), seen: Arc::default() };
    let started = tokio::time::Instant::now();
    let response = fixture.get("/v1/open/x").await;
    assert_eq!(response.refusal(), (504, "INTEGRATION_TIMEOUT".to_owned()));
    assert_eq!(started.elapsed().as_secs(), 29);
}
