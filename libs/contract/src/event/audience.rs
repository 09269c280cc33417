//! Who may see an event: of each thing, those who may see the thing at its own address.

use crate::{Entity, Fact, TenantId, UserId, subject};

/// Somebody who looks at events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer<'a> {
    pub tenant: &'a TenantId,
    pub user: &'a UserId,
    /// Sees all of the tenant.
    pub admin: bool,
}

impl Viewer<'_> {
    /// Whether they may be shown a fact about `entity`. `owner` is whose it is that facts name by its id alone: whoever
    /// made the key, or the owner of schedule or webhook; `None`, if nobody knows (any more).
    pub fn sees(&self, entity: &Entity, fact: &Fact, owner: Option<&UserId>) -> bool {
        let own =
            |tenant: &TenantId, is_own: bool| *tenant == *self.tenant && (self.admin || is_own);
        match entity {
            Entity::Job { tenant, user_id, .. } => own(tenant, user_id == self.user),
            Entity::Module(_) => true,
            // Executors serve everybody; those that claim their work are their tenant's.
            Entity::Worker(worker) => worker.http_id().is_none() || worker.is_http_of(self.tenant),
            Entity::Topic { tenant, .. } => tenant == self.tenant,
            Entity::Account { tenant, account } => {
                let is_own = match fact {
                    Fact::QuotaViolated { user_id, .. } => user_id == self.user,
                    _ => *account == subject::user_account(self.user),
                };
                own(tenant, is_own)
            }
            Entity::Key { tenant, .. }
            | Entity::Schedule { tenant, .. }
            | Entity::Webhook { tenant, .. } => {
                own(tenant, owner.or(last_by(fact)) == Some(self.user))
            }
            Entity::Control => false,
        }
    }
}

/// Who did what makes or ends it, which is told of its owner where nobody knows any better.
fn last_by(fact: &Fact) -> Option<&UserId> {
    match fact {
        Fact::KeyCreated { by, .. }
        | Fact::KeyRevoked { by }
        | Fact::ScheduleDeleted { by }
        | Fact::WebhookDeleted { by } => Some(by),
        Fact::ScheduleSet { owner, .. } | Fact::WebhookSet { owner, .. } => Some(owner),
        _ => None,
    }
}
