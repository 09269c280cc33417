//! What must hold when nothing goes wrong any more: everything settles, and nothing was forgotten.

use std::collections::BTreeSet;

use nox_contract::{Capacity, Command, JobId, JobState, Source, Submit};

use super::Oracle;
use crate::sim::{broker::Broker, executor::CAPACITY, projector::Store};

impl Oracle {
    /// Whether everything has settled; else what has not.
    pub fn unsettled(&self, broker: &Broker, store: &Store) -> Option<String> {
        for src in [Source::Commands, Source::Reports] {
            let (consumed, last) = match src {
                Source::Commands => (self.state().pos.commands.whole(), broker.commands.last()),
                _ => (self.state().pos.reports.whole(), broker.reports.last()),
            };
            if consumed < last {
                return Some(format!("{src:?} consumed up to {consumed} of {last}"));
            }
        }
        if let Some((id, _)) = self.state().schedules.iter().next() {
            return Some(format!("schedule {id} is still there"));
        }
        let stuck = self.never_placed();
        let open = self.state().jobs().find(|(id, _)| !stuck.contains(id));
        if let Some((id, job)) = open {
            return Some(format!("job {id} is {:?}, due {:?}", job.job.phase, job.job.due_at));
        }
        if let Some((id, worker)) =
            self.state().workers.iter().find(|(_, worker)| !worker.assignments.is_empty())
        {
            return Some(format!("{id} holds {:?}", worker.assignments));
        }
        if store.n() != self.reader.n() {
            return Some(format!("projected up to {} of {}", store.n(), self.reader.n()));
        }
        None
    }

    /// Jobs that ask for more than any worker has, and those that wait for them.
    fn never_placed(&self) -> BTreeSet<JobId> {
        let mut stuck = BTreeSet::new();
        loop {
            let before = stuck.len();
            for (id, job) in self.state().jobs() {
                let fits = CAPACITY.fits(&Capacity::default(), &job.job.requested_resources);
                let queued = job.job.worker_id().is_none();
                let mut after = job.dependencies.iter().flat_map(|of| &of.open);
                let draft = job.job.state() == JobState::Draft;
                if queued && (draft || !fits || after.any(|other| stuck.contains(other))) {
                    stuck.insert(id);
                }
            }
            if stuck.len() == before {
                return stuck;
            }
        }
    }

    /// The last check, when everything has settled.
    pub fn check_end(&mut self, broker: &Broker, store: &Store) {
        self.stats.refused_and_admitted = self.refused_and_admitted();
        if let Err(why) = self.end(broker, store) {
            self.fail(format!("in the end: {why}"));
        }
    }

    /// A copy of a message may be decided differently: its asker has heard two answers.
    fn refused_and_admitted(&self) -> u64 {
        let refused = self.sent.values().filter(|sent| sent.stored.len() > 1).flat_map(|sent| {
            let commands = sent.message.commands.iter();
            (0..).zip(commands).filter(|(part, _)| sent.refused.contains(part))
        });
        refused
            .filter(|(_, command)| match command {
                Command::Submit(submit) if !submit.pending => self
                    .trails
                    .get(&submit.job_id)
                    .is_some_and(|trail| trail.inputs == submit.inputs && trail.admitted),
                _ => false,
            })
            .count() as u64
    }

    fn end(&self, broker: &Broker, store: &Store) -> Result<(), String> {
        self.state().check()?;
        let stuck = self.never_placed();
        let reserved: i64 = self
            .state()
            .jobs()
            .filter(|(id, _)| stuck.contains(id))
            .map(|(_, job)| job.reserved)
            .sum();
        let in_ledger: i64 = self
            .state()
            .ledger
            .tenants
            .values()
            .flat_map(|tenant| tenant.account.iter())
            .flat_map(|account| account.periods.values())
            .map(|balance| balance.reserved)
            .sum();
        if reserved != in_ledger {
            return Err(format!("{in_ledger} core seconds are reserved, {reserved} by anybody"));
        }
        if self.trails.len() != store.jobs.len() {
            return Err(format!("{} jobs, {} rows", self.trails.len(), store.jobs.len()));
        }
        for (id, trail) in &self.trails {
            if store.jobs.get(id) != trail.at(self.reader.n()) {
                return Err(format!("the row of {id} is not the job"));
            }
        }
        for (reply_to, sent) in self.sent.iter().filter(|(_, sent)| sent.acked) {
            // What was lost with a stream is lost, and an operator knows.
            let kept: Vec<_> = sent
                .stored
                .iter()
                .filter(|(incarnation, _)| *incarnation == broker.commands.incarnation())
                .collect();
            for (part, command) in (0..).zip(&sent.message.commands) {
                let jobs = match command {
                    Command::Submit(submit) => std::slice::from_ref(&**submit),
                    Command::SubmitBatch(batch) => batch.jobs.as_slice(),
                    _ => continue,
                };
                let there = |job: &&Submit| self.trails.contains_key(&job.job_id);
                let count = jobs.iter().filter(there).count();
                if count > 0 && count < jobs.len() {
                    let of = jobs.len();
                    return Err(format!("{reply_to}/{part}: {count} jobs of {of}, all or none"));
                }
                let refused = kept.iter().any(|(incarnation, seq)| {
                    self.refused.contains(&(incarnation.clone(), *seq, part))
                });
                if !kept.is_empty() && !refused && count == 0 {
                    return Err(format!(
                        "{reply_to}/{part} of {} was acknowledged, and is no job",
                        sent.tenant
                    ));
                }
            }
        }
        Ok(())
    }
}
