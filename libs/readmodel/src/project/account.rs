//! What facts make of an account: its limits, its budget, what it was refused.

use nox_contract::{Entity, Fact};

use super::{Context, IllegalEntry, Projection, Violation};
use crate::{
    metrics::MetricKey,
    rows::{BalanceKey, StoredLimits},
    storable,
};

impl Projection<'_> {
    pub(super) fn move_account(
        &mut self,
        context: &Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEntry> {
        let Entity::Account { tenant, account } = context.entity else {
            return Err(context.misplaced(fact));
        };
        let n = context.placed.n;
        if !storable || storable::text(account).is_err() {
            return Ok(());
        }
        if let Fact::LimitsSet { role, limits, change } = fact {
            let (role, limits, change) = (role.clone(), *limits, change.as_deref().cloned());
            let limits = StoredLimits { role, limits, change, set_at: context.placed.at, n };
            self.changes.limits.insert((tenant.clone(), account.clone()), limits);
        }
        if let Fact::Granted { period, .. } = fact {
            let key =
                BalanceKey { tenant: tenant.clone(), account: account.clone(), period: *period };
            let balance = self.balance(&key).unwrap_or_default();
            let balance = balance.after(fact).ok_or_else(|| IllegalEntry::Unbalanced {
                at: context.placed.stands(),
                fact: fact.name(),
                account: account.clone(),
            })?;
            self.changes.balances.insert(key, (balance, n));
        }
        if let Fact::QuotaViolated { job_id, user_id, module, refusal } = fact {
            self.changes.violations.push(Violation {
                n,
                part: context.part,
                tenant: tenant.clone(),
                account: account.clone(),
                user_id: user_id.clone(),
                job_id: *job_id,
                module: module.clone(),
                refusal: (**refusal).clone(),
                at: context.placed.at,
            });
            let key = MetricKey::Violations { code: refusal.code };
            *self.changes.metrics.entry(key).or_default() += 1;
        }
        Ok(())
    }
}
