//! What honest tokens let their bearers do; `jwt/tests.rs` has the others.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use super::*;
use crate::identity::jwt::Rules;

const SECRET: &str = "a secret of at least 32 bytes for tests";
const NOW_S: i64 = 1_795_000_000;

fn verifier() -> Verifier {
    let rules = Rules { lifetime_s_max: 86_400, ..Rules::default() };
    Verifier::new(Some(SECRET), None, rules).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_micros(NOW_S * 1_000_000)
}

fn sign_with(algorithm: Algorithm, secret: &str, message: &str) -> String {
    crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret.as_bytes()), algorithm)
        .unwrap()
}

/// Signs raw texts, whatever they are.
fn raw(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", B64.encode(header), B64.encode(claims));
    format!("{message}.{}", sign_with(Algorithm::HS256, SECRET, &message))
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn claims() -> Value {
    json!({"sub": "ada", "role": "user", "exp": NOW_S + 3_600})
}

/// A good token but for one claim, `null` to leave it out.
fn with(name: &str, value: Value) -> String {
    let mut claims = claims();
    match value {
        Value::Null => {
            claims.as_object_mut().unwrap().remove(name);
        }
        value => claims[name] = value,
    }
    raw(HEADER, claims.to_string())
}

/// A good token but for its header.
fn headed(header: &str) -> String {
    raw(header, claims().to_string())
}

async fn ask(headers: &[&str]) -> Result<Caller, ApiError> {
    ask_as(&Method::GET, headers).await
}

async fn ask_as(method: &Method, headers: &[&str]) -> Result<Caller, ApiError> {
    let mut map = HeaderMap::new();
    for value in headers {
        map.append(header::AUTHORIZATION, value.parse().unwrap());
    }
    authenticate((&verifier(), None), now(), method, &map).await
}

async fn ask_with(token: &str) -> Result<Caller, ApiError> {
    ask(&[&format!("Bearer {token}")]).await
}

#[tokio::test]
async fn bad_headers_are_refused_alike() {
    let good = raw(HEADER, claims().to_string());
    let bearer = format!("Bearer {good}");
    for headers in [
        vec![],
        vec![bearer.as_str(), bearer.as_str()],
        vec![good.as_str()],
        vec![&format!("Basic {good}")],
        vec![&format!("Bearer Bearer {good}")],
        vec![&format!("Bearer{good}")],
        vec!["Bearer"],
        vec!["Bearer "],
        vec![&format!("Bearer {good}, Bearer {good}")],
    ] {
        let error = ask(&headers).await.expect_err("refused");
        assert_eq!(error.code(), ProblemCode::Unauthenticated, "{headers:?}");
    }
}

#[tokio::test]
async fn good_tokens_are_accepted() {
    let ada = |admin| Caller {
        tenant: "default".parse().unwrap(),
        user: "ada".parse().unwrap(),
        admin,
        key_id: None,
        token_id: None,
        scopes: Vec::new(),
        expires_at: None,
    };
    let acme = Caller { tenant: "acme".parse().unwrap(), ..ada(false) };
    let uuid = "cafebabe-0000-4000-8000-000000000000";
    let good: Vec<(&str, String, Caller)> = vec![
        ("plain", raw(HEADER, claims().to_string()), ada(false)),
        ("without typ", headed(r#"{"alg":"HS256"}"#), ada(false)),
        ("typ jwt", headed(r#"{"alg":"HS256","typ":"jwt"}"#), ada(false)),
        ("typ at+jwt", headed(r#"{"typ":"at+JWT","alg":"HS256"}"#), ada(false)),
        ("with kid", headed(r#"{"alg":"HS256","kid":"../../2026"}"#), ada(false)),
        ("unknown header", headed(r#"{"alg":"HS256","x":1}"#), ada(false)),
        ("unknown claims", with("jti", json!({"a": [1]})), ada(false)),
        (
            "a token with a name",
            with("jti", json!(format!("\n{}", "x".repeat(200)))),
            Caller { token_id: Some("x".repeat(128)), ..ada(false) },
        ),
        ("a tenant", with("tenant", json!("acme")), acme),
        ("roles", with("roles", json!(["viewer", "user"])), ada(false)),
        ("role admin", with("role", json!("admin")), ada(true)),
        ("roles with admin", with("roles", json!(["admin"])), ada(true)),
        ("is_admin", with("is_admin", json!(true)), ada(true)),
        ("expired within the leeway", with("exp", json!(NOW_S - 4)), ada(false)),
        ("nbf within the leeway", with("nbf", json!(NOW_S + 4)), ada(false)),
        ("iat within the leeway", with("iat", json!(NOW_S + 5)), ada(false)),
        ("longest life", with("exp", json!(NOW_S + 86_400)), ada(false)),
        ("exp a fraction", with("exp", json!(NOW_S as f64 + 60.5)), ada(false)),
        ("iat a fraction", with("iat", json!(NOW_S as f64 - 0.25)), ada(false)),
        ("nbf a fraction", with("nbf", json!(NOW_S as f64 - 0.25)), ada(false)),
        ("role an array", with("role", json!(["user"])), ada(false)),
        ("roles a text", with("roles", json!("admin")), ada(true)),
        (
            "null for what is not there",
            {
                let nulls = r#""tenant":null,"is_admin":null,"role":null,"scope":null,"nbf":null"#;
                let exp = NOW_S + 60;
                raw(HEADER, format!(r#"{{"sub":"ada","roles":["user"],"exp":{exp},{nulls}}}"#))
            },
            ada(false),
        ),
        ("foreign scopes", with("scope", json!("openid profile")), ada(false)),
        (
            "scope to read",
            with("scope", json!("compute:read")),
            Caller { scopes: vec!["compute:read".to_owned()], ..ada(false) },
        ),
        (
            "sub a UUID",
            with("sub", json!(uuid)),
            Caller { user: uuid.parse().unwrap(), ..ada(false) },
        ),
        (
            "any text as sub",
            with("sub", json!("Ada Lovelace <ada@example.org>")),
            Caller { user: "Ada Lovelace <ada@example.org>".parse().unwrap(), ..ada(false) },
        ),
    ];
    assert!(good.len() >= 12);
    for (what, token, caller) in good {
        let asked = ask_with(&token).await.ok();
        assert!(asked.as_ref().is_some_and(|of| of.expires_at.is_some()), "{what}");
        let asked = asked.map(|of| Caller { expires_at: None, ..of });
        assert_eq!(asked, Some(caller), "{what}");
    }
    let lower = format!("bearer {}", raw(HEADER, claims().to_string()));
    assert!(ask(&[&lower]).await.is_ok());
}

#[tokio::test]
async fn an_expired_token_says_so_only_if_nothing_else_is_wrong() {
    let code = async |token: &str| ask_with(token).await.unwrap_err().code();
    assert_eq!(code(&with("exp", json!(NOW_S - 5))).await, ProblemCode::TokenExpired);
    assert_eq!(code(&with("exp", json!(0))).await, ProblemCode::TokenExpired);

    let old = with("exp", json!(NOW_S - 60));
    let (message, _) = old.rsplit_once('.').unwrap();
    assert_eq!(code(&format!("{message}.AAAA")).await, ProblemCode::Unauthenticated);
    let old = raw(HEADER, json!({"sub": "", "exp": NOW_S - 60}).to_string());
    assert_eq!(code(&old).await, ProblemCode::Unauthenticated);
}

#[tokio::test]
async fn a_token_without_a_role_that_counts_is_forbidden() {
    for token in [
        with("role", Value::Null),
        with("role", json!("viewer")),
        with("role", json!("Admin")),
        raw(HEADER, json!({"sub": "ada", "roles": [], "exp": NOW_S + 60}).to_string()),
        raw(HEADER, json!({"sub": "a", "is_admin": false, "exp": NOW_S + 60}).to_string()),
    ] {
        assert_eq!(ask_with(&token).await.unwrap_err().code(), ProblemCode::Forbidden);
    }
}

#[tokio::test]
async fn scopes_narrow_a_token_down() {
    let code = async |method: &Method, scope: &str| {
        let token = format!("Bearer {}", with("scope", json!(scope)));
        ask_as(method, &[&token]).await.map(|_| ()).map_err(|e| e.code())
    };
    assert_eq!(code(&Method::POST, "compute:read").await, Err(ProblemCode::Forbidden));
    assert_eq!(code(&Method::GET, "compute:write").await, Err(ProblemCode::Forbidden));
    assert_eq!(code(&Method::POST, "compute:read compute:write").await, Ok(()));
    assert_eq!(code(&Method::GET, "compute:read compute:write").await, Ok(()));
}
