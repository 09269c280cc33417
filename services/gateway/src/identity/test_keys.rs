//! Key pairs as a provider has them, for tests: what it publishes, and what it signs.

use std::sync::LazyLock;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair, RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

/// A provider's pair of keys.
pub struct Pair {
    pub kid: &'static str,
    pub alg: &'static str,
    kind: Kind,
}

enum Kind {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// What is published under these names; making an RSA key takes a while.
pub static RSA: LazyLock<Pair> = LazyLock::new(|| Pair::rsa("rsa-1", KeySize::Rsa2048));
pub static EC: LazyLock<Pair> = LazyLock::new(|| Pair::ec("ec-1"));
pub static ED: LazyLock<Pair> = LazyLock::new(|| Pair::ed("ed-1"));
/// A key that the provider took back.
pub static RETIRED: LazyLock<Pair> = LazyLock::new(|| Pair::ed("ed-0"));

impl Pair {
    fn rsa(kid: &'static str, size: KeySize) -> Self {
        Self { kid, alg: "RS256", kind: Kind::Rsa(RsaKeyPair::generate(size).unwrap()) }
    }

    pub fn ec(kid: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { kid, alg: "ES256", kind: Kind::Ec(pair) }
    }

    pub fn ed(kid: &'static str) -> Self {
        Self { kid, alg: "EdDSA", kind: Kind::Ed(Ed25519KeyPair::generate().unwrap()) }
    }

    /// The public key as it is published.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.kind {
            Kind::Rsa(pair) => {
                let key = pair.public_key();
                let n = key.modulus().big_endian_without_leading_zero();
                let e = key.exponent().big_endian_without_leading_zero();
                json!({"kty": "RSA", "n": B64.encode(n), "e": B64.encode(e)})
            }
            Kind::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": B64.encode(x), "y": B64.encode(y)})
            }
            Kind::Ed(pair) => {
                let x = B64.encode(pair.public_key().as_ref());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x})
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.alg);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The public key in DER, which an attacker has, too.
    pub fn public_der(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Kind::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Kind::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// Signs as its own algorithm says.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.kind {
            Kind::Rsa(_) => self.sign_rsa(message, &signature::RSA_PKCS1_SHA256),
            Kind::Ec(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Kind::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// Signs by another scheme of RSA.
    pub fn sign_rsa(&self, message: &[u8], scheme: &'static dyn signature::RsaEncoding) -> Vec<u8> {
        let Kind::Rsa(pair) = &self.kind else { panic!("{} is no RSA key", self.kid) };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(scheme, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    /// A token with this header and these claims.
    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let message = message(header.to_string(), claims.to_string());
        format!("{message}.{}", B64.encode(self.sign(message.as_bytes())))
    }

    /// The header that an honest token has.
    pub fn header(&self) -> Value {
        json!({"alg": self.alg, "kid": self.kid, "typ": "JWT"})
    }
}

/// A signature of P-384, which no key of ours is for.
pub fn sign_p384(message: &[u8]) -> Vec<u8> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
}

/// What is signed of a token.
pub fn message(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    format!("{}.{}", B64.encode(header), B64.encode(claims))
}

/// A document with these keys.
pub fn document(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}
