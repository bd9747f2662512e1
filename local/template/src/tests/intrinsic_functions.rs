//! What each intrinsic function gives, written short and long.

use super::{machine, read_with};
use crate::{Error, conditions, deployment::Deployment, intrinsics::Scope, yaml};

/// A template with one of everything to refer to, and a function whose variable is `expression`.
fn with_variable(expression: &str) -> Result<Deployment, Error> {
    read_with(
        &format!(
            "
Parameters:
  Colour: {{Type: String, Default: red, AllowedValues: [red, blue]}}
  Size: {{Type: Number, Default: 5}}
Conditions:
  Red: !Equals [!Ref Colour, red]
  Blue: !Not [!Condition Red]
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{{AttributeName: pk, AttributeType: S}}]
      KeySchema: [{{AttributeName: pk, KeyType: HASH}}]
      StreamSpecification: {{StreamViewType: NEW_IMAGE}}
  Queue: {{Type: AWS::SQS::Queue, Properties: {{QueueName: !Sub '${{Colour}}-queue'}}}}
  Bucket: {{Type: AWS::S3::Bucket}}
  Secret: {{Type: AWS::SecretsManager::Secret, Properties: {{GenerateSecretString: {{}}}}}}
  Api: {{Type: AWS::Serverless::Api, Properties: {{StageName: v1}}}}
  Other:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: rust-cargolambda, BuildProperties: {{Binary: other}}}}
    Properties: {{Handler: bootstrap, Runtime: provided.al2023}}
  OnlyBlue: {{Type: AWS::SQS::Queue, Condition: Blue}}
  Topic: {{Type: AWS::SNS::Topic}}
  Function:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: rust-cargolambda, BuildProperties: {{Binary: f}}}}
    Properties:
      Handler: bootstrap
      Runtime: provided.al2023
      Environment:
        Variables:
          VALUE: {expression}
"
        ),
        &[],
    )
}

/// The value of `expression`; `None` where it takes the variable away.
fn value(expression: &str) -> Option<String> {
    let deployment = with_variable(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let function = deployment.functions.iter().find(|function| function.binary == "f").unwrap();
    function.environment.get("VALUE").cloned()
}

fn assert_values(expected: &[(&str, &str)]) {
    for (expression, expected) in expected {
        assert_eq!(value(expression).as_deref(), Some(*expected), "{expression}");
    }
}

#[test]
fn ref_gives_parameters_and_what_a_resource_is_called_by() {
    assert_values(&[
        ("!Ref Colour", "red"),
        ("{Ref: Colour}", "red"),
        ("!Ref Size", "5"),
        ("!Ref Table", "tintype-Table"),
        ("!Ref Queue", "http://127.0.0.1:4566/000000000000/red-queue"),
        ("!Ref Bucket", "tintype-bucket"),
        ("!Ref Secret", "arn:aws:secretsmanager:us-east-1:000000000000:secret:tintype-Secret-000000"),
        ("!Ref Api", "tintypeapi"),
        ("!Ref Other", "tintype-Other"),
    ]);
}

#[test]
fn pseudo_parameters_are_the_machine() {
    assert_values(&[
        ("!Ref AWS::Region", "us-east-1"),
        ("!Ref AWS::AccountId", "000000000000"),
        ("!Ref AWS::StackName", "tintype"),
        ("!Ref AWS::StackId", "arn:aws:cloudformation:us-east-1:000000000000:stack/tintype/local"),
        ("!Ref AWS::Partition", "aws"),
        ("!Ref AWS::URLSuffix", "amazonaws.com"),
    ]);
    assert_eq!(value("!Ref AWS::NoValue"), None);
}

#[test]
fn get_att_takes_a_dotted_text_or_a_list() {
    assert_values(&[
        ("!GetAtt Table.Arn", "arn:aws:dynamodb:us-east-1:000000000000:table/tintype-Table"),
        ("!GetAtt [Table, StreamArn]", "arn:aws:dynamodb:us-east-1:000000000000:table/tintype-Table/stream/local"),
        ("{Fn::GetAtt: [Queue, Arn]}", "arn:aws:sqs:us-east-1:000000000000:red-queue"),
        ("{Fn::GetAtt: Queue.QueueName}", "red-queue"),
        ("!GetAtt Bucket.Arn", "arn:aws:s3:::tintype-bucket"),
        ("!GetAtt Bucket.RegionalDomainName", "tintype-bucket.s3.us-east-1.amazonaws.com"),
        ("!GetAtt Other.Arn", "arn:aws:lambda:us-east-1:000000000000:function:tintype-Other"),
    ]);
}

#[test]
fn sub_knows_names_attributes_literals_and_variables_of_its_own() {
    assert_values(&[
        ("!Sub 'a ${Colour} b'", "a red b"),
        ("{Fn::Sub: '${AWS::StackName}-x'}", "tintype-x"),
        ("!Sub '${Table.Arn}/index/*'", "arn:aws:dynamodb:us-east-1:000000000000:table/tintype-Table/index/*"),
        ("!Sub '${!Colour} ${Colour}'", "${Colour} red"),
        ("!Sub ['${Mine}-${Colour}', {Mine: !Ref Size}]", "5-red"),
        // A variable of its own hides a parameter.
        ("!Sub ['${Colour}', {Colour: !If [Red, own, other]}]", "own"),
        ("!Sub 5", "5"),
    ]);
}

#[test]
fn if_takes_one_side_and_does_not_evaluate_the_other() {
    assert_values(&[
        ("!If [Red, a, b]", "a"),
        ("!If [Blue, a, !Sub '${Colour}']", "red"),
        ("{Fn::If: [Blue, a, {Ref: Colour}]}", "red"),
        // OnlyBlue is not there.
        ("!If [Blue, !Ref OnlyBlue, none]", "none"),
    ]);
    assert_eq!(value("!If [Red, !Ref AWS::NoValue, b]"), None);
}

#[test]
fn join_leaves_out_what_has_no_value() {
    assert_values(&[
        ("!Join ['-', [a, !Ref Colour, 5]]", "a-red-5"),
        ("{Fn::Join: ['', [a, !If [Blue, b, !Ref AWS::NoValue], c]]}", "ac"),
        ("!Join [',', []]", ""),
    ]);
}

#[test]
fn conditions_combine_and_name_each_other_in_any_order() {
    let section = yaml::parse(
        "
Last: !And [!Condition Yes, !Not [!Condition No]]
Yes: !Equals [a, a]
No: {Fn::Equals: [!Ref AWS::Region, elsewhere]}
Either: !Or [{Condition: No}, {Condition: Yes}]
Neither: !Or [!Condition No, !Condition No]
Both: {Fn::And: [!Condition Yes, !Condition No]}
Number: !Equals [1, '1']
",
    );
    let conditions = conditions::read(&section.unwrap(), &Scope::of_machine(&machine())).unwrap();
    let holding: Vec<_> = conditions.iter().filter(|(_, holds)| **holds).map(|(name, _)| name.as_str()).collect();
    assert_eq!(holding, ["Either", "Last", "Number", "Yes"]);
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    for (expression, reason) in [
        ("!Ref Nobody", "Nobody is neither a parameter nor a resource"),
        ("!Ref Topic", "Topic is not there on the local host"),
        ("!Ref OnlyBlue", "OnlyBlue is not there on the local host"),
        ("!GetAtt Nobody.Arn", "Nobody is no resource"),
        ("!GetAtt Table.Colour", "AWS::DynamoDB::Table has no attribute Colour that the local host knows"),
        ("!GetAtt Table", "Fn::GetAtt takes a resource and an attribute"),
        ("!GetAtt [Table]", "Fn::GetAtt takes a resource and an attribute"),
        ("!Sub '${Nobody}'", "Nobody is neither a parameter nor a resource"),
        ("!Sub '${Table.Colour}'", "AWS::DynamoDB::Table has no attribute Colour that the local host knows"),
        ("!Sub '${open'", "`${open` has no closing brace"),
        ("!Sub ['${a}']", "Fn::Sub takes a text, or a text and a map"),
        ("!If [Green, a, b]", "Green is no condition"),
        ("!If [Red, a]", "Fn::If takes a condition and two values"),
        // The other side is checked, though not evaluated.
        ("!If [Red, a, !Ref Nobody]", "Nobody is neither a parameter nor a resource"),
        ("!Join [a, b, c]", "Fn::Join takes a separator and a list"),
        ("!Join ['', text]", "a list belongs here"),
        ("!Select [0, [a]]", "the intrinsic function Fn::Select is not known to the local host"),
        ("{Fn::ImportValue: a}", "the intrinsic function Fn::ImportValue is not known to the local host"),
        ("!Equals [a, b]", "Fn::Equals belongs under Conditions"),
        ("{Ref: Colour, Fn::Sub: a}", "Ref stands alone in its map"),
        ("[a, b]", "a text belongs here"),
    ] {
        let error = with_variable(expression).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(
            error.starts_with("line ") && error.contains("Resources.Function.Properties.Environment.Variables.VALUE"),
            "{expression}: {error}"
        );
        assert!(error.ends_with(reason), "{expression}: {error}");
    }
}

#[test]
fn conditions_that_cannot_be_decided_are_refused() {
    for (section, reason) in [
        ("{A: !Condition B, B: !Condition A}", "the condition A depends on itself"),
        ("{A: !Not [!Condition A]}", "the condition A depends on itself"),
        ("{A: !Condition B}", "B is no condition"),
        ("{A: yes}", "a condition function belongs here"),
        ("{A: !Equals [a]}", "Fn::Equals takes two values"),
        ("{A: !Contains [a, b]}", "the condition function Fn::Contains is not known to the local host"),
        ("{A: !Equals [!Ref Table, a]}", "Table is no name that may stand here"),
    ] {
        let section = yaml::parse(section).unwrap();
        let error = conditions::read(&section, &Scope::of_machine(&machine())).unwrap_err().to_string();
        assert!(error.ends_with(reason), "{error}");
    }
}
