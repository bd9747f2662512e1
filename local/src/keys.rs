//! `tintype keys begin`, `tintype keys finish`: a rotation of the keys that tokens are made with.
//!
//! The keys are made of the versions of one secret; what functions/users makes of the versions' stages stands there (`keys.rs`). `begin` adds
//! a version with stage `AWSPENDING`: its public key is published, and nothing is signed with it. `finish` makes it the current one. Both do
//! nothing that the AWS CLI could not do, and can be repeated after any failure: all that they know they read from the secret.

use std::{
    net::SocketAddrV4,
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::{
    Client,
    config::Credentials,
    error::{DisplayErrorContext, SdkError},
    types::SecretVersionsListEntry,
};
use clap::{Args, Subcommand};
use tintype_cloud::REGION;

use crate::{cli::print, host};

const CURRENT: &str = "AWSCURRENT";
const PENDING: &str = "AWSPENDING";
/// `functions/users` reads the secret every five minutes, and its key set is kept for five by whoever asked.
const NOTICE: Duration = Duration::from_mins(10);
/// As the template has the first one made.
const LENGTH: i64 = 64;

/// The arguments of `tintype keys`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name or ARN of the secret
    #[arg(long, default_value = "tintype-TokenSecret", value_name = "ID", global = true)]
    secret_id: String,
    /// On AWS, with the credentials and the region of the environment, rather than on the host of this machine
    #[arg(long, global = true)]
    aws: bool,
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Step {
    /// Publish the next key
    Begin,
    /// Sign with it, once everybody knows it
    Finish,
}

/// Why a rotation does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The secret can't be read or changed.
    #[error("Secrets Manager: {0}")]
    Secrets(String),
    /// A rotation was begun before.
    #[error("a rotation has begun already: `tintype keys finish` ends it")]
    HasBegun,
    /// None was begun.
    #[error("no rotation has begun: `tintype keys begin` does that")]
    HasNotBegun,
    /// Not everybody knows the key yet.
    #[error("too early: the next key was made {} s ago, and is known everywhere after {} s", age.as_secs(), NOTICE.as_secs())]
    TooEarly {
        /// How old it is.
        age: Duration,
    },
}

impl<E: std::error::Error + 'static, R: std::fmt::Debug + 'static> From<SdkError<E, R>> for Error {
    fn from(error: SdkError<E, R>) -> Self {
        Self::Secrets(DisplayErrorContext(error).to_string())
    }
}

/// Does one step. `local` is where the AWS endpoints of this machine's host are.
pub(crate) fn run(arguments: &Arguments, local: SocketAddrV4) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let said = runtime.block_on(async {
        let aws = if arguments.aws { aws_config::load_defaults(BehaviorVersion::latest()).await } else { on_this_machine(local).await };
        let rotation = Rotation { client: Client::new(&aws), secret: &arguments.secret_id };
        match arguments.step {
            Step::Begin => rotation.begin().await,
            Step::Finish => rotation.finish().await,
        }
    })?;
    Ok(print(&said)?)
}

async fn on_this_machine(local: SocketAddrV4) -> SdkConfig {
    let credentials = Credentials::new(host::KEY, host::KEY, None, None, "this machine");
    let config = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(REGION)).credentials_provider(credentials);
    config.endpoint_url(format!("http://{local}")).load().await
}

struct Rotation<'a> {
    client: Client,
    secret: &'a str,
}

impl Rotation<'_> {
    async fn begin(&self) -> Result<String, Error> {
        if pending(&self.versions().await?).is_some() {
            return Err(Error::HasBegun);
        }
        let random = self.client.get_random_password().password_length(LENGTH).exclude_punctuation(true).send().await?;
        let value = random.random_password.ok_or_else(|| Error::Secrets("there is no password in the answer".to_owned()))?;
        self.client.put_secret_value().secret_id(self.secret).secret_string(value).version_stages(PENDING).send().await?;
        Ok(format!("The next key is made. In {} minutes everybody knows it: then `tintype keys finish`.\n", NOTICE.as_secs() / 60))
    }

    async fn finish(&self) -> Result<String, Error> {
        let versions = self.versions().await?;
        let next = pending(&versions).ok_or(Error::HasNotBegun)?;
        if let Some(age) = too_young(next, SystemTime::now()) {
            return Err(Error::TooEarly { age });
        }
        let current = versions.iter().find(|version| has(version, CURRENT));
        let (from, to) = (current.and_then(SecretVersionsListEntry::version_id), next.version_id());
        let move_stage = self.client.update_secret_version_stage().secret_id(self.secret).version_stage(CURRENT);
        move_stage.set_remove_from_version_id(from.map(str::to_owned)).set_move_to_version_id(to.map(str::to_owned)).send().await?;
        // Were it left, the next `begin` would move it: a version that is current is not taken for a pending one.
        let take_away = self.client.update_secret_version_stage().secret_id(self.secret).version_stage(PENDING);
        take_away.set_remove_from_version_id(to.map(str::to_owned)).send().await?;
        Ok("The key signs within five minutes. The last one goes on being published until no token of its is alive.\n".to_owned())
    }

    async fn versions(&self) -> Result<Vec<SecretVersionsListEntry>, Error> {
        Ok(self.client.list_secret_version_ids().secret_id(self.secret).send().await?.versions.unwrap_or_default())
    }
}

/// The version that waits; one that is current already has come through.
fn pending(versions: &[SecretVersionsListEntry]) -> Option<&SecretVersionsListEntry> {
    versions.iter().find(|version| has(version, PENDING) && !has(version, CURRENT))
}

fn has(version: &SecretVersionsListEntry, stage: &str) -> bool {
    version.version_stages().iter().any(|other| other == stage)
}

/// How old a version is that not everybody can know yet. One without a time, or of the future, is made just now.
fn too_young(version: &SecretVersionsListEntry, now: SystemTime) -> Option<Duration> {
    let created = version.created_date().and_then(|created| SystemTime::try_from(*created).ok()).unwrap_or(now);
    let age = now.duration_since(created).unwrap_or_default();
    (age < NOTICE).then_some(age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_secretsmanager::primitives::DateTime;

    fn version(stages: &[&str], created: i64) -> SecretVersionsListEntry {
        let stages = stages.iter().map(|stage| (*stage).to_owned()).collect();
        SecretVersionsListEntry::builder().set_version_stages(Some(stages)).created_date(DateTime::from_secs(created)).build()
    }

    #[test]
    fn what_waits_is_what_is_pending_and_not_current() {
        let waiting = [version(&["AWSCURRENT"], 0), version(&["AWSPENDING"], 1)];
        assert_eq!(pending(&waiting), Some(&waiting[1]));
        assert_eq!(pending(&[version(&["AWSCURRENT", "AWSPENDING"], 0), version(&["AWSPREVIOUS"], 1)]), None);
    }

    #[test]
    fn a_key_is_known_after_ten_minutes_and_not_before() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let version = version(&["AWSPENDING"], 1000);
        assert_eq!(too_young(&version, at(1000)), Some(Duration::ZERO));
        assert_eq!(too_young(&version, at(900)), Some(Duration::ZERO));
        assert_eq!(too_young(&version, at(1599)), Some(Duration::from_secs(599)));
        assert_eq!(too_young(&version, at(1600)), None);
    }
}
