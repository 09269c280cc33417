//! One attempt, from the order to run it to what became of it.

use std::{
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nox_contract::{AttemptEnd, RawJson, SessionId, StartWork, Usage};
use nox_service::{Clock, crash_point};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    artifacts::{self, Artifacts},
    contain::{Exit, Limits, Order, Word},
    failure::Failure,
    folder::{Folder, Journal, MARK},
    inputs,
    leftovers::end_by_force,
    logs::{self, Chunk},
    manifest::{Manifest, Program, Run, Source, Stream},
    metrics::Metrics,
    outputs::Outputs,
    results::{self, Scalars, Written},
    supervised::Supervised,
    template::Values,
};

/// How long a supervisor may take to say that the program runs, on a machine that is very busy.
const SPAWN_WAIT: Duration = Duration::from_secs(10);

/// How long a supervisor may take to kill its attempt before the executor does it.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// How long a program's output is read after nothing of it is alive: somebody else may hold the pipe.
const OUTPUT_WAIT: Duration = Duration::from_secs(1);

/// Seconds on a processor beyond what was asked for, so that the wall time is what ends an attempt.
const CPU_SECONDS_SPARE: u64 = 10;

/// Private memory beyond what was asked for: the limit counts what libraries map and never touch,
/// 130 MiB in the case of xtb. Below that, some do not fail but hang.
const MEMORY_BYTES_SPARE: u64 = 256 << 20;

/// Largest file that a program may write: 4 GiB.
const FILE_BYTES_MAX: u64 = 4 << 30;

const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

/// Where attempts find a program without a path of its own; the executor's `PATH` is its own affair.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What every attempt is run with.
#[derive(Debug, Clone)]
pub struct Runner {
    pub session: SessionId,
    /// The program that is a supervisor under another name.
    pub supervisor: PathBuf,
    /// Where attempts' folders are.
    pub data: PathBuf,
    pub artifacts: Arc<Artifacts>,
    pub logs: mpsc::Sender<Chunk>,
    pub clock: Clock,
    pub metrics: Metrics,
}

/// What became of an attempt. Nothing of it runs any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    pub usage: Usage,
    pub end: AttemptEnd,
}

/// A program that ended by itself.
struct Ran {
    exit: Exit,
    wall: Duration,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Runner {
    /// Runs `program` for `start` to its end, or until `stop`; calls `spawned` when it runs.
    pub async fn run(
        &self,
        start: &StartWork,
        manifest: &Manifest,
        program: &Path,
        stop: CancellationToken,
        spawned: impl FnOnce(),
    ) -> Finished {
        let began = self.clock.monotonic();
        let mut ran_for = Duration::ZERO;
        let attempt = self.attempt(start, manifest, program, &stop, spawned, &mut ran_for);
        let end = match attempt.await {
            Ok(outputs) => AttemptEnd::Succeeded { outputs },
            Err(failure) => failure.into(),
        };
        self.metrics.attempt(&start.module, &end, self.clock.monotonic() - began);
        Finished { usage: usage(start, ran_for), end }
    }

    async fn attempt(
        &self,
        start: &StartWork,
        manifest: &Manifest,
        program: &Path,
        stop: &CancellationToken,
        spawned: impl FnOnce(),
        ran_for: &mut Duration,
    ) -> Result<RawJson, Failure> {
        let inputs = inputs::read(&start.inputs, &manifest.input_schema)
            .map_err(|error| Failure::input_invalid(error.to_string()))?;
        let folder = Folder::create(&self.data, start)
            .map_err(|error| Failure::spawn(format!("cannot make a work directory: {error}")))?;
        let outputs =
            self.in_folder(start, manifest, program, &inputs, &folder, stop, spawned, ran_for);
        let outputs = outputs.await;
        let _ = tokio::task::spawn_blocking(move || folder.remove()).await;
        outputs
    }

    #[expect(clippy::too_many_arguments, reason = "the attempt's whole context, once")]
    async fn in_folder(
        &self,
        start: &StartWork,
        manifest: &Manifest,
        program: &Path,
        inputs: &Value,
        folder: &Folder,
        stop: &CancellationToken,
        spawned: impl FnOnce(),
        ran_for: &mut Duration,
    ) -> Result<RawJson, Failure> {
        let order = prepare(start, manifest, program, inputs, folder)?;
        if stop.is_cancelled() {
            return Err(Failure::killed());
        }
        let ran = self.supervise(start, manifest, &order, folder, stop, spawned, ran_for).await?;
        if stop.is_cancelled() {
            return Err(Failure::killed());
        }
        let Run::Program(Program { success_exit_codes, .. }) = &manifest.file.run else {
            return Err(Failure::spawn("a builtin has no program"));
        };
        // The exit status first: a program may write its results and fail after all.
        match ran.exit {
            Exit::Status(status) if success_exit_codes.contains(&status) => {}
            Exit::Status(status) => return Err(Failure::exit_status(status, &ran.stderr)),
            Exit::Signal(SIGXCPU) => return Err(Failure::limit("processor time")),
            Exit::Signal(SIGXFSZ) => return Err(Failure::limit("file size")),
            Exit::Signal(signal) => return Err(Failure::crashed(signal, &ran.stderr)),
        }
        self.collect(start, manifest, inputs, folder, ran).await
    }

    /// Runs the order under a supervisor until nothing of it is alive.
    #[expect(clippy::too_many_arguments, reason = "the attempt's whole context, once")]
    async fn supervise(
        &self,
        start: &StartWork,
        manifest: &Manifest,
        order: &Order,
        folder: &Folder,
        stop: &CancellationToken,
        spawned: impl FnOnce(),
        ran_for: &mut Duration,
    ) -> Result<Ran, Failure> {
        let machine = |error: io::Error| Failure::spawn(format!("cannot start it: {error}"));
        let journal = Journal {
            session: self.session,
            job_id: start.job_id,
            attempt: start.attempt,
            token: start.token.clone(),
            at: self.clock.wall(),
        };
        folder.begin(&journal).map_err(machine)?;
        crash_point("executor.before_spawn");
        let before = self.clock.monotonic();
        let mut supervised = Supervised::start(&self.supervisor).map_err(machine)?;
        folder.supervised_by(supervised.id).map_err(machine)?;
        let mut output = self.capture(start, manifest, &mut supervised);
        supervised.order(order).await.map_err(machine)?;
        match timeout(SPAWN_WAIT, supervised.word()).await.unwrap_or_default() {
            Some(Word::Spawned) => {}
            Some(Word::NotSpawned { reason }) => return Err(Failure::spawn(reason)),
            Some(Word::Ended { .. }) | None => {
                end_for_certain(&supervised, folder).await;
                return Err(Failure::supervisor_gone());
            }
        }
        let began = self.clock.monotonic();
        self.metrics.spawned(began - before);
        spawned();
        crash_point("executor.after_spawn");

        let wall_time = start.resources.wall_time_s;
        let ended = self.until_ended(&mut supervised, folder, wall_time, stop).await;
        *ran_for = self.clock.monotonic() - began;
        let Ended { exit, survivors, too_long } = ended;
        self.metrics.survivors(survivors);
        let printed = timeout(OUTPUT_WAIT, &mut output).await;
        output.abort();
        let (stdout, stderr) =
            printed.unwrap_or_else(|_| Ok(Default::default())).unwrap_or_default();
        if too_long {
            return Err(Failure::wall_time(wall_time));
        }
        let exit = exit.ok_or_else(Failure::supervisor_gone)?;
        Ok(Ran { exit, wall: *ran_for, stdout, stderr })
    }

    async fn until_ended(
        &self,
        supervised: &mut Supervised,
        folder: &Folder,
        wall_time_s: u32,
        stop: &CancellationToken,
    ) -> Ended {
        let mut too_long = false;
        tokio::select! {
            word = supervised.word() => {
                return Ended::by(word, supervised, folder, too_long).await;
            }
            () = sleep(Duration::from_secs(u64::from(wall_time_s))) => too_long = true,
            () = stop.cancelled() => {}
        }
        supervised.kill().await;
        let word = timeout(KILL_WAIT, supervised.word()).await.unwrap_or_default();
        Ended::by(word, supervised, folder, too_long).await
    }

    /// Reads what the attempt prints, in the background: the ends of stdout and stderr.
    fn capture(
        &self,
        start: &StartWork,
        manifest: &Manifest,
        supervised: &mut Supervised,
    ) -> JoinHandle<(Vec<u8>, Vec<u8>)> {
        let wanted =
            |stream| manifest.file.result.iter().any(|rule| rule.source == Source::Stream(stream));
        let (stdout_wanted, stderr_wanted) = (wanted(Stream::Stdout), wanted(Stream::Stderr));
        let (stdout, stderr) = (supervised.stdout.take(), supervised.stderr.take());
        let (start, chunks) = (start.clone(), self.logs.clone());
        tokio::spawn(async move {
            let stdout = async {
                match stdout {
                    Some(stdout) => {
                        logs::capture(&start, Stream::Stdout, stdout, stdout_wanted, &chunks).await
                    }
                    None => Vec::new(),
                }
            };
            let stderr = async {
                match stderr {
                    Some(stderr) => {
                        logs::capture(&start, Stream::Stderr, stderr, stderr_wanted, &chunks).await
                    }
                    None => Vec::new(),
                }
            };
            tokio::join!(stdout, stderr)
        })
    }

    /// Reads the results and keeps the files of an attempt that ended well.
    async fn collect(
        &self,
        start: &StartWork,
        manifest: &Manifest,
        inputs: &Value,
        folder: &Folder,
        ran: Ran,
    ) -> Result<RawJson, Failure> {
        let (work, rules, keep) =
            (folder.work(), manifest.file.result.clone(), manifest.file.keep.clone());
        let inputs = inputs.clone();
        let Ran { wall, stdout, stderr, .. } = ran;
        let reading = tokio::task::spawn_blocking(move || {
            let work: OwnedFd = File::open(work)
                .map_err(|error| Failure::artifacts(format!("the work directory: {error}")))?
                .into();
            let written = Written { work: &work, stdout: &stdout, stderr: &stderr };
            let scalars = results::read(&rules, &inputs, &written)?;
            Ok::<_, Failure>((scalars, artifacts::find(&keep, &work)?))
        });
        let (scalars, found) =
            reading.await.map_err(|error| Failure::artifacts(error.to_string()))??;
        check(manifest, &scalars)?;
        let mut kept = Vec::with_capacity(found.len());
        for file in found {
            kept.push(self.artifacts.keep(start, file).await?);
        }
        Ok(Outputs { wall, scalars, kept }.to_json(start))
    }
}

/// How an attempt came to its end.
struct Ended {
    /// Unknown if the supervisor did not say.
    exit: Option<Exit>,
    survivors: usize,
    too_long: bool,
}

impl Ended {
    async fn by(
        word: Option<Word>,
        supervised: &Supervised,
        folder: &Folder,
        too_long: bool,
    ) -> Self {
        if let Some(Word::Ended { exit, survivors }) = word {
            return Self { exit: Some(exit), survivors, too_long };
        }
        let survivors = end_for_certain(supervised, folder).await;
        Self { exit: None, survivors, too_long }
    }
}

/// Ends an attempt whose supervisor does not: it is dead, or stopped.
async fn end_for_certain(supervised: &Supervised, folder: &Folder) -> usize {
    let (id, mark) = (supervised.id, folder.mark());
    tracing::warn!(supervisor = id.pid, "A supervisor failed; ending its attempt without it");
    tokio::task::spawn_blocking(move || end_by_force(Some(id), &mark)).await.unwrap_or_default()
}

/// Writes the input files and fills in the command line.
fn prepare(
    start: &StartWork,
    manifest: &Manifest,
    program: &Path,
    inputs: &Value,
    folder: &Folder,
) -> Result<Order, Failure> {
    let Run::Program(run) = &manifest.file.run else {
        return Err(Failure::spawn("a builtin has no command line"));
    };
    let work = folder.work();
    let work_dir = work.to_str().ok_or_else(|| Failure::spawn("NOX_DATA must be a text"))?;
    let values = Values { work_dir, inputs };
    for file in &manifest.file.write {
        let text = file
            .template
            .text(values)
            .map_err(|error| Failure::input_invalid(format!("{}: {error}", file.path)))?;
        folder
            .write(&file.path, &text)
            .map_err(|error| Failure::spawn(format!("cannot write {}: {error}", file.path)))?;
    }
    let mut args = Vec::new();
    for arg in &run.args {
        if arg.when.as_ref().is_none_or(|when| when.holds(inputs)) {
            for template in &arg.templates {
                let filled = template.argument(values);
                args.push(filled.map_err(|error| Failure::input_invalid(error.to_string()))?);
            }
        }
    }
    let mut env = vec![
        ("PATH".to_owned(), PATH.to_owned()),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("HOME".to_owned(), work_dir.to_owned()),
        ("TMPDIR".to_owned(), work_dir.to_owned()),
        ("NOX_JOB_ID".to_owned(), start.job_id.to_string()),
        ("NOX_ATTEMPT".to_owned(), start.attempt.to_string()),
        (MARK.to_owned(), work_dir.to_owned()),
    ];
    env.extend(run.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    let resources = &start.resources;
    let limits = Limits {
        cpu_seconds: u64::from(resources.cpu) * u64::from(resources.wall_time_s)
            + CPU_SECONDS_SPARE,
        memory_bytes: (u64::from(resources.mem_mb) << 20) + MEMORY_BYTES_SPARE,
        file_bytes: FILE_BYTES_MAX,
    };
    Ok(Order { program: program.to_owned(), args, env, folder: work, limits })
}

/// Checks the scalars against what the module promises.
fn check(manifest: &Manifest, scalars: &Scalars) -> Result<(), Failure> {
    // What had to be replaced is flagged, and can keep no promise.
    if !scalars.flags.is_empty() {
        return Ok(());
    }
    let values: Value = serde_json::to_value(&scalars.values)
        .map_err(|error| Failure::output_invalid(error.to_string()))?;
    manifest.outputs.validate(&values).map_err(|error| {
        Failure::output_invalid(format!("the scalars are not what was promised: {error}"))
    })
}

/// What an attempt used: its cores for as long as it ran.
pub fn usage(start: &StartWork, ran_for: Duration) -> Usage {
    let wall_ms = u64::try_from(ran_for.as_millis()).unwrap_or(u64::MAX);
    let core_ms = wall_ms.saturating_mul(u64::from(start.resources.cpu));
    Usage { wall_ms, cpu_seconds: core_ms.div_ceil(1_000) }
}
