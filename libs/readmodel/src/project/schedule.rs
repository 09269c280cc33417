//! What facts make of schedules.

use nox_contract::{Entity, Fact, Occurrence};

use super::{Context, IllegalEntry, Projection};
use crate::rows::{LastOccurrence, StoredSchedule};

impl Projection<'_> {
    pub(super) fn move_schedule(
        &mut self,
        context: &Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEntry> {
        let Entity::Schedule { tenant, schedule_id: id } = context.entity else {
            return Err(context.misplaced(fact));
        };
        let (n, at) = (context.placed.n, context.placed.at);
        let known = match self.changes.schedules.get(id) {
            Some(changed) => changed.clone(),
            None => self.rows.schedules.get(id).cloned(),
        };
        if let (Fact::ScheduleSet { spec, owner, role, key_id, .. }, true) = (fact, storable) {
            let schedule = StoredSchedule {
                tenant: tenant.clone(),
                owner: owner.clone(),
                role: role.clone(),
                spec: (**spec).clone(),
                key_id: *key_id,
                paused: known.as_ref().and_then(|known| known.paused),
                planned: false,
                next_due_at: None,
                last: known.as_ref().and_then(|known| known.last.clone()),
                last_job: known.as_ref().and_then(|known| known.last_job),
                created_at: known.as_ref().map_or(at, |known| known.created_at),
                n,
            };
            self.changes.schedules.insert(*id, Some(schedule));
            return Ok(());
        }
        // There is no row if what it was made of could not be stored.
        let Some(mut schedule) = known else { return Ok(()) };
        schedule.n = n;
        match fact {
            Fact::SchedulePaused { reason, .. } => {
                schedule.paused = Some(*reason);
                schedule.next_due_at = None;
            }
            Fact::ScheduleResumed { key_id, .. } => {
                schedule.paused = None;
                schedule.key_id = *key_id;
                schedule.planned = false;
            }
            Fact::SchedulePlanned { next_due_at } => {
                schedule.planned = true;
                schedule.next_due_at = *next_due_at;
            }
            Fact::ScheduleOccurred { due_at, outcome, next_due_at, .. } => {
                schedule.next_due_at = *next_due_at;
                if let Occurrence::Submitted { job_id } = outcome {
                    schedule.last_job = Some(*job_id);
                }
                let outcome = outcome.clone();
                schedule.last = storable.then_some(LastOccurrence { due_at: *due_at, at, outcome });
            }
            Fact::ScheduleTriggered { job_id, .. } => schedule.last_job = Some(*job_id),
            Fact::ScheduleDeleted { .. } => {
                self.changes.schedules.insert(*id, None);
                return Ok(());
            }
            _ => {}
        }
        self.changes.schedules.insert(*id, Some(schedule));
        Ok(())
    }
}
