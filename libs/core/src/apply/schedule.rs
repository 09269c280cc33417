//! Facts of a schedule.

use nox_contract::{Entry, Fact, Occurrence, ScheduleId, TenantId};

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
                Fact::ScheduleSet { spec, owner, role, .. } => {
                    let before = self.schedules.remove(id);
                    let schedule = Schedule {
                        tenant: tenant.clone(),
                        owner: owner.clone(),
                        role: role.clone(),
                        spec: (**spec).clone(),
                        paused: before.as_ref().is_some_and(|before| before.paused),
                        next: Next::Unplanned,
                        last_due_at: before.as_ref().and_then(|before| before.last_due_at),
                        last_job: before.as_ref().and_then(|before| before.last_job),
                        queued: None,
                    };
                    self.schedules.insert(id, schedule);
                    true
                }
                Fact::SchedulePaused { .. } => self.schedules.change(id, |schedule| {
                    schedule.paused = true;
                    schedule.queued = None;
                }),
                Fact::ScheduleResumed { .. } => self.schedules.change(id, |schedule| {
                    schedule.paused = false;
                    schedule.next = Next::Unplanned;
                }),
                Fact::SchedulePlanned { next_due_at } => {
                    self.schedules.change(id, |schedule| schedule.next = (*next_due_at).into())
                }
                Fact::ScheduleOccurred { due_at, outcome, next_due_at, .. } => {
                    self.schedules.change(id, |schedule| {
                        schedule.next = (*next_due_at).into();
                        schedule.last_due_at = schedule.last_due_at.max(Some(*due_at));
                        match outcome {
                            Occurrence::Submitted { job_id } => {
                                schedule.last_job = Some(*job_id);
                                // Whichever waited: that was it, or an older one.
                                schedule.queued.take_if(|queued| *queued <= *due_at);
                            }
                            Occurrence::Queued => schedule.queued = Some(*due_at),
                            Occurrence::Refused { .. } => {
                                schedule.queued.take_if(|queued| *queued <= *due_at);
                            }
                            Occurrence::Skipped | Occurrence::Missed => {}
                        }
                    })
                }
                Fact::ScheduleTriggered { job_id, .. } => {
                    self.schedules.change(id, |schedule| schedule.last_job = Some(*job_id))
                }
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
}
