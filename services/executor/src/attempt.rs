//! One attempt, from the order to run it to what became of it.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nox_contract::{AttemptEnd, RawJson, SessionId, StartWork, Usage, artifact::Artifact};
use nox_schema::{Exact, Invalid, Prepared};
use nox_service::Clock;
use nox_store::Artifacts;
use tokio_util::sync::CancellationToken;

use crate::{
    artifacts::{self, AllFound},
    command,
    exceeded::Given,
    failure::Failure,
    folder::{Folder, Journal},
    log_writer::Logs,
    manifest::{self, Keep, Manifest, ManifestFile, Run},
    metrics::Metrics,
    outputs::Outputs,
    problems::{self, EndedBy},
    program::{Program, Ran},
    progress::Reporter,
    results::{
        self, Scalars, Texts, Written,
        series::{self, Series},
    },
    sandbox::{Exit, Limits, host::Host},
    template::{self, Values},
    uploads,
};

/// What every attempt of a session is run with.
#[derive(Debug, Clone)]
pub struct Runner {
    pub session: SessionId,
    /// The program that is a supervisor under another name.
    pub supervisor: PathBuf,
    /// What this machine can shut attempts in with.
    pub host: Arc<Host>,
    /// Where attempts' folders are.
    pub data: PathBuf,
    pub artifacts: Arc<Artifacts>,
    pub logs: Logs,
    pub clock: Clock,
    pub metrics: Metrics,
    /// Told how far attempts say that they are.
    pub progress: Option<Reporter>,
}

/// What became of an attempt. Nothing of it runs any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    pub usage: Usage,
    pub end: AttemptEnd,
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
        let attempt = Attempt { runner: self, start, manifest, program, stop: &stop };
        let (ran_for, outcome) = match attempt.run(spawned).await {
            Ok((ran_for, outcome)) => (ran_for, outcome),
            Err(never_ran) => (Duration::ZERO, Err(never_ran)),
        };
        let end = match outcome {
            Ok(outputs) => AttemptEnd::Succeeded { outputs },
            Err(failure) => failure.into(),
        };
        self.metrics.attempt(&start.module, &end, self.clock.monotonic() - began);
        Finished { usage: usage(start, ran_for), end }
    }
}

/// What an attempt used: its cores for as long as it ran.
pub fn usage(start: &StartWork, ran_for: Duration) -> Usage {
    let wall_ms = u64::try_from(ran_for.as_millis()).unwrap_or(u64::MAX);
    let core_ms = wall_ms.saturating_mul(u64::from(start.resources.cpu));
    Usage { wall_ms, cpu_seconds: core_ms.div_ceil(1_000) }
}

struct Attempt<'a> {
    runner: &'a Runner,
    start: &'a StartWork,
    manifest: &'a Manifest,
    program: &'a Path,
    stop: &'a CancellationToken,
}

/// How long a program ran, and what came of it.
type Outcome = (Duration, Result<RawJson, Failure>);

impl Attempt<'_> {
    /// An error means that nothing was run.
    async fn run(&self, spawned: impl FnOnce()) -> Result<Outcome, Failure> {
        let inputs = uploads::resolve(&self.runner.artifacts, self.start).await?;
        let inputs = self.manifest.inputs.prepare(&inputs);
        let inputs = inputs.map_err(|wrong| Failure::input_invalid(described(&wrong)))?;
        let (data, start) = (self.runner.data.clone(), self.start.clone());
        let folder = tokio::task::spawn_blocking(move || Folder::create(&data, &start))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| {
                Failure::cannot_run(format!("cannot make a work directory: {error}"))
            })?;
        let outcome = self.run_in(&folder, &inputs, spawned).await;
        // Of a task that is cut off here, the next process removes the folder; where there is no thread
        // for it, too, for what became of the attempt must not be lost for want of one.
        let folder = Arc::new(folder);
        let removed = folder.clone();
        let removing = catch_unwind(AssertUnwindSafe(|| {
            tokio::task::spawn_blocking(move || removed.remove())
        }));
        match removing {
            Ok(removing) => drop(removing.await),
            Err(_) => drop(folder.set_aside()),
        }
        outcome
    }

    async fn run_in(
        &self,
        folder: &Folder,
        inputs: &Prepared,
        spawned: impl FnOnce(),
    ) -> Result<Outcome, Failure> {
        let Self { runner, start, manifest, program, stop } = *self;
        let shut_in = runner
            .host
            .shut_in(&manifest.file, program, &folder.name())
            .map_err(Failure::cannot_run)?;
        let order = command::prepare(
            start,
            manifest,
            program,
            inputs,
            folder,
            shut_in.confinement.clone(),
        )?;
        if stop.is_cancelled() {
            return Err(Failure::killed());
        }
        self.begin(folder).map_err(|error| Failure::cannot_run(format!("no journal: {error}")))?;
        let Runner { supervisor, logs, clock, metrics, .. } = runner;
        let progress = runner.progress.as_ref();
        let program =
            Program { start, manifest, folder, supervisor, stop, logs, clock, metrics, progress };
        let ran = program.run(&order, spawned).await?;
        let (wall, log_bytes_lost) = (ran.wall, ran.log_bytes_lost);
        let outputs = self.outputs(folder, inputs, &order.limits, ran).await;
        Ok((wall, outputs.map_err(|failure| failure.with_log_bytes_lost(log_bytes_lost))))
    }

    /// From here on the attempt counts as started, whatever happens to this process.
    fn begin(&self, folder: &Folder) -> io::Result<()> {
        folder.begin(&Journal {
            session: self.runner.session,
            job_id: self.start.job_id,
            attempt: self.start.attempt,
            token: self.start.token.clone(),
            at: self.runner.clock.wall(),
        })
    }

    async fn outputs(
        &self,
        folder: &Folder,
        inputs: &Prepared,
        limits: &Limits,
        ran: Ran,
    ) -> Result<RawJson, Failure> {
        let (wall, log_bytes_lost) = (ran.wall, ran.log_bytes_lost);
        let Left { scalars, series, found } = self.find(folder, inputs, limits, ran).await?;
        self.check_scalars(&scalars)?;
        let skipped = found.skipped;
        let kept = match self.keep(found).await {
            Ok(kept) => kept,
            Err(failure) => {
                artifacts::forget(&self.runner.artifacts, self.start).await;
                return Err(failure);
            }
        };
        Ok(Outputs { wall, log_bytes_lost, scalars, series, kept, skipped }.to_json(self.start))
    }

    async fn keep(&self, found: AllFound) -> Result<Vec<Artifact>, Failure> {
        let mut kept = Vec::with_capacity(found.files.len());
        for file in found.files {
            if self.stop.is_cancelled() {
                return Err(Failure::killed());
            }
            kept.push(artifacts::keep(&self.runner.artifacts, self.start, file).await?);
        }
        Ok(kept)
    }

    fn check_exit(&self, exit: Exit, limits: &Limits, ran: &Ran) -> Result<(), Failure> {
        let is_success = |status| match &self.manifest.file.run {
            Run::Program(manifest::Program { success_exit_codes, .. }) => {
                success_exit_codes.contains(&status)
            }
            Run::Builtin(_) => false,
        };
        if matches!(exit, Exit::Status(status) if is_success(status)) {
            return Ok(());
        }
        let given = Given { resources: &self.start.resources, limits };
        Err(given.ended(exit, &ran.stdout, &ran.stderr))
    }

    /// Reads the results, and opens the files to keep.
    async fn find(
        &self,
        folder: &Folder,
        inputs: &Prepared,
        limits: &Limits,
        ran: Ran,
    ) -> Result<Left, Failure> {
        let exit = ran.exit.clone()?;
        // The exit status first: a program may write its results and fail after all.
        let ended_well = self.check_exit(exit, limits, &ran);
        let ended = match exit {
            Exit::Status(status) => EndedBy { exit_status: Some(status), signal: None },
            Exit::Signal(signal) => EndedBy { exit_status: None, signal: Some(signal) },
        };
        let (work, inputs) = (folder.work(), inputs.clone());
        let file = self.manifest.file.clone();
        let resources = template::resources(&self.start.resources);
        let finding = tokio::task::spawn_blocking(move || {
            let work: OwnedFd = File::open(work)
                .map_err(|error| Failure::artifacts(format!("the work directory: {error}")))?
                .into();
            let written = Written { work: &work, stdout: &ran.stdout, stderr: &ran.stderr };
            let found = ended_well.and_then(|()| find(&file, &inputs, &resources, &written));
            found.map_err(|failure| problems::explain(&file.problem, ended, &written, failure))
        });
        finding.await.map_err(|error| Failure::artifacts(error.to_string()))?
    }

    /// Checks the scalars against what the module promises.
    fn check_scalars(&self, scalars: &Scalars) -> Result<(), Failure> {
        // What had to be replaced is flagged, and can keep no promise.
        if !scalars.flags.is_empty() {
            return Ok(());
        }
        let values = RawJson::of(&scalars.values).and_then(|values| Exact::read(&values));
        let values = values.map_err(|error| Failure::output_invalid(error.to_string()))?;
        self.manifest.outputs.validate(&values).map_err(|wrong| {
            let wrong = described(&wrong);
            Failure::output_invalid(format!("the scalars are not what was promised: {wrong}"))
        })
    }
}

/// What an attempt left.
struct Left {
    scalars: Scalars,
    series: BTreeMap<String, Series>,
    found: AllFound,
}

/// Blocks.
fn find(
    file: &ManifestFile,
    prepared: &Prepared,
    resources: &Exact,
    written: &Written<'_>,
) -> Result<Left, Failure> {
    problems::check(&file.problem, written)?;
    let Prepared { inputs, molecule } = prepared;
    let values = Values { work_dir: "", program_dir: "", inputs, molecule, resources };
    let mut texts = Texts::of(written);
    let quoting = |failure: Failure| failure.quoting(written.stdout, written.stderr);
    let scalars = results::read(&file.result, values, &mut texts).map_err(quoting)?;
    let series = series::read(&file.series, values, &mut texts, written.work).map_err(quoting)?;
    let mut keep = file.keep.clone();
    if series.values().any(|series| matches!(series, Series::Kept { .. })) {
        keep.push(Keep::file(series::FILE).map_err(Failure::artifacts)?);
    }
    Ok(Left { scalars, series, found: artifacts::find(&keep, written.work)? })
}

/// What is wrong, each with its place.
fn described(wrong: &[Invalid]) -> String {
    let described = wrong.iter().map(|Invalid { pointer, detail, .. }| match &**pointer {
        "" => detail.clone(),
        pointer => format!("{pointer}: {detail}"),
    });
    described.collect::<Vec<_>>().join("; ")
}
