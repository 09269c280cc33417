//! What the tests of several machines begin with.

use std::time::Duration;

use nox_contract::{
    ApiKey, Attempt, AttemptEnd, Cancel, Capacity, Chain, Command, CommandMessage, CreateKey,
    Epoch, EpochRecord, Frame, FrameNumber, Hello, Incarnation, JobError, JobId, KeyId, Manifest,
    Origin, Positions, RawJson, Report, ReportMessage, Resources, RetryPolicy, SchedulerConfig,
    SessionId, Source, Submit, Timestamp, Token, Usage, WorkerId,
    report::{Ended, Started, Stopped},
    subject,
};
use nox_core::{Internal, Rules, State};

use crate::{
    Reader, Record,
    replay::Recorded,
    sequencer::{Input, Sequencer},
    takeover::decode_input,
};

/// What a small job asks for.
pub const SMALL: Resources = Resources { cpu: 1, mem_mb: 1, wall_time_s: 60, gpu: 0 };

/// A small submit that is refused, for nobody knows its module, and was promised: it causes several facts.
pub fn submit(job_id: JobId) -> Submit {
    Submit {
        module_version: None,
        worker_labels: Default::default(),
        job_id,
        user_id: "ada".parse().unwrap(),
        role: "user".to_owned(),
        module: "unknown".parse().unwrap(),
        inputs: RawJson::default(),
        requested_resources: SMALL,
        priority: 5,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        seen: FrameNumber(0),
        pending: true,
        task: None,
        metadata: None,
        concurrency: None,
        draft: false,
        traceparent: None,
    }
}

/// A log of one term as a leader writes it, with all that it consumed.
pub struct Recording {
    sequencer: Sequencer,
    reader: Reader,
    pub epoch: EpochRecord,
    pub frames: Vec<Frame>,
    pub inputs: Recorded,
    commands: u64,
    reports: u64,
}

/// The key of its tokens.
pub const TOKEN_KEY: [u8; 32] = [7; 32];

/// The only worker of a recording; it has one slot.
pub fn worker() -> WorkerId {
    "w1".parse().unwrap()
}

pub fn job(number: u32) -> JobId {
    format!("00000000-0000-0000-0000-{number:012}").parse().unwrap()
}

pub fn second(second: u64) -> Timestamp {
    "2026-11-21T22:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_secs(second)
}

/// A worker that serves `noop`, one attempt at a time.
pub fn hello() -> Report {
    Report::Hello(Box::new(Hello {
        origin: Origin::default(),
        capacity: Capacity { slots: 1, cpu: 64, mem_mb: 64, gpu: 0 },
        modules: vec![Manifest {
            name: "noop".parse().unwrap(),
            version: "1".to_owned(),
            title: String::new(),
            input_schema: RawJson::of(&true).unwrap(),
            output_schema: RawJson::of(&true).unwrap(),
            resources: SMALL,
            retry: RetryPolicy { attempts_max: 2, ..RetryPolicy::default() },
            running_max: None,
            starts_per_minute: None,
        }],
        labels: Vec::new(),
    }))
}

impl Recording {
    pub fn new(faults: nox_core::Faults) -> Self {
        let life = |name: &str| Incarnation(name.to_owned());
        let epoch = EpochRecord {
            epoch: Epoch(1),
            leader: "leader".to_owned(),
            at: second(0),
            commands: life("commands/0"),
            reports: life("reports/0"),
        };
        let (mut state, mut reader) = (State::default(), Reader::default());
        let payload = serde_json::to_vec(&epoch).unwrap();
        reader.read(subject::EPOCH, &payload).unwrap();
        state.apply_epoch(FrameNumber(1), &epoch).unwrap();
        let rules = Rules { token_key: TOKEN_KEY, faults };
        let pos = Positions::default();
        let sequencer = Sequencer::new(state, pos, Chain::START.extend(&payload), rules);
        let inputs = Recorded::new(life("commands/0"), life("reports/0"));
        Self { sequencer, reader, epoch, frames: Vec::new(), inputs, commands: 0, reports: 0 }
    }

    pub fn internal(&mut self, internal: Internal, at: Timestamp) {
        self.sequencer.run(&Input::Internal(internal), at).unwrap();
    }

    pub fn look(&mut self, at: Timestamp) {
        self.internal(Internal::Match { placements_max: 9, looks_max: 99, behind: None }, at);
    }

    pub fn commands(&mut self, commands: Vec<Command>, at: Timestamp) {
        let message = CommandMessage::new(None, commands);
        self.commands += 1;
        let message = serde_json::to_vec(&message).unwrap();
        self.take(Source::Commands, self.commands, "nox.cmd.acme", message, at);
    }

    pub fn reports(&mut self, reports: Vec<Report>, at: Timestamp) {
        let message = ReportMessage { session: SessionId(job(1).0), reports };
        self.reports += 1;
        let message = serde_json::to_vec(&message).unwrap();
        self.take(Source::Reports, self.reports, &subject::reports(&worker()), message, at);
    }

    fn take(&mut self, src: Source, seq: u64, subject: &str, message: Vec<u8>, at: Timestamp) {
        let input = decode_input(src, seq, subject, &message).unwrap();
        self.inputs.push(src, seq, subject.to_owned(), message.into());
        self.sequencer.run(&input, at).unwrap();
    }

    pub fn seal(&mut self, at: Timestamp) {
        self.sequencer.seal(at).unwrap();
        for sealed in self.sequencer.take_sealed() {
            let Record::Frame(frame) = self.reader.read(subject::FRAMES, &sealed.payload).unwrap()
            else {
                panic!("no frame")
            };
            self.frames.push(*frame);
        }
    }

    pub fn state(&self) -> &State {
        self.sequencer.state()
    }

    /// The token of the attempt, if it runs.
    fn token(&self, job_id: JobId, attempt: Attempt) -> Token {
        let worker = self.state().workers.get(&worker()).unwrap();
        let assigned = worker.assignments.get(&job_id);
        let n = assigned.map_or(FrameNumber(0), |assigned| assigned.assigned_n);
        Token::compute(&TOKEN_KEY, job_id, attempt, n)
    }

    pub fn started(&self, job_id: JobId, attempt: Attempt) -> Report {
        let token = self.token(job_id, attempt);
        Report::Started(Started { job_id, attempt, token, elapsed_ms: 1 })
    }

    pub fn ended(&self, job_id: JobId, attempt: Attempt, end: AttemptEnd) -> Report {
        let token = self.token(job_id, attempt);
        let usage = Usage { wall_ms: 1_500, ..Usage::default() };
        Report::Ended(Box::new(Ended { job_id, attempt, token, started: true, end, usage }))
    }

    pub fn stopped(&self, job_id: JobId, attempt: Attempt) -> Report {
        let token = self.token(job_id, attempt);
        Report::Stopped(Stopped { job_id, attempt, token, usage: Usage::default() })
    }

    /// Two jobs on one worker: one succeeds, one fails first; beside them what leads to nothing, and a report that
    /// is forged.
    pub fn story(faults: nox_core::Faults) -> Self {
        let mut log = Self::new(faults);
        let submit = |number| {
            let submit = Submit {
                module: "noop".parse().unwrap(),
                pending: false,
                seen: FrameNumber(1),
                ..submit(job(number))
            };
            Command::Submit(Box::new(submit))
        };
        let nobodys = Cancel { job_id: job(77), by: "ada".parse().unwrap(), admin: false };
        let succeeded = || AttemptEnd::Succeeded { outputs: RawJson::default() };
        let error = JobError {
            code: "exit_status".to_owned(),
            message: "it ended with 1".to_owned(),
            exit_status: Some(1),
        };
        let config = SchedulerConfig::default();
        log.internal(Internal::Configure { config }, second(1));
        log.reports(vec![hello()], second(1));
        let key = ApiKey {
            name: "a machine".to_owned(),
            user_id: "ada".parse().unwrap(),
            role: "user".to_owned(),
            scopes: Default::default(),
            expires_at: None,
            hash: "0".repeat(64),
        };
        let (key_id, by) = (KeyId(job(9).0), "ada".parse().unwrap());
        let key = Command::CreateKey(Box::new(CreateKey { key_id, key, by }));
        log.commands(vec![Command::Cancel(nobodys.clone()), submit(1), submit(2), key], second(1));
        log.look(second(1));
        log.seal(second(1));
        let forged = Report::Ended(Box::new(Ended {
            job_id: job(1),
            attempt: Attempt(1),
            token: Token::compute(&[8; 32], job(1), Attempt(1), FrameNumber(2)),
            started: true,
            end: succeeded(),
            usage: Usage::default(),
        }));
        let started = log.started(job(1), Attempt(1));
        log.reports(vec![forged, started], second(2));
        log.seal(second(2));
        let ended = log.ended(job(1), Attempt(1), succeeded());
        log.reports(vec![ended], second(3));
        log.look(second(3));
        log.seal(second(3));
        let end = AttemptEnd::Failed { error, retryable: true, crashed: false };
        let ended = log.ended(job(2), Attempt(1), end);
        log.reports(vec![ended], second(4));
        log.commands(vec![Command::Cancel(nobodys)], second(4));
        log.seal(second(4));
        log.internal(Internal::Timer { due: vec![job(2)] }, second(60));
        log.seal(second(60));
        let ended = log.ended(job(2), Attempt(2), succeeded());
        log.reports(vec![ended], second(62));
        log.seal(second(62));
        log
    }
}
