//! What every HTTP function does at its edge: from a gateway's event to a handler with its viewer and its body, and back.

mod body;
mod input;
mod pages;
mod problem;
mod server;
mod validation;
mod viewer;

pub use body::{Body, MOST_BODY_BYTES, Parameters, PathId};
pub use pages::{List, PageRequest, Paging};
pub use problem::{FieldError, Problem, ProblemBody};
pub use server::{answer, serve, service};
pub use validation::Checks;
pub use viewer::{MaybeViewer, Viewer};

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
