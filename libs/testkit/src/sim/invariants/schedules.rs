//! What must hold of schedules and API keys, told from the facts alone.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{Fact, JobId, KeyId, Occurrence, Overlap, ScheduleId, Timestamp};

/// All schedules and keys that there ever were.
#[derive(Debug, Default)]
pub struct Book {
    schedules: BTreeMap<ScheduleId, Line>,
    keys: BTreeMap<KeyId, Key>,
}

#[derive(Debug)]
struct Line {
    overlap: Overlap,
    key_id: Option<KeyId>,
    paused: bool,
    deleted: bool,
    last_due_at: Option<Timestamp>,
    queued: Option<Timestamp>,
    /// Occurrences that were submitted.
    submitted: BTreeSet<Timestamp>,
    jobs: BTreeSet<JobId>,
}

#[derive(Debug)]
struct Key {
    revoked: bool,
    expires_at: Option<Timestamp>,
}

impl Book {
    pub fn on_key_fact(&mut self, id: KeyId, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::KeyCreated { key, .. } => {
                let made = Key { revoked: false, expires_at: key.expires_at };
                match self.keys.insert(id, made) {
                    Some(before) => Err(format!("key {id} is made again: {before:?}")),
                    None => Ok(()),
                }
            }
            Fact::KeyRevoked { .. } => {
                let bound = self.schedules.iter().find(|(_, line)| line.goes_on_by(id));
                if let Some((schedule, _)) = bound {
                    return Err(format!("key {id} is revoked, and schedule {schedule} goes on"));
                }
                let key = self.keys.get_mut(&id).filter(|key| !key.revoked);
                key.ok_or_else(|| format!("key {id} is revoked, and is none"))?.revoked = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A fact of a schedule; `is_open` says of jobs whether they have not ended.
    pub fn on_schedule_fact(
        &mut self,
        id: ScheduleId,
        fact: &Fact,
        is_open: impl Fn(&JobId) -> bool,
    ) -> Result<(), String> {
        if let Fact::ScheduleSet { spec, key_id, .. } = fact {
            self.check_key(*key_id)?;
            let line = self.schedules.entry(id).or_insert_with(Line::new);
            if line.deleted {
                return Err("it was deleted, and is set".to_owned());
            }
            line.overlap = spec.overlap;
            line.key_id = *key_id;
            line.queued = None;
            return Ok(());
        }
        if let Fact::ScheduleResumed { key_id, .. } = fact {
            self.check_key(*key_id)?;
        }
        let keys = &self.keys;
        let line = self.schedules.get_mut(&id).filter(|line| !line.deleted);
        let line = line.ok_or_else(|| format!("{} of no schedule", fact.name()))?;
        match fact {
            Fact::SchedulePaused { .. } => {
                line.paused = true;
                line.queued = None;
            }
            Fact::ScheduleResumed { key_id, .. } => {
                line.paused = false;
                line.key_id = *key_id;
            }
            Fact::ScheduleOccurred { due_at, outcome, .. } => {
                let key = line.key_id.and_then(|id| keys.get(&id));
                if key.is_some_and(|key| key.expires_at.is_some_and(|at| at <= *due_at)) {
                    return Err(format!("due at {due_at}, when its key had run out: {key:?}"));
                }
                return line.occur(*due_at, outcome, is_open);
            }
            Fact::ScheduleTriggered { job_id, .. } => {
                let is_new = line.jobs.insert(*job_id);
                return is_new.then_some(()).ok_or(format!("job {job_id} is triggered again"));
            }
            Fact::ScheduleDeleted { .. } => line.deleted = true,
            _ => {}
        }
        Ok(())
    }

    fn check_key(&self, key_id: Option<KeyId>) -> Result<(), String> {
        let Some(key_id) = key_id else { return Ok(()) };
        match self.keys.get(&key_id) {
            Some(key) if !key.revoked => Ok(()),
            other => Err(format!("bound to key {key_id}, which is worth nothing: {other:?}")),
        }
    }
}

impl Line {
    fn new() -> Self {
        Self {
            overlap: Overlap::Skip,
            key_id: None,
            paused: false,
            deleted: false,
            last_due_at: None,
            queued: None,
            submitted: BTreeSet::new(),
            jobs: BTreeSet::new(),
        }
    }

    fn goes_on_by(&self, key: KeyId) -> bool {
        self.key_id == Some(key) && !self.paused && !self.deleted
    }

    fn occur(
        &mut self,
        due_at: Timestamp,
        outcome: &Occurrence,
        is_open: impl Fn(&JobId) -> bool,
    ) -> Result<(), String> {
        if self.paused {
            return Err(format!("due at {due_at} while it is paused"));
        }
        let waited = self.queued == Some(due_at) && *outcome != Occurrence::Queued;
        if self.last_due_at.is_some_and(|last| due_at <= last) && !waited {
            return Err(format!("due at {due_at}, after {:?}", self.last_due_at));
        }
        self.last_due_at = self.last_due_at.max(Some(due_at));
        match outcome {
            Occurrence::Submitted { job_id } => {
                let open = self.jobs.iter().find(|job| is_open(job));
                if let (Some(open), false) = (open, self.overlap == Overlap::Allow) {
                    return Err(format!("due at {due_at} and submitted beside {open}"));
                }
                if !self.submitted.insert(due_at) || !self.jobs.insert(*job_id) {
                    return Err(format!("due at {due_at}, and submitted again"));
                }
                self.queued = None;
            }
            Occurrence::Queued => self.queued = Some(due_at),
            Occurrence::Refused { .. } => self.queued = None,
            Occurrence::Skipped | Occurrence::Missed => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::{ApiKey, PauseReason, ScheduleSpec, UserId};
    use serde_json::json;

    use super::*;

    fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn ada() -> UserId {
        id("ada")
    }

    fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(number: u32) -> T {
        id(&format!("0193a000-0000-7000-8000-{number:012}"))
    }

    fn at(minute: u32) -> Timestamp {
        id(&format!("2026-11-28T12:{minute:02}:00Z"))
    }

    fn set(overlap: &str, key_id: Option<KeyId>) -> Fact {
        let job = json!({"module": "m", "inputs": {}, "priority": 5,
            "requested_resources": {"cpu": 1, "mem_mb": 1, "wall_time_s": 1, "gpu": 0}});
        let spec = json!({"name": "n", "cron": "* * * * *", "time_zone": "UTC", "overlap": overlap,
            "catch_up_s": 0, "job": job});
        let spec: ScheduleSpec = serde_json::from_value(spec).unwrap();
        Fact::ScheduleSet {
            spec: Box::new(spec),
            owner: ada(),
            role: "user".to_owned(),
            by: ada(),
            key_id,
        }
    }

    fn occurred(minute: u32, outcome: Occurrence) -> Fact {
        Fact::ScheduleOccurred { due_at: at(minute), outcome, missed_from: None, next_due_at: None }
    }

    fn submitted(minute: u32, job: u32) -> Fact {
        occurred(minute, Occurrence::Submitted { job_id: number(job) })
    }

    fn paused() -> Fact {
        Fact::SchedulePaused { by: None, reason: PauseReason::Asked }
    }

    fn created(expires_at: Option<Timestamp>) -> Fact {
        let key = ApiKey {
            name: String::new(),
            user_id: ada(),
            role: String::new(),
            scopes: Default::default(),
            expires_at,
            hash: String::new(),
        };
        Fact::KeyCreated { key: Box::new(key), by: ada() }
    }

    /// What the book says of the last of these facts, of which all others are good. Jobs below 10 have ended.
    fn judge(facts: &[Fact]) -> Result<(), String> {
        let mut book = Book::default();
        let mut said = Ok(());
        for (place, fact) in facts.iter().enumerate() {
            assert_eq!(said, Ok(()), "before {place}");
            said = match fact {
                Fact::KeyCreated { .. } | Fact::KeyRevoked { .. } => {
                    book.on_key_fact(number(1), fact)
                }
                _ => book.on_schedule_fact(number(1), fact, |job| *job >= number(10)),
            };
        }
        said
    }

    #[test]
    fn a_story_as_it_should_be_is_believed() {
        let queued = occurred(2, Occurrence::Queued);
        let resumed = Fact::ScheduleResumed { by: ada(), key_id: None };
        let story = [
            set("queue", None),
            submitted(1, 1),
            queued,
            submitted(2, 2),
            paused(),
            resumed,
            submitted(4, 3),
            set("allow", None),
            submitted(5, 10),
            submitted(6, 11),
            Fact::ScheduleDeleted { by: ada() },
        ];
        assert_eq!(judge(&story), Ok(()));
        let revoked = Fact::KeyRevoked { by: ada() };
        let story = [created(None), set("skip", Some(number(1))), paused(), revoked];
        assert_eq!(judge(&story), Ok(()));
    }

    /// Each of these stories ends in what must not be.
    #[test]
    fn what_must_not_be_is_noticed() {
        let deleted = || Fact::ScheduleDeleted { by: ada() };
        let revoked = || Fact::KeyRevoked { by: ada() };
        let bound = || set("skip", Some(number(1)));
        let triggered = |job| Fact::ScheduleTriggered { job_id: number(job), by: ada() };
        for story in [
            vec![set("skip", None), submitted(1, 1), submitted(1, 2)],
            vec![set("skip", None), submitted(1, 1), submitted(2, 1)],
            vec![set("skip", None), submitted(2, 1), occurred(1, Occurrence::Missed)],
            vec![set("skip", None), paused(), submitted(1, 1)],
            vec![set("skip", None), paused(), occurred(1, Occurrence::Skipped)],
            vec![set("skip", None), deleted(), submitted(1, 1)],
            vec![set("skip", None), deleted(), set("skip", None)],
            vec![set("skip", None), submitted(1, 10), submitted(2, 2)],
            vec![set("queue", None), triggered(10), submitted(1, 1)],
            vec![submitted(1, 1)],
            vec![created(None), revoked(), created(None)],
            vec![created(None), revoked(), revoked()],
            vec![created(None), bound(), revoked()],
            vec![created(None), revoked(), bound()],
            vec![created(Some(at(1))), bound(), submitted(1, 1)],
        ] {
            assert!(judge(&story).is_err(), "{story:?}");
        }
    }
}
