//! What facts beside a job's move in the ledger: in its own entry, and in two accounts.

use nox_contract::{Entity, Fact, FrameNumber, Timestamp};
use nox_core::ledger::{Balance, add_overrun};

use super::{
    Context, IllegalEntry, Projection, Treatment,
    needed::{accounts, period},
};
use crate::{
    batch::PlacedEntry,
    rows::{BalanceKey, JobLedger, StoredJob},
};

impl Projection<'_> {
    /// Moves core seconds in the job's entry, its user's account and its tenant's alike.
    pub(super) fn move_budget(
        &mut self,
        context: &mut Context<'_>,
        fact: &Fact,
    ) -> Result<(), IllegalEntry> {
        let (Entity::Job { .. }, Some(period), Some(change)) =
            (context.entity, period(fact), context.job.as_mut())
        else {
            return Err(context.misplaced(fact));
        };
        let moved = self.moved_budget(&context.placed, &change.row, fact, period);
        let (entry, balances) = match moved {
            Ok(moved) => moved,
            // What it follows may be the very fact that is not known here.
            Err(_) if change.row.is_frozen() => return Ok(()),
            Err(error) => return Err(error),
        };
        change.row.ledger = entry;
        self.changes.balances.extend(balances);
        Ok(())
    }

    /// The job's entry and the two balances after `fact`.
    #[expect(clippy::type_complexity, reason = "one caller, and all of it is one movement")]
    fn moved_budget(
        &self,
        placed: &PlacedEntry<'_>,
        row: &StoredJob,
        fact: &Fact,
        period: Timestamp,
    ) -> Result<(JobLedger, Vec<(BalanceKey, (Balance, FrameNumber))>), IllegalEntry> {
        let (at, fact_name) = (placed.stands(), fact.name());
        let unbalanced = |account| IllegalEntry::Unbalanced { at, fact: fact_name, account };
        if row.ledger.period.is_some_and(|of_job| of_job != period) {
            return Err(IllegalEntry::OtherPeriod { at, fact: fact_name });
        }
        let entry = move_entry(JobLedger { period: Some(period), ..row.ledger }, fact)
            .ok_or_else(|| unbalanced(format!("job {}", row.id)))?;
        let mut balances = Vec::with_capacity(2);
        if let Treatment::Alone = self.treatment {
            return Ok((entry, balances));
        }
        for account in accounts(placed.entry).into_iter().flatten() {
            let key = BalanceKey { tenant: placed.entry.tenant.clone(), account, period };
            let Some(balance) = self.balance(&key) else {
                let account = key.account;
                return Err(IllegalEntry::NotGranted { at, fact: fact_name, account });
            };
            let moved = balance.after(fact).ok_or_else(|| unbalanced(key.account.clone()))?;
            balances.push((key, (moved, placed.n)));
        }
        Ok((entry, balances))
    }

    pub(super) fn balance(&self, key: &BalanceKey) -> Option<Balance> {
        let changed = self.changes.balances.get(key).map(|(balance, _)| *balance);
        changed.or_else(|| self.rows.balances.get(key).copied())
    }
}

/// Moves a job's entry; `None` if it does not have what is moved.
fn move_entry(mut entry: JobLedger, fact: &Fact) -> Option<JobLedger> {
    if let Fact::Reserved { cpu_seconds, .. } = fact {
        entry.reservation = entry.reservation.checked_add(*cpu_seconds)?;
        entry.reserved = entry.reserved.checked_add(*cpu_seconds)?;
    }
    if let Fact::Settled { cpu_seconds, overrun, .. } = fact {
        entry.reserved = entry.reserved.checked_sub(*cpu_seconds)?;
        entry.used = entry.used.checked_add(*cpu_seconds)?;
        entry.overrun = add_overrun(entry.overrun, *overrun);
    }
    if let Fact::Released { cpu_seconds, .. } = fact {
        entry.reserved = entry.reserved.checked_sub(*cpu_seconds)?;
    }
    (entry.reserved >= 0 && entry.used >= 0 && entry.overrun >= 0).then_some(entry)
}
