//! The secret that Secrets Manager generated, and its versions.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::error::{DisplayErrorContext, ProvideErrorMetadata};
use thiserror::Error;
use tintype_resilience::{Dependency, Guard};

/// Why the secret can't be had: the function can't start without it.
#[derive(Debug, Error)]
pub(crate) enum SecretError {
    #[error("the token secret can't be read: {0}")]
    Unreadable(String),
    #[error("the token secret is read too slowly")]
    Slow,
    #[error("the token secret has no text")]
    NoText,
    #[error("the public keys can't be published: {0}")]
    Unpublished(tintype_tables::Error),
}

/// The secret, where it lies.
pub(crate) struct Secret {
    pub(crate) client: aws_sdk_secretsmanager::Client,
    pub(crate) arn: String,
}

/// A read that was given up after so long has failed: whoever waits for the secret waits for all of its versions, `MOST_WAITED` in all.
const HANGS: Duration = Duration::from_secs(1);

/// The client that reads the secret, behind a breaker of its own.
pub(crate) fn client(aws: &SdkConfig) -> aws_sdk_secretsmanager::Client {
    let guard = Guard::new(Dependency::new("token_secret"), HANGS);
    let config = aws_sdk_secretsmanager::config::Builder::from(aws).retry_partition(guard.retries()).interceptor(guard);
    aws_sdk_secretsmanager::Client::from_conf(config.build())
}

/// The secret's versions, by their stages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Versions {
    /// What tokens are to be made with.
    pub(crate) current: String,
    /// What was current before.
    pub(crate) previous: Option<String>,
    /// What will be current next.
    pub(crate) pending: Option<String>,
}

impl Secret {
    /// All versions that matter. A rotation between the reads shows one version under two stages, or the pending one not at all;
    /// what was current is never missed, for it is read last as the previous one.
    pub(crate) async fn versions(&self) -> Result<Versions, SecretError> {
        let (current, pending) = tokio::try_join!(self.version("AWSCURRENT"), self.version("AWSPENDING"))?;
        let previous = self.version("AWSPREVIOUS").await?;
        Ok(Versions { current: current.ok_or(SecretError::NoText)?, previous, pending })
    }

    /// The text of the version with this stage; `None`: no version has it.
    async fn version(&self, stage: &str) -> Result<Option<String>, SecretError> {
        let request = self.client.get_secret_value().secret_id(&self.arn).version_stage(stage);
        match Box::pin(request.send()).await {
            Ok(answer) => answer.secret_string.map(Some).ok_or(SecretError::NoText),
            Err(error) if error.code() == Some("ResourceNotFoundException") && stage != "AWSCURRENT" => Ok(None),
            Err(error) => Err(SecretError::Unreadable(DisplayErrorContext(error).to_string())),
        }
    }
}
