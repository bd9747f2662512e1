//! Why the gateway answers a request itself, without (or instead of) the function's answer.

use http::StatusCode;

/// The reasons. Most are one of API Gateway's gateway response types, and the template says what the client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The URL is too long.
    UrlTooLong,
    /// Request line and headers are too long.
    HeadersTooLarge,
    /// The request line, `Host` or path cannot be understood.
    BadRequest,
    /// The body did not arrive in time. API Gateway has no response type for it, so a template can shape it as `DEFAULT_4XX` alone,
    /// and one that names a status there (this repository's does: 400) has that instead of 408.
    RequestTimeout,
    /// The body is over 10 MB, or over what an invocation may carry.
    RequestTooLarge,
    /// No such route, or no such method there: API Gateway calls both so.
    MissingAuthenticationToken,
    /// The same, with a header `Authorization`: with no route to say what it is, it is read as an AWS signature, and is none.
    InvalidSignature,
    /// The stage's or the method's token bucket is empty.
    Throttled,
    /// An identity source is missing, or the authorizer said `Unauthorized`.
    Unauthorized,
    /// The authorizer's policy does not allow the method, or denies it.
    AccessDenied {
        /// A `Deny` statement matched.
        explicit: bool,
    },
    /// The authorizer's function failed.
    AuthorizerFailure,
    /// The authorizer's answer is no policy.
    AuthorizerConfigurationError,
    /// A body that claims to be base64 is not.
    ApiConfigurationError,
    /// The function failed, or its answer is not a proxy response.
    IntegrationFailure,
    /// Lambda did not take the invocation: too many run already, no such function, or the host stops. Templates know it by the same
    /// type as a function's failure, and so do clients; without a template it is 500 in place of 502.
    InvocationRejected,
    /// The function did not answer within 29 s.
    IntegrationTimeout,
}

/// What API Gateway says of a refusal unless the template says otherwise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described {
    /// The gateway response type, which is the key of the template's `GatewayResponses`; where it has none of its own,
    /// `DEFAULT_4XX`. `None` for what is refused before anyone knows which API is asked: no template shapes that.
    pub(crate) response_type: Option<&'static str>,
    /// The type's own status.
    pub(crate) status: StatusCode,
    /// `$context.error.message`.
    pub(crate) message: Option<&'static str>,
    /// The header `x-amzn-ErrorType`.
    pub(crate) error_type: &'static str,
}

impl Refusal {
    /// Type, status and words, as AWS has them.
    pub(crate) fn describe(self) -> Described {
        let (response_type, status, message, error_type) = match self {
            Self::UrlTooLong => (None, 414, Some("An HTTP line is larger than 10240 bytes."), ""),
            Self::HeadersTooLarge => (None, 431, Some("HTTP header is larger than 10240 bytes."), ""),
            Self::BadRequest => (Some("DEFAULT_4XX"), 400, Some("Bad Request"), "BadRequestException"),
            Self::RequestTimeout => (Some("DEFAULT_4XX"), 408, Some("Request Timeout"), "RequestTimeoutException"),
            Self::RequestTooLarge => (Some("REQUEST_TOO_LARGE"), 413, Some("Request Too Long"), "RequestTooLargeException"),
            Self::MissingAuthenticationToken => {
                (Some("MISSING_AUTHENTICATION_TOKEN"), 403, Some("Missing Authentication Token"), "MissingAuthenticationTokenException")
            }
            Self::InvalidSignature => (
                Some("INVALID_SIGNATURE"),
                403,
                Some("Invalid key=value pair (missing equal-sign) in Authorization header"),
                "IncompleteSignatureException",
            ),
            Self::Throttled => (Some("THROTTLED"), 429, Some("Too Many Requests"), "TooManyRequestsException"),
            Self::Unauthorized => (Some("UNAUTHORIZED"), 401, Some("Unauthorized"), "UnauthorizedException"),
            Self::AccessDenied { explicit: true } => (
                Some("ACCESS_DENIED"),
                403,
                Some("User is not authorized to access this resource with an explicit deny"),
                "AccessDeniedException",
            ),
            Self::AccessDenied { explicit: false } => {
                (Some("ACCESS_DENIED"), 403, Some("User is not authorized to access this resource"), "AccessDeniedException")
            }
            Self::AuthorizerFailure => (Some("AUTHORIZER_FAILURE"), 500, None, "AuthorizerFailureException"),
            Self::AuthorizerConfigurationError => (Some("AUTHORIZER_CONFIGURATION_ERROR"), 500, None, "AuthorizerConfigurationException"),
            Self::ApiConfigurationError => {
                (Some("API_CONFIGURATION_ERROR"), 500, Some("Internal server error"), "ApiConfigurationException")
            }
            // The type's documented status is 504; a function's failure or malformed answer comes out as 502 all the same.
            Self::IntegrationFailure => (Some("INTEGRATION_FAILURE"), 502, Some("Internal server error"), "InternalServerErrorException"),
            Self::InvocationRejected => (Some("INTEGRATION_FAILURE"), 500, Some("Internal server error"), "InternalServerErrorException"),
            Self::IntegrationTimeout => {
                (Some("INTEGRATION_TIMEOUT"), 504, Some("Endpoint request timed out"), "InternalServerErrorException")
            }
        };
        let status = StatusCode::from_u16(status).expect("the numbers above are statuses");
        Described { response_type, status, message, error_type }
    }

    #[cfg(test)]
    pub(crate) const ALL: [Self; 17] = [
        Self::UrlTooLong,
        Self::HeadersTooLarge,
        Self::BadRequest,
        Self::RequestTimeout,
        Self::RequestTooLarge,
        Self::MissingAuthenticationToken,
        Self::InvalidSignature,
        Self::Throttled,
        Self::Unauthorized,
        Self::AccessDenied { explicit: true },
        Self::AccessDenied { explicit: false },
        Self::AuthorizerFailure,
        Self::AuthorizerConfigurationError,
        Self::ApiConfigurationError,
        Self::IntegrationFailure,
        Self::InvocationRejected,
        Self::IntegrationTimeout,
    ];
}
