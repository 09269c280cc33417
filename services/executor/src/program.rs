//! Runs an attempt's program under a supervisor until nothing of it is alive.

use std::{path::Path, sync::Arc, time::Duration};

use nox_contract::{StartWork, beat::Held};
use nox_service::{Clock, crash_point};
use rustix::io::Errno;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    exceeded::Given,
    failure::Failure,
    folder::Folder,
    log_writer::{AttemptLog, Logs},
    logs::{Capture, Mask, Output},
    manifest::{Manifest, Run, Stream},
    metrics::Metrics,
    output_limit::OutputLimit,
    progress::{Reporter, Told},
    sandbox::{Exit, Limits, NotSpawned, Order, Printed, Sandbox, Usage, is_transient},
};

/// How long after its time an attempt is ended from here: its supervisor did not, and so is stopped.
const OVERDUE: Duration = Duration::from_secs(1);

/// How long a program's output is read after nothing of it is alive: somebody else may hold the pipe.
const OUTPUT_WAIT: Duration = Duration::from_secs(1);

/// What a program is run with.
pub struct Program<'p> {
    pub start: &'p StartWork,
    pub manifest: &'p Manifest,
    pub folder: &'p Folder,
    pub supervisor: &'p Path,
    pub stop: &'p CancellationToken,
    pub logs: &'p Logs,
    pub clock: &'p Clock,
    pub metrics: &'p Metrics,
    pub progress: Option<&'p Reporter>,
}

/// A program that ran, for so long, and the ends of what it printed.
pub struct Ran {
    /// How it ended by itself, or why it was ended.
    pub exit: Result<Exit, Failure>,
    pub wall: Duration,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// How many bytes of its log are lost.
    pub log_bytes_lost: u64,
}

/// How a program came to its end.
struct Ended {
    exit: Result<Exit, Failure>,
    /// `None` if only its supervisor knew.
    wall: Option<Duration>,
    survivors: usize,
}

/// Why the system refused: for want of what any program needs, or because of this one.
fn not_spawned(reason: String, errno: Option<i32>) -> Failure {
    let wants = [
        Errno::AGAIN,
        Errno::NOMEM,
        Errno::NFILE,
        Errno::MFILE,
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::IO,
        Errno::ROFS,
    ];
    match errno.map(Errno::from_raw_os_error) {
        Some(errno) if wants.contains(&errno) => Failure::cannot_run(reason),
        _ if is_transient(&reason) => Failure::cannot_run(reason),
        _ => Failure::spawn(reason),
    }
}

/// The ends of stdout and stderr, when both are read.
type Reading = JoinHandle<(Vec<u8>, Vec<u8>)>;

/// What was read of them, for a while after nothing prints any more.
async fn printed(mut reading: Reading) -> (Vec<u8>, Vec<u8>) {
    let printed = timeout(OUTPUT_WAIT, &mut reading).await;
    reading.abort();
    printed.unwrap_or_else(|_| Ok(Default::default())).unwrap_or_default()
}

/// The failure of a program that never ran.
async fn never_ran(error: NotSpawned, reading: Reading) -> Failure {
    match error {
        NotSpawned::NoSupervisor(error) => Failure::cannot_run(format!("no supervisor: {error}")),
        NotSpawned::Refused { reason, errno } => {
            // Who makes namespaces says there why it could not.
            let (_, said) = printed(reading).await;
            let said = String::from_utf8_lossy(&said);
            let separator = if said.trim().is_empty() { "" } else { ": " };
            not_spawned(format!("{reason}{separator}{}", said.trim()), errno)
        }
        NotSpawned::Silent { was_killed: true } => Failure::supervisor_gone(),
        NotSpawned::Silent { was_killed: false } => {
            Failure::cannot_run("the supervisor does not work")
        }
    }
}

impl Program<'_> {
    /// Runs it; calls `spawned` when it runs. An error means that it never did.
    pub async fn run(&self, order: &Order, spawned: impl FnOnce()) -> Result<Ran, Failure> {
        let mask = self.mask(order)?;
        crash_point("executor.before_spawn");
        let before = self.clock.monotonic();
        let log = Arc::new(self.logs.open(self.start));
        let output_limit = OutputLimit::new(self.manifest.file.limits.output_bytes());
        let mut reading = None;
        let spawning = Sandbox::spawn(
            self.supervisor,
            order,
            |holders| self.folder.held_by(holders),
            |printed| reading = Some(self.read_output(printed, &log, &output_limit, mask)),
        );
        let spawned_sandbox = spawning.await;
        // Where nobody reads, there is no supervisor.
        let reading = reading.unwrap_or_else(|| tokio::spawn(async { Default::default() }));
        let mut sandbox = match spawned_sandbox {
            Ok(sandbox) => sandbox,
            Err(error) => return Err(never_ran(error, reading).await),
        };
        let began = self.clock.monotonic();
        self.metrics.spawned(began - before);
        spawned();
        crash_point("executor.after_spawn");

        let running = Running { program: self, limits: &order.limits, output_limit };
        let Ended { exit, wall, survivors } = running.until_ended(&mut sandbox).await;
        let wall = wall.unwrap_or_else(|| self.clock.monotonic() - began);
        self.metrics.survivors(survivors);
        let (stdout, stderr) = printed(reading).await;
        let exit = match running.output_limit.is_exceeded() {
            true => Err(running.printed_too_much()),
            false => exit,
        };
        let log_bytes_lost = log.until_stored().await;
        Ok(Ran { exit, wall, stdout, stderr, log_bytes_lost })
    }

    /// Reads what the attempt prints, in the background: the ends of stdout and stderr.
    fn read_output(
        &self,
        printed: Printed,
        log: &Arc<AttemptLog>,
        limit: &OutputLimit,
        mask: Mask,
    ) -> Reading {
        let is_wanted = |stream| self.manifest.file.wants(stream);
        let whole = [Stream::Stdout, Stream::Stderr].map(is_wanted);
        let output = Output {
            stdout: printed.stdout.map(|stdout| limit.hold(stdout)),
            stderr: printed.stderr.map(|stderr| limit.hold(stderr)),
        };
        let (log, rule) = (log.clone(), self.manifest.file.progress.clone());
        let of = Held { job_id: self.start.job_id, attempt: self.start.attempt };
        let reporter = self.progress.cloned();
        tokio::spawn(async move {
            let tell = |progress| {
                if let Some(reporter) = &reporter {
                    // Whoever reports may have ended.
                    let _ = reporter.send(Told { of, progress });
                }
            };
            let progress = rule.as_ref();
            Capture { log: &log, mask: &mask, whole, progress, tell: &tell }.read(output).await
        })
    }

    /// What must not be seen of what it prints.
    fn mask(&self, order: &Order) -> Result<Mask, Failure> {
        let Run::Program(run) = &self.manifest.file.run else { return Ok(Mask::default()) };
        let secrets = order.env.iter().filter(|(name, _)| run.secret_env.contains(name));
        Mask::new(secrets.map(|(_, value)| value.as_str()))
            .map_err(|error| Failure::spawn(format!("its secrets cannot be masked: {error}")))
    }
}

/// A program that runs.
struct Running<'r> {
    program: &'r Program<'r>,
    limits: &'r Limits,
    output_limit: OutputLimit,
}

impl Running<'_> {
    async fn until_ended(&self, sandbox: &mut Sandbox) -> Ended {
        let wall_time = self.program.start.resources.wall_time_s;
        let overdue = Duration::from_secs(u64::from(wall_time)) + OVERDUE;
        let at_once = Duration::ZERO;
        let (failure, is_ours, grace) = tokio::select! {
            usage = sandbox.usage() => return self.ended(usage, Failure::supervisor_gone()),
            () = sleep(overdue) => (Failure::wall_time(wall_time), false, at_once),
            () = self.output_limit.exceeded() => (self.printed_too_much(), true, at_once),
            () = self.program.stop.cancelled() => {
                let grace = self.program.manifest.file.stop_grace_s;
                (Failure::killed(), true, Duration::from_secs(u64::from(grace)))
            }
        };
        let usage = sandbox.kill_all(grace).await;
        let ended = self.ended(usage, failure.clone());
        // However it says it ended, it did not end by itself. Who was frozen past the end hears of it
        // late: what the supervisor says is so, then.
        if is_ours { Ended { exit: Err(failure), ..ended } } else { ended }
    }

    /// How it ended by what its supervisor knows; for `failure`, where that has nothing to say of it.
    fn ended(&self, Usage { known, survivors }: Usage, failure: Failure) -> Ended {
        let Some(known) = known else { return Ended { exit: Err(failure), wall: None, survivors } };
        let given = Given { resources: &self.program.start.resources, limits: self.limits };
        let exit = match known.killed_for {
            None => Ok(known.exit),
            Some(reason) => Err(given.killed_for(reason, failure)),
        };
        Ended { exit, wall: Some(known.wall), survivors }
    }

    fn printed_too_much(&self) -> Failure {
        let mib = self.output_limit.bytes_max() >> 20;
        Failure::limit(
            "output_limit",
            format!(
                "it printed more than {mib} MiB; if it needs to, the module must allow more \
                 `limits.output_mb`"
            ),
        )
    }
}
