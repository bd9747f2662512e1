//! Tells the gateway who is calling: verifies the access token and that its session lives.
//!
//! The gateway keeps the answer for 30 s and uses it for every route that the same token asks for: so the policy is one for
//! the whole stage, and the token's end travels with it for the handlers to check again.

use std::sync::Arc;

use aws_lambda_events::{
    apigw::{ApiGatewayCustomAuthorizerPolicy, ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayCustomAuthorizerResponse},
    iam::IamPolicyStatement,
};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use tintype_auth::{AuthError, Identity, Verifier, bearer};
use tintype_core::Time;
use tintype_tables::{Table, config};
use tintype_telemetry::{self as telemetry, Outcome, Work};

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let client = aws_sdk_dynamodb::Client::new(&config::aws().await);
    let users = Table::from_env(&client, "USERS_TABLE")?;
    users.warm().await;
    let verifier = Arc::new(Verifier::new(users));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Request>| {
        let verifier = Arc::clone(&verifier);
        async move { answer(&verifier, event).await }
    }))
    .await
}

type Request = ApiGatewayCustomAuthorizerRequestTypeRequest;
type Permission = ApiGatewayCustomAuthorizerResponse<Caller>;

/// What handlers find in `requestContext.authorizer`: strings, for the gateway makes everything one.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Caller {
    user_id: String,
    session_id: String,
    exp: String,
}

async fn answer(verifier: &Verifier, event: LambdaEvent<Request>) -> Result<Permission, Refusal> {
    let LambdaEvent { payload: request, context } = event;
    let work = Work {
        service: "authorizer",
        operation: "authorize".to_owned(),
        request_id: request.request_context.request_id.clone().unwrap_or(context.request_id),
        trace_id: context.xray_trace_id.unwrap_or_default(),
    };
    telemetry::observe(work, authorize(verifier, &request), outcome).await
}

async fn authorize(verifier: &Verifier, request: &Request) -> Result<Permission, Refusal> {
    let token = bearer(&request.headers)?.ok_or(Refusal::Unauthorized)?;
    let stage = request.method_arn.as_deref().and_then(stage_of).ok_or(Refusal::Malformed)?;
    let caller = verifier.identify(token, Time::now()).await?;
    telemetry::field("viewer.id", caller.user_id.to_string());
    Ok(permission(stage, caller))
}

/// `arn:aws:execute-api:{region}:{account}:{api}/{stage}` of `.../{method}/{path}`.
fn stage_of(method_arn: &str) -> Option<&str> {
    let (end, _) = method_arn.match_indices('/').nth(1)?;
    Some(&method_arn[..end])
}

fn permission(stage: &str, caller: Identity) -> Permission {
    let mut statement = IamPolicyStatement::default();
    statement.action = vec!["execute-api:Invoke".to_owned()];
    statement.resource = vec![format!("{stage}/*")];
    let mut policy = ApiGatewayCustomAuthorizerPolicy::default();
    policy.version = Some("2012-10-17".to_owned());
    policy.statement = vec![statement];
    let mut permission = Permission::default();
    permission.principal_id = Some(caller.user_id.to_string());
    permission.policy_document = policy;
    permission.context =
        Caller { user_id: caller.user_id.to_string(), session_id: caller.session_id.to_string(), exp: caller.expires_at.to_string() };
    permission
}

/// Why there is no permission.
#[derive(Debug)]
enum Refusal {
    /// No token, or no good one.
    Unauthorized,
    /// Not a gateway's request.
    Malformed,
    /// Keys or sessions can't be read.
    Table(tintype_tables::Error),
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused => Self::Unauthorized,
            AuthError::Table(error) => Self::Table(error),
        }
    }
}

impl From<Refusal> for Diagnostic {
    /// The gateway answers 401 to the message `Unauthorized`, letter by letter, and 500 to any other.
    fn from(refusal: Refusal) -> Self {
        let (error_type, error_message) = match refusal {
            Refusal::Unauthorized => ("Unauthorized", "Unauthorized"),
            Refusal::Malformed => ("Malformed", "the event is not a gateway's request"),
            Refusal::Table(_) => ("Unavailable", "keys or sessions can't be read"),
        };
        Self { error_type: error_type.to_owned(), error_message: error_message.to_owned() }
    }
}

fn outcome(result: &Result<Permission, Refusal>) -> Outcome {
    match result {
        Ok(_) => Outcome::Ok,
        Err(Refusal::Unauthorized) => Outcome::Rejected,
        Err(Refusal::Malformed) => Outcome::Failed,
        Err(Refusal::Table(error)) => {
            telemetry::field("error", error.to_string());
            Outcome::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lambda_events::http::header::AUTHORIZATION;
    use aws_sdk_dynamodb::{
        Client, Config,
        config::{Credentials, Region},
    };
    use aws_smithy_runtime_api::client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
    };
    use serde_json::{Value, json};
    use tintype_auth::{Claims, Signer};
    use tintype_core::{SessionId, UserId};

    fn event(file: &str) -> Request {
        let path = format!("{}/../../events/authorizer/{file}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// A verifier whose table nobody answers for.
    fn verifier() -> Verifier {
        let config = aws_sdk_dynamodb::Config::builder().behavior_version_latest().build();
        Verifier::new(Table { client: aws_sdk_dynamodb::Client::from_conf(config), name: "none".to_owned() })
    }

    async fn refusal(request: Request) -> Diagnostic {
        answer(&verifier(), LambdaEvent::new(request, lambda_runtime::Context::default())).await.unwrap_err().into()
    }

    /// A Users table that holds the public key, and the session if it is alive.
    #[derive(Debug, Clone)]
    struct Users {
        jwks: String,
        user_id: UserId,
        session_id: SessionId,
        is_alive: bool,
    }

    impl Users {
        fn item(&self, pk: &str, sk: &str) -> Option<Value> {
            let session = format!("SESSION#{}", self.session_id);
            if (pk, sk) == ("KEYS", "JWKS") {
                Some(json!({"jwks": {"S": self.jwks}}))
            } else if self.is_alive && pk == format!("USER#{}", self.user_id) && sk == session {
                Some(json!({
                    "id": {"S": self.session_id},
                    "generation": {"N": "0"},
                    "rotated_at": {"S": Time::now()},
                    "created_at": {"S": Time::now()},
                    "user_agent": {"NULL": true},
                    "expires_at": {"N": "4102444800"},
                }))
            } else {
                None
            }
        }

        fn verifier(self) -> Verifier {
            let connector = SharedHttpConnector::new(self);
            let config = Config::builder()
                .behavior_version_latest()
                .region(Region::new("us-east-1"))
                .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
                .http_client(http_client_fn(move |_, _| connector.clone()));
            Verifier::new(Table { client: Client::from_conf(config.build()), name: "users".to_owned() })
        }
    }

    impl HttpConnector for Users {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let request: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let key = |name: &str| request["Key"][name]["S"].as_str().unwrap().to_owned();
            let answer = self.item(&key("pk"), &key("sk")).map_or_else(|| json!({}), |item| json!({"Item": item}));
            HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), answer.to_string().into())))
        }
    }

    /// The answer to an event with a good token, whose session is alive or not.
    async fn answer_to_a_good_token(is_alive: bool) -> (Claims, Result<Permission, Diagnostic>) {
        let signer = Signer::from_secret("a secret");
        let (user_id, session_id) = (UserId::new(), SessionId::new());
        let claims = Claims::new(user_id, session_id, Time::now());
        let mut request = event("request");
        request.headers.insert(AUTHORIZATION, format!("Bearer {}", signer.sign(&claims).unwrap()).parse().unwrap());
        let users = Users { jwks: signer.jwks(), user_id, session_id, is_alive };
        let event = LambdaEvent::new(request, lambda_runtime::Context::default());
        (claims, answer(&users.verifier(), event).await.map_err(Diagnostic::from))
    }

    #[tokio::test]
    async fn a_good_token_of_a_session_that_is_alive_is_answered_with_a_permission() {
        let (claims, permission) = answer_to_a_good_token(true).await;
        let permission = permission.unwrap();
        assert_eq!(permission.principal_id, Some(claims.sub.to_string()));
        assert_eq!(permission.policy_document.statement[0].resource, ["arn:aws:execute-api:us-east-1:000000000000:abc123/v1/*"]);
        let caller = Caller { user_id: claims.sub.to_string(), session_id: claims.sid.to_string(), exp: claims.exp.to_string() };
        assert_eq!(permission.context, caller);
    }

    #[tokio::test]
    async fn a_good_token_of_a_session_that_has_ended_is_refused() {
        let (_, permission) = answer_to_a_good_token(false).await;
        assert_eq!(permission.unwrap_err().error_message, "Unauthorized");
    }

    #[test]
    fn the_permission_is_for_the_whole_stage_and_says_who_and_until_when() {
        let request = event("request");
        let stage = stage_of(request.method_arn.as_deref().unwrap()).unwrap();
        let caller = Identity {
            user_id: "0193a1f0-0000-7000-8000-00000000000b".parse().unwrap(),
            session_id: "0193a1f0-0000-7000-8000-0000000000c1".parse().unwrap(),
            expires_at: 4_102_444_800,
        };
        let answer: Value = serde_json::to_value(permission(stage, caller)).unwrap();
        assert_eq!(answer["principalId"], "0193a1f0-0000-7000-8000-00000000000b");
        assert_eq!(
            answer["policyDocument"],
            json!({
                "Version": "2012-10-17",
                "Statement": [{
                    "Action": ["execute-api:Invoke"],
                    "Effect": "Allow",
                    "Resource": ["arn:aws:execute-api:us-east-1:000000000000:abc123/v1/*"],
                }],
            })
        );
        assert_eq!(
            answer["context"],
            json!({
                "user_id": "0193a1f0-0000-7000-8000-00000000000b",
                "session_id": "0193a1f0-0000-7000-8000-0000000000c1",
                "exp": "4102444800",
            })
        );
    }

    #[tokio::test]
    async fn without_a_bearer_token_the_message_is_the_one_that_the_gateway_turns_into_401() {
        let mut request = event("request");
        for value in ["Basic YWRhOnNlY3JldA==", "Bearer", ""] {
            request.headers.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(refusal(request.clone()).await.error_message, "Unauthorized", "{value}");
        }
        request.headers.remove(AUTHORIZATION);
        assert_eq!(refusal(request).await.error_message, "Unauthorized");
    }

    #[tokio::test]
    async fn a_table_that_fails_is_not_the_callers_fault() {
        let request = event("request");
        assert!(bearer(&request.headers).unwrap().is_some());
        let refusal = refusal(request).await;
        assert_eq!((refusal.error_type.as_str(), refusal.error_message.as_str()), ("Unavailable", "keys or sessions can't be read"));
    }
}
