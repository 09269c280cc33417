//! When schedules are due: computed here, for time zones are no fact, and decided by the core.

use std::time::Duration;

use nox_calendar::Calendar;
use nox_contract::{ScheduleId, Timestamp};
use nox_core::{
    Internal,
    decide::{Due, Plan},
    schedules::Schedule,
};

use super::{Leader, Now, TermEnd};

/// Most schedules that one input names.
const SCHEDULES_MAX: usize = 100;
/// How often those are looked at of which an occurrence waits for a job to end.
const QUEUED_INTERVAL: Duration = Duration::from_millis(200);

impl Leader {
    /// Submits what is due, and says when schedules are due next of which nobody has said so.
    pub(super) fn keep_schedules(&mut self, now: Now) -> Result<(), TermEnd> {
        let schedules = &self.state().schedules;
        if schedules.is_empty() {
            return Ok(());
        }
        let plan = |(schedule_id, schedule): (ScheduleId, &Schedule)| {
            let after = schedule.last_due_at.map_or(now.wall, |last| last.max(now.wall));
            Plan { schedule_id, next_due_at: next(schedule, after) }
        };
        let plans: Vec<_> = schedules.unplanned().take(SCHEDULES_MAX).map(plan).collect();
        let due: Vec<_> = schedules
            .due()
            .take_while(|(due_at, _)| *due_at <= now.wall)
            .filter_map(|(due_at, id)| self.due_schedule(id, due_at, now.wall))
            .take(SCHEDULES_MAX)
            .collect();
        let unqueued: Vec<_> = schedules
            .queued()
            .filter(|(_, schedule)| !self.state().has_open_job(schedule))
            .map(|(id, _)| id)
            .take(SCHEDULES_MAX)
            .collect();
        if !plans.is_empty() {
            self.decide_internal(Internal::Plan { plans }, now)?;
        }
        if !due.is_empty() {
            let at = self.sequencer.instant(now.at);
            self.decide_internal(Internal::Due { wall: now.wall, at, due }, now)?;
        }
        if !unqueued.is_empty() {
            let at = self.sequencer.instant(now.at);
            let unqueue = Internal::Unqueue { wall: now.wall, at, schedules: unqueued };
            self.decide_internal(unqueue, now)?;
        }
        Ok(())
    }

    fn due_schedule(&self, id: ScheduleId, due_at: Timestamp, wall: Timestamp) -> Option<Due> {
        let schedule = self.state().schedules.get(id)?;
        let calendar = calendar(schedule);
        let latest_at = calendar.as_ref().map_or(due_at, |of| of.latest(due_at, wall));
        Some(Due { schedule_id: id, due_at, latest_at, next_due_at: next(schedule, wall) })
    }

    /// How long no schedule is due.
    pub(super) fn schedules_wake(&self, now: Now) -> Option<Duration> {
        let schedules = &self.state().schedules;
        if schedules.unplanned().next().is_some() {
            return Some(Duration::ZERO);
        }
        let due = schedules.due().next().map(|(due_at, _)| due_at.since(now.wall));
        let queued = schedules.queued().next().map(|_| QUEUED_INTERVAL);
        due.into_iter().chain(queued).min()
    }
}

/// The gateway has read it, so it is none only where a newer version wrote it: then it is never due.
fn calendar(schedule: &Schedule) -> Option<Calendar> {
    Calendar::new(&schedule.spec.cron, &schedule.spec.time_zone).ok()
}

fn next(schedule: &Schedule, after: Timestamp) -> Option<Timestamp> {
    calendar(schedule)?.next(after)
}
