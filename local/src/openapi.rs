//! The API's description: what each function's code says of its routes, merged into one document.

use utoipa::openapi::{
    Contact, Info, License, OpenApi, OpenApiBuilder, Server, Tag,
    security::{Http, HttpAuthScheme, SecurityScheme},
};

/// The OpenAPI 3.1 document of the whole API, as `docs/openapi.json` holds it and `GET /v1/openapi.json` answers it.
pub fn document() -> String {
    let mut json = merged().to_pretty_json().expect("the document is JSON");
    json.push('\n');
    json
}

fn merged() -> OpenApi {
    let mut document = OpenApiBuilder::new().info(info()).servers(Some([Server::new("/v1")])).tags(Some(tags())).build();
    let functions = [users::openapi(), posts::openapi(), comments::openapi(), feed::openapi(), notifications::openapi(), home::openapi()];
    for function in functions {
        document.merge(function);
    }
    let token = SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build());
    document.components.get_or_insert_default().add_security_scheme("access_token", token);
    document
}

fn info() -> Info {
    Info::builder()
        .title("Tintype")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A photo-sharing backend. Errors are `application/problem+json` (RFC 9457) with a stable `code`; besides those \
             that a route lists, the gateway itself may answer 401 `unauthorized`, 404 `not-found`, 413 `payload-too-large`, \
             429 `quota-exceeded`, 500 `internal`, 503 `unavailable` and 504 `timeout`. Every route may answer 429 \
             `quota-exceeded` or `address-banned` with `Retry-After`; `RateLimit` says what is left. Lists are paged by opaque cursors, \
             with `Link: rel=\"next\"`. Times are RFC 3339 in UTC, ids UUIDv7.",
        ))
        .contact(None::<Contact>)
        .license(Some(License::new("MIT OR Apache-2.0")))
        .build()
}

fn tags() -> Vec<Tag> {
    [
        ("accounts", "Signing up, passwords and second factors, leaving, and taking it all along"),
        ("sessions", "Logging in, and the devices that are"),
        ("users", "Profiles and pictures; who follows, blocks or mutes whom"),
        ("posts", "Upload tickets, and posts: to read, to change, to like and to save, and their deletion"),
        ("comments", "Comments on posts, replies, and their likes"),
        ("feed", "The home timeline"),
        ("notifications", "What others have done that concerns one"),
        ("service", "The API itself"),
    ]
    .map(|(name, description)| {
        let mut tag = Tag::new(name);
        tag.description = Some(description.to_owned());
        tag
    })
    .into()
}
