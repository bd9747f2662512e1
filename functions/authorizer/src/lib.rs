//! Tells the gateway who is calling: verifies the access token and that its session lives.
//!
//! The gateway keeps the answer for 30 s and uses it for every route that the same token asks for: so the policy is one for
//! the whole stage, and the token's end travels with it for the handlers to check again.
//!
//! A token that is none of ours counts against the address that it came from: who keeps guessing is banned. All other functions send such
//! an address away; this one does not ask, for who has a living session may go on, and who has none is refused here anyway. So a good
//! token costs no read of the Edge table.

mod request;

use std::sync::Arc;

use aws_lambda_events::{
    apigw::{ApiGatewayCustomAuthorizerPolicy, ApiGatewayCustomAuthorizerResponse},
    iam::IamPolicyStatement,
};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use tintype_auth::{AuthError, Identity, Verifier, bearer};
use tintype_core::Time;
use tintype_guard::Guard;
use tintype_tables::{Table, config};
use tintype_telemetry::{self as telemetry, Outcome, Work};

pub use request::Request;

/// Runs the function until its environment ends.
pub async fn run() -> Result<(), Error> {
    let client = aws_sdk_dynamodb::Client::new(&config::aws().await);
    let users = Table::from_env(&client, "USERS_TABLE")?;
    users.warm().await;
    let authorizer = Arc::new(Authorizer::new(Verifier::new(users.clone()), Guard::from_env(&users.client)));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Request>| {
        let authorizer = Arc::clone(&authorizer);
        async move { authorizer.answer(event).await }
    }))
    .await
}

type Permission = ApiGatewayCustomAuthorizerResponse<Caller>;

/// What handlers find in `requestContext.authorizer`: strings, for the gateway makes everything one.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Caller {
    user_id: String,
    session_id: String,
    exp: String,
}

/// What the function works with.
pub struct Authorizer {
    verifier: Verifier,
    guard: Guard,
}

impl Authorizer {
    /// Verifies with `verifier`; what fails is told to `guard`.
    pub fn new(verifier: Verifier, guard: Guard) -> Self {
        Self { verifier, guard }
    }

    /// Answers one event of the gateway, and writes its log line.
    pub async fn answer(&self, event: LambdaEvent<Request>) -> Result<Permission, Diagnostic> {
        let LambdaEvent { payload: request, context } = event;
        let work = Work {
            service: "authorizer",
            operation: "authorize".to_owned(),
            request_id: request.context.request_id.clone().unwrap_or(context.request_id),
            trace_id: context.xray_trace_id.unwrap_or_default(),
        };
        telemetry::observe(work, self.authorize(&request), outcome).await.map_err(Diagnostic::from)
    }

    async fn authorize(&self, request: &Request) -> Result<Permission, Refusal> {
        let stage = request.method_arn.as_deref().and_then(stage_of).ok_or(Refusal::Malformed)?;
        match self.identify(request).await {
            Ok(caller) => {
                telemetry::field("viewer.id", caller.user_id.to_string());
                Ok(permission(stage, caller))
            }
            Err(refusal) => {
                if let Refusal::Forged = refusal {
                    let source_ip = request.context.identity.source_ip.as_deref();
                    // Before the answer: this environment sleeps after it.
                    self.guard.failed(self.guard.address(&request.headers, source_ip)).await;
                }
                Err(refusal)
            }
        }
    }

    async fn identify(&self, request: &Request) -> Result<Identity, Refusal> {
        let token = bearer(&request.headers)?.ok_or(Refusal::Unauthorized)?;
        Ok(self.verifier.identify(token, Time::now()).await?)
    }
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
    /// No token, or one that is no longer good.
    Unauthorized,
    /// A token that nobody of ours has signed.
    Forged,
    /// Not a gateway's request.
    Malformed,
    /// Keys or sessions can't be read.
    Table(tintype_tables::Error),
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused => Self::Forged,
            AuthError::Ended => Self::Unauthorized,
            AuthError::Table(error) => Self::Table(error),
        }
    }
}

impl From<Refusal> for Diagnostic {
    /// The gateway answers 401 to the message `Unauthorized`, letter by letter, and 500 to any other.
    fn from(refusal: Refusal) -> Self {
        let (error_type, error_message) = match refusal {
            Refusal::Unauthorized | Refusal::Forged => ("Unauthorized", "Unauthorized"),
            Refusal::Malformed => ("Malformed", "the event is not a gateway's request"),
            Refusal::Table(_) => ("Unavailable", "keys or sessions can't be read"),
        };
        Self { error_type: error_type.to_owned(), error_message: error_message.to_owned() }
    }
}

fn outcome(result: &Result<Permission, Refusal>) -> Outcome {
    match result {
        Ok(_) => Outcome::Ok,
        Err(Refusal::Unauthorized | Refusal::Forged) => Outcome::Rejected,
        Err(Refusal::Malformed) => Outcome::Failed,
        Err(Refusal::Table(error)) => {
            telemetry::field("error", error.to_string());
            Outcome::Failed
        }
    }
}

#[cfg(test)]
mod tests;
