//! Tokens as attackers and broken issuers make them, and as honest ones do.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use super::*;
use crate::identity::jwt::Rules;

const SECRET: &str = "a secret of at least 32 bytes for tests";
const NOW_S: i64 = 1_795_000_000;

fn verifier() -> Verifier {
    let rules = Rules { lifetime_s_max: 86_400, ..Rules::default() };
    Verifier::new(SECRET, rules).unwrap()
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

fn ask(headers: &[&str]) -> Result<Caller, ApiError> {
    ask_as(&Method::GET, headers)
}

fn ask_as(method: &Method, headers: &[&str]) -> Result<Caller, ApiError> {
    let mut map = HeaderMap::new();
    for value in headers {
        map.append(header::AUTHORIZATION, value.parse().unwrap());
    }
    authenticate(&verifier(), now(), method, &map)
}

fn ask_with(token: &str) -> Result<Caller, ApiError> {
    ask(&[&format!("Bearer {token}")])
}

#[test]
fn bad_tokens_are_refused_and_all_look_the_same() {
    let good = raw(HEADER, claims().to_string());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let other = with("sub", json!("eve"));
    let (_, other_signature) = other.rsplit_once('.').unwrap();
    let mut flipped = good.clone().into_bytes();
    let last = flipped.len() - 5;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let header64 = B64.encode(HEADER);
    let unsigned =
        |header: &str| format!("{}.{}.", B64.encode(header), B64.encode(claims().to_string()));
    let hs = |name: &str, algorithm| {
        let header = format!(r#"{{"alg":"{name}","typ":"JWT"}}"#);
        let message = format!("{}.{}", B64.encode(header), B64.encode(claims().to_string()));
        format!("{message}.{}", sign_with(algorithm, SECRET, &message))
    };
    let deep = format!(r#"{{"sub":"ada","x":{}{}}}"#, "[".repeat(1_000), "]".repeat(1_000));

    let bad: Vec<(&str, String)> = vec![
        // The algorithm.
        ("alg none", unsigned(r#"{"alg":"none"}"#)),
        ("alg None", unsigned(r#"{"alg":"None"}"#)),
        ("alg NONE", unsigned(r#"{"alg":"NONE"}"#)),
        ("alg nOnE", unsigned(r#"{"alg":"nOnE"}"#)),
        ("alg none, but signed", headed(r#"{"alg":"none"}"#)),
        ("alg missing", headed(r#"{"typ":"JWT"}"#)),
        ("alg in other case", headed(r#"{"alg":"hs256"}"#)),
        ("alg of another kind", headed(r#"{"alg":"RS256"}"#)),
        ("alg ES256", headed(r#"{"alg":"ES256"}"#)),
        ("alg EdDSA", headed(r#"{"alg":"EdDSA"}"#)),
        ("alg an array", headed(r#"{"alg":["HS256"]}"#)),
        ("alg HS384, signed so", hs("HS384", Algorithm::HS384)),
        ("alg HS512, signed so", hs("HS512", Algorithm::HS512)),
        ("alg HS256, signed with HS384", hs("HS256", Algorithm::HS384)),
        // The signature.
        ("signature empty", format!("{message}.")),
        ("signature cut", format!("{message}.{}", &signature[..signature.len() / 2])),
        ("signature of one bit else", String::from_utf8(flipped).unwrap()),
        ("signature of zeros", format!("{message}.{}", B64.encode([0; 32]))),
        ("signature padded", format!("{good}=")),
        ("signature with more", format!("{good}AAAA")),
        ("signature of another token", format!("{message}.{other_signature}")),
        ("signature by another secret", {
            format!("{message}.{}", sign_with(Algorithm::HS256, "another secret", message))
        }),
        ("signature with the other alphabet", {
            let swapped = signature.replace('-', "+").replace('_', "/");
            format!("{message}.{swapped}/")
        }),
        // The shape.
        ("nothing", String::new()),
        ("one part", header64.clone()),
        ("two parts", message.to_owned()),
        ("four parts", format!("{good}.{signature}")),
        ("five parts, as an encrypted one", format!("{header64}.a.b.c.d")),
        ("JSON serialisation", r#"{"payload":"","signatures":[]}"#.to_owned()),
        ("a space within", good.replacen('.', " .", 1)),
        ("header not JSON", headed("HS256")),
        ("header not an object", headed(r#"["HS256"]"#)),
        ("header not UTF-8", raw([b'{', 0xff, b'}'], claims().to_string())),
        ("claims not JSON", raw(HEADER, "sub=ada")),
        ("claims not an object", raw(HEADER, r#"["ada"]"#)),
        ("claims not UTF-8", raw(HEADER, [0xff, 0xfe])),
        ("claims with a lone surrogate", raw(HEADER, r#"{"sub":"\ud800","exp":1}"#)),
        ("claims nested deep", raw(HEADER, deep)),
        ("too long", with("note", json!("x".repeat(8 * 1024)))),
        (
            "doubled claim",
            raw(
                HEADER,
                format!(r#"{{"sub":"ada","sub":"eve","role":"user","exp":{}}}"#, NOW_S + 60,),
            ),
        ),
        (
            "doubled role",
            raw(
                HEADER,
                format!(r#"{{"sub":"ada","role":"user","role":"admin","exp":{}}}"#, NOW_S + 60,),
            ),
        ),
        ("doubled alg", headed(r#"{"alg":"HS256","alg":"HS256"}"#)),
        // The header.
        ("crit unknown", headed(r#"{"alg":"HS256","crit":["x"],"x":1}"#)),
        ("crit empty", headed(r#"{"alg":"HS256","crit":[]}"#)),
        ("crit with b64", headed(r#"{"alg":"HS256","crit":["b64"],"b64":true}"#)),
        ("b64 false", headed(r#"{"alg":"HS256","b64":false}"#)),
        ("embedded key", headed(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}"#)),
        ("jku", headed(r#"{"alg":"HS256","jku":"http://127.0.0.1/keys"}"#)),
        ("x5u", headed(r#"{"alg":"HS256","x5u":"http://127.0.0.1/cert"}"#)),
        ("x5c", headed(r#"{"alg":"HS256","x5c":["AA"]}"#)),
        ("zip", headed(r#"{"alg":"HS256","zip":"DEF"}"#)),
        ("nested", headed(r#"{"alg":"HS256","cty":"JWT"}"#)),
        ("typ of another kind", headed(r#"{"alg":"HS256","typ":"secevent+jwt"}"#)),
        ("typ a number", headed(r#"{"alg":"HS256","typ":1}"#)),
        ("kid empty", headed(r#"{"alg":"HS256","kid":""}"#)),
        ("kid with NUL", headed(r#"{"alg":"HS256","kid":"a\u0000"}"#)),
        ("kid a number", headed(r#"{"alg":"HS256","kid":7}"#)),
        // Times.
        ("exp missing", with("exp", Value::Null)),
        ("exp a string", with("exp", json!((NOW_S + 60).to_string()))),
        ("exp negative", with("exp", json!(-1))),
        ("exp a negative fraction", with("exp", json!(-0.5))),
        ("exp huge", with("exp", json!(1e30))),
        ("exp in the year 9999", with("exp", json!(253_402_300_799_u64))),
        ("exp at the end of numbers", with("exp", json!(u64::MAX))),
        ("exp null", raw(HEADER, r#"{"sub":"ada","role":"user","exp":null}"#)),
        ("exp beyond the longest life", with("exp", json!(NOW_S + 86_400 + 6))),
        ("nbf ahead", with("nbf", json!(NOW_S + 30))),
        ("nbf a string", with("nbf", json!("0"))),
        ("iat ahead", with("iat", json!(NOW_S + 30))),
        ("iat ahead by a fraction more", with("iat", json!(NOW_S as f64 + 30.5))),
        ("iat a boolean", with("iat", json!(true))),
        // Who.
        ("sub missing", with("sub", Value::Null)),
        ("sub empty", with("sub", json!(""))),
        ("sub a number", with("sub", json!(7))),
        ("sub an array", with("sub", json!(["ada"]))),
        ("sub with NUL", with("sub", json!("a\u{0}"))),
        ("sub too long", with("sub", json!("x".repeat(257)))),
        ("tenant reserved", with("tenant", json!("_system"))),
        ("tenant empty", with("tenant", json!(""))),
        ("tenant no slug", with("tenant", json!("A.b"))),
        ("tenant a wildcard", with("tenant", json!(">"))),
        ("tenant an array", with("tenant", json!(["acme"]))),
        ("role of numbers", with("role", json!(["user", 1]))),
        ("role an object", with("role", json!({"user": true}))),
        ("roles an object", with("roles", json!({"user": true}))),
        ("roles of numbers", with("roles", json!([1]))),
        ("is_admin a text", with("is_admin", json!("true"))),
        ("is_admin a number", with("is_admin", json!(1))),
        ("scope an array", with("scope", json!(["compute:read"]))),
    ];
    assert!(bad.len() >= 64);
    let expected = ApiError::new(ProblemCode::Unauthenticated, "a valid bearer token is needed");
    for (what, token) in bad {
        let Err(error) = ask_with(&token) else { panic!("accepted: {what}") };
        assert_eq!(error.document(), expected.document(), "{what}");
    }
}

#[test]
fn bad_headers_are_refused_alike() {
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
        let error = ask(&headers).expect_err("refused");
        assert_eq!(error.code(), ProblemCode::Unauthenticated, "{headers:?}");
    }
}

#[test]
fn good_tokens_are_accepted() {
    let ada =
        |admin| Caller { tenant: "default".parse().unwrap(), user: "ada".parse().unwrap(), admin };
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
        ("scope to read", with("scope", json!("compute:read")), ada(false)),
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
        assert_eq!(ask_with(&token).ok(), Some(caller), "{what}");
    }
    let lower = format!("bearer {}", raw(HEADER, claims().to_string()));
    assert!(ask(&[&lower]).is_ok());
}

#[test]
fn an_expired_token_says_so_only_if_nothing_else_is_wrong() {
    let code = |token: &str| ask_with(token).unwrap_err().code();
    assert_eq!(code(&with("exp", json!(NOW_S - 5))), ProblemCode::TokenExpired);
    assert_eq!(code(&with("exp", json!(0))), ProblemCode::TokenExpired);

    let old = with("exp", json!(NOW_S - 60));
    let (message, _) = old.rsplit_once('.').unwrap();
    assert_eq!(code(&format!("{message}.AAAA")), ProblemCode::Unauthenticated);
    let old = raw(HEADER, json!({"sub": "", "exp": NOW_S - 60}).to_string());
    assert_eq!(code(&old), ProblemCode::Unauthenticated);
}

#[test]
fn a_token_without_a_role_that_counts_is_forbidden() {
    for token in [
        with("role", Value::Null),
        with("role", json!("viewer")),
        with("role", json!("Admin")),
        raw(HEADER, json!({"sub": "ada", "roles": [], "exp": NOW_S + 60}).to_string()),
        raw(HEADER, json!({"sub": "a", "is_admin": false, "exp": NOW_S + 60}).to_string()),
    ] {
        assert_eq!(ask_with(&token).unwrap_err().code(), ProblemCode::Forbidden);
    }
}

#[test]
fn scopes_narrow_a_token_down() {
    let code = |method: &Method, scope: &str| {
        let token = format!("Bearer {}", with("scope", json!(scope)));
        ask_as(method, &[&token]).map(|_| ()).map_err(|e| e.code())
    };
    assert_eq!(code(&Method::POST, "compute:read"), Err(ProblemCode::Forbidden));
    assert_eq!(code(&Method::GET, "compute:write"), Err(ProblemCode::Forbidden));
    assert_eq!(code(&Method::POST, "compute:read compute:write"), Ok(()));
    assert_eq!(code(&Method::GET, "compute:read compute:write"), Ok(()));
}

#[test]
fn an_issuer_and_an_audience_can_be_asked_for() {
    let rules = Rules {
        lifetime_s_max: 86_400,
        issuer: Some("https://id.example".to_owned()),
        audience: Some("nox".to_owned()),
    };
    let verifier = Verifier::new(SECRET, rules).unwrap();
    let ask = |issuer: Value, audience: Value| {
        let mut claims = claims();
        claims["iss"] = issuer;
        claims["aud"] = audience;
        verifier.verify(&raw(HEADER, claims.to_string()), now()).is_ok()
    };
    let issuer = json!("https://id.example");
    assert!(ask(issuer.clone(), json!("nox")));
    assert!(ask(issuer.clone(), json!(["nox"])));
    for other in [json!("https://ID.example"), json!("https://id.example/"), json!([issuer])] {
        assert!(!ask(other, json!("nox")));
    }
    for other in [json!("Nox"), json!(["nox", "x"]), json!([]), json!(null), json!({})] {
        assert!(!ask(issuer.clone(), other));
    }
    assert!(verifier.verify(&raw(HEADER, claims().to_string()), now()).is_err());
}

#[test]
fn a_short_secret_is_refused() {
    assert!(Verifier::new("0123456789012345678901234567890", Rules::default()).is_err());
    assert!(Verifier::new("01234567890123456789012345678901", Rules::default()).is_ok());
}
