//! Requests passed on to `dynoxide`'s own server, unless they are answered without it.

use std::io;

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use dynoxide::Database;
use http::{
    Request, StatusCode, Uri,
    header::{CONTENT_LENGTH, HOST},
    request::Parts,
};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{Failure, direct, faults};

/// A database, its own HTTP server, and a client to that.
#[derive(Clone)]
pub(super) struct Proxy {
    database: Database,
    authority: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Ends the database's server.
pub(crate) struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), String>>,
}

impl Server {
    pub(crate) async fn stop(self) {
        // Gone already, if nobody listens.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

impl Proxy {
    pub(super) async fn start(database: Database) -> io::Result<(Self, Server)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let authority = listener.local_addr()?.to_string();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database.clone(), async {
            // Either told to, or nobody is left to tell.
            let _ = stopped.await;
        }));
        Ok((Self::to(authority, database), Server { stop, task }))
    }

    /// To a server that is there already.
    pub(super) fn to(authority: String, database: Database) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { database, authority, client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// Answers a request. What AWS refuses and the server takes is refused here.
    pub(super) async fn answer(&self, head: &Parts, body: Bytes) -> Result<Response, Failure> {
        if head.headers.get("x-amz-target").is_some_and(|target| target.as_bytes() == QUERY)
            && let Some(key) = serde_json::from_slice(&body).ok().and_then(|query| empty_key(&query))
        {
            return Ok(faults::refuse(
                StatusCode::BAD_REQUEST,
                "com.amazon.coral.validate#ValidationException",
                &format!(
                    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: {key}"
                ),
            ));
        }
        match direct::read(&self.database, head, &body) {
            Some(answer) => Ok(answer),
            None => self.pass_on(head, body).await,
        }
    }

    /// Passes a request on, with its headers: the server looks at its signature's shape.
    pub(super) async fn pass_on(&self, head: &Parts, body: Bytes) -> Result<Response, Failure> {
        let path_and_query = head.uri.path_and_query().map_or("/", |path_and_query| path_and_query.as_str());
        let mut request = Request::from_parts(head.clone(), Full::new(body));
        *request.uri_mut() = Uri::builder().scheme("http").authority(&*self.authority).path_and_query(path_and_query).build()?;
        request.headers_mut().remove(HOST);
        // The body may be another than the one that came.
        request.headers_mut().remove(CONTENT_LENGTH);
        // Whole, so that it goes to the client in one write.
        let (head, body) = self.client.request(request).await?.into_parts();
        Ok(Response::from_parts(head, Body::from(body.collect().await?.to_bytes())))
    }
}

const QUERY: &[u8] = b"DynamoDB_20120810.Query";

/// The key attribute that a query compares with an empty string, which no key can be.
fn empty_key(query: &Value) -> Option<String> {
    let condition = query["KeyConditionExpression"].as_str()?;
    let is_part_of_a_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '#' | ':');
    let words: Vec<&str> = condition.split(|c: char| !is_part_of_a_word(c)).filter(|word| !word.is_empty()).collect();
    let is_empty = |word: &str| query["ExpressionAttributeValues"][word]["S"] == "";
    let value = words.iter().position(|word| word.starts_with(':') && is_empty(word))?;
    // The attribute is the nearest name before the value: `sk = :v`, `begins_with(sk, :v)`, `sk BETWEEN :a AND :v`.
    let is_name = |word: &&&str| !word.starts_with(':') && !["AND", "BETWEEN"].contains(&word.to_ascii_uppercase().as_str());
    let name = words[..value].iter().rev().find(is_name)?;
    let name = query["ExpressionAttributeNames"][*name].as_str().unwrap_or(name);
    Some(name.to_owned())
}
