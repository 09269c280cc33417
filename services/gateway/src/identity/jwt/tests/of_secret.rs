//! Tokens that are signed with the secret.

use super::*;

#[tokio::test]
async fn bad_tokens_are_refused_and_all_look_the_same() {
    use Rule::*;

    let good = raw(HEADER, claims().to_string());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (_, other_signature) = with("sub", json!("eve"))
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let mut flipped = good.clone().into_bytes();
    let last = flipped.len() - 5;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    let header64 = B64.encode(HEADER);
    let unsigned = |alg: &str| {
        format!("{}.", self::message(json!({"alg": alg}).to_string(), claims().to_string()))
    };
    let hs = |name: &str, algorithm| {
        let message = self::message(json!({"alg": name}).to_string(), claims().to_string());
        format!("{message}.{}", hmac_of(algorithm, SECRET.as_bytes(), &message))
    };
    let doubled = |member: &str| more(member);

    let bad: Vec<Bad> = vec![
        // The algorithm.
        ("alg none", &[Algorithm], unsigned("none")),
        ("alg None", &[Algorithm], unsigned("None")),
        ("alg NONE", &[Algorithm], unsigned("NONE")),
        ("alg nOnE", &[Algorithm], unsigned("nOnE")),
        ("alg none, but signed", &[Algorithm], headed(r#"{"alg":"none"}"#)),
        ("alg missing", &[Algorithm], headed(r#"{"typ":"JWT"}"#)),
        ("alg in other case", &[Algorithm], headed(r#"{"alg":"hs256"}"#)),
        ("alg of another kind", &[Algorithm], headed(r#"{"alg":"RS256"}"#)),
        ("alg ES256", &[Algorithm], headed(r#"{"alg":"ES256"}"#)),
        ("alg EdDSA", &[Algorithm], headed(r#"{"alg":"EdDSA"}"#)),
        ("alg an array", &[Type, Algorithm], headed(r#"{"alg":["HS256"]}"#)),
        ("alg HS384, signed so", &[Algorithm], hs("HS384", hmac::HMAC_SHA384)),
        ("alg HS512, signed so", &[Algorithm], hs("HS512", hmac::HMAC_SHA512)),
        ("alg HS256, signed with HS384", &[Signature], hs("HS256", hmac::HMAC_SHA384)),
        // The signature.
        ("signature empty", &[Signature], format!("{message}.")),
        ("signature cut", &[Signature], format!("{message}.{}", &signature[..signature.len() / 2])),
        ("signature of one bit else", &[Signature], String::from_utf8(flipped).unwrap()),
        ("signature of zeros", &[Signature], format!("{message}.{}", B64.encode([0; 32]))),
        ("signature padded", &[Signature], format!("{good}=")),
        ("signature with more", &[Signature], format!("{good}AAAA")),
        ("signature of another token", &[Signature], format!("{message}.{other_signature}")),
        ("signature by another secret", &[Signature], {
            format!("{message}.{}", hmac_of(hmac::HMAC_SHA256, b"another secret", message))
        }),
        ("signature by no secret", &[Signature], {
            format!("{message}.{}", hmac_of(hmac::HMAC_SHA256, b"", message))
        }),
        ("signature with the other alphabet", &[Signature], {
            let swapped = signature.replace('-', "+").replace('_', "/");
            format!("{message}.{swapped}/")
        }),
        // The shape.
        ("nothing", &[Shape], String::new()),
        ("one part", &[Shape], header64.clone()),
        ("two parts", &[Shape], message.to_owned()),
        ("four parts", &[Shape], format!("{good}.{signature}")),
        ("five parts, as an encrypted one", &[Shape], format!("{header64}.a.b.c.d")),
        ("JSON serialisation", &[Shape], r#"{"payload":"","signatures":[]}"#.to_owned()),
        ("a space within", &[Encoding], good.replacen('.', " .", 1)),
        ("header padded", &[Encoding], good.replacen('.', "=.", 1)),
        ("header not JSON", &[Json], headed("HS256")),
        ("header not an object", &[Json], headed(r#"["HS256"]"#)),
        ("header not UTF-8", &[Json], raw([b'{', 0xff, b'}'], claims().to_string())),
        ("header nested deep", &[Json], headed(&deep(r#"{"alg":"HS256""#))),
        ("claims not JSON", &[Json], raw(HEADER, "sub=ada")),
        ("claims not an object", &[Json], raw(HEADER, r#"["ada"]"#)),
        ("claims not UTF-8", &[Json], raw(HEADER, [0xff, 0xfe])),
        ("claims with a lone surrogate", &[Json], raw(HEADER, r#"{"sub":"\ud800","exp":1}"#)),
        ("claims nested deep", &[Json], raw(HEADER, deep(r#"{"sub":"ada""#))),
        ("claims with a byte order mark", &[Json], raw(HEADER, format!("\u{feff}{}", claims()))),
        ("claims with something behind", &[Json], raw(HEADER, format!("{}{{}}", claims()))),
        ("too long", &[Length], with("note", json!("x".repeat(8 * 1024)))),
        ("a megabyte", &[Length], with("note", json!("x".repeat(1 << 20)))),
        (
            "a name of 10 KB",
            &[Length],
            headed(&json!({"alg": "HS256", "kid": "x".repeat(10_240)}).to_string()),
        ),
        ("doubled claim", &[Doubled], doubled(r#""sub":"eve""#)),
        ("doubled role", &[Doubled], doubled(r#""role":"admin""#)),
        ("doubled exp", &[Doubled], doubled(r#""exp":1"#)),
        ("doubled by an escape", &[Doubled], doubled(r#""s\u0075b":"eve""#)),
        ("doubled alg", &[Doubled], headed(r#"{"alg":"none","alg":"HS256"}"#)),
        ("doubled kid", &[Doubled], headed(r#"{"alg":"HS256","kid":"a","kid":"b"}"#)),
        ("more members than anybody has", &[Doubled], {
            let many: Vec<_> = (0..64).map(|i| format!(r#""m{i}":1"#)).collect();
            more(&many.join(","))
        }),
        // The header.
        ("crit unknown", &[Header], headed(r#"{"alg":"HS256","crit":["x"],"x":1}"#)),
        ("crit empty", &[Header], headed(r#"{"alg":"HS256","crit":[]}"#)),
        ("crit with b64", &[Header], headed(r#"{"alg":"HS256","crit":["b64"],"b64":true}"#)),
        ("b64 false", &[Header], headed(r#"{"alg":"HS256","b64":false}"#)),
        ("embedded key", &[Header], headed(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}"#)),
        ("jku", &[Header], headed(r#"{"alg":"HS256","jku":"http://127.0.0.1/keys"}"#)),
        ("x5u", &[Header], headed(r#"{"alg":"HS256","x5u":"http://127.0.0.1/cert"}"#)),
        ("x5c", &[Header], headed(r#"{"alg":"HS256","x5c":["AA"]}"#)),
        ("zip", &[Header], headed(r#"{"alg":"HS256","zip":"DEF"}"#)),
        ("enc", &[Header], headed(r#"{"alg":"HS256","enc":"A128GCM"}"#)),
        ("nested", &[Header], headed(r#"{"alg":"HS256","cty":"JWT"}"#)),
        ("typ of another kind", &[Kind], headed(r#"{"alg":"HS256","typ":"secevent+jwt"}"#)),
        ("typ of a logout token", &[Kind], headed(r#"{"alg":"HS256","typ":"logout+jwt"}"#)),
        ("typ empty", &[Kind], headed(r#"{"alg":"HS256","typ":""}"#)),
        ("typ a number", &[Type], headed(r#"{"alg":"HS256","typ":1}"#)),
        ("kid empty", &[KeyName], headed(r#"{"alg":"HS256","kid":""}"#)),
        ("kid with NUL", &[KeyName], headed(r#"{"alg":"HS256","kid":"a\u0000"}"#)),
        ("kid with a line break", &[KeyName], headed(r#"{"alg":"HS256","kid":"a\r\nb"}"#)),
        ("kid a number", &[Type], headed(r#"{"alg":"HS256","kid":7}"#)),
        // Times.
        ("exp missing", &[Expiry], with("exp", Value::Null)),
        ("exp a string", &[Type, Expiry], with("exp", json!((NOW_S + 60).to_string()))),
        ("exp negative", &[Type, Expiry], with("exp", json!(-1))),
        ("exp a negative fraction", &[Type, Expiry], with("exp", json!(-0.5))),
        ("exp null", &[Expiry], raw(HEADER, claims().to_string().replace("1795003600", "null"))),
        ("exp huge", &[Lifetime], with("exp", json!(1e30))),
        ("exp in the year 9999", &[Lifetime], with("exp", json!(253_402_300_799_u64))),
        ("exp at the end of numbers", &[Lifetime], with("exp", json!(u64::MAX))),
        ("exp beyond the longest life", &[Lifetime], with("exp", json!(NOW_S + 86_400 + 6))),
        ("nbf ahead", &[NotBefore], with("nbf", json!(NOW_S + 30))),
        ("nbf a string", &[Type], with("nbf", json!("0"))),
        ("iat ahead", &[IssuedAt], with("iat", json!(NOW_S + 30))),
        ("iat ahead by a fraction more", &[IssuedAt], with("iat", json!(NOW_S as f64 + 30.5))),
        ("iat a boolean", &[Type], with("iat", json!(true))),
        // By whom and for whom.
        ("iss missing", &[Issuer], with("iss", Value::Null)),
        ("iss another", &[Issuer], with("iss", json!("https://evil.example"))),
        ("iss in other case", &[Issuer], with("iss", json!("https://ID.example"))),
        ("iss with a slash", &[Issuer], with("iss", json!("https://id.example/"))),
        ("iss an array", &[Type, Issuer], with("iss", json!([ISSUER]))),
        ("aud missing", &[Audience], with("aud", Value::Null)),
        ("aud another", &[Audience], with("aud", json!("bank"))),
        ("aud in other case", &[Audience], with("aud", json!("Nox"))),
        ("aud with others", &[Audience], with("aud", json!(["nox", "bank"]))),
        ("aud empty", &[Audience], with("aud", json!([]))),
        ("aud an object", &[Type, Audience], with("aud", json!({"nox": true}))),
        // Who.
        ("sub missing", &[Subject], with("sub", Value::Null)),
        ("sub empty", &[Subject], with("sub", json!(""))),
        ("sub a number", &[Type, Subject], with("sub", json!(7))),
        ("sub an array", &[Type, Subject], with("sub", json!(["ada"]))),
        ("sub with NUL", &[Subject], with("sub", json!("a\u{0}"))),
        ("sub too long", &[Subject], with("sub", json!("x".repeat(257)))),
        ("tenant reserved", &[SystemTenant], with("tenant", json!("_system"))),
        ("tenant empty", &[Tenant], with("tenant", json!(""))),
        ("tenant no slug", &[Tenant], with("tenant", json!("A.b"))),
        ("tenant a wildcard", &[Tenant], with("tenant", json!(">"))),
        ("tenant an array", &[Type], with("tenant", json!(["acme"]))),
        ("role of numbers", &[Type], with("role", json!(["user", 1]))),
        ("role an object", &[Type], with("role", json!({"user": true}))),
        ("roles an object", &[Type], with("roles", json!({"user": true}))),
        ("roles of numbers", &[Type], with("roles", json!([1]))),
        ("is_admin a text", &[Type], with("is_admin", json!("true"))),
        ("is_admin a number", &[Type], with("is_admin", json!(1))),
        ("scope an array", &[Type], with("scope", json!(["compute:read"]))),
    ];
    assert!(bad.len() >= 64);
    all_are_refused(with_secret, &bad).await;
    // And where a provider's keys are known beside the secret, the same are refused, whatever for.
    let verifier = with_published(&[&RSA, &EC, &ED]);
    for (name, _, token) in bad {
        assert!(verifier.verify(&token, now()).await.is_err(), "{name}");
    }
}

/// A text of JSON, nested deeper than anybody reads.
fn deep(begin: &str) -> String {
    format!(r#"{begin},"x":{}{}}}"#, "[".repeat(1_000), "]".repeat(1_000))
}
