//! What the operator says of webhooks.

use nox_contract::WebhookKey;
use nox_egress::Rules;

pub struct WebhookSettings {
    /// What their secrets are computed from. Without it, nobody can make one.
    pub key: Option<WebhookKey>,
    /// Where they may go.
    pub rules: Rules,
}
