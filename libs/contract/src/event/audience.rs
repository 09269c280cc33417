//! Who may see an event: of each thing, those who may see the thing at its own address.

use crate::{Entity, Entry, Fact, TenantId, UserId, subject};

/// Somebody who looks at events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer<'a> {
    pub tenant: &'a TenantId,
    pub user: &'a UserId,
    /// Sees all of the tenant.
    pub admin: bool,
}

impl Viewer<'_> {
    /// Whether they may be shown a fact of `entry`. One of a key, schedule or webhook names the owner; that of an older
    /// log does not, and is told to admins alone.
    pub fn sees(&self, entry: &Entry, fact: &Fact) -> bool {
        let Some(entity) = entry.entity() else { return false };
        let own = |tenant: TenantId, is_own: bool| tenant == *self.tenant && (self.admin || is_own);
        match entity {
            Entity::Job { tenant, user_id, .. } => own(tenant, user_id == *self.user),
            Entity::Module(_) => true,
            // Executors serve everybody; those that claim their work are their tenant's.
            Entity::Worker(worker) => worker.http_id().is_none() || worker.is_http_of(self.tenant),
            Entity::Topic { tenant, .. } => tenant == *self.tenant,
            Entity::Account { tenant, account } => {
                let is_own = match fact {
                    Fact::QuotaViolated { user_id, .. } => user_id == self.user,
                    _ => account == subject::user_account(self.user),
                };
                own(tenant, is_own)
            }
            Entity::Key { tenant, .. }
            | Entity::Schedule { tenant, .. }
            | Entity::Webhook { tenant, .. } => {
                own(tenant, entry.user_id.as_ref() == Some(self.user))
            }
            Entity::Control => false,
        }
    }
}
