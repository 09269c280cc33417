//! Who is charged when a worker goes, and who has to run alone after that.

use nox_contract::{
    Blame, Fact, HandBack, JobId, JobState, LostReason, Report, WaitingCode, beat::Held,
};
use nox_core::job::SUSPICIONS_MAX;

use crate::{
    log::Said,
    world::{World, ask, by, handed_back, id, manifest, origin, session_id, slots, succeeded},
};

fn blames(said: &Said) -> Vec<(LostReason, Blame)> {
    let facts = said.entries.iter().flat_map(|entry| entry.known_facts());
    facts
        .filter_map(|fact| match fact {
            Fact::AttemptLost { reason, blame, .. } => Some((*reason, *blame)),
            _ => None,
        })
        .collect()
}

fn counts(world: &World, job: JobId) -> (u32, u32, u32) {
    let job = &world.log.state.job(job).unwrap().job;
    (job.failures, job.crashes, job.suspicions)
}

/// Loses worker `w` while `jobs` run there, and lets it join again.
pub(super) fn lose(world: &mut World, jobs: &[JobId]) -> Said {
    world.place();
    for job in
        jobs.iter().filter(|job| world.holder(**job) == Some("w")).copied().collect::<Vec<_>>()
    {
        world.start(job);
    }
    let said = world.silent("w");
    world.join("w", slots(9), &[manifest("m")]);
    said
}

/// Another process of worker `w` begins, so the one before has ended.
fn restart(world: &mut World) -> Said {
    let session = session_id(u32::try_from(world.log.state.n.0).unwrap() + 1_000);
    world.hello("w", session, slots(9), &[manifest("m")])
}

#[test]
fn of_several_that_were_handed_to_a_lost_worker_none_is_charged_and_all_may_have_run() {
    for ended in [true, false] {
        let mut world = World::working(9);
        let (killer, innocent, unheard) =
            (world.submit(ask()), world.submit(by("grace")), world.submit(ask()));
        world.start(killer);
        world.place();
        world.start(innocent);
        let said = if ended { restart(&mut world) } else { world.silent("w") };
        let reason = if ended { LostReason::NewSession } else { LostReason::WorkerSilent };
        assert_eq!(blames(&said), [(reason, Blame::Suspected); 3]);
        for job in [killer, innocent, unheard] {
            assert_eq!(counts(&world, job), (0, 0, 1));
        }
    }
}

#[test]
fn only_what_is_known_to_have_run_alone_until_its_workers_process_ended_is_charged() {
    let charged = |started: bool, ended: bool| {
        let mut world = World::working(9);
        let job = world.submit(ask());
        if started {
            world.start(job);
        }
        let said = if ended { restart(&mut world) } else { world.silent("w") };
        (blames(&said)[0].1, counts(&world, job))
    };
    let suspected = (Blame::Suspected, (0, 0, 1));
    assert_eq!(charged(true, true), (Blame::Crashed, (0, 1, 0)));
    assert_eq!(charged(false, true), suspected);
    // A worker that nobody hears of may stand still, or be cut off.
    assert_eq!(charged(true, false), suspected);
    assert_eq!(charged(false, false), suspected);
}

#[test]
fn what_runs_beside_one_whose_start_nobody_heard_of_is_not_alone() {
    let mut world = World::working(9);
    let (innocent, killer) = (world.submit(ask()), world.submit(ask()));
    world.start(innocent);
    let said = restart(&mut world);
    assert_eq!(blames(&said), [(LostReason::NewSession, Blame::Suspected); 2]);
    assert_eq!((counts(&world, innocent), counts(&world, killer)), ((0, 0, 1), (0, 0, 1)));

    // Nor beside one that was canceled, and has yet to stop.
    let mut world = World::working(9);
    let (innocent, canceled) = (world.submit(ask()), world.submit(ask()));
    world.start(innocent);
    world.start(canceled);
    world.cancel(canceled);
    restart(&mut world);
    assert_eq!(counts(&world, innocent), (0, 0, 1));
}

#[test]
fn a_job_that_kills_its_worker_before_anybody_hears_of_its_start_is_found() {
    for ended in [true, false] {
        let mut world = World::working(9);
        let (killer, innocent) = (world.submit(ask()), world.submit(by("grace")));
        let mut losses = 0;
        while world.log.state.job(killer).is_some() {
            world.place();
            if world.holder(innocent).is_some() {
                world.start(innocent);
            }
            if world.holder(killer).is_none() {
                world.succeed(innocent);
                continue;
            }
            losses += 1;
            assert!(losses <= 10, "it is never found");
            if ended {
                restart(&mut world);
            } else {
                world.silent("w");
                world.join("w", slots(9), &[manifest("m")]);
            }
            if world.log.state.job(innocent).is_some() {
                assert_eq!(counts(&world, innocent).1, 0, "the neighbour pays");
            }
        }
        assert_eq!((losses, world.state_of(killer)), (SUSPICIONS_MAX + 3, JobState::Failed));
        assert_ne!(world.state_of(innocent), JobState::Failed);
    }
}

#[test]
fn a_job_that_takes_its_workers_down_is_parked_and_its_neighbours_finish() {
    let mut world = World::working(9);
    let killer = world.submit(ask());
    let neighbours = [world.submit(by("grace")), world.submit(by("linus")), world.submit(ask())];
    let all = [&[killer][..], &neighbours].concat();
    for _ in 0..SUSPICIONS_MAX {
        lose(&mut world, &all);
    }
    // From here on everybody gets a worker of its own, in turn; only the killer's goes down.
    let mut losses = 0;
    while world.log.state.job(killer).is_some()
        || neighbours.iter().any(|job| world.log.state.job(*job).is_some())
    {
        world.place();
        let held: Vec<_> =
            all.iter().filter(|job| world.holder(**job).is_some()).copied().collect();
        assert_eq!(held.len(), 1, "nobody runs beside a suspect");
        world.start(held[0]);
        if held[0] == killer {
            losses += 1;
            let said = world.silent("w");
            assert_eq!(blames(&said), [(LostReason::WorkerSilent, Blame::Crashed)]);
            if let Some(Fact::Failed { error }) = said.of(killer).get(1) {
                assert_eq!(error.code, "crashed");
                assert_eq!(
                    error.message,
                    "3 attempts crashed, the last one with: worker w fell silent while it had no \
                     other job"
                );
            }
            world.join("w", slots(9), &[manifest("m")]);
        } else {
            world.succeed(held[0]);
        }
    }
    assert_eq!((losses, world.state_of(killer)), (3, JobState::Failed));
    for job in neighbours {
        assert_eq!(world.state_of(job), JobState::Succeeded);
    }
}

#[test]
fn a_suspect_waits_for_a_worker_of_its_own_and_says_so() {
    let mut world = World::working(9);
    let (suspect, other) = (world.submit(ask()), world.submit(by("grace")));
    world.place();
    for _ in 0..SUSPICIONS_MAX {
        lose(&mut world, &[suspect, other]);
    }
    world.open("linus");
    world.settle();
    assert_eq!(world.holder(suspect), Some("w"));
    // Nothing else is given to its worker, and whoever waits is told the truth.
    let third = world.submit(by("linus"));
    world.settle();
    assert_eq!(world.waiting(other), Some(WaitingCode::Isolation));
    assert_eq!(world.waiting(third), Some(WaitingCode::Resources));
    world.start(suspect);
    world.succeed(suspect);
    world.settle();
    assert_eq!(world.holder(other), Some("w"));
}

#[test]
fn a_worker_is_emptied_for_a_suspect_and_jobs_ahead_of_it_still_run() {
    let mut world = World::working(2);
    let (suspect, other) = (world.submit(ask()), world.submit(by("grace")));
    for _ in 0..SUSPICIONS_MAX {
        lose(&mut world, &[suspect, other]);
    }
    world.cancel(other);
    world.place();
    world.start(suspect);
    // It is handed back while another runs beside nobody.
    let holding = world.holding(suspect);
    let report = holding.ended(suspect, true, 1, handed_back(HandBack::Draining));
    world.report(&holding.worker, holding.session, report);
    world.pass(crate::world::seconds(1));
    let urgent = world.submit(crate::world::Ask { priority: 9, ..by("grace") });
    world.place();
    assert_eq!((world.holder(urgent), world.holder(suspect)), (Some("w"), None));
    world.pass(crate::world::seconds(1));
    let later = world.submit(by("linus"));
    world.settle();
    assert_eq!(world.waiting(suspect), Some(WaitingCode::Isolation));
    assert_eq!(world.holder(later), None, "it would keep the suspect waiting for ever");
    world.start(urgent);
    world.succeed(urgent);
    world.settle();
    assert_eq!((world.holder(suspect), world.holder(later)), (Some("w"), None));
}

#[test]
fn a_suspect_that_asks_for_more_than_any_worker_has_waits_for_another_worker() {
    let mut world = World::working(9);
    let (suspect, other) = (world.submit(ask()), world.submit(by("grace")));
    for _ in 0..SUSPICIONS_MAX {
        lose(&mut world, &[suspect, other]);
    }
    let small = nox_contract::Capacity { mem_mb: 1, ..slots(9) };
    world.join("w", small, &[manifest("m")]);
    world.settle();
    assert_eq!(world.waiting(suspect), Some(WaitingCode::Unsatisfiable));
}

#[test]
fn a_planned_stop_charges_nobody_however_it_ends() {
    for lost in [true, false] {
        let mut world = World::working(9);
        let job = world.submit(ask());
        for _ in 0..7 {
            world.place();
            world.start(job);
            let session = world.holding(job).session;
            world.report(&id("w"), session, Report::Draining);
            // Cut off after its time, or gone by itself.
            let said =
                if lost { world.silent("w") } else { world.report(&id("w"), session, Report::Bye) };
            assert_eq!(blames(&said), [(LostReason::Draining, Blame::Nobody)]);
            world.join("w", slots(9), &[manifest("m")]);
        }
        assert_eq!(counts(&world, job), (0, 0, 0));
    }
}

#[test]
fn what_is_handed_back_is_queued_again_at_once_and_counts_for_nothing() {
    for (why, reason) in [
        (HandBack::Draining, LostReason::Draining),
        (HandBack::CannotRun { reason: "no process".to_owned() }, LostReason::CannotRun),
    ] {
        let mut world = World::working(1);
        let job = world.submit(ask());
        for attempt in 1..=7 {
            assert_eq!(world.attempt(job), attempt);
            let holding = world.holding(job);
            let report = holding.ended(job, attempt % 2 == 0, 9_000, handed_back(why.clone()));
            let said = world.report(&holding.worker, holding.session, report);
            assert_eq!(blames(&said), [(reason, Blame::Nobody)]);
            assert_eq!(world.waiting(job), Some(WaitingCode::Priority));
            world.place();
        }
        assert_eq!(counts(&world, job), (0, 0, 0));
        world.succeed(job);
        assert_eq!(world.balance("ada").used, 1, "what was handed back is not charged");
    }
}

#[test]
fn what_is_handed_back_after_its_cancel_frees_its_slot() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    let holding = world.holding(job);
    world.cancel(job);
    let report = holding.ended(job, true, 0, handed_back(HandBack::Draining));
    assert_eq!(world.report(&holding.worker, holding.session, report).of(job)[0].name(), "stopped");
}

#[test]
fn a_worker_that_cannot_run_attempts_is_given_none_until_it_can() {
    let mut world = World::working(1);
    let session = world.log.state.workers.get(&id("w")).unwrap().session;
    let paused = |number| Report::Paused { number, reason: "no process".to_owned() };
    assert_eq!(world.report(&id("w"), session, paused(1)).names(), ["worker_paused"]);
    assert!(world.report(&id("w"), session, paused(1)).entries.is_empty());
    let job = world.submit(ask());
    world.settle();
    assert_eq!(world.waiting(job), Some(WaitingCode::NoWorker));
    let resumed = || Report::Resumed { number: 2 };
    assert_eq!(world.report(&id("w"), session, resumed()).names(), ["worker_resumed"]);
    assert!(world.report(&id("w"), session, resumed()).entries.is_empty());
    // Stored a second time, behind what it said afterwards.
    assert!(world.report(&id("w"), session, paused(1)).entries.is_empty());
    world.place();
    assert_eq!(world.holder(job), Some("w"));
}

#[test]
fn a_worker_that_lives_and_begins_anew_charges_nobody() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    for number in 10..20 {
        world.place();
        world.start(job);
        let origin = world.log.state.workers.get(&id("w")).unwrap().origin;
        let session = session_id(number);
        let said = world.hello_from(origin, "w", session, slots(1), &[manifest("m")]);
        assert_eq!(blames(&said), [(LostReason::NewSession, Blame::Nobody)]);
    }
    assert_eq!(counts(&world, job), (0, 0, 0));
}

#[test]
fn what_a_living_worker_has_lost_is_nobodys_fault() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    for attempt in 1..=7 {
        world.start(job);
        let session = world.holding(job).session;
        let held = Held { job_id: job, attempt: nox_contract::Attempt(attempt) };
        let said = world.missing("w", session, vec![held]);
        assert_eq!(blames(&said), [(LostReason::NotHeld, Blame::Nobody)]);
        world.place();
    }
    assert_eq!(counts(&world, job), (0, 0, 0));
}

#[test]
fn another_worker_of_the_name_is_not_taken_on_while_the_first_lives() {
    let mut world = World::working(1);
    let job = world.submit(ask());
    let first = world.holding(job).session;
    let mut other = origin(session_id(50));
    other.instance = nox_contract::InstanceId(other.process.0);
    let modules = [manifest("m")];
    let said = world.hello_from(other, "w", session_id(50), slots(1), &modules);
    assert!(said.entries.is_empty(), "{said:?}");
    assert_eq!(world.holding(job).session, first);

    // Its first word was refused; another one is heard when the first worker has gone.
    world.silent("w");
    let said = world.hello_from(other, "w", session_id(51), slots(1), &modules);
    assert_eq!(said.names(), ["worker_joined"]);
    world.place();
    world.end(job, 1, succeeded());
    assert_eq!(world.state_of(job), JobState::Succeeded);

    // And now the name is its.
    let said = world.hello("w", session_id(52), slots(1), &modules);
    assert!(said.entries.is_empty(), "{said:?}");
}

/// Most attempts that one frame says are lost.
const STEP: usize = 100;

/// How many attempts each frame says are lost.
fn steps(said: &Said) -> Vec<usize> {
    let mut steps = Vec::new();
    let mut last = None;
    for entry in &said.entries {
        let lost = entry.known_facts().filter(|fact| matches!(fact, Fact::AttemptLost { .. }));
        match lost.count() {
            0 => continue,
            lost if last == Some(entry.n) => *steps.last_mut().unwrap() += lost,
            lost => steps.push(lost),
        }
        last = Some(entry.n);
    }
    steps
}

/// A worker with so many attempts of which the first so many run; and what is said when it goes.
fn goes(attempts: u32, started: usize, how: impl Fn(&mut World) -> Said) -> (World, Said) {
    let mut world = World::working(attempts);
    let jobs: Vec<_> = (0..attempts).map(|_| world.submit(ask())).collect();
    for job in &jobs[..started] {
        world.start(*job);
    }
    let said = how(&mut world);
    assert_eq!(blames(&said).len(), jobs.len(), "each is lost once");
    assert!(jobs.iter().all(|job| world.waiting(*job) == Some(WaitingCode::Priority)));
    (world, said)
}

fn blamed(said: &Said, blame: Blame) -> usize {
    blames(said).iter().filter(|(_, of)| *of == blame).count()
}

#[test]
fn a_worker_with_many_attempts_goes_in_steps_and_nobody_is_blamed_otherwise() {
    let silent = |world: &mut World| world.silent("w");
    let (_, said) = goes(250, 250, silent);
    assert_eq!(steps(&said), [STEP, STEP, 50]);
    assert_eq!(blamed(&said, Blame::Suspected), 250);
    assert_eq!(said.names()[0], "worker_left");

    // All that were handed out may have run, whether or not anybody has heard of it.
    let (_, said) = goes(250, 1, silent);
    assert_eq!(blamed(&said, Blame::Suspected), 250);

    let bye = |world: &mut World| {
        let session = world.log.state.workers.get(&id("w")).unwrap().session;
        world.report(&id("w"), session, Report::Bye)
    };
    let (_, said) = goes(250, 250, bye);
    assert_eq!((steps(&said), blamed(&said, Blame::Nobody)), (vec![STEP, STEP, 50], 250));

    let hello = |world: &mut World| world.hello("w", session_id(9), slots(1), &[manifest("m")]);
    let (world, said) = goes(250, 250, hello);
    assert_eq!((steps(&said), blamed(&said, Blame::Suspected)), (vec![STEP, STEP, 50], 250));
    assert_eq!(said.names()[..2], ["worker_left", "worker_joined"]);
    assert_eq!(world.log.state.workers.get(&id("w")).unwrap().session, session_id(9));
}

#[test]
fn the_last_suspect_of_many_does_not_look_as_if_it_had_been_alone() {
    for attempts in [99, 100, 101, 201] {
        let (_, said) = goes(attempts, attempts as usize, |world| world.silent("w"));
        assert_eq!(blamed(&said, Blame::Suspected), attempts as usize, "of {attempts}");
        assert!(steps(&said).iter().all(|lost| *lost <= STEP), "{:?}", steps(&said));
    }
}
