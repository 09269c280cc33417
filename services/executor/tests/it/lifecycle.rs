//! A whole executor with a real broker; the scheduler is played by the test.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
    time::Duration,
};

use futures_util::StreamExt;
use nox_contract::{
    AttemptEnd, Beat, HandBack, JobId, Report, ReportMessage, SessionId, StartWork, StopWork, Work,
    WorkMessage, WorkNumber, WorkerId, subject,
};
use nox_devkit::{NatsOptions, NatsServer, Program, Sync};
use nox_service::ids;
use nox_streams::{Broker, Chunks, ConnectOptions, ConsumeError, Durability};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    start_work::start_work,
    support::{
        EXECUTOR, TIMEOUT, alive, children, or_skipped, shipped_modules, stands_still,
        unique_sleep, until,
    },
};

/// A broker, and the test in the place of the scheduler.
pub struct Stage {
    folder: TempDir,
    pub nats: NatsServer,
    pub broker: Broker,
    worker: WorkerId,
    reports: Chunks<ConsumeError>,
    /// Reports that were read and not yet asked for, with their session.
    heard: std::collections::VecDeque<(SessionId, Report)>,
    session: Option<SessionId>,
    last_work: u64,
}

impl Stage {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options =
            NatsOptions { sync: Sync::Relaxed, ..NatsOptions::new(folder.path().join("nats")) };
        let nats = NatsServer::start(options).await.unwrap();
        let broker = Broker::connect(ConnectOptions {
            url: nats.url(),
            service: "scheduler",
            monitor_url: None,
            sync: Durability::Relaxed,
        });
        let broker = broker.await.unwrap();
        broker.declare().await.unwrap();
        let reports = broker.consume(subject::REPORTS, None, 1, None);
        Self {
            folder,
            nats,
            broker,
            worker: "exec-1".parse().unwrap(),
            reports,
            heard: Default::default(),
            session: None,
            last_work: 0,
        }
    }

    /// Takes the stream of reports away from under the executor, and makes a new one.
    async fn delete_reports(&mut self) {
        let url = self.nats.url();
        let (user, address) = url.strip_prefix("nats://").unwrap().split_once('@').unwrap();
        let (user, pass) = user.split_once(':').unwrap();
        let connect = serde_json::json!({"user": user, "pass": pass, "verbose": false});
        let mut connection = std::net::TcpStream::connect(address).unwrap();
        let delete = "PUB $JS.API.STREAM.DELETE.NOX_REPORTS 0\r\n\r\n";
        write!(connection, "CONNECT {connect}\r\n{delete}PING\r\n").unwrap();
        let mut answer = String::new();
        let mut lines = BufReader::new(connection);
        while !answer.ends_with("PONG\r\n") {
            assert_ne!(lines.read_line(&mut answer).unwrap(), 0, "{answer}");
        }
        self.declare_reports().await;
    }

    /// Makes the stream of reports, once the old one is gone, and reads it from its beginning.
    async fn declare_reports(&mut self) {
        let gone = async {
            while self.broker.incarnation(subject::REPORTS).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            while self.broker.declare().await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, gone).await.unwrap();
        self.reports = self.broker.consume(subject::REPORTS, None, 1, None);
        self.heard.clear();
    }

    fn reports_on_disk(&self) -> std::path::PathBuf {
        let streams = self.folder.path().join("nats/jetstream/$G/streams");
        streams.join(subject::REPORTS)
    }

    pub fn executor(&self, more: &[(&str, &str)]) -> Program {
        self.run(Command::new(EXECUTOR), more)
    }

    fn run(&self, mut command: Command, more: &[(&str, &str)]) -> Program {
        command
            .env("NOX_NATS_URL", self.nats.url())
            .env("NOX_SYNC", "relaxed")
            .env("NOX_WORKER_ID", self.worker.as_str())
            .env("NOX_SLOTS", "64")
            .env("NOX_CPU", "64")
            .env("NOX_MODULES", self.modules())
            .env("NOX_ARTIFACTS", self.folder.path().join("artifacts"))
            .env("NOX_DATA", self.folder.path().join("data"))
            .env("NOX_BEAT_MS", "50")
            .env("NOX_LOG", "info,nox=debug")
            .envs(more.iter().copied());
        Program::start(command, &self.folder.path().join("executor.log")).unwrap()
    }

    /// The shipped modules, and one that runs what the test asks for.
    fn modules(&self) -> std::path::PathBuf {
        let modules = self.folder.path().join("modules");
        if !modules.exists() {
            fs::create_dir(&modules).unwrap();
            for name in ["noop", "xtb_hello"] {
                std::os::unix::fs::symlink(shipped_modules().join(name), modules.join(name))
                    .unwrap();
            }
            fs::create_dir(modules.join("sh")).unwrap();
            let toml = "name = 'sh'\nversion = '1'\nsandbox = 'process'\ninput_schema = {}\n\
                        resources = { cpu = 1, mem_mb = 1, wall_time_s = 60 }\n\
                        run = { program = 'sh', args = ['-c', 'eval \"$1\"', 'sh', '{inputs.script}'] }";
            fs::write(modules.join("sh/module.toml"), toml).unwrap();
            fs::create_dir(modules.join("isolated_sh")).unwrap();
            let toml = toml.replace("name = 'sh'", "name = 'isolated_sh'");
            let toml = toml.replace("'process'", "'isolated'");
            fs::write(modules.join("isolated_sh/module.toml"), toml).unwrap();
        }
        modules
    }

    /// The next report of whatever session.
    async fn report(&mut self) -> (SessionId, Report) {
        while self.heard.is_empty() {
            let chunk = tokio::time::timeout(TIMEOUT, self.reports.next()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("no report; {}", self.log()));
            for message in chunk.unwrap().unwrap() {
                let message: ReportMessage = serde_json::from_slice(&message.payload).unwrap();
                let session = message.session;
                self.heard.extend(message.reports.into_iter().map(|report| (session, report)));
            }
        }
        self.heard.pop_front().unwrap()
    }

    /// Waits for a session to begin.
    pub async fn hello(&mut self) -> nox_contract::Hello {
        match self.report().await {
            (session, Report::Hello(hello)) => {
                assert_ne!(self.session, Some(session));
                self.session = Some(session);
                self.last_work = 0;
                *hello
            }
            (_, other) => panic!("no hello but {other:?}"),
        }
    }

    /// The next report, which must be of the present session.
    pub async fn said(&mut self) -> Report {
        let (session, report) = self.report().await;
        assert_eq!(Some(session), self.session);
        report
    }

    /// The next end; on a busy machine a short attempt is reported as started first.
    pub async fn ended(&mut self) -> nox_contract::report::Ended {
        loop {
            match self.said().await {
                Report::Ended(ended) => return *ended,
                Report::Started(_) => {}
                other => panic!("not an end but {other:?}"),
            }
        }
    }

    fn send(&self, work: Vec<Work>) {
        let message = WorkMessage { session: self.session.unwrap(), covers: None, work };
        let payload = serde_json::to_vec(&message).unwrap();
        self.broker.publish_unacked(subject::work(&self.worker), payload.into());
    }

    fn start_work(&mut self, module: &str, inputs: &str) -> StartWork {
        self.last_work += 1;
        let mut start = start_work(ids::job_id(), inputs);
        start.number = WorkNumber(self.last_work);
        start.module = module.parse().unwrap();
        if matches!(module, "noop" | "xtb_hello") {
            start.module_version = "1.0.0".to_owned();
        }
        start
    }

    fn start(&mut self, module: &str, inputs: &str) -> StartWork {
        let start = self.start_work(module, inputs);
        self.send(vec![Work::Start(Box::new(start.clone()))]);
        start
    }

    pub fn script(&mut self, script: &str) -> StartWork {
        let inputs = serde_json::json!({"script": script}).to_string();
        self.start("sh", &inputs)
    }

    fn stop(&mut self, start: &StartWork) {
        self.last_work += 1;
        self.send(vec![Work::Stop(StopWork {
            number: WorkNumber(self.last_work),
            job_id: start.job_id,
            attempt: start.attempt,
            token: start.token.clone(),
        })]);
    }

    /// Reads signs of life until one `holds`.
    async fn beat(&self, holds: impl Fn(&Beat) -> bool) -> Beat {
        let mut beats = self.broker.consume_new(subject::BEATS, None);
        let found = async {
            loop {
                for message in beats.next().await.unwrap().unwrap() {
                    assert_eq!(message.subject, subject::beat(&self.worker));
                    let beat: Beat = serde_json::from_slice(&message.payload).unwrap();
                    if holds(&beat) {
                        return beat;
                    }
                }
            }
        };
        tokio::time::timeout(TIMEOUT, found).await.unwrap_or_else(|_| panic!("{}", self.log()))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("executor.log")).unwrap_or_default()
    }

    fn attempts(&self) -> usize {
        let folder = self.folder.path().join("data/executor-exec-1/attempts");
        fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

fn names(reports: &[Report]) -> Vec<&'static str> {
    let name = |report: &Report| match report {
        Report::Hello(_) => "hello",
        Report::Started(_) => "started",
        Report::Ended(_) => "ended",
        Report::Stopped(_) => "stopped",
        Report::Draining => "draining",
        Report::Paused { .. } => "paused",
        Report::Resumed { .. } => "resumed",
        Report::Bye => "bye",
        Report::Progressed(_) => "progressed",
        Report::Offer(_) => "offer",
        Report::Unreadable => "unreadable",
    };
    reports.iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_declares_itself_runs_attempts_and_says_how_they_went() {
    let mut stage = Stage::new().await;
    let executor = stage.executor(&[]);
    let hello = stage.hello().await;
    assert_eq!((hello.capacity.slots, hello.capacity.cpu), (64, 64));
    let modules: Vec<_> = hello.modules.iter().map(|module| module.name.as_str()).collect();
    let modules: Vec<_> = modules.into_iter().filter(|name| *name != "isolated_sh").collect();
    assert_eq!(modules, ["noop", "sh", "xtb_hello"]);

    let start = stage.start("xtb_hello", r#"{"text": "hello from M9"}"#);
    let ended = stage.ended().await;
    assert_eq!((ended.job_id, &ended.token, ended.started), (start.job_id, &start.token, true));
    let outputs = format!("{:?}", ended.end);
    assert!(outputs.contains(&format!("sandbox://ada/{}/result.txt", start.job_id)), "{outputs}");
    let beat = stage.beat(|beat| beat.held.is_empty() && beat.received_up_to.0 == 1).await;
    assert_eq!(Some(beat.session), stage.session);
    assert!(beat.reports_up_to >= 2);

    let mut logs = Vec::new();
    for _ in 0..1_000 {
        logs = stage.broker.read_logs(&start.tenant, start.job_id, 0, 10, 8 << 20).await.unwrap();
        if !logs.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((&logs[0].bytes[..], logs[0].attempt), (&b"hello from M9"[..], start.attempt));

    let unknown = stage.start("orca", "{}");
    let ended = stage.ended().await;
    assert_eq!((ended.job_id, ended.started), (unknown.job_id, false));
    executor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_attempt_is_reported_as_started_and_stopped_when_it_is_to_be() {
    let mut stage = Stage::new().await;
    let _executor = stage.executor(&[]);
    stage.hello().await;
    let seconds = unique_sleep();
    let start = stage.script(&format!("setsid sleep {seconds} & sleep {seconds}"));
    match stage.said().await {
        Report::Started(started) => {
            assert_eq!((started.job_id, started.token), (start.job_id, start.token.clone()));
            assert!((5..5_000).contains(&started.elapsed_ms));
        }
        other => panic!("{other:?}"),
    }
    until("both run", || alive(&seconds).len() == 2).await;
    stage.beat(|beat| beat.held.len() == 1).await;
    stage.stop(&start);
    match stage.said().await {
        Report::Stopped(stopped) => {
            assert_eq!((stopped.job_id, stopped.token), (start.job_id, start.token));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(alive(&seconds), [0i32; 0]);
    stage.beat(|beat| beat.held.is_empty() && beat.received_up_to.0 == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_executor_gives_no_attempt_more_time_than_it_asked_for() {
    let mut stage = Stage::new().await;
    let mut executor = stage.executor(&[]);
    stage.hello().await;
    let seconds = unique_sleep();
    let clock = nox_service::Clock::system();
    let began = clock.monotonic();
    // The first prints until nobody reads it any more, the second ends in time.
    for script in [&*format!("yes & setsid sleep {seconds} & sleep {seconds}"), "sleep 1"] {
        let inputs = serde_json::json!({"script": script}).to_string();
        let mut start = stage.start_work("sh", &inputs);
        start.resources.wall_time_s = 3;
        stage.send(vec![Work::Start(Box::new(start))]);
        assert_eq!(names(&[stage.said().await]), ["started"]);
    }
    until("both sleep", || alive(&seconds).len() == 2).await;

    executor.freeze();
    until("nothing runs", || alive(&seconds).is_empty()).await;
    let took = clock.monotonic() - began;
    assert!(took < Duration::from_secs(7), "{took:?}");

    // The executor's own clock says by now that both are late.
    tokio::time::sleep(Duration::from_secs(2)).await;
    executor.thaw();
    let mut ends = [stage.ended().await, stage.ended().await];
    ends.sort_by_key(|ended| ended.usage.wall_ms);
    let [ended, killed] = ends.map(|ended| format!("{:?}", ended.end));
    assert!(ended.starts_with("Succeeded"), "{ended}");
    assert!(killed.contains("wall_time"), "{killed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_killed_leaves_nothing_and_its_next_life_tells_what_had_begun() {
    let mut stage = Stage::new().await;
    let mut executor = stage.executor(&[]);
    stage.hello().await;
    let old = stage.session;
    let seconds = unique_sleep();
    let script =
        format!("setsid sleep {seconds} & env -i setsid sleep {seconds} & sleep {seconds}");
    let job = stage.script(&script).job_id;
    assert_eq!(names(&[stage.said().await]), ["started"]);
    until("all of them run", || alive(&seconds).len() == 3).await;

    executor.kill9();
    // The supervisor notices by itself, before there is a next life.
    until("nothing runs", || alive(&seconds).is_empty()).await;
    assert_eq!(stage.attempts(), 1);

    let _executor = stage.executor(&[]);
    // In the old session's name, before the new one makes its attempts lost.
    match stage.report().await {
        (session, Report::Started(started)) => {
            assert_eq!((Some(session), started.job_id), (old, job));
        }
        other => panic!("{other:?}"),
    }
    stage.hello().await;
    assert_eq!(stage.attempts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_executor_and_supervisor_ends_with_the_next_life() {
    what_outlives_them_ends(&[]).await;
    // Held by a user of its own where the executor is root, else by nothing: then it is looked for.
    what_outlives_them_ends(&[("NOX_SANDBOX_WITHOUT", "cgroup")]).await;
}

async fn what_outlives_them_ends(settings: &[(&str, &str)]) {
    let mut stage = Stage::new().await;
    let mut executor = stage.executor(settings);
    stage.hello().await;
    let seconds = unique_sleep();
    stage.script(&format!("setsid sleep {seconds} & sleep {seconds}"));
    assert_eq!(names(&[stage.said().await]), ["started"]);
    until("both run", || alive(&seconds).len() == 2).await;
    // Frozen first, so that it cannot do its work when the executor is gone.
    let supervisors = alive("--nox-supervisor");
    let folder = format!("{}/", stage.folder.path().display());
    let ours = |pid: &i32| {
        children(*pid).into_iter().any(|child| {
            let environment = fs::read(format!("/proc/{child}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&folder)
        })
    };
    let supervisor = *supervisors.iter().find(|pid| ours(pid)).unwrap();
    let signal = |signal| {
        let pid = Pid::from_raw(supervisor).unwrap();
        kill_process(pid, signal).unwrap();
    };
    signal(Signal::STOP);
    // The signal is only a request until every thread has seen it.
    until("the supervisor stands still", || stands_still(supervisor)).await;
    executor.kill9();
    signal(Signal::KILL);
    assert_eq!(alive(&seconds).len(), 2, "the control: nobody has ended them yet");

    let _executor = stage.executor(settings);
    stage.report().await;
    assert_eq!(alive(&seconds), [0i32; 0]);
}

/// Whatever it finds: neither level lets a job reach the executor or its supervisor.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_executor_and_supervisor_kills_neither() {
    let mut stage = Stage::new().await;
    let executor = stage.executor(&[]);
    let hello = stage.hello().await;
    let seconds = unique_sleep();
    let tries = format!(
        "setsid sleep {seconds} & for pid in $PPID {}; do kill -KILL $pid && echo killed; done; \
         exit 3",
        executor.pid()
    );
    for module in ["sh", "isolated_sh"] {
        if !hello.modules.iter().any(|one| one.name.as_str() == module) {
            println!("skipped: {module} is left out here");
            continue;
        }
        let inputs = serde_json::json!({"script": tries}).to_string();
        let job = stage.start(module, &inputs).job_id;
        let ended = stage.ended().await;
        let end = format!("{:?}", ended.end);
        assert!(ended.job_id == job && end.contains("exit status 3"), "{module}: {end}");
        assert!(!end.contains("stdout: killed"), "{module}: {end}");
        assert_eq!(alive(&seconds), [0i32; 0], "{module}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_between_its_journal_and_the_spawn_says_that_it_began() {
    for point in ["executor.before_spawn", "executor.after_spawn"] {
        let mut stage = Stage::new().await;
        let mut executor = stage.executor(&[("NOX_CRASH_POINT", point)]);
        stage.hello().await;
        let job = stage.script("sleep 60").job_id;
        until("it dies", || executor.ended().unwrap().is_some()).await;
        let _executor = stage.executor(&[]);
        match stage.report().await {
            (_, Report::Started(started)) => assert_eq!(started.job_id, job, "{point}"),
            other => panic!("{point}: {other:?}"),
        }
        stage.hello().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_was_not_acknowledged_before_a_crash_is_told_or_lost_but_never_made_up() {
    for (point, told) in [("executor.before_report:2", false), ("executor.after_report:2", true)] {
        let mut stage = Stage::new().await;
        let mut executor = stage.executor(&[("NOX_CRASH_POINT", point)]);
        stage.hello().await;
        let job = stage.start("noop", "{}").job_id;
        until("it dies", || executor.ended().unwrap().is_some()).await;
        let old = stage.session;
        let _executor = stage.executor(&[]);
        if told {
            match stage.report().await {
                (session, Report::Ended(ended)) => {
                    assert_eq!((Some(session), ended.job_id), (old, job));
                }
                other => panic!("{point}: {other:?}"),
            }
        }
        stage.hello().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_given_up_is_followed_by_another_when_nothing_of_it_runs() {
    let mut stage = Stage::new().await;
    let _executor = stage.executor(&[]);
    stage.hello().await;
    let seconds = unique_sleep();
    stage.script(&format!("setsid sleep {seconds} & sleep {seconds}"));
    assert_eq!(names(&[stage.said().await]), ["started"]);
    until("both run", || alive(&seconds).len() == 2).await;
    stage.send(vec![Work::Superseded]);
    stage.hello().await;
    assert_eq!(alive(&seconds), [0i32; 0]);
    let job = stage.start("noop", "{}").job_id;
    assert_eq!(stage.ended().await.job_id, job);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_told_after_the_broker_was_away() {
    let mut stage = Stage::new().await;
    let _executor = stage.executor(&[]);
    stage.hello().await;
    let job = stage.script("sleep 0.5").job_id;
    assert_eq!(names(&[stage.said().await]), ["started"]);
    stage.nats.kill9();
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.nats.restart().await.unwrap();
    assert_eq!(stage.ended().await.job_id, job);
    // The stream of work lost its memory; what is sent from now on arrives all the same.
    stage.beat(|beat| beat.held.is_empty()).await;
    let job = stage.start("noop", "{}").job_id;
    assert_eq!(stage.ended().await.job_id, job);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_reports_are_lost_is_followed_by_another() {
    let mut stage = Stage::new().await;
    let _executor = stage.executor(&[]);
    stage.hello().await;
    let lost = stage.start("noop", "{}").job_id;
    assert_eq!(stage.ended().await.job_id, lost);
    let seconds = unique_sleep();
    stage.script(&format!("sleep {seconds}"));
    assert_eq!(names(&[stage.said().await]), ["started"]);

    // While the connection lasts, then with a reconnect.
    stage.delete_reports().await;
    stage.hello().await;
    assert_eq!(alive(&seconds), [0i32; 0]);
    let job = stage.start("noop", "{}").job_id;
    assert_eq!(stage.ended().await.job_id, job);

    stage.nats.kill9();
    fs::remove_dir_all(stage.reports_on_disk()).unwrap();
    stage.nats.restart().await.unwrap();
    stage.declare_reports().await;
    stage.hello().await;
    let job = stage.start("noop", "{}").job_id;
    assert_eq!(stage.ended().await.job_id, job);
    assert!(stage.log().contains("Reports are lost"), "{}", stage.log());
}

/// As an ordinary user, whoever runs the test: root reads everything.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_executor_runs_cannot_read_its_secrets() {
    const NOBODY: u32 = 65_534;
    let mut stage = Stage::new().await;
    let mut command = Command::new(EXECUTOR);
    if rustix::process::getuid().is_root() {
        for folder in ["", "data", "artifacts"] {
            let folder = stage.folder.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    let executor = stage.run(command, &[]);
    stage.hello().await;
    let pid = executor.pid();
    let ends = format!("tr '\\0' '\\n' < /proc/{pid}/environ; head -c 1 /proc/{pid}/mem; id -u");
    let job = stage.script(&format!("{{ {ends}; }} 2>&1; sleep 0.5; exit 1")).job_id;
    let ended = stage.ended().await;
    let end = format!("{:?}", ended.end);
    assert_eq!(ended.job_id, job);
    assert!(end.matches("Permission denied").count() == 2 && !end.contains("NOX_"), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_asked_to_stop_finishes_what_it_can_and_says_goodbye() {
    let mut stage = Stage::new().await;
    let executor = stage.executor(&[]);
    stage.hello().await;
    let short = stage.script("sleep 1").job_id;
    let seconds = unique_sleep();
    let long = stage.script(&format!("sleep {seconds}")).job_id;
    for _ in 0..2 {
        assert_eq!(names(&[stage.said().await]), ["started"]);
    }
    executor.stop().await;
    let mut reports = Vec::new();
    while !matches!(reports.last(), Some(Report::Bye)) {
        reports.push(stage.said().await);
    }
    assert_eq!(names(&reports), ["draining", "ended", "ended", "bye"]);
    assert!(matches!(&reports[1], Report::Ended(ended) if ended.job_id == short));
    let Report::Ended(ended) = &reports[2] else { panic!("{reports:?}") };
    assert_eq!((ended.job_id, &ended.end), (long, &AttemptEnd::HandedBack(HandBack::Draining)));
    assert_eq!(alive(&seconds), [0i32; 0]);
    assert_eq!(stage.attempts(), 0);
    assert!(stage.log().contains("Stopped"), "{}", stage.log());
}

#[test]
fn a_service_whose_log_cannot_be_written_does_not_end_for_that() {
    let log = fs::File::options().write(true).open("/dev/full").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(EXECUTOR);
    command.env("NOX_MODULES", "/nonexistent").env("NOX_DATA", folder.path());
    let ended = command.stderr(log).status().unwrap();
    // It says what is wrong in vain, and ends as if it had been heard; a panic is 101.
    assert_eq!(ended.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_cut_off_is_told_by_the_next_life() {
    let mut stage = Stage::new().await;
    let mut executor = stage.executor(&[("NOX_STOP_GRACE_S", "600")]);
    let origin = stage.hello().await.origin;
    let old = stage.session;
    let seconds = unique_sleep();
    let job = stage.script(&format!("sleep {seconds}")).job_id;
    assert_eq!(names(&[stage.said().await]), ["started"]);
    let pid = Pid::from_raw(i32::try_from(executor.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(names(&[stage.said().await]), ["draining"]);
    executor.kill9();

    let _executor = stage.executor(&[]);
    let (session, draining) = stage.report().await;
    assert_eq!((Some(session), draining), (old, Report::Draining));
    let (session, started) = stage.report().await;
    assert!(matches!(started, Report::Started(started) if started.job_id == job));
    assert_eq!(Some(session), old);
    let again = stage.hello().await.origin;
    assert_eq!(again.instance, origin.instance, "its folder is the same");
    assert_ne!(again.process, origin.process);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_cannot_run_attempts_hands_them_back_and_takes_none_until_it_can() {
    let mut stage = Stage::new().await;
    let supervisor = stage.folder.path().join("supervisor");
    std::os::unix::fs::symlink(EXECUTOR, &supervisor).unwrap();
    let _executor = stage.executor(&[("NOX_SUPERVISOR", supervisor.to_str().unwrap())]);
    stage.hello().await;
    fs::remove_file(&supervisor).unwrap();
    let job = stage.script("exit 0").job_id;
    assert_eq!(names(&[stage.said().await]), ["paused"]);
    let is_handed_back = |end: &AttemptEnd| {
        matches!(end, AttemptEnd::HandedBack(HandBack::CannotRun { reason })
            if reason.contains("No such file"))
    };
    let ended = stage.ended().await;
    assert!(ended.job_id == job && is_handed_back(&ended.end), "{ended:?}");
    // What was on its way comes back as well, and what needs no process, too.
    let job = stage.start("noop", "{}").job_id;
    let ended = stage.ended().await;
    assert!(ended.job_id == job && is_handed_back(&ended.end), "{ended:?}");

    std::os::unix::fs::symlink(EXECUTOR, &supervisor).unwrap();
    assert_eq!(names(&[stage.said().await]), ["resumed"]);
    let job = stage.script("exit 0").job_id;
    let ended = stage.ended().await;
    assert!(ended.job_id == job && matches!(ended.end, AttemptEnd::Succeeded { .. }), "{ended:?}");
}

/// A machine that can run programs, and has no more namespaces to give for the moment.
#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_cannot_isolate_takes_no_work_until_it_can() {
    let mut stage = Stage::new().await;
    let bubblewrap = stage.folder.path().join("bwrap");
    let write = |script: &str| {
        fs::write(&bubblewrap, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&bubblewrap, Permissions::from_mode(0o755)).unwrap();
    };
    write("exec bwrap \"$@\"");
    let _executor = stage.executor(&[("NOX_BWRAP", bubblewrap.to_str().unwrap())]);
    let hello = stage.hello().await;
    let is_isolated = hello.labels.contains(&"sandbox:isolated".to_owned());
    let Some(()) = or_skipped("isolation", is_isolated.then_some(())) else { return };
    write("echo 'Creating new namespace failed: Resource temporarily unavailable' >&2; exit 1");
    let isolated = serde_json::json!({"script": "exit 0"}).to_string();
    let job = stage.start("isolated_sh", &isolated).job_id;
    let said = stage.said().await;
    assert_eq!(names(std::slice::from_ref(&said)), ["paused"], "{said:?}");
    let ended = stage.ended().await;
    assert!(
        ended.job_id == job
            && matches!(&ended.end, AttemptEnd::HandedBack(HandBack::CannotRun { reason })
                if reason.contains("temporarily unavailable")),
        "{ended:?}"
    );
    // Looked at again more than once meanwhile, and found to be no better.
    let looks = || stage.log().matches("unavailable").count();
    let looked = looks();
    until("it has looked again", || looks() > looked + 1).await;
    assert!(stage.heard.is_empty());
    write("exec bwrap \"$@\"");
    assert_eq!(names(&[stage.said().await]), ["resumed"]);
    let job = stage.start("isolated_sh", &isolated).job_id;
    let ended = stage.ended().await;
    assert!(ended.job_id == job && matches!(ended.end, AttemptEnd::Succeeded { .. }), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_not_taken_on_ends_with_the_reason() {
    let mut stage = Stage::new().await;
    let mut executor = stage.executor(&[]);
    stage.hello().await;
    let reason = "another executor named exec-1 is at work".to_owned();
    stage.send(vec![Work::Refused { reason: reason.clone() }]);
    until("it gives up", || executor.ended().unwrap().is_some()).await;
    assert!(!executor.ended().unwrap().unwrap().success());
    assert!(stage.log().contains(&reason), "{}", stage.log());
}

/// It was taken on, and no worker of another folder takes its place while it lives.
#[tokio::test(flavor = "multi_thread")]
async fn an_executor_whose_place_a_copy_of_it_took_ends_with_the_reason() {
    let mut stage = Stage::new().await;
    let mut executor = stage.executor(&[]);
    stage.hello().await;
    stage.send(vec![Work::Joined]);
    stage.beat(|beat| beat.joined).await;
    stage.send(vec![Work::Refused { reason: "another executor of the name".to_owned() }]);
    until("it gives up", || executor.ended().unwrap().is_some()).await;
    assert!(!executor.ended().unwrap().unwrap().success());
    assert!(stage.log().contains("was copied while this executor lives"), "{}", stage.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_executors_of_one_name_do_not_share_a_folder() {
    let mut stage = Stage::new().await;
    let _executor = stage.executor(&[]);
    stage.hello().await;
    let mut second = stage.executor(&[]);
    until("it gives up", || second.ended().unwrap().is_some()).await;
    assert!(stage.log().contains("another executor of this name"), "{}", stage.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_no_supervisor_is_refused_before_anything_is_promised() {
    let stage = Stage::new().await;
    for program in ["/bin/cat", "/bin/true", "/nonexistent", EXECUTOR.trim_end_matches('r')] {
        let mut executor = stage.executor(&[("NOX_SUPERVISOR", program)]);
        until("it gives up", || executor.ended().unwrap().is_some()).await;
    }
    assert!(stage.log().contains("/bin/true cannot supervise attempts"), "{}", stage.log());
    assert_eq!(stage.broker.last_sequence(subject::REPORTS).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_short_attempts_share_few_messages() {
    const JOBS: u64 = 20_000;
    let mut stage = Stage::new().await;
    let _executor = stage.executor(&[("NOX_SLOTS", "1000")]);
    stage.hello().await;
    let clock = nox_service::Clock::system();
    let mut expected: BTreeMap<JobId, ()> = BTreeMap::new();
    let work: Vec<Work> = (0..JOBS)
        .map(|_| {
            let start = stage.start_work("noop", "{}");
            expected.insert(start.job_id, ());
            Work::Start(Box::new(start))
        })
        .collect();
    let began = clock.monotonic();
    for work in work.chunks(500) {
        stage.send(work.to_vec());
    }
    for _ in 0..JOBS {
        let ended = stage.ended().await;
        assert!(ended.started && expected.remove(&ended.job_id).is_some());
    }
    let took = clock.monotonic() - began;
    let messages = stage.broker.last_sequence(subject::REPORTS).await.unwrap() - 1;
    println!("{JOBS} attempts in {took:?}, {messages} messages");
    assert!(expected.is_empty());
    assert!(messages * 20 < JOBS, "{messages} messages");
    stage.beat(|beat| beat.held.is_empty() && beat.received_up_to.0 == JOBS).await;
}
