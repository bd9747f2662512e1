//! The Ed25519 key: private for who signs, public (a JWK set, RFC 7517) for who verifies.

use std::collections::HashMap;

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Deserialize, Serialize};

use crate::token::{Claims, TYP};

/// Signs access tokens; only `users` has one.
pub struct Signer {
    header: Header,
    key: EncodingKey,
    public: Jwk,
}

impl Signer {
    /// The key whose seed is the SHA-256 of `secret`.
    pub fn from_secret(secret: &str) -> Self {
        let seed = digest(&SHA256, secret.as_bytes());
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).expect("a SHA-256 has a seed's 32 bytes");
        let document = pair.to_pkcs8().expect("a key pair can be written down");
        let public = Jwk::new(pair.public_key().as_ref());
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYP.to_owned());
        header.kid = Some(public.kid.clone());
        Self { header, key: EncodingKey::from_ed_der(document.as_ref()), public }
    }

    /// The token that says `claims`.
    pub fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&self.header, claims, &self.key)
    }

    /// The public key's set, as JSON.
    pub fn jwks(&self) -> String {
        serde_json::to_string(&JwkSet { keys: vec![self.public.clone()] }).expect("strings are JSON")
    }
}

/// The public keys that tokens may be signed with, by `kid`.
pub struct Keys(HashMap<String, DecodingKey>);

impl Keys {
    /// Reads a JWK set; keys of another kind than ours are passed over, as RFC 7517 §5 asks.
    pub fn from_jwks(json: &str) -> Result<Self, serde_json::Error> {
        let set: JwkSet<serde_json::Value> = serde_json::from_str(json)?;
        let ours = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()).filter(Jwk::is_ed25519);
        let decoding = |jwk: Jwk| Some((jwk.kid, DecodingKey::from_ed_components(&jwk.x).ok()?));
        Ok(Self(ours.filter_map(decoding).collect()))
    }

    /// The key called `kid`.
    pub(crate) fn get(&self, kid: &str) -> Option<&DecodingKey> {
        self.0.get(kid)
    }
}

#[derive(Serialize, Deserialize)]
struct JwkSet<K = Jwk> {
    keys: Vec<K>,
}

/// An Ed25519 public key (RFC 8037 §2).
#[derive(Clone, Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    alg: String,
    #[serde(rename = "use")]
    usage: String,
    kid: String,
    x: String,
}

impl Jwk {
    fn new(public_key: &[u8]) -> Self {
        let x = URL_SAFE_NO_PAD.encode(public_key);
        // The thumbprint of RFC 7638, as RFC 8037 §2 lays it out: the required members in alphabetical order.
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()));
        Self { kty: "OKP".into(), crv: "Ed25519".into(), alg: "EdDSA".into(), usage: "sig".into(), kid, x }
    }

    fn is_ed25519(&self) -> bool {
        self.kty == "OKP" && self.crv == "Ed25519" && self.alg == "EdDSA" && self.usage == "sig"
    }
}
