//! Scenarios of one worker's session. Each guarantee that a fault can break is shown broken too.

use nox_contract::{
    Attempt, Capacity, Covers, FrameNumber, HandBack, JobError, JobId, MESSAGE_BYTES_MAX, Origin,
    RawJson, RegisteredModules, Resources, StopWork, Work, WorkMessage, WorkNumber,
};

use super::*;

mod progress;

const SESSION: u128 = 7;

/// A session with its driver's memory: what was told to run, to be killed, and what was published.
struct Worker {
    session: Session,
    now: Timestamp,
    runs: Vec<Held>,
    kills: Vec<Held>,
    sent: Vec<(ReportId, Arc<ReportMessage>)>,
    begin_again: bool,
    given_up: Option<String>,
    learnt: Vec<u64>,
}

impl Worker {
    fn new() -> Self {
        Self::with(SessionFaults::default())
    }

    /// Joined: its `hello` is stored as the first message of the stream.
    fn with(faults: SessionFaults) -> Self {
        let hello = Hello {
            origin: Origin::default(),
            capacity: Capacity::default(),
            modules: vec![],
            labels: vec![],
        };
        let session = Session::new(session_id(SESSION), hello).with_faults(faults);
        let (runs, kills, sent) = (vec![], vec![], vec![]);
        let now = Timestamp::from_micros(1_000_000);
        let mut worker = Self {
            session,
            now,
            runs,
            kills,
            sent,
            begin_again: false,
            given_up: None,
            learnt: vec![],
        };
        worker.drive();
        worker.ack(1);
        worker.sent.clear();
        worker
    }

    fn drive(&mut self) {
        for effect in self.session.due(self.now) {
            match effect {
                Effect::Run(start) => {
                    self.runs.push(Held { job_id: start.job_id, attempt: start.attempt });
                }
                Effect::Kill(held) => self.kills.push(held),
                Effect::Publish { id, message } => self.sent.push((id, message)),
                Effect::Learn(modules) => {
                    self.learnt.extend(modules.iter().map(|module| module.number));
                }
                Effect::NewSession => self.begin_again = true,
                Effect::GiveUp { reason } => self.given_up = Some(reason),
            }
        }
    }

    fn work(&mut self, work: Vec<Work>) {
        let session = session_id(SESSION);
        self.session.on_work(WorkMessage { session, covers: None, work });
        self.drive();
    }

    fn covering(&mut self, after: u64, up_to: u64, work: Vec<Work>) {
        let covers = Some(Covers { after: WorkNumber(after), up_to: WorkNumber(up_to) });
        self.session.on_work(WorkMessage { session: session_id(SESSION), covers, work });
        self.drive();
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.drive();
    }

    fn spawned(&mut self, job: u128) {
        self.session.on_spawned(held(job), self.now);
        self.drive();
    }

    fn ended(&mut self, job: u128) {
        self.session.on_ended(held(job), Usage::default(), succeeded(), self.now);
        self.drive();
    }

    fn ack(&mut self, stream_seq: u64) {
        let id = self.sent.last().expect("something was sent").0;
        self.session.on_report_acked(id, stream_seq);
        self.drive();
    }

    /// The reports sent so far, in order, as `name:job`.
    fn said(&self) -> Vec<String> {
        self.sent.iter().flat_map(|(_, message)| &message.reports).map(name).collect()
    }

    fn held(&self) -> Vec<Held> {
        self.session.beat().held
    }

    fn received_up_to(&self) -> u64 {
        self.session.beat().received_up_to.0
    }
}

fn session_id(number: u128) -> SessionId {
    format!("{number:032x}").parse().unwrap()
}

fn job_id(number: u128) -> JobId {
    format!("{number:032x}").parse().unwrap()
}

fn held(job: u128) -> Held {
    Held { job_id: job_id(job), attempt: Attempt(1) }
}

fn token(job: u128) -> Token {
    Token::compute(&[0; 32], job_id(job), Attempt(1), FrameNumber(1))
}

fn start(number: u64, job: u128) -> Work {
    Work::Start(Box::new(StartWork {
        module_version: "1".to_owned(),
        number: WorkNumber(number),
        job_id: job_id(job),
        attempt: Attempt(1),
        token: token(job),
        tenant: "acme".parse().unwrap(),
        user_id: "ada".parse().unwrap(),
        module: "noop".parse().unwrap(),
        inputs: RawJson::default(),
        resources: Resources { cpu: 1, mem_mb: 1, wall_time_s: 1, gpu: 0 },
        traceparent: None,
    }))
}

fn stop(number: u64, job: u128) -> Work {
    Work::Stop(StopWork {
        number: WorkNumber(number),
        job_id: job_id(job),
        attempt: Attempt(1),
        token: token(job),
    })
}

fn succeeded() -> AttemptEnd {
    AttemptEnd::Succeeded { outputs: RawJson::default() }
}

fn name(report: &Report) -> String {
    let (name, job) = match report {
        Report::Hello(_) => return "hello".to_owned(),
        Report::Draining => return "draining".to_owned(),
        Report::Paused { .. } => return "paused".to_owned(),
        Report::Resumed { .. } => return "resumed".to_owned(),
        Report::Bye => return "bye".to_owned(),
        Report::Unreadable => return "unreadable".to_owned(),
        Report::Started(started) => ("started", started.job_id),
        Report::Ended(ended) => match ended.end {
            AttemptEnd::HandedBack(_) => ("handed_back", ended.job_id),
            _ => ("ended", ended.job_id),
        },
        Report::Stopped(stopped) => ("stopped", stopped.job_id),
        Report::Progressed(progressed) => ("progressed", progressed.job_id),
        Report::Offer(_) => return "offer".to_owned(),
    };
    format!("{name}:{}", job.0.as_u128())
}

#[test]
fn a_session_begins_with_a_hello_and_nothing_overtakes_it() {
    let hello = Hello {
        origin: Origin::default(),
        capacity: Capacity::default(),
        modules: vec![],
        labels: vec![],
    };
    let mut session = Session::new(session_id(SESSION), hello);
    let now = Timestamp::default();
    let effects = session.due(now);
    assert!(matches!(&effects[..], [Effect::Publish { message, .. }]
        if matches!(&message.reports[..], [Report::Hello(_)])));
    session.drain();
    assert_eq!(session.due(now), []);
    assert!(!session.is_introduced());

    session.on_report_acked(ReportId(1), 41);
    assert!(session.is_introduced());
    assert_eq!(session.beat().reports_up_to, 41);
    assert!(matches!(&session.due(now)[..], [Effect::Publish { message, .. }]
        if matches!(&message.reports[..], [Report::Draining])));
}

#[test]
fn work_is_run_once_however_often_it_arrives() {
    let redelivered = |faults| {
        let mut worker = Worker::with(faults);
        worker.work(vec![start(1, 10), start(2, 20)]);
        worker.work(vec![start(2, 20)]);
        worker.spawned(10);
        worker.ended(10);
        worker.ack(2);
        worker.work(vec![start(1, 10)]);
        worker.runs
    };
    assert_eq!(redelivered(SessionFaults::default()), [held(10), held(20)]);

    let broken = SessionFaults { work_not_deduped: true, ..SessionFaults::default() };
    assert_eq!(redelivered(broken), [held(10), held(20), held(10)]);
}

#[test]
fn work_of_another_session_is_dropped() {
    let run = |faults| {
        let mut worker = Worker::with(faults);
        let session = session_id(SESSION + 1);
        let work = vec![start(1, 10)];
        worker.session.on_work(WorkMessage { session, covers: None, work });
        worker.drive();
        worker.runs.len()
    };
    assert_eq!(run(SessionFaults::default()), 0);
    assert_eq!(run(SessionFaults { other_sessions_heeded: true, ..Default::default() }), 1);
}

#[test]
fn work_above_a_gap_is_run_but_not_counted_until_the_gap_is_filled() {
    let filled = |faults| {
        let mut worker = Worker::with(faults);
        worker.work(vec![start(1, 10)]);
        worker.work(vec![start(3, 30), start(4, 40)]);
        assert_eq!(worker.runs, [held(10), held(30), held(40)]);
        let before = worker.received_up_to();
        worker.work(vec![start(2, 20), start(3, 30)]);
        assert_eq!(worker.received_up_to(), 4);
        (before, worker.runs.len())
    };
    assert_eq!(filled(SessionFaults::default()), (1, 4));
    // The lost start is never asked for again.
    assert_eq!(filled(SessionFaults { gaps_counted: true, ..Default::default() }), (4, 3));
}

#[test]
fn a_gap_whose_work_was_settled_is_closed_by_what_is_sent_again() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10)]);
    worker.work(vec![start(5, 50)]);
    // The beginning of this range is in doubt, so it proves nothing yet.
    worker.covering(2, 4, vec![start(4, 40)]);
    assert_eq!(worker.received_up_to(), 1);
    worker.covering(1, 4, vec![start(4, 40)]);
    assert_eq!(worker.received_up_to(), 5);
    assert_eq!(worker.runs, [held(10), held(50), held(40)]);
    worker.covering(1, 4, vec![]);
    assert_eq!(worker.received_up_to(), 5);
}

#[test]
fn a_short_job_needs_one_report_and_a_long_one_is_reported_as_started_within_5_ms() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10), start(2, 20)]);
    worker.spawned(10);
    worker.spawned(20);
    assert_eq!(worker.session.next_wake(), Some(worker.now + STARTED_AFTER));
    worker.ended(10);
    assert_eq!(worker.said(), ["ended:10"]);
    assert!(matches!(&worker.sent[0].1.reports[0], Report::Ended(ended) if ended.started));
    worker.ack(2);

    worker.pass(STARTED_AFTER);
    assert_eq!(worker.said(), ["ended:10", "started:20"]);
    assert!(matches!(&worker.sent[1].1.reports[0],
        Report::Started(started) if started.elapsed_ms == 5));
    worker.ack(3);
    worker.pass(STARTED_AFTER);
    worker.ended(20);
    assert_eq!(worker.said(), ["ended:10", "started:20", "ended:20"]);
}

#[test]
fn an_end_without_a_start_says_so() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10)]);
    worker.ended(10);
    assert!(matches!(&worker.sent[0].1.reports[0], Report::Ended(ended) if !ended.started));
}

#[test]
fn an_attempt_is_held_until_its_end_is_stored() {
    let held_while_in_flight = |faults| {
        let mut worker = Worker::with(faults);
        worker.work(vec![start(1, 10)]);
        worker.spawned(10);
        worker.ended(10);
        let in_flight = worker.held();
        worker.ack(9);
        assert_eq!(worker.held(), []);
        assert_eq!(worker.session.beat().reports_up_to, 9);
        in_flight
    };
    assert_eq!(held_while_in_flight(SessionFaults::default()), [held(10)]);
    let broken = SessionFaults { forget_before_ack: true, ..Default::default() };
    assert_eq!(held_while_in_flight(broken), []);
}

#[test]
fn a_report_of_unknown_fate_is_sent_again_unchanged_and_before_any_other() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10), start(2, 20)]);
    worker.spawned(10);
    worker.ended(10);
    worker.spawned(20);
    worker.ended(20);
    assert_eq!(worker.said(), ["ended:10"]);
    let (id, message) = worker.sent[0].clone();

    let mut waited = Duration::ZERO;
    for _ in 0..20 {
        worker.session.on_report_failed(id, worker.now);
        worker.drive();
        let wake = worker.session.next_wake().expect("it is to be sent again");
        waited = wake.since(worker.now);
        worker.pass(waited);
        assert_eq!(worker.sent.last(), Some(&(id, message.clone())));
    }
    assert_eq!(waited, Duration::from_secs(1));
    assert_eq!(worker.held(), [held(10), held(20)]);

    worker.ack(2);
    assert_eq!(worker.held(), [held(20)]);
    assert_eq!(worker.said().last().unwrap(), "ended:20");
    // The first try's acknowledgement arrives after all: it changes nothing but the position.
    worker.session.on_report_acked(id, 3);
    assert_eq!(worker.held(), [held(20)]);
    assert_eq!(worker.session.beat().reports_up_to, 3);
}

#[test]
fn reports_that_gather_while_one_is_in_flight_are_packed_up_to_the_size_of_a_message() {
    let mut worker = Worker::new();
    worker.work((1..=6).map(|n| start(n, u128::from(n))).collect());
    let outputs = RawJson::of(&"x".repeat(MESSAGE_BYTES_MAX / 4)).unwrap();
    for job in 1..=6 {
        worker.spawned(job);
        let end = AttemptEnd::Succeeded { outputs: outputs.clone() };
        worker.session.on_ended(held(job), Usage::default(), end, worker.now);
        worker.drive();
    }
    for seq in 2..=3 {
        worker.ack(seq);
    }
    let sizes: Vec<_> = worker.sent.iter().map(|(_, message)| message.reports.len()).collect();
    assert_eq!(sizes, [1, 3, 2]);
    for (_, message) in &worker.sent {
        assert!(serde_json::to_vec(&**message).unwrap().len() <= MESSAGE_BYTES_MAX);
    }
}

#[test]
fn no_report_is_larger_than_it_was_taken_for() {
    let message = "\u{1}".repeat(1_000);
    let error = JobError { code: "\u{2}".repeat(10), message, exit_status: Some(i32::MIN) };
    let usage = Usage { wall_ms: u64::MAX, cpu_seconds: u64::MAX };
    let end = AttemptEnd::Failed { error, retryable: false, crashed: false };
    let mut worker = Worker::new();
    worker.work(vec![start(1, u128::MAX)]);
    worker.session.on_ended(held(u128::MAX), usage, end, worker.now);
    worker.drive();
    let report = &worker.sent[0].1.reports[0];
    assert!(serde_json::to_vec(report).unwrap().len() <= outbox::report_bytes(report));
}

#[test]
fn a_stop_kills_what_runs_and_stopped_is_said_when_nothing_of_it_is_left() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10)]);
    worker.spawned(10);
    worker.work(vec![stop(2, 10)]);
    assert_eq!(worker.kills, [held(10)]);
    assert_eq!(worker.said(), [""; 0]);
    worker.ended(10);
    assert_eq!(worker.said(), ["stopped:10"]);
    assert_eq!(worker.held(), [held(10)]);
    worker.ack(2);
    assert_eq!(worker.held(), []);
}

#[test]
fn a_stop_between_the_order_to_run_and_the_spawn_kills_as_well() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10)]);
    worker.work(vec![stop(2, 10)]);
    assert_eq!(worker.kills, [held(10)]);
    worker.spawned(10);
    worker.ended(10);
    assert_eq!(worker.said(), ["stopped:10"]);
}

#[test]
fn a_stop_beside_its_start_prevents_the_run() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10), stop(2, 10)]);
    assert_eq!((worker.runs.len(), worker.kills.len()), (0, 0));
    assert_eq!(worker.said(), ["stopped:10"]);
    worker.ack(2);
    assert_eq!(worker.held(), []);
}

#[test]
fn a_stop_that_overtakes_its_start_prevents_the_run() {
    let run = |faults| {
        let mut worker = Worker::with(faults);
        worker.work(vec![stop(2, 10)]);
        assert_eq!(worker.said(), ["stopped:10"]);
        worker.ack(2);
        worker.work(vec![start(1, 10)]);
        assert_eq!(worker.received_up_to(), 2);
        worker.runs.len()
    };
    assert_eq!(run(SessionFaults::default()), 0);
    assert_eq!(run(SessionFaults { early_stop_forgotten: true, ..Default::default() }), 1);
}

#[test]
fn a_stop_of_an_attempt_that_ended_long_ago_frees_its_slot_at_once() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10)]);
    worker.spawned(10);
    worker.ended(10);
    worker.ack(2);
    worker.work(vec![stop(2, 10)]);
    assert_eq!(worker.said(), ["ended:10", "stopped:10"]);
}

#[test]
fn a_stop_while_the_end_is_on_its_way_needs_no_second_word() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10)]);
    worker.spawned(10);
    worker.ended(10);
    worker.work(vec![stop(2, 10)]);
    worker.ack(2);
    assert_eq!(worker.said(), ["ended:10"]);
    assert_eq!((worker.kills.len(), worker.held().len()), (0, 0));
}

#[test]
fn a_session_that_the_log_gave_up_kills_everything_and_says_nothing_more() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10), start(2, 20), start(3, 30)]);
    worker.spawned(10);
    worker.spawned(30);
    worker.ended(30);
    worker.work(vec![Work::Superseded, start(4, 40)]);
    assert!(worker.begin_again);
    assert_eq!(worker.kills, [held(10), held(20)]);
    let said = worker.said().len();
    worker.ended(10);
    worker.pass(Duration::from_secs(60));
    worker.session.on_report_failed(worker.sent[0].0, worker.now);
    worker.pass(Duration::from_secs(60));
    assert_eq!((worker.said().len(), worker.runs.len()), (said, 3));
    assert_eq!(worker.session.next_wake(), None);
}

#[test]
fn a_draining_worker_ends_what_runs_and_hands_new_work_back() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10)]);
    worker.spawned(10);
    worker.session.drain();
    worker.drive();
    worker.ack(2);
    worker.work(vec![start(2, 20)]);
    // Held, so that the scheduler does not take it for vanished before its end is stored.
    assert_eq!(worker.held(), [held(10), held(20)]);
    worker.ended(10);
    worker.ack(3);
    assert_eq!(worker.held(), [held(10)]);
    assert_eq!(worker.runs, [held(10)]);
    worker.session.leave();
    worker.drive();
    worker.ack(4);
    worker.ack(5);
    assert!(worker.session.is_idle());
    assert_eq!(worker.said(), ["draining", "handed_back:20", "ended:10", "bye"]);
}

#[test]
fn a_worker_that_cannot_run_attempts_says_so_first_and_hands_back_what_comes_until_it_can() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 10), start(2, 20)]);
    worker.spawned(10);
    worker.session.pause("no process".to_owned());
    worker.session.pause("again".to_owned());
    let why = HandBack::CannotRun { reason: "no process".to_owned() };
    worker.session.on_ended(held(20), Usage::default(), AttemptEnd::HandedBack(why), worker.now);
    worker.drive();
    worker.ack(2);
    worker.work(vec![start(3, 30)]);
    worker.ack(3);
    worker.session.resume();
    worker.session.resume();
    worker.drive();
    worker.ack(4);
    worker.work(vec![start(4, 40)]);
    assert_eq!(worker.runs, [held(10), held(20), held(40)]);
    assert_eq!(worker.held(), [held(10), held(40)]);
    assert_eq!(worker.said(), ["paused", "handed_back:20", "handed_back:30", "resumed"]);
}

#[test]
fn a_session_that_is_not_taken_on_gives_up_and_begins_no_other() {
    let mut worker = Worker::new();
    assert!(!worker.session.is_joined());
    worker.work(vec![Work::Joined]);
    assert!(worker.session.is_joined() && worker.session.beat().joined);
    let reason = "another lives".to_owned();
    worker.work(vec![Work::Refused { reason: reason.clone() }]);
    assert_eq!((worker.given_up, worker.begin_again), (Some(reason), false));
}

#[test]
fn a_session_whose_reports_are_stored_no_more_is_over() {
    let (first, other) = (Incarnation("first".into()), Incarnation("other".into()));
    for (found, last, is_over) in
        [(&first, 1, false), (&first, 9, false), (&first, 0, true), (&other, 9, true)]
    {
        let mut worker = Worker::new();
        assert!(!worker.session.is_attached());
        worker.session.on_reports_seen(&first, 0, 0).unwrap();
        assert!(worker.session.is_attached());
        worker.work(vec![start(1, 10)]);
        worker.spawned(10);
        let position = worker.session.reports_up_to();
        let seen = worker.session.on_reports_seen(found, last, position);
        worker.drive();
        assert_eq!((position, seen.is_err(), worker.begin_again), (1, is_over, is_over));
        assert_eq!(worker.kills.len(), usize::from(is_over));
    }
}

#[test]
fn what_is_stored_after_the_broker_was_asked_is_not_missed() {
    let stream = Incarnation("first".into());
    let mut worker = Worker::new();
    worker.session.on_reports_seen(&stream, 0, 0).unwrap();
    worker.work(vec![start(1, 10)]);
    worker.ended(10);
    let asked_at = worker.session.reports_up_to();
    worker.ack(2);
    worker.session.on_reports_seen(&stream, 1, asked_at).unwrap();
    assert_eq!((asked_at, worker.session.reports_up_to()), (1, 2));
    assert!(!worker.begin_again && worker.held().is_empty());
}

#[test]
fn registered_modules_arrive_once_and_in_order_where_they_are_wanted() {
    let told = |above, up_to, numbers: &[u64]| {
        let modules = numbers.iter().map(|number| registered(*number)).collect();
        vec![Work::Modules(Box::new(RegisteredModules { above, up_to, modules }))]
    };
    let mut without = Worker::new();
    without.work(told(0, 1, &[1]));
    assert_eq!((&*without.learnt, without.session.beat().registered_up_to), (&[][..], None));

    let mut taking = Worker::new();
    taking.session = taking.session.taking_registered();
    let heard = |worker: &mut Worker| {
        (std::mem::take(&mut worker.learnt), worker.session.beat().registered_up_to)
    };
    taking.work(told(2, 3, &[3]));
    assert_eq!(heard(&mut taking), (vec![], Some(0)), "those before are missing");
    taking.work(told(0, 2, &[1, 2]));
    assert_eq!(heard(&mut taking), (vec![1, 2], Some(2)));
    taking.work(told(0, 3, &[1, 2, 3]));
    assert_eq!(heard(&mut taking), (vec![3], Some(3)));
    taking.work(told(0, 2, &[1, 2]));
    assert_eq!(heard(&mut taking), (vec![], Some(3)), "a copy that came late");
}

fn registered(number: u64) -> RegisteredModule {
    let manifest = Manifest {
        name: "m".parse().unwrap(),
        version: number.to_string(),
        title: String::new(),
        input_schema: RawJson::default(),
        output_schema: RawJson::default(),
        resources: Resources { cpu: 1, mem_mb: 1, wall_time_s: 1, gpu: 0 },
        retry: nox_contract::RetryPolicy::default(),
        running_max: None,
        starts_per_minute: None,
    };
    RegisteredModule { number, manifest, source: RawJson::default() }
}
