//! Why the gateway answers a request itself, without (or instead of) the function's answer.

use http::StatusCode;

/// Each reason is one of API Gateway's gateway response types; the template says what the client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The request line, `Host` or path cannot be understood.
    BadRequest,
    /// The body did not arrive in time.
    RequestTimeout,
    /// Request line and headers are too long.
    HeadersTooLarge,
    /// The body is over 10 MB, or over what an invocation may carry.
    RequestTooLarge,
    /// No such route, or no such method there: API Gateway calls both so.
    MissingAuthenticationToken,
    /// The stage's token bucket is empty.
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
    /// The function did not answer within 29 s.
    IntegrationTimeout,
}

/// What API Gateway says of a refusal unless the template says otherwise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described {
    /// The gateway response type: the key of the template's `GatewayResponses`.
    pub(crate) response_type: &'static str,
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
        let described = |response_type, status, message, error_type| Described { response_type, status, message, error_type };
        match self {
            Self::BadRequest => described("DEFAULT_4XX", StatusCode::BAD_REQUEST, Some("Bad Request"), "BadRequestException"),
            Self::RequestTimeout => {
                described("DEFAULT_4XX", StatusCode::REQUEST_TIMEOUT, Some("Request Timeout"), "RequestTimeoutException")
            }
            Self::HeadersTooLarge => described(
                "DEFAULT_4XX",
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Some("Request Header Fields Too Large"),
                "RequestHeaderFieldsTooLargeException",
            ),
            Self::RequestTooLarge => {
                described("REQUEST_TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE, Some("Request Too Long"), "RequestTooLargeException")
            }
            Self::MissingAuthenticationToken => described(
                "MISSING_AUTHENTICATION_TOKEN",
                StatusCode::FORBIDDEN,
                Some("Missing Authentication Token"),
                "MissingAuthenticationTokenException",
            ),
            Self::Throttled => described("THROTTLED", StatusCode::TOO_MANY_REQUESTS, Some("Too Many Requests"), "TooManyRequestsException"),
            Self::Unauthorized => described("UNAUTHORIZED", StatusCode::UNAUTHORIZED, Some("Unauthorized"), "UnauthorizedException"),
            Self::AccessDenied { explicit } => described(
                "ACCESS_DENIED",
                StatusCode::FORBIDDEN,
                Some(if explicit {
                    "User is not authorized to access this resource with an explicit deny"
                } else {
                    "User is not authorized to access this resource"
                }),
                "AccessDeniedException",
            ),
            Self::AuthorizerFailure => {
                described("AUTHORIZER_FAILURE", StatusCode::INTERNAL_SERVER_ERROR, None, "AuthorizerFailureException")
            }
            Self::AuthorizerConfigurationError => {
                described("AUTHORIZER_CONFIGURATION_ERROR", StatusCode::INTERNAL_SERVER_ERROR, None, "AuthorizerConfigurationException")
            }
            Self::ApiConfigurationError => described(
                "API_CONFIGURATION_ERROR",
                StatusCode::INTERNAL_SERVER_ERROR,
                Some("Internal server error"),
                "ApiConfigurationException",
            ),
            // The type's documented status is 504; a function's failure or malformed answer comes out as 502 all the same.
            Self::IntegrationFailure => {
                described("INTEGRATION_FAILURE", StatusCode::BAD_GATEWAY, Some("Internal server error"), "InternalServerErrorException")
            }
            Self::IntegrationTimeout => described(
                "INTEGRATION_TIMEOUT",
                StatusCode::GATEWAY_TIMEOUT,
                Some("Endpoint request timed out"),
                "InternalServerErrorException",
            ),
        }
    }
}
