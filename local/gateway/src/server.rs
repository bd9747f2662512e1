//! The listener: HTTP/1.1 connections, none of which may hold on for ever.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::{
    connections::{Connection, Connections},
    gateway::Gateway,
};

/// The most connections at once.
pub(crate) const MOST_CONNECTIONS: usize = 1024;
/// How long a head may take, and how long a kept-alive connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Heads larger than this are cut off by the HTTP parser; the gateway refuses them well before.
const MAX_HEAD_BUFFER: usize = 64 * 1024;
/// How long requests that are being answered may go on when the host stops.
const GRACE: Duration = Duration::from_secs(5);
/// A pause after a connection could not be accepted (too many open files), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` turns true, then lets running requests end.
pub(crate) async fn serve(listener: TcpListener, gateway: Arc<Gateway>, most_connections: usize, mut stop: watch::Receiver<bool>) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    let all = Connections::new(most_connections);
    let mut tasks = JoinSet::new();
    loop {
        let accepted = async {
            let (stream, client) = listener.accept().await?;
            Ok::<_, std::io::Error>((stream, client, all.admit().await))
        };
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = accepted => match accepted {
                Ok((stream, client, connection)) => {
                    tasks.spawn(serve_one(stream, client, port, connection, Arc::clone(&gateway), stop.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
        while tasks.try_join_next().is_some() {}
    }
    drop(listener);
    let ended = async { while tasks.join_next().await.is_some() {} };
    // What does not end in time is dropped with the set.
    let _ = tokio::time::timeout(GRACE, ended).await;
}

async fn serve_one(
    stream: TcpStream,
    client: SocketAddr,
    port: u16,
    connection: Arc<Connection>,
    gateway: Arc<Gateway>,
    mut stop: watch::Receiver<bool>,
) {
    // Answers are written whole: waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (gateway, connection) = (Arc::clone(&gateway), Arc::clone(&connection));
        async move {
            let request = request.map(|body| connection.arriving(body).boxed_unsync());
            let response = gateway.answer(request, client, port).await;
            connection.wait_for_client();
            Ok::<_, Infallible>(response)
        }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BUFFER)
        // Who has said all may still listen.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(http);
    // An error is the client's: it hung up, was too slow, or spoke something else. Nobody is left to be told.
    tokio::select! {
        // A request that is there already comes before the dismissal.
        biased;
        _ = http.as_mut() => {}
        () = connection.given_up() => {}
        () = stopped(&mut stop) => {
            http.as_mut().graceful_shutdown();
            let _ = http.await;
        }
    }
}

/// Resolves when the host stops, also if it is gone without saying so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopping| *stopping).await;
}
