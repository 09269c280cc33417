//! Who asks, by a signed token: HS256, RS256, ES256 and EdDSA, and stricter than the library in what
//! RFC 8725 leaves to the application.
//!
//! The library verifies the signature; everything else is checked here, against a clock that is an
//! argument. A token is refused for the first thing that is wrong with it, and all reasons but the
//! expiry look the same from outside.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use nox_contract::{TenantId, Timestamp, UserId};

use crate::identity::{
    jwks::{Key, KeySet},
    key_source::PublishedKeys,
    token_members::Members,
    token_rule::Rule,
};

/// Shortest secret: HMAC-SHA-256 with a key shorter than its output can be guessed offline
/// (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// Longest token; it must fit a header line beside others, and nobody's claims need more.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far the issuer's clock may be from ours, in seconds.
const LEEWAY_S: u64 = 5;

/// Header members that change what a signature means, or bring a key or its address along. We understand
/// none. `x5t` stays: it names a key, as `kid` does, and we go by that.
const HEADERS_REFUSED: [&str; 9] = ["crit", "b64", "zip", "enc", "cty", "jwk", "jku", "x5u", "x5c"];

/// What an access token may call itself (RFC 9068), in any case.
const KINDS: [&str; 2] = ["jwt", "at+jwt"];

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
    /// For HS256; whoever knows it can sign, too.
    secret: Option<Key>,
    /// For what others sign.
    published: Option<PublishedKeys>,
    rules: Rules,
    /// The rules that a test takes away, to see what they stop.
    #[cfg(test)]
    without: Vec<Rule>,
}

/// Why tokens cannot be verified as it was configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyConfigurationError {
    #[error("the JWT secret has {0} bytes; at least {SECRET_BYTES_MIN} are needed")]
    ShortSecret(usize),
    /// Everybody knows it, so everybody could sign.
    #[error("the JWT secret is a key in PEM or JSON; public keys are for NOX_JWT_JWKS")]
    SecretIsKey,
    #[error("there is nothing to verify tokens with: set NOX_JWT_SECRET, NOX_JWT_JWKS or both")]
    NoKey,
    /// A provider signs for many, and its token for another one would be good here.
    #[error("with NOX_JWT_JWKS, NOX_JWT_ISSUER and NOX_JWT_AUDIENCE are needed")]
    NoAudience,
}

/// Who a valid token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub tenant: TenantId,
    pub user: UserId,
    /// `jti`, if it is a text: what is none names nothing, and is no reason to refuse.
    pub token_id: Option<String>,
    /// `role` and `roles` together, as they stand there.
    pub roles: Vec<String>,
    pub is_admin: bool,
    /// The words of `scope`.
    pub scopes: Vec<String>,
    /// When it runs out; `None` of a key that does not.
    pub expires_at: Option<Timestamp>,
}

/// Why a token is refused. The reason is for our own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("token refused: {0}")]
    Invalid(Rule),
    #[error("token expired")]
    Expired,
}

use TokenError::{Expired, Invalid};

impl From<Rule> for TokenError {
    fn from(rule: Rule) -> Self {
        Invalid(rule)
    }
}

impl Verifier {
    pub fn new(
        secret: Option<&str>,
        published: Option<PublishedKeys>,
        rules: Rules,
    ) -> Result<Self, KeyConfigurationError> {
        use KeyConfigurationError::{NoAudience, NoKey, SecretIsKey, ShortSecret};

        if secret.is_none() && published.is_none() {
            return Err(NoKey);
        }
        if published.is_some() && (rules.issuer.is_none() || rules.audience.is_none()) {
            return Err(NoAudience);
        }
        if let Some(secret) = secret {
            if secret.len() < SECRET_BYTES_MIN {
                return Err(ShortSecret(secret.len()));
            }
            let text = secret.trim_start();
            if text.starts_with("-----BEGIN") || text.starts_with('{') {
                return Err(SecretIsKey);
            }
        }
        let secret = secret.map(|secret| Key {
            kid: None,
            algorithm: Algorithm::HS256,
            key: DecodingKey::from_secret(secret.as_bytes()),
        });
        Ok(Self {
            secret,
            published,
            rules,
            #[cfg(test)]
            without: Vec::new(),
        })
    }

    /// Checks a token in compact form at the wall time `now`. Where it names a key that is not known,
    /// the published ones are read again first, if they were not just read.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, TokenError> {
        match (self.verify_with(token, now, &self.keys()), &self.published) {
            (Err(Invalid(Rule::Key)), Some(published)) => {
                published.renew().await;
                self.verify_with(token, now, &published.current())
            }
            (verified, _) => verified,
        }
    }

    /// Reads the published keys again and again, if there are any.
    pub async fn watch_keys(&self) {
        if let Some(published) = &self.published {
            published.watch().await;
        }
    }

    fn keys(&self) -> Arc<KeySet> {
        self.published.as_ref().map(PublishedKeys::current).unwrap_or_default()
    }

    fn verify_with(
        &self,
        token: &str,
        now: Timestamp,
        keys: &KeySet,
    ) -> Result<Identity, TokenError> {
        self.hold(Rule::Length, token.len() <= TOKEN_BYTES_MAX)?;
        let parts = Parts::of(token)?;
        let header = self.decode(parts.header)?;
        self.check_header(&header)?;
        let algorithm = header.text("alg")?;
        let key = self.key(header.text("kid")?, algorithm, keys)?;
        // A token that says another algorithm than its key's is none for that key.
        self.hold(Rule::Algorithm, algorithm == Some(name_of(key.algorithm)))?;
        self.hold(Rule::Signature, self.is_signed(key, &parts))?;
        self.check_claims(&self.decode(parts.claims)?, now)
    }

    /// The one key that the token can mean.
    fn key<'k>(
        &'k self,
        kid: Option<&str>,
        algorithm: Option<&str>,
        keys: &'k KeySet,
    ) -> Result<&'k Key, TokenError> {
        if let Some(key) = kid.and_then(|kid| keys.named(kid)) {
            return Ok(key);
        }
        // The secret has no name: there is one, and what a token calls it decides nothing.
        if let Some(secret) = &self.secret
            && (self.published.is_none() || algorithm == Some(name_of(secret.algorithm)))
        {
            return Ok(secret);
        }
        if kid.is_none()
            && let Some(only) = keys.only()
        {
            return Ok(only);
        }
        #[cfg(test)]
        if self.is_without(Rule::Key) {
            let fits = |key: &&Key| algorithm == Some(name_of(key.algorithm));
            return keys.iter().find(fits).or(keys.iter().next()).ok_or(Invalid(Rule::Key));
        }
        Err(Invalid(Rule::Key))
    }

    /// Whether the key's owner signed, by the key's algorithm: what the token says of it is no matter.
    fn is_signed(&self, key: &Key, parts: &Parts<'_>) -> bool {
        #[cfg(test)]
        if self.is_without(Rule::Algorithm) {
            return tests::is_signed_as_the_token_says(key, parts.signature, parts.message);
        }
        let message = parts.message.as_bytes();
        matches!(crypto::verify(parts.signature, message, &key.key, key.algorithm), Ok(true))
    }

    fn check_header(&self, header: &Members) -> Result<(), TokenError> {
        let is_plain = header.names().all(|name| !HEADERS_REFUSED.contains(&name));
        self.hold(Rule::Header, is_plain)?;
        let kind = header.text("typ")?;
        let is_ours = kind.is_none_or(|kind| KINDS.iter().any(|k| kind.eq_ignore_ascii_case(k)));
        self.hold(Rule::Kind, is_ours)?;
        let is_name = |kid: &str| !kid.is_empty() && !kid.contains(char::is_control);
        self.hold(Rule::KeyName, header.text("kid")?.is_none_or(is_name))
    }

    fn check_claims(&self, claims: &Members, now: Timestamp) -> Result<Identity, TokenError> {
        let mut identity = self.identity(claims)?;
        if let Some(issuer) = &self.rules.issuer {
            self.hold(Rule::Issuer, claims.text("iss")? == Some(issuer))?;
        }
        if let Some(audience) = &self.rules.audience {
            self.hold(Rule::Audience, claims.texts("aud")? == [audience])?;
        }

        let now = u64::try_from(now.as_micros() / 1_000_000).unwrap_or_default();
        let is_past = |at: Option<u64>| at.is_none_or(|at| at <= now.saturating_add(LEEWAY_S));
        self.hold(Rule::NotBefore, is_past(claims.seconds("nbf")?))?;
        self.hold(Rule::IssuedAt, is_past(claims.seconds("iat")?))?;
        let expiry = claims.seconds("exp")?;
        self.hold(Rule::Expiry, expiry.is_some())?;
        let Some(expiry) = expiry else { return Ok(identity) };
        let expiry_max = now.saturating_add(self.rules.lifetime_s_max).saturating_add(LEEWAY_S);
        self.hold(Rule::Lifetime, expiry <= expiry_max)?;
        if expiry.saturating_add(LEEWAY_S) <= now {
            return Err(Expired);
        }
        let micros = i64::try_from(expiry.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        identity.expires_at = Some(Timestamp::from_micros(micros));
        Ok(identity)
    }

    fn identity(&self, claims: &Members) -> Result<Identity, TokenError> {
        let user = claims.text("sub")?.ok_or(Invalid(Rule::Subject))?;
        let user = UserId::new(user).map_err(|_| Invalid(Rule::Subject))?;
        let tenant = claims.text("tenant")?.unwrap_or(TenantId::DEFAULT);
        let tenant = TenantId::new(tenant).map_err(|_| Invalid(Rule::Tenant))?;
        self.hold(Rule::SystemTenant, !tenant.is_system())?;
        let mut roles = claims.texts("role")?;
        roles.extend(claims.texts("roles")?);
        let roles = roles.into_iter().map(str::to_owned).collect();
        let is_admin = claims.flag("is_admin")?;
        let scopes = claims.text("scope")?.unwrap_or_default();
        let scopes = scopes.split_ascii_whitespace().map(str::to_owned).collect();
        let token_id = claims.text("jti").ok().flatten().map(str::to_owned);
        Ok(Identity { tenant, user, token_id, roles, is_admin, scopes, expires_at: None })
    }

    fn decode(&self, part: &str) -> Result<Members, TokenError> {
        #[cfg(test)]
        {
            let members = match Members::decode(part) {
                Err(Rule::Doubled) if self.is_without(Rule::Doubled) => Members::decode_last(part),
                members => members,
            };
            if self.is_without(Rule::Type) {
                return Ok(members?.with_any_type());
            }
            Ok(members?)
        }
        #[cfg(not(test))]
        Ok(Members::decode(part)?)
    }

    /// Refuses what breaks the rule.
    fn hold(&self, rule: Rule, holds: bool) -> Result<(), TokenError> {
        #[cfg(test)]
        let holds = holds || self.is_without(rule);
        if holds { Ok(()) } else { Err(Invalid(rule)) }
    }

    #[cfg(test)]
    fn is_without(&self, rule: Rule) -> bool {
        self.without.contains(&rule)
    }

    #[cfg(test)]
    pub fn without(self, rules: &[Rule]) -> Self {
        Self { without: rules.to_vec(), ..self }
    }
}

/// A token in compact form. What is signed is header and claims as they are written, with the dot.
struct Parts<'t> {
    message: &'t str,
    header: &'t str,
    claims: &'t str,
    signature: &'t str,
}

impl<'t> Parts<'t> {
    fn of(token: &'t str) -> Result<Self, Rule> {
        let (message, signature) = token.rsplit_once('.').ok_or(Rule::Shape)?;
        let (header, claims) = message.split_once('.').ok_or(Rule::Shape)?;
        if claims.contains('.') {
            return Err(Rule::Shape);
        }
        Ok(Self { message, header, claims, signature })
    }
}

/// As `alg` has it.
fn name_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HS256 => "HS256",
        Algorithm::RS256 => "RS256",
        Algorithm::ES256 => "ES256",
        Algorithm::EdDSA => "EdDSA",
        // No key is for another one.
        _ => "",
    }
}

#[cfg(test)]
mod tests;
