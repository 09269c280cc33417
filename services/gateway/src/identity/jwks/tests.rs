use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};

use super::*;
use crate::identity::test_keys::{EC, ED, RSA, document};

fn read(keys: &[Value]) -> Result<KeySet, JwksError> {
    KeySet::read(&document(keys))
}

/// A good key but for one member, `null` to leave it out.
fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => {
            jwk.as_object_mut().unwrap().remove(name);
        }
        value => jwk[name] = value,
    }
    jwk
}

#[test]
fn keys_of_three_algorithms_are_read_each_for_its_own() {
    let set = read(&[RSA.jwk(), EC.jwk(), ED.jwk()]).unwrap();
    let known: Vec<_> =
        set.iter().map(|key| (key.kid.as_deref().unwrap(), key.algorithm)).collect();
    let expected =
        [("rsa-1", Algorithm::RS256), ("ec-1", Algorithm::ES256), ("ed-1", Algorithm::EdDSA)];
    assert_eq!(known, expected);
    assert!(set.only().is_none() && set.named("rsa-2").is_none());

    // What a provider adds, or leaves out.
    for jwk in [
        with(RSA.jwk(), "alg", Value::Null),
        with(RSA.jwk(), "use", Value::Null),
        with(RSA.jwk(), "kid", Value::Null),
        with(RSA.jwk(), "key_ops", json!(["verify"])),
        with(RSA.jwk(), "x5c", json!(["AA"])),
    ] {
        assert!(read(std::slice::from_ref(&jwk)).unwrap().only().is_some(), "{jwk}");
    }
}

#[test]
fn keys_that_are_weak_or_for_something_else_are_left_out() {
    let number = |bytes: &[u8]| json!(B64.encode(bytes));
    let small = |encoding: &str| {
        let bytes: Vec<u8> =
            (0..32).map(|i| u8::from_str_radix(&encoding[2 * i..2 * i + 2], 16).unwrap()).collect();
        with(ED.jwk(), "x", number(&bytes))
    };
    let mut signed = [0; 32];
    signed[0] = 1;
    signed[31] = 0x80;
    let mut cases = vec![
        ("RSA of 1024 bits", LeftOut::ModulusSize, with(RSA.jwk(), "n", number(&[0xff; 128]))),
        ("RSA of 2047 bits", LeftOut::ModulusSize, {
            let mut n = [0xff; 256];
            n[0] = 0x7f;
            with(RSA.jwk(), "n", number(&n))
        }),
        ("RSA of 1024 bits, filled up", LeftOut::ModulusSize, {
            with(RSA.jwk(), "n", number(&[[0; 128], [0xff; 128]].concat()))
        }),
        ("RSA beyond 8192 bits", LeftOut::ModulusSize, with(RSA.jwk(), "n", number(&[1; 1_025]))),
        ("RSA without modulus", LeftOut::ModulusSize, with(RSA.jwk(), "n", Value::Null)),
        ("RSA with exponent 1", LeftOut::Exponent, with(RSA.jwk(), "e", number(&[1]))),
        ("RSA with exponent 3", LeftOut::Exponent, with(RSA.jwk(), "e", number(&[3]))),
        ("RSA with an even exponent", LeftOut::Exponent, with(RSA.jwk(), "e", number(&[1, 0, 2]))),
        ("RSA with a huge exponent", LeftOut::Exponent, with(RSA.jwk(), "e", number(&[0xff; 9]))),
        ("RSA to encrypt", LeftOut::Purpose, with(RSA.jwk(), "use", json!("enc"))),
        ("RSA to sign with alone", LeftOut::Purpose, with(RSA.jwk(), "key_ops", json!(["sign"]))),
        ("RSA for RS512", LeftOut::Algorithm, with(RSA.jwk(), "alg", json!("RS512"))),
        ("RSA for PS256", LeftOut::Algorithm, with(RSA.jwk(), "alg", json!("PS256"))),
        ("RSA for HS256", LeftOut::Algorithm, with(RSA.jwk(), "alg", json!("HS256"))),
        ("RSA for nothing", LeftOut::Algorithm, with(RSA.jwk(), "alg", json!("none"))),
        ("RSA of another kind", LeftOut::Algorithm, with(RSA.jwk(), "kty", json!("rsa"))),
        ("RSA with a curve", LeftOut::Algorithm, with(RSA.jwk(), "crv", json!("P-256"))),
        ("P-384", LeftOut::Algorithm, with(EC.jwk(), "crv", json!("P-384"))),
        ("secp256k1", LeftOut::Algorithm, with(EC.jwk(), "crv", json!("secp256k1"))),
        ("P-256 for RS256", LeftOut::Algorithm, with(EC.jwk(), "alg", json!("RS256"))),
        ("P-256 with a short x", LeftOut::PointSize, with(EC.jwk(), "x", number(&[1; 31]))),
        ("P-256 with a long y", LeftOut::PointSize, with(EC.jwk(), "y", number(&[1; 33]))),
        ("P-256 without y", LeftOut::PointSize, with(EC.jwk(), "y", Value::Null)),
        ("P-256 with padding", LeftOut::PointSize, with(EC.jwk(), "y", json!("AA=="))),
        ("Ed448", LeftOut::Algorithm, with(ED.jwk(), "crv", json!("Ed448"))),
        ("X25519", LeftOut::Algorithm, with(ED.jwk(), "crv", json!("X25519"))),
        ("Ed25519 short", LeftOut::PointSize, with(ED.jwk(), "x", number(&[9; 31]))),
        ("Ed25519 of small order, with sign", LeftOut::SmallOrder, {
            with(ED.jwk(), "x", number(&signed))
        }),
        ("a name that is empty", LeftOut::Name, with(ED.jwk(), "kid", json!(""))),
        ("a name with NUL", LeftOut::Name, with(ED.jwk(), "kid", json!("a\0"))),
        ("a name too long", LeftOut::Name, with(ED.jwk(), "kid", json!("x".repeat(257)))),
    ];
    cases.extend(SMALL_ORDERS.map(|y| ("Ed25519 of small order", LeftOut::SmallOrder, small(y))));
    for (what, reason, jwk) in cases {
        let error = read(std::slice::from_ref(&jwk)).err();
        assert!(matches!(error, Some(JwksError::NothingUsable(_))), "{what}");
        let mut good = EC.jwk();
        good["kid"] = json!("good");
        let set = read(&[jwk, good]).unwrap();
        assert_eq!(set.left_out.len(), 1, "{what}");
        assert_eq!(set.left_out[0].1, reason, "{what}");
        assert_eq!(set.len(), 1, "{what}");
    }
}

#[test]
fn a_document_by_whose_mistake_others_can_sign_is_refused_as_a_whole() {
    let twice = String::from_utf8(document(&[RSA.jwk()])).unwrap();
    let twice = twice.replacen(r#""kty":"RSA""#, r#""kty":"RSA","kty":"oct""#, 1);
    assert!(matches!(KeySet::read(twice.as_bytes()), Err(JwksError::Malformed(_))));
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
        let bad = with(ED.jwk(), member, json!("AA"));
        assert_eq!(read(&[RSA.jwk(), bad]).err(), Some(JwksError::Private("ed-1".into())));
    }
    let secret = json!({"kty": "oct", "kid": "s", "k": "AAAA"});
    assert_eq!(read(&[RSA.jwk(), secret]).err(), Some(JwksError::Symmetric("s".into())));
    let secret = with(RSA.jwk(), "k", json!("AAAA"));
    assert_eq!(read(&[secret]).err(), Some(JwksError::Symmetric("rsa-1".into())));

    let same = with(EC.jwk(), "kid", json!("rsa-1"));
    assert_eq!(read(&[RSA.jwk(), same]).err(), Some(JwksError::Doubled("rsa-1".into())));

    assert_eq!(read(&vec![RSA.jwk(); 101]).err(), Some(JwksError::TooMany));
    let large = vec![b' '; DOCUMENT_BYTES_MAX + 1];
    assert_eq!(KeySet::read(&large).err(), Some(JwksError::TooLarge));
    let nested = format!(r#"{{"keys":{}"#, "[".repeat(100_000));
    for text in ["", "{}", "[]", "null", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, &nested] {
        assert!(
            matches!(KeySet::read(text.as_bytes()), Err(JwksError::Malformed(_))),
            "{text:.40}"
        );
    }
    assert!(matches!(read(&[]), Err(JwksError::NothingUsable(_))));
}
