//! Tokens of users, as the gateway accepts them.

use std::time::Duration;

use anyhow::{Context, Result};
use jsonwebtoken::{EncodingKey, Header};
use nox_contract::{TenantId, Timestamp, UserId};
use serde::Serialize;

/// Who a token speaks for, and for how long.
#[derive(Debug, Clone)]
pub struct Grant {
    pub user: UserId,
    pub tenant: TenantId,
    pub role: String,
    pub lifetime: Duration,
    pub by: By,
}

/// By whom and for whom a token is, where the gateway asks for that.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct By {
    /// What a token says of who made it.
    #[arg(long = "issuer", env = "NOX_JWT_ISSUER")]
    iss: Option<String>,

    /// What a token says of whom it is for.
    #[arg(long = "audience", env = "NOX_JWT_AUDIENCE")]
    aud: Option<String>,
}

impl By {
    /// As the environment says.
    pub fn usual() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self { iss: set("NOX_JWT_ISSUER"), aud: set("NOX_JWT_AUDIENCE") }
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    tenant: &'a str,
    role: &'a str,
    /// Seconds since 1970, as is `exp`.
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

impl Grant {
    /// Signs it at the wall time `now`.
    pub fn sign(&self, secret: &str, now: Timestamp) -> Result<String> {
        let seconds = |at: Timestamp| at.as_micros() / 1_000_000;
        let claims = Claims {
            sub: self.user.as_str(),
            tenant: self.tenant.as_str(),
            role: &self.role,
            iat: seconds(now),
            exp: seconds(now + self.lifetime),
            iss: self.by.iss.as_deref(),
            aud: self.by.aud.as_deref(),
        };
        // The default header says HS256, the one that the gateway takes.
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&Header::default(), &claims, &key).context("cannot sign a token")
    }
}
