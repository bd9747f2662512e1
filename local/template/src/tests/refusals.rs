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
fn rules_for_pages_that_are_not_emulated() {
    let refused = |rule: &str, error: &str| {
        let bucket = format!("BucketName: b, CorsConfiguration: {{CorsRules: [{{{rule}}}]}}");
        let text = format!("Resources: {{B: {{Type: AWS::S3::Bucket, Properties: {{{bucket}}}}}}}");
        assert_refused(&text, &format!("line 2: Resources.B.Properties.CorsConfiguration.CorsRules.0{error}"));
    };
    let (origins, methods) = ("AllowedOrigins: ['*']", "AllowedMethods: [PUT]");
    refused(methods, ": the local host knows only `*` as AllowedOrigins");
    refused(&format!("{methods}, AllowedOrigins: ['https://*']"), ": the local host knows only `*` as AllowedOrigins");
    refused(origins, ": AllowedMethods are some of DELETE, GET, HEAD, POST, PUT");
    refused(&format!("{origins}, AllowedMethods: [PATCH]"), ": AllowedMethods are some of DELETE, GET, HEAD, POST, PUT");
    refused(&format!("{origins}, {methods}, AllowedHeaders: ['x-*']"), ": the local host knows no `*` in AllowedHeaders");
    refused(&format!("{origins}, {methods}, Foo: 1"), ".Foo: this property is not known to the local host");
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
        &function("Events: {E: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 minute)}}}"),
        "line 9: Resources.F.Properties.Events.E: events of type ScheduleV2 are not known to the local host",
    );
    assert_refused(
        &function("Events: {E: {Type: SQS, Properties: {Queue: 'arn:aws:sqs:us-east-1:000000000000:elsewhere'}}}"),
        "line 9: Resources.F.Properties.Events.E.Properties.Queue: this is no AWS::SQS::Queue of the template",
    );
}

#[test]
fn schedules_that_eventbridge_would_not_take_and_properties_that_mean_nothing_here() {
    let schedule = |properties: &str| function(&format!("Events: {{E: {{Type: Schedule, Properties: {{{properties}}}}}}}"));
    let path = "Resources.F.Properties.Events.E.Properties";
    for (properties, error) in [
        ("Schedule: 'cron(0 12 * * * *)'", ": the schedule `cron(0 12 * * * *)`: one of the day fields must be `?`"),
        ("Schedule: rate(1 month)", ": the schedule `rate(1 month)`: a rate is `1 minute`, `5 hours`, `2 days` or the like"),
        ("Schedule: daily", ": the schedule `daily`: it is neither `rate(...)` nor `cron(...)`"),
        ("Schedule: rate(1 minute), Input: x", ": Input is no JSON: expected value at line 1 column 1"),
        ("Schedule: rate(1 minute), State: OFF", ": State is ENABLED or DISABLED, not `OFF`"),
        ("Schedule: rate(1 minute), State: ENABLED, Enabled: true", ": either State or Enabled says whether the rule is on"),
        ("Schedule: rate(1 minute), RetryPolicy: {MaximumRetryAttempts: 1}", ".RetryPolicy: this property is not known to the local host"),
        ("Schedule: rate(1 minute), DeadLetterConfig: {Type: SQS}", ".DeadLetterConfig: this property is not known to the local host"),
    ] {
        assert_refused(&schedule(properties), &format!("line 9: {path}{error}"));
    }
}

#[test]
fn properties_of_streams_that_mean_nothing_here_or_are_out_of_range() {
    let table = "  T:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_IMAGE}
";
    let stream = |properties: &str| {
        let events = format!("Events: {{E: {{Type: DynamoDB, Properties: {{Stream: !GetAtt T.StreamArn, {properties}}}}}}}");
        format!("{}{table}", function(&events))
    };
    let path = "Resources.F.Properties.Events.E.Properties";
    let many = format!("FilterCriteria: {{Filters: [{}]}}", "{Pattern: '{}'},".repeat(11));
    let long = format!("FilterCriteria: {{Filters: [{{Pattern: '\"{}\"'}}]}}", "x".repeat(4096));
    for (properties, error) in [
        ("BatchSize: 1", ": StartingPosition is missing"),
        ("StartingPosition: AT_TIMESTAMP", ": a DynamoDB stream is read from TRIM_HORIZON or LATEST, not from AT_TIMESTAMP"),
        ("StartingPosition: LATEST, ParallelizationFactor: 2", ".ParallelizationFactor: this property is not known to the local host"),
        ("StartingPosition: LATEST, TumblingWindowInSeconds: 30", ".TumblingWindowInSeconds: this property is not known to the local host"),
        ("StartingPosition: LATEST, BatchSize: 10001", ".BatchSize: 10001 is not from 1 to 10000"),
        ("StartingPosition: LATEST, MaximumBatchingWindowInSeconds: 301", ".MaximumBatchingWindowInSeconds: 301 is not from 0 to 300"),
        ("StartingPosition: LATEST, MaximumRetryAttempts: -2", ".MaximumRetryAttempts: `-2` is neither from 0 to 10000 nor -1"),
        ("StartingPosition: LATEST, MaximumRecordAgeInSeconds: 59", ".MaximumRecordAgeInSeconds: `59` is neither from 60 to 604800 nor -1"),
        (&format!("StartingPosition: LATEST, {many}"), ": a mapping has at most 10 filters"),
        (&format!("StartingPosition: LATEST, {long}"), ".FilterCriteria.Filters.0: a pattern has at most 4096 characters"),
    ] {
        assert_refused(&stream(properties), &format!("line 9: {path}{error}"));
    }
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
        &route("{A: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /a, Method: trace}}}"),
        "line 9: Resources.F.Properties.Events.A.Properties: the method TRACE is not known to the local host",
    );
}

/// What is left out, or read as nothing, would give every caller the verdict on the first.
#[test]
fn an_authorizer_that_could_not_tell_callers_apart() {
    let api = |identity: &str| {
        let authorizers = format!("{{A: {{FunctionPayloadType: REQUEST, FunctionArn: !GetAtt F.Arn, Identity: {{{identity}}}}}}}");
        let auth = format!("Auth: {{DefaultAuthorizer: A, Authorizers: {authorizers}}}");
        let events = "Events: {A: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /a, Method: get}}}";
        format!("{}  Api:\n    Type: AWS::Serverless::Api\n    Properties:\n      StageName: v1\n      {auth}\n", function(events))
    };
    assert!(read_with(&api("Headers: [X-Api-Key, Authorization]"), &[]).is_ok());
    let at = "line 14: Resources.Api.Properties.Auth.Authorizers.A.Identity";
    for (identity, error) in [
        ("ReauthorizeEvery: 30", ": Headers is missing"),
        ("Headers: []", ": Headers is missing"),
        ("Headers: ['']", ": `` is no name of a header"),
        ("Headers: [Authorization, 'a b']", ": `a b` is no name of a header"),
    ] {
        assert_refused(&api(identity), &format!("{at}{error}"));
    }
}

#[test]
fn what_api_gateway_would_not_take_or_the_gateway_here_does_not_know() {
    let events = "Events: {A: {Type: Api, Properties: {RestApiId: !Ref Api, Path: '/a/{b}', Method: get}}}";
    let api = |properties: &str| {
        format!("{}  Api:\n    Type: AWS::Serverless::Api\n    Properties:\n      StageName: v1\n      {properties}\n", function(events))
    };
    let limits = "ThrottlingRateLimit: 1, ThrottlingBurstLimit: 2";
    let setting = |path: &str, method: &str| api(&format!("MethodSettings: [{{ResourcePath: '{path}', HttpMethod: {method}, {limits}}}]"));
    for path in ["/~1a~1{b}", "/a/{b}"] {
        assert!(read_with(&setting(path, "GET"), &[]).is_ok(), "{path}");
    }
    let at = "line 14: Resources.Api.Properties";
    for (path, method) in [("/*", "GET"), ("/~1a~1{b}", "'*'"), ("/~1a~1*", "GET")] {
        assert_refused(
            &setting(path, method),
            &format!("{at}.MethodSettings.0: the local host knows settings of /* with the method *, or of one path and one method"),
        );
    }
    for (path, method, named) in [("/~1a", "GET", "GET /a"), ("/~1a~1{b}", "post", "POST /a/{b}")] {
        let error = format!("line 12: Resources.Api.Properties: MethodSettings names {named}, which is no route");
        assert_refused(&setting(path, method), &error);
    }
    for (properties, error) in [
        ("Cors: {AllowOrigin: '*'}", ".Cors: the local host knows only quoted values; the header AllowOrigin has none"),
        ("Cors: {AllowCredentials: true}", ".Cors.AllowCredentials: this property is not known to the local host"),
        ("AccessLogSetting: {Format: $context.status}", ".AccessLogSetting: Format must be one line with $context.requestId in it"),
        ("AccessLogSetting: {}", ".AccessLogSetting: Format is missing"),
    ] {
        assert_refused(&api(properties), &format!("{at}{error}"));
    }
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
    for (property, wrong, range) in [
        ("VisibilityTimeout", 43_201, "0 to 43200"),
        ("MessageRetentionPeriod", 59, "60 to 1209600"),
        ("DelaySeconds", 901, "0 to 900"),
        ("ReceiveMessageWaitTimeSeconds", 21, "0 to 20"),
        ("MaximumMessageSize", 1023, "1024 to 1048576"),
        ("MaximumMessageSize", 1_048_577, "1024 to 1048576"),
    ] {
        assert_refused(
            &format!("Resources: {{Q: {{Type: AWS::SQS::Queue, Properties: {{{property}: {wrong}}}}}}}"),
            &format!("line 2: Resources.Q.Properties.{property}: {wrong} is not from {range}"),
        );
    }
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
  Size: {Type: Number, Default: 5, MinValue: 0, MaxValue: 10}
  Colour: {Type: String, AllowedValues: [red, blue]}
Resources: {}";
    let refusal = |parameters: &[(&str, &str)]| read_with(text, parameters).unwrap_err().to_string();
    assert!(read_with(text, &[("Colour", "red"), ("Size", "7")]).is_ok());
    assert_eq!(refusal(&[]), "line 5: Parameters.Colour: this parameter has no default, and no value was given");
    assert_eq!(refusal(&[("Colour", "green")]), "line 5: Parameters.Colour: `green` is none of the allowed values (red, blue)");
    assert_eq!(refusal(&[("Colour", "red"), ("Size", "big")]), "line 4: Parameters.Size: `big` is no number");
    assert_eq!(refusal(&[("Colour", "red"), ("Size", "-1")]), "line 4: Parameters.Size: `-1` is less than MinValue");
    assert_eq!(refusal(&[("Colour", "red"), ("Size", "60")]), "line 4: Parameters.Size: `60` is more than MaxValue");
    assert!(read_with(text, &[("Colour", "red"), ("Size", "0")]).is_ok() && read_with(text, &[("Colour", "red"), ("Size", "10")]).is_ok());
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
