//! Events that are sent to an HTTP endpoint.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DeliveryId, EventFilter, FactPlace, TenantId, WebhookId};

/// Where events are sent, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookSpec {
    /// Whole, with its query, which may hold a secret: it is shown to the owner and to admins alone.
    pub url: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(default, skip_serializing_if = "EventFilter::is_empty")]
    pub filter: EventFilter,
    /// All that admins may see of the tenant, and not what its owner may see alone. Only an admin sets one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_tenant: bool,
    /// Whether anything is sent.
    pub enabled: bool,
}

/// Why a webhook was switched off by Nox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisableReason {
    /// Its endpoint answered 410: it is not there any more.
    Gone,
    /// Nothing had been taken by its endpoint for days.
    Failing,
    /// The API key that it is bound to was revoked.
    KeyRevoked,
    /// The API key that it is bound to has run out.
    KeyExpired,
}

impl DisableReason {
    pub const ALL: [Self; 4] = [Self::Gone, Self::Failing, Self::KeyRevoked, Self::KeyExpired];

    /// The word as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
            Self::KeyRevoked => "key_revoked",
            Self::KeyExpired => "key_expired",
        }
    }
}

/// For so long the secret of before a rotation signs beside the new one, in seconds, unless the asker says otherwise:
/// a day.
pub const OVERLAP_S: u32 = 24 * 3_600;
/// And at most: a week.
pub const OVERLAP_S_MAX: u32 = 7 * 24 * 3_600;

impl DeliveryId {
    /// The delivery of the event at `place` by a webhook: the same whoever makes it, and however often.
    pub fn of_event(webhook: WebhookId, place: FactPlace) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("nox 2026-11 delivery of a webhook");
        hasher.update(webhook.0.as_bytes());
        hasher.update(&place.n.0.to_be_bytes());
        hasher.update(&place.entry.to_be_bytes());
        hasher.update(&place.fact.to_be_bytes());
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// What the secrets of all webhooks are computed from: 64 hex digits.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookKey([u8; 32]);

impl FromStr for WebhookKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = blake3::Hash::from_hex(text).map_err(|_| "not 64 hex digits")?;
        Ok(Self(*key.as_bytes()))
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey(…)")
    }
}

/// What the payloads of a webhook are signed with. It is kept nowhere: whoever has the system's key computes it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret([u8; 32]);

impl WebhookSecret {
    /// The secret of a webhook after so many rotations.
    pub fn compute(key: &WebhookKey, tenant: &TenantId, webhook: WebhookId, rotation: u32) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("nox 2026-11 secret of a webhook");
        hasher.update(&key.0);
        hasher.update(webhook.0.as_bytes());
        hasher.update(&rotation.to_be_bytes());
        hasher.update(tenant.as_str().as_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FrameNumber;

    #[test]
    fn a_secret_is_of_one_key_tenant_webhook_and_rotation() {
        let (acme, other): (TenantId, TenantId) = ("acme".parse().unwrap(), "b".parse().unwrap());
        let id = |n: u128| WebhookId(uuid::Uuid::from_u128(n));
        let of = |key: u8, tenant, n, rotation| {
            WebhookSecret::compute(&WebhookKey([key; 32]), tenant, id(n), rotation)
        };
        let secret = of(1, &acme, 1, 0);
        assert_eq!(secret, of(1, &acme, 1, 0));
        for another in
            [of(2, &acme, 1, 0), of(1, &other, 1, 0), of(1, &acme, 2, 0), of(1, &acme, 1, 1)]
        {
            assert_ne!(secret, another);
        }
    }

    #[test]
    fn a_delivery_is_of_one_webhook_and_place() {
        let webhook = WebhookId(uuid::Uuid::from_u128(1));
        let place = FactPlace { n: FrameNumber(7), entry: 1, fact: 2 };
        let id = DeliveryId::of_event(webhook, place);
        assert_eq!(id, DeliveryId::of_event(webhook, place));
        assert_ne!(id, DeliveryId::of_event(webhook, FactPlace { fact: 3, ..place }));
        assert_ne!(id, DeliveryId::of_event(WebhookId(uuid::Uuid::from_u128(2)), place));
    }
}
