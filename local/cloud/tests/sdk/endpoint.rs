//! What the endpoint makes of requests that no SDK client of these services would send.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::host::Host;

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";

fn post(host: &Host, target: &str) -> RequestBuilder {
    let request =
        reqwest::Client::new().post(&host.url).header("x-amz-target", target).header("content-type", "application/x-amz-json-1.0");
    request.header("authorization", SIGNED).header("x-amz-date", "20260101T000000Z").body("{}")
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn what_is_not_emulated_is_an_unknown_operation() {
    let host = Host::start().await;
    for target in ["AmazonSQS.SendPigeon", "secretsmanager.CreateSecret", "DynamoDB_20120810.ExportTable", "Kinesis_20131202.ListStreams"] {
        let (status, body) = answer(post(&host, target)).await;
        assert_eq!(status, 400, "{target}");
        assert!(body["__type"].as_str().unwrap().ends_with("UnknownOperationException"), "{target}: {body}");
    }
}

#[tokio::test]
async fn dynamodb_streams_are_behind_the_same_endpoint() {
    let host = Host::start().await;
    let (status, body) = answer(post(&host, "DynamoDBStreams_20120810.ListStreams")).await;
    assert_eq!((status, &body["Streams"][0]["TableName"]), (StatusCode::OK, &"tintype-PostsTable".into()));
}

#[tokio::test]
async fn lambda_and_health_have_their_paths() {
    let host = Host::start().await;
    let client = reqwest::Client::new();
    let invoked = client.post(format!("{}/2015-03-31/functions/tintype-posts/invocations", host.url)).send().await.unwrap();
    assert_eq!(invoked.text().await.unwrap(), "invoked");
    let (status, health) = answer(client.get(format!("{}/_tintype/health", host.url))).await;
    assert_eq!((status, &health["services"]["s3"]), (StatusCode::OK, &"running".into()));
}

#[tokio::test]
async fn an_unsigned_request_reads_nothing() {
    let host = Host::start().await;
    for path in ["/", "/tintype-media-000000000000-us-east-1", "/tintype-media-000000000000-us-east-1/public/a"] {
        assert_eq!(reqwest::get(format!("{}{path}", host.url)).await.unwrap().status(), 403, "{path}");
    }
}
