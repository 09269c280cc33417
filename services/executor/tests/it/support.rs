//! What the tests of single attempts share: a place to run them in, and a look at what they leave.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nox_contract::{AttemptEnd, JobError, StartWork};
use nox_executor::{
    attempt::{Finished, Runner},
    log_buffer::Sent,
    log_writer::Logs,
    manifest::Manifest,
    metrics::Metrics,
    sandbox::{
        Level,
        host::{Asking, Host, Layer, Settings},
    },
};
use nox_service::{Clock, ids};
use nox_store::Artifacts;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::start_work::start_work;

/// The supervisor: this crate's own program.
pub const EXECUTOR: &str = env!("CARGO_BIN_EXE_nox-executor");

/// The same, for a test that is run where that cannot be reached.
pub fn executor() -> PathBuf {
    std::env::var_os("NOX_TEST_EXECUTOR").map_or_else(|| EXECUTOR.into(), PathBuf::from)
}

/// Longest wait for anything that is to happen.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The folder of the modules that Nox comes with.
pub fn shipped_modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules")
}

/// A program that a test cannot do without; a laptop may lack it and skip the test, CI may not.
pub fn or_skipped<T>(name: &str, found: Option<T>) -> Option<T> {
    let in_ci = std::env::var("CI").as_deref() == Ok("true");
    assert!(found.is_some() || !in_ci, "{name} is missing, and CI=true");
    if found.is_none() {
        println!("skipped: {name} is not installed");
    }
    found
}

/// Where attempts are run, one after the other.
pub struct Place {
    pub folder: TempDir,
    pub runner: Runner,
    printed: mpsc::UnboundedReceiver<Sent>,
    /// What is run next.
    pub start: StartWork,
    /// The sandbox level of the next script.
    pub level: &'static str,
}

impl Place {
    pub async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    /// One that runs what is not shut in.
    pub async fn trusting() -> Self {
        let settings = Settings { sandbox_allow_none: true, ..Settings::default() };
        Self { level: "none", ..Self::with(settings).await }
    }

    pub async fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let is_closed = std::env::var_os("NOX_TEST_CLOSED").is_some();
        let mode = if is_closed { 0o700 } else { 0o711 };
        fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
        let kept = folder.path().join("artifacts");
        let artifacts = Artifacts::create(kept.to_str().unwrap(), false).unwrap();
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let logs = Logs::new(metrics.clone());
        let (stored, printed) = mpsc::unbounded_channel();
        tokio::spawn(store(logs.clone(), stored));
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let data = data.canonicalize().unwrap();
        let host = host(&settings, &data, &folder.path().join("artifacts")).await;
        let runner = Runner {
            progress: None,
            session: ids::session_id(),
            supervisor: executor(),
            host: Arc::new(host),
            data,
            artifacts: Arc::new(artifacts),
            logs,
            clock: Clock::system(),
            metrics,
        };
        Self { folder, runner, printed, start: start_work(ids::job_id(), "{}"), level: "process" }
    }

    /// A module whose program is `sh`, with `script` as its only argument, and `more` of a manifest.
    pub fn script(&self, script: &str, more: &str) -> Manifest {
        let toml = format!(
            "name = 'script'\nversion = '1'\nsandbox = '{}'\ninput_schema = {{}}\n\
             resources = {{ cpu = 1, mem_mb = 64, wall_time_s = 60 }}\n\
             run = {{ program = 'sh', args = ['-c', {}] }}\n{more}",
            self.level,
            toml::Value::from(script.replace('{', "{{").replace('}', "}}"))
        );
        manifest(&self.folder, &toml)
    }

    /// The sandbox level of the next script.
    pub fn level(&self) -> Level {
        Level::ALL.into_iter().find(|level| level.name() == self.level).unwrap()
    }

    pub async fn run(&mut self, manifest: &Manifest) -> Finished {
        self.run_until(manifest, CancellationToken::new(), || ()).await
    }

    pub async fn run_until(
        &mut self,
        manifest: &Manifest,
        stop: CancellationToken,
        spawned: impl FnOnce(),
    ) -> Finished {
        let sh = Path::new("/bin/sh");
        let run = self.runner.run(&self.start, manifest, sh, stop, spawned);
        let finished = tokio::time::timeout(TIMEOUT, run).await.expect("the attempt ends");
        assert_eq!(fs::read_dir(self.runner.data.join("attempts")).unwrap().count(), 0);
        finished
    }

    /// Runs another program than `sh`.
    pub async fn run_program(&mut self, manifest: &Manifest, program: &Path) -> Finished {
        let stop = CancellationToken::new();
        self.runner.run(&self.start, manifest, program, stop, || ()).await
    }

    /// All that was printed so far.
    pub fn printed(&mut self) -> String {
        let mut text = String::new();
        while let Ok(sent) = self.printed.try_recv() {
            assert_eq!(sent.lane, (self.start.job_id, self.start.attempt));
            text.push_str(&String::from_utf8_lossy(&sent.piece.bytes));
        }
        text
    }

    /// A kept file that is text.
    pub fn kept(&self, name: &str) -> Option<String> {
        self.kept_bytes(name).and_then(|bytes| String::from_utf8(bytes).ok())
    }

    /// A kept file.
    pub fn kept_bytes(&self, name: &str) -> Option<Vec<u8>> {
        let StartWork { tenant, user_id, job_id, attempt, .. } = &self.start;
        let prefix = nox_contract::artifact::prefix(tenant, user_id, *job_id, *attempt);
        fs::read(self.folder.path().join("artifacts").join(prefix).join(name)).ok()
    }
}

/// What this machine has, as an executor with these folders finds it.
pub async fn host(settings: &Settings, data: &Path, artifacts: &Path) -> Host {
    let instance = ids::unique().as_u128();
    let supervisor = &executor();
    let asking = Asking { supervisor, data, artifacts, instance };
    Host::probe(settings, asking).await.unwrap()
}

/// The same without some of its layers, and with nothing that is to be hidden.
pub async fn host_without(layers: &[Layer]) -> Host {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { sandbox_without: layers.to_vec(), ..Settings::default() };
    host(&settings, folder.path(), folder.path()).await
}

/// Stands in for the broker.
async fn store(logs: Logs, stored: mpsc::UnboundedSender<Sent>) {
    loop {
        while let Some(sent) = logs.next_piece() {
            logs.stored(&sent, Clock::system().monotonic());
            // The test may have ended.
            let _ = stored.send(sent);
        }
        logs.more().await;
    }
}

/// Reads a manifest from its text.
pub fn manifest(folder: &TempDir, toml: &str) -> Manifest {
    let module = folder.path().join("module");
    fs::create_dir_all(&module).unwrap();
    fs::write(module.join("module.toml"), toml).unwrap();
    Manifest::read(&module).unwrap_or_else(|error| panic!("{error}"))
}

/// The outputs of an attempt that went well.
pub fn outputs(finished: &Finished) -> Value {
    match &finished.end {
        AttemptEnd::Succeeded { outputs } => serde_json::from_str(outputs.get()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The error of one that did not, and whether it crashed.
pub fn error(finished: &Finished) -> (&JobError, bool) {
    match &finished.end {
        AttemptEnd::Failed { error, crashed, .. } => (error, *crashed),
        other => panic!("no failure but {other:?}"),
    }
}

/// Living processes that have `argument` among their arguments.
pub fn alive(argument: &str) -> Vec<i32> {
    let has = |pid: i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|other| other == argument.as_bytes())
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| has(*pid))
        .collect()
}

/// The children of all threads of a process.
pub fn children(pid: i32) -> Vec<i32> {
    let of_thread = |thread: fs::DirEntry| {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
    };
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.flat_map(of_thread).collect()
}

/// Whether all threads of a process are stopped.
pub fn stands_still(pid: i32) -> bool {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(|task| {
        let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        // After the name, which may have blanks and brackets itself.
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    })
}

/// A duration for `sleep` that no other test has. Whoever still sleeps it at the end of the test is
/// killed, whatever became of the test.
pub struct UniqueSleep(String);

pub fn unique_sleep() -> UniqueSleep {
    UniqueSleep(format!("6{}.5", ids::unique().as_u128() % 1_000_000_000))
}

impl std::ops::Deref for UniqueSleep {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for UniqueSleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Drop for UniqueSleep {
    fn drop(&mut self) {
        for pid in alive(&self.0).into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Waits until `holds`; panics with `what` if it never does.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, wait).await.unwrap_or_else(|_| panic!("never {what}"));
}
