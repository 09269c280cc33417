//! How a schedule is shown.

use nox_contract::{
    FrameNumber, JobId, JobTemplate, KeyId, Occurrence, Overlap, PauseReason, ProblemCode,
    ScheduleId, Timestamp, UserId,
};
use nox_readmodel::{query::ScheduleRow, rows::LastOccurrence};
use schemars::JsonSchema;
use serde::Serialize;

use crate::use_cases::schedules::next_times;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Schedule")]
pub struct ScheduleView {
    id: ScheduleId,
    name: String,
    user_id: UserId,
    cron: String,
    time_zone: String,
    overlap: Overlap,
    catch_up_s: u32,
    job: JobTemplate,
    paused: bool,
    /// Why it is paused: `asked`, `key_revoked` or `key_expired`.
    pause_reason: Option<PauseReason>,
    /// The API key that it is bound to: it is paused when that is revoked or has run out.
    key_id: Option<KeyId>,
    /// When it is due next, as it was decided; null while it is paused, and of one that is never due again.
    next_due_at: Option<Timestamp>,
    /// When it is due next and after that, by the rules of its zone as they are known now.
    next_times: Vec<Timestamp>,
    /// The newest occurrence.
    last: Option<Last>,
    last_job_id: Option<JobId>,
    created_at: Timestamp,
    n: FrameNumber,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScheduleOccurrence")]
struct Last {
    due_at: Timestamp,
    /// When it was decided.
    at: Timestamp,
    /// `submitted`, `refused`, `skipped`, `queued` or `missed`.
    outcome: &'static str,
    /// Why it was refused.
    code: Option<ProblemCode>,
    detail: Option<String>,
}

impl ScheduleView {
    /// As it is at `now`, with so many of the times at which it is due.
    pub fn new((id, row): ScheduleRow, now: Timestamp, count: usize) -> Self {
        let count = if row.paused.is_some() { 0 } else { count };
        let next_due_at = match row.paused {
            // Nobody has said so yet, and will in a moment.
            None if !row.planned => next_times(&row.spec, now, 1).pop(),
            _ => row.next_due_at,
        };
        let next_times = next_times(&row.spec, now, count);
        let spec = row.spec;
        Self {
            id,
            name: spec.name,
            user_id: row.owner,
            cron: spec.cron,
            time_zone: spec.time_zone,
            overlap: spec.overlap,
            catch_up_s: spec.catch_up_s,
            job: spec.job,
            paused: row.paused.is_some(),
            pause_reason: row.paused,
            key_id: row.key_id,
            next_due_at,
            next_times,
            last: row.last.map(Last::from),
            last_job_id: row.last_job,
            created_at: row.created_at,
            n: row.n,
        }
    }
}

impl From<LastOccurrence> for Last {
    fn from(last: LastOccurrence) -> Self {
        let LastOccurrence { due_at, at, outcome } = last;
        let refusal = match &outcome {
            Occurrence::Refused { refusal } => Some((refusal.code, refusal.detail.clone())),
            _ => None,
        };
        let (code, detail) = refusal.unzip();
        Self { due_at, at, outcome: outcome.as_str(), code, detail }
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::{RawJson, Resources, ScheduleSpec};
    use nox_readmodel::rows::StoredSchedule;

    use super::*;

    fn view(paused: Option<PauseReason>, planned: bool, next: Option<&str>) -> ScheduleView {
        let now = "2026-11-28T12:00:01Z".parse().unwrap();
        let row = StoredSchedule {
            tenant: "acme".parse().unwrap(),
            owner: "ada".parse().unwrap(),
            role: "user".to_owned(),
            spec: ScheduleSpec {
                name: "hourly".to_owned(),
                cron: "0 * * * *".to_owned(),
                time_zone: "UTC".to_owned(),
                overlap: Overlap::Skip,
                catch_up_s: 0,
                job: JobTemplate {
                    module: "m".parse().unwrap(),
                    module_version: None,
                    worker_labels: Default::default(),
                    inputs: RawJson::default(),
                    requested_resources: Resources { cpu: 1, mem_mb: 1, wall_time_s: 1, gpu: 0 },
                    priority: 5,
                    labels: Default::default(),
                    release_id: None,
                    concurrency: None,
                },
            },
            key_id: None,
            paused,
            planned,
            next_due_at: next.map(|at| at.parse().unwrap()),
            last: None,
            last_job: None,
            created_at: now,
            n: FrameNumber(1),
        };
        let id = "0193a000-0000-7000-8000-00000000b001".parse().unwrap();
        ScheduleView::new((id, row), now, 2)
    }

    #[test]
    fn when_it_is_due_is_what_was_decided_or_what_will_be() {
        let one = Some("2026-11-28T13:00:00Z".parse().unwrap());
        assert_eq!(view(None, false, None).next_due_at, one);
        // It was decided by the rules that were known then.
        let two = "2026-11-28T13:30:00Z";
        assert_eq!(view(None, true, Some(two)).next_due_at, Some(two.parse().unwrap()));
        assert_eq!(view(None, true, None).next_due_at, None, "never again");
        assert_eq!(view(None, true, None).next_times.len(), 2);
        let paused = view(Some(PauseReason::KeyRevoked), false, None);
        assert_eq!((paused.next_due_at, paused.next_times.len(), paused.paused), (None, 0, true));
    }
}
