//! Proves the ledger of a log: that free + reserved + used = granted after every entry, in each account and period,
//! and that entries alone explain each balance.
//!
//! The balances are those of the one fold. What explains them is a book that only adds up what facts say: of a job, that
//! it reserves what it asked for, settles what its attempts used, and gives back the rest when it ends; of an
//! account, the sums of that over its jobs. The two are compared after every entry.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{
    Entry, EpochRecord, Fact, FactOrUnknown, Frame, FrameNumber, JobId, Resources, TenantId,
    Timestamp, subject,
};
use nox_core::{
    State,
    ledger::{Balance, add_overrun},
};

/// Frames between two comparisons of all accounts; else those that an entry moves are compared.
const ALL_EVERY: u64 = 64;

/// What was proved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proved {
    pub frames: u64,
    /// Prefixes at which the balances were compared: one behind each entry.
    pub entries: u64,
    pub facts: u64,
    /// Accounts that there are, and balances of them that something moved in.
    pub accounts: u64,
    pub balances: u64,
}

/// Where the ledger is not what the entries before say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("frame {n}{}: {what}", place(.entry, .fact))]
pub struct LedgerFault {
    pub n: FrameNumber,
    /// The entry in the frame, and the fact in the entry, counted from 0.
    pub entry: Option<usize>,
    pub fact: Option<usize>,
    pub what: String,
    /// By how many core seconds, where that can be said.
    pub difference: i64,
}

fn place(entry: &Option<usize>, fact: &Option<usize>) -> String {
    let entry = entry.map(|entry| format!(", entry {entry}")).unwrap_or_default();
    let fact = fact.map(|fact| format!(", fact {fact}")).unwrap_or_default();
    entry + &fact
}

/// An account: its tenant, and how the log calls it.
type Name = (TenantId, String);

/// A fold of the log, and the book beside it.
#[derive(Debug, Default)]
pub struct LedgerProof {
    state: State,
    book: BTreeMap<Name, BTreeMap<Timestamp, Sums>>,
    /// The budget of a period that each account's limits name.
    budgets: BTreeMap<Name, i64>,
    /// Jobs that have not ended.
    jobs: BTreeMap<JobId, Account>,
    proved: Proved,
    compared_at: u64,
}

/// What entries moved in one balance, added up.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    granted: i64,
    reserved: i64,
    settled: i64,
    released: i64,
    overrun: i64,
}

impl Sums {
    fn balance(&self) -> Balance {
        Balance {
            granted: self.granted,
            free: self.granted - self.reserved + self.released,
            reserved: self.reserved - self.settled - self.released,
            used: self.settled,
            overrun: self.overrun,
        }
    }
}

/// What one job owes.
#[derive(Debug)]
struct Account {
    /// What its next attempt is given.
    resources: Resources,
    /// Asked for, and not reserved yet.
    due: i64,
    period: Option<Timestamp>,
    /// Reserved, and neither settled nor given back.
    left: i64,
    /// Core milliseconds of the attempts that said how long they ran.
    used_core_ms: u64,
    /// Its last attempt may not have said that.
    canceled: bool,
}

/// Something wrong, and by how much.
type Wrong = (String, i64);

impl LedgerProof {
    pub fn proved(&self) -> Proved {
        Proved { accounts: self.book.len() as u64, ..self.proved }
    }

    /// Folds the beginning of a term in.
    ///
    /// # Errors
    /// It does not follow.
    pub fn epoch(&mut self, n: FrameNumber, record: &EpochRecord) -> Result<(), LedgerFault> {
        let applied = self.state.apply_epoch(n, record);
        applied.map_err(|error| fault(n, (None, None), (error.to_string(), 0)))
    }

    /// Folds the next frame in, and compares behind every entry.
    ///
    /// # Errors
    /// The first place at which something is wrong.
    pub fn frame(&mut self, frame: &Frame) -> Result<(), LedgerFault> {
        let n = frame.n;
        let whole = |what| fault(n, (None, None), (what, 0));
        self.state.begin_frame(n, frame.at).map_err(|error| whole(error.to_string()))?;
        for (at, entry) in frame.entries.iter().enumerate() {
            self.entry(at, entry)?;
        }
        self.state.end_frame(frame.pos).map_err(|error| whole(error.to_string()))?;
        self.proved.frames += 1;
        if n.0 >= self.compared_at + ALL_EVERY {
            self.compared_at = n.0;
            self.compare_all()?;
        }
        Ok(())
    }

    /// Compares all accounts once more; at the log's end.
    ///
    /// # Errors
    /// One of them is not what the entries say.
    pub fn compare_all(&self) -> Result<(), LedgerFault> {
        let n = self.state.n;
        for name in self.book.keys() {
            self.compare(name).map_err(|wrong| fault(n, (None, None), wrong))?;
        }
        let accounts = self.state.ledger.accounts().filter(|of| !of.periods.is_empty()).count();
        if accounts > self.book.len() {
            let what = format!("{accounts} accounts, and entries explain {}", self.book.len());
            return Err(fault(n, (None, None), (what, 0)));
        }
        Ok(())
    }

    fn entry(&mut self, at: usize, entry: &Entry) -> Result<(), LedgerFault> {
        let n = self.state.n;
        let mut moved = BTreeSet::new();
        for (place, fact) in entry.facts.iter().enumerate() {
            if let FactOrUnknown::Known(fact) = fact {
                self.note(entry, fact, &mut moved)
                    .map_err(|wrong| fault(n, (Some(at), Some(place)), wrong))?;
            }
            self.proved.facts += 1;
        }
        let of_entry = |wrong| fault(n, (Some(at), None), wrong);
        self.state.apply_entry(entry).map_err(|error| of_entry((error.to_string(), 0)))?;
        for name in &moved {
            self.compare(name).map_err(of_entry)?;
        }
        for name in &moved {
            self.forget_past(name);
        }
        if let Some(job) = entry.job_id {
            self.check_job(job).map_err(of_entry)?;
        }
        self.proved.entries += 1;
        Ok(())
    }

    /// Enters a fact in the book.
    fn note(
        &mut self,
        entry: &Entry,
        fact: &Fact,
        moved: &mut BTreeSet<Name>,
    ) -> Result<(), Wrong> {
        if let Some(account) = &entry.account {
            return self.note_account((entry.tenant.clone(), account.clone()), fact, moved);
        }
        let Some(job) = entry.job_id else { return Ok(()) };
        match fact {
            Fact::Submitted(of) | Fact::Drafted(of) => {
                let resources = of.requested_resources;
                let is_draft = matches!(fact, Fact::Drafted(_));
                let due = if is_draft { 0 } else { resources.cpu_seconds() };
                let begun = Account {
                    resources,
                    due,
                    period: None,
                    left: 0,
                    used_core_ms: 0,
                    canceled: false,
                };
                self.jobs.insert(job, begun);
                return Ok(());
            }
            Fact::Reserved { .. } | Fact::Settled { .. } | Fact::Released { .. } => {}
            _ => {
                if let Some(account) = self.jobs.get_mut(&job) {
                    account.note(fact);
                }
                return Ok(());
            }
        }
        let account = self.jobs.get_mut(&job);
        let account = account.ok_or_else(|| (format!("{} of no job", fact.name()), 0))?;
        account.shift(fact)?;
        let (Fact::Reserved { period, .. }
        | Fact::Settled { period, .. }
        | Fact::Released { period, .. }) = fact
        else {
            return Ok(());
        };
        let user = entry.user_id.as_ref().map(subject::user_account);
        for account in [Some(subject::TENANT_ACCOUNT.to_owned()), user].into_iter().flatten() {
            let name = (entry.tenant.clone(), account);
            let sums = self.sums(&name, *period);
            match fact {
                Fact::Reserved { cpu_seconds, .. } => sums.reserved += cpu_seconds,
                Fact::Settled { cpu_seconds, overrun, .. } => {
                    sums.settled += cpu_seconds;
                    sums.overrun = add_overrun(sums.overrun, *overrun);
                }
                Fact::Released { cpu_seconds, .. } => sums.released += cpu_seconds,
                _ => {}
            }
            moved.insert(name);
        }
        Ok(())
    }

    fn note_account(
        &mut self,
        name: Name,
        fact: &Fact,
        moved: &mut BTreeSet<Name>,
    ) -> Result<(), Wrong> {
        match fact {
            Fact::LimitsSet { limits, .. } => {
                self.budgets.insert(name, limits.cpu_seconds);
            }
            Fact::Granted { period, cpu_seconds } => {
                let budget = self.budgets.get(&name).copied().unwrap_or_default();
                if *cpu_seconds != budget {
                    let what = format!("{cpu_seconds} core s are granted, and limits say {budget}");
                    return Err((what, cpu_seconds.saturating_sub(budget)));
                }
                self.sums(&name, *period).granted = *cpu_seconds;
                moved.insert(name);
            }
            _ => {}
        }
        Ok(())
    }

    fn sums(&mut self, name: &Name, period: Timestamp) -> &mut Sums {
        let periods = self.book.entry(name.clone()).or_default();
        if !periods.contains_key(&period) {
            self.proved.balances += 1;
        }
        periods.entry(period).or_default()
    }

    /// Compares the balances of one account.
    fn compare(&self, name: &Name) -> Result<(), Wrong> {
        let (tenant, account) = name;
        let folded = self.state.ledger.account(tenant, account).map(|of| &of.periods);
        let told = self.book.get(name).into_iter().flatten();
        for (period, sums) in told {
            let expected = sums.balance();
            let of_what = || format!("{tenant}/{account} in {period}");
            let Some(found) = folded.and_then(|periods| periods.get(period)) else {
                if expected.reserved != 0 {
                    let what = format!("{} is gone, and reserves {expected:?}", of_what());
                    return Err((what, expected.reserved));
                }
                continue;
            };
            let difference = found.free + found.reserved + found.used - found.granted;
            if difference != 0 || *found != expected {
                let what = format!("{}: {found:?}, entries say {expected:?}", of_what());
                let others =
                    (found.reserved - expected.reserved).abs() + (found.used - expected.used).abs();
                return Err((what, difference.abs().max(others)));
            }
        }
        let unexplained = folded.into_iter().flatten().find(|(period, _)| {
            self.book.get(name).is_none_or(|periods| !periods.contains_key(period))
        });
        match unexplained {
            None => Ok(()),
            Some((period, balance)) => {
                Err((format!("{tenant}/{account} in {period}: {balance:?} of no entry"), 0))
            }
        }
    }

    /// Forgets balances that the fold has let go of.
    fn forget_past(&mut self, name: &Name) {
        let folded = self.state.ledger.account(&name.0, &name.1);
        if let (Some(periods), Some(account)) = (self.book.get_mut(name), folded) {
            periods.retain(|period, _| account.periods.contains_key(period));
        }
    }

    /// A job that asked for something has reserved it, and one that is over keeps nothing.
    fn check_job(&mut self, job: JobId) -> Result<(), Wrong> {
        let Some(account) = self.jobs.get(&job) else { return Ok(()) };
        if account.due != 0 {
            let due = account.due;
            return Err((format!("job {job} asked for {due} core s that are not reserved"), due));
        }
        if self.state.job(job).is_none() {
            let left = account.left;
            self.jobs.remove(&job);
            if left != 0 {
                return Err((format!("job {job} is over and keeps {left} core s"), left));
            }
        }
        Ok(())
    }
}

impl Account {
    /// Takes in what moves nothing, and says what is to be moved.
    fn note(&mut self, fact: &Fact) {
        match fact {
            Fact::DraftSubmitted {} => self.due = self.resources.cpu_seconds(),
            Fact::RetryScheduled { resources: Some(raised), .. } => {
                self.due = raised.cpu_seconds().saturating_sub(self.resources.cpu_seconds());
                self.resources = *raised;
            }
            Fact::AttemptFailed { wall_ms, .. } | Fact::Succeeded { wall_ms, .. } => {
                let core_ms = wall_ms.saturating_mul(u64::from(self.resources.cpu));
                self.used_core_ms = self.used_core_ms.saturating_add(core_ms);
            }
            Fact::Canceled { .. } => self.canceled = true,
            _ => {}
        }
    }

    /// Moves core seconds, if they are the right ones.
    fn shift(&mut self, fact: &Fact) -> Result<(), Wrong> {
        match fact {
            Fact::Reserved { period, cpu_seconds } => {
                if *cpu_seconds != self.due {
                    let due = self.due;
                    let what =
                        format!("{cpu_seconds} core s are reserved, and asked for are {due}");
                    return Err((what, cpu_seconds - due));
                }
                self.due = 0;
                self.left += cpu_seconds;
                self.period = Some(*period);
            }
            Fact::Settled { period, cpu_seconds, overrun } => {
                self.give(*period, *cpu_seconds)?;
                let used = cpu_seconds.saturating_add(*overrun);
                let told = self.used_core_ms.div_ceil(1_000);
                let told = i64::try_from(told).unwrap_or(i64::MAX);
                if used < told || (used > told && !self.canceled) {
                    let what = format!("{used} core s are settled, and attempts used {told}");
                    return Err((what, used.saturating_sub(told)));
                }
            }
            Fact::Released { period, cpu_seconds } => self.give(*period, *cpu_seconds)?,
            _ => {}
        }
        Ok(())
    }

    fn give(&mut self, period: Timestamp, cpu_seconds: i64) -> Result<(), Wrong> {
        if self.period != Some(period) {
            let what = format!("{cpu_seconds} core s of {period}, in which nothing is reserved");
            return Err((what, cpu_seconds));
        }
        if !(0..=self.left).contains(&cpu_seconds) {
            let what = format!("{cpu_seconds} core s of {} that are reserved", self.left);
            return Err((what, cpu_seconds - self.left));
        }
        self.left -= cpu_seconds;
        Ok(())
    }
}

fn fault(
    n: FrameNumber,
    (entry, fact): (Option<usize>, Option<usize>),
    (what, difference): Wrong,
) -> LedgerFault {
    LedgerFault { n, entry, fact, what, difference }
}

#[cfg(test)]
mod tests;
