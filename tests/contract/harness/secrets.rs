//! Secrets of the host, for the few tests that play what only the inside or the CDN can do; and the command that rotates one.

use std::{
    env,
    process::{Command, Output},
};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::{Client, config::Credentials};

use super::host;

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

/// Does one step of a rotation of the keys of tokens: `tintype keys {step}`.
pub(crate) fn rotate(step: &str, aws: &str) -> Output {
    let (_, port) = aws.rsplit_once(':').expect("a port");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tintype"));
    command.args(["keys", step, "--aws-port", port]).current_dir(host::root()).output().expect("the program runs")
}

/// What a step says that was not done.
pub(crate) fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
