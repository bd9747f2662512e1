//! The keys that tokens are made with: which there are, which one signs, and how the public ones get about.
//!
//! They are made of the versions of one secret. A rotation puts a new version beside the current one (stage `AWSPENDING`), and later
//! makes it the current one; [`published`] says what follows from that, and when.

mod published;
mod secret;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use tintype_auth::{LIFETIME, Signer, write_jwks};
use tintype_core::Time;
use tintype_tables::{
    Table,
    table::{back_off, failure, text},
    users,
};
use tintype_telemetry as telemetry;

use crate::{
    App,
    refresh::{RefreshKey, RefreshToken},
};
use published::{Published, Signers};
use secret::Secret;
pub(crate) use secret::{SecretError, Versions, client};

/// How long the secret's versions are used before they are read again.
const MEMORY: Duration = Duration::from_mins(5);
/// When it could not be read, the keys at hand go on for as long.
const PATIENCE: Duration = Duration::from_secs(30);
/// A refresh token that opens with none may be of a key that others have read since; but such a token costs its sender nothing.
const REREAD: Duration = Duration::from_secs(5);
/// A request waits no longer than this for the secret: its keys are at hand, if old.
const MOST_WAITED: Duration = Duration::from_millis(1_500);
/// How long whoever asked for `jwks.json` may keep it.
const CACHE: Duration = Duration::from_mins(5);
/// A key signs when it has been public for so long: by then every instance has read it, and whoever kept the set of one that had not
/// asks again.
const NOTICE: Duration = MEMORY.saturating_add(CACHE);
/// A key that signs no more stays public for so long: instances may sign with it until they read the secret again, and what they
/// signed last lives on for its time. As much again is for instances that cannot read it just then.
const AFTERLIFE: Duration = MEMORY.saturating_add(LIFETIME).saturating_mul(2);

/// The keys, as of now.
pub(crate) struct Keys {
    source: Option<Source>,
    held: Mutex<Held>,
}

/// Where they come from; tests have none.
struct Source {
    secret: Secret,
    users: Table,
}

struct Held {
    keys: Arc<Current>,
    read_again_at: Time,
    /// When a refresh token that can't be opened may have them read again.
    reread_at: Time,
}

/// What signs access tokens, and what proves refresh tokens.
pub(crate) struct Current {
    pub(crate) signer: Arc<Signer>,
    /// Of all versions: a refresh token outlives the rotation that comes after it. The first seals, and is made of what signs access
    /// tokens: by then every instance has read it.
    refresh: Vec<RefreshKey>,
    /// The public keys that tokens may be signed with.
    jwks: String,
}

impl Keys {
    /// The keys made of the secret at `arn`; the public ones are published when this returns.
    pub(crate) async fn load(client: aws_sdk_secretsmanager::Client, arn: String, users: Table) -> Result<Self, SecretError> {
        let source = Source { secret: Secret { client, arn }, users };
        let now = Time::now();
        let keys = source.read(now).await?;
        Ok(Self { source: Some(source), held: Mutex::new(Held::of(Arc::new(keys), now)) })
    }

    /// The keys of one secret that never changes.
    #[cfg(test)]
    pub(crate) fn from_secret(secret: &str) -> Self {
        let versions = Versions { current: secret.to_owned(), ..Versions::default() };
        let keys = Arc::new(Current::agreed(&versions, Published::default(), Time::now()).0);
        Self { source: None, held: Mutex::new(Held::of(keys, Time::now())) }
    }

    /// The keys as of now: the secret is read again when that was long ago. If it can't be read, those at hand go on.
    pub(crate) async fn now(&self) -> Arc<Current> {
        let now = Time::now();
        match self.source.as_ref().filter(|_| self.are_old(now)) {
            Some(source) => self.read(source, now).await,
            None => self.at_hand(),
        }
    }

    /// What a refresh token says, if one of our keys has sealed it: also one that was read by others since we have.
    pub(crate) async fn open(&self, text: &str) -> Option<RefreshToken> {
        if let Some(token) = self.now().await.open(text) {
            return Some(token);
        }
        let now = Time::now();
        let source = self.source.as_ref().filter(|_| self.may_reread(now))?;
        self.read(source, now).await.open(text)
    }

    /// Reads them, or goes on with those at hand.
    async fn read(&self, source: &Source, now: Time) -> Arc<Current> {
        match tokio::time::timeout(MOST_WAITED, source.read(now)).await.unwrap_or(Err(SecretError::Slow)) {
            Ok(keys) => {
                let keys = Arc::new(keys);
                *self.held() = Held::of(Arc::clone(&keys), now);
                keys
            }
            Err(error) => {
                telemetry::field("keys.error", error.to_string());
                self.at_hand()
            }
        }
    }

    fn at_hand(&self) -> Arc<Current> {
        Arc::clone(&self.held().keys)
    }

    /// Whether it is this caller's turn to read them again; nobody else's for a while.
    fn are_old(&self, now: Time) -> bool {
        let mut held = self.held();
        let old = held.read_again_at <= now;
        if old {
            held.read_again_at = now.plus(PATIENCE);
        }
        old
    }

    /// Whether it is this caller's turn to read them though they are not old.
    fn may_reread(&self, now: Time) -> bool {
        let mut held = self.held();
        let may = held.reread_at <= now;
        if may {
            held.reread_at = now.plus(REREAD);
        }
        may
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn of(keys: Arc<Current>, read_at: Time) -> Self {
        Self { keys, read_again_at: read_at.plus(MEMORY), reread_at: read_at.plus(REREAD) }
    }
}

impl Source {
    async fn read(&self, now: Time) -> Result<Current, SecretError> {
        publish(&self.users, &self.secret.versions().await?, now).await.map_err(SecretError::Unpublished)
    }
}

impl Current {
    /// What follows from the secret's versions and what is published, and what is to be published.
    fn agreed(versions: &Versions, published: Published, now: Time) -> (Self, Published) {
        let signers = Signers {
            current: Arc::new(Signer::from_secret(&versions.current)),
            previous: versions.previous.as_deref().map(Signer::from_secret).map(Arc::new),
            pending: versions.pending.as_deref().map(Signer::from_secret).map(Arc::new),
        };
        let (signer, next) = published.next(&signers, now);
        let seals =
            if signers.previous.as_ref().is_some_and(|previous| Arc::ptr_eq(previous, &signer)) { &versions.previous } else { &None };
        let secrets = [seals.as_ref(), Some(&versions.current), versions.previous.as_ref(), versions.pending.as_ref()];
        let refresh = secrets.into_iter().flatten().map(|secret| RefreshKey::from_secret(secret)).collect();
        (Self { signer, refresh, jwks: write_jwks(next.keys()) }, next)
    }

    /// A refresh token's text.
    pub(crate) fn seal(&self, token: &RefreshToken) -> String {
        self.refresh[0].seal(token)
    }

    /// What a text says, if one of our keys has sealed it.
    pub(crate) fn open(&self, text: &str) -> Option<RefreshToken> {
        self.refresh.iter().find_map(|key| key.open(text))
    }
}

/// Lets everybody who verifies tokens know the public keys. Writes only if something changes.
async fn publish(users: &Table, versions: &Versions, now: Time) -> Result<Current, tintype_tables::Error> {
    let mut attempt = 0;
    loop {
        let stored: Option<published::Stored> = users.get(&users::jwks(), true).await?;
        // A set that can't be read verifies nothing: it is no loss.
        let published = stored.as_ref().map(Published::from).unwrap_or_default();
        let (keys, next) = Current::agreed(versions, published, now);
        let next = published::Stored::from(&next);
        if stored.as_ref() == Some(&next) {
            return Ok(keys);
        }
        match replace(users, stored.as_ref(), &next).await {
            Ok(()) => return Ok(keys),
            // Another instance was faster: its set is the one to start from.
            Err(tintype_tables::Error::Condition(_)) => back_off(attempt).await?,
            Err(error) => return Err(error),
        }
        attempt += 1;
    }
}

/// Publishes the set `next`, if what is published is still `read`.
async fn replace(users: &Table, read: Option<&published::Stored>, next: &published::Stored) -> Result<(), tintype_tables::Error> {
    let mut item = users::jwks().item();
    item.insert("jwks".to_owned(), text(&next.jwks));
    item.insert("times".to_owned(), text(&next.times));
    let put = users.client.put_item().table_name(&users.name).set_item(Some(item));
    let put = match read {
        Some(read) if read.times.is_empty() => {
            let put = put.condition_expression("jwks = :jwks AND attribute_not_exists(times)");
            put.expression_attribute_values(":jwks", text(&read.jwks))
        }
        Some(read) => {
            let put = put.condition_expression("jwks = :jwks AND times = :times");
            put.expression_attribute_values(":jwks", text(&read.jwks)).expression_attribute_values(":times", text(&read.times))
        }
        None => put.condition_expression("attribute_not_exists(pk)"),
    };
    Box::pin(put.send()).await.map_err(failure)?;
    Ok(())
}

/// The public keys of access tokens, as a JWK set (RFC 7517).
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    tag = "sessions",
    responses((status = 200, description = "The set; it may be kept for five minutes", body = Object, content_type = "application/json"))
)]
pub(crate) async fn jwks(State(app): State<App>) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CACHE_CONTROL, format!("public, max-age={}", CACHE.as_secs()))];
    (headers, app.keys.now().await.jwks.clone()).into_response()
}

#[cfg(test)]
mod tests;
