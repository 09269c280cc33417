//! The checker sees: a true history has nothing against it, and each of these, falsified in one
//! place, breaks the rule that is named.

use std::{collections::BTreeSet, time::Duration};

use nox_contract::{
    Attempt, AttemptEnd, Cancel, Capacity, Cause, Chain, Command, CommandMessage, Entity, Entry,
    Epoch, EpochRecord, Fact, FactOrUnknown, Frame, FrameNumber, Hello, Incarnation, JobError,
    JobId, JobState, Manifest, Place, Positions, RawJson, Report, ReportMessage, Resources,
    RetryPolicy, SchedulerConfig, SessionId, Source, Submit, TenantId, Timestamp, Token, Usage,
    UserId, WorkerId, report, subject,
};
use nox_core::{Internal, Rules, State};
use nox_protocol::{
    replay::Recorded,
    sequencer::{Input, Sequencer},
};
use nox_readmodel::JobRow;
use nox_service::ids::keyed_job_id;
use nox_testkit::system::{
    checker::{Evidence, LogEntry, Rule, Run, View, check, rows},
    recorder::{self, Ask, Call, Heard, Identity},
};
use uuid::Uuid;

const KEY: [u8; 32] = [7; 32];
const SESSION: SessionId = SessionId(Uuid::from_u128(0x5e55));

fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

fn ada() -> UserId {
    "ada".parse().unwrap()
}

fn worker() -> WorkerId {
    "w1".parse().unwrap()
}

fn job(number: u128) -> JobId {
    JobId(Uuid::from_u128(number))
}

/// Two attempts, of which the first failed.
fn retried() -> JobId {
    keyed_job_id(&tenant(), &ada(), "order-1")
}

const SIMPLE: u128 = 1;
const CANCELED: u128 = 2;
const UNHEARD: u128 = 3;
const REJECTED: u128 = 4;

/// Writes a log as a leader does: the real decider and sequencer.
struct Leader {
    sequencer: Sequencer,
    log: Vec<LogEntry>,
    inputs: Recorded,
    now: Timestamp,
    commands: u64,
    reports: u64,
}

impl Leader {
    fn begin() -> Self {
        let now = "2026-11-21T22:00:00Z".parse().unwrap();
        let mut leader = Self {
            sequencer: Sequencer::new(
                State::default(),
                Positions::default(),
                Chain::START,
                rules(),
            ),
            log: Vec::new(),
            inputs: Recorded::new(Incarnation("c".to_owned()), Incarnation("r".to_owned())),
            now,
            commands: 0,
            reports: 0,
        };
        leader.take_over();
        leader
    }

    fn take_over(&mut self) {
        let (state, chain) = self.sequencer.fold().expect("no frame is open");
        let (mut state, pos) = (state.clone(), self.sequencer.pos());
        let record = EpochRecord {
            epoch: state.epoch.next(),
            leader: "test".to_owned(),
            at: self.now,
            commands: Incarnation("c".to_owned()),
            reports: Incarnation("r".to_owned()),
        };
        let payload = serde_json::to_vec(&record).unwrap();
        let chain = chain.extend(&payload);
        state.apply_epoch(state.n.next(), &record).unwrap();
        self.sequencer = Sequencer::new(state, pos, chain, rules());
        self.push(subject::EPOCH.to_owned(), payload.into());
    }

    fn push(&mut self, subject: String, payload: bytes::Bytes) {
        let seq = self.log.len() as u64 + 1;
        self.log.push(LogEntry { seq, subject, payload });
    }

    /// Decides some inputs in one turn, a second after the one before.
    fn decide(&mut self, inputs: &[Input]) {
        self.now = self.now + Duration::from_secs(1);
        for input in inputs {
            self.keep(input);
            self.sequencer.run(input, self.now).unwrap();
        }
        self.sequencer.seal(self.now).unwrap();
        for frame in self.sequencer.take_sealed() {
            self.push(subject::FRAMES.to_owned(), frame.payload);
        }
    }

    /// Keeps a message of a stream, as the broker does.
    fn keep(&mut self, input: &Input) {
        let (src, seq, subject, payload) = match input {
            Input::Commands { seq, tenant, message } => {
                let subject = subject::commands(tenant);
                (Source::Commands, *seq, subject, serde_json::to_vec(message))
            }
            Input::Reports { seq, worker_id, message } => {
                let subject = subject::reports(worker_id);
                (Source::Reports, *seq, subject, serde_json::to_vec(message))
            }
            Input::Internal(_) => return,
        };
        self.inputs.push(src, seq, subject, payload.unwrap().into());
    }

    fn command(&mut self, command: Command) {
        self.commands += 1;
        let message = CommandMessage::new(None, vec![command]);
        self.decide(&[
            Input::Commands { seq: self.commands, tenant: tenant(), message },
            Input::Internal(Internal::Match { placements_max: 10, looks_max: 100, behind: None }),
        ]);
    }

    fn submit(&mut self, id: JobId, module: &str, inputs: &str, fingerprint: Option<&str>) {
        self.command(Command::Submit(Box::new(Submit {
            module_version: None,
            worker_labels: Default::default(),
            job_id: id,
            user_id: ada(),
            role: "user".to_owned(),
            module: module.parse().unwrap(),
            inputs: RawJson::parse(inputs.to_owned()).unwrap(),
            requested_resources: Resources { cpu: 1, mem_mb: 64, wall_time_s: 60, gpu: 0 },
            priority: 5,
            run_at: None,
            after: Vec::new(),
            fingerprint: fingerprint.map(str::to_owned),
            seen: self.sequencer.state().n,
            pending: true,
            task: None,
            metadata: None,
            concurrency: None,
            draft: false,
            traceparent: None,
        })));
    }

    fn report(&mut self, report: Report) {
        self.reports += 1;
        let message = ReportMessage { session: SESSION, reports: vec![report] };
        self.decide(&[Input::Reports { seq: self.reports, worker_id: worker(), message }]);
    }

    fn token(&self, id: JobId, attempt: Attempt) -> Token {
        let worker = self.sequencer.state().workers.get(&worker()).unwrap();
        Token::compute(&KEY, id, attempt, worker.assignments[&id].assigned_n)
    }

    fn started(&mut self, job_id: JobId, attempt: u32) {
        let attempt = Attempt(attempt);
        let token = self.token(job_id, attempt);
        self.report(Report::Started(report::Started { job_id, attempt, token, elapsed_ms: 3 }));
    }

    fn ended(&mut self, job_id: JobId, attempt: u32, end: AttemptEnd) {
        let attempt = Attempt(attempt);
        let token = self.token(job_id, attempt);
        let usage = Usage { wall_ms: 1_500, cpu_seconds: 2 };
        let ended = report::Ended { job_id, attempt, token, started: true, usage, end };
        self.report(Report::Ended(Box::new(ended)));
    }
}

fn rules() -> Rules {
    Rules { token_key: KEY, ..Default::default() }
}

fn succeeded() -> AttemptEnd {
    AttemptEnd::Succeeded { outputs: RawJson::parse(r#"{"files":[]}"#.to_owned()).unwrap() }
}

/// A run in which all went well: a simple job, one that was retried, one that was canceled while it
/// ran, one whose submitter heard nothing, and one that was promised and then refused.
fn truth() -> Evidence {
    let mut leader = Leader::begin();
    leader.decide(&[Input::Internal(Internal::Configure { config: SchedulerConfig::default() })]);
    let manifest = Manifest {
        name: "mark".parse().unwrap(),
        version: "1".to_owned(),
        title: String::new(),
        input_schema: RawJson::of(&true).unwrap(),
        output_schema: RawJson::of(&true).unwrap(),
        resources: Resources { cpu: 1, mem_mb: 64, wall_time_s: 60, gpu: 0 },
        retry: RetryPolicy { attempts_max: 2, backoff_ms_max: 1_000, ..RetryPolicy::default() },
        running_max: None,
        starts_per_minute: None,
    };
    leader.report(Report::Hello(Box::new(Hello {
        origin: Default::default(),
        capacity: Capacity { slots: 4, cpu: 4, mem_mb: 4_096, gpu: 0 },
        modules: vec![manifest],
        labels: Vec::new(),
    })));
    leader.submit(job(SIMPLE), "mark", r#"{"mark":"simple"}"#, None);
    let simple_n = leader.sequencer.state().job(job(SIMPLE)).unwrap().job.submitted_n;
    leader.submit(retried(), "mark", r#"{"exit":1}"#, Some("b3:1"));
    let retried_n = leader.sequencer.state().job(retried()).unwrap().job.submitted_n;
    leader.started(job(SIMPLE), 1);
    leader.ended(job(SIMPLE), 1, succeeded());
    let error = JobError {
        code: "exit_status".to_owned(),
        message: "exit status 1".to_owned(),
        exit_status: Some(1),
    };
    leader.ended(retried(), 1, AttemptEnd::Failed { error, retryable: true, crashed: false });
    leader.take_over();
    leader.submit(job(CANCELED), "mark", r#"{"mark":"canceled"}"#, None);
    let canceled_n = leader.sequencer.state().job(job(CANCELED)).unwrap().job.submitted_n;
    leader.started(job(CANCELED), 1);
    leader.command(Command::Cancel(Cancel { job_id: job(CANCELED), by: ada(), admin: false }));
    let cancel_n = leader.sequencer.state().n;
    let usage = Usage { wall_ms: 900, cpu_seconds: 1 };
    let token = leader.token(job(CANCELED), Attempt(1));
    leader.report(Report::Stopped(report::Stopped {
        job_id: job(CANCELED),
        attempt: Attempt(1),
        token,
        usage,
    }));
    leader.decide(&[Input::Internal(Internal::Timer { due: vec![retried()] })]);
    leader.started(retried(), 2);
    leader.ended(retried(), 2, succeeded());
    leader.submit(job(UNHEARD), "mark", r#"{"mark":"unheard"}"#, None);
    leader.ended(job(UNHEARD), 1, succeeded());
    leader.submit(job(REJECTED), "nowhere", r#"{"mark":"rejected"}"#, None);

    let mut calls = Calls::default();
    let n = |n| Some(n);
    let admitted = |job, n| Heard::Admitted { job, n };
    calls.submit(Identity::Mark("simple".into()), Some(admitted(job(SIMPLE), n(simple_n))));
    calls.read(job(SIMPLE), Some(simple_n), Heard::Seen { n: simple_n, state: JobState::Queued });
    let key = || Identity::Key("order-1".into());
    calls.submit(key(), Some(Heard::Unknown { why: "no answer".into() }));
    calls.submit(key(), Some(admitted(retried(), n(retried_n))));
    calls.submit(Identity::Mark("canceled".into()), Some(admitted(job(CANCELED), n(canceled_n))));
    calls.add(
        Ask::Cancel { tenant: tenant(), job: job(CANCELED) },
        Some(Heard::Canceled { n: n(cancel_n) }),
    );
    calls.submit(Identity::Mark("unheard".into()), None);
    calls.submit(Identity::Mark("never sent".into()), Some(Heard::Unknown { why: "503".into() }));
    let refused = Heard::Refused { status: 422, code: "invalid_inputs".into() };
    calls.submit(Identity::Mark("refused".into()), Some(refused));
    calls.submit(Identity::Mark("rejected".into()), Some(admitted(job(REJECTED), None)));

    let ran = |job, attempt| {
        let attempt = Attempt(attempt);
        let at = assigned_at(&leader.log, job, attempt) + Duration::from_millis(5);
        Run { job, attempt, at }
    };
    let runs = vec![
        ran(job(SIMPLE), 1),
        ran(retried(), 1),
        ran(retried(), 2),
        ran(job(CANCELED), 1),
        ran(job(UNHEARD), 1),
    ];
    let view = View {
        n: FrameNumber(leader.log.len() as u64),
        jobs: rows(&leader.log),
        ledger_differences: Vec::new(),
        live: "h".to_owned(),
        rebuilt: "h".to_owned(),
    };
    Evidence {
        calls: calls.0,
        log: leader.log,
        inputs: Some((leader.inputs, KEY)),
        runs,
        telling: BTreeSet::from(["mark".parse().unwrap()]),
        view: Some(view),
    }
}

#[derive(Default)]
struct Calls(Vec<Call>);

impl Calls {
    /// A call after all others, heard at once.
    fn add(&mut self, ask: Ask, heard: Option<Heard>) {
        let invoked = Duration::from_millis(10 * self.0.len() as u64);
        let heard = heard.map(|heard| (invoked + Duration::from_millis(5), heard));
        self.0.push(Call { ask, invoked, heard });
    }

    fn submit(&mut self, identity: Identity, heard: Option<Heard>) {
        let submit = recorder::Submit { tenant: tenant(), user: ada(), identity };
        self.add(Ask::Submit(submit), heard);
    }

    fn read(&mut self, job: JobId, min_n: Option<FrameNumber>, heard: Heard) {
        self.add(Ask::Read { tenant: tenant(), job, min_n }, Some(heard));
    }
}

fn assigned_at(log: &[LogEntry], job: JobId, wanted: Attempt) -> Timestamp {
    let assigned = |entry: &Entry| {
        entry.job_id == Some(job)
            && entry
                .known_facts()
                .any(|fact| matches!(fact, Fact::Assigned { attempt, .. } if *attempt == wanted))
    };
    let frames = log
        .iter()
        .filter(|message| message.subject == subject::FRAMES)
        .map(|message| serde_json::from_slice::<Frame>(&message.payload).unwrap());
    let mut of_attempt = frames.filter(|frame| frame.entries.iter().any(assigned));
    of_attempt.next().expect("it was assigned").at
}

/// What stands in the log while it is being falsified.
enum Line {
    Frame(Frame),
    Epoch(EpochRecord),
}

/// Falsifies the log so that order and chain hold: what is left to find is the lie itself.
fn rewrite(evidence: &mut Evidence, falsify: impl FnOnce(&mut Vec<Line>)) {
    let mut lines: Vec<Line> = evidence
        .log
        .iter()
        .map(|entry| match entry.subject == subject::EPOCH {
            true => Line::Epoch(serde_json::from_slice(&entry.payload).unwrap()),
            false => Line::Frame(serde_json::from_slice(&entry.payload).unwrap()),
        })
        .collect();
    falsify(&mut lines);
    let mut chain = Chain::START;
    evidence.log = (1..)
        .zip(lines)
        .map(|(seq, line)| {
            let (subject, payload) = match line {
                Line::Epoch(record) => (subject::EPOCH.to_owned(), serde_json::to_vec(&record)),
                Line::Frame(mut frame) => {
                    frame.n = FrameNumber(seq);
                    frame.prev = chain.to_string();
                    (subject::FRAMES.to_owned(), serde_json::to_vec(&frame))
                }
            };
            let payload = bytes::Bytes::from(payload.unwrap());
            chain = chain.extend(&payload);
            LogEntry { seq, subject, payload }
        })
        .collect();
}

/// Whether the entry says `fact` of `job`.
fn says(entry: &Entry, job: JobId, fact: &str) -> bool {
    entry.job_id == Some(job) && entry.known_facts().any(|known| known.name() == fact)
}

/// The place of the first frame that says `fact` of `job`.
fn place(lines: &[Line], job: JobId, fact: &str) -> usize {
    lines
        .iter()
        .position(|line| match line {
            Line::Frame(frame) => frame.entries.iter().any(|entry| says(entry, job, fact)),
            Line::Epoch(_) => false,
        })
        .expect("the true log has it")
}

fn frame(lines: &mut [Line], place: usize) -> &mut Frame {
    match &mut lines[place] {
        Line::Frame(frame) => frame,
        Line::Epoch(_) => panic!("a term begins at {place}"),
    }
}

/// The first entry that says `fact` of `job`.
fn entry<'l>(lines: &'l mut [Line], job: JobId, fact: &str) -> &'l mut Entry {
    let place = place(lines, job, fact);
    let mut entries = frame(lines, place).entries.iter_mut();
    entries.find(|entry| says(entry, job, fact)).expect("the frame has it")
}

/// Puts `facts` of a job behind everything, as the newest leader's decision by itself.
fn append(lines: &mut Vec<Line>, job_id: JobId, facts: Vec<Fact>) {
    let mut last = match lines.last() {
        Some(Line::Frame(frame)) => frame.clone(),
        _ => panic!("the true log ends with a frame"),
    };
    let module = "mark".parse().unwrap();
    let entity = Entity::Job { tenant: tenant(), job_id, user_id: ada(), module };
    let by = Cause { src: Source::Match, seq: 0, part: 0 };
    let facts = facts.into_iter().map(FactOrUnknown::from).collect();
    last.inputs = vec![
        RawJson::of(&Internal::Match { placements_max: 1, looks_max: 1, behind: None }).unwrap(),
    ];
    last.entries = vec![Entry::new(by, entity, facts)];
    lines.push(Line::Frame(last));
}

fn submitted(inputs: &str) -> Vec<Fact> {
    vec![Fact::Submitted(Box::new(nox_contract::fact::Submitted {
        module_version: "1".to_owned(),
        worker_labels: Default::default(),
        inputs: RawJson::parse(inputs.to_owned()).unwrap(),
        requested_resources: Resources { cpu: 1, mem_mb: 64, wall_time_s: 60, gpu: 0 },
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        task: None,
        metadata: None,
        concurrency: None,
        traceparent: None,
    }))]
}

fn heard(evidence: &mut Evidence, which: impl Fn(&Call) -> bool, instead: Heard) {
    let call = evidence.calls.iter_mut().find(|call| which(call)).expect("the call was made");
    call.heard.as_mut().expect("it was answered").1 = instead;
}

fn is_submit_of(call: &Call, wanted: &str) -> bool {
    matches!(&call.ask, Ask::Submit(submit)
        if submit.identity == Identity::Mark(wanted.to_owned()))
}

fn is_read(call: &Call) -> bool {
    matches!(call.ask, Ask::Read { .. })
}

#[track_caller]
fn catches(rule: Rule, falsify: impl FnOnce(&mut Evidence)) {
    let mut evidence = truth();
    falsify(&mut evidence);
    let verdict = check(&evidence);
    assert!(verdict.breaks(rule), "not seen: {rule:?}\n{verdict}");
}

#[test]
fn a_true_history_is_clean_and_was_looked_at() {
    let verdict = check(&truth());
    verdict.assert_clean();
    let counts = verdict.counts;
    assert_eq!((counts.jobs, counts.succeeded, counts.failed, counts.canceled), (5, 3, 1, 1));
    assert_eq!((counts.admitted, counts.unknown, counts.unknown_landed), (4, 2, 1));
    assert_eq!((counts.refused, counts.reads, counts.terms), (1, 1, 2));
    assert_eq!((counts.retried, counts.runs, counts.rows), (1, 5, 5));
    assert!(counts.facts_compared > 20, "{}", counts.facts_compared);
    assert_eq!(counts.facts_taken, 0);
}

#[test]
fn a_message_that_is_missing_from_the_log() {
    catches(Rule::NoGap, |evidence| {
        evidence.log.remove(3);
    });
}

#[test]
fn a_message_that_was_changed_after_it_was_written() {
    catches(Rule::ChainHolds, |evidence| {
        let payload = String::from_utf8(evidence.log[2].payload.to_vec()).unwrap();
        evidence.log[2].payload = payload.replacen("22:00", "22:01", 1).into();
    });
}

#[test]
fn a_frame_of_a_deposed_leader_behind_the_new_term() {
    catches(Rule::NewestLeaderAlone, |evidence| {
        rewrite(evidence, |lines| {
            let place = place(lines, job(CANCELED), "submitted");
            frame(lines, place).epoch = Epoch(1);
        });
    });
}

#[test]
fn a_term_that_is_left_out() {
    catches(Rule::NewestLeaderAlone, |evidence| {
        rewrite(evidence, |lines| {
            for line in lines {
                match line {
                    Line::Epoch(record) if record.epoch == Epoch(2) => record.epoch = Epoch(3),
                    Line::Frame(frame) if frame.epoch == Epoch(2) => frame.epoch = Epoch(3),
                    _ => {}
                }
            }
        });
    });
}

#[test]
fn a_command_that_was_taken_twice() {
    catches(Rule::InputOnce, |evidence| {
        rewrite(evidence, |lines| {
            entry(lines, job(UNHEARD), "submitted").by.seq = 1;
        });
    });
}

#[test]
fn a_part_that_was_taken_twice() {
    catches(Rule::InputOnce, |evidence| {
        rewrite(evidence, |lines| {
            let place = place(lines, job(UNHEARD), "submitted");
            let again = frame(lines, place).entries[0].clone();
            let next = Cause { part: 1, ..again.by };
            frame(lines, place).entries.iter_mut().for_each(|entry| entry.by = next);
            frame(lines, place).pos.commands = Place { seq: next.seq, part: 2 };
            let mut behind = frame(lines, place).clone();
            behind.entries = vec![again];
            lines.insert(place + 1, Line::Frame(behind));
        });
    });
}

#[test]
fn a_part_that_is_not_consumed_where_it_is_decided() {
    catches(Rule::InputOnce, |evidence| {
        rewrite(evidence, |lines| {
            let place = place(lines, job(UNHEARD), "submitted");
            let seq = frame(lines, place).entries[0].by.seq;
            frame(lines, place).pos.commands = Place { seq, part: 0 };
        });
    });
}

#[test]
fn an_input_in_no_stream_that_is_left_out() {
    catches(Rule::InputOnce, |evidence| {
        rewrite(evidence, |lines| {
            let place = place(lines, retried(), "assigned");
            let embedded =
                |frame: &Frame| frame.entries.iter().any(|entry| entry.by.src == Source::Timer);
            let timer = lines.iter().position(|line| matches!(line, Line::Frame(f) if embedded(f)));
            frame(lines, timer.unwrap_or(place)).inputs.clear();
        });
    });
}

#[test]
fn a_position_that_goes_back() {
    catches(Rule::InputOnce, |evidence| {
        rewrite(evidence, |lines| {
            let place = place(lines, job(UNHEARD), "submitted");
            frame(lines, place).pos.reports = Place::default();
        });
    });
}

#[test]
fn a_verdict_shows_the_records_around_what_is_wrong() {
    let mut evidence = truth();
    let mut place = 0;
    rewrite(&mut evidence, |lines| {
        place = self::place(lines, job(UNHEARD), "submitted");
        frame(lines, place).pos.reports = Place::default();
    });
    let shown = check(&evidence).to_string();
    for seq in [place, place + 1, place + 2] {
        let entry = &evidence.log[seq - 1];
        let text = String::from_utf8_lossy(&entry.payload).into_owned();
        let begins = format!("{seq} {} {}", entry.subject, text.split_at(100).0);
        assert!(shown.contains(&begins), "{begins}\n{shown}");
    }
    assert!(!check(&truth()).to_string().contains(subject::EPOCH));
}

#[test]
fn a_fact_that_cannot_follow() {
    catches(Rule::LegalFacts, |evidence| {
        rewrite(evidence, |lines| {
            append(lines, job(CANCELED), vec![Fact::Canceled { by: ada() }]);
        });
    });
}

#[test]
fn time_that_runs_backwards() {
    catches(Rule::LegalFacts, |evidence| {
        rewrite(evidence, |lines| {
            let place = place(lines, job(CANCELED), "stopped");
            frame(lines, place).at = "2026-11-21T21:00:00Z".parse().unwrap();
        });
    });
}

#[test]
fn core_seconds_that_nobody_had_reserved() {
    catches(Rule::LedgerBalances, |evidence| {
        rewrite(evidence, |lines| {
            for fact in &mut entry(lines, job(SIMPLE), "settled").facts {
                if let FactOrUnknown::Known(Fact::Settled { cpu_seconds, .. }) = fact {
                    *cpu_seconds = 1_000;
                }
            }
        });
    });
}

#[test]
fn core_seconds_that_stay_reserved_for_ever() {
    catches(Rule::CountsAgree, |evidence| {
        rewrite(evidence, |lines| {
            entry(lines, job(SIMPLE), "released")
                .facts
                .retain(|fact| !matches!(fact, FactOrUnknown::Known(Fact::Released { .. })));
        });
    });
}

#[test]
fn a_job_that_succeeds_twice() {
    catches(Rule::OneSuccess, |evidence| {
        rewrite(evidence, |lines| {
            let outputs = RawJson::default();
            append(
                lines,
                job(SIMPLE),
                vec![Fact::Succeeded { attempt: Attempt(1), outputs, wall_ms: 1 }],
            );
        });
    });
}

#[test]
fn a_success_of_an_attempt_that_was_given_up_on() {
    catches(Rule::NewestAttemptAlone, |evidence| {
        rewrite(evidence, |lines| {
            for fact in &mut entry(lines, retried(), "succeeded").facts {
                if let FactOrUnknown::Known(Fact::Succeeded { attempt, .. }) = fact {
                    *attempt = Attempt(1);
                }
            }
        });
    });
}

#[test]
fn a_job_that_begins_twice() {
    catches(Rule::OneBeginning, |evidence| {
        rewrite(evidence, |lines| append(lines, job(SIMPLE), submitted(r#"{"mark":"simple"}"#)));
    });
}

/// Takes every entry of a job out of the log, and its row and runs with them.
fn forget(evidence: &mut Evidence, forgotten: JobId) {
    rewrite(evidence, |lines| {
        for line in lines {
            if let Line::Frame(frame) = line {
                frame.entries.retain(|entry| entry.job_id != Some(forgotten));
            }
        }
    });
    evidence.runs.retain(|run| run.job != forgotten);
}

#[test]
fn an_admitted_job_that_is_lost() {
    catches(Rule::AdmittedIsThere, |evidence| forget(evidence, job(SIMPLE)));
}

#[test]
fn an_admitted_job_with_a_key_that_is_lost() {
    catches(Rule::AdmittedIsThere, |evidence| forget(evidence, retried()));
}

#[test]
fn a_promised_job_whose_refusal_is_lost() {
    catches(Rule::AdmittedIsThere, |evidence| forget(evidence, job(REJECTED)));
}

#[test]
fn a_refused_submit_that_runs_all_the_same() {
    catches(Rule::RefusedIsNotThere, |evidence| {
        rewrite(evidence, |lines| append(lines, job(99), submitted(r#"{"mark":"refused"}"#)));
    });
}

#[test]
fn an_admitted_submit_that_made_two_jobs() {
    catches(Rule::SubmitOnce, |evidence| {
        rewrite(evidence, |lines| append(lines, job(99), submitted(r#"{"mark":"simple"}"#)));
    });
}

#[test]
fn an_unheard_submit_that_made_two_jobs() {
    catches(Rule::SubmitOnce, |evidence| {
        rewrite(evidence, |lines| append(lines, job(99), submitted(r#"{"mark":"unheard"}"#)));
    });
}

#[test]
fn a_key_that_was_answered_with_two_jobs() {
    catches(Rule::SameKeySameJob, |evidence| {
        let submit = recorder::Submit {
            tenant: tenant(),
            user: ada(),
            identity: Identity::Key("order-1".to_owned()),
        };
        let mut calls = Calls(std::mem::take(&mut evidence.calls));
        let heard = Heard::Admitted { job: job(SIMPLE), n: None };
        calls.add(Ask::Submit(submit), Some(heard));
        evidence.calls = calls.0;
    });
}

#[test]
fn an_answer_that_names_somebody_elses_job() {
    catches(Rule::AnswerNamesTheJob, |evidence| {
        let heard_instead = Heard::Admitted { job: job(CANCELED), n: None };
        heard(evidence, |call| is_submit_of(call, "simple"), heard_instead);
    });
}

#[test]
fn an_answer_that_names_a_frame_before_the_job() {
    catches(Rule::AnswerNamesTheFrame, |evidence| {
        let heard_instead = Heard::Admitted { job: job(SIMPLE), n: Some(FrameNumber(1)) };
        heard(evidence, |call| is_submit_of(call, "simple"), heard_instead);
    });
}

#[test]
fn an_answer_that_names_a_frame_beyond_the_log() {
    catches(Rule::AnswerNamesTheFrame, |evidence| {
        let heard_instead = Heard::Admitted { job: job(SIMPLE), n: Some(FrameNumber(9_999)) };
        heard(evidence, |call| is_submit_of(call, "simple"), heard_instead);
    });
}

#[test]
fn a_job_that_nobody_submitted() {
    catches(Rule::NothingInvented, |evidence| {
        rewrite(evidence, |lines| append(lines, job(99), submitted(r#"{"mark":"who?"}"#)));
    });
}

#[test]
fn a_job_that_never_ends() {
    catches(Rule::EveryJobEnds, |evidence| {
        rewrite(evidence, |lines| {
            let end = place(lines, job(UNHEARD), "succeeded");
            lines.truncate(end);
        });
    });
}

#[test]
fn an_acknowledged_cancel_that_is_lost() {
    catches(Rule::CanceledIsThere, |evidence| {
        let mut calls = Calls(std::mem::take(&mut evidence.calls));
        let heard = Heard::Canceled { n: Some(FrameNumber(20)) };
        calls.add(Ask::Cancel { tenant: tenant(), job: job(SIMPLE) }, Some(heard));
        evidence.calls = calls.0;
    });
}

#[test]
fn a_cancel_that_was_acknowledged_before_it_was_written() {
    catches(Rule::CanceledIsThere, |evidence| {
        let is_cancel = |call: &Call| matches!(call.ask, Ask::Cancel { .. });
        heard(evidence, is_cancel, Heard::Canceled { n: Some(FrameNumber(3)) });
    });
}

#[test]
fn a_job_that_is_canceled_by_nobody() {
    catches(Rule::CancelWasAsked, |evidence| {
        evidence.calls.retain(|call| !matches!(call.ask, Ask::Cancel { .. }));
    });
}

#[test]
fn a_read_that_is_older_than_the_frame_it_names() {
    catches(Rule::ReadNotOlder, |evidence| {
        let call = evidence.calls.iter_mut().find(|call| is_read(call)).unwrap();
        let Ask::Read { min_n, .. } = &mut call.ask else { unreachable!() };
        *min_n = Some(FrameNumber(9_999));
    });
}

#[test]
fn a_read_that_does_not_find_what_was_acknowledged() {
    catches(Rule::ReadFindsAcknowledged, |evidence| heard(evidence, is_read, Heard::NotFound));
}

#[test]
fn a_read_that_shows_another_state_than_the_log() {
    catches(Rule::ReadShowsTheLog, |evidence| {
        let call = evidence.calls.iter_mut().find(|call| is_read(call)).unwrap();
        let Some((_, Heard::Seen { state, .. })) = &mut call.heard else { unreachable!() };
        *state = JobState::Running;
    });
}

#[test]
fn a_read_that_shows_a_frame_that_the_job_does_not_have() {
    catches(Rule::ReadShowsTheLog, |evidence| {
        let call = evidence.calls.iter_mut().find(|call| is_read(call)).unwrap();
        let Some((_, Heard::Seen { n, .. })) = &mut call.heard else { unreachable!() };
        *n = FrameNumber(2);
    });
}

#[test]
fn a_run_that_no_worker_was_told_of() {
    catches(Rule::RunWasAssigned, |evidence| {
        let at = evidence.runs[0].at;
        evidence.runs.push(Run { job: job(SIMPLE), attempt: Attempt(2), at });
    });
}

#[test]
fn a_run_before_the_log_had_assigned_it() {
    catches(Rule::RunAfterAssigned, |evidence| {
        evidence.runs[0].at = evidence.runs[0].at - Duration::from_secs(1);
    });
}

#[test]
fn an_attempt_that_ran_twice() {
    catches(Rule::RunOnce, |evidence| {
        let run = evidence.runs[0];
        evidence.runs.push(run);
    });
}

#[test]
fn a_success_that_never_ran() {
    catches(Rule::SuccessDidRun, |evidence| {
        evidence.runs.retain(|run| run.job != job(SIMPLE));
    });
}

fn view(evidence: &mut Evidence) -> &mut View {
    evidence.view.as_mut().expect("the true history has rows")
}

#[test]
fn rows_that_stop_short_of_the_log() {
    catches(Rule::RowsAreComplete, |evidence| view(evidence).n = FrameNumber(9));
}

#[test]
fn a_row_that_says_something_else_than_the_log() {
    let falsifications: [fn(&mut JobRow); 7] = [
        |row| row.status = JobState::Running,
        |row| row.attempt = Attempt(7),
        |row| row.ended_at = None,
        |row| row.outputs = None,
        |row| row.inputs = Some(RawJson::default()),
        |row| row.n = row.n.next(),
        |row| row.reserved_resources = None,
    ];
    for falsify in falsifications {
        catches(Rule::RowIsTheFold, |evidence| {
            let rows = &mut view(evidence).jobs;
            falsify(rows.iter_mut().find(|row| row.id == job(SIMPLE)).unwrap());
        });
    }
}

#[test]
fn a_job_without_a_row() {
    catches(Rule::JobHasRow, |evidence| {
        view(evidence).jobs.pop();
    });
}

#[test]
fn a_row_without_a_job() {
    catches(Rule::RowHasJob, |evidence| {
        let mut row = view(evidence).jobs[0].clone();
        row.id = job(99);
        view(evidence).jobs.push(row);
    });
}

#[test]
fn balances_in_rows_that_are_not_the_sums_of_their_jobs() {
    catches(Rule::RowsBalance, |evidence| {
        view(evidence).ledger_differences.push("acme/user/ada reserves 3".to_owned());
    });
}

#[test]
fn a_rebuild_that_makes_other_rows() {
    catches(Rule::RebuildIsEqual, |evidence| view(evidence).rebuilt = "other".to_owned());
}

/// All sums agree, and the life cycle allows it.
#[test]
fn core_seconds_that_were_used_and_are_given_back() {
    let falsify = |evidence: &mut Evidence| {
        rewrite(evidence, |lines| {
            for fact in &mut entry(lines, job(SIMPLE), "settled").facts {
                match fact {
                    FactOrUnknown::Known(Fact::Settled { cpu_seconds, .. }) => *cpu_seconds -= 1,
                    FactOrUnknown::Known(Fact::Released { cpu_seconds, .. }) => *cpu_seconds += 1,
                    _ => {}
                }
            }
        });
    };
    catches(Rule::LedgerExplained, falsify);
    catches(Rule::FollowsAgain, falsify);
}

#[test]
fn a_priority_that_nobody_asked_for() {
    catches(Rule::FollowsAgain, |evidence| {
        rewrite(evidence, |lines| {
            for fact in &mut entry(lines, job(SIMPLE), "submitted").facts {
                if let FactOrUnknown::Known(Fact::Submitted(submitted)) = fact {
                    submitted.priority = 9;
                }
            }
        });
    });
}
