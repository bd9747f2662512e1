//! Queues: what is sent is received as it was sent, alone or in batches, and deleted.

use std::collections::BTreeSet;

use aws_sdk_sqs::{
    error::ProvideErrorMetadata as _,
    types::{
        DeleteMessageBatchRequestEntry, MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends,
        MessageSystemAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry,
    },
};

use super::cloud::Cloud;

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

fn handle(id: &str, receipt_handle: &str) -> DeleteMessageBatchRequestEntry {
    DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(receipt_handle).build().unwrap()
}

#[tokio::test]
async fn a_message_is_received_as_it_was_sent() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[]).await);
    let attribute = |value: &str| MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap();
    let trace = MessageSystemAttributeValue::builder().data_type("String").string_value("Root=1-2-3").build().unwrap();
    let body = "{\"caption\": \"Der See, \u{1f305} \\u00e9\"}\n";
    let sent = client.send_message().queue_url(&queue).message_body(body).message_attributes("reason", attribute("late"));
    let sent = sent.message_attributes("other", attribute("not asked for"));
    let sent = sent.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace).send().await.unwrap();

    let receive = client.receive_message().queue_url(&queue).wait_time_seconds(5).message_attribute_names("rea.*");
    let received = receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    let message = &received.messages()[0];
    assert_eq!((message.message_id(), message.body()), (sent.message_id(), Some(body)));
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(message.message_attributes().unwrap().keys().collect::<Vec<_>>(), ["reason"]);
    assert_eq!(message.message_attributes().unwrap()["reason"], attribute("late"));
    let system = message.attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::AwsTraceHeader], "Root=1-2-3");
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    for time in [MessageSystemAttributeName::SentTimestamp, MessageSystemAttributeName::ApproximateFirstReceiveTimestamp] {
        assert!(system[&time].parse::<u64>().unwrap() > 1_500_000_000_000, "{time:?} is in milliseconds");
    }

    client.delete_message().queue_url(&queue).receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    let hidden = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    let left = client.get_queue_attributes().queue_url(&queue).attribute_names(hidden.clone()).send().await.unwrap();
    assert_eq!(left.attributes.unwrap()[&hidden], "0");
}

/// The sums that AWS documents; SDKs of other languages compare them and refuse what differs.
#[tokio::test]
async fn a_message_has_the_checksums_of_its_body_and_attributes() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[]).await);
    let attribute = |value: &str| MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap();
    let send = client.send_message().queue_url(&queue).message_body("hello").message_attributes("reason", attribute("late"));
    let sent = send.message_attributes("author", attribute("ada")).send().await.unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(sent.md5_of_message_attributes(), Some("0d7af019cf09d8ce481184e523d196a5"));

    let received = client.receive_message().queue_url(&queue).wait_time_seconds(5).message_attribute_names("reason").send().await.unwrap();
    assert_eq!(received.messages()[0].md5_of_message_attributes(), Some("6ed6047c2e708ebae105a90e16be0f84"));
}

#[tokio::test]
async fn a_standard_queue_takes_the_group_that_a_message_is_to_be_fair_to() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[]).await);
    client.send_message().queue_url(&queue).message_body("hello").message_group_id("author").send().await.unwrap();
    let receive = client.receive_message().queue_url(&queue).wait_time_seconds(5);
    let received = receive.message_system_attribute_names(MessageSystemAttributeName::MessageGroupId).send().await.unwrap();
    assert_eq!(received.messages()[0].attributes().unwrap()[&MessageSystemAttributeName::MessageGroupId], "author");
}

#[tokio::test]
async fn ten_messages_are_sent_received_and_deleted_at_once() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[]).await);
    let entries = (0..10).map(|n| entry(&n.to_string(), &format!("m{n}"))).collect();
    let sent = client.send_message_batch().queue_url(&queue).set_entries(Some(entries)).send().await.unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (10, 0));

    // A receive need not bring all that is there.
    let (mut bodies, mut rounds) = (BTreeSet::new(), 0);
    while bodies.len() < 10 {
        rounds += 1;
        assert!(rounds <= 10, "only {bodies:?}");
        let received = client.receive_message().queue_url(&queue).max_number_of_messages(10).wait_time_seconds(5).send().await.unwrap();
        let entries = received.messages().iter().enumerate();
        let entries: Vec<_> = entries.map(|(id, message)| handle(&id.to_string(), message.receipt_handle().unwrap())).collect();
        let count = entries.len();
        bodies.extend(received.messages.unwrap_or_default().into_iter().filter_map(|message| message.body));
        let deleted = client.delete_message_batch().queue_url(&queue).set_entries(Some(entries)).send().await.unwrap();
        assert_eq!((deleted.successful().len(), deleted.failed().len()), (count, 0));
    }
    assert_eq!(bodies, (0..10).map(|n| format!("m{n}")).collect());
}

#[tokio::test]
async fn one_bad_entry_does_not_fail_its_batch() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[]).await);
    let sent =
        client.send_message_batch().queue_url(&queue).entries(entry("good", "a")).entries(entry("bad", "\u{1}")).send().await.unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (1, 1));
    assert_eq!((sent.failed()[0].id(), sent.failed()[0].code()), ("bad", "InvalidMessageContents"));

    let received = client.receive_message().queue_url(&queue).wait_time_seconds(5).send().await.unwrap();
    let good = handle("good", received.messages()[0].receipt_handle().unwrap());
    let deleted = client.delete_message_batch().queue_url(&queue).entries(good).entries(handle("bad", "no handle")).send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed().len()), (1, 1));
    assert_eq!((deleted.failed()[0].id(), deleted.failed()[0].code()), ("bad", "ReceiptHandleIsInvalid"));
}

#[tokio::test]
async fn a_batch_has_one_to_ten_entries_of_different_ids() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[]).await);
    let send = async |ids: &[&str]| {
        let entries = ids.iter().map(|id| entry(id, "x")).collect();
        client.send_message_batch().queue_url(&queue).set_entries(Some(entries)).send().await.unwrap_err().into_service_error()
    };
    assert!(send(&[]).await.is_empty_batch_request());
    assert!(send(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]).await.is_too_many_entries_in_batch_request());
    assert!(send(&["a", "b", "a"]).await.is_batch_entry_ids_not_distinct());
    assert!(send(&["a b"]).await.is_invalid_batch_entry_id());
}

#[tokio::test]
async fn what_is_out_of_range_is_refused() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[]).await);
    let eleven = client.receive_message().queue_url(&queue).max_number_of_messages(11).send().await.unwrap_err();
    assert_eq!(eleven.code(), Some("InvalidParameterValue"));
    let long = client.receive_message().queue_url(&queue).wait_time_seconds(21).send().await.unwrap_err();
    assert_eq!(long.code(), Some("InvalidParameterValue"));
    let no_text = client.send_message().queue_url(&queue).message_body("a\u{1}b").send().await.unwrap_err().into_service_error();
    assert!(no_text.is_invalid_message_contents(), "{no_text:?}");
    let unknown = client.delete_message().queue_url(&queue).receipt_handle("no handle").send().await.unwrap_err().into_service_error();
    assert!(unknown.is_receipt_handle_is_invalid(), "{unknown:?}");
}

#[tokio::test]
async fn a_message_is_not_delayed_for_more_than_a_quarter_of_an_hour() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[]).await);
    let late = client.send_message().queue_url(&queue).message_body("x").delay_seconds(901).send().await.unwrap_err();
    assert_eq!(late.code(), Some("InvalidParameterValue"));
    let late = SendMessageBatchRequestEntry::builder().id("late").message_body("x").delay_seconds(901).build().unwrap();
    let sent = client.send_message_batch().queue_url(&queue).entries(entry("good", "x")).entries(late).send().await.unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (1, 1));
    let failed = &sent.failed()[0];
    assert_eq!((failed.id(), failed.code(), failed.sender_fault()), ("late", "InvalidParameterValue", true));
}

#[tokio::test]
async fn a_queue_is_made_once_found_by_name_and_missed() {
    let cloud = Cloud::start().await;
    let client = cloud.sqs();
    let queue = cloud.queue(&[(QueueAttributeName::VisibilityTimeout, "5")]).await;
    let name = queue.rsplit('/').next().unwrap();
    let create = async |visibility: &str| {
        client.create_queue().queue_name(name).attributes(QueueAttributeName::VisibilityTimeout, visibility).send().await
    };
    assert_eq!(create("5").await.unwrap().queue_url(), Some(queue.as_str()));
    assert!(create("6").await.unwrap_err().into_service_error().is_queue_name_exists());
    assert_eq!(client.get_queue_url().queue_name(name).send().await.unwrap().queue_url(), Some(queue.as_str()));
    assert_eq!(client.list_queues().queue_name_prefix(&name[..name.len() - 1]).send().await.unwrap().queue_urls(), [queue.as_str()]);

    let missing = client.get_queue_url().queue_name("tintype-test-nowhere").send().await.unwrap_err().into_service_error();
    assert!(missing.is_queue_does_not_exist(), "{missing:?}");
    let elsewhere = queue.replace(name, "tintype-test-nowhere");
    let missing = client.send_message().queue_url(elsewhere).message_body("x").send().await.unwrap_err().into_service_error();
    assert!(missing.is_queue_does_not_exist(), "{missing:?}");
}

#[tokio::test]
async fn a_purged_queue_is_empty() {
    let cloud = Cloud::start().await;
    let (client, queue) = (cloud.sqs(), cloud.queue(&[]).await);
    client.send_message().queue_url(&queue).message_body("gone soon").send().await.unwrap();
    client.purge_queue().queue_url(&queue).send().await.unwrap();
    assert!(client.receive_message().queue_url(&queue).wait_time_seconds(1).send().await.unwrap().messages().is_empty());
}
