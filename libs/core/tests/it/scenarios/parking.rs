//! What has a fact that this version does not know is set aside, and nobody else is.

use nox_contract::{
    Cancel, Cause, Command, DrainWorker, Entity, Entry, Fact, FactOrUnknown, JobId, Outcome,
    Overlap, PauseSchedule, ProblemCode, RawJson, ScheduleId, SetModule, Source, TriggerSchedule,
    WorkerId,
};
use nox_core::{ApplyError, Decision, Draft, Faults, Internal, Rules, State, decide};

use super::blame::lose;
use crate::{
    log::{TOKEN_KEY, placing},
    world::{World, acme, ask, id, job_id, spec, succeeded},
};

const BY: Cause = Cause { src: Source::Timer, seq: 0, part: 0 };

fn rules() -> Rules {
    Rules { token_key: TOKEN_KEY, ..Rules::default() }
}

fn unknown() -> FactOrUnknown {
    FactOrUnknown::Unknown(RawJson::parse(r#"{"teleported":{"to":"mars"}}"#.to_owned()).unwrap())
}

fn job(id: JobId) -> Entity {
    Entity::Job {
        tenant: acme(),
        job_id: id,
        user_id: crate::world::id("ada"),
        module: crate::world::id("m"),
    }
}

/// Folds an entry that a newer version wrote, with its unknown fact first.
fn hear(state: &mut State, entity: Entity, known: Vec<Fact>) -> Result<(), ApplyError> {
    let (n, at) = (state.n.next(), state.at);
    state.begin_frame(n, at)?;
    let facts = [unknown()].into_iter().chain(known.into_iter().map(Into::into)).collect();
    state.apply_entry(&Entry::new(BY, entity, facts))?;
    state.end_frame(state.pos)?;
    state.check().unwrap();
    Ok(())
}

fn command(state: &State, command: &Command) -> Decision {
    decide::command(state, &rules(), &acme(), command, state.at)
}

fn cancel(id: JobId, by: &str) -> Command {
    Command::Cancel(Cancel { job_id: id, by: crate::world::id(by), admin: false })
}

fn problem(decision: &Decision) -> Option<ProblemCode> {
    match &decision.answer {
        Some(Outcome::Refused(refusal)) => Some(refusal.code),
        _ => None,
    }
}

fn placed(state: &State) -> Vec<Draft> {
    let decision = decide::internal(state, &rules(), &placing(100), 0, state.at);
    decision.map(|decision| decision.drafts).unwrap_or_default()
}

#[test]
fn a_parked_job_stays_as_it_is_and_is_told_to_its_owner_alone() {
    let mut world = World::working(1);
    let running = world.submit(ask());
    let waiting = world.submit(ask());
    world.start(running);
    let holding = world.holding(running);
    let mut state = world.log.state.clone();
    let before = state.ledger.clone();
    for id in [running, waiting] {
        hear(&mut state, job(id), Vec::new()).unwrap();
    }
    assert!(state.ledger == before, "what it reserves is as it was");
    for id in [running, waiting] {
        assert_eq!(problem(&command(&state, &cancel(id, "ada"))), Some(ProblemCode::Parked));
        assert_eq!(problem(&command(&state, &cancel(id, "eve"))), Some(ProblemCode::JobNotFound));
    }
    let ended = holding.ended(running, true, 1_000, succeeded());
    let told = decide::report(&state, &rules(), &holding.worker, holding.session, &ended, state.at);
    assert!(told.drafts.is_empty() && !told.more);
    assert_eq!(placed(&state), [], "the slot is taken, and who waited is in no queue");
    assert!(state.parking.job(waiting).unwrap().parked.reason.contains("teleported"));

    // The control: without the gate the end of an attempt would be believed.
    let faults = Faults { parked_decided_upon: true, ..Faults::default() };
    let rules = Rules { faults, ..rules() };
    let told = decide::report(&state, &rules, &holding.worker, holding.session, &ended, state.at);
    assert!(!told.drafts.is_empty());
}

#[test]
fn what_a_parked_job_reserves_moves_as_its_known_facts_say_and_everything_stays_balanced() {
    let mut world = World::working(1);
    let first = world.submit(ask());
    let mut state = world.log.state.clone();
    let (period, reserved) = {
        let job = state.job(first).unwrap();
        (job.period, job.reserved)
    };
    let moved = vec![
        Fact::Settled { period, cpu_seconds: 10, overrun: 0 },
        Fact::Released { period, cpu_seconds: reserved - 10 },
    ];
    hear(&mut state, job(first), moved.clone()).unwrap();
    let account = |state: &State| state.ledger.user(&acme(), &id("ada")).unwrap().periods[&period];
    assert_eq!((account(&state).reserved, account(&state).used), (0, 10));
    // Once more there is nothing to move, for what was reserved meanwhile may be in the unknown fact.
    hear(&mut state, job(first), moved).unwrap();
    assert_eq!((account(&state).reserved, account(&state).used), (0, 10));

    // A job that is not there, for its very first fact is not known.
    let unseen = job_id(900);
    hear(&mut state, job(unseen), vec![Fact::Reserved { period, cpu_seconds: 60 }]).unwrap();
    assert_eq!(account(&state).reserved, 60);
    assert_eq!(problem(&command(&state, &cancel(unseen, "ada"))), Some(ProblemCode::Parked));
    assert_eq!(problem(&command(&state, &cancel(unseen, "eve"))), Some(ProblemCode::JobNotFound));
    let again = world.request(&crate::world::Ask { job: Some(unseen), ..ask() });
    let again = Command::Submit(Box::new(again));
    assert_eq!(problem(&command(&state, &again)), Some(ProblemCode::Parked));

    let text = serde_json::to_string(&state.to_snapshot()).unwrap();
    let mut read: State = serde_json::from_str(&text).unwrap();
    read.reindex();
    assert!(read == state);
}

#[test]
fn a_parked_worker_is_given_nothing_and_not_given_up() {
    let mut world = World::working(2);
    let running = world.submit(ask());
    world.start(running);
    let holding = world.holding(running);
    let mut state = world.log.state.clone();
    hear(&mut state, Entity::Worker(id("w")), Vec::new()).unwrap();
    let submit = Command::Submit(Box::new(world.request(&ask())));
    let decision = command(&state, &submit);
    let given = |facts: &[Fact]| facts.iter().any(|fact| matches!(fact, Fact::Assigned { .. }));
    assert!(decision.drafts.iter().all(|draft| !given(&draft.facts)), "{decision:?}");
    let silent = Internal::WorkerSilent { worker_id: id("w"), session: holding.session };
    let decision = decide::internal(&state, &rules(), &silent, 0, state.at).unwrap();
    assert!(decision.drafts.is_empty());
    let drain = DrainWorker { worker_id: id("w"), drained: true, by: id("root") };
    assert_eq!(problem(&command(&state, &Command::DrainWorker(drain))), Some(ProblemCode::Parked));
    // What it runs is not parked, and ends.
    let ended = holding.ended(running, true, 1_000, succeeded());
    let told = decide::report(&state, &rules(), &holding.worker, holding.session, &ended, state.at);
    assert_eq!(told.drafts.len(), 1);
    // A job that is handed to one whose coming is not known is set aside with it.
    let unseen: WorkerId = id("x");
    hear(&mut state, Entity::Worker(unseen.clone()), Vec::new()).unwrap();
    let other = job_id(901);
    let assigned = Fact::Assigned {
        worker_id: unseen,
        session: holding.session,
        attempt: nox_contract::Attempt(1),
        work: nox_contract::WorkNumber(1),
        request: None,
    };
    let n = state.n.next();
    state.begin_frame(n, state.at).unwrap();
    state.apply_entry(&Entry::new(BY, job(other), vec![assigned.into()])).unwrap();
    state.end_frame(state.pos).unwrap();
    assert!(state.parking.job(other).is_some());
}

#[test]
fn a_parked_module_takes_no_jobs_and_its_queue_waits() {
    let mut world = World::working(1);
    let first = world.submit(ask());
    let waiting = world.submit(ask());
    world.start(first);
    world.succeed(first);
    let mut state = world.log.state.clone();
    hear(&mut state, Entity::Module(id("m")), Vec::new()).unwrap();
    assert!(placed(&state).is_empty());
    let submit = Command::Submit(Box::new(world.request(&ask())));
    assert_eq!(problem(&command(&state, &submit)), Some(ProblemCode::Parked));
    let switch = SetModule { module: id("m"), enabled: false, by: id("root") };
    assert_eq!(problem(&command(&state, &Command::SetModule(switch))), Some(ProblemCode::Parked));
    assert!(state.parking.job(waiting).is_none(), "its jobs are not parked, and can be canceled");
    assert_eq!(problem(&command(&state, &cancel(waiting, "ada"))), None);
}

#[test]
fn a_parked_schedule_is_never_due() {
    let world = World::working(1);
    let mut state = world.log.state.clone();
    let schedule_id: ScheduleId = id("0193a000-0000-7000-8000-000000000077");
    let entity = Entity::Schedule { tenant: acme(), schedule_id };
    let set = Fact::ScheduleSet {
        spec: Box::new(spec(Overlap::Skip)),
        owner: id("ada"),
        role: "user".to_owned(),
        by: id("ada"),
        key_id: None,
    };
    let n = state.n.next();
    state.begin_frame(n, state.at).unwrap();
    state.apply_entry(&Entry::new(BY, entity.clone(), vec![set.into()])).unwrap();
    state.end_frame(state.pos).unwrap();
    assert_eq!(state.schedules.unplanned().count(), 1);
    hear(&mut state, entity, Vec::new()).unwrap();
    assert_eq!(state.schedules.unplanned().count() + state.schedules.due().count(), 0);
    let (by, admin) = (id("ada"), false);
    let pause = PauseSchedule { schedule_id, paused: true, by, admin, key_id: None };
    assert_eq!(
        problem(&command(&state, &Command::PauseSchedule(pause))),
        Some(ProblemCode::Parked)
    );
    let trigger = TriggerSchedule {
        schedule_id,
        job_id: job_id(902),
        module: id("m"),
        by: id("ada"),
        admin: false,
        role: "user".to_owned(),
        seen: state.n,
    };
    let decision = command(&state, &Command::TriggerSchedule(trigger));
    assert_eq!((problem(&decision), decision.drafts.len()), (Some(ProblemCode::Parked), 0));
}

#[test]
fn nobody_leads_without_what_is_not_known_of_accounts_keys_and_the_log() {
    let world = World::working(1);
    for (entity, what) in [
        (Entity::Account { tenant: acme(), account: "user/ada".to_owned() }, "an account"),
        (
            Entity::Key { tenant: acme(), key_id: id("0193a000-0000-7000-8000-000000000078") },
            "an API key",
        ),
        (Entity::Control, "the log itself"),
    ] {
        let mut state = world.log.state.clone();
        let refused = hear(&mut state, entity, Vec::new()).unwrap_err().to_string();
        assert!(refused.contains(what) && refused.contains("teleported"), "{refused}");
        assert!(refused.contains("or a newer one"), "{refused}");
    }
}

/// A word that is not known within a fact that is counts like an unknown fact.
#[test]
fn an_unknown_word_parks_as_an_unknown_fact_does() {
    let mut world = World::working(1);
    let first = world.submit(ask());
    world.start(first);
    let text =
        r#"{"attempt_lost":{"worker_id":"w","attempt":1,"reason":"abducted","blame":"nobody"}}"#;
    let raw = format!(
        r#"{{"by":{{"src":"detector","seq":0,"part":0}},"tenant":"acme","job_id":"{first}","user_id":"ada","module":"m","facts":[{text}]}}"#
    );
    let entry: Entry = serde_json::from_str(&raw).unwrap();
    let mut state = world.log.state.clone();
    let n = state.n.next();
    state.begin_frame(n, state.at).unwrap();
    state.apply_entry(&entry).unwrap();
    state.end_frame(state.pos).unwrap();
    assert!(state.parking.job(first).unwrap().parked.reason.contains("abducted"));
    assert!(!state.parking.is_known_now());
}

/// What a newer version says beside facts that are not known, of where the job is.
fn assigned(state: &State, attempt: u32) -> Fact {
    let worker = state.workers.get(&id("w")).unwrap();
    Fact::Assigned {
        worker_id: id("w"),
        session: worker.session,
        attempt: nox_contract::Attempt(attempt),
        work: worker.next_work,
        request: None,
    }
}

fn lost(attempt: u32) -> Fact {
    Fact::AttemptLost {
        worker_id: id("w"),
        attempt: nox_contract::Attempt(attempt),
        reason: nox_contract::LostReason::WorkerSilent,
        blame: nox_contract::Blame::Suspected,
        detail: None,
    }
}

#[test]
fn a_job_that_has_to_be_alone_gets_no_company_though_it_is_parked_and_others_have_the_room_it_leaves()
 {
    let mut world = World::working(3);
    let suspect = world.submit(ask());
    let mut state = world.log.state.clone();
    let mut given = |state: &State, faults: Faults| {
        let submit = Command::Submit(Box::new(world.request(&ask())));
        let rules = Rules { faults, ..rules() };
        let decision = decide::command(state, &rules, &acme(), &submit, state.at);
        let mut facts = decision.drafts.iter().flat_map(|draft| &draft.facts);
        facts.any(|fact| matches!(fact, Fact::Assigned { .. }))
    };
    let ignored = Faults { parked_company_ignored: true, ..Faults::default() };

    // Once is the machine's: it has company.
    let facts = vec![lost(1), assigned(&state, 2)];
    hear(&mut state, job(suspect), facts).unwrap();
    assert!(given(&state, Faults::default()));
    // A second time it has to be alone, and nothing that it was before says so.
    let facts = vec![lost(2), assigned(&state, 3)];
    hear(&mut state, job(suspect), facts).unwrap();
    assert!(!given(&state, Faults::default()));
    assert!(given(&state, ignored), "the control");
    // It is kept with the state, and goes with a fact that says that the attempt is over.
    let text = serde_json::to_string(&state.to_snapshot()).unwrap();
    let mut read: State = serde_json::from_str(&text).unwrap();
    read.reindex();
    assert!(read == state);
    let stopped = Fact::Stopped { worker_id: id("w"), attempt: nox_contract::Attempt(3) };
    hear(&mut state, job(suspect), vec![stopped]).unwrap();
    assert!(given(&state, Faults::default()));

    // One of which it is not known what it was given; then that it is small, so that it takes a slot.
    let unseen = job_id(900);
    let facts = vec![assigned(&state, 1)];
    hear(&mut state, job(unseen), facts).unwrap();
    assert!(!given(&state, Faults::default()));
    let retry = Fact::RetryScheduled {
        attempt: nox_contract::Attempt(2),
        due_at: state.at,
        resources: Some(crate::world::SMALL),
    };
    let facts = vec![retry, assigned(&state, 2)];
    hear(&mut state, job(unseen), facts).unwrap();
    assert!(given(&state, Faults::default()), "one of three slots is left");
    let (other, facts) = (job_id(901), vec![assigned(&state, 1)]);
    hear(&mut state, job(other), facts).unwrap();
    assert!(!given(&state, Faults::default()));

    // The session ends, and all that it had with it.
    let session = state.workers.get(&id("w")).unwrap().session;
    let silent = Internal::WorkerSilent { worker_id: id("w"), session };
    let left = decide::internal(&state, &rules(), &silent, 0, state.at).unwrap();
    let [Fact::WorkerLeft { blame, .. }] = &*left.drafts[0].facts else { panic!("{left:?}") };
    assert_eq!(*blame, nox_contract::Blame::Suspected, "several ran");
}

#[test]
fn a_worker_is_not_emptied_for_a_job_that_has_to_be_alone_while_it_has_something_parked() {
    let mut world = World::working(9);
    let (suspect, other) = (world.submit(ask()), world.submit(crate::world::by("grace")));
    for _ in 0..nox_core::job::SUSPICIONS_MAX {
        lose(&mut world, &[suspect, other]);
    }
    world.cancel(other);
    world.place();
    world.start(suspect);
    let holding = world.holding(suspect);
    let handed_back = crate::world::handed_back(nox_contract::HandBack::Draining);
    let report = holding.ended(suspect, true, 1, handed_back);
    world.report(&holding.worker, holding.session, report);
    world.pass(crate::world::seconds(1));
    let urgent = world.submit(crate::world::Ask { priority: 9, ..crate::world::by("grace") });
    world.place();
    world.pass(crate::world::seconds(1));
    let later = world.submit(crate::world::by("linus"));
    let mut state = world.log.state.clone();
    assert_eq!((world.holder(urgent), world.holder(later)), (Some("w"), None));
    assert_eq!(placed(&state), [], "the control: it is kept, and will be empty");
    // What it has is parked, so that it would stay as it is.
    hear(&mut state, job(urgent), Vec::new()).unwrap();
    let placed = placed(&state);
    let given: Vec<_> = placed.iter().map(|draft| draft.entity.clone()).collect();
    assert!(matches!(&*given, [Entity::Job { job_id, .. }] if *job_id == later), "{given:?}");
}
