//! Webhooks: where events are sent. The notifier sends them, and reads what it needs from facts.

use std::collections::BTreeMap;

use nox_contract::{DisableReason, FrameNumber, KeyId, TenantId, UserId, WebhookId, WebhookSpec};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    pub tenant: TenantId,
    /// Who may see and change it, admins aside.
    pub owner: UserId,
    pub spec: WebhookSpec,
    /// The API key that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// How often its secret was rotated.
    #[serde(default)]
    pub rotation: u32,
    /// Why it sends nothing, since it was set last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<DisableReason>,
    /// The frame in which it was set last.
    pub set_in: FrameNumber,
}

impl Webhook {
    /// Whether it sends anything.
    pub fn is_on(&self) -> bool {
        self.spec.enabled && self.disabled.is_none()
    }
}

/// All webhooks.
pub type Webhooks = BTreeMap<WebhookId, Webhook>;
