//! Who asks, by a signed token: HS256 alone, and stricter than the library in what RFC 8725 leaves
//! to the application.
//!
//! The library verifies the signature; everything else is checked here, against a clock that is an
//! argument. A token is refused for the first thing that is wrong with it, and all reasons but the
//! expiry look the same from outside.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use nox_contract::{TenantId, Timestamp, UserId};
use serde_json::{Value, value::RawValue};

use crate::object::Object;

/// Shortest secret: HMAC-SHA-256 with a key shorter than its output can be guessed offline
/// (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// Longest token; it must fit a header line beside others, and nobody's claims need more.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far the issuer's clock may be from ours, in seconds.
const LEEWAY_S: u64 = 5;

/// What a token is asked for beyond its signature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Longest time to the expiry, in seconds: a token can't be taken back, only run out.
    pub lifetime_s_max: u64,
    /// The one issuer, if it matters.
    pub issuer: Option<String>,
    /// The one audience, if it matters.
    pub audience: Option<String>,
}

/// Verifies tokens.
pub struct Verifier {
    key: DecodingKey,
    rules: Rules,
}

/// The secret is too short to be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the JWT secret has {0} bytes; at least {SECRET_BYTES_MIN} are needed")]
pub struct ShortSecret(usize);

/// Who a valid token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub tenant: TenantId,
    pub user: UserId,
    /// `role` and `roles` together, as they stand there.
    pub roles: Vec<String>,
    pub is_admin: bool,
    /// The words of `scope`.
    pub scopes: Vec<String>,
}

/// Why a token is refused. The reason is for our own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("token refused: {0}")]
    Invalid(&'static str),
    #[error("token expired")]
    Expired,
}

use TokenError::{Expired, Invalid};

impl Verifier {
    pub fn new(secret: &str, rules: Rules) -> Result<Self, ShortSecret> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(ShortSecret(secret.len()));
        }
        Ok(Self { key: DecodingKey::from_secret(secret.as_bytes()), rules })
    }

    /// Checks a token in compact form at the wall time `now`.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Invalid("too long"));
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Invalid("shape"))?;
        let (header, claims) = message.split_once('.').ok_or(Invalid("shape"))?;
        if claims.contains('.') {
            return Err(Invalid("shape"));
        }
        // The algorithm is ours, whatever the header says: there is nothing to be confused about.
        match crypto::verify(signature, message.as_bytes(), &self.key, Algorithm::HS256) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(Invalid("signature")),
        }
        check_header(&decode(header)?)?;
        self.check_claims(&decode(claims)?, now)
    }

    fn check_claims(&self, claims: &Members, now: Timestamp) -> Result<Identity, TokenError> {
        let identity = identity(claims)?;
        if let Some(issuer) = &self.rules.issuer
            && text(claims, "iss")? != Some(issuer)
        {
            return Err(Invalid("iss"));
        }
        if let Some(audience) = &self.rules.audience
            && texts(claims, "aud")? != [audience]
        {
            return Err(Invalid("aud"));
        }

        let now = u64::try_from(now.as_micros() / 1_000_000).unwrap_or_default();
        let not_yet = |at: Option<u64>| at.is_some_and(|at| at > now.saturating_add(LEEWAY_S));
        if not_yet(seconds(claims, "nbf")?) {
            return Err(Invalid("nbf"));
        }
        if not_yet(seconds(claims, "iat")?) {
            return Err(Invalid("iat"));
        }
        let expiry = seconds(claims, "exp")?.ok_or(Invalid("exp"))?;
        let expiry_max = now.saturating_add(self.rules.lifetime_s_max).saturating_add(LEEWAY_S);
        if expiry > expiry_max {
            return Err(Invalid("lifetime"));
        }
        if expiry.saturating_add(LEEWAY_S) <= now {
            return Err(Expired);
        }
        Ok(identity)
    }
}

/// Header members that change what a signature means or where its key is from. We understand none.
const HEADERS_REFUSED: [&str; 10] =
    ["crit", "b64", "zip", "enc", "cty", "jwk", "jku", "x5u", "x5c", "x5t"];

fn check_header(header: &Members) -> Result<(), TokenError> {
    if header.iter().any(|(name, _)| HEADERS_REFUSED.contains(&name.as_str())) {
        return Err(Invalid("header"));
    }
    if text(header, "alg")? != Some("HS256") {
        return Err(Invalid("alg"));
    }
    // Tokens of other kinds, signed with the same secret for something else, are no access tokens.
    let kind = text(header, "typ")?;
    if !kind.is_none_or(|kind| ["jwt", "at+jwt"].iter().any(|k| kind.eq_ignore_ascii_case(k))) {
        return Err(Invalid("typ"));
    }
    // There is one key, so its name decides nothing; but it has to be a name.
    if text(header, "kid")?.is_some_and(|kid| kid.is_empty() || kid.chars().any(char::is_control)) {
        return Err(Invalid("kid"));
    }
    Ok(())
}

fn identity(claims: &Members) -> Result<Identity, TokenError> {
    let user = text(claims, "sub")?.ok_or(Invalid("sub"))?;
    let user = UserId::new(user).map_err(|_| Invalid("sub"))?;
    let tenant = TenantId::new(text(claims, "tenant")?.unwrap_or(TenantId::DEFAULT))
        .map_err(|_| Invalid("tenant"))?;
    if tenant.is_system() {
        return Err(Invalid("tenant"));
    }
    let mut roles = texts(claims, "role")?;
    roles.extend(texts(claims, "roles")?);
    let roles = roles.into_iter().map(str::to_owned).collect();
    let is_admin = match claim(claims, "is_admin") {
        None => false,
        Some(Value::Bool(is_admin)) => *is_admin,
        Some(_) => return Err(Invalid("is_admin")),
    };
    let scopes = text(claims, "scope")?.unwrap_or_default();
    let scopes = scopes.split_ascii_whitespace().map(str::to_owned).collect();
    Ok(Identity { tenant, user, roles, is_admin, scopes })
}

/// A member; `null` is how some issuers write one that is not there.
fn claim<'a>(members: &'a Members, name: &str) -> Option<&'a Value> {
    let member = members.iter().find(|(known, _)| known == name);
    member.map(|(_, value)| value).filter(|value| !value.is_null())
}

fn text<'a>(members: &'a Members, name: &str) -> Result<Option<&'a str>, TokenError> {
    match claim(members, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Invalid("type")),
    }
}

/// A text, or an array of texts, as RFC 7519 allows for `aud`; issuers write roles in both ways.
fn texts<'a>(members: &'a Members, name: &str) -> Result<Vec<&'a str>, TokenError> {
    match claim(members, name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().ok_or(Invalid("type"))).collect()
        }
        Some(_) => Err(Invalid("type")),
    }
}

/// A NumericDate: seconds since 1970, of which RFC 7519 allows fractions. They are cut off; what is
/// beyond all whole numbers is the largest one.
fn seconds(members: &Members, name: &str) -> Result<Option<u64>, TokenError> {
    let Some(value) = claim(members, name) else { return Ok(None) };
    let fraction = || value.as_f64().filter(|at| at.is_finite() && *at >= 0.0).map(|at| at as u64);
    value.as_u64().or_else(fraction).map(Some).ok_or(Invalid("type"))
}

/// The members of a JSON object, none of them twice: two readers of one token must not see two
/// different tokens.
type Members = Vec<(String, Value)>;

fn decode(part: &str) -> Result<Members, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Invalid("encoding"))?;
    let Object(members) = serde_json::from_slice(&bytes).map_err(|_| Invalid("json"))?;
    let parsed = |(name, value): (Cow<'_, str>, &RawValue)| {
        Ok((name.into_owned(), serde_json::from_str(value.get()).map_err(|_| Invalid("json"))?))
    };
    members.into_iter().map(parsed).collect()
}
