//! Events field by field, against fixtures of our own.
//!
//! Their fields are those of AWS' documentation, of `sam local generate-event apigateway aws-proxy` and `request-authorizer`, and of the
//! samples of the crate `aws_lambda_events`; without those that only an API has with API keys (`apiKey`, `apiKeyId`), client
//! certificates (`clientCert`) or operation names (`operationName`).

use aws_lambda_events::apigw::{ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayProxyRequest};
use http::Request;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tintype_template::deployment::Route;

use super::{Fixture, api};

/// Other values each time, of the type that the fixture shows.
const VARYING: [&str; 4] = ["extendedRequestId", "requestId", "requestTime", "requestTimeEpoch"];

fn fixture(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn proxy_fixture() -> Value {
    fixture(include_str!("fixtures/proxy-request.json"))
}

fn authorizer_fixture() -> Value {
    fixture(include_str!("fixtures/authorizer-request.json"))
}

/// The events that the fixtures' request makes: the authorizer's, and the function's.
async fn events() -> (Value, Value) {
    let mut api = api();
    let path = "/open/{name}".to_owned();
    api.routes.push(Route { method: "PUT".to_owned(), path, function: "tintype-function".to_owned(), authorized: true });
    let gateway = Fixture::new(api, |function, _| match function {
        "tintype-authorizer" => Ok(json!({
            "principalId": "ada",
            "policyDocument": {"Statement": {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}},
            "context": {"sid": "s1", "exp": 1_700_000_000},
        })),
        _ => Ok(json!({})),
    });
    let request = Request::put("/v1/open/harbour%20light?tag=sea&limit=5&tag=blue%20hour")
        .header("accept", "text/plain")
        .header("accept", "application/json")
        .header("authorization", "Bearer token")
        .header("content-type", "application/json; charset=utf-8")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("host", "api.tintype.example")
        .header("user-agent", "tintype-tests/1.0")
        .header("x-amzn-trace-id", "Root=1-6a5b4c3d-0123456789abcdef01234567;Sampled=1")
        .header("x-forwarded-for", "203.0.113.9")
        .header("x-forwarded-proto", "gopher")
        // Between the client and the gateway alone.
        .header("connection", "keep-alive")
        .header("content-length", "27");
    let response = gateway.send(request, r#"{"caption": "Hafen, früh"}"#).await;
    assert_eq!(response.status, 200, "{}", response.body);
    let seen = gateway.seen();
    (seen[0].event.clone(), seen[1].event.clone())
}

/// The event, with the fixture's values for what varies. Their types have to be the fixture's.
fn settled(mut event: Value, fixture: &Value) -> Value {
    let context = event["requestContext"].as_object_mut().unwrap();
    for name in VARYING {
        let (value, expected) = (&context[name], &fixture["requestContext"][name]);
        assert_eq!((value.is_string(), value.is_i64()), (expected.is_string(), expected.is_i64()), "{name}: {value}");
        context.insert(name.to_owned(), expected.clone());
    }
    if let Some(authorizer) = context.get_mut("authorizer") {
        assert!(authorizer["integrationLatency"].is_u64());
        authorizer["integrationLatency"] = 0.into();
    }
    event
}

#[tokio::test]
async fn the_proxy_event_is_the_fixture() {
    let (_, event) = events().await;
    let fixture = proxy_fixture();
    assert_eq!(settled(event, &fixture), fixture);
}

#[tokio::test]
async fn the_authorizers_event_is_the_fixture() {
    let (event, _) = events().await;
    let fixture = authorizer_fixture();
    assert_eq!(settled(event, &fixture), fixture);
}

/// What is not there is null in the one event, and an empty map in the other, as AWS has it; the fields are the same.
#[tokio::test]
async fn an_event_of_nothing_has_the_same_fields() {
    let gateway = Fixture::new(api(), |function, _| match function {
        "tintype-authorizer" => Ok(json!({
            "principalId": "ada",
            "policyDocument": {"Statement": {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}},
        })),
        _ => Ok(json!({})),
    });
    gateway.send(Request::get("/v1/closed").header("authorization", "t"), "").await;
    let seen = gateway.seen();
    for (event, fixture, absent) in [(&seen[0].event, authorizer_fixture(), json!({})), (&seen[1].event, proxy_fixture(), Value::Null)] {
        for part in ["", "/requestContext", "/requestContext/identity"] {
            let fields = |event: &Value| event.pointer(part).unwrap().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(fields(event), fields(&fixture), "{part}");
        }
        for name in ["queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "stageVariables"] {
            assert_eq!(event[name], absent, "{name}");
        }
        assert_eq!(event["requestContext"]["identity"]["userAgent"], Value::Null);
    }
    assert_eq!((&seen[1].event["body"], &seen[1].event["isBase64Encoded"]), (&Value::Null, &json!(false)));
}

/// Reads an event as functions do, and writes it again.
fn through<T: DeserializeOwned + Serialize>(event: Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(event).unwrap()).unwrap()
}

/// An event without what says nothing (nulls and empty maps), and in one spelling: HTTP's names of headers have no case, and the
/// crate writes a parameter's one value as a list.
fn essence(value: &Value) -> Value {
    let Some(fields) = value.as_object() else { return value.clone() };
    let map = |name: &str, change: &dyn Fn(&String, &Value) -> (String, Value)| -> Value {
        fields[name].as_object().map(|map| map.iter().map(|(name, value)| change(name, value)).collect::<Map<_, _>>()).into()
    };
    let essential = fields.iter().map(|(name, value)| {
        let value = match name.as_str() {
            "headers" | "multiValueHeaders" => map(name, &|name, value| (name.to_lowercase(), value.clone())),
            "queryStringParameters" => map(name, &|name, value| (name.clone(), value.get(0).unwrap_or(value).clone())),
            _ => essence(value),
        };
        (name.clone(), value)
    });
    let says_something = |value: &Value| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty());
    essential.filter(|(_, value)| says_something(value)).collect::<Map<_, _>>().into()
}

/// The essence without what the crate's types have no field for.
fn without(event: &Value, unknown: &[&str]) -> Value {
    let mut essence = essence(event);
    for name in unknown {
        let (part, name) = name.rsplit_once('/').unwrap();
        essence.pointer_mut(part).unwrap().as_object_mut().unwrap().remove(name);
    }
    essence
}

#[tokio::test]
async fn functions_read_the_events_without_loss() {
    let (authorizer, proxy) = events().await;
    let unknown = ["/requestContext/deploymentId", "/requestContext/extendedRequestId"];
    assert_eq!(essence(&through::<ApiGatewayProxyRequest>(proxy.clone())), without(&proxy, &unknown));

    let unknown = [
        "/requestContext/deploymentId",
        "/requestContext/domainName",
        "/requestContext/domainPrefix",
        "/requestContext/extendedRequestId",
        "/requestContext/identity/userAgent",
        "/requestContext/protocol",
        "/requestContext/requestTime",
        "/requestContext/requestTimeEpoch",
    ];
    let again = essence(&through::<ApiGatewayCustomAuthorizerRequestTypeRequest>(authorizer.clone()));
    assert_eq!(again, without(&authorizer, &unknown));
}
