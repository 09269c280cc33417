//! Tokens as attackers and broken issuers make them, and as honest ones do.

mod of_provider;
mod of_secret;

use aws_lc_rs::{hmac, signature};
use axum::{http::Response, response::IntoResponse};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jsonwebtoken::DecodingKey;
use serde_json::{Value, json};

use super::*;
use crate::{
    identity::{
        auth::unauthenticated,
        test_keys::{EC, ED, Pair, RETIRED, RSA, document, message, sign_p384},
    },
    request_id,
};

const SECRET: &str = "a secret of at least 32 bytes for tests";
const NOW_S: i64 = 1_795_000_000;
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const ISSUER: &str = "https://id.example";

fn rules() -> Rules {
    let (issuer, audience) = (Some(ISSUER.to_owned()), Some("nox".to_owned()));
    Rules { lifetime_s_max: 86_400, issuer, audience }
}

fn now() -> Timestamp {
    Timestamp::from_micros(NOW_S * 1_000_000)
}

/// Knows the secret alone.
fn with_secret() -> Verifier {
    Verifier::new(Some(SECRET), None, rules()).unwrap()
}

/// Knows the secret, and what a provider publishes.
fn with_published(pairs: &[&Pair]) -> Verifier {
    let keys: Vec<_> = pairs.iter().map(|pair| pair.jwk()).collect();
    let published = PublishedKeys::of(KeySet::read(&document(&keys)).unwrap());
    Verifier::new(Some(SECRET), Some(published), rules()).unwrap()
}

fn claims() -> Value {
    let exp = NOW_S + 3_600;
    json!({"sub": "ada", "role": "user", "exp": exp, "iss": ISSUER, "aud": "nox"})
}

fn hmac_of(algorithm: hmac::Algorithm, secret: &[u8], message: &str) -> String {
    B64.encode(hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes()))
}

/// Signs raw texts with the secret, whatever they are.
fn raw(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    let message = message(header, claims);
    let signature = hmac_of(hmac::HMAC_SHA256, SECRET.as_bytes(), &message);
    format!("{message}.{signature}")
}

/// Good claims but for one, `null` to leave it out.
fn but(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => {
            claims.as_object_mut().unwrap().remove(name);
        }
        value => claims[name] = value,
    }
    claims
}

fn with(name: &str, value: Value) -> String {
    raw(HEADER, but(name, value).to_string())
}

/// Good claims, and a text in front of them.
fn more(text: &str) -> String {
    raw(HEADER, format!("{{{text},{}", &claims().to_string()[1..]))
}

/// A good token but for its header.
fn headed(header: &str) -> String {
    raw(header, claims().to_string())
}

/// A good token of a provider's but for members of its header.
fn of(pair: &Pair, members: Value) -> String {
    pair.token(&changed(pair, members), &claims())
}

fn changed(pair: &Pair, members: Value) -> Value {
    let mut header = pair.header();
    for (name, value) in members.as_object().unwrap() {
        header[name] = value.clone();
    }
    header
}

/// A token whose header says one thing, and which was signed in another way.
fn forged(header: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = message(header.to_string(), claims().to_string());
    format!("{message}.{}", B64.encode(sign(message.as_bytes())))
}

/// A token of one pair whose signature was tampered with.
fn mangled(pair: &Pair, mangle: impl FnOnce(&mut Vec<u8>)) -> String {
    forged(&pair.header(), |message| {
        let mut signature = pair.sign(message);
        mangle(&mut signature);
        signature
    })
}

/// What a verifier believes that does as the token says: no signature at all, another algorithm, or the
/// public key taken for a secret.
pub fn is_signed_as_the_token_says(key: &Key, signature: &str, message: &str) -> bool {
    let header = Members::decode_last(message.split('.').next().unwrap()).unwrap();
    let named = header.text("alg").ok().flatten().unwrap_or_default();
    if named.eq_ignore_ascii_case("none") {
        return true;
    }
    let verifies = |key: &DecodingKey, algorithm| {
        matches!(crypto::verify(signature, message.as_bytes(), key, algorithm), Ok(true))
    };
    let named = named.parse().unwrap_or(key.algorithm);
    verifies(&key.key, named)
        || verifies(&key.key, key.algorithm)
        || verifies(&DecodingKey::from_secret(&RSA.public_der()), named)
}

/// What the asker gets to see of a refusal, but for the request's id.
async fn seen(error: TokenError) -> (String, Vec<u8>) {
    let answer = async { unauthenticated(error).into_response() };
    let answer: Response<_> = request_id::scope("r".to_owned(), answer).await;
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    (format!("{} {:?}", head.status, head.headers), body.to_vec())
}

/// A bad token: its name, what it breaks, the first of which it is refused for, and itself.
type Bad = (&'static str, &'static [Rule], String);

/// What has no reading at all, so that no verifier could let it pass.
const UNREADABLE: [Rule; 5] =
    [Rule::Shape, Rule::Encoding, Rule::Json, Rule::Subject, Rule::Tenant];

/// Each of them is refused for what it breaks, as all others are, and accepted where nobody looks at
/// that.
async fn all_are_refused(verifier: impl Fn() -> Verifier, bad: &[Bad]) {
    let expected = seen(Invalid(Rule::Bearer)).await;
    assert!(expected.0.starts_with("401"));
    for (name, broken, token) in bad {
        let refused = verifier().verify(token, now()).await.expect_err(name);
        assert_eq!(refused, Invalid(broken[0]), "{name}");
        assert_eq!(seen(refused).await, expected, "{name}");

        let control = verifier().without(broken).verify(token, now()).await;
        let is_readable = !broken.iter().any(|rule| UNREADABLE.contains(rule));
        assert_eq!(control.is_ok(), is_readable, "without {broken:?}: {name}: {control:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_taken_back_verifies_nothing_any_more() {
    let token = of(&RETIRED, json!({}));
    assert!(with_published(&[&RETIRED, &RSA]).verify(&token, now()).await.is_ok());
    assert!(with_published(&[&RSA]).verify(&token, now()).await.is_err());
}

/// Anybody could make this signature, for any message: that is why such keys are left out.
#[tokio::test]
async fn a_key_of_small_order_would_verify_what_nobody_signed() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let key =
        Key { kid: None, algorithm: Algorithm::EdDSA, key: DecodingKey::from_ed_der(&identity) };
    let signature = B64.encode([identity, [0; 32]].concat());
    assert!(is_signed_as_the_token_says(&key, &signature, &message(r#"{"alg":"EdDSA"}"#, "{}")));
}

#[test]
fn what_cannot_be_verified_safely_is_refused_at_the_start() {
    use KeyConfigurationError::{NoAudience, NoKey, SecretIsKey, ShortSecret};

    let refused = |secret: Option<&str>, published: bool, rules: Rules| {
        let set = || PublishedKeys::of(KeySet::read(&document(&[ED.jwk()])).unwrap());
        Verifier::new(secret, published.then(set), rules).err()
    };
    let short = &SECRET[..31];
    assert_eq!(refused(Some(short), false, rules()), Some(ShortSecret(31)));
    assert_eq!(refused(Some(&SECRET[..32]), false, Rules::default()), None);
    assert_eq!(refused(None, false, rules()), Some(NoKey));
    assert_eq!(refused(None, true, rules()), None);

    // A public key is known to everybody.
    let pem = "\n-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END";
    assert_eq!(refused(Some(pem), false, rules()), Some(SecretIsKey));
    assert_eq!(refused(Some(&RSA.jwk().to_string()), false, rules()), Some(SecretIsKey));

    assert_eq!(refused(None, true, Rules { issuer: None, ..rules() }), Some(NoAudience));
    assert_eq!(refused(None, true, Rules { audience: None, ..rules() }), Some(NoAudience));
}
