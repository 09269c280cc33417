//! Which rows an event looks at.

use std::collections::{BTreeSet, HashMap};

use nox_contract::{Event, Fact, FactOrUnknown, JobId, Timestamp, subject};
use nox_protocol::Record;

use crate::{
    batch::Entry,
    rows::{BalanceKey, Rows},
};

/// Rows that are not in memory and that the fold will look at.
#[derive(Debug, Default)]
pub struct Needed {
    pub jobs: Vec<JobId>,
    pub balances: Vec<BalanceKey>,
}

/// Says which rows to load before [`project`](super::project).
///
/// A job that is submitted here is taken for new, unless `distrust`: then all rows are asked for, so
/// that an event which makes a job twice meets the first one. One that is rejected may repeat a job
/// which has ended.
pub fn needed(rows: &Rows, entries: &[Entry], distrust: bool) -> Needed {
    let mut jobs: HashMap<JobId, bool> = HashMap::new();
    let mut balances = BTreeSet::new();
    for entry in entries {
        let Record::Event(event) = &entry.record else { continue };
        if let Some(id) = event.job_id
            && !rows.jobs.contains_key(&id)
        {
            let begins =
                matches!(event.facts.first(), Some(FactOrUnknown::Known(Fact::Submitted(_))));
            jobs.entry(id).or_insert(distrust || !begins);
        }
        for key in event.known_facts().filter_map(period).flat_map(|period| {
            accounts(event).into_iter().flatten().map(move |account| BalanceKey {
                tenant: event.tenant.clone(),
                account,
                period,
            })
        }) {
            if !rows.balances.contains_key(&key) {
                balances.insert(key);
            }
        }
    }
    let jobs = jobs.into_iter().filter_map(|(id, load)| load.then_some(id)).collect();
    Needed { jobs, balances: balances.into_iter().collect() }
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

/// The accounts that the facts of an event move: its own, or those of its job's user and tenant.
pub(super) fn accounts(event: &Event) -> [Option<String>; 2] {
    match (&event.account, &event.user_id) {
        (Some(account), _) => [Some(account.clone()), None],
        (None, Some(user)) => {
            [Some(subject::user_account(user)), Some(subject::TENANT_ACCOUNT.to_owned())]
        }
        (None, None) => [None, None],
    }
}
