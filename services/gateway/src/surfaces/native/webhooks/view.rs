//! How a webhook is shown, to whom its URL may be shown: its owner, and admins.

use nox_contract::{
    DisableReason, EventFilter, FrameNumber, KeyId, Timestamp, UserId, WebhookId, WebhookSpec,
};
use nox_readmodel::query::{EndpointRow, WebhookRow};
use schemars::JsonSchema;
use serde::Serialize;

use crate::use_cases::webhooks::previous_until;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub struct WebhookView {
    id: WebhookId,
    url: String,
    description: String,
    user_id: UserId,
    filter: EventFilter,
    of_tenant: bool,
    /// Whether anything is sent.
    enabled: bool,
    /// Why Nox switched it off: `gone`, `failing`, `key_revoked` or `key_expired`.
    disabled_reason: Option<DisableReason>,
    /// The API key that it is bound to: it is switched off when that is revoked or has run out.
    key_id: Option<KeyId>,
    expires_at: Option<Timestamp>,
    /// How often its secret was rotated, and until when the one before signs as well.
    rotation: u32,
    previous_secret_until: Option<Timestamp>,
    created_at: Timestamp,
    n: FrameNumber,
    /// How its endpoint is; null where that was not asked for, or nobody knows.
    endpoint: Option<Endpoint>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookEndpoint")]
struct Endpoint {
    /// Attempts that failed since the last one that was taken.
    failures: u32,
    failing_since: Option<Timestamp>,
    /// Deliveries that were given up because too many waited.
    dropped: u64,
}

impl WebhookView {
    pub fn new((id, row): WebhookRow, endpoint: Option<EndpointRow>, now: Timestamp) -> Self {
        let enabled = row.is_on();
        let WebhookSpec { url, description, filter, of_tenant, enabled: _ } = row.spec;
        Self {
            id,
            url,
            description,
            user_id: row.owner,
            filter,
            of_tenant,
            enabled,
            disabled_reason: row.disabled,
            key_id: row.key_id,
            expires_at: row.expires_at,
            rotation: row.rotation,
            previous_secret_until: previous_until(row.previous_until, now),
            created_at: row.created_at,
            n: row.n,
            endpoint: endpoint.map(|EndpointRow { failures, failing_since, dropped }| Endpoint {
                failures,
                failing_since,
                dropped,
            }),
        }
    }
}
