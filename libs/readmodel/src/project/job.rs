//! What facts make of a job, and what metrics see of that.

use nox_contract::{Entity, Entry, Fact, JobState, Timestamp};
use nox_core::job::Job;

use super::{Context, IllegalEntry, JobChange, Projection};
use crate::{
    metrics::{self, MetricKey},
    rows::{self, Parked, StoredJob},
};

impl Projection<'_> {
    pub(super) fn move_job(
        &mut self,
        context: &mut Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEntry> {
        let Entity::Job { tenant, job_id, user_id, module } = context.entity else {
            return Err(context.misplaced(fact));
        };
        let (place, at) = (context.placed.stands(), context.placed.at);
        let illegal = |source| IllegalEntry::Fact { at: place, source };
        if context.job.as_ref().is_some_and(|change| change.row.is_frozen()) {
            return Ok(());
        }
        let change = match &mut context.job {
            Some(change) => {
                change.row.job.apply(fact, at).map_err(illegal)?;
                if let Fact::Rejected(_) = fact {
                    // A repetition; what the row shows of its job is what was asked for first.
                    return Ok(());
                }
                change
            }
            none => {
                let job = Job::create(fact, place.n, at).map_err(illegal)?;
                let row = rows::shell(*job_id, tenant, user_id, module, place, at);
                none.insert(JobChange::new(StoredJob { job, ..row }))
            }
        };
        if let Fact::Submitted(_) | Fact::DraftSubmitted {} = fact {
            let key = MetricKey::Submitted {
                tenant: tenant.clone(),
                user_id: user_id.clone(),
                module: module.clone(),
            };
            *self.changes.metrics.entry(key).or_default() += 1;
        }
        if storable {
            change.carry(fact);
        }
        match fact {
            Fact::Assigned { .. } => change.row.progress = None,
            Fact::Progressed { progress, .. } if storable => {
                change.row.progress = Some(progress.clone());
            }
            _ => {}
        }
        if let Some(worker) = change.row.job.worker_id() {
            change.row.worker_id = Some(worker.clone());
        }
        if is_reported(fact)
            && let Some(worker) = change.row.worker_id.clone()
        {
            self.see_worker(&worker, at);
        }
        Ok(())
    }

    /// Counts what the entry made of its job.
    pub(super) fn observe(&mut self, before: Observed, after: Observed, entry: &Entry) {
        let Some(module) = &entry.module else { return };
        let metrics = &mut self.changes.metrics;
        let difference = i64::from(after.running) - i64::from(before.running);
        if difference != 0 {
            *metrics.entry(MetricKey::Running { module: module.clone() }).or_default() +=
                difference;
        }
        if after.failed && !before.failed {
            *metrics.entry(MetricKey::Failures { module: module.clone() }).or_default() += 1;
        }
        if let (None, Some((started_at, ended_at))) = (before.finished, after.finished) {
            let (bucket, micros) = metrics::duration(started_at, ended_at);
            let bucket = MetricKey::DurationBucket { module: module.clone(), bucket };
            *metrics.entry(bucket).or_default() += 1;
            let sum = MetricKey::DurationMicros { module: module.clone() };
            *metrics.entry(sum).or_default() += micros;
        }
    }
}

/// Whether the job's worker said so.
fn is_reported(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Started { .. }
            | Fact::Progressed { .. }
            | Fact::Succeeded { .. }
            | Fact::AttemptFailed { .. }
            | Fact::Stopped { .. }
    )
}

/// Stops folding the entry's job, and keeps the entry. Other things have no life cycle to lose: what
/// is known of the entry still counts for them.
pub(super) fn freeze(context: &mut Context<'_>, reason: Parked, detail: String) {
    context.parked = Some((reason, detail));
    let Entity::Job { tenant, job_id, user_id, module } = context.entity else { return };
    let (place, at) = (context.placed.stands(), context.placed.at);
    let change = context.job.get_or_insert_with(|| {
        JobChange::new(rows::shell(*job_id, tenant, user_id, module, place, at))
    });
    change.freeze(reason);
}

/// What metrics see of a job.
#[derive(Clone, Copy, Default)]
pub(super) struct Observed {
    running: bool,
    failed: bool,
    /// Start and end, once it succeeded or failed.
    finished: Option<(Timestamp, Timestamp)>,
}

impl Observed {
    pub(super) fn of(change: Option<&JobChange>) -> Self {
        let Some(change) = change else { return Self::default() };
        let job = &change.row.job;
        let state = job.state();
        let counts = matches!(state, JobState::Succeeded | JobState::Failed);
        Self {
            // Nobody knows whether a frozen job still runs.
            running: state == JobState::Running && !change.row.is_frozen(),
            failed: state == JobState::Failed,
            finished: job.started_at.zip(job.ended_at).filter(|_| counts),
        }
    }
}
