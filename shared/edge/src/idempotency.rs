//! `Idempotency-Key`: a request that makes something can be sent again without making it twice.
//!
//! A claim in the Edge table names the request (its path and body, hashed) and the id of what it makes. Only the id and the status are
//! kept: a repetition rebuilds its answer from what there is now, and signs its links anew. Without the header nothing is written.

mod claim;
mod key;

use std::{fmt::Display, str::FromStr};

use axum::extract::{FromRequest, MatchedPath, Request};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use tintype_core::UserId;
use tintype_tables::edge;
use tintype_telemetry as telemetry;

use crate::{body, problem::Problem};

pub use claim::Claims;
pub use key::IdempotencyKey;

use claim::Attempt;

/// What a repetition's answer says.
pub const REPLAYED: (HeaderName, HeaderValue) = (HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));

/// A JSON body of type `T` of a request that makes something, and whether it was sent before.
#[derive(Debug)]
pub struct Creation<T>(pub T, pub Once);

/// A request that makes something, at most once if its sender wishes so.
#[derive(Debug)]
pub struct Once(Option<Asked>);

#[derive(Debug)]
struct Asked {
    claims: Claims,
    /// `POST /posts`
    route: String,
    /// Hashed: it may be long, and is nobody's business.
    key: String,
    fingerprint: String,
}

/// What a request has made.
#[derive(Debug, PartialEq, Eq)]
pub enum Made<Id, T> {
    /// It was made just now.
    Now(T),
    /// It was made before.
    Before {
        /// Its id.
        id: Id,
        /// The status of the first answer.
        status: StatusCode,
    },
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Creation<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        body::require_json(request.headers())?;
        let (once, bytes) = read(request).await?;
        Ok(Self(body::parse(&bytes)?, once))
    }
}

/// For a route without a body: whatever is sent is only compared.
impl<S: Sync> FromRequest<S> for Once {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        Ok(read(request).await?.0)
    }
}

async fn read(request: Request) -> Result<(Once, axum::body::Bytes), Problem> {
    let (parts, body) = request.into_parts();
    let key = key::of(&parts.headers)?;
    let bytes = body::read(body).await?;
    let Some(key) = key else { return Ok((Once(None), bytes)) };
    let claims = parts.extensions.get::<Claims>().ok_or_else(|| Problem::internal("this function keeps no claims"))?.clone();
    let path = parts.extensions.get::<MatchedPath>().map_or_else(|| parts.uri.path(), MatchedPath::as_str);
    let asked = Asked {
        claims,
        route: format!("{} {path}", parts.method),
        key: key::hash(&[key.as_bytes()]),
        // The path as well: a comment on another post is another request.
        fingerprint: key::hash(&[parts.uri.to_string().as_bytes(), &bytes]),
    };
    Ok((Once(Some(asked)), bytes))
}

impl Once {
    /// Makes what `user` asks for by `make`, which answers `status`: unless it was made before.
    ///
    /// `make` gets the id that the thing must have: `id`, or, after a run that was cut off, the id of that one. It must create it on the
    /// condition that there is none with this id, and if there is one take it for its own: the run that was cut off has made it.
    ///
    /// If `make` answers a problem of the caller's (4xx) it has made nothing, and the key is free again. After any other problem nobody
    /// knows: the key stays with this request and id, and who sends it again makes it, or finds it made.
    pub async fn make<Id, T, F, Fut>(self, user: UserId, id: Id, status: StatusCode, make: F) -> Result<Made<Id, T>, Problem>
    where
        Id: Display + FromStr,
        F: FnOnce(Id) -> Fut,
        Fut: Future<Output = Result<T, Problem>>,
    {
        let Some(asked) = self.0 else { return make(id).await.map(Made::Now) };
        let key = edge::claim(user, &asked.route, &asked.key);
        let read_id = |id: String| id.parse::<Id>().map_err(|_| Problem::internal("a claim's id can't be read"));
        // Made without the claim it might be made twice, which is what the caller wants to exclude.
        let attempt = asked.claims.claim(&key, &asked.fingerprint, &id.to_string()).await.map_err(Problem::unavailable)?;
        let (claim, id) = match attempt {
            Attempt::Claimed(claim, id) => (claim, read_id(id)?),
            Attempt::Answered { id, status } => {
                telemetry::field("idempotency.replayed", true);
                let status = StatusCode::from_u16(status).map_err(Problem::internal)?;
                return Ok(Made::Before { id: read_id(id)?, status });
            }
            Attempt::InProgress => return Err(in_progress()),
            Attempt::Reused => return Err(reused()),
        };
        match make(id).await {
            Ok(made) => {
                claim.answered(status.as_u16()).await;
                Ok(Made::Now(made))
            }
            Err(problem) => {
                if problem.status.is_client_error() {
                    claim.release().await;
                } else {
                    claim.abandon().await;
                }
                Err(problem)
            }
        }
    }
}

fn in_progress() -> Problem {
    Problem::conflict("idempotency-in-progress", "The same request is being worked on just now; please ask again in a moment.")
        .retry_after(1)
}

fn reused() -> Problem {
    let detail = "The key was used for another request within the last day; please take a new one.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", detail)
}

#[cfg(test)]
mod tests;
