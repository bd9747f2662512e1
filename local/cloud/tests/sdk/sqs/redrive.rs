//! Out of a dead-letter queue again.

use aws_sdk_sqs::{Client, types::QueueAttributeName};

use super::{count, fanout, url};
use crate::host::Host;

/// A queue whose messages go to the dead-letter queue after one receive.
async fn another_source(client: &Client, dead_arn: &str) -> String {
    let policy = format!(r#"{{"deadLetterTargetArn":"{dead_arn}","maxReceiveCount":"1"}}"#);
    let create = client.create_queue().queue_name("other-source").attributes(QueueAttributeName::RedrivePolicy, policy);
    create.send().await.unwrap().queue_url.unwrap()
}

/// Sends a message and receives it until it is a dead letter.
async fn kill(client: &Client, queue: &str, body: &str) {
    client.send_message().queue_url(queue).message_body(body).send().await.unwrap();
    while !client.receive_message().queue_url(queue).visibility_timeout(0).send().await.unwrap().messages().is_empty() {}
}

async fn bodies(client: &Client, queue: &str) -> Vec<String> {
    let received = client.receive_message().queue_url(queue).max_number_of_messages(10).visibility_timeout(600).send().await.unwrap();
    received.messages().iter().map(|message| message.body().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_dead_letter_goes_back_to_the_queue_that_it_came_from() {
    let host = Host::start().await;
    let client = host.sqs();
    let (work, dead) = (fanout(&client).await, url(&client, "tintype-FeedFanoutDlq").await);
    let dead_arn = count(&client, &dead, QueueAttributeName::QueueArn).await;
    let other = another_source(&client, &dead_arn).await;
    let sources = client.list_dead_letter_source_queues().queue_url(&dead).send().await.unwrap().queue_urls;
    assert_eq!(sources, [other.clone(), work.clone()]);
    kill(&client, &work, "of work").await;
    kill(&client, &other, "of other").await;

    let host = host.restart().await;
    let client = host.sqs();
    let at = |queue: &str| queue.replace(queue.split("/000000000000").next().unwrap(), &host.url);
    client.start_message_move_task().source_arn(&dead_arn).send().await.unwrap();
    assert_eq!(bodies(&client, &at(&work)).await, ["of work"]);
    assert_eq!(bodies(&client, &at(&other)).await, ["of other"]);
    let tasks = client.list_message_move_tasks().source_arn(&dead_arn).send().await.unwrap().results.unwrap();
    assert_eq!((tasks[0].status(), tasks[0].approximate_number_of_messages_moved()), (Some("COMPLETED"), 2));
}

#[tokio::test]
async fn a_message_that_was_sent_to_the_dead_letter_queue_itself_needs_a_destination() {
    let host = Host::start().await;
    let client = host.sqs();
    let (work, dead) = (fanout(&client).await, url(&client, "tintype-FeedFanoutDlq").await);
    let arn = async |queue: &str| count(&client, queue, QueueAttributeName::QueueArn).await;
    let (work_arn, dead_arn) = (arn(&work).await, arn(&dead).await);
    client.send_message().queue_url(&dead).message_body("by hand").send().await.unwrap();
    kill(&client, &work, "by the queue").await;

    client.start_message_move_task().source_arn(&dead_arn).send().await.unwrap();
    assert_eq!(bodies(&client, &work).await, ["by the queue"]);
    let tasks = client.list_message_move_tasks().source_arn(&dead_arn).send().await.unwrap().results.unwrap();
    assert_eq!((tasks[0].status(), tasks[0].failure_reason()), (Some("FAILED"), Some("CouldNotDetermineMessageSource")));

    client.start_message_move_task().source_arn(&dead_arn).destination_arn(&work_arn).send().await.unwrap();
    assert_eq!(bodies(&client, &work).await, ["by hand"]);
}

#[tokio::test]
async fn a_slow_task_can_be_cancelled_and_another_one_is_refused_until_then() {
    let host = Host::start().await;
    let client = host.sqs();
    let (work, dead) = (fanout(&client).await, url(&client, "tintype-FeedFanoutDlq").await);
    let dead_arn = count(&client, &dead, QueueAttributeName::QueueArn).await;
    for nth in 0..300 {
        client.send_message().queue_url(&work).message_body(nth.to_string()).send().await.unwrap();
    }
    while !client
        .receive_message()
        .queue_url(&work)
        .max_number_of_messages(10)
        .visibility_timeout(0)
        .send()
        .await
        .unwrap()
        .messages()
        .is_empty()
    {}
    let start = || client.start_message_move_task().source_arn(&dead_arn).max_number_of_messages_per_second(1);
    let task = start().send().await.unwrap().task_handle.unwrap();
    start().send().await.unwrap_err();
    let cancelled = client.cancel_message_move_task().task_handle(&task).send().await.unwrap();
    let moved = cancelled.approximate_number_of_messages_moved();
    assert!((1..300).contains(&moved), "{moved} were moved");
    let left: i64 = count(&client, &dead, QueueAttributeName::ApproximateNumberOfMessages).await.parse().unwrap();
    assert_eq!(moved + left, 300);
    start().send().await.unwrap();
    let tasks = client.list_message_move_tasks().source_arn(&dead_arn).max_results(10).send().await.unwrap().results.unwrap();
    assert_eq!(tasks.iter().map(|task| task.status().unwrap()).collect::<Vec<_>>(), ["RUNNING", "CANCELLED"]);
}
