//! Facts of an account.

use nox_contract::{Entry, Fact, TenantId};

use super::{ApplyError, misplaced};
use crate::state::State;

impl State {
    pub(super) fn apply_account(
        &mut self,
        entry: &Entry,
        tenant: &TenantId,
        name: &str,
    ) -> Result<(), ApplyError> {
        let (n, at) = (self.n, self.at);
        for fact in entry.known_facts() {
            let missing = |what| ApplyError::Missing { n, fact: fact.name(), what };
            if let Fact::LimitsSet { role, limits, change } = fact {
                let fixed = change.as_ref().is_some_and(|change| !change.reset);
                let set = self.ledger.set_limits(tenant, name, (role, *limits, fixed));
                set.ok_or_else(|| missing("account"))?;
                continue;
            }
            let account =
                self.ledger.account_mut(tenant, name).ok_or_else(|| missing("account"))?;
            match fact {
                Fact::Granted { period, .. } => {
                    account.grant(*period, fact).ok_or_else(|| missing("budget"))?;
                }
                Fact::QuotaViolated { refusal, .. } => {
                    account.violated_at.insert(refusal.code, at);
                }
                other => return Err(misplaced(n, other, "an account")),
            }
        }
        Ok(())
    }
}
