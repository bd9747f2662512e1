use serde_json::json;

use super::*;
use crate::{deployment::Schedule, tests::read_with};

/// What a function with this event becomes, in a template with a table, a queue and a bucket.
fn deployment(kind: &str, properties: &str) -> Deployment {
    let template = format!(
        "Resources:
  Function:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: rust-cargolambda, BuildProperties: {{Binary: f}}}}
    Properties:
      Handler: bootstrap
      Runtime: provided.al2023
      Events: {{Event: {{Type: {kind}, Properties: {{{properties}}}}}}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{{AttributeName: pk, AttributeType: S}}]
      KeySchema: [{{AttributeName: pk, KeyType: HASH}}]
      StreamSpecification: {{StreamViewType: NEW_IMAGE}}
  Queue: {{Type: AWS::SQS::Queue}}
  Bucket: {{Type: AWS::S3::Bucket, Properties: {{BucketName: photos}}}}
"
    );
    read_with(&template, &[]).unwrap()
}

fn trigger(kind: &str, properties: &str) -> Option<Trigger> {
    deployment(kind, properties).functions.remove(0).triggers.pop()
}

fn stream(properties: &str) -> Option<StreamTrigger> {
    match trigger("DynamoDB", &format!("Stream: !GetAtt Table.StreamArn, {properties}")) {
        Some(Trigger::Stream(trigger)) => Some(trigger),
        None => None,
        other => panic!("{other:?}"),
    }
}

fn queue(properties: &str) -> Option<QueueTrigger> {
    match trigger("SQS", &format!("Queue: !GetAtt Queue.Arn, {properties}")) {
        Some(Trigger::Queue(trigger)) => Some(trigger),
        None => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_mapping_has_awss_defaults() {
    let trigger = stream("StartingPosition: TRIM_HORIZON").unwrap();
    assert_eq!((trigger.id.as_str(), trigger.table.as_str()), ("FunctionEvent", "tintype-Table"));
    assert_eq!((trigger.start, trigger.batch_size, trigger.window), (StartingPosition::Oldest, 100, Duration::ZERO));
    assert_eq!((trigger.max_retries, trigger.max_age), (None, None));
    assert!(!trigger.bisect && !trigger.partial_failures && trigger.filters.is_empty() && trigger.on_failure.is_none());
}

#[test]
fn a_stream_mapping_is_what_its_properties_say() {
    let trigger = stream(
        "StartingPosition: LATEST, BatchSize: 10000, MaximumBatchingWindowInSeconds: 300, MaximumRetryAttempts: 0, MaximumRecordAgeInSeconds: 60,
         BisectBatchOnFunctionError: true, FunctionResponseTypes: [ReportBatchItemFailures], Enabled: true,
         FilterCriteria: {Filters: [{Pattern: '{\"eventName\": [\"INSERT\"]}'}]},
         DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Queue.Arn}}",
    )
    .unwrap();
    assert_eq!((trigger.start, trigger.batch_size, trigger.window), (StartingPosition::Latest, 10_000, Duration::from_mins(5)));
    assert_eq!((trigger.max_retries, trigger.max_age), (Some(0), Some(Duration::from_mins(1))));
    assert!(trigger.bisect && trigger.partial_failures);
    assert_eq!(trigger.filters, [json!({ "eventName": ["INSERT"] })]);
    assert_eq!(trigger.on_failure.as_deref(), Some("arn:aws:sqs:us-east-1:000000000000:tintype-Queue"));
    let endless = stream("StartingPosition: LATEST, MaximumRetryAttempts: -1, MaximumRecordAgeInSeconds: -1").unwrap();
    assert_eq!((endless.max_retries, endless.max_age), (None, None));
}

#[test]
fn a_queue_mapping_is_what_its_properties_say() {
    let plain = queue("Enabled: true").unwrap();
    assert_eq!((plain.batch_size, plain.window, plain.max_concurrency), (10, Duration::ZERO, None));
    assert!(!plain.partial_failures && plain.filters.is_empty());
    let filtered = queue("FilterCriteria: {Filters: [{Pattern: '{\"body\": {\"kind\": [\"loud\"]}}'}]}").unwrap();
    assert_eq!(filtered.filters, [json!({ "body": { "kind": ["loud"] } })]);
}

#[test]
fn what_is_switched_off_triggers_nothing() {
    assert!(stream("StartingPosition: LATEST, Enabled: false").is_none());
    assert!(queue("Enabled: false").is_none());
    assert!(trigger("Schedule", "Schedule: rate(1 minute), Enabled: false").is_none());
    assert!(trigger("Schedule", "Schedule: rate(1 minute), State: DISABLED").is_none());
    assert!(trigger("Schedule", "Schedule: rate(1 minute), State: ENABLED").is_some());
}

#[test]
fn a_schedule_has_a_name_and_an_input() {
    let Some(Trigger::Schedule(plain)) = trigger("Schedule", "Schedule: rate(2 hours)") else { panic!() };
    assert_eq!((plain.id.as_str(), plain.name.as_str(), plain.input), ("FunctionEvent", "FunctionEvent", None));
    assert_eq!(plain.schedule, Schedule::Every(Duration::from_hours(2)));
    let properties = "Schedule: 'cron(0 12 ? * MON-FRI *)', Name: noon, Description: Lunch, Input: '{\"hungry\": true}'";
    let Some(Trigger::Schedule(named)) = trigger("Schedule", properties) else { panic!() };
    assert_eq!((named.id.as_str(), named.name.as_str(), named.input), ("FunctionEvent", "noon", Some(json!({ "hungry": true }))));
    assert!(matches!(named.schedule, Schedule::Cron(_)));
}

#[test]
fn filters_of_keys_are_written_as_keys_are_in_events() {
    let rules = "[{Name: prefix, Value: My+photos%2F}, {Name: suffix, Value: '%C3%A9.jpg'}]";
    let deployment = deployment("S3", &format!("Bucket: !Ref Bucket, Events: 's3:ObjectCreated:*', Filter: {{S3Key: {{Rules: {rules}}}}}"));
    let notification = &deployment.buckets[0].notifications[0];
    assert_eq!((notification.prefix.as_str(), notification.suffix.as_str()), ("My photos/", "é.jpg"));
}
