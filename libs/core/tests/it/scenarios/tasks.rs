//! Tasks: workers register topics, claim the oldest task, and say how it went.

use nox_contract::{
    Attempt, Claim, Command, Fact, JobId, JobState, Limits, LostReason, ProblemCode, Progress,
    RawJson, Register, RemoveTopic, RemoveWorker, RequestId, Submit, Task, TenantId, Undelivered,
    UpdateTask, WaitingCode, WorkerId,
    command::{DeclaredTopic, TaskUpdate},
};

use crate::{
    log::Said,
    world::{ROOMY, World, acme, config, config_of, error, id, job_id, seconds, session_id},
};

const TOPIC: &str = "room:modifiers:Rotate";

fn worker(number: u32) -> WorkerId {
    WorkerId::of_http(&acme(), session_id(number).0)
}

fn user(number: u32) -> nox_contract::UserId {
    id(&format!("worker-{number}"))
}

fn register_as(world: &mut World, number: u32, session: u32, topic: &str, schema: &str) -> Said {
    let schema = RawJson::parse(schema.to_owned()).unwrap();
    let register = Register {
        worker_id: worker(number),
        session: session_id(session),
        by: user(number),
        lease_ms: 60_000,
        topic: Some(DeclaredTopic { name: id(topic), schema }),
    };
    world.command(&acme(), Command::Register(Box::new(register)))
}

fn register(world: &mut World, number: u32) -> Said {
    register_as(world, number, number, TOPIC, "{}")
}

fn submit_to(world: &mut World, tenant: &TenantId, number: u32, by: &str, topic: &str) -> Said {
    let submit = Submit {
        job_id: job_id(number),
        user_id: id(by),
        role: "user".to_owned(),
        module: Task::module(),
        module_version: None,
        worker_labels: Default::default(),
        inputs: RawJson::default(),
        requested_resources: nox_contract::Resources { cpu: 0, mem_mb: 0, wall_time_s: 0, gpu: 0 },
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        seen: world.log.last(),
        pending: false,
        task: Some(Box::new(Task { topic: id(topic), room: "room".to_owned() })),
        metadata: None,
        concurrency: None,
        draft: false,
        traceparent: None,
    };
    world.command(tenant, Command::Submit(Box::new(submit)))
}

fn submit(world: &mut World, number: u32) -> JobId {
    submit_to(world, &acme(), number, "ada", TOPIC).accepted();
    job_id(number)
}

fn claim_as(world: &mut World, number: u32, request: u32) -> Option<JobId> {
    let request = RequestId(session_id(request).0);
    let claim = Claim { worker_id: worker(number), by: user(number), request };
    world.command(&acme(), Command::Claim(claim)).accepted().job_id
}

fn claim(world: &mut World, number: u32) -> Option<JobId> {
    let request = 10_000 + u32::try_from(world.log.state.n.0).unwrap();
    claim_as(world, number, request)
}

fn update(world: &mut World, by: &str, job: JobId, to: TaskUpdate) -> Said {
    update_of(world, by, job, None, to)
}

fn update_of(
    world: &mut World,
    by: &str,
    job: JobId,
    attempt: Option<Attempt>,
    to: TaskUpdate,
) -> Said {
    let update = UpdateTask { job_id: job, by: id(by), admin: false, attempt, to };
    world.command(&acme(), Command::UpdateTask(Box::new(update)))
}

fn completed() -> TaskUpdate {
    TaskUpdate::Completed { outputs: RawJson::default() }
}

fn waiting(world: &World, job: JobId) -> Option<WaitingCode> {
    world.log.state.job(job).and_then(|job| job.job.waiting())
}

#[test]
fn a_topic_is_registered_once_with_one_schema_and_a_worker_may_have_many() {
    let mut world = World::new();
    assert_eq!(register(&mut world, 1).names(), ["topic_registered", "worker_joined"]);
    let again = register(&mut world, 1);
    assert!(again.names().is_empty() && again.accepted().repeated);
    // Another worker's word for the same is heard, another word is not.
    assert_eq!(register(&mut world, 2).names(), ["worker_joined"]);
    let refused = register_as(&mut world, 3, 3, TOPIC, r#"{"a":1}"#);
    assert_eq!(refused.refusal().code, ProblemCode::SchemaConflict);
    assert!(refused.names().is_empty());
    let more = register_as(&mut world, 1, 1, "room:modifiers:Move", "{}");
    assert_eq!(more.names(), ["topic_registered", "worker_offered"]);
    let topics: Vec<_> = world.log.state.topics.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(topics, ["room:modifiers:Move", TOPIC]);
    world.log.verify().unwrap();
}

#[test]
fn tasks_are_claimed_oldest_first_over_all_topics_and_by_who_registered_them_alone() {
    let mut world = World::new();
    register(&mut world, 1);
    register_as(&mut world, 1, 1, "room:modifiers:Move", "{}");
    register_as(&mut world, 2, 2, "other:modifiers:Rotate", "{}");
    for number in 1..=4 {
        let topic = if number % 2 == 0 { TOPIC } else { "room:modifiers:Move" };
        submit_to(&mut world, &acme(), number, "ada", topic).accepted();
        assert_eq!(waiting(&world, job_id(number)), Some(WaitingCode::Claim));
    }
    assert_eq!(claim(&mut world, 2), None);
    assert_eq!(claim(&mut world, 3), None, "nobody");
    // The match gives nobody anything.
    world.place();
    let claimed: Vec<_> = (0..5).filter_map(|_| claim(&mut world, 1)).collect();
    assert_eq!(claimed, [1, 2, 3, 4].map(job_id));
    world.log.verify().unwrap();
}

#[test]
fn with_the_newest_first_somebody_would_notice() {
    let mut world = World::new();
    world.log.rules.faults.claims_unordered = true;
    register(&mut world, 1);
    register_as(&mut world, 1, 1, "room:modifiers:Move", "{}");
    submit_to(&mut world, &acme(), 1, "ada", TOPIC).accepted();
    submit_to(&mut world, &acme(), 2, "ada", "room:modifiers:Move").accepted();
    let claim = Claim { worker_id: worker(1), by: user(1), request: RequestId(session_id(7).0) };
    let noticed = world.log.command(&acme(), &Command::Claim(claim)).unwrap_err();
    assert!(noticed.to_string().contains("the oldest task goes first"), "{noticed}");
}

#[test]
fn a_claim_that_is_repeated_gives_what_it_gave_and_one_that_was_not_delivered_gives_it_back() {
    let mut world = World::new();
    register(&mut world, 1);
    let (first, second) = (submit(&mut world, 1), submit(&mut world, 2));
    assert_eq!(claim_as(&mut world, 1, 100), Some(first));
    assert_eq!(claim_as(&mut world, 1, 100), Some(first));
    let undelivered = |request| {
        let request = RequestId(session_id(request).0);
        Command::Undelivered(Undelivered { worker_id: worker(1), request })
    };
    assert!(world.command(&acme(), undelivered(101)).names().is_empty());
    let back = world.command(&acme(), undelivered(100));
    assert_eq!(back.names(), ["attempt_lost", "waiting"]);
    assert!(matches!(back.of(first)[0], Fact::AttemptLost { reason: LostReason::Undelivered, .. }));
    // In its old place.
    assert_eq!(claim(&mut world, 1), Some(first));
    assert_eq!(claim_as(&mut world, 1, 102), Some(second));
    // Whoever has spoken of it has heard of it.
    update(&mut world, "worker-1", second, TaskUpdate::Running).accepted();
    assert!(world.command(&acme(), undelivered(102)).names().is_empty());
    world.log.verify().unwrap();
}

#[test]
fn a_task_moves_as_its_life_cycle_allows_and_no_otherwise() {
    let mut world = World::new();
    register(&mut world, 1);
    let job = submit(&mut world, 1);
    let failed = || TaskUpdate::Failed { error: error("task_failed") };
    let half = || TaskUpdate::Progressed(Progress { percent: Some(250), message: None });
    let refused = |world: &mut World, to| {
        let said = update(world, "worker-1", job, to);
        assert!(said.names().is_empty());
        said.refusal().code
    };
    // Nobody has it yet: its submitter is heard, and hears that.
    for to in [TaskUpdate::Running, completed(), failed(), half()] {
        let said = update(&mut world, "ada", job, to);
        assert_eq!(said.refusal().code, ProblemCode::InvalidTaskTransition);
    }
    claim(&mut world, 1);
    assert_eq!(refused(&mut world, completed()), ProblemCode::InvalidTaskTransition);
    let stale = update_of(&mut world, "worker-1", job, Some(Attempt(2)), TaskUpdate::Running);
    assert_eq!(stale.refusal().code, ProblemCode::InvalidTaskTransition);
    let running = update(&mut world, "worker-1", job, TaskUpdate::Running);
    assert_eq!(running.names(), ["started"]);
    assert_eq!(refused(&mut world, TaskUpdate::Running), ProblemCode::InvalidTaskTransition);
    let told = update(&mut world, "worker-1", job, half());
    let expected = Progress { percent: Some(100), message: None };
    assert!(matches!(told.of(job)[0], Fact::Progressed { progress, .. } if *progress == expected));
    // Told again at once, it is answered and not kept.
    let again = update(&mut world, "worker-1", job, half());
    assert!(again.names().is_empty());
    again.accepted();
    world.pass(seconds(3));
    let later = update(&mut world, "worker-1", job, half());
    assert_eq!(later.names(), ["progressed"]);
    let done = update(&mut world, "worker-1", job, completed());
    assert!(
        matches!(done.of(job)[0], Fact::Succeeded { wall_ms: 3_000, .. }),
        "{:?}",
        done.names()
    );
    assert_eq!(refused(&mut world, failed()), ProblemCode::TaskNotFound);

    let job = submit(&mut world, 2);
    claim(&mut world, 1);
    let out = update(&mut world, "worker-1", job, failed());
    assert_eq!(out.names(), ["attempt_failed", "failed"]);
    world.log.verify().unwrap();
}

#[test]
fn only_who_submitted_or_claimed_a_task_has_a_say() {
    for unchecked in [false, true] {
        let mut world = World::new();
        world.log.rules.faults.task_updates_unchecked = unchecked;
        register(&mut world, 1);
        register(&mut world, 2);
        let job = submit(&mut world, 1);
        claim(&mut world, 1);
        let said = update(&mut world, "worker-2", job, TaskUpdate::Running);
        assert_eq!(said.names().is_empty(), !unchecked, "the control is noticed");
    }
    let mut world = World::new();
    register(&mut world, 1);
    let job = submit(&mut world, 1);
    claim(&mut world, 1);
    let mine = update(&mut world, "ada", job, TaskUpdate::Running);
    assert_eq!(mine.names(), ["started"]);
    let elsewhere = UpdateTask {
        job_id: job,
        by: id("ada"),
        admin: true,
        attempt: None,
        to: TaskUpdate::Running,
    };
    let said = world.command(&id("other"), Command::UpdateTask(Box::new(elsewhere)));
    assert_eq!(said.refusal().code, ProblemCode::TaskNotFound);
}

#[test]
fn a_canceled_task_frees_its_worker_at_once() {
    for runs in [false, true] {
        let mut world = World::new();
        register(&mut world, 1);
        let job = submit(&mut world, 1);
        claim(&mut world, 1);
        if runs {
            update(&mut world, "worker-1", job, TaskUpdate::Running).accepted();
        }
        let said = world.cancel(job);
        assert_eq!(said.names(), ["canceled", "stopped"]);
        assert!(world.log.state.job(job).is_none());
        let late = update(&mut world, "worker-1", job, completed());
        assert_eq!(late.refusal().code, ProblemCode::TaskNotFound);
        world.log.verify().unwrap();
    }
}

#[test]
fn of_a_silent_worker_what_ran_fails_and_what_was_held_is_claimed_again_but_not_for_ever() {
    let mut world = World::new();
    register(&mut world, 1);
    let (ran, held) = (submit(&mut world, 1), submit(&mut world, 2));
    claim(&mut world, 1);
    claim(&mut world, 1);
    update(&mut world, "worker-1", ran, TaskUpdate::Running).accepted();
    world.silent(worker(1).as_str());
    assert_eq!(world.state_of(ran), JobState::Failed);
    assert_eq!(waiting(&world, held), Some(WaitingCode::Claim));
    for session in [11, 12] {
        register_as(&mut world, 1, session, TOPIC, "{}");
        assert_eq!(claim(&mut world, 1), Some(held));
        world.silent(worker(1).as_str());
    }
    assert_eq!(world.state_of(held), JobState::Failed, "it takes its workers down");
    world.log.verify().unwrap();
}

#[test]
fn a_worker_that_goes_gives_all_back_and_is_no_tasks_fault_however_often() {
    let mut world = World::new();
    let (ran, held) = {
        register(&mut world, 1);
        (submit(&mut world, 1), submit(&mut world, 2))
    };
    for session in 20..26 {
        register_as(&mut world, 1, session, TOPIC, "{}");
        assert_eq!((claim(&mut world, 1), claim(&mut world, 1)), (Some(ran), Some(held)));
        update(&mut world, "worker-1", ran, TaskUpdate::Running).accepted();
        let others = RemoveWorker { worker_id: worker(1), by: id("eve"), admin: false };
        let refused = world.command(&acme(), Command::RemoveWorker(others.clone()));
        assert_eq!(refused.refusal().code, ProblemCode::WorkerNotFound);
        let own = RemoveWorker { by: user(1), ..others };
        assert_eq!(world.command(&acme(), Command::RemoveWorker(own)).names(), ["worker_left"]);
        world.internal(nox_core::Internal::Losses { losses_max: 100 });
        for job in [ran, held] {
            assert_eq!(waiting(&world, job), Some(WaitingCode::Claim));
        }
    }
    // The word that began a session which is over begins none.
    let late = register_as(&mut world, 1, 21, TOPIC, "{}");
    assert_eq!(late.refusal().code, ProblemCode::StaleStamp);
    world.log.verify().unwrap();
}

#[test]
fn a_topic_goes_when_nobody_registers_it_and_no_task_of_it_is_open() {
    let mut world = World::new();
    register(&mut world, 1);
    let job = submit(&mut world, 1);
    let remove = || Command::RemoveTopic(RemoveTopic { topic: id(TOPIC) });
    let stays = |world: &mut World| world.command(&acme(), remove()).names().is_empty();
    assert!(stays(&mut world), "a worker registers it");
    world.silent(worker(1).as_str());
    assert!(stays(&mut world), "a task waits");
    world.cancel(job);
    assert_eq!(world.command(&acme(), remove()).names(), ["topic_removed"]);
    assert!(stays(&mut world), "it has gone");
    let said = submit_to(&mut world, &acme(), 2, "ada", TOPIC);
    assert_eq!(said.refusal().code, ProblemCode::JobNotFound);
    register_as(&mut world, 1, 9, TOPIC, r#"{"another":true}"#).accepted();
    world.log.verify().unwrap();
}

#[test]
fn what_a_worker_registers_fits_into_a_frame_however_long_its_names_are() {
    let mut world = World::new();
    let mut registered = 0;
    let refused = loop {
        // As long as names may be, and twice as long in JSON.
        let name = format!("r:c:{registered:04}{}", "\\".repeat(500));
        let said = register_as(&mut world, 1, 1, &name, "{}");
        if let Some(nox_contract::Outcome::Refused(refusal)) = &said.answer {
            break refusal.clone();
        }
        registered += 1;
        assert!(registered < 1_000, "nobody ever refuses");
    };
    assert_eq!(refused.code, ProblemCode::InvalidRequest);
    assert!(registered > 10);
    let worker = world.log.state.workers.get(&worker(1)).unwrap();
    assert!(serde_json::to_vec(&worker.labels).unwrap().len() < nox_contract::FRAME_BYTES_MAX / 2);
}

#[test]
fn a_user_has_so_many_workers_and_no_more() {
    let mut world = World::new();
    let register = |world: &mut World, number: u32| {
        let register = Register {
            worker_id: worker(number),
            session: session_id(number),
            by: id("ada"),
            lease_ms: 60_000,
            topic: None,
        };
        world.command(&acme(), Command::Register(Box::new(register)))
    };
    for number in 1..=100 {
        register(&mut world, number).accepted();
    }
    let refused = register(&mut world, 101);
    assert_eq!(refused.refusal().code, ProblemCode::InvalidRequest);
    world.silent(worker(7).as_str());
    register(&mut world, 101).accepted();
}

#[test]
fn a_tenants_topics_and_workers_are_its_own() {
    let mut world = World::new();
    register(&mut world, 1);
    let said = submit_to(&mut world, &id("other"), 1, "ada", TOPIC);
    assert_eq!(said.refusal().code, ProblemCode::JobNotFound);
    let claim = Claim { worker_id: worker(1), by: user(1), request: RequestId(session_id(1).0) };
    submit(&mut world, 2);
    let said = world.command(&id("other"), Command::Claim(claim));
    assert_eq!(said.accepted().job_id, None);
}

#[test]
fn a_task_whose_owner_runs_as_much_as_it_may_is_passed_over() {
    let mut world = World::with(config_of(Limits { running_jobs: 1, ..ROOMY }));
    assert_eq!(config().crashes_max, 3);
    register(&mut world, 1);
    // However many of one owner are ahead.
    for number in 1..=400 {
        let by = if number == 400 { "bob" } else { "ada" };
        submit_to(&mut world, &acme(), number, by, TOPIC).accepted();
    }
    let claimed: Vec<_> = (0..3).filter_map(|_| claim(&mut world, 1)).collect();
    assert_eq!(claimed, [1, 400].map(job_id));
    update(&mut world, "ada", job_id(1), TaskUpdate::Running).accepted();
    update(&mut world, "ada", job_id(1), completed()).accepted();
    assert_eq!(claim(&mut world, 1), Some(job_id(2)));
    world.log.verify().unwrap();
}
