//! Errors as their callers see them: RFC 9457 problem details with a stable `code`. What went wrong inside stays in the log line.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tintype_auth::AuthError;
use tintype_guard::Exceeded;
use tintype_telemetry as telemetry;
use utoipa::ToSchema;

use crate::admission;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, or `?name` for a query parameter.
    #[schema(example = "/photos/0/bytes")]
    pub pointer: String,
    /// What it must be.
    #[schema(example = "must be from 1 to 20000000")]
    pub detail: String,
}

/// An error answer.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable, kebab-case, for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
    /// What is wrong, field by field; empty unless the code is `validation-failed`.
    pub errors: Vec<FieldError>,
    /// In how many seconds trying again may help, where that is known.
    pub retry_after: Option<u64>,
    /// Which rate limit was overstepped; none unless the code is `quota-exceeded`. Boxed, for most problems have none.
    pub exceeded: Option<Box<Exceeded>>,
}

/// The body of an error answer (`application/problem+json`).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// Always `about:blank`: `code` tells the kind.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status again.
    status: u16,
    /// Stable, kebab-case, for programs.
    #[schema(example = "not-found")]
    code: &'static str,
    /// A sentence for people.
    detail: String,
    /// The request, for whoever looks it up in the logs.
    request_id: String,
    /// Which fields, by JSON pointer, and why; with `validation-failed` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// The rate limits that were overstepped, as `RateLimit-Policy` names them; with `quota-exceeded` only.
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    policies: Vec<&'static str>,
}

impl Problem {
    /// A problem of any kind.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), retry_after: None, exceeded: None }
    }

    /// The same, with when trying again may help (`Retry-After`).
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// 400 `malformed-request`
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-request", detail)
    }

    /// 401 `unauthorized`
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "The access token is missing, not valid, or no longer valid.")
    }

    /// 403 with a code that says why.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404 `not-found`
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here.")
    }

    /// 409 with a code that says what is in the way.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 422 `validation-failed`
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation-failed", "The request is not valid.") }
    }

    /// 500 `internal`; `why` goes into the log line and nowhere else.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        telemetry::field("error", why.to_string());
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side.")
    }

    /// 503 `unavailable`; `why` goes into the log line and nowhere else.
    pub fn unavailable(why: impl std::fmt::Display) -> Self {
        telemetry::field("error", why.to_string());
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Something that this needs can't be reached just now; please try again.")
    }
}

impl From<tintype_tables::Error> for Problem {
    fn from(error: tintype_tables::Error) -> Self {
        match error {
            tintype_tables::Error::Conflict | tintype_tables::Error::Unavailable(_) => Self::unavailable(error),
            tintype_tables::Error::Condition(_) | tintype_tables::Error::Refused(_) | tintype_tables::Error::Shape(_) => {
                Self::internal(error)
            }
        }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused | AuthError::Ended => Self::unauthorized(),
            AuthError::Table(error) => error.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        telemetry::field("problem", self.code);
        let exceeded = self.exceeded;
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            request_id: telemetry::request_id(),
            errors: self.errors,
            policies: exceeded.iter().map(|exceeded| exceeded.policy.name).collect(),
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(exceeded) = exceeded {
            admission::tell(headers, &exceeded.policy, 0, exceeded.retry_after.max(Duration::from_secs(1)));
        }
        response
    }
}
