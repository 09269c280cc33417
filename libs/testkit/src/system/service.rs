//! One service as a process of its own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use nox_devkit::{Program, free_port};

use super::cluster::until;

/// What the end of a service's log is quoted by, in lines.
const QUOTED_LINES: usize = 12;
/// A service reads its configuration and connects in this time, even on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The environment's name for where coverage goes, see `libs/devkit/coverage.sh`.
const PROFILE: &str = "LLVM_PROFILE_FILE";

/// Which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Gateway,
    Scheduler,
    Executor,
    Projector,
    Notifier,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Scheduler => "scheduler",
            Self::Executor => "executor",
            Self::Projector => "projector",
            Self::Notifier => "notifier",
        }
    }
}

/// A service, whether it runs at the moment or not.
pub struct Service {
    pub kind: Kind,
    pub name: String,
    program: PathBuf,
    env: BTreeMap<String, String>,
    log: PathBuf,
    /// Where it tells of itself, since its last start.
    admin: SocketAddr,
    http: reqwest::Client,
    process: Option<Program>,
}

impl Service {
    /// Describes a service that does not run yet.
    ///
    /// # Errors
    /// Its program was not built.
    pub fn new(
        kind: Kind,
        name: &str,
        env: BTreeMap<String, String>,
        folder: &Path,
    ) -> Result<Self> {
        Ok(Self {
            kind,
            name: name.to_owned(),
            program: program(kind)?,
            env,
            log: folder.join(format!("{name}.log")),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
            http: reqwest::Client::builder().timeout(Duration::from_secs(2)).build()?,
            process: None,
        })
    }

    /// Another one like it, which does not run.
    ///
    /// # Errors
    /// Its program was not built.
    pub fn another(&self, name: &str) -> Result<Self> {
        let folder = self.log.parent().context("its log is in a folder")?;
        Self::new(self.kind, name, self.env.clone(), folder)
    }

    /// Runs the program of this name in another folder from the next start on: one of another version.
    ///
    /// # Errors
    /// There is none.
    pub fn run_from(&mut self, folder: &Path) -> Result<()> {
        let name = self.program.file_name().context("a program has a name")?;
        let program = folder.join(name);
        ensure!(program.is_file(), "{} is missing", program.display());
        self.program = program;
        Ok(())
    }

    /// Leaves something out of its environment from the next start on.
    pub fn forget(&mut self, name: &str) {
        self.env.remove(name);
    }

    /// Starts it, with `extra` in its environment this time alone.
    pub fn start_with(&mut self, extra: &[(&str, &str)]) -> Result<()> {
        ensure!(!self.is_running(), "{} runs already", self.name);
        // Another one each time: a child that was just forked off a killed executor may still hold
        // the old one for a moment.
        self.admin.set_port(free_port(self.admin.ip())?);
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            // Where a program that counts its lines keeps them.
            .envs(std::env::var_os(PROFILE).map(|file| (PROFILE, file)))
            .env("NOX_LOG_FORMAT", "json")
            .env("NOX_ADMIN_ADDR", self.admin.to_string())
            .envs(&self.env)
            .envs(extra.iter().copied());
        self.process = Some(Program::start(command, &self.log)?);
        Ok(())
    }

    pub fn start(&mut self) -> Result<()> {
        self.start_with(&[])
    }

    /// How it ended, or `None` while it runs; also when it was never started.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().and_then(|process| process.ended().ok().flatten())
    }

    pub fn is_running(&mut self) -> bool {
        self.process.is_some() && self.ended().is_none()
    }

    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Program::pid)
    }

    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill9();
        }
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop().await;
        }
    }

    pub fn freeze(&mut self) {
        if let Some(process) = &mut self.process {
            process.freeze();
        }
    }

    pub fn thaw(&mut self) {
        if let Some(process) = &mut self.process {
            process.thaw();
        }
    }

    /// Stops it and all that it started, the jobs of an executor.
    pub fn freeze_all(&mut self) {
        if let Some(process) = &mut self.process {
            process.freeze_all();
        }
    }

    pub fn thaw_all(&mut self) {
        if let Some(process) = &mut self.process {
            process.thaw_all();
        }
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// It still runs after `within`.
    pub async fn wait_ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        until(within, &what, async || Ok(self.ended())).await
    }

    /// Whether it has stopped in its tracks.
    pub fn is_frozen(&self) -> bool {
        let Some(pid) = self.pid() else { return false };
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A program's name may hold anything, so the state is what follows its last bracket.
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// It has ended, or is not ready after a minute.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let what = format!("{} to be ready", self.name);
        let url = format!("http://{}/readyz", self.admin);
        let http = self.http.clone();
        let waited = until(READY_WITHIN, &what, async || {
            if let Some(status) = self.ended() {
                bail!("{} ended with {status}", self.name);
            }
            let answer = http.get(&url).send().await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()).then_some(()))
        });
        waited.await.with_context(|| self.quote())
    }

    /// What `/readyz` says, and whether it says that it is ready; `None` if it does not answer.
    pub async fn readyz(&self) -> Option<(bool, String)> {
        let answer = self.http.get(format!("http://{}/readyz", self.admin)).send().await.ok()?;
        let ready = answer.status().is_success();
        Some((ready, answer.text().await.ok()?))
    }

    /// Its own metrics: the value of the series that begins with `series`; `None` if it does not
    /// answer or has no such series.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let answer = self.http.get(format!("http://{}/metrics", self.admin)).send().await.ok()?;
        let text = answer.text().await.ok()?;
        let line = text.lines().find(|line| {
            line.strip_prefix(series).is_some_and(|rest| rest.starts_with(['{', ' ']))
                || line.starts_with(series) && series.ends_with('}')
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Everything it ever logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of its log, for people.
    pub fn quote(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(QUOTED_LINES);
        format!("--- {} ({})\n{}", self.name, self.log.display(), lines[from..].join("\n"))
    }
}

/// The service's program: beside this test's own.
pub fn program(kind: Kind) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("this program is nowhere")?;
    let program = folder.join(format!("nox-{}", kind.name()));
    ensure!(
        program.is_file(),
        "{} is missing: `make test` builds it first, or `cargo build --workspace --bins`",
        program.display()
    );
    Ok(program)
}
