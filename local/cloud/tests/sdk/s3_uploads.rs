//! Uploads by ticket, and the event that follows one; what a ticket allows is in `data_plane/uploads.rs`.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::host::{Host, PROCESSOR, UPLOADS, eventually};

const KEY: &str = "uploads/0197/0";
const BODY: &[u8] = b"not really a photograph";

/// The URL of a ticket for a JPEG of `bytes`.
async fn ticket(host: &Host, bytes: usize) -> String {
    let put = host.s3().put_object().bucket(UPLOADS).key(KEY).content_type("image/jpeg").content_length(i64::try_from(bytes).unwrap());
    let ticket = put.presigned(PresigningConfig::expires_in(Duration::from_mins(15)).unwrap()).await.unwrap();
    ticket.uri().to_owned()
}

async fn upload(url: &str, content_type: &str, body: &'static [u8]) -> (u16, String) {
    let response = reqwest::Client::new().put(url).header("content-type", content_type).body(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn is_stored(host: &Host) -> bool {
    host.s3().head_object().bucket(UPLOADS).key(KEY).send().await.is_ok()
}

#[tokio::test]
async fn an_upload_as_its_ticket_says_is_stored_and_told_of() {
    let host = Host::start().await;
    let url = ticket(&host, BODY.len()).await;
    let (status, answer) = upload(&url, "image/jpeg", BODY).await;
    assert_eq!(status, 200, "{answer}");

    let delivered = host.delivered();
    assert_eq!(delivered.len(), 1);
    let (function, event) = &delivered[0];
    assert_eq!(function, PROCESSOR);
    let record = &event["Records"][0];
    assert_eq!((&record["eventSource"], &record["eventName"]), (&"aws:s3".into(), &"ObjectCreated:Put".into()));
    assert_eq!(record["s3"]["bucket"]["name"], UPLOADS);
    assert_eq!((&record["s3"]["object"]["key"], &record["s3"]["object"]["size"]), (&KEY.into(), &BODY.len().into()));
}

#[tokio::test]
async fn nobody_is_told_of_an_upload_that_is_refused() {
    let host = Host::start().await;
    let url = ticket(&host, BODY.len()).await;
    let (status, answer) = upload(&url, "image/jpeg", &BODY[1..]).await;
    assert_eq!(status, 403, "{answer}");
    assert!(!is_stored(&host).await);
    assert!(host.delivered().is_empty());
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let host = Host::start().await;
    let url = ticket(&host, BODY.len()).await;
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let head = format!("PUT /{path} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: image/jpeg\r\ncontent-length: {}\r\n\r\n", BODY.len());
    let mut connection = TcpStream::connect(authority).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&BODY[..5]).await.unwrap();
    connection.flush().await.unwrap();
    eventually("the upload has begun", async || !host.blobs().is_empty()).await;
    drop(connection);
    eventually("the file of the broken upload is gone", async || host.blobs().is_empty()).await;
    assert!(!is_stored(&host).await);
    assert!(host.delivered().is_empty());
}

#[tokio::test]
async fn an_upload_with_a_wrong_checksum_leaves_nothing() {
    let host = Host::start().await;
    let put = || host.s3().put_object().bucket(UPLOADS).key(KEY).body(BODY.to_vec().into());
    let refused = put().checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").send().await.unwrap_err();
    assert_eq!(refused.into_service_error().meta().code(), Some("BadDigest"));
    let refused = put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await.unwrap_err();
    assert_eq!(refused.into_service_error().meta().code(), Some("BadDigest"));
    assert!(!is_stored(&host).await);
    assert!(host.delivered().is_empty() && host.blobs().is_empty());
}

#[tokio::test]
async fn only_matching_keys_are_told_of() {
    let host = Host::start().await;
    host.s3().put_object().bucket(UPLOADS).key("elsewhere/0").body(BODY.to_vec().into()).send().await.unwrap();
    assert!(host.delivered().is_empty());
}

#[tokio::test]
async fn a_page_reads_whatever_is_answered_to_its_upload_and_is_asked_for_no_signature_before() {
    let host = Host::start().await;
    let url = ticket(&host, BODY.len()).await;
    let page = |request: reqwest::RequestBuilder| request.header("origin", "https://elsewhere.example");
    let preflight = page(reqwest::Client::new().request(reqwest::Method::OPTIONS, &url))
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type");
    assert_eq!(preflight.send().await.unwrap().status(), 200);
    for (chaos, content_type, status) in
        [("", "image/png", 403), ("s3:error=1", "image/jpeg", 500), ("s3:throttle=1", "image/jpeg", 503), ("", "image/jpeg", 200)]
    {
        host.chaos.set(chaos).unwrap();
        let upload = page(reqwest::Client::new().put(&url)).header("content-type", content_type).body(BODY);
        let answer = upload.send().await.unwrap();
        let said = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let allowed = (said("access-control-allow-origin"), said("access-control-expose-headers"));
        assert_eq!((answer.status().as_u16(), allowed), (status, (Some("*"), Some("ETag"))));
    }
    assert!(is_stored(&host).await);
}
