//! Schedules: what is submitted again and again, and when next.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{
    JobId, KeyId, PauseReason, ScheduleId, ScheduleSpec, TenantId, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub tenant: TenantId,
    /// Whose jobs they are.
    pub owner: UserId,
    /// The role that their limits come from.
    pub role: String,
    pub spec: ScheduleSpec,
    /// The API key that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// Why it submits nothing, while it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseReason>,
    /// See [`crate::parking`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
    pub next: Next,
    /// The newest occurrence: none before it, nor it again, is to come, wherever clocks are set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_due_at: Option<Timestamp>,
    /// Its jobs, those that somebody triggered included, which had not ended when the newest of them was submitted,
    /// in that order. So they are not more than jobs of its owner that have not ended, and one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open_jobs: Vec<JobId>,
    /// The occurrence that waits for them to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<Timestamp>,
}

impl Schedule {
    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }
}

/// When a schedule is due next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// The leader is to say so.
    #[default]
    Unplanned,
    At(Timestamp),
    Never,
}

impl From<Option<Timestamp>> for Next {
    fn from(at: Option<Timestamp>) -> Self {
        at.map_or(Self::Never, Self::At)
    }
}

/// All schedules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedules {
    by_id: BTreeMap<ScheduleId, Schedule>,
    // Derived, and rebuilt after a snapshot.
    #[serde(skip)]
    due: BTreeSet<(Timestamp, ScheduleId)>,
    #[serde(skip)]
    unplanned: BTreeSet<ScheduleId>,
    #[serde(skip)]
    queued: BTreeSet<ScheduleId>,
}

impl Schedules {
    pub fn get(&self, id: ScheduleId) -> Option<&Schedule> {
        self.by_id.get(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (ScheduleId, &Schedule)> {
        self.by_id.iter().map(|(id, schedule)| (*id, schedule))
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Those that are due next, the first one first.
    pub fn due(&self) -> impl Iterator<Item = (Timestamp, ScheduleId)> {
        self.due.iter().copied()
    }

    /// Those of which the leader is to say when they are due.
    pub fn unplanned(&self) -> impl Iterator<Item = (ScheduleId, &Schedule)> {
        self.unplanned.iter().filter_map(|id| Some((*id, self.by_id.get(id)?)))
    }

    /// Those of which an occurrence waits for a job to end.
    pub fn queued(&self) -> impl Iterator<Item = (ScheduleId, &Schedule)> {
        self.queued.iter().filter_map(|id| Some((*id, self.by_id.get(id)?)))
    }

    /// Changes the schedule, if it is there; says whether it is.
    pub(crate) fn change(&mut self, id: ScheduleId, change: impl FnOnce(&mut Schedule)) -> bool {
        let Some(mut schedule) = self.remove(id) else { return false };
        change(&mut schedule);
        self.insert(id, schedule);
        true
    }

    pub(crate) fn insert(&mut self, id: ScheduleId, schedule: Schedule) {
        if !schedule.is_paused() && !schedule.parked {
            match schedule.next {
                Next::Unplanned => {
                    self.unplanned.insert(id);
                }
                Next::At(at) => {
                    self.due.insert((at, id));
                }
                Next::Never => {}
            }
            if schedule.queued.is_some() {
                self.queued.insert(id);
            }
        }
        self.by_id.insert(id, schedule);
    }

    pub(crate) fn remove(&mut self, id: ScheduleId) -> Option<Schedule> {
        let schedule = self.by_id.remove(&id)?;
        if let Next::At(at) = schedule.next {
            self.due.remove(&(at, id));
        }
        self.unplanned.remove(&id);
        self.queued.remove(&id);
        Some(schedule)
    }

    /// Rebuilds what is not stored in a snapshot.
    pub(crate) fn reindex(&mut self) {
        let Self { by_id, .. } = std::mem::take(self);
        by_id.into_iter().for_each(|(id, schedule)| self.insert(id, schedule));
    }
}
