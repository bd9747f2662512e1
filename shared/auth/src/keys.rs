//! The Ed25519 key: private for who signs, public (a JWK set, RFC 7517) for who verifies.

use std::{collections::HashMap, iter};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Deserialize, Serialize};

use crate::token::{Claims, TYP};

/// How many keys are published: the newest, and those that were it before, whose last tokens are still about.
const MOST_KEYS: usize = 3;

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

    /// The set of the public key alone, as JSON.
    pub fn jwks(&self) -> String {
        written(vec![self.public.clone()])
    }

    /// The set `published` with the public key in the first place: what the keys before it have signed goes on being good.
    pub fn jwks_beside(&self, published: &str) -> Result<String, serde_json::Error> {
        let others = ours(published)?.filter(|key| key.kid != self.public.kid);
        Ok(written(iter::once(self.public.clone()).chain(others).take(MOST_KEYS).collect()))
    }
}

/// The public keys that tokens may be signed with, by `kid`.
pub struct Keys(HashMap<String, DecodingKey>);

impl Keys {
    /// Reads a JWK set; keys of another kind than ours are passed over, as RFC 7517 §5 asks.
    pub fn from_jwks(json: &str) -> Result<Self, serde_json::Error> {
        let decoding = |jwk: Jwk| Some((jwk.kid, DecodingKey::from_ed_components(&jwk.x).ok()?));
        Ok(Self(ours(json)?.filter_map(decoding).collect()))
    }

    /// The key called `kid`.
    pub(crate) fn get(&self, kid: &str) -> Option<&DecodingKey> {
        self.0.get(kid)
    }
}

/// The keys of our kind in a JWK set.
fn ours(json: &str) -> Result<impl Iterator<Item = Jwk>, serde_json::Error> {
    let set: JwkSet<serde_json::Value> = serde_json::from_str(json)?;
    Ok(set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()).filter(Jwk::is_ed25519))
}

fn written(keys: Vec<Jwk>) -> String {
    serde_json::to_string(&JwkSet { keys }).expect("strings are JSON")
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

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(number: usize) -> Signer {
        Signer::from_secret(&format!("secret {number}"))
    }

    fn kids(jwks: &str) -> Vec<String> {
        ours(jwks).unwrap().map(|key| key.kid).collect()
    }

    fn kids_of(numbers: &[usize]) -> Vec<String> {
        numbers.iter().map(|number| signer(*number).public.kid).collect()
    }

    #[test]
    fn a_new_key_stands_beside_the_last_two() {
        let mut jwks = signer(0).jwks();
        for (number, expected) in [(0, &[0][..]), (1, &[1, 0]), (1, &[1, 0]), (2, &[2, 1, 0]), (3, &[3, 2, 1]), (2, &[2, 3, 1])] {
            jwks = signer(number).jwks_beside(&jwks).unwrap();
            assert_eq!(kids(&jwks), kids_of(expected));
        }
    }

    #[test]
    fn a_set_that_holds_the_key_in_the_first_place_stays_as_it_is() {
        let jwks = signer(1).jwks_beside(&signer(0).jwks()).unwrap();
        assert_eq!(signer(1).jwks_beside(&jwks).unwrap(), jwks);
    }
}
