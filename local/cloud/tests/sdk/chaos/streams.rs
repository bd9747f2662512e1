//! Those of the streams' own API. (How the host's readers meet them is tested where these are.)

use std::time::{Duration, Instant};

use aws_sdk_dynamodbstreams::{Client, error::ProvideErrorMetadata as _};

use super::{tables, without_retries};
use crate::host::Host;

#[tokio::test]
async fn requests_to_the_streams_fail_as_dynamodbs_do_and_those_to_the_tables_do_not() {
    let host = Host::start().await;
    let client = Client::new(&without_retries(&host));
    for (fault, status, code) in [("error", 500, "InternalServerError"), ("throttle", 400, "ThrottlingException")] {
        host.chaos.set(&format!("streams:{fault}=1")).unwrap();
        let refused = client.list_streams().send().await.unwrap_err();
        assert_eq!(refused.raw_response().unwrap().status().as_u16(), status);
        assert_eq!(refused.into_service_error().code(), Some(code));
        tables::exists(&tables::client(&host), "one").await;

        host.chaos.set(&format!("dynamodb:{fault}=1")).unwrap();
        assert_eq!(client.list_streams().send().await.unwrap().streams().len(), 1);
    }
}

#[tokio::test]
async fn reads_of_the_streams_wait_as_long_as_they_are_told_to() {
    let host = Host::start().await;
    host.chaos.set("streams:delay_ms=300").unwrap();
    let started = Instant::now();
    Client::new(&host.sdk).list_streams().send().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(300));
}
