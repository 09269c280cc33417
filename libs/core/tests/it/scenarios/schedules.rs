//! Schedules: what is due, and what becomes of it.

use nox_contract::{
    Command, DeleteSchedule, Fact, JobId, JobState, Limits, Occurrence, Overlap, PauseSchedule,
    ProblemCode, ScheduleId, SetSchedule, Timestamp, TriggerSchedule,
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

fn nightly() -> ScheduleId {
    id("0193a000-0000-7000-8000-00000000b001")
}

fn one_oclock() -> Timestamp {
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
            admin: false,
        };
        self.command(&acme(), Command::SetSchedule(Box::new(set)))
    }

    fn pause_schedule(&mut self, paused: bool) -> Said {
        let by = id("ada");
        let pause = PauseSchedule { schedule_id: nightly(), paused, by, admin: false };
        self.command(&acme(), Command::PauseSchedule(pause))
    }

    fn plan(&mut self, next_due_at: Option<Timestamp>) -> Said {
        let plans = vec![Plan { schedule_id: nightly(), next_due_at }];
        self.internal(Internal::Plan { plans })
    }

    /// Somebody leads so long after it was due, and it is due again an hour after.
    fn fall_due(&mut self, due_at: Timestamp, late_s: u64) -> Said {
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

    fn next_due(&self) -> Next {
        self.log.state.schedules.get(nightly()).expect("a schedule").next
    }
}

fn scheduled(overlap: Overlap) -> World {
    let mut world = World::working(9);
    assert_eq!(world.set_schedule(true, overlap, "ada").names(), ["schedule_set"]);
    assert_eq!(world.plan(Some(one_oclock())).names(), ["schedule_planned"]);
    world
}

fn outcome(said: &Said) -> &Occurrence {
    let mut facts = said.entries.iter().flat_map(|entry| entry.known_facts());
    let occurred = facts.find_map(|fact| match fact {
        Fact::ScheduleOccurred { outcome, .. } => Some(outcome),
        _ => None,
    });
    occurred.unwrap_or_else(|| panic!("nothing occurred: {:?}", said.names()))
}

fn job_of(said: &Said) -> JobId {
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
        let at = world.log.now;
        let unqueue = Internal::Unqueue { at, schedules: vec![nightly()] };
        assert!(world.internal(unqueue.clone()).entries.is_empty(), "its job has not ended");
        world.succeed(first);
        let unqueued = world.internal(unqueue);
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
    let seen = world.log.last();
    let trigger = |by: &str| {
        let (schedule_id, job_id) = (nightly(), job_id(77));
        Command::TriggerSchedule(TriggerSchedule {
            schedule_id,
            job_id,
            seen,
            by: id(by),
            admin: false,
        })
    };
    let stranger = world.command(&acme(), trigger("grace"));
    assert_eq!(stranger.refusal().code, ProblemCode::ScheduleNotFound);
    let said = world.command(&acme(), trigger("ada"));
    assert!(said.names().contains(&"schedule_triggered"));
    assert_eq!(world.next_due(), Next::At(one_oclock()));
    let again = world.command(&acme(), trigger("ada"));
    assert!(again.accepted().repeated && again.entries.is_empty());
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
