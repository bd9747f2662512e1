//! Requests that no SDK sends, over the network.

use proptest::{collection::vec, prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use crate::host::Host;

const CASES: usize = 300;

/// An action, a content type and a body: most of them close to right.
fn request() -> impl Strategy<Value = (String, String, Vec<u8>)> {
    let actions =
        prop::sample::select(vec!["SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage", "CreateQueue", "ListQueues"]);
    let action = prop_oneof![4 => actions.prop_map(str::to_owned), 1 => "[ -~]{0,20}"];
    let kinds = prop::sample::select(vec!["application/x-amz-json-1.0", "application/json", "text/plain", "multipart/form-data", "", "x"]);
    let right = r#"{"QueueUrl":"http://127.0.0.1/000000000000/tintype-FeedFanoutQueue","MessageBody":"x","QueueName":"q","Entries":[]}"#;
    let body = prop_oneof![
        vec(any::<u8>(), 0..200),
        // Cut off somewhere.
        (0..right.len()).prop_map(move |end| right.as_bytes()[..end].to_vec()),
        // One byte is another.
        (0..right.len(), any::<u8>()).prop_map(move |(at, byte)| {
            let mut bytes = right.as_bytes().to_vec();
            bytes[at] = byte;
            bytes
        }),
        // Deeper than any parser likes.
        (1..5_000_usize).prop_map(|depth| "[".repeat(depth).into_bytes()),
    ];
    (action, kinds.prop_map(str::to_owned), body)
}

#[tokio::test]
async fn malformed_requests_are_refused_and_the_next_one_is_answered() {
    let host = Host::start().await;
    let client = reqwest::Client::new();
    // The same requests each time, so that a failure repeats.
    let mut runner = TestRunner::deterministic();
    for _ in 0..CASES {
        let (action, kind, body) = request().new_tree(&mut runner).unwrap().current();
        let request = client.post(&host.url).header("x-amz-target", format!("AmazonSQS.{action}")).header("content-type", kind);
        let response = request.body(body.clone()).send().await.unwrap();
        let status = response.status().as_u16();
        let answer: serde_json::Value = response.json().await.unwrap();
        let shown = String::from_utf8_lossy(&body);
        assert!(status == 200 || (400..500).contains(&status) && answer["__type"].is_string(), "{action} {shown}: {status} {answer}");
    }
    host.sqs().list_queues().send().await.unwrap();
}

#[tokio::test]
async fn a_client_of_the_old_protocol_is_told_to_speak_json() {
    let host = Host::start().await;
    let form = "Action=ListQueues&Version=2012-11-05";
    for path in ["/", "/000000000000/tintype-FeedFanoutQueue"] {
        let request = reqwest::Client::new().post(format!("{}{path}", host.url)).body(form);
        let response = request.header("content-type", "application/x-www-form-urlencoded; charset=utf-8").send().await.unwrap();
        assert_eq!(response.status(), 400);
        let body = response.text().await.unwrap();
        assert!(body.contains("<Code>UnsupportedOperation</Code>") && body.contains("AWS JSON"), "{body}");
    }
}
