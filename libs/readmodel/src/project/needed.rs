//! Which rows an entry looks at.

use std::collections::{BTreeSet, HashMap};

use nox_contract::{Entry, Fact, FactOrUnknown, JobId, Timestamp, subject};

use crate::{
    batch::PlacedEntry,
    rows::{BalanceKey, Rows},
};

/// Rows that are not in memory and that the fold will look at.
#[derive(Debug, Default)]
pub struct Needed {
    pub jobs: Vec<JobId>,
    /// Jobs that begin here, and should have no row yet.
    pub beginning: Vec<JobId>,
    pub balances: Vec<BalanceKey>,
}

/// Says which rows to load before [`project`](super::project).
///
/// A job that is submitted here is taken for new, and only asked for whether it is, unless `distrust`:
/// then all rows are asked for, so that an entry which makes a job twice meets the first one. One that is
/// rejected may repeat a job which has ended.
pub fn needed(rows: &Rows, entries: &[PlacedEntry<'_>], distrust: bool) -> Needed {
    let mut jobs: HashMap<JobId, bool> = HashMap::new();
    let mut balances = BTreeSet::new();
    for entry in entries.iter().map(|placed| placed.entry) {
        if let Some(id) = entry.job_id
            && !rows.jobs.contains_key(&id)
        {
            let begins = matches!(
                entry.facts.first(),
                Some(FactOrUnknown::Known(Fact::Submitted(_) | Fact::Drafted(_)))
            );
            jobs.entry(id).or_insert(distrust || !begins);
        }
        for key in entry.known_facts().filter_map(period).flat_map(|period| {
            accounts(entry).into_iter().flatten().map(move |account| BalanceKey {
                tenant: entry.tenant.clone(),
                account,
                period,
            })
        }) {
            if !rows.balances.contains_key(&key) {
                balances.insert(key);
            }
        }
    }
    let (jobs, beginning): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|(_, load)| *load);
    let ids = |jobs: Vec<(JobId, bool)>| jobs.into_iter().map(|(id, _)| id).collect();
    Needed { jobs: ids(jobs), beginning: ids(beginning), balances: balances.into_iter().collect() }
}

/// The period whose balances a fact moves.
pub(super) fn period(fact: &Fact) -> Option<Timestamp> {
    if let Fact::Reserved { period, .. }
    | Fact::Settled { period, .. }
    | Fact::Released { period, .. }
    | Fact::Granted { period, .. } = fact
    {
        return Some(*period);
    }
    None
}

/// The accounts that the facts of an entry move: its own, or those of its job's user and tenant.
pub(super) fn accounts(entry: &Entry) -> [Option<String>; 2] {
    match (&entry.account, &entry.user_id) {
        (Some(account), _) => [Some(account.clone()), None],
        (None, Some(user)) => {
            [Some(subject::user_account(user)), Some(subject::TENANT_ACCOUNT.to_owned())]
        }
        (None, None) => [None, None],
    }
}
