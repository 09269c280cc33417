//! What is counted for a report, from facts alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nox_contract::{
    Entry, Fact, Frame, JobId, ModuleName, TenantId, Timestamp, UserId, WaitingCode,
};

/// Parts of the span that are counted by themselves.
pub const PARTS: usize = 60;

/// See the head of this file.
pub struct Figures {
    pub from: Timestamp,
    pub to: Timestamp,
    pub parts: Vec<Part>,
    /// What jobs waited for, and how long within the span.
    pub waits: BTreeMap<&'static str, Waits>,
    /// Jobs that failed, by module and the code of their error.
    pub failures: BTreeMap<(ModuleName, String), u64>,
    pub users: BTreeMap<(TenantId, UserId), Use>,
    /// Jobs that wait now, for what and since when.
    waiting: BTreeMap<JobId, (WaitingCode, Timestamp)>,
    /// Jobs that are over, and of which something may still run.
    canceled: BTreeSet<JobId>,
}

/// What came and ended in a part of the span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part {
    pub submitted: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub canceled: u64,
}

/// Waits for one reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waits {
    pub count: u64,
    pub all: Duration,
    pub longest: Duration,
}

/// What one user did with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    pub ends: Part,
    pub core_seconds: i64,
    pub overrun: i64,
    pub violations: u64,
}

impl Figures {
    pub fn new(from: Timestamp, to: Timestamp) -> Self {
        Self {
            from,
            to,
            parts: vec![Part::default(); PARTS],
            waits: BTreeMap::new(),
            failures: BTreeMap::new(),
            users: BTreeMap::new(),
            waiting: BTreeMap::new(),
            canceled: BTreeSet::new(),
        }
    }

    /// Takes the next frame in; none before the first, and none from `to` on.
    pub fn note(&mut self, frame: &Frame) {
        for entry in &frame.entries {
            for fact in entry.known_facts() {
                if frame.at >= self.from {
                    self.count(frame.at, entry, fact);
                }
                if let Some(job) = entry.job_id {
                    self.wait(frame.at, job, fact);
                }
            }
        }
    }

    /// What still waits has done so up to here, or up to `now` where the span goes on beyond it.
    pub fn end(&mut self, now: Timestamp) {
        let waiting: Vec<_> = self.waiting.keys().copied().collect();
        for job in waiting {
            self.over(job, self.to.min(now));
        }
    }

    pub fn all(&self) -> Part {
        self.parts.iter().fold(Part::default(), |mut all, part| {
            all.submitted += part.submitted;
            all.succeeded += part.succeeded;
            all.failed += part.failed;
            all.canceled += part.canceled;
            all
        })
    }

    fn count(&mut self, at: Timestamp, entry: &Entry, fact: &Fact) {
        if let Fact::QuotaViolated { user_id, .. } = fact {
            let of = (entry.tenant.clone(), user_id.clone());
            self.users.entry(of).or_default().violations += 1;
            return;
        }
        let (Some(user), Some(module)) = (&entry.user_id, &entry.module) else { return };
        let of = (entry.tenant.clone(), user.clone());
        match fact {
            Fact::Submitted(_) | Fact::DraftSubmitted {} => {
                self.tell(at, of, |part| part.submitted += 1);
            }
            Fact::Succeeded { .. } => self.tell(at, of, |part| part.succeeded += 1),
            Fact::Canceled { .. } => self.tell(at, of, |part| part.canceled += 1),
            Fact::Failed { error } => {
                *self.failures.entry((module.clone(), error.code.clone())).or_default() += 1;
                self.tell(at, of, |part| part.failed += 1);
            }
            Fact::Settled { cpu_seconds, overrun, .. } => {
                let user = self.users.entry(of).or_default();
                user.core_seconds = user.core_seconds.saturating_add(*cpu_seconds);
                user.overrun = user.overrun.saturating_add(*overrun);
            }
            _ => {}
        }
    }

    fn tell(&mut self, at: Timestamp, of: (TenantId, UserId), tell: impl Fn(&mut Part)) {
        let share = at.since(self.from).as_secs_f64() / self.to.since(self.from).as_secs_f64();
        // It is less than one, for `at` is before `to`.
        let place = (share * PARTS as f64) as usize;
        if let Some(part) = self.parts.get_mut(place.min(PARTS - 1)) {
            tell(part);
        }
        tell(&mut self.users.entry(of).or_default().ends);
    }

    /// What a fact says of what the job waits for.
    fn wait(&mut self, at: Timestamp, job: JobId, fact: &Fact) {
        match fact {
            Fact::Canceled { .. } => {
                self.canceled.insert(job);
            }
            Fact::Stopped { .. } | Fact::AttemptLost { .. } if self.canceled.remove(&job) => return,
            _ => {}
        }
        let code = match fact {
            // What it implies, unless another one is said beside it.
            Fact::Submitted(_) | Fact::DraftSubmitted {} | Fact::AttemptLost { .. } => {
                Some(WaitingCode::Priority)
            }
            Fact::Waiting { code } => Some(*code),
            Fact::RetryScheduled { .. } => Some(WaitingCode::Backoff),
            Fact::Assigned { .. } | Fact::Canceled { .. } | Fact::Failed { .. } => None,
            _ => return,
        };
        self.over(job, at);
        if let Some(code) = code {
            self.waiting.insert(job, (code, at));
        }
    }

    /// The job waits no more for what it waited for, as far as that is within the span.
    fn over(&mut self, job: JobId, at: Timestamp) {
        let Some((code, since)) = self.waiting.remove(&job) else { return };
        if at <= self.from {
            return;
        }
        let span = at.since(since.max(self.from));
        if span.is_zero() {
            return;
        }
        let waits = self.waits.entry(code.as_str()).or_default();
        waits.count += 1;
        waits.all += span;
        waits.longest = waits.longest.max(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        "2026-11-21T22:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_secs(second)
    }

    fn frame(n: u64, second: u64, facts: &str) -> Frame {
        let text = format!(
            r#"{{"n":{n},"epoch":1,"at":"{}","rules":1,"prev":"","pos":{{"commands":{{"seq":1,"part":0}},
            "reports":{{"seq":1,"part":0}}}},"entries":[{{"by":{{"src":"commands","seq":1,"part":0}},
            "tenant":"acme","job_id":"0193a000-0000-7000-8000-000000000001","user_id":"ada",
            "module":"noop","facts":[{facts}]}}]}}"#,
            at(second)
        );
        serde_json::from_str(&text).unwrap()
    }

    const SUBMITTED: &str = r#"{"submitted":{"module_version":"1","inputs":{},
        "requested_resources":{"cpu":1,"mem_mb":1,"wall_time_s":60},"priority":5}}"#;
    const ASSIGNED: &str = r#"{"assigned":{"worker_id":"w1",
        "session":"0193a000-0000-7000-8000-000000000002","attempt":1,"work":1}}"#;

    /// A job that waits from before the span into it, and then for a slot; and ends in it.
    #[test]
    fn waits_count_as_far_as_they_are_within_the_span() {
        let mut figures = Figures::new(at(10), at(70));
        figures.note(&frame(1, 0, SUBMITTED));
        figures.note(&frame(2, 15, r#"{"waiting":{"code":"resources"}}"#));
        figures.note(&frame(3, 35, ASSIGNED));
        let succeeded = r#"{"succeeded":{"attempt":1,"outputs":{},"wall_ms":5}}"#;
        figures.note(&frame(4, 40, succeeded));
        figures.note(&frame(
            5,
            40,
            r#"{"settled":{"period":"2026-11-21T00:00:00Z","cpu_seconds":3,"overrun":0}}"#,
        ));
        figures.end(at(1_000));
        let waits: Vec<_> =
            figures.waits.iter().map(|(code, of)| (*code, of.count, of.all.as_secs())).collect();
        assert_eq!(waits, [("priority", 1, 5), ("resources", 1, 20)]);
        let all = figures.all();
        assert_eq!((all.submitted, all.succeeded), (0, 1));
        assert_eq!(figures.parts[30].succeeded, 1);
        let of_ada = figures.users.values().next().unwrap();
        assert_eq!((of_ada.core_seconds, of_ada.ends.succeeded), (3, 1));
    }

    #[test]
    fn what_still_waits_has_waited_up_to_the_end() {
        let mut figures = Figures::new(at(10), at(70));
        figures.note(&frame(1, 20, SUBMITTED));
        figures.end(at(1_000));
        assert_eq!(figures.waits["priority"].all, Duration::from_secs(50));
        // What has not come yet is no wait.
        let mut figures = Figures::new(at(10), at(70));
        figures.note(&frame(1, 20, SUBMITTED));
        figures.end(at(30));
        assert_eq!(figures.waits["priority"].all, Duration::from_secs(10));
        assert_eq!(figures.all().submitted, 1);
    }
}
