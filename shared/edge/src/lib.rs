//! What every HTTP function does at its edge: from a gateway's event to a handler with its viewer and its body, and back.

mod admission;
mod body;
mod conditional;
mod idempotency;
mod input;
mod pages;
mod problem;
mod security;
mod server;
mod sight;
mod validation;
mod viewer;

pub use admission::{ClientAddress, Guarded, source_ip};
pub use body::{Body, MOST_BODY_BYTES, Parameters, PathId};
pub use idempotency::{Claims, Creation, IdempotencyKey, Made, Once, REPLAYED};
pub use pages::{List, PageRequest, Paging};
pub use problem::{FieldError, Problem, ProblemBody};
pub use server::{DEGRADED, Edge, answer, serve, service};
pub use sight::{open_to, post_open_to};
pub use validation::Checks;
pub use viewer::{MaybeViewer, Viewer, on_behalf_of};

/// The wording of answers that several routes give, for their documentation.
pub mod responses {
    use utoipa::IntoResponses;

    use crate::ProblemBody;

    /// A route that needs an access token.
    #[derive(IntoResponses)]
    pub enum Authenticated {
        /// `unauthorized`: the access token is missing, not valid, or no longer valid.
        #[response(status = 401, content_type = "application/problem+json")]
        Unauthorized(ProblemBody),
    }

    /// A route that reads a body.
    #[derive(IntoResponses)]
    pub enum WithBody {
        /// `malformed-request`: the body is no JSON.
        #[response(status = 400, content_type = "application/problem+json")]
        Malformed(ProblemBody),
        /// `payload-too-large`: over 64 KiB.
        #[response(status = 413, content_type = "application/problem+json")]
        TooLarge(ProblemBody),
        /// `unsupported-media-type`: not `application/json`.
        #[response(status = 415, content_type = "application/problem+json")]
        Unsupported(ProblemBody),
        /// `validation-failed`: `errors` says which fields, by JSON pointer, and why.
        #[response(status = 422, content_type = "application/problem+json")]
        Invalid(ProblemBody),
    }

    /// A route that makes what its body says, at most once if the request has a key.
    #[derive(IntoResponses)]
    pub enum Creation {
        /// `malformed-request`: the body is no JSON, or the `Idempotency-Key` is none.
        #[response(status = 400, content_type = "application/problem+json")]
        Malformed(ProblemBody),
        /// `idempotency-in-progress`: the same request is being worked on just now; `Retry-After` says when to ask again.
        #[response(status = 409, content_type = "application/problem+json", headers(("Retry-After" = u64, description = "Seconds")))]
        InProgress(ProblemBody),
        /// `payload-too-large`: over 64 KiB.
        #[response(status = 413, content_type = "application/problem+json")]
        TooLarge(ProblemBody),
        /// `unsupported-media-type`: not `application/json`.
        #[response(status = 415, content_type = "application/problem+json")]
        Unsupported(ProblemBody),
        /// `validation-failed`: `errors` says which fields, by JSON pointer, and why; `idempotency-key-reused`: the key belongs to another
        /// request.
        #[response(status = 422, content_type = "application/problem+json")]
        Invalid(ProblemBody),
    }

    /// A route that makes something without being told what, at most once if the request has a key.
    #[derive(IntoResponses)]
    pub enum Idempotent {
        /// `malformed-request`: the `Idempotency-Key` is none.
        #[response(status = 400, content_type = "application/problem+json")]
        Malformed(ProblemBody),
        /// `idempotency-in-progress`: the same request is being worked on just now; `Retry-After` says when to ask again.
        #[response(status = 409, content_type = "application/problem+json", headers(("Retry-After" = u64, description = "Seconds")))]
        InProgress(ProblemBody),
        /// `idempotency-key-reused`: the key belongs to another request.
        #[response(status = 422, content_type = "application/problem+json")]
        Reused(ProblemBody),
    }

    /// A route that reads query parameters.
    #[derive(IntoResponses)]
    pub enum Query {
        /// `validation-failed`: `errors` says which parameters, as `?name`, and why.
        #[response(status = 422, content_type = "application/problem+json")]
        Invalid(ProblemBody),
    }

    /// A route about something that may not be there.
    #[derive(IntoResponses)]
    pub enum Lookup {
        /// `not-found`
        #[response(status = 404, content_type = "application/problem+json")]
        NotFound(ProblemBody),
    }
}
