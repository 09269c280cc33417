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
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    tenant: &'a str,
    role: &'a str,
    /// Seconds since 1970, as is `exp`.
    iat: i64,
    exp: i64,
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
        };
        // The default header says HS256, the one that the gateway takes.
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&Header::default(), &claims, &key).context("cannot sign a token")
    }
}
