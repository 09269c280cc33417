//! Drafts: kept without a reservation until their owner submits them.

use nox_contract::{Command, JobState, Limits, ProblemCode, SubmitDraft, WaitingCode};

use crate::world::{Ask, ROOMY, World, acme, after, ask, config_of, id, seconds};

#[test]
fn a_draft_reserves_nothing_and_runs_when_it_is_submitted() {
    let mut world = World::working(1);
    let draft = world.draft(ask());
    assert_eq!((world.state_of(draft), world.waiting(draft)), (JobState::Draft, None));
    assert_eq!(world.balance("ada").reserved, 0);
    assert!(world.place().entries.is_empty());
    let said = world.submit_draft(draft);
    assert_eq!(said.names(), ["draft_submitted", "reserved", "assigned"]);
    assert_eq!(said.accepted().state, Some(JobState::Queued));
    assert_eq!(world.balance("ada").reserved, 60);
    world.succeed(draft);
    assert_eq!(world.state_of(draft), JobState::Succeeded);
}

#[test]
fn a_draft_is_submitted_once_and_by_its_owner_alone() {
    let mut world = World::working(0);
    world.open("bob");
    let draft = world.draft(ask());
    let other = SubmitDraft { job_id: draft, by: id("bob"), role: "user".to_owned() };
    let said = world.command(&acme(), Command::SubmitDraft(other.clone()));
    assert_eq!(said.refusal().code, ProblemCode::JobNotFound);
    let said = world.command(&id("other"), Command::SubmitDraft(other));
    assert_eq!(said.refusal().code, ProblemCode::JobNotFound);
    world.submit_draft(draft);
    let again = world.submit_draft(draft);
    assert!(again.accepted().repeated && again.entries.is_empty());
    assert_eq!(world.balance("ada").reserved, 60);
    world.cancel(draft);
    assert_eq!(world.submit_draft(draft).refusal().code, ProblemCode::JobNotFound);
}

#[test]
fn a_refused_draft_stays_one() {
    let mut world = World::working_with(1, config_of(Limits { cpu_seconds: 100, ..ROOMY }));
    let (first, second) = (world.draft(ask()), world.draft(ask()));
    world.submit_draft(first);
    let said = world.submit_draft(second);
    assert_eq!(said.refusal().code, ProblemCode::BudgetExhausted);
    assert_eq!(said.names(), ["quota_violated"]);
    assert_eq!(world.state_of(second), JobState::Draft);
    world.switch("m", false);
    assert_eq!(world.submit_draft(second).refusal().code, ProblemCode::DisabledModule);
    world.switch("m", true);
    world.cancel(first);
    world.stop(first, 0);
    assert_eq!(world.submit_draft(second).accepted().state, Some(JobState::Queued));
}

#[test]
fn there_are_so_many_drafts_and_no_more() {
    let limits = Limits { drafts: 2, queued_jobs: 1, ..ROOMY };
    let mut world = World::working_with(1, config_of(limits));
    let drafts = [world.draft(ask()), world.draft(ask())];
    let (_, said) = world.ask(&Ask { draft: true, ..ask() });
    let refusal = said.refusal();
    assert_eq!((refusal.code, refusal.quota.as_deref()), (ProblemCode::QueueFull, Some("drafts")));
    assert_eq!((refusal.usage, refusal.limit), (Some(2), Some(2)));
    world.cancel(drafts[0]);
    assert_eq!(world.state_of(drafts[0]), JobState::Canceled);
    world.draft(ask());
    // They are none of those that are queued.
    world.submit(ask());
}

#[test]
fn a_repeated_draft_is_the_first_one_whatever_became_of_it() {
    let mut world = World::working(0);
    let keyed = Ask { fingerprint: Some("f".to_owned()), ..ask() };
    let draft = world.draft(keyed.clone());
    let again = Ask { job: Some(draft), draft: true, ..keyed };
    let (_, said) = world.ask(&again);
    assert_eq!(said.accepted().state, Some(JobState::Draft));
    world.submit_draft(draft);
    let (_, said) = world.ask(&again);
    assert!(said.accepted().repeated && said.entries.is_empty());
    assert_eq!(said.accepted().state, Some(JobState::Queued));
}

#[test]
fn what_a_draft_follows_and_when_it_is_to_run_counts_from_its_submission_on() {
    let mut world = World::working(9);
    let first = world.submit(ask());
    let run_at = Some(world.log.now + seconds(60));
    let follows = world.draft(after(&[first]));
    let scheduled = world.draft(Ask { run_at, ..ask() });
    let doomed = world.draft(after(&[first]));
    world.submit_draft(follows);
    assert_eq!(world.waiting(follows), Some(WaitingCode::Dependency));
    world.submit_draft(scheduled);
    assert_eq!(world.waiting(scheduled), Some(WaitingCode::Scheduled));
    world.cancel(first);
    world.stop(first, 0);
    world.place();
    assert_eq!(world.state_of(follows), JobState::Failed);
    assert_eq!(world.submit_draft(doomed).refusal().code, ProblemCode::InvalidRequest);
    assert_eq!(world.state_of(doomed), JobState::Draft);
    world.pass(seconds(60));
    world.timer();
    assert_eq!(world.holder(scheduled), Some("w"));
}

#[test]
fn who_follows_a_draft_waits_until_that_succeeded() {
    let mut world = World::working(9);
    let draft = world.draft(ask());
    let next = world.submit(after(&[draft]));
    assert_eq!(world.waiting(next), Some(WaitingCode::Dependency));
    world.cancel(draft);
    world.place();
    assert_eq!(world.state_of(next), JobState::Failed);
}

#[test]
fn a_draft_has_waited_since_it_was_submitted_and_not_since_it_was_drafted() {
    let mut world = World::working(1);
    let running = world.submit(ask());
    let draft = world.draft(ask());
    world.pass(seconds(10));
    let queued = world.submit(ask());
    world.pass(seconds(1));
    world.submit_draft(draft);
    world.succeed(running);
    world.settle();
    assert_eq!(world.holder(queued), Some("w"));
}
