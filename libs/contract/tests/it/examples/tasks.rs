//! What is said of tasks, of the workers that claim them, and of progress.

use nox_contract::{
    Claim, Claimant, Progress, Register, RemoveTopic, RemoveWorker, Task, TopicName, Undelivered,
    UpdateTask,
    command::{DeclaredTopic, TaskUpdate},
    report::{Offer, Progressed},
};

use super::*;

fn topic() -> TopicName {
    id("@global:modifiers:Rotate")
}

fn claimer() -> WorkerId {
    WorkerId::of_http(&id("acme"), id("5f0c2d3e-1a2b-4c3d-8e9f-0a1b2c3d4e5f"))
}

fn request() -> RequestId {
    id("9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d")
}

fn task() -> Task {
    Task { topic: topic(), room: "room_123".to_owned() }
}

fn half() -> Progress {
    Progress { percent: Some(50), message: Some("atom 20 of 40".to_owned()) }
}

fn schema() -> RawJson {
    json(r#"{"properties":{"angle":{"default":0.0,"type":"number"}},"type":"object"}"#)
}

pub fn all() -> Vec<Example> {
    let mut all = commands();
    all.extend(reports());
    all.extend(entries());
    all
}

fn commands() -> Vec<Example> {
    let (by, worker_id) = (ada(), claimer());
    let register = |topic| {
        let (worker_id, by) = (worker_id.clone(), by.clone());
        let register = Register { worker_id, session: session(), by, lease_ms: 60_000, topic };
        Command::Register(Box::new(register))
    };
    let declared = DeclaredTopic { name: topic(), schema: schema() };
    let update = |to, admin, attempt| {
        let update = UpdateTask { job_id: job(1), by: by.clone(), admin, attempt, to };
        Command::UpdateTask(Box::new(update))
    };
    let failed = TaskUpdate::Failed { error: exit_error() };
    let completed = TaskUpdate::Completed { outputs: json("{}") };
    let remove = |admin| {
        Command::RemoveWorker(RemoveWorker { worker_id: worker_id.clone(), by: by.clone(), admin })
    };
    let claim = Claim { worker_id: worker_id.clone(), by: by.clone(), request: request() };
    let undelivered = Undelivered { worker_id: worker_id.clone(), request: request() };
    let submit = Submit {
        job_id: job(1),
        user_id: ada(),
        role: "user".to_owned(),
        module: Task::module(),
        module_version: None,
        worker_labels: Default::default(),
        inputs: json(r#"{"angle": 90}"#),
        requested_resources: Resources { cpu: 0, mem_mb: 0, wall_time_s: 0, gpu: 0 },
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        seen: FrameNumber(41_800),
        pending: false,
        task: Some(Box::new(task())),
        metadata: None,
        concurrency: None,
        draft: false,
        traceparent: None,
    };
    [
        ("register", register(Some(declared))),
        ("register_worker", register(None)),
        ("submit_task", Command::Submit(Box::new(submit))),
        ("claim", Command::Claim(claim)),
        ("undelivered", Command::Undelivered(undelivered)),
        ("update_task_running", update(TaskUpdate::Running, false, None)),
        ("update_task_completed", update(completed, false, Some(Attempt(1)))),
        ("update_task_failed", update(failed, true, None)),
        ("update_task_canceled", update(TaskUpdate::Canceled, true, Some(Attempt(1)))),
        ("update_task_progressed", update(TaskUpdate::Progressed(half()), false, None)),
        ("remove_worker", remove(false)),
        ("remove_worker_by_admin", remove(true)),
        ("remove_topic", Command::RemoveTopic(RemoveTopic { topic: topic() })),
    ]
    .into_iter()
    .map(|(name, command)| {
        let reply_to = Some("_INBOX.Xc5mGqSkQ8.17".to_owned());
        example(Kind::Commands, name, &CommandMessage::new(reply_to, vec![command]))
    })
    .collect()
}

fn reports() -> Vec<Example> {
    let progressed =
        Progressed { job_id: job(1), attempt: Attempt(1), token: token(), progress: half() };
    let offer = Offer {
        number: 1,
        capacity: capacity(),
        modules: vec![manifest()],
        labels: vec!["rack-7".to_owned()],
    };
    let bare = Offer { number: 1, capacity: capacity(), modules: Vec::new(), labels: Vec::new() };
    [
        ("progressed", Report::Progressed(progressed)),
        ("offer_bare", Report::Offer(Box::new(bare))),
        ("offer", Report::Offer(Box::new(offer))),
    ]
    .into_iter()
    .map(|(name, report)| {
        let message = ReportMessage { session: session(), reports: vec![report] };
        example(Kind::Reports, name, &message)
    })
    .collect()
}

fn entries() -> Vec<Example> {
    let submitted = Submitted {
        module_version: String::new(),
        worker_labels: Default::default(),
        inputs: json(r#"{"angle": 90}"#),
        requested_resources: Resources { cpu: 0, mem_mb: 0, wall_time_s: 0, gpu: 0 },
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        task: Some(Box::new(task())),
        metadata: None,
        concurrency: None,
        traceparent: None,
    };
    let rejected = Rejected {
        inputs: json("{}"),
        requested_resources: small(),
        refusal: quota_refusal(),
        fingerprint: None,
        task: Some(Box::new(task())),
        metadata: None,
    };
    let undelivered = Fact::AttemptLost {
        worker_id: claimer(),
        attempt: Attempt(1),
        reason: LostReason::Undelivered,
        blame: Blame::Nobody,
        detail: None,
    };
    let bare = Progress::default();
    let progressed = |progress| Fact::Progressed { attempt: Attempt(1), progress };
    let claimant = Claimant { tenant: id("acme"), user_id: ada(), lease_ms: 60_000 };
    let joined = Fact::WorkerJoined {
        session: session(),
        origin: Origin::default(),
        capacity: Capacity::default(),
        modules: Vec::new(),
        labels: vec![topic().as_str().to_owned()],
        claimant: Some(claimant),
    };
    let offered = Fact::WorkerOffered {
        session: session(),
        number: 1,
        capacity: capacity(),
        modules: vec![ServedModule { name: xtb(), version: "6.5.1".to_owned() }],
        labels: vec!["rack-7".to_owned()],
    };
    let of_topic = || Entity::Topic { tenant: id("acme"), topic: topic() };
    let registered = Fact::TopicRegistered { schema: schema(), by: ada() };
    let of_worker = || Entity::Worker(claimer());
    let (commands, reports) = (Source::Commands, Source::Reports);
    [
        ("task_submitted", about_job(), commands, Fact::Submitted(Box::new(submitted))),
        ("task_rejected", about_job(), commands, Fact::Rejected(Box::new(rejected))),
        ("task_claimed", about_job(), commands, assigned(Some(request()))),
        ("attempt_lost_undelivered", about_job(), commands, undelivered),
        ("progressed", about_job(), reports, progressed(half())),
        ("progressed_bare", about_job(), reports, progressed(bare)),
        ("claimant_joined", of_worker(), commands, joined),
        ("worker_offered", Entity::Worker(worker()), reports, offered),
        ("topic_registered", of_topic(), commands, registered),
        ("topic_removed", of_topic(), commands, Fact::TopicRemoved {}),
    ]
    .into_iter()
    .map(|(name, entity, src, fact)| {
        example(Kind::Frames, name, &frame(vec![entry(entity, src, vec![fact])]))
    })
    .collect()
}
