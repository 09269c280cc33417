//! What facts make of webhooks.

use nox_contract::{Entity, Fact};

use super::{Context, IllegalEntry, Projection};
use crate::rows::StoredWebhook;

impl Projection<'_> {
    pub(super) fn move_webhook(
        &mut self,
        context: &Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEntry> {
        let Entity::Webhook { tenant, webhook_id: id } = context.entity else {
            return Err(context.misplaced(fact));
        };
        let (n, at) = (context.placed.n, context.placed.at);
        let known = match self.changes.webhooks.get(id) {
            Some(changed) => changed.clone(),
            None => self.rows.webhooks.get(id).cloned(),
        };
        let row = match (fact, known) {
            (Fact::WebhookSet { spec, owner, key_id, expires_at, .. }, known) if storable => {
                Some(StoredWebhook {
                    tenant: tenant.clone(),
                    owner: owner.clone(),
                    spec: (**spec).clone(),
                    key_id: *key_id,
                    expires_at: *expires_at,
                    rotation: known.as_ref().map_or(0, |known| known.rotation),
                    previous_until: known.as_ref().and_then(|known| known.previous_until),
                    disabled: None,
                    created_at: known.as_ref().map_or(at, |known| known.created_at),
                    set_in: n,
                    n,
                })
            }
            (Fact::WebhookRotated { rotation, previous_until, .. }, Some(known)) => {
                let (rotation, previous_until) = (*rotation, Some(*previous_until));
                Some(StoredWebhook { rotation, previous_until, n, ..known })
            }
            (Fact::WebhookDisabled { reason }, Some(known)) => {
                Some(StoredWebhook { disabled: Some(*reason), n, ..known })
            }
            (Fact::WebhookDeleted { .. }, Some(_)) => None,
            // What is asked of the notifier; and there is no row if what it was made of could not be stored.
            _ => return Ok(()),
        };
        self.changes.webhooks.insert(*id, row);
        Ok(())
    }
}
