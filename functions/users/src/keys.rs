//! The secret that Secrets Manager generated, and the keys that are made of it.

use aws_sdk_secretsmanager::error::DisplayErrorContext;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use thiserror::Error;
use tintype_auth::Signer;
use tintype_tables::{
    Table,
    table::{back_off, failure, text},
    users,
};

use crate::{App, refresh::RefreshKey};

/// Why the secret can't be had: the function can't start without it.
#[derive(Debug, Error)]
pub(crate) enum SecretError {
    #[error("the token secret can't be read: {0}")]
    Unreadable(String),
    #[error("the token secret has no text")]
    NoText,
}

/// What signs access tokens, and what proves refresh tokens.
pub(crate) struct Keys {
    pub(crate) signer: Signer,
    pub(crate) refresh: RefreshKey,
    /// The public keys that tokens may be signed with.
    jwks: String,
}

impl Keys {
    /// The keys made of the secret at `arn`.
    pub(crate) async fn load(secrets: &aws_sdk_secretsmanager::Client, arn: &str) -> Result<Self, SecretError> {
        let answer = Box::pin(secrets.get_secret_value().secret_id(arn).send()).await;
        let answer = answer.map_err(|error| SecretError::Unreadable(DisplayErrorContext(error).to_string()))?;
        Ok(Self::from_secret(answer.secret_string().ok_or(SecretError::NoText)?))
    }

    pub(crate) fn from_secret(secret: &str) -> Self {
        let signer = Signer::from_secret(secret);
        Self { jwks: signer.jwks(), signer, refresh: RefreshKey::from_secret(secret) }
    }

    /// Lets everybody who verifies tokens know the public key, beside those that they know already: a new secret must not void the
    /// tokens that are about. Writes only if they don't know it yet.
    pub(crate) async fn publish(&mut self, users: &Table) -> Result<(), tintype_tables::Error> {
        let mut attempt = 0;
        loop {
            let published: Option<Published> = users.get(&users::jwks(), true).await?;
            let published = published.map(|published| published.jwks);
            // A set that can't be read verifies nothing: it is no loss.
            self.jwks = published.as_deref().and_then(|set| self.signer.jwks_beside(set).ok()).unwrap_or_else(|| self.signer.jwks());
            if published.as_ref() == Some(&self.jwks) {
                return Ok(());
            }
            match replace(users, published, self.jwks.clone()).await {
                // Another instance was faster: its set is the one to stand in.
                Err(tintype_tables::Error::Condition(_)) => back_off(attempt).await?,
                result => return result,
            }
            attempt += 1;
        }
    }
}

#[derive(Deserialize)]
struct Published {
    jwks: String,
}

/// Publishes the set `next`, if the one that is published is still `read`.
async fn replace(users: &Table, read: Option<String>, next: String) -> Result<(), tintype_tables::Error> {
    let mut item = users::jwks().item();
    item.insert("jwks".to_owned(), text(next));
    let put = users.client.put_item().table_name(&users.name).set_item(Some(item));
    let put = match read {
        Some(jwks) => put.condition_expression("jwks = :read").expression_attribute_values(":read", text(jwks)),
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
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, app.keys.jwks.clone()).into_response()
}
