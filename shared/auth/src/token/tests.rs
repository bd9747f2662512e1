//! A good token, and every attack of RFC 8725 §2 that a token of this kind can carry.

use super::*;
use crate::Signer;
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const NOW: i64 = 1000;

fn signer() -> Signer {
    Signer::from_secret("a secret")
}

fn keys() -> Keys {
    Keys::from_jwks(&signer().jwks()).unwrap()
}

fn at(seconds: i64) -> Time {
    Time::from_seconds(seconds).unwrap()
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn read(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn claims() -> Claims {
    Claims::new(UserId::new(), SessionId::new(), at(NOW))
}

/// Header and claims of a good token.
fn good() -> (Value, Value) {
    let token = signer().sign(&claims()).unwrap();
    let mut parts = token.split('.').map(str::to_owned);
    (read(&parts.next().unwrap()), read(&parts.next().unwrap()))
}

/// What our own key says of a token with this header and these claims: whatever is wrong, it is not the signature.
fn verify_signed(header: &Value, claims: &Value) -> Result<Claims, TokenError> {
    let said = format!("{}.{}", part(header), part(claims));
    verify(&format!("{said}.{}", URL_SAFE_NO_PAD.encode(signer().sign_bytes(said.as_bytes()))), &keys(), at(NOW))
}

/// The same with one claim changed.
fn verify_claim(name: &str, value: Value) -> Result<Claims, TokenError> {
    let (header, mut claims) = good();
    claims[name] = value;
    verify_signed(&header, &claims)
}

/// The same with one field of the header changed.
fn verify_header(name: &str, value: Value) -> Result<Claims, TokenError> {
    let (mut header, claims) = good();
    header[name] = value;
    verify_signed(&header, &claims)
}

fn is_refused(result: &Result<Claims, TokenError>) -> bool {
    matches!(result, Err(TokenError::Invalid | TokenError::UnknownKey))
}

#[test]
fn a_token_is_good_until_its_time_is_over() {
    let claims = claims();
    let token = signer().sign(&claims).unwrap();
    assert_eq!(verify(&token, &keys(), at(NOW + 899)), Ok(claims));
    assert_eq!(verify(&token, &keys(), at(NOW + 900)), Err(TokenError::Expired));
}

// The other tests change one thing of this token: it is that thing that is refused.
#[test]
fn a_token_put_together_by_hand_with_our_key_is_good() {
    let (header, claims) = good();
    assert_eq!(verify_signed(&header, &claims).map(|claims| claims.exp), Ok(NOW + 900));
}

#[test]
fn a_token_of_another_key_is_refused() {
    let other = Signer::from_secret("another secret");
    assert_eq!(verify(&other.sign(&claims()).unwrap(), &keys(), at(NOW)), Err(TokenError::UnknownKey));
    // Also when it says that it is of ours.
    let (header, claims) = good();
    let said = format!("{}.{}", part(&header), part(&claims));
    let forged = format!("{said}.{}", URL_SAFE_NO_PAD.encode(other.sign_bytes(said.as_bytes())));
    assert_eq!(verify(&forged, &keys(), at(NOW)), Err(TokenError::Invalid));
}

#[test]
fn a_token_of_a_key_that_is_forgotten_has_expired_with_it() {
    let token = Signer::from_secret("a secret of before").sign(&claims()).unwrap();
    assert_eq!(verify(&token, &keys(), at(NOW + 899)), Err(TokenError::UnknownKey));
    assert_eq!(verify(&token, &keys(), at(NOW + 900)), Err(TokenError::Expired));
    // What is no token of ours by its own words is none that has expired.
    let (mut header, mut claims) = good();
    header["kid"] = json!("of before");
    claims["iss"] = json!("evil");
    let foreign = format!("{}.{}.AA", part(&header), part(&claims));
    assert_eq!(verify(&foreign, &keys(), at(NOW + 900)), Err(TokenError::UnknownKey));
}

#[test]
fn a_changed_byte_is_refused() {
    let token = signer().sign(&claims()).unwrap();
    let (head, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    let mut later = read(payload);
    later["exp"] = json!(9_999_999_999_i64);
    assert_eq!(verify(&format!("{header}.{}.{signature}", part(&later)), &keys(), at(NOW)), Err(TokenError::Invalid));
    let mut changed = URL_SAFE_NO_PAD.decode(signature).unwrap();
    changed[0] ^= 1;
    assert_eq!(verify(&format!("{head}.{}", URL_SAFE_NO_PAD.encode(changed)), &keys(), at(NOW)), Err(TokenError::Invalid));
}

#[test]
fn a_token_without_a_signature_is_refused_whatever_algorithm_it_names() {
    let (mut header, claims) = good();
    for algorithm in ["none", "None", "NONE", "nOnE", "EdDSA", ""] {
        header["alg"] = json!(algorithm);
        for end in ["", ".", ".AA"] {
            let token = format!("{}.{}{end}", part(&header), part(&claims));
            assert_eq!(verify(&token, &keys(), at(NOW)), Err(TokenError::Invalid), "{token}");
        }
    }
}

// RFC 8725 §2.1: a verifier that lets the header choose takes the public key, which everybody has, for a shared secret.
#[test]
fn the_public_key_is_no_shared_secret() {
    let jwks: Value = serde_json::from_str(&signer().jwks()).unwrap();
    let x = jwks["keys"][0]["x"].as_str().unwrap();
    let (mut header, claims) = good();
    for (algorithm, kind) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
        header["alg"] = json!(algorithm);
        let said = format!("{}.{}", part(&header), part(&claims));
        for secret in [x.as_bytes(), &URL_SAFE_NO_PAD.decode(x).unwrap(), jwks["keys"][0].to_string().as_bytes(), b""] {
            let proof = hmac::sign(&hmac::Key::new(kind, secret), said.as_bytes());
            let token = format!("{said}.{}", URL_SAFE_NO_PAD.encode(proof));
            assert_eq!(verify(&token, &keys(), at(NOW)), Err(TokenError::Invalid), "{algorithm}");
        }
    }
}

#[test]
fn the_header_chooses_no_algorithm_even_when_the_signature_is_ours() {
    for algorithm in ["none", "HS256", "RS256", "PS256", "ES256", "Ed25519", "eddsa"] {
        assert!(is_refused(&verify_header("alg", json!(algorithm))), "{algorithm}");
    }
}

#[test]
fn another_kind_of_token_is_refused() {
    for kind in [json!("JWT"), json!("at+JWT "), json!("refresh+jwt"), json!("application/at+jwt"), Value::Null] {
        assert!(is_refused(&verify_header("typ", kind.clone())), "{kind}");
    }
}

// A `kid` is looked up among the keys that were published, and is never a path, a query or an address.
#[test]
fn a_kid_names_one_of_our_keys_or_nothing() {
    for kid in ["../../../../dev/null", "/dev/null", "' OR '1'='1", "https://evil.example/jwks.json", "", "\u{0}"] {
        assert_eq!(verify_header("kid", json!(kid)), Err(TokenError::UnknownKey), "{kid}");
    }
    assert_eq!(verify_header("kid", Value::Null), Err(TokenError::Invalid));
}

// RFC 8725 §2.9, §3.10: a key that the token brings along, or says where to get, is not asked.
#[test]
fn a_key_that_the_token_brings_along_is_not_used() {
    let evil = Signer::from_secret("evil");
    let jwks: Value = serde_json::from_str(&evil.jwks()).unwrap();
    let (good_header, claims) = good();
    for (name, value) in [
        ("jwk", jwks["keys"][0].clone()),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/key.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header = good_header.clone();
        header[name] = value;
        for kid in [&good_header["kid"], &jwks["keys"][0]["kid"]] {
            header["kid"] = kid.clone();
            let said = format!("{}.{}", part(&header), part(&claims));
            let token = format!("{said}.{}", URL_SAFE_NO_PAD.encode(evil.sign_bytes(said.as_bytes())));
            assert!(is_refused(&verify(&token, &keys(), at(NOW))), "{name}");
        }
    }
}

#[test]
fn what_must_be_understood_and_is_not_is_refused() {
    for critical in [json!(["b64"]), json!(["exp"]), json!([])] {
        assert_eq!(verify_header("crit", critical.clone()), Err(TokenError::Invalid), "{critical}");
    }
}

#[test]
fn another_issuer_or_audience_is_refused() {
    for name in ["iss", "aud"] {
        for value in [json!("evil"), json!(""), json!(["evil"]), json!(["tintype", "evil"]), Value::Null] {
            assert_eq!(verify_claim(name, value.clone()), Err(TokenError::Invalid), "{name} {value}");
        }
    }
}

#[test]
fn a_token_without_one_of_its_claims_is_refused() {
    for name in ["iss", "aud", "sub", "sid", "iat", "exp"] {
        let (header, mut claims) = good();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(verify_signed(&header, &claims), Err(TokenError::Invalid), "{name}");
    }
}

#[test]
fn a_claim_of_another_type_is_refused() {
    for (name, value) in
        [("sub", json!("nobody")), ("sid", json!(7)), ("exp", json!("9999999999")), ("iat", json!(1.5)), ("exp", json!(1e300))]
    {
        assert_eq!(verify_claim(name, value.clone()), Err(TokenError::Invalid), "{name} {value}");
    }
}

#[test]
fn a_token_of_the_future_is_refused_but_for_what_clocks_differ() {
    for name in ["iat", "nbf"] {
        assert!(verify_claim(name, json!(NOW + 60)).is_ok(), "{name}");
        assert_eq!(verify_claim(name, json!(NOW + 61)), Err(TokenError::Invalid), "{name}");
    }
}

#[test]
fn an_oversized_token_is_not_even_read() {
    let (header, mut claims) = good();
    claims["padding"] = json!("x".repeat(2048));
    assert_eq!(verify_signed(&header, &claims), Err(TokenError::Invalid));
    let length = signer().sign(&self::claims()).unwrap().len();
    assert!(length < MOST_BYTES / 2, "ours have room: {length}");
}
