//! Tokens that are signed with the private keys of a provider, and what attackers make of them.

use super::*;

#[tokio::test]
async fn bad_tokens_of_a_provider_are_refused_and_all_look_the_same() {
    use Rule::*;

    let attacker = Pair::ec("attacker");
    let say = |pair: &Pair, alg: &str| changed(pair, json!({"alg": alg}));
    let as_secret = |header: &Value| {
        forged(header, |message| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &RSA.public_der());
            hmac::sign(&key, message).as_ref().to_vec()
        })
    };
    let nameless = |pair: &Pair| pair.token(&json!({"alg": pair.alg}), &claims());
    let flip = |signature: &mut Vec<u8>| signature[7] ^= 1;
    let named = |kid: &str| of(&RSA, json!({ "kid": kid }));

    let bad: Vec<Bad> = vec![
        // A key is for one algorithm.
        ("the public key as secret", &[Algorithm], as_secret(&say(&RSA, "HS256"))),
        ("the public key as secret, unnamed", &[Signature], as_secret(&json!({"alg": "HS256"}))),
        ("alg none of a named key", &[Algorithm], forged(&say(&RSA, "none"), |_| Vec::new())),
        ("alg none of no key", &[Key, Algorithm], forged(&json!({"alg": "none"}), |_| Vec::new())),
        ("RS512, signed so", &[Algorithm], {
            forged(&say(&RSA, "RS512"), |m| RSA.sign_rsa(m, &signature::RSA_PKCS1_SHA512))
        }),
        ("PS256, signed so", &[Algorithm], {
            forged(&say(&RSA, "PS256"), |m| RSA.sign_rsa(m, &signature::RSA_PSS_SHA256))
        }),
        ("RS256, signed with PS256", &[Signature], {
            forged(&RSA.header(), |m| RSA.sign_rsa(m, &signature::RSA_PSS_SHA256))
        }),
        ("RS256, signed with RS512", &[Signature], {
            forged(&RSA.header(), |m| RSA.sign_rsa(m, &signature::RSA_PKCS1_SHA512))
        }),
        ("PS256, signed with RS256", &[Algorithm], of(&RSA, json!({"alg": "PS256"}))),
        ("ES384, signed so", &[Algorithm, Signature], forged(&say(&EC, "ES384"), sign_p384)),
        ("ES256, signed with ES384", &[Signature], forged(&EC.header(), sign_p384)),
        ("ES256 said to be RS256", &[Algorithm], of(&EC, json!({"alg": "RS256"}))),
        ("ES256 said to be EdDSA", &[Algorithm], of(&EC, json!({"alg": "EdDSA"}))),
        ("EdDSA by its newer name", &[Algorithm], of(&ED, json!({"alg": "Ed25519"}))),
        ("alg missing", &[Algorithm], of(&ED, json!({"alg": null}))),
        // The signature.
        ("RSA: one bit else", &[Signature], mangled(&RSA, flip)),
        ("RSA: empty", &[Signature], mangled(&RSA, Vec::clear)),
        ("RSA: cut", &[Signature], mangled(&RSA, |s| s.truncate(255))),
        ("RSA: with more", &[Signature], mangled(&RSA, |s| s.push(0))),
        ("RSA: zeros", &[Signature], mangled(&RSA, |s| s.fill(0))),
        (
            "RSA: one",
            &[Signature],
            mangled(&RSA, |s| {
                s.fill(0);
                s[255] = 1;
            }),
        ),
        ("ECDSA: one bit else", &[Signature], mangled(&EC, flip)),
        ("ECDSA: zeros", &[Signature], mangled(&EC, |s| s.fill(0))),
        ("ECDSA: s is zero", &[Signature], mangled(&EC, |s| s[32..].fill(0))),
        (
            "ECDSA: the order of the curve",
            &[Signature],
            mangled(&EC, |s| {
                *s = [P256_ORDER, P256_ORDER].concat();
            }),
        ),
        ("ECDSA: in DER", &[Signature], mangled(&EC, |s| *s = der(s))),
        ("ECDSA: empty", &[Signature], mangled(&EC, Vec::clear)),
        ("EdDSA: one bit else", &[Signature], mangled(&ED, flip)),
        ("EdDSA: zeros", &[Signature], mangled(&ED, |s| s.fill(0))),
        ("EdDSA: S beyond the order", &[Signature], mangled(&ED, |s| add_order(s))),
        ("signed by another provider", &[Signature], {
            forged(&EC.header(), |message| attacker.sign(message))
        }),
        // The key.
        ("kid unknown", &[Key], named("rsa-2")),
        ("kid in other case", &[Key], named("RSA-1")),
        ("kid with a blank", &[Key], named("rsa-1 ")),
        ("kid a path", &[Key], named("../../../../dev/null")),
        ("kid a query", &[Key], named("x' union select 'secret")),
        ("kid an address", &[Key], named("http://127.0.0.1/keys")),
        ("kid missing among several", &[Key], nameless(&RSA)),
        ("kid empty", &[KeyName, Key], named("")),
        ("kid with NUL", &[KeyName, Key], named("rsa-1\0")),
        ("kid an array", &[Type, Key], of(&RSA, json!({"kid": ["rsa-1"]}))),
        ("kid of another key", &[Algorithm, Signature], named("ed-1")),
        ("kid of a retired key", &[Key, Signature], of(&RETIRED, json!({}))),
        // A token that brings its own key along.
        ("jwk of the attacker", &[Header, Signature], {
            let header = changed(&EC, json!({"jwk": attacker.jwk()}));
            forged(&header, |message| attacker.sign(message))
        }),
        ("jwk that is the right one", &[Header], of(&EC, json!({"jwk": EC.jwk()}))),
        ("jku of the attacker", &[Header, Key, Signature], {
            let jku = "http://127.0.0.1:1/keys";
            let header = json!({"alg": "ES256", "kid": "attacker", "jku": jku});
            forged(&header, |message| attacker.sign(message))
        }),
        ("x5u", &[Header], of(&RSA, json!({"x5u": "http://127.0.0.1:1/cert"}))),
        ("x5c", &[Header], of(&RSA, json!({"x5c": ["AA"]}))),
        ("crit", &[Header], of(&RSA, json!({"crit": ["exp"]}))),
        ("typ of an identity's token", &[Kind], of(&RSA, json!({"typ": "id+jwt"}))),
        // What a provider says to others.
        ("for another audience", &[Audience], RSA.token(&RSA.header(), &but("aud", json!("x")))),
        ("for nobody in particular", &[Audience], {
            RSA.token(&RSA.header(), &but("aud", Value::Null))
        }),
        ("of another issuer", &[Issuer], ED.token(&ED.header(), &but("iss", json!("x")))),
        ("without an end", &[Expiry], ED.token(&ED.header(), &but("exp", Value::Null))),
        ("for years", &[Lifetime], EC.token(&EC.header(), &but("exp", json!(NOW_S + 90_000)))),
    ];
    all_are_refused(|| with_published(&[&RSA, &EC, &ED]), &bad).await;
}

/// The order of the group of P-256, big end first.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The order of the group of Ed25519, little end first.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Makes another signature of the same message, as verifiers took it before RFC 8032.
fn add_order(signature: &mut [u8]) {
    let mut carry = 0;
    for (byte, order) in signature[32..].iter_mut().zip(ED25519_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

/// The other signature of the same message: s is the order less s.
fn other_half(signature: &mut [u8]) {
    let mut borrow = 0;
    for (byte, order) in signature[32..].iter_mut().zip(P256_ORDER).rev() {
        let difference = i16::from(order) - i16::from(*byte) - borrow;
        *byte = difference as u8;
        borrow = i16::from(difference < 0);
    }
}

/// The form that X.509 has, and JWS has not.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| [&[2, 33, 0], number].concat();
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, body.len() as u8], body.as_slice()].concat()
}

#[tokio::test]
async fn good_tokens_of_a_provider_are_accepted() {
    let all = || with_published(&[&RSA, &EC, &ED]);
    let alone = |pair| with_published(&[pair]);
    let plain = |pair: &Pair| of(pair, json!({}));
    let nameless = |pair: &Pair| pair.token(&json!({"alg": pair.alg}), &claims());
    let good: Vec<(&str, Verifier, String)> = vec![
        ("RS256", all(), plain(&RSA)),
        ("ES256", all(), plain(&EC)),
        ("EdDSA", all(), plain(&ED)),
        ("HS256 beside them", all(), raw(HEADER, claims().to_string())),
        ("HS256 with any name", all(), headed(r#"{"alg":"HS256","kid":"../2026"}"#)),
        (
            "ES256 with the upper s, as half of all signers write it",
            all(),
            mangled(&EC, |s| other_half(s)),
        ),
        ("no name where there is one key", alone(&RSA), nameless(&RSA)),
        ("no name where there is one key, ES256", alone(&EC), nameless(&EC)),
        ("no name where there is one key, EdDSA", alone(&ED), nameless(&ED)),
        ("typ at+jwt", all(), of(&RSA, json!({"typ": "at+jwt"}))),
        ("typ AT+JWT", all(), of(&EC, json!({"typ": "AT+JWT"}))),
        ("a thumbprint beside the name", all(), of(&RSA, json!({"x5t": "AAAA"}))),
        ("a header member of its own", all(), of(&ED, json!({"nonce": "x"}))),
        ("aud an array of one", all(), ED.token(&ED.header(), &but("aud", json!(["nox"])))),
        ("a role in an array", all(), RSA.token(&RSA.header(), &but("roles", json!(["admin"])))),
        ("claims of its own", all(), RSA.token(&RSA.header(), &but("azp", json!("app")))),
    ];
    assert!(good.len() >= 12);
    for (name, verifier, token) in good {
        let verified = verifier.verify(&token, now()).await;
        assert_eq!(verified.map(|identity| identity.user.to_string()), Ok("ada".into()), "{name}");
    }
}
