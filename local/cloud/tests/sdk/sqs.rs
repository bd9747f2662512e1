mod malformed;
mod redrive;

use std::{collections::HashMap, time::Duration};

use aws_sdk_sqs::{
    Client,
    primitives::Blob,
    types::{
        ChangeMessageVisibilityBatchRequestEntry, ChangeMessageVisibilityBatchResultEntry, MessageAttributeValue,
        MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
        SendMessageBatchRequestEntry,
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
    let (queue, dead) = (fanout(&client).await, url(&client, "tintype-FeedFanoutDlq").await);
    client.send_message().queue_url(&queue).message_body("poison").send().await.unwrap();
    for _ in 0..2 {
        client.receive_message().queue_url(&queue).visibility_timeout(0).wait_time_seconds(5).send().await.unwrap();
    }
    let poll = tokio::spawn(client.receive_message().queue_url(&queue).wait_time_seconds(20).send());
    // It finds the message received too often, which shows that it has looked, and nothing else.
    let moved = async || count(&client, &dead, QueueAttributeName::ApproximateNumberOfMessages).await == "1";
    eventually("the poll is on its way", moved).await;
    assert!(!poll.is_finished());
    let started = tokio::time::Instant::now();
    host.restart().await;
    assert!(started.elapsed() < Duration::from_secs(15));
    poll.abort();
}

#[tokio::test]
async fn attributes_of_all_types_come_back_as_they_went_with_the_checksum_that_clients_verify() {
    let host = Host::start().await;
    let client = host.sqs();
    let queue = fanout(&client).await;
    let value = |data_type: &str| MessageAttributeValue::builder().data_type(data_type);
    let attributes = HashMap::from([
        ("z".to_owned(), value("String.etiquette").string_value("grüß 🌄").build().unwrap()),
        ("B".to_owned(), value("Binary").binary_value(Blob::new([0, 255])).build().unwrap()),
        ("a.b".to_owned(), value("Number.int").string_value("-1.5e3").build().unwrap()),
        ("c".to_owned(), value("Binary.gif").binary_value(Blob::new("GIF89a")).build().unwrap()),
    ]);
    let trace = MessageSystemAttributeValue::builder().data_type("String").string_value("Root=1-2-3").build().unwrap();
    let send = client.send_message().queue_url(&queue).message_body("x").set_message_attributes(Some(attributes.clone()));
    let sent = send.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace).send().await.unwrap();
    // Computed by a program of a few lines from AWS' description.
    assert_eq!(sent.md5_of_message_attributes(), Some("20876b172b842d6963a4fc39e658cc3d"));
    assert_eq!(sent.md5_of_message_system_attributes(), Some("3f71502e2b401dca4ffefa0d1f324c78"));

    for (asked, names) in [("All", vec!["B", "a.b", "c", "z"]), (".*", vec!["B", "a.b", "c", "z"]), ("a.*", vec!["a.b"]), ("none", vec![])]
    {
        let receive = client.receive_message().queue_url(&queue).visibility_timeout(0).message_attribute_names(asked);
        // The dead-letter queue takes it after two receives, so it is sent again for each.
        let received = receive.send().await.unwrap().messages()[0].clone();
        let mut seen: Vec<_> = received.message_attributes().into_iter().flatten().collect();
        seen.sort_unstable_by_key(|(name, _)| *name);
        assert_eq!(seen.iter().map(|(name, _)| &***name).collect::<Vec<_>>(), names, "{asked}");
        assert!(seen.iter().all(|(name, value)| attributes[*name] == **value), "{asked}");
        assert_eq!(received.attributes(), None, "nobody asked for them");
        client.delete_message().queue_url(&queue).receipt_handle(received.receipt_handle().unwrap()).send().await.unwrap();
        client.send_message().queue_url(&queue).message_body("x").set_message_attributes(Some(attributes.clone())).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_batch_of_visibilities_shows_and_hides() {
    let host = Host::start().await;
    let client = host.sqs();
    let queue = fanout(&client).await;
    for body in ["shown", "hidden"] {
        client.send_message().queue_url(&queue).message_body(body).send().await.unwrap();
    }
    let receive = || client.receive_message().queue_url(&queue).max_number_of_messages(10).visibility_timeout(600).send();
    let received = receive().await.unwrap();
    let entry = |id: &str, handle: &str, timeout| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id).receipt_handle(handle);
        entry.visibility_timeout(timeout).build().unwrap()
    };
    let handle = |at: usize| received.messages()[at].receipt_handle().unwrap();
    let change = client.change_message_visibility_batch().queue_url(&queue).entries(entry("a", handle(0), 0));
    let changed = change.entries(entry("b", handle(1), 43_200)).entries(entry("c", "made-up", 1)).send().await.unwrap();
    let done: Vec<_> = changed.successful().iter().map(ChangeMessageVisibilityBatchResultEntry::id).collect();
    assert_eq!(done, ["a", "b"]);
    assert_eq!((changed.failed()[0].id(), changed.failed()[0].code()), ("c", "ReceiptHandleIsInvalid"));
    assert!(changed.failed()[0].sender_fault());
    assert_eq!(receive().await.unwrap().messages().iter().filter_map(|message| message.body()).collect::<Vec<_>>(), ["shown"]);
}

#[tokio::test]
async fn a_queue_is_tagged_changed_and_deleted() {
    let host = Host::start().await;
    let client = host.sqs();
    let create = client.create_queue().queue_name("extra").tags("team", "feed").tags("stage", "test");
    let queue = create.send().await.unwrap().queue_url.unwrap();
    client.tag_queue().queue_url(&queue).tags("stage", "live").send().await.unwrap();
    client.untag_queue().queue_url(&queue).tag_keys("team").send().await.unwrap();
    let tags = client.list_queue_tags().queue_url(&queue).send().await.unwrap().tags.unwrap();
    assert_eq!(tags, HashMap::from([("stage".to_owned(), "live".to_owned())]));

    let set = client.set_queue_attributes().queue_url(&queue).attributes(QueueAttributeName::MaximumMessageSize, "1024");
    set.attributes(QueueAttributeName::DelaySeconds, "900").send().await.unwrap();
    client.send_message().queue_url(&queue).message_body("x".repeat(1025)).send().await.unwrap_err();
    client.send_message().queue_url(&queue).message_body("later").send().await.unwrap();
    assert_eq!(count(&client, &queue, QueueAttributeName::ApproximateNumberOfMessagesDelayed).await, "1");
    client.purge_queue().queue_url(&queue).send().await.unwrap();
    assert_eq!(count(&client, &queue, QueueAttributeName::ApproximateNumberOfMessagesDelayed).await, "0");

    client.delete_queue().queue_url(&queue).send().await.unwrap();
    let gone = client.send_message().queue_url(&queue).message_body("x").send().await;
    assert!(gone.unwrap_err().into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn what_is_not_emulated_says_so() {
    let host = Host::start().await;
    let client = host.sqs();
    let queue = fanout(&client).await;
    let permission = client.add_permission().queue_url(&queue).label("l").aws_account_ids("1").actions("*").send().await;
    assert!(permission.unwrap_err().into_service_error().is_unsupported_operation());
    let fifo = client.create_queue().queue_name("x.fifo").attributes(QueueAttributeName::FifoQueue, "true").send().await;
    assert!(fifo.unwrap_err().into_service_error().is_unsupported_operation());
}
