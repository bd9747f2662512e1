//! SQS' own of the faults that every service has.

use aws_sdk_sqs::{
    Client,
    error::{ProvideErrorMetadata as _, SdkError},
};
use tintype_chaos::Fault;

use super::{first_time, without_retries};
use crate::host::Host;

async fn queue_url(client: &Client) -> String {
    client.get_queue_url().queue_name("tintype-FeedFanoutQueue").send().await.unwrap().queue_url.unwrap()
}

async fn waiting(client: &Client, url: &str) -> usize {
    client.receive_message().queue_url(url).max_number_of_messages(10).visibility_timeout(0).send().await.unwrap().messages().len()
}

#[tokio::test]
async fn errors_and_throttling_are_those_of_sqs_and_nothing_is_done() {
    let host = Host::start().await;
    let client = Client::new(&without_retries(&host));
    let url = queue_url(&client).await;
    host.chaos.set("sqs:error=1").unwrap();
    let refused = client.send_message().queue_url(&url).message_body("one").send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 500);
    assert_eq!(refused.into_service_error().code(), Some("InternalFailure"));
    host.chaos.set("sqs:throttle=1").unwrap();
    let refused = client.send_message().queue_url(&url).message_body("one").send().await.unwrap_err();
    assert!(refused.into_service_error().is_request_throttled());
    host.chaos.set("").unwrap();
    assert_eq!(waiting(&client, &url).await, 0);
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_there_and_the_sdks_next_attempt_sends_it_again() {
    let host = Host::start().await;
    let client = Client::new(&without_retries(&host));
    let url = queue_url(&client).await;
    host.chaos.set("sqs:lost_answer=1").unwrap();
    let lost = client.send_message().queue_url(&url).message_body("one").send().await.unwrap_err();
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    host.chaos.set("").unwrap();
    assert_eq!(waiting(&client, &url).await, 1);
    host.chaos.set(&first_time("sqs", Fault::LostAnswer, "lost_answer")).unwrap();
    host.sqs().send_message().queue_url(&url).message_body("two").send().await.unwrap();
    host.chaos.set("").unwrap();
    assert_eq!(waiting(&client, &url).await, 3);
}
