//! Who looks after dead-letter queues: what gave up there, because it met too many faults in a row, is sent on its way again.

use reqwest::Client;
use serde_json::{Value, json};

use crate::harness::host::Addresses;

pub(crate) struct Operator {
    http: Client,
    endpoint: String,
}

impl Operator {
    pub(crate) fn of(addresses: &Addresses) -> Self {
        Self { http: Client::new(), endpoint: addresses.aws.clone().expect("the endpoint") }
    }

    /// Puts a specification in force; an empty one ends all faults.
    pub(crate) async fn set_chaos(&self, spec: &str) {
        let set = self.http.put(format!("{}/_tintype/chaos", self.endpoint)).body(spec.to_owned()).send().await.expect("an answer");
        assert_eq!(set.status(), 200, "{spec}");
    }

    /// Sends everything in the dead-letter queues on its way again. What cannot be reached now is for the next time.
    pub(crate) async fn redrive(&self) {
        for queue in ["FeedFanoutDlq", "UsersDlq", "PostsDlq", "CommentsDlq", "NotificationDlq"] {
            let arn = format!("arn:aws:sqs:us-east-1:000000000000:tintype-{queue}");
            // Refused where nothing is to be moved.
            let _ = self.queue("StartMessageMoveTask", json!({"SourceArn": arn})).await;
        }

        let url = format!("{}/000000000000/tintype-PhotoProcessorDlq", self.endpoint);
        let received = self.queue("ReceiveMessage", json!({"QueueUrl": url, "MaxNumberOfMessages": 10})).await.unwrap_or_default();
        for message in received["Messages"].as_array().into_iter().flatten() {
            let record: Value = serde_json::from_str(message["Body"].as_str().expect("a body")).expect("a record of an invocation");
            let invoke = self.http.post(format!("{}/2015-03-31/functions/tintype-photo-processor/invocations", self.endpoint));
            let invoked = invoke.header("x-amz-invocation-type", "Event").json(&record["requestPayload"]).send().await;
            if invoked.is_ok_and(|invoked| invoked.status() == 202) {
                // It comes again if this fails.
                let _ = self.queue("DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]})).await;
            }
        }
    }

    /// How many messages wait in a queue; `None` if it can't be reached now.
    pub(crate) async fn length(&self, queue: &str) -> Option<u64> {
        let url = format!("{}/000000000000/tintype-{queue}", self.endpoint);
        let wanted = json!({"QueueUrl": url, "AttributeNames": ["ApproximateNumberOfMessages"]});
        self.queue("GetQueueAttributes", wanted).await?["Attributes"]["ApproximateNumberOfMessages"].as_str()?.parse().ok()
    }

    async fn queue(&self, action: &str, body: Value) -> Option<Value> {
        let request = self.http.post(&self.endpoint).header("x-amz-target", format!("AmazonSQS.{action}"));
        let answer = request.header("content-type", "application/x-amz-json-1.0").body(body.to_string()).send().await.ok()?;
        answer.json().await.ok()
    }
}
