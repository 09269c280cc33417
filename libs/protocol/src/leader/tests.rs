mod losses;

use std::collections::{BTreeSet, VecDeque};

use nox_contract::{
    AttemptEnd, Capacity, Command, CommandMessage, FRAME_BYTES_MAX, Hello, JobError, JobId,
    JobState, Limits, Manifest, Origin, Place, RawJson, Report, ReportMessage, RetryPolicy,
    StartWork, Submit, WaitingCode, Work, WorkNumber, report::Ended, subject,
};

use super::{
    matching::{LOOKS_MAX, PLACEMENTS_MAX},
    *,
};
use crate::{fixtures, sequencer::FRAME_BYTES_FULL};

fn job(number: u32) -> JobId {
    format!("00000000-0000-0000-0000-{number:012}").parse().unwrap()
}

fn leader() -> Leader {
    leader_after(State::default())
}

fn ready(state: State) -> Ready {
    Ready { pos: state.pos, state, chain: Chain::START, epoch_seq: 0, resets: Vec::new() }
}

/// Leads on a log that has nothing but this state.
fn leader_after(state: State) -> Leader {
    let ready = ready(state);
    let config = LeaderConfig {
        rules: Rules::default(),
        window: 4,
        frame_bytes: FRAME_BYTES_FULL,
        losses_max: LOSSES_MAX,
        worker_lease: Duration::from_secs(15),
        probing: None,
        scheduler: SchedulerConfig::default(),
        faults: Faults::default(),
    };
    Leader::begin(ready, config, at(0)).unwrap()
}

fn at(second: u64) -> Now {
    let start: Timestamp = "2026-11-21T22:00:00Z".parse().unwrap();
    let now = start + Duration::from_secs(second);
    Now { at: now, wall: now, monotonic: Duration::from_secs(second) }
}

fn worker() -> WorkerId {
    "w1".parse().unwrap()
}

fn session(number: u32) -> SessionId {
    SessionId(job(number).0)
}

fn tell(leader: &mut Leader, session: SessionId, report: Report, now: Now) {
    let seq = leader.next_report();
    let message = ReportMessage { session, reports: vec![report] };
    let message = serde_json::to_vec(&message).unwrap();
    leader.on_input(Source::Reports, seq, &subject::reports(&worker()), &message, now).unwrap();
}

fn hello() -> Report {
    let resources = fixtures::SMALL;
    Report::Hello(Box::new(Hello {
        origin: Origin::default(),
        capacity: Capacity { slots: 4, cpu: 64, mem_mb: 64, gpu: 0 },
        modules: vec![Manifest {
            name: "noop".parse().unwrap(),
            version: "1".to_owned(),
            title: String::new(),
            input_schema: RawJson::of(&true).unwrap(),
            output_schema: RawJson::of(&true).unwrap(),
            resources,
            retry: RetryPolicy { attempts_max: 2, ..RetryPolicy::default() },
            running_max: None,
            starts_per_minute: None,
        }],
        labels: Vec::new(),
    }))
}

fn submit(leader: &mut Leader, number: u32, now: Now) {
    submit_after(leader, number, &[], now);
}

fn submit_after(leader: &mut Leader, number: u32, after: &[JobId], now: Now) {
    let submit = Submit { after: after.to_vec(), ..fixtures::submit(job(number)) };
    send(leader, submit, now);
}

/// Sends a submit as an administrator would.
fn send(leader: &mut Leader, submit: Submit, now: Now) {
    let seq = leader.next_command();
    let submit = Submit {
        role: "admin".to_owned(),
        module: "noop".parse().unwrap(),
        seen: leader.state().n,
        pending: false,
        ..submit
    };
    let commands = vec![Command::Submit(Box::new(submit))];
    let message = serde_json::to_vec(&CommandMessage::new(None, commands)).unwrap();
    leader.on_input(Source::Commands, seq, "nox.cmd.acme", &message, now).unwrap();
}

/// A broker that stores what was sent when it is told to, in order.
#[derive(Default)]
struct Broker {
    sent: VecDeque<FrameNumber>,
    /// The largest payload that was sent, in bytes.
    largest: usize,
    /// Most entries of a frame that was sent.
    most_entries: usize,
}

impl Broker {
    /// Takes what is to be done, and stores so many of the frames that were sent.
    fn store(&mut self, leader: &mut Leader, mut count: usize) -> Vec<Effect> {
        let mut effects = Vec::new();
        loop {
            while let Some(effect) = leader.poll().unwrap() {
                match effect {
                    Effect::Append { frame, .. } => {
                        self.largest = self.largest.max(frame.payload.len());
                        self.most_entries = self.most_entries.max(frame.entries);
                        self.sent.push_back(frame.n);
                    }
                    effect => effects.push(effect),
                }
            }
            let Some(n) = self.sent.pop_front_if(|_| count > 0) else { return effects };
            leader.on_stored(n, n.0);
            count -= 1;
        }
    }
}

#[test]
fn a_fold_that_is_wanted_is_there_although_the_log_cannot_keep_up() {
    let mut leader = leader();
    let mut broker = Broker::default();
    tell(&mut leader, session(1), hello(), at(0));
    leader.end_turn(at(0)).unwrap();
    broker.store(&mut leader, 9);
    // More than may be on its way, and none of it stored.
    let mut turn = |leader: &mut Leader, number| {
        submit(leader, number, at(1));
        leader.end_turn(at(1)).unwrap();
        broker.store(leader, 0);
        leader.fold().map(|(state, _)| state.n)
    };
    let mut folds = (1..20).map(|number| turn(&mut leader, number)).skip(4);
    assert_eq!(folds.find(Option::is_some), None, "the frame behind the window stays open");
    leader.want_fold();
    assert_eq!(turn(&mut leader, 20), Some(leader.state().n));
    assert!(!leader.is_settled(), "the log has no more room than before");
    assert_eq!(turn(&mut leader, 21), None);
    let n = leader.state().n;
    broker.store(&mut leader, 20);
    assert_eq!((leader.acked(), leader.is_settled()), (n, true));
}

fn cancel(leader: &mut Leader, number: u32, now: Now) {
    let by = "ada".parse().unwrap();
    let cancel = nox_contract::Cancel { job_id: job(number), by, admin: false };
    let message = CommandMessage::new(None, vec![Command::Cancel(cancel)]);
    let message = serde_json::to_vec(&message).unwrap();
    let seq = leader.next_command();
    leader.on_input(Source::Commands, seq, "nox.cmd.acme", &message, now).unwrap();
}

/// What a resend may say to have settled: no more than was handed out in that very session.
#[test]
fn a_resend_covers_nothing_of_a_session_that_is_over() {
    let (mut leader, mut broker) = (leader(), Broker::default());
    tell(&mut leader, session(1), hello(), at(1));
    for number in 1..=4 {
        submit(&mut leader, number, at(1));
    }
    leader.end_turn(at(1)).unwrap();
    let handed_out = broker.store(&mut leader, usize::MAX);
    // And the answer to the `hello`.
    assert_eq!(handed_out.iter().filter(|e| matches!(e, Effect::Dispatch { .. })).count(), 5);
    // More work of the first session waits for the log, so that numbers up to 8 are known of.
    for number in 1..=4 {
        cancel(&mut leader, number, at(2));
    }
    leader.end_turn(at(2)).unwrap();
    broker.store(&mut leader, 0);

    // The worker begins anew, with numbers from 1, while something is still on its way.
    tell(&mut leader, session(2), hello(), at(3));
    submit(&mut leader, 5, at(3));
    leader.end_turn(at(3)).unwrap();
    for second in 4..7 {
        let beat = Beat {
            session: session(2),
            origin: None,
            received_up_to: WorkNumber(0),
            held: Vec::new(),
            joined: true,
            reports_up_to: 2,
            registered_up_to: None,
        };
        leader.on_beat(worker(), beat, at(second));
        leader.tick(at(second)).unwrap();
        leader.end_turn(at(second)).unwrap();
    }
    let everything = broker.store(&mut leader, usize::MAX);

    let mut dispatched = BTreeSet::new();
    let mut covered = WorkNumber(0);
    for effect in &everything {
        match effect {
            Effect::Dispatch { session: of, work, .. }
                if *of == session(2) && work.number() > WorkNumber(0) =>
            {
                dispatched.insert(work.number());
            }
            Effect::Redeliver { session: of, covers, .. } if *of == session(2) => {
                covered = covered.max(covers.up_to);
            }
            _ => {}
        }
    }
    assert_eq!(dispatched, BTreeSet::from([WorkNumber(1)]));
    assert!(covered <= WorkNumber(1), "numbers up to {covered} are said to be settled");
}

/// The broker stores messages of up to a mebibyte, whoever wrote them.
const BROKER_BYTES_MAX: usize = 1 << 20;

/// A report of the attempt's end that the broker just takes.
fn end_of(start: &StartWork, end: impl Fn(String) -> AttemptEnd) -> Report {
    let report = |filling: usize| {
        Report::Ended(Box::new(Ended {
            job_id: start.job_id,
            attempt: start.attempt,
            token: start.token.clone(),
            started: true,
            usage: Default::default(),
            end: end("x".repeat(filling)),
        }))
    };
    let message = ReportMessage { session: session(1), reports: vec![report(0)] };
    report(BROKER_BYTES_MAX - serde_json::to_vec(&message).unwrap().len())
}

#[test]
fn reports_as_large_as_the_broker_takes_lead_to_frames_that_it_takes_too() {
    let failed = |message| AttemptEnd::Failed {
        error: JobError { code: "exit_status".to_owned(), message, exit_status: Some(1) },
        retryable: false,
        crashed: false,
    };
    let succeeded = |text: String| AttemptEnd::Succeeded { outputs: RawJson::of(&text).unwrap() };
    let most = |text: String| text[text.len() / 5 * 2..].to_owned();
    let three_quarters = |text: String| text[text.len() / 4..].to_owned();

    let (mut leader, mut broker) = (leader(), Broker::default());
    tell(&mut leader, session(1), hello(), at(1));
    for (number, end) in (1..).zip([
        &failed as &dyn Fn(String) -> AttemptEnd,
        &succeeded,
        &|text| failed(most(text)),
        &|text| succeeded(most(text)),
        &|text| failed(three_quarters(text)),
        &|text| succeeded(three_quarters(text)),
    ]) {
        submit(&mut leader, number, at(2));
        leader.end_turn(at(2)).unwrap();
        let handed_out = broker.store(&mut leader, usize::MAX);
        let start = handed_out.iter().find_map(|effect| match effect {
            Effect::Dispatch { work: Dispatch::Ready(Work::Start(start)), .. } => Some(start),
            _ => None,
        });
        tell(&mut leader, session(1), end_of(start.expect("it is handed out"), end), at(3));
        leader.end_turn(at(3)).unwrap();
        broker.store(&mut leader, usize::MAX);
        assert!(broker.largest <= FRAME_BYTES_MAX, "a frame of {} bytes", broker.largest);
        assert_eq!(leader.backlog(), 0);
        // One that is larger than any message of ours is not read: its attempt is missed later.
        if let Some(ended) = leader.state().ended(job(number)) {
            assert_ne!(ended.state, JobState::Succeeded);
        }
    }
    assert!((3..=6).any(|number| leader.state().ended(job(number)).is_some()));
}

#[test]
fn what_no_frame_can_carry_ends_the_term_loudly() {
    let role =
        |number| (format!("{number:0>1000}"), Limits { ..SchedulerConfig::default().tenant });
    let config = SchedulerConfig { roles: (0..1_000).map(role).collect(), ..Default::default() };
    let ready = ready(State::default());
    let config = LeaderConfig { scheduler: config, ..leader().config };
    let end = Leader::begin(ready, config, at(0)).map(|_| ());
    assert!(
        matches!(
            end,
            Err(TermEnd::Broken(SequenceError::TooLarge { src: Source::Configuration, .. }))
        ),
        "{end:?}"
    );
}

#[test]
fn log_time_goes_on_under_a_leader_whose_clock_is_behind() {
    let day = Duration::from_secs(86_400);
    let mut ahead = State::default();
    ahead.at = at(0).at + day;
    let (mut leader, mut broker) = (leader_after(ahead), Broker::default());
    tell(&mut leader, session(1), hello(), at(1));
    submit(&mut leader, 1, at(2));
    leader.end_turn(at(2)).unwrap();
    let handed_out = broker.store(&mut leader, usize::MAX);
    let start = handed_out.iter().find_map(|effect| match effect {
        Effect::Dispatch { work: Dispatch::Ready(Work::Start(start)), .. } => Some(start),
        _ => None,
    });
    let failed = |message| AttemptEnd::Failed {
        error: JobError { code: "exit_status".to_owned(), message, exit_status: Some(1) },
        retryable: true,
        crashed: false,
    };
    tell(&mut leader, session(1), end_of(start.unwrap(), |_| failed(String::new())), at(3));
    leader.end_turn(at(3)).unwrap();
    // All of a frame is true at one instant; the next one has its own.
    broker.store(&mut leader, usize::MAX);
    let (due_at, id) = leader.state().timers().next().expect("a retry is scheduled");
    assert_eq!(id, job(1));
    let waits = due_at.since(at(3).at + day);
    assert!(!waits.is_zero() && waits <= Duration::from_millis(RetryPolicy::default().backoff_ms));

    let later = 3 + waits.as_secs() + 1;
    assert!(leader.next_wake(at(3)).unwrap() <= waits);
    leader.tick(at(later)).unwrap();
    leader.end_turn(at(later)).unwrap();
    assert_eq!(leader.state().timers().next(), None, "the retry's instant has come");
    assert_eq!(leader.state().at, at(later).at + day);
}

/// A cancel of a job that nobody knows: it causes no fact.
fn cancel_nothing(leader: &mut Leader, now: Now) {
    let cancel = nox_contract::Cancel { job_id: job(99), by: "ada".parse().unwrap(), admin: false };
    let seq = leader.next_command();
    let reply_to = Some(format!("reply.{seq}"));
    let message = CommandMessage::new(reply_to, vec![Command::Cancel(cancel)]);
    let message = serde_json::to_vec(&message).unwrap();
    leader.on_input(Source::Commands, seq, "nox.cmd.acme", &message, now).unwrap();
}

fn answers(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Answer { .. })).count()
}

#[test]
fn a_loop_of_refused_requests_cannot_fill_the_log() {
    let (mut leader, mut broker) = (leader(), Broker::default());
    broker.store(&mut leader, usize::MAX);
    let before = leader.state().n.0;
    let (mut answered, mut asked) = (0, 0);
    for milli in 1_000..3_000 {
        let now = Now { monotonic: Duration::from_millis(milli), ..at(1) };
        cancel_nothing(&mut leader, now);
        asked += 1;
        leader.end_turn(now).unwrap();
        answered += answers(&broker.store(&mut leader, usize::MAX));
        assert!(asked - answered <= 100, "nobody waits for longer than that: {answered}");
        assert!(leader.next_wake(now).is_none_or(|wake| wake <= EMPTY_FRAMES_INTERVAL));
    }
    let written = leader.state().n.0 - before;
    assert!((10..=22).contains(&written), "{written} messages in two seconds");

    // A leader that stops lets nobody wait.
    let now = Now { monotonic: Duration::from_millis(3_000), ..at(1) };
    leader.finish(now);
    answered += answers(&broker.store(&mut leader, usize::MAX));
    assert_eq!(answered, asked);
    assert!(leader.is_settled());
}

#[test]
fn one_refused_request_is_answered_at_once_and_so_is_what_comes_with_facts() {
    let (mut leader, mut broker) = (leader(), Broker::default());
    tell(&mut leader, session(1), hello(), at(1));
    leader.end_turn(at(1)).unwrap();
    broker.store(&mut leader, usize::MAX);
    cancel_nothing(&mut leader, at(2));
    leader.end_turn(at(2)).unwrap();
    assert_eq!(answers(&broker.store(&mut leader, usize::MAX)), 1);

    cancel_nothing(&mut leader, at(2));
    leader.end_turn(at(2)).unwrap();
    assert_eq!(answers(&broker.store(&mut leader, usize::MAX)), 0);
    submit(&mut leader, 1, at(2));
    leader.end_turn(at(2)).unwrap();
    assert_eq!(answers(&broker.store(&mut leader, usize::MAX)), 1);
}

#[test]
fn inputs_may_be_removed_as_far_as_the_log_knows_of_them_while_more_is_on_its_way() {
    let (mut leader, mut broker) = (leader(), Broker::default());
    tell(&mut leader, session(1), hello(), at(1));
    leader.end_turn(at(1)).unwrap();
    broker.store(&mut leader, usize::MAX);
    let acked = Positions { commands: Place::default(), reports: Place::after(1) };
    assert_eq!(leader.acked_pos(), acked);
    for number in 1..=9 {
        submit(&mut leader, number, at(2));
        leader.end_turn(at(2)).unwrap();
        broker.store(&mut leader, usize::from(number <= 3));
        assert!(number <= 3 || leader.backlog() > 0);
    }
    let (acked, consumed) = (leader.acked_pos().commands.whole(), leader.next_command() - 1);
    assert_eq!((acked, consumed), (3, 9));
}

#[test]
fn the_inputs_of_a_job_that_is_canceled_before_it_was_handed_out_are_let_go() {
    let (mut leader, mut broker) = (leader(), Broker::default());
    tell(&mut leader, session(1), hello(), at(1));
    for number in 1..=5 {
        submit(&mut leader, number, at(2));
    }
    leader.end_turn(at(2)).unwrap();
    broker.store(&mut leader, usize::MAX);
    assert_eq!(leader.hot_inputs.by_job.len(), 1, "the worker has four slots");
    cancel(&mut leader, 5, at(3));
    assert_eq!(leader.hot_inputs.by_job.len(), 0);
}

/// How many still wait for another job.
fn waiting_for_another(leader: &Leader) -> usize {
    let waits =
        |job: &nox_core::state::ActiveJob| job.job.waiting() == Some(WaitingCode::Dependency);
    leader.state().jobs().filter(|(_, job)| waits(job)).count()
}

#[test]
fn dependents_without_end_are_told_over_several_frames_and_others_go_on_between() {
    const DEPENDENTS: u32 = 3_000;
    let (mut leader, mut broker) = (leader(), Broker::default());
    submit(&mut leader, 1, at(1));
    leader.end_turn(at(1)).unwrap();
    broker.store(&mut leader, usize::MAX);
    // Nobody serves the module yet.
    assert_eq!(leader.state().job(job(1)), None);
    tell(&mut leader, session(1), hello(), at(1));
    submit(&mut leader, 2, at(1));
    for number in 10..10 + DEPENDENTS {
        submit_after(&mut leader, number, &[job(2)], at(1));
    }
    leader.end_turn(at(1)).unwrap();
    broker.store(&mut leader, usize::MAX);
    assert_eq!(waiting_for_another(&leader), DEPENDENTS as usize);

    // What failed dooms them; whoever takes its place need not wait for all of that.
    cancel(&mut leader, 2, at(2));
    submit(&mut leader, 3, at(2));
    let mut frames = 0;
    let mut placed_after = None;
    let mut now = at(2);
    while waiting_for_another(&leader) > 0 || leader.state().ends_due_at().is_some() {
        let due =
            leader.state().ends_due_at().map_or(Duration::ZERO, |due_at| due_at.since(now.at));
        assert!(due <= Duration::from_millis(15), "{due:?}");
        let wake = leader.next_wake(now).expect("nobody waits for the next input");
        assert!(wake <= due, "{wake:?} instead of {due:?}");
        now = Now { at: now.at + due, wall: now.wall + due, monotonic: now.monotonic + due };
        leader.end_turn(now).unwrap();
        let before = leader.state().n;
        let handed_out = broker.store(&mut leader, usize::MAX);
        let of_third = |effect: &&Effect| match effect {
            Effect::Dispatch { work: Dispatch::Ready(Work::Start(start)), .. } => {
                start.job_id == job(3)
            }
            _ => false,
        };
        frames += 1;
        if handed_out.iter().any(|effect| of_third(&effect)) {
            placed_after.get_or_insert(frames);
        }
        assert!(leader.state().n >= before);
        assert!(frames < 100, "{} still wait", waiting_for_another(&leader));
    }
    assert!(frames >= 3, "all were told within {frames} frames");
    assert_eq!(placed_after, Some(1));
    let failed = (10..10 + DEPENDENTS).filter(|number| {
        leader.state().ended(job(*number)).map(|ended| ended.state) == Some(JobState::Failed)
    });
    assert_eq!(failed.count(), DEPENDENTS as usize);
}

/// Submits a job of a user of its own, and so of a kind of its own.
fn submit_as(leader: &mut Leader, number: u32, user: u32, mem_mb: u32, now: Now) {
    let submit = Submit {
        user_id: format!("u{user}").parse().unwrap(),
        requested_resources: nox_contract::Resources { mem_mb, ..fixtures::SMALL },
        ..fixtures::submit(job(number))
    };
    send(leader, submit, now);
}

fn leader_without_limits() -> Leader {
    let limits = Limits {
        cpu_seconds: 1_000_000_000,
        queued_jobs: 1_000_000,
        running_jobs: 1_000_000,
        cpu: 64,
        mem_mb: 1_000,
        drafts: 100,
        starts_per_minute: nox_contract::limits::UNLIMITED,
    };
    let scheduler = SchedulerConfig {
        roles: [("admin".to_owned(), limits), ("user".to_owned(), limits)].into(),
        tenant: limits,
        ..SchedulerConfig::default()
    };
    let config = LeaderConfig { scheduler, ..leader().config };
    Leader::begin(ready(State::default()), config, at(0)).unwrap()
}

fn is_held(leader: &Leader, number: u32) -> bool {
    leader.state().job(job(number)).is_some_and(|job| job.job.worker_id().is_some())
}

#[test]
fn what_is_freed_while_the_queue_is_scanned_goes_to_the_first_whom_it_fits() {
    let (mut leader, mut broker) = (leader_without_limits(), Broker::default());
    tell(&mut leader, session(1), hello(), at(1));
    submit_as(&mut leader, 1, 1, 64, at(1));
    leader.end_turn(at(1)).unwrap();
    broker.store(&mut leader, usize::MAX);
    assert!(is_held(&leader, 1));
    // Slots are free, memory is not.
    for number in 2..=LOOKS_MAX + 3 {
        submit_as(&mut leader, number, number, 64, at(2));
    }
    leader.end_turn(at(2)).unwrap();
    broker.store(&mut leader, usize::MAX);
    assert!(leader.match_behind.is_some(), "not all kinds were looked at");
    let slot = leader.state().workers.get(&worker()).unwrap().assignments[&job(1)].clone();
    let token = nox_contract::Token::compute(&[0; 32], job(1), slot.attempt, slot.assigned_n);
    let ended = Ended {
        job_id: job(1),
        attempt: slot.attempt,
        token,
        started: true,
        usage: Default::default(),
        end: AttemptEnd::Succeeded { outputs: RawJson::default() },
    };
    tell(&mut leader, session(1), Report::Ended(Box::new(ended)), at(3));
    leader.end_turn(at(3)).unwrap();
    let held: Vec<_> = (2..=LOOKS_MAX + 3).filter(|number| is_held(&leader, *number)).collect();
    assert_eq!(held, [2]);
}

#[test]
fn the_scan_of_the_queue_comes_to_its_end_however_much_happens() {
    let (mut leader, mut broker) = (leader_without_limits(), Broker::default());
    tell(&mut leader, session(1), hello(), at(1));
    // More than the worker has.
    let last = 2 * LOOKS_MAX + 2;
    for number in 1..last {
        submit_as(&mut leader, number, number, 65, at(1));
    }
    submit_as(&mut leader, last, last, 1, at(1));
    let mut turns = 0;
    while !is_held(&leader, last) {
        turns += 1;
        assert!(turns <= 4, "the last kind was never looked at");
        submit_as(&mut leader, last + turns, 1, 65, at(2));
        leader.end_turn(at(2)).unwrap();
        broker.store(&mut leader, usize::MAX);
    }
}
