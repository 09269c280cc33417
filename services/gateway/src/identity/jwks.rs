//! Public keys as identity providers publish them: a JSON Web Key Set (RFC 7517), read strictly.
//!
//! The library reads such a set as well. It takes private keys, keys of any size, and two of one name.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, de::IgnoredAny};

/// Largest document; a provider publishes a handful of keys, of 500 bytes each.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;

/// Most keys in it. A token is checked with one of them, whatever their number.
const KEYS_MAX: usize = 100;

/// Longest name of a key.
const KID_BYTES_MAX: usize = 256;

/// Sizes of an RSA modulus, in bits: below, it can be factored (RFC 7518, 3.3); above, verifying costs
/// whoever asks nothing and us milliseconds.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// The least public exponent of RSA, as NIST SP 800-56B has it. With 1, everything is a signature.
const RSA_EXPONENT_MIN: u64 = 65_537;

/// Bytes of a coordinate on P-256, and of a point on Ed25519.
const POINT_BYTES: usize = 32;

/// A public key, for one algorithm.
#[derive(Clone)]
pub struct Key {
    pub kid: Option<String>,
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

/// The keys of a set that can be used here.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    /// Those that cannot, each with the reason. Providers publish keys for other purposes, too.
    pub left_out: Vec<(Option<String>, LeftOut)>,
}

/// Why a whole document is refused: whoever publishes this has made a mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    #[error("it has more than {DOCUMENT_BYTES_MAX} bytes")]
    TooLarge,
    #[error("it has more than {KEYS_MAX} keys")]
    TooMany,
    #[error("it is no JSON Web Key Set: {0}")]
    Malformed(String),
    /// Everybody who can read it could sign with it.
    #[error("the key {0:?} is a private one")]
    Private(String),
    #[error("the key {0:?} is symmetric, and no public key")]
    Symmetric(String),
    #[error("the name {0:?} stands there twice")]
    Doubled(String),
    #[error("none of its keys can be used{0}")]
    NothingUsable(String),
}

/// Why one key is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeftOut {
    #[error("it is not for signatures")]
    Purpose,
    #[error("RS256, ES256 and EdDSA (Ed25519) are what can be verified here")]
    Algorithm,
    #[error("its name is empty, too long or no text")]
    Name,
    #[error("its modulus has fewer than {min} or more than {max} bits", min = RSA_BITS.start(), max = RSA_BITS.end())]
    ModulusSize,
    #[error("its exponent is even, below {RSA_EXPONENT_MIN} or too large")]
    Exponent,
    #[error("its point has not {POINT_BYTES} bytes a coordinate")]
    PointSize,
    /// A signature that verifies under such a key can be made by anybody, for any message.
    #[error("its point has a small order")]
    SmallOrder,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Jwk>,
}

/// What is read of a key; the rest is for others. A member that stands there twice is an error.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

impl KeySet {
    /// Reads a document.
    pub fn read(document: &[u8]) -> Result<Self, JwksError> {
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(JwksError::TooLarge);
        }
        let Document { keys } = serde_json::from_slice(document)
            .map_err(|error| JwksError::Malformed(error.to_string()))?;
        if keys.len() > KEYS_MAX {
            return Err(JwksError::TooMany);
        }
        let mut set = Self::default();
        for jwk in keys {
            jwk.check_is_public()?;
            let twice = |known: &Key| known.kid.is_some() && known.kid == jwk.kid;
            if set.keys.iter().any(twice) {
                return Err(JwksError::Doubled(jwk.name()));
            }
            match jwk.key() {
                Ok(key) => set.keys.push(key),
                Err(reason) => set.left_out.push((jwk.kid, reason)),
            }
        }
        if set.keys.is_empty() {
            let reason = |(kid, reason): &(Option<String>, LeftOut)| {
                format!("; {:?}: {reason}", kid.as_deref().unwrap_or_default())
            };
            let reasons = set.left_out.iter().map(reason).collect();
            return Err(JwksError::NothingUsable(reasons));
        }
        Ok(set)
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn named(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid.as_deref() == Some(kid))
    }

    /// The key that is meant where none is named.
    pub fn only(&self) -> Option<&Key> {
        match self.keys.as_slice() {
            [key] => Some(key),
            _ => None,
        }
    }

    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }
}

impl Jwk {
    fn name(&self) -> String {
        self.kid.clone().unwrap_or_default()
    }

    fn check_is_public(&self) -> Result<(), JwksError> {
        if self.kty == "oct" || self.k.is_some() {
            return Err(JwksError::Symmetric(self.name()));
        }
        let private = [&self.d, &self.p, &self.q, &self.dp, &self.dq, &self.qi, &self.oth];
        if private.iter().any(|member| member.is_some()) {
            return Err(JwksError::Private(self.name()));
        }
        Ok(())
    }

    fn key(&self) -> Result<Key, LeftOut> {
        let is_name = |kid: &String| {
            (1..=KID_BYTES_MAX).contains(&kid.len()) && !kid.contains(char::is_control)
        };
        if !self.kid.as_ref().is_none_or(is_name) {
            return Err(LeftOut::Name);
        }
        let verifies = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
        if self.purpose.as_deref().is_some_and(|purpose| purpose != "sig")
            || !self.key_ops.as_ref().is_none_or(verifies)
        {
            return Err(LeftOut::Purpose);
        }
        let (algorithm, name) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => (Algorithm::RS256, "RS256"),
            ("EC", Some("P-256")) => (Algorithm::ES256, "ES256"),
            ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, "EdDSA"),
            _ => return Err(LeftOut::Algorithm),
        };
        if self.alg.as_deref().is_some_and(|alg| alg != name) {
            return Err(LeftOut::Algorithm);
        }
        let key = match algorithm {
            Algorithm::RS256 => self.rsa()?,
            Algorithm::ES256 => self.p256()?,
            _ => self.ed25519()?,
        };
        Ok(Key { kid: self.kid.clone(), algorithm, key })
    }

    fn rsa(&self) -> Result<DecodingKey, LeftOut> {
        let n = bytes(&self.n).ok_or(LeftOut::ModulusSize)?;
        let n = without_zeros(&n);
        let unused = n.first().map_or(0, |byte| byte.leading_zeros());
        let bits = (n.len() * 8).saturating_sub(unused as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(LeftOut::ModulusSize);
        }
        let e = bytes(&self.e).ok_or(LeftOut::Exponent)?;
        let e = without_zeros(&e);
        let value = e.iter().try_fold(0_u64, |value, byte| {
            value.checked_mul(256).map(|value| value | u64::from(*byte))
        });
        // The library takes none beyond 33 bits.
        if !value.is_some_and(|e| e % 2 == 1 && (RSA_EXPONENT_MIN..1 << 33).contains(&e)) {
            return Err(LeftOut::Exponent);
        }
        Ok(DecodingKey::from_rsa_raw_components(n, e))
    }

    fn p256(&self) -> Result<DecodingKey, LeftOut> {
        let (x, y) = (point(&self.x)?, point(&self.y)?);
        // Whether it is a point of the curve, the library looks when it verifies.
        Ok(DecodingKey::from_ec_der(&[&[4][..], &x, &y].concat()))
    }

    fn ed25519(&self) -> Result<DecodingKey, LeftOut> {
        let point = point(&self.x)?;
        if has_small_order(&point) {
            return Err(LeftOut::SmallOrder);
        }
        Ok(DecodingKey::from_ed_der(&point))
    }
}

fn bytes(text: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_ref()?).ok()
}

fn point(text: &Option<String>) -> Result<[u8; POINT_BYTES], LeftOut> {
    bytes(text).and_then(|bytes| bytes.try_into().ok()).ok_or(LeftOut::PointSize)
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// The y coordinates of the points whose order divides eight, in all their encodings, little end first;
/// the sign is the highest bit (RFC 8032; the list is libsodium's).
const SMALL_ORDERS: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn has_small_order(point: &[u8; POINT_BYTES]) -> bool {
    let mut y = *point;
    y[POINT_BYTES - 1] &= 0x7f;
    let y: String = y.iter().map(|byte| format!("{byte:02x}")).collect();
    SMALL_ORDERS.contains(&y.as_str())
}

#[cfg(test)]
mod tests;
