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
    table::{text, unavailable},
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
}

impl Keys {
    /// The keys made of the secret at `arn`.
    pub(crate) async fn load(secrets: &aws_sdk_secretsmanager::Client, arn: &str) -> Result<Self, SecretError> {
        let answer = Box::pin(secrets.get_secret_value().secret_id(arn).send()).await;
        let answer = answer.map_err(|error| SecretError::Unreadable(DisplayErrorContext(error).to_string()))?;
        Ok(Self::from_secret(answer.secret_string().ok_or(SecretError::NoText)?))
    }

    pub(crate) fn from_secret(secret: &str) -> Self {
        Self { signer: Signer::from_secret(secret), refresh: RefreshKey::from_secret(secret) }
    }

    /// Lets everybody who verifies tokens know the public key; writes only if they don't know it yet.
    pub(crate) async fn publish(&self, users: &Table) -> Result<(), tintype_tables::Error> {
        #[derive(Deserialize)]
        struct Published {
            jwks: String,
        }
        let published: Option<Published> = users.get(&users::jwks(), true).await?;
        let jwks = self.signer.jwks();
        if published.is_some_and(|published| published.jwks == jwks) {
            return Ok(());
        }
        let mut item = users::jwks().item();
        item.insert("jwks".to_owned(), text(jwks));
        Box::pin(users.client.put_item().table_name(&users.name).set_item(Some(item)).send()).await.map_err(unavailable)?;
        Ok(())
    }
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
    (headers, app.keys.signer.jwks()).into_response()
}
