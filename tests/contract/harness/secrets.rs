//! Secrets of the host, for the few tests that play what only the inside or the CDN can do.

use std::env;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::{Client, config::Credentials};

/// What access tokens are signed with.
pub(crate) async fn token_secret(aws: &str) -> String {
    secret(aws, "TINTYPE_TOKEN_SECRET", "tintype-TokenSecret").await
}

/// What the CDN proves itself with.
pub(crate) async fn origin_secret(aws: &str) -> String {
    secret(aws, "TINTYPE_ORIGIN_SECRET", "tintype-OriginSecret").await
}

/// The secret whose name a variable has, or else this name.
async fn secret(aws: &str, variable: &str, name: &str) -> String {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(aws)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .load()
        .await;
    let secret = env::var(variable).unwrap_or_else(|_| name.to_owned());
    let answer = Client::new(&config).get_secret_value().secret_id(secret).send().await.expect("the secret");
    answer.secret_string().expect("a text").to_owned()
}
