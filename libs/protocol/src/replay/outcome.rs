//! What became of jobs, as facts tell it: to compare what was with what would have been.

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{Entry, Fact, JobId, ModuleName, TenantId, Timestamp, UserId};
use serde::Serialize;

/// All jobs of a log but those that workers claim.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    jobs: BTreeMap<JobId, JobOutcome>,
    /// Violations of quotas as they are recorded: at most one a second of each account and kind.
    violations: BTreeMap<(TenantId, UserId), u64>,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobOutcome {
    pub tenant: TenantId,
    pub user_id: UserId,
    pub module: ModuleName,
    /// When it was to run from; none of a draft.
    pub submitted_at: Option<Timestamp>,
    /// When its first attempt was handed out.
    pub placed_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// `succeeded`, `failed`, `canceled` or `rejected`; none while it has not ended.
    pub end: Option<&'static str>,
    pub attempts: u32,
}

/// What is measured of some jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Measures {
    pub jobs: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub canceled: u64,
    pub rejected: u64,
    /// Submitted and not ended.
    pub open: u64,
    pub violations: u64,
    pub attempts: u64,
    /// From submit to the first attempt, of those that had one, in milliseconds.
    pub wait_mean_ms: u64,
    pub wait_p95_ms: u64,
    pub wait_max_ms: u64,
    /// From submit to end, of those that ended and were not rejected, in milliseconds.
    pub turnaround_mean_ms: u64,
    /// From the first submit to the last end, in milliseconds.
    pub makespan_ms: u64,
}

impl Outcome {
    pub fn job(&self, job: JobId) -> Option<&JobOutcome> {
        self.jobs.get(&job)
    }

    pub fn jobs(&self) -> impl Iterator<Item = (JobId, &JobOutcome)> {
        self.jobs.iter().map(|(id, job)| (*id, job))
    }

    /// Takes in what an entry says, which became true at `at`.
    pub(super) fn note(&mut self, at: Timestamp, entry: &Entry) {
        for fact in entry.known_facts() {
            if let Fact::QuotaViolated { user_id, .. } = fact {
                let of = (entry.tenant.clone(), user_id.clone());
                *self.violations.entry(of).or_default() += 1;
            }
            let (Some(id), Some(user_id), Some(module)) =
                (entry.job_id, &entry.user_id, &entry.module)
            else {
                continue;
            };
            let begun = || JobOutcome {
                tenant: entry.tenant.clone(),
                user_id: user_id.clone(),
                module: module.clone(),
                submitted_at: None,
                placed_at: None,
                ended_at: None,
                end: None,
                attempts: 0,
            };
            match fact {
                Fact::Submitted(submitted) if submitted.task.is_none() => {
                    self.jobs.entry(id).or_insert_with(begun).submitted_at = Some(at);
                }
                Fact::Drafted(submitted) if submitted.task.is_none() => {
                    self.jobs.entry(id).or_insert_with(begun);
                }
                Fact::Rejected(rejected) if rejected.task.is_none() => {
                    self.jobs.entry(id).or_insert_with(begun);
                }
                _ => {}
            }
            if let Some(job) = self.jobs.get_mut(&id) {
                job.note(at, fact);
            }
        }
    }

    /// What is measured of all jobs, or of one user's.
    pub fn measures(&self, of: Option<&(TenantId, UserId)>) -> Measures {
        let is_of = |tenant: &TenantId, user: &UserId| {
            of.is_none_or(|(of_tenant, of_user)| of_tenant == tenant && of_user == user)
        };
        let mut measures = Measures::default();
        let (mut waits, mut turnarounds) = (Vec::new(), Vec::new());
        let (mut first, mut last) = (None::<Timestamp>, None::<Timestamp>);
        for job in self.jobs.values().filter(|job| is_of(&job.tenant, &job.user_id)) {
            measures.jobs += 1;
            measures.attempts += u64::from(job.attempts);
            match job.end {
                Some("succeeded") => measures.succeeded += 1,
                Some("failed") => measures.failed += 1,
                Some("canceled") => measures.canceled += 1,
                Some(_) => measures.rejected += 1,
                None => measures.open += u64::from(job.submitted_at.is_some()),
            }
            let Some(submitted_at) = job.submitted_at else { continue };
            first = Some(first.map_or(submitted_at, |first| first.min(submitted_at)));
            if let Some(placed_at) = job.placed_at {
                waits.push(placed_at.since(submitted_at));
            }
            if let Some(ended_at) = job.ended_at {
                turnarounds.push(ended_at.since(submitted_at));
                last = last.max(Some(ended_at));
            }
        }
        waits.sort_unstable();
        measures.wait_mean_ms = mean(&waits);
        measures.wait_p95_ms = waits.get(waits.len() * 95 / 100).map_or(0, ms);
        measures.wait_max_ms = waits.last().map_or(0, ms);
        measures.turnaround_mean_ms = mean(&turnarounds);
        if let (Some(first), Some(last)) = (first, last) {
            measures.makespan_ms = ms(&last.since(first));
        }
        let violations = self.violations.iter().filter(|((tenant, user), _)| is_of(tenant, user));
        measures.violations = violations.map(|(_, count)| count).sum();
        measures
    }

    /// Whose jobs these are.
    pub fn users(&self) -> Vec<(TenantId, UserId)> {
        let of_jobs = self.jobs.values().map(|job| (job.tenant.clone(), job.user_id.clone()));
        let mut users: Vec<_> = of_jobs.chain(self.violations.keys().cloned()).collect();
        users.sort_unstable();
        users.dedup();
        users
    }
}

impl JobOutcome {
    fn note(&mut self, at: Timestamp, fact: &Fact) {
        let end = match fact {
            Fact::DraftSubmitted {} => {
                self.submitted_at = Some(at);
                return;
            }
            Fact::Assigned { .. } => {
                self.placed_at.get_or_insert(at);
                self.attempts += 1;
                return;
            }
            Fact::Succeeded { .. } => "succeeded",
            Fact::Failed { .. } => "failed",
            Fact::Canceled { .. } => "canceled",
            Fact::Rejected(_) => "rejected",
            _ => return,
        };
        if self.end.is_none() {
            (self.end, self.ended_at) = (Some(end), Some(at));
        }
    }
}

fn ms(span: &Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn mean(spans: &[Duration]) -> u64 {
    let all: Duration = spans.iter().sum();
    u32::try_from(spans.len()).ok().filter(|len| *len > 0).map_or(0, |len| ms(&(all / len)))
}
