//! Facts of a schedule.

use nox_contract::{Entry, Fact, JobId, Occurrence, ScheduleId, TenantId};

use super::{ApplyError, misplaced};
use crate::{
    schedules::{Next, Schedule},
    state::State,
};

impl State {
    pub(super) fn apply_schedule(
        &mut self,
        entry: &Entry,
        tenant: &TenantId,
        id: ScheduleId,
    ) -> Result<(), ApplyError> {
        let (n, at) = (self.n, self.at);
        for fact in entry.known_facts() {
            let known = match fact {
                Fact::ScheduleSet { spec, owner, role, key_id, .. } => {
                    let before = self.schedules.remove(id);
                    let schedule = Schedule {
                        tenant: tenant.clone(),
                        owner: owner.clone(),
                        role: role.clone(),
                        spec: (**spec).clone(),
                        key_id: *key_id,
                        paused: before.as_ref().and_then(|before| before.paused),
                        parked: false,
                        next: Next::Unplanned,
                        last_due_at: before.as_ref().and_then(|before| before.last_due_at),
                        open_jobs: before.map_or_else(Vec::new, |before| before.open_jobs),
                        queued: None,
                    };
                    self.schedules.insert(id, schedule);
                    true
                }
                Fact::SchedulePaused { reason, .. } => self.schedules.change(id, |schedule| {
                    schedule.paused = Some(*reason);
                    schedule.queued = None;
                }),
                Fact::ScheduleResumed { key_id, .. } => self.schedules.change(id, |schedule| {
                    schedule.paused = None;
                    schedule.key_id = *key_id;
                    schedule.next = Next::Unplanned;
                }),
                Fact::SchedulePlanned { next_due_at } => {
                    self.schedules.change(id, |schedule| schedule.next = (*next_due_at).into())
                }
                Fact::ScheduleOccurred { due_at, outcome, next_due_at, .. } => {
                    if let Occurrence::Submitted { job_id } = outcome {
                        self.add_open_job(id, *job_id);
                    }
                    self.schedules.change(id, |schedule| {
                        schedule.next = (*next_due_at).into();
                        schedule.last_due_at = schedule.last_due_at.max(Some(*due_at));
                        match outcome {
                            Occurrence::Queued => schedule.queued = Some(*due_at),
                            // Whichever waited: that was it, or an older one.
                            Occurrence::Submitted { .. } | Occurrence::Refused { .. } => {
                                schedule.queued.take_if(|queued| *queued <= *due_at);
                            }
                            Occurrence::Skipped | Occurrence::Missed => {}
                        }
                    })
                }
                Fact::ScheduleTriggered { job_id, .. } => self.add_open_job(id, *job_id),
                Fact::ScheduleDeleted { .. } => {
                    self.gone.insert(id.0.as_u128(), at);
                    self.schedules.remove(id).is_some()
                }
                other => return Err(misplaced(n, other, "a schedule")),
            };
            if !known {
                return Err(ApplyError::Missing { n, fact: fact.name(), what: "schedule" });
            }
        }
        Ok(())
    }

    /// Adds the newest job of a schedule, and forgets those that have ended; says whether there is such a schedule.
    fn add_open_job(&mut self, id: ScheduleId, job: JobId) -> bool {
        let Some(schedule) = self.schedules.get(id) else { return false };
        let before = schedule.open_jobs.iter().copied().filter(|other| self.is_open(*other));
        let open_jobs = before.filter(|other| *other != job).chain([job]).collect();
        self.schedules.change(id, |schedule| schedule.open_jobs = open_jobs)
    }
}
