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
    #[cfg(test)]
    pair: Ed25519KeyPair,
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
        Self {
            header,
            key: EncodingKey::from_ed_der(document.as_ref()),
            public,
            #[cfg(test)]
            pair,
        }
    }

    /// The token that says `claims`.
    pub fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(&self.header, claims, &self.key)
    }

    /// The public key.
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// The set of the public key alone, as JSON.
    pub fn jwks(&self) -> String {
        write_jwks([&self.public])
    }

    /// The signature of anything: tests forge tokens with it.
    #[cfg(test)]
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }
}

/// The public keys that tokens may be signed with, by `kid`.
pub struct Keys(HashMap<String, DecodingKey>);

impl Keys {
    /// Reads a JWK set; keys of another kind than ours are passed over, as RFC 7517 §5 asks.
    pub fn from_jwks(json: &str) -> Result<Self, serde_json::Error> {
        let decoding = |jwk: Jwk| Some((jwk.kid, DecodingKey::from_ed_components(&jwk.x).ok()?));
        Ok(Self(read_jwks(json)?.into_iter().filter_map(decoding).collect()))
    }

    /// The key called `kid`.
    pub(crate) fn get(&self, kid: &str) -> Option<&DecodingKey> {
        self.0.get(kid)
    }
}

/// The keys of our kind in a JWK set, in its order.
pub fn read_jwks(json: &str) -> Result<Vec<Jwk>, serde_json::Error> {
    let set: JwkSet<serde_json::Value> = serde_json::from_str(json)?;
    Ok(set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()).filter(Jwk::is_ed25519).collect())
}

/// A JWK set as JSON.
pub fn write_jwks<'a>(keys: impl IntoIterator<Item = &'a Jwk>) -> String {
    serde_json::to_string(&JwkSet { keys: keys.into_iter().collect() }).expect("strings are JSON")
}

#[derive(Serialize, Deserialize)]
struct JwkSet<K> {
    keys: Vec<K>,
}

/// An Ed25519 public key (RFC 8037 §2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
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

    /// Its name: a thumbprint, so that one key has one name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    fn is_ed25519(&self) -> bool {
        self.kty == "OKP" && self.crv == "Ed25519" && self.alg == "EdDSA" && self.usage == "sig"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_is_read_again_is_the_same() {
        let keys = ["one", "two"].map(|secret| Signer::from_secret(secret).public().clone());
        assert_eq!(read_jwks(&write_jwks(&keys)).unwrap(), keys);
    }

    #[test]
    fn keys_of_other_kinds_are_passed_over() {
        let ours = Signer::from_secret("one").public().clone();
        let mut set: serde_json::Value = serde_json::from_str(&write_jwks([&ours])).unwrap();
        let keys = set["keys"].as_array_mut().unwrap();
        keys.insert(0, serde_json::json!({"kty": "oct", "alg": "HS256", "k": "AAAA", "kid": ours.kid()}));
        keys.push(serde_json::json!({"kty": "RSA", "kid": "other", "n": "AQAB", "e": "AQAB"}));
        assert_eq!(read_jwks(&set.to_string()).unwrap(), [ours]);
    }
}
