//! When a message is seen: delays, long polls, and the time that it is hidden while somebody works at it.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    types::{ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName},
};
use tokio::time::Instant;

use super::cloud::Cloud;

/// Receives one message, or none, within `wait` seconds.
async fn receive(client: &Client, queue: &str, wait: i32) -> Option<Message> {
    let receive = client.receive_message().queue_url(queue).wait_time_seconds(wait);
    let received = receive.message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount).send().await.unwrap();
    received.messages.unwrap_or_default().pop()
}

fn times_received(message: &Message) -> &str {
    &message.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount]
}

async fn count(client: &Client, queue: &str, name: QueueAttributeName) -> String {
    let attributes = client.get_queue_attributes().queue_url(queue).attribute_names(name.clone()).send().await.unwrap().attributes;
    attributes.unwrap()[&name].clone()
}

#[tokio::test]
async fn a_received_message_is_hidden_until_its_time_is_over() {
    let cloud = Cloud::start().await;
    let client = cloud.sqs();
    let queue = cloud.queue(&[(QueueAttributeName::VisibilityTimeout, "2")]).await;
    client.send_message().queue_url(&queue).message_body("work").send().await.unwrap();
    let first = receive(&client, &queue, 5).await.unwrap();
    let started = Instant::now();
    assert!(receive(&client, &queue, 0).await.is_none());
    assert_eq!(count(&client, &queue, QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "1");
    let second = receive(&client, &queue, 20).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1), "it was seen after {:?}", started.elapsed());
    assert_eq!((first.message_id(), times_received(&first)), (second.message_id(), "1"));
    assert_eq!(times_received(&second), "2");
}

#[tokio::test]
async fn a_message_can_be_given_back_at_once_and_kept_longer() {
    let cloud = Cloud::start().await;
    let client = cloud.sqs();
    let queue = cloud.queue(&[(QueueAttributeName::VisibilityTimeout, "2")]).await;
    client.send_message().queue_url(&queue).message_body("work").send().await.unwrap();
    let change = async |message: &Message, seconds| {
        let change = client.change_message_visibility().queue_url(&queue).receipt_handle(message.receipt_handle().unwrap());
        change.visibility_timeout(seconds).send().await.unwrap();
    };
    let message = receive(&client, &queue, 5).await.unwrap();
    change(&message, 0).await;
    let message = receive(&client, &queue, 1).await.unwrap();
    change(&message, 60).await;
    assert!(receive(&client, &queue, 3).await.is_none(), "it is hidden beyond the queue's own time");

    let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id("0").receipt_handle(message.receipt_handle().unwrap());
    let entry = entry.visibility_timeout(0).build().unwrap();
    let changed = client.change_message_visibility_batch().queue_url(&queue).entries(entry).send().await.unwrap();
    assert_eq!((changed.successful().len(), changed.failed().len()), (1, 0));
    assert_eq!(times_received(&receive(&client, &queue, 5).await.unwrap()), "3");
}

#[tokio::test]
async fn a_receive_may_hide_for_its_own_time() {
    let cloud = Cloud::start().await;
    let client = cloud.sqs();
    let queue = cloud.queue(&[(QueueAttributeName::VisibilityTimeout, "60")]).await;
    client.send_message().queue_url(&queue).message_body("work").send().await.unwrap();
    let received = client.receive_message().queue_url(&queue).visibility_timeout(0).wait_time_seconds(5).send().await.unwrap();
    assert_eq!(received.messages().len(), 1);
    assert!(receive(&client, &queue, 5).await.is_some());
}

#[tokio::test]
async fn an_old_receipt_handle_deletes_nothing_and_the_latest_deletes() {
    let cloud = Cloud::start().await;
    let client = cloud.sqs();
    let queue = cloud.queue(&[(QueueAttributeName::VisibilityTimeout, "1")]).await;
    client.send_message().queue_url(&queue).message_body("twice").send().await.unwrap();
    let old = receive(&client, &queue, 5).await.unwrap();
    let latest = receive(&client, &queue, 20).await.unwrap();
    let delete = async |message: &Message| {
        client.delete_message().queue_url(&queue).receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    };
    delete(&old).await;
    let latest = receive(&client, &queue, 20).await.unwrap_or(latest);
    delete(&latest).await;
    assert!(receive(&client, &queue, 2).await.is_none());
}

#[tokio::test]
async fn a_delayed_message_is_not_seen_before_its_time() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[]).await);
    let started = Instant::now();
    client.send_message().queue_url(&queue).message_body("later").delay_seconds(2).send().await.unwrap();
    assert!(receive(&client, &queue, 0).await.is_none());
    assert_eq!(count(&client, &queue, QueueAttributeName::ApproximateNumberOfMessagesDelayed).await, "1");
    assert!(receive(&client, &queue, 20).await.is_some());
    assert!(started.elapsed() >= Duration::from_secs(1), "it was seen after {:?}", started.elapsed());
}

#[tokio::test]
async fn a_queues_own_delay_is_that_of_messages_that_name_none() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[(QueueAttributeName::DelaySeconds, "60")]).await);
    client.send_message().queue_url(&queue).message_body("late").send().await.unwrap();
    client.send_message().queue_url(&queue).message_body("at once").delay_seconds(0).send().await.unwrap();
    assert_eq!(receive(&client, &queue, 5).await.unwrap().body(), Some("at once"));
    assert!(receive(&client, &queue, 0).await.is_none());
}

#[tokio::test]
async fn a_long_poll_answers_as_soon_as_a_message_comes() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[]).await);
    let started = Instant::now();
    let send = client.send_message().queue_url(&queue).message_body("now").delay_seconds(1).send();
    let (received, sent) = tokio::join!(receive(&client, &queue, 20), send);
    sent.unwrap();
    assert_eq!(received.unwrap().body(), Some("now"));
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_long_poll_that_nobody_serves_waits_as_long_as_it_was_told() {
    let cloud = Cloud::start().await;
    let client = cloud.sqs();
    let queue = cloud.queue(&[(QueueAttributeName::ReceiveMessageWaitTimeSeconds, "20")]).await;
    for (wait, range) in [(2, 1..10), (0, 0..1)] {
        let started = Instant::now();
        assert!(receive(&client, &queue, wait).await.is_none());
        assert!(range.contains(&started.elapsed().as_secs()), "{wait} s became {:?}", started.elapsed());
    }
}
