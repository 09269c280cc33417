//! Tokens of an identity provider, whose keys change while the gateway runs.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

use crate::system::{AUDIENCE, ISSUER, System, in_an_hour, token, until};

/// A key of a provider's.
struct Key {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        Self { kid, pair: Ed25519KeyPair::generate().unwrap() }
    }

    fn published(&self) -> Value {
        let x = B64.encode(self.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x})
    }

    fn token(&self, user: &str) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.kid, "typ": "at+jwt"});
        let (exp, role) = (in_an_hour(), "user");
        let claims = json!({"sub": user, "role": role, "exp": exp, "iss": ISSUER, "aud": AUDIENCE});
        let encoded = |part: Value| B64.encode(part.to_string());
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = B64.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_changes_its_key_and_nobody_notices() {
    let mut system = System::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let publish = |keys: &[&Key]| {
        let keys: Vec<_> = keys.iter().map(|key| key.published()).collect();
        // As a provider's proxy should: the file is whole at every moment.
        let new = folder.path().join("new");
        std::fs::write(&new, json!({ "keys": keys }).to_string()).unwrap();
        std::fs::rename(&new, &file).unwrap();
    };
    let (old, next) = (Key::new("2026-11"), Key::new("2026-12"));
    publish(&[&old]);
    system.keys_in(&file).await;
    let status = async |token: &str| system.get("/jobs", token).await.status.as_u16();

    assert_eq!(status(&old.token("ada")).await, 200);
    assert_eq!(status(&next.token("ada")).await, 401);
    // Whoever has the secret says for whom as well.
    assert_eq!(status(&token("ada", "user")).await, 401);

    // Both count while both are published, from the first token on that names the new one.
    publish(&[&old, &next]);
    until(async || status(&next.token("ada")).await == 200).await;
    assert_eq!(status(&old.token("ada")).await, 200);

    // The source is away: what was read last counts.
    std::fs::remove_file(&file).unwrap();
    until(async || {
        let metrics = system.get("/metrics", "").await.text;
        metrics.lines().any(|line| line == "nox_gateway_jwks_failing 1")
    })
    .await;
    assert_eq!(status(&next.token("ada")).await, 200);

    // The old key is taken back, without a restart and without a token that asks for that.
    publish(&[&next]);
    until(async || status(&old.token("ada")).await == 401).await;
    assert_eq!(status(&next.token("ada")).await, 200);

    // All refusals are one, but for the request's id.
    let bodies = [old.token("ada"), Key::new("x").token("ada"), "a.b.c".to_owned(), String::new()];
    let mut seen = Vec::new();
    for token in bodies {
        let reply = system.get("/jobs", &token).await;
        let id = reply.headers["x-request-id"].to_str().unwrap().to_owned();
        seen.push((reply.status, reply.text.replace(&id, "")));
    }
    assert!(seen.iter().all(|reply| *reply == seen[0]), "{seen:?}");
}
