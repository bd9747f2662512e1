use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    types::{
        MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
        QueueAttributeName, SendMessageBatchRequestEntry,
    },
};

use crate::host::{Host, eventually};

async fn url(client: &Client, name: &str) -> String {
    client.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap()
}

async fn fanout(client: &Client) -> String {
    url(client, "tintype-FeedFanoutQueue").await
}

fn attribute(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

#[tokio::test]
async fn a_message_is_received_with_all_that_it_was_sent_with_and_deleted() {
    let host = Host::start().await;
    let client = host.sqs();
    let queue = fanout(&client).await;
    assert_eq!(queue, format!("{}/000000000000/tintype-FeedFanoutQueue", host.url));

    let trace = MessageSystemAttributeValue::builder().data_type("String").string_value("Root=1-2-3").build().unwrap();
    let sent = client
        .send_message()
        .queue_url(&queue)
        .message_body("hello")
        .message_attributes("reason", attribute("late"))
        .message_attributes("other", attribute("not asked for"))
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace)
        .message_group_id("author")
        .send()
        .await
        .unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("5d41402abc4b2a76b9719d911017c592"));

    let receive = client.receive_message().queue_url(&queue).wait_time_seconds(5).message_attribute_names("rea.*");
    let received = receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    let message = &received.messages()[0];
    assert_eq!((message.message_id(), message.body()), (sent.message_id(), Some("hello")));
    assert_eq!(message.message_attributes().unwrap().keys().collect::<Vec<_>>(), ["reason"]);
    let system = message.attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::AwsTraceHeader], "Root=1-2-3");
    assert_eq!(system[&MessageSystemAttributeName::MessageGroupId], "author");
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");

    client.delete_message().queue_url(&queue).receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    assert_eq!(count(&client, &queue, QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "0");
}

async fn count(client: &Client, queue: &str, name: QueueAttributeName) -> String {
    let attributes = client.get_queue_attributes().queue_url(queue).attribute_names(name.clone()).send().await.unwrap().attributes;
    attributes.unwrap()[&name].clone()
}

#[tokio::test]
async fn a_message_received_too_often_is_in_the_dead_letter_queue_and_can_be_redriven() {
    let host = Host::start().await;
    let client = host.sqs();
    let (work, dead) = (fanout(&client).await, url(&client, "tintype-FeedFanoutDlq").await);
    client.send_message().queue_url(&work).message_body("poison").send().await.unwrap();
    for _ in 0..2 {
        let received = client.receive_message().queue_url(&work).visibility_timeout(0).wait_time_seconds(5).send().await.unwrap();
        assert_eq!(received.messages().len(), 1);
    }
    assert!(client.receive_message().queue_url(&work).send().await.unwrap().messages().is_empty());
    assert_eq!(count(&client, &dead, QueueAttributeName::ApproximateNumberOfMessages).await, "1");

    let dead_arn = count(&client, &dead, QueueAttributeName::QueueArn).await;
    client.start_message_move_task().source_arn(dead_arn).send().await.unwrap();
    let received = client.receive_message().queue_url(&work).wait_time_seconds(5).send().await.unwrap();
    assert_eq!(received.messages()[0].body(), Some("poison"));
}

#[tokio::test]
async fn a_long_poll_answers_as_soon_as_a_message_comes() {
    let host = Host::start().await;
    let client = host.sqs();
    let queue = fanout(&client).await;
    let poll = client.receive_message().queue_url(&queue).wait_time_seconds(20).send();
    let send = client.send_message().queue_url(&queue).message_body("now").delay_seconds(1).send();
    let started = tokio::time::Instant::now();
    let (received, sent) = tokio::join!(poll, send);
    sent.unwrap();
    assert_eq!(received.unwrap().messages()[0].body(), Some("now"));
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_batch_is_sent_received_and_deleted_after_a_restart() {
    let host = Host::start().await;
    let client = host.sqs();
    let queue = fanout(&client).await;
    let entry = |id: usize| SendMessageBatchRequestEntry::builder().id(id.to_string()).message_body(format!("m{id}")).build().unwrap();
    let sent = client.send_message_batch().queue_url(&queue).set_entries(Some((0..10).map(entry).collect())).send().await.unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (10, 0));

    let host = host.restart().await;
    let client = host.sqs();
    let queue = fanout(&client).await;
    let received = client.receive_message().queue_url(&queue).max_number_of_messages(10).visibility_timeout(60).send().await.unwrap();
    let mut bodies: Vec<_> = received.messages().iter().filter_map(|message| message.body()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"]);

    let entries = received.messages().iter().enumerate().map(|(id, message)| {
        let entry = aws_sdk_sqs::types::DeleteMessageBatchRequestEntry::builder().id(id.to_string());
        entry.set_receipt_handle(message.receipt_handle.clone()).build().unwrap()
    });
    let deleted = client.delete_message_batch().queue_url(&queue).set_entries(Some(entries.collect())).send().await.unwrap();
    assert_eq!(deleted.successful().len(), 10);
}

#[tokio::test]
async fn an_old_receipt_handle_deletes_nothing_and_the_latest_deletes() {
    let host = Host::start().await;
    let client = host.sqs();
    let queue = fanout(&client).await;
    client.send_message().queue_url(&queue).message_body("twice").send().await.unwrap();
    let receive = async || client.receive_message().queue_url(&queue).wait_time_seconds(20).send().await.unwrap();
    let handle =
        |received: aws_sdk_sqs::operation::receive_message::ReceiveMessageOutput| received.messages()[0].receipt_handle.clone().unwrap();
    let old = handle(receive().await);
    let latest = handle(receive().await);
    client.delete_message().queue_url(&queue).receipt_handle(old).send().await.unwrap();
    assert_eq!(count(&client, &queue, QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "1");
    client.delete_message().queue_url(&queue).receipt_handle(latest).send().await.unwrap();
    assert_eq!(count(&client, &queue, QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await, "0");
}

#[tokio::test]
async fn a_queue_is_made_once_listed_and_missed() {
    let host = Host::start().await;
    let client = host.sqs();
    let create = || client.create_queue().queue_name("extra").attributes(QueueAttributeName::VisibilityTimeout, "5");
    assert_eq!(create().send().await.unwrap().queue_url, create().send().await.unwrap().queue_url);
    let other = create().attributes(QueueAttributeName::VisibilityTimeout, "6").send().await;
    assert!(other.unwrap_err().into_service_error().is_queue_name_exists());
    assert_eq!(client.list_queues().queue_name_prefix("ex").send().await.unwrap().queue_urls().len(), 1);
    let missing = client.get_queue_url().queue_name("nowhere").send().await;
    assert!(missing.unwrap_err().into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn a_long_poll_does_not_hold_up_the_end() {
    let host = Host::start().await;
    let client = host.sqs();
    let queue = fanout(&client).await;
    let poll = tokio::spawn(client.receive_message().queue_url(&queue).wait_time_seconds(20).send());
    eventually("the poll is on its way", async || !poll.is_finished()).await;
    let started = tokio::time::Instant::now();
    host.restart().await;
    assert!(started.elapsed() < Duration::from_secs(15));
    poll.abort();
}
