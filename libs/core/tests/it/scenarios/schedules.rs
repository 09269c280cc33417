//! Schedules: what is due, and what becomes of it.

use nox_contract::{
    Command, Concurrency, DeleteSchedule, Fact, JobId, JobState, Limits, Occurrence, Overlap,
    PauseSchedule, ProblemCode, ScheduleId, SetSchedule, Timestamp, TriggerSchedule, WaitingCode,
};
use nox_core::{
    Faults, Internal,
    decide::{Due, Plan},
    schedules::Next,
};

use crate::{
    log::Said,
    world::{ROOMY, World, acme, config_of, id, job_id, seconds, spec},
};

pub fn nightly() -> ScheduleId {
    id("0193a000-0000-7000-8000-00000000b001")
}

pub fn one_oclock() -> Timestamp {
    id("2026-11-21T13:00:00Z")
}

impl World {
    fn set_schedule(&mut self, new: bool, overlap: Overlap, by: &str) -> Said {
        let set = SetSchedule {
            schedule_id: nightly(),
            new,
            spec: spec(overlap),
            by: id(by),
            role: "user".to_owned(),
            key_id: None,
            admin: false,
        };
        self.command(&acme(), Command::SetSchedule(Box::new(set)))
    }

    fn trigger_schedule(&mut self, number: u32, by: &str) -> Said {
        let trigger = TriggerSchedule {
            schedule_id: nightly(),
            job_id: job_id(number),
            seen: self.log.last(),
            module: id("m"),
            by: id(by),
            role: "user".to_owned(),
            admin: false,
        };
        self.command(&acme(), Command::TriggerSchedule(trigger))
    }

    fn unqueue(&mut self) -> Said {
        let at = self.log.now;
        self.internal(Internal::Unqueue { wall: at, at, schedules: vec![nightly()] })
    }

    fn pause_schedule(&mut self, paused: bool) -> Said {
        let by = id("ada");
        let pause =
            PauseSchedule { schedule_id: nightly(), paused, by, key_id: None, admin: false };
        self.command(&acme(), Command::PauseSchedule(pause))
    }

    pub fn plan(&mut self, next_due_at: Option<Timestamp>) -> Said {
        let plans = vec![Plan { schedule_id: nightly(), next_due_at }];
        self.internal(Internal::Plan { plans })
    }

    /// Somebody leads so long after it was due, and it is due again an hour after.
    pub fn fall_due(&mut self, due_at: Timestamp, late_s: u64) -> Said {
        self.log.now = self.log.now.max(due_at + seconds(late_s));
        let due = Due {
            schedule_id: nightly(),
            due_at,
            latest_at: due_at,
            next_due_at: Some(due_at + seconds(3_600)),
        };
        let wall = due_at + seconds(late_s);
        let at = self.log.now.max(self.log.state.at);
        self.internal(Internal::Due { wall, at, due: vec![due] })
    }

    pub fn next_due(&self) -> Next {
        self.log.state.schedules.get(nightly()).expect("a schedule").next
    }
}

fn scheduled(overlap: Overlap) -> World {
    let mut world = World::working(9);
    assert_eq!(world.set_schedule(true, overlap, "ada").names(), ["schedule_set"]);
    assert_eq!(world.plan(Some(one_oclock())).names(), ["schedule_planned"]);
    world
}

pub fn outcome(said: &Said) -> &Occurrence {
    let mut facts = said.entries.iter().flat_map(|entry| entry.known_facts());
    let occurred = facts.find_map(|fact| match fact {
        Fact::ScheduleOccurred { outcome, .. } => Some(outcome),
        _ => None,
    });
    occurred.unwrap_or_else(|| panic!("nothing occurred: {:?}", said.names()))
}

pub fn job_of(said: &Said) -> JobId {
    match outcome(said) {
        Occurrence::Submitted { job_id } => *job_id,
        other => panic!("expected a job, not {other:?}"),
    }
}

#[test]
fn what_is_due_is_submitted_once_whoever_leads() {
    let mut world = scheduled(Overlap::Skip);
    let said = world.fall_due(one_oclock(), 1);
    let job = job_of(&said);
    assert_eq!(job, JobId::of_occurrence(nightly(), one_oclock()));
    assert_eq!(world.next_due(), Next::At(one_oclock() + seconds(3_600)));
    // Another leader computed the same before it had read that.
    world.log.epoch().unwrap();
    assert!(world.fall_due(one_oclock(), 2).entries.is_empty());
    world.succeed(job);
    assert_eq!(world.state_of(job), JobState::Succeeded);
}

/// The negative control of the test above.
#[test]
fn a_decider_that_lets_occurrences_come_again_is_noticed() {
    let mut world = scheduled(Overlap::Allow);
    world.log.rules.faults = Faults { occurrences_repeat: true, ..Faults::default() };
    let first = job_of(&world.fall_due(one_oclock(), 1));
    let second = job_of(&world.fall_due(one_oclock(), 2));
    assert_ne!(first, second, "it ran twice");
    for job in [first, second] {
        world.succeed(job);
    }
}

#[test]
fn an_occurrence_that_meets_a_job_is_skipped_runs_beside_it_or_waits() {
    let next = one_oclock() + seconds(3_600);
    for (overlap, expected) in
        [(Overlap::Skip, "skipped"), (Overlap::Allow, "submitted"), (Overlap::Queue, "queued")]
    {
        let mut world = scheduled(overlap);
        let first = job_of(&world.fall_due(one_oclock(), 0));
        let said = world.fall_due(next, 0);
        assert_eq!(outcome(&said).as_str(), expected);
        assert!(world.unqueue().entries.is_empty(), "its job has not ended");
        world.succeed(first);
        let unqueued = world.unqueue();
        match overlap {
            Overlap::Queue => {
                assert_eq!(job_of(&unqueued), JobId::of_occurrence(nightly(), next));
                assert_eq!(world.next_due(), Next::At(next + seconds(3_600)));
                world.succeed(job_of(&unqueued));
            }
            Overlap::Allow => {
                world.succeed(job_of(&said));
            }
            Overlap::Skip => assert!(unqueued.entries.is_empty()),
        }
    }
}

#[test]
fn after_a_downtime_the_last_one_runs_if_it_is_not_too_late() {
    let mut world = scheduled(Overlap::Skip);
    assert_eq!(outcome(&world.fall_due(one_oclock(), 3_601)).as_str(), "missed");
    let next = one_oclock() + seconds(3_600);
    let due = Due {
        schedule_id: nightly(),
        due_at: next,
        latest_at: next + seconds(7_200),
        next_due_at: None,
    };
    let (wall, at) = (next + seconds(9_000), world.log.now.max(world.log.state.at));
    let said = world.internal(Internal::Due { wall, at, due: vec![due] });
    let job = job_of(&said);
    assert_eq!(job, JobId::of_occurrence(nightly(), next + seconds(7_200)));
    let facts: Vec<_> = said.entries.iter().flat_map(|entry| entry.known_facts()).collect();
    let missed = |fact: &&Fact| matches!(fact, Fact::ScheduleOccurred { missed_from: Some(from), .. } if *from == next);
    assert!(facts.into_iter().any(|fact| missed(&fact)));
    assert_eq!(world.next_due(), Next::Never);
    world.succeed(job);
}

#[test]
fn the_quotas_of_the_owner_apply_and_what_they_refuse_is_recorded() {
    let mut world = World::working_with(9, config_of(Limits { queued_jobs: 1, ..ROOMY }));
    world.set_schedule(true, Overlap::Allow, "ada");
    world.plan(Some(one_oclock()));
    let first = job_of(&world.fall_due(one_oclock(), 0));
    let said = world.fall_due(one_oclock() + seconds(3_600), 0);
    let Occurrence::Refused { refusal } = outcome(&said) else { panic!("{:?}", outcome(&said)) };
    assert_eq!(refusal.code, ProblemCode::QueueFull);
    assert!(said.names().contains(&"quota_violated"));
    world.succeed(first);
}

#[test]
fn a_paused_schedule_submits_nothing_and_makes_up_for_nothing() {
    let mut world = scheduled(Overlap::Skip);
    assert_eq!(world.pause_schedule(true).names(), ["schedule_paused"]);
    assert!(world.pause_schedule(true).accepted().repeated);
    assert!(world.fall_due(one_oclock(), 0).entries.is_empty());
    world.pause_schedule(false);
    assert_eq!(world.next_due(), Next::Unplanned, "from now on");
    let later = one_oclock() + seconds(7_200);
    world.plan(Some(later));
    assert!(world.plan(Some(one_oclock())).entries.is_empty(), "it is planned already");
    let job = job_of(&world.fall_due(later, 0));
    world.succeed(job);
}

#[test]
fn a_trigger_submits_at_once_and_changes_no_time() {
    let mut world = scheduled(Overlap::Skip);
    let stranger = world.trigger_schedule(77, "grace");
    assert_eq!(stranger.refusal().code, ProblemCode::ScheduleNotFound);
    let said = world.trigger_schedule(77, "ada");
    assert!(said.names().contains(&"schedule_triggered"));
    assert_eq!(world.next_due(), Next::At(one_oclock()));
    let again = world.trigger_schedule(77, "ada");
    assert!(again.accepted().repeated && again.entries.is_empty());
    world.succeed(job_id(77));
}

#[test]
fn a_trigger_of_another_module_than_was_looked_at_is_to_be_asked_again() {
    let mut world = scheduled(Overlap::Skip);
    let trigger = TriggerSchedule {
        schedule_id: nightly(),
        job_id: job_id(77),
        seen: world.log.last(),
        module: id("command"),
        by: id("ada"),
        role: "user".to_owned(),
        admin: false,
    };
    let said = world.command(&acme(), Command::TriggerSchedule(trigger));
    assert_eq!(said.refusal().code, ProblemCode::StaleStamp);
    assert!(said.entries.is_empty());
}

/// Whether an occurrence was submitted beside a job of an earlier one, after somebody triggered another one
/// which has ended meanwhile.
fn runs_beside(overlap: Overlap, faults: Faults) -> bool {
    let mut world = scheduled(overlap);
    world.log.rules.faults = faults;
    let first = job_of(&world.fall_due(one_oclock(), 0));
    world.trigger_schedule(77, "ada");
    assert_eq!(world.log.state.schedules.get(nightly()).unwrap().open_jobs, [first, job_id(77)]);
    world.succeed(job_id(77));
    let said = world.fall_due(one_oclock() + seconds(3_600), 0);
    let beside = match outcome(&said) {
        Occurrence::Submitted { .. } => true,
        Occurrence::Queued => !world.unqueue().entries.is_empty(),
        Occurrence::Skipped => false,
        other => panic!("{other:?}"),
    };
    world.succeed(first);
    for job in open_jobs(&world) {
        world.succeed(job);
    }
    beside
}

fn open_jobs(world: &World) -> Vec<JobId> {
    world.log.state.jobs().map(|(id, _)| id).collect()
}

#[test]
fn every_job_of_a_schedule_that_has_not_ended_counts_for_overlap() {
    for overlap in [Overlap::Skip, Overlap::Queue] {
        assert!(!runs_beside(overlap, Faults::default()), "{overlap:?}");
        // The negative control.
        let faults = Faults { newest_job_counts_alone: true, ..Faults::default() };
        assert!(runs_beside(overlap, faults), "{overlap:?}");
    }
    assert!(runs_beside(Overlap::Allow, Faults::default()));
}

#[test]
fn a_triggered_job_counts_for_overlap_and_what_has_ended_is_forgotten() {
    let mut world = scheduled(Overlap::Skip);
    for number in 70..75 {
        world.trigger_schedule(number, "ada");
    }
    assert_eq!(outcome(&world.fall_due(one_oclock(), 0)).as_str(), "skipped");
    for number in 70..75 {
        world.succeed(job_id(number));
    }
    let job = job_of(&world.fall_due(one_oclock() + seconds(3_600), 0));
    assert_eq!(world.log.state.schedules.get(nightly()).unwrap().open_jobs, [job]);
    world.succeed(job);
}

#[test]
fn what_its_job_is_found_by_and_its_concurrency_reach_each_of_its_jobs() {
    let mut world = World::working(9);
    let concurrency = Concurrency { key: "licence".to_owned(), limit: 1 };
    let mut spec = spec(Overlap::Allow);
    spec.job.labels = [("team".to_owned(), "spectra".to_owned())].into();
    spec.job.release_id = Some("2026.11".to_owned());
    spec.job.concurrency = Some(concurrency.clone());
    let set = SetSchedule {
        schedule_id: nightly(),
        new: true,
        spec: spec.clone(),
        by: id("ada"),
        role: "user".to_owned(),
        key_id: None,
        admin: false,
    };
    world.command(&acme(), Command::SetSchedule(Box::new(set)));
    world.plan(Some(one_oclock()));
    let due = world.fall_due(one_oclock(), 0);
    let triggered = world.trigger_schedule(77, "ada");
    for said in [&due, &triggered] {
        let mut facts = said.entries.iter().flat_map(|entry| entry.known_facts());
        let submitted = facts.find_map(|fact| match fact {
            Fact::Submitted(submitted) => Some(submitted),
            _ => None,
        });
        let submitted = submitted.expect("a job");
        assert_eq!(submitted.metadata.as_deref(), Some(&spec.job.metadata()));
        assert_eq!(submitted.concurrency.as_deref(), Some(&concurrency));
    }
    // And is kept to.
    assert_eq!(world.waiting(job_id(77)), Some(WaitingCode::Concurrency));
    world.succeed(job_of(&due));
    world.settle();
    world.succeed(job_id(77));
}

#[test]
fn only_its_owner_changes_a_schedule_and_a_deleted_one_does_not_come_again() {
    let mut world = scheduled(Overlap::Skip);
    assert!(world.set_schedule(true, Overlap::Skip, "ada").accepted().repeated);
    let code = |said: Said| said.refusal().code;
    assert_eq!(
        code(world.set_schedule(false, Overlap::Allow, "grace")),
        ProblemCode::ScheduleNotFound
    );
    assert_eq!(world.set_schedule(false, Overlap::Allow, "ada").names(), ["schedule_set"]);
    assert_eq!(world.next_due(), Next::Unplanned);
    let delete = DeleteSchedule { schedule_id: nightly(), by: id("ada"), admin: false };
    world.command(&acme(), Command::DeleteSchedule(delete));
    assert!(world.log.state.schedules.is_empty());
    // A copy of what made it was long on its way.
    assert_eq!(code(world.set_schedule(true, Overlap::Skip, "ada")), ProblemCode::ScheduleNotFound);
    // The negative control.
    world.log.rules.faults = Faults { what_is_gone_comes_again: true, ..Faults::default() };
    assert_eq!(world.set_schedule(true, Overlap::Skip, "ada").names(), ["schedule_set"]);
}
