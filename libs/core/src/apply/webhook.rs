//! Facts of a webhook.

use nox_contract::{Entry, Fact, TenantId, WebhookId};

use super::{ApplyError, misplaced};
use crate::{state::State, webhooks::Webhook};

impl State {
    pub(super) fn apply_webhook(
        &mut self,
        entry: &Entry,
        tenant: &TenantId,
        id: WebhookId,
    ) -> Result<(), ApplyError> {
        let (n, at) = (self.n, self.at);
        for fact in entry.known_facts() {
            let missing = || ApplyError::Missing { n, fact: fact.name(), what: "webhook" };
            match fact {
                Fact::WebhookSet { spec, owner, key_id, .. } => {
                    let rotation = self.webhooks.get(&id).map_or(0, |before| before.rotation);
                    let webhook = Webhook {
                        tenant: tenant.clone(),
                        owner: owner.clone(),
                        spec: (**spec).clone(),
                        key_id: *key_id,
                        rotation,
                        disabled: None,
                        set_in: n,
                    };
                    self.webhooks.insert(id, webhook);
                }
                Fact::WebhookRotated { rotation, .. } => {
                    self.webhooks.get_mut(&id).ok_or_else(missing)?.rotation = *rotation;
                }
                Fact::WebhookDisabled { reason } => {
                    self.webhooks.get_mut(&id).ok_or_else(missing)?.disabled = Some(*reason);
                }
                // These are for the notifier.
                Fact::WebhookTested { .. } | Fact::WebhookRedelivered { .. } => {
                    self.webhooks.get(&id).ok_or_else(missing)?;
                }
                Fact::WebhookDeleted { .. } => {
                    self.webhooks.remove(&id).ok_or_else(missing)?;
                    self.gone.insert(id.0.as_u128(), at);
                }
                other => return Err(misplaced(n, other, "a webhook")),
            }
        }
        Ok(())
    }
}
