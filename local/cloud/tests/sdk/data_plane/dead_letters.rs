//! What is received too often goes to the dead-letter queue, and can come back.

use aws_sdk_sqs::{
    Client,
    types::{Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName},
};

use super::cloud::Cloud;
use crate::host::eventually;

/// A dead-letter queue, and a queue that sends there what was received twice.
async fn queues(cloud: &Cloud, client: &Client) -> (String, String) {
    let dead = cloud.queue(&[]).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":2}}"#, arn(client, &dead).await);
    let work = cloud.queue(&[(QueueAttributeName::RedrivePolicy, &policy), (QueueAttributeName::VisibilityTimeout, "60")]).await;
    (work, dead)
}

async fn arn(client: &Client, queue: &str) -> String {
    let attributes = client.get_queue_attributes().queue_url(queue).attribute_names(QueueAttributeName::QueueArn).send().await.unwrap();
    attributes.attributes.unwrap()[&QueueAttributeName::QueueArn].clone()
}

/// Receives a message, if there is one, and gives it back at once.
async fn fail(client: &Client, queue: &str) -> Option<Message> {
    let receive = client.receive_message().queue_url(queue).visibility_timeout(0).message_attribute_names("All");
    let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
    receive.send().await.unwrap().messages.unwrap_or_default().pop()
}

/// A message that failed twice, and the URLs of the queue that it has left and of the one that it is in.
async fn poisoned(cloud: &Cloud, client: &Client) -> (String, String, Message) {
    let (work, dead) = queues(cloud, client).await;
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("ada").build().unwrap();
    let sent = client.send_message().queue_url(&work).message_body("poison").message_attributes("author", attribute).send().await.unwrap();
    let mut received = 0;
    eventually("the message was received as often as it may be", async || {
        received += usize::from(fail(client, &work).await.is_some());
        received == 2
    })
    .await;
    let mut moved = None;
    eventually("the message is in the dead-letter queue", async || {
        assert!(fail(client, &work).await.is_none());
        moved = fail(client, &dead).await;
        moved.is_some()
    })
    .await;
    let moved = moved.unwrap();
    assert_eq!(moved.message_id(), sent.message_id());
    (work, dead, moved)
}

#[tokio::test]
async fn a_message_received_too_often_is_in_the_dead_letter_queue_as_it_was() {
    let cloud = Cloud::start().await;
    let client = cloud.sqs();
    let (work, _, moved) = poisoned(&cloud, &client).await;
    assert_eq!(moved.body(), Some("poison"));
    assert_eq!(moved.message_attributes().unwrap()["author"].string_value(), Some("ada"));
    let source = &moved.attributes().unwrap()[&MessageSystemAttributeName::DeadLetterQueueSourceArn];
    assert_eq!(*source, arn(&client, &work).await);
}

#[tokio::test]
async fn a_dead_message_can_be_driven_back_to_where_it_came_from() {
    let cloud = Cloud::start().await;
    let client = cloud.sqs();
    let (work, dead, moved) = poisoned(&cloud, &client).await;
    client.start_message_move_task().source_arn(arn(&client, &dead).await).send().await.unwrap();
    let received = client.receive_message().queue_url(&work).wait_time_seconds(20).send().await.unwrap();
    assert_eq!(received.messages()[0].body(), moved.body());
}

#[tokio::test]
async fn a_dead_letter_queue_knows_whose_it_is() {
    let cloud = Cloud::start().await;
    let client = cloud.sqs();
    let (work, dead) = queues(&cloud, &client).await;
    let sources = client.list_dead_letter_source_queues().queue_url(&dead).send().await.unwrap();
    assert_eq!(sources.queue_urls(), [work.as_str()]);
    let task = client.start_message_move_task().source_arn(arn(&client, &work).await).send().await;
    assert!(task.is_err(), "a queue that is nobody's dead-letter queue has nothing to drive back");
}
