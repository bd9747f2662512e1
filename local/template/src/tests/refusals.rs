//! What is not known is refused, in one line that says where.

use super::read_with;

/// That `text` is refused with `error`. The line that every template has comes before it.
fn assert_refused(text: &str, error: &str) {
    let refusal = read_with(text, &[]).err().map(|error| error.to_string());
    assert_eq!(refusal.as_deref(), Some(error), "{text}");
    assert!(!error.contains('\n'));
}

/// A template with one function, whose properties go on with `properties`.
fn function(properties: &str) -> String {
    format!(
        "Resources:
  F:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: rust-cargolambda, BuildProperties: {{Binary: f}}}}
    Properties:
      Handler: bootstrap
      Runtime: provided.al2023
      {properties}
"
    )
}

#[test]
fn sections_types_and_properties_that_are_not_known() {
    assert_refused("Mappings: {}\nResources: {}", "line 2: Mappings: this property is not known to the local host");
    assert_refused(
        "Resources:\n  Cluster:\n    Type: AWS::ECS::Cluster",
        "line 3: Resources.Cluster: resources of type AWS::ECS::Cluster are not known to the local host",
    );
    assert_refused(
        "Resources: {Q: {Type: AWS::SQS::Queue, Foo: 1}}",
        "line 2: Resources.Q.Foo: this property is not known to the local host",
    );
    assert_refused(
        "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      FifoQueue: true",
        "line 6: Resources.Q.Properties.FifoQueue: this property is not known to the local host",
    );
    assert_refused(&function("Foo: 1"), "line 9: Resources.F.Properties.Foo: this property is not known to the local host");
    assert_refused(
        &format!("Globals: {{Function: {{Layers: [a]}}}}\n{}", function("Timeout: 5")),
        "line 2: Globals.Function.Layers: this property is not known to the local host",
    );
    assert_refused(
        "Globals: {HttpApi: {}}\nResources: {}",
        "line 2: Globals.HttpApi: this section of Globals is not known to the local host",
    );
    assert_refused(
        "Resources: {B: {Type: AWS::S3::Bucket, Properties: {BucketName: b, NotificationConfiguration: {}}}}",
        "line 2: Resources.B.Properties.NotificationConfiguration: this property is not known to the local host",
    );
}

#[test]
fn deep_properties_are_known_as_strictly() {
    let nested = "EventInvokeConfig: {DestinationConfig: {OnSuccess: {}}}";
    let path = "Resources.F.Properties.EventInvokeConfig.DestinationConfig.OnSuccess";
    assert_refused(&function(nested), &format!("line 9: {path}: this property is not known to the local host"));
    assert_refused(
        "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {RedrivePolicy: {deadLetterTargetArn: !GetAtt Q.Arn, maxReceiveCount: 2, x: 1}}}}",
        "line 2: Resources.Q.Properties.RedrivePolicy.x: this property is not known to the local host",
    );
}

#[test]
fn events_that_are_not_known() {
    assert_refused(
        &function("Events: {E: {Type: SNS, Properties: {Topic: t}}}"),
        "line 9: Resources.F.Properties.Events.E: events of type SNS are not known to the local host",
    );
    assert_refused(
        &function("Events: {E: {Type: Schedule, Properties: {Schedule: 'cron(0 12 * * ? *)'}}}"),
        "line 9: Resources.F.Properties.Events.E.Properties: the local host knows schedules like `rate(1 minute)`, not `cron(0 12 * * ? *)`",
    );
    assert_refused(
        &function("Events: {E: {Type: Schedule, Properties: {Schedule: rate(1 minute), Input: x}}}"),
        "line 9: Resources.F.Properties.Events.E.Properties.Input: this property is not known to the local host",
    );
    assert_refused(
        &function("Events: {E: {Type: SQS, Properties: {Queue: 'arn:aws:sqs:us-east-1:000000000000:elsewhere'}}}"),
        "line 9: Resources.F.Properties.Events.E.Properties.Queue: this is no AWS::SQS::Queue of the template",
    );
}

#[test]
fn routes_that_are_there_twice_or_have_an_unknown_authorizer() {
    let route = |events: &str| {
        format!("{}  Api: {{Type: AWS::Serverless::Api, Properties: {{StageName: v1}}}}\n", function(&format!("Events: {events}")))
    };
    assert_refused(
        &route(
            "{A: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /a, Method: get}}, B: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /a, Method: GET}}}",
        ),
        "line 9: Resources.F.Properties.Events.B.Properties: the route GET /a is there twice",
    );
    assert_refused(
        &route("{A: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /a, Method: GET, Auth: {Authorizer: Nobody}}}}"),
        "line 9: Resources.F.Properties.Events.A.Properties: the API has no authorizer Nobody",
    );
    assert_refused(
        &route("{A: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /a, Method: any}}}"),
        "line 9: Resources.F.Properties.Events.A.Properties: the method ANY is not known to the local host",
    );
}

#[test]
fn an_unknown_function_is_found_also_where_nothing_is_made_of_it() {
    assert_refused(
        "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n    Properties:\n      TopicName: !Base64 a",
        "line 6: Resources.Topic.Properties.TopicName: the intrinsic function Fn::Base64 is not known to the local host",
    );
    assert_refused(
        "Resources: {}\nOutputs: {Url: {Value: !Sub '${Nobody}'}}",
        "line 3: Outputs.Url.Value: Nobody is neither a parameter nor a resource",
    );
}

#[test]
fn values_of_another_kind() {
    assert_refused(&function("Timeout: soon"), "line 9: Resources.F.Properties.Timeout: a whole number belongs here");
    assert_refused(&function("MemorySize: -1"), "line 9: Resources.F.Properties.MemorySize: a whole number belongs here");
    assert_refused(&function("Environment: text"), "line 9: Resources.F.Properties.Environment: a map belongs here");
    assert_refused(
        "Resources: {F: {Type: AWS::Serverless::Function, Metadata: {BuildMethod: rust-cargolambda, BuildProperties: {Binary: f}}, Properties: {Handler: bootstrap, Runtime: python3.13}}}",
        "line 2: Resources.F.Properties.Runtime: the local host knows only `provided.al2023` here",
    );
    assert_refused("Resources: {F: {Type: AWS::Serverless::Function}}", "line 2: Resources.F: Metadata.BuildProperties.Binary is missing");
}

#[test]
fn numbers_that_aws_does_not_allow() {
    assert_refused(&function("Timeout: 0"), "line 9: Resources.F.Properties.Timeout: 0 is not from 1 to 900");
    let queue = |properties: &str| {
        let events = format!("Events: {{E: {{Type: SQS, Properties: {{Queue: !GetAtt Q.Arn, {properties}}}}}}}");
        format!("{}  Q: {{Type: AWS::SQS::Queue}}\n", function(&events))
    };
    let path = "Resources.F.Properties.Events.E.Properties";
    assert_refused(&queue("BatchSize: 0"), &format!("line 9: {path}.BatchSize: 0 is not from 1 to 10"));
    assert_refused(&queue("BatchSize: 11"), &format!("line 9: {path}.BatchSize: 11 is not from 1 to 10"));
    assert!(read_with(&queue("BatchSize: 11, MaximumBatchingWindowInSeconds: 1"), &[]).is_ok());
    let concurrency = "ScalingConfig: {MaximumConcurrency: 1}";
    assert_refused(&queue(concurrency), &format!("line 9: {path}.ScalingConfig.MaximumConcurrency: 1 is not from 2 to 1000"));
}

#[test]
fn parameters() {
    let text = "
Parameters:
  Size: {Type: Number, Default: 5}
  Colour: {Type: String, AllowedValues: [red, blue]}
Resources: {}";
    let refusal = |parameters: &[(&str, &str)]| read_with(text, parameters).unwrap_err().to_string();
    assert!(read_with(text, &[("Colour", "red"), ("Size", "7")]).is_ok());
    assert_eq!(refusal(&[]), "line 5: Parameters.Colour: this parameter has no default, and no value was given");
    assert_eq!(refusal(&[("Colour", "green")]), "line 5: Parameters.Colour: `green` is none of the allowed values (red, blue)");
    assert_eq!(refusal(&[("Colour", "red"), ("Size", "big")]), "line 4: Parameters.Size: `big` is no number");
    assert_eq!(refusal(&[("Color", "red")]), "Parameters: there is no parameter Color to override");
    assert_refused(
        "Parameters: {Key: {Type: 'AWS::EC2::KeyPair::KeyName', Default: a}}\nResources: {}",
        "line 2: Parameters.Key: parameters of type AWS::EC2::KeyPair::KeyName are not known to the local host",
    );
    assert_refused(
        "Parameters: {Key: {Type: String, Default: a, AllowedPattern: a}}\nResources: {}",
        "line 2: Parameters.Key.AllowedPattern: this property is not known to the local host",
    );
}

#[test]
fn what_is_no_template() {
    let refusal = |text: &str| super::read(text, &std::collections::BTreeMap::new(), &super::machine()).unwrap_err().to_string();
    assert_eq!(refusal(""), "the template is empty");
    assert_eq!(refusal("- a"), "line 1: a map belongs here");
    assert_eq!(refusal("Resources: {}"), "line 1: Transform is missing");
    assert_eq!(refusal("a: b: c"), "line 1: no YAML: mapping values are not allowed in this context");
    assert_refused("Resources: {A: {Type: &anchor x}, B: *anchor}", "line 2: Resources.B: aliases are not known to CloudFormation");
    assert_refused("Resources:\n  A: {}\n  A: {}", "line 4: Resources.A: this key stands here twice");
    let deep = format!("Resources: {}1{}", "[".repeat(200), "]".repeat(200));
    assert!(read_with(&deep, &[]).unwrap_err().to_string().ends_with("nested more than 64 deep"));
}

#[test]
fn globals_are_added_to_what_a_function_says_itself() {
    let text = function("Timeout: 9\n      Environment: {Variables: {OWN: a, BOTH: own}}");
    let globals = "Globals: {Function: {Timeout: 4, MemorySize: 512, Environment: {Variables: {GLOBAL: b, BOTH: global}}}}";
    let deployment = read_with(&format!("{globals}\n{text}"), &[]).unwrap();
    let function = &deployment.functions[0];
    assert_eq!((function.timeout.as_secs(), function.memory_mb), (9, 512));
    let environment: Vec<_> = function.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(environment, [("BOTH", "own"), ("GLOBAL", "b"), ("OWN", "a")]);
}
