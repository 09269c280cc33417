//! The executor: runs attempts, and tells what became of them.
//!
//! Reads:  the work that it is sent, uploads
//! Writes: NOX_REPORTS, NOX_BEATS, NOX_LOGS, the artifact store
//! Keeps:  a folder for each attempt that runs; an attempt is remembered until its end is stored
//!
//! | file | what it does |
//! |---|---|
//! | [`config`] | what an operator can set |
//! | [`manifest`], [`modules`] | which engines there are, and which of them this machine has |
//! | `worker`, `event_loop` | carries out what the session decides: the loop |
//! | `recovery` | what is told of an earlier process |
//! | `instance` | the folder by which a worker is known |
//! | `probe` | whether this machine can run attempts |
//! | `task`, [`attempt`] | one attempt, from order to outcome |
//! | [`folder`], `removal` | its private folder, the journal, and how it goes |
//! | [`uploads`], [`template`], [`command`] | from a job's inputs to a command line |
//! | [`program`], `output_limit` | runs that until nothing of it is alive |
//! | [`sandbox`] | what it is shut in by |
//! | [`logs`], [`log_buffer`], [`log_writer`] | what an attempt prints: read, kept, stored |
//! | [`progress`] | how far it says that it is |
//! | [`results`], [`artifacts`], [`outputs`] | what it leaves: values, files, and both as JSON |
//! | [`failure`], `exceeded`, [`problems`] | the ways to fail, and what an engine's own words mean |
//! | [`builtin`] | what needs no program |
//! | [`local`] | attempts without servers, to try a manifest |
//! | [`offers`], [`registered`] | what it offers, as that changes |
//! | [`metrics`] | what it counts |

pub mod artifacts;
pub mod attempt;
mod begin_in;
pub mod builtin;
pub mod command;
pub mod config;
mod event_loop;
mod exceeded;
pub mod failure;
pub mod folder;
mod instance;
pub mod local;
pub mod log_buffer;
pub mod log_writer;
pub mod logs;
pub mod metrics;
pub mod modules;
pub mod offers;
mod output_limit;
pub mod outputs;
mod probe;
pub mod problems;
pub mod program;
pub mod progress;
mod recovery;
pub mod registered;
pub mod relative;
mod removal;
pub mod results;
pub mod sandbox;
pub mod start_cost;
#[cfg(test)]
#[path = "../tests/it/start_work.rs"]
mod start_work;
mod task;
pub mod uploads;
mod worker;

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use nox_contract::{Hello, Origin, ProcessId, subject};
use nox_service::{Running, Runtime, ids};
use nox_store::Artifacts;
use nox_streams::{Broker, ConnectOptions, Durability};
use rustix::{
    io::Errno,
    process::{DumpableBehavior, Resource, getrlimit, set_dumpable_behavior, setrlimit},
};
use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

pub use config::Config;
pub use nox_manifest::{self as manifest, template};
pub use sandbox::supervise_if_asked;

use crate::{
    instance::Instance,
    log_writer::Logs,
    metrics::Metrics,
    modules::{Engine, Modules},
    offers::Sources,
    registered::Catalogue,
    sandbox::{
        Confinement, Leftovers, Limits, NotSpawned, Order, Sandbox,
        host::{Asking, Host, Settings},
    },
    worker::Worker,
};

/// What `/readyz` notes: the names of the modules that are run here, with blanks between them.
pub const MODULES_NOTE: &str = "executor.modules";

/// What `/readyz` notes: what attempts can be shut in with here, and the modules that are left out.
pub const SANDBOX_NOTE: &str = "executor.sandbox";
pub const LEFT_OUT_NOTE: &str = "executor.left_out";

/// How long a supervisor may take to answer at all.
const SUPERVISOR_WAIT: Duration = Duration::from_secs(10);

/// How long the ends of logs may take to be stored.
const LOGS_WAIT: Duration = Duration::from_secs(2);

/// Keeps attempts, which run as the executor's own user, from reading its environment and memory.
/// Root reads them all the same.
pub fn hide_secrets() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        // Before there are logs; what cannot be written can be told nowhere.
        let _ = writeln!(
            io::stderr(),
            "nox-executor: its environment can be read by what it runs: {error}"
        );
    }
}

/// Runs attempts until stopped.
pub fn run(config: Config, runtime: Runtime) -> Running {
    Box::pin(until_stopped(config, runtime))
}

async fn until_stopped(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    runtime.readiness.set("executor", Err("starts"));
    let metrics = Metrics::register(&runtime.registry)?;
    let instance = Instance::claim(&config.folder())?;
    let data = instance.folder.clone();
    // Before anything else may fail: what an earlier process left must not go on.
    let folder = data.clone();
    let leftovers = tokio::task::spawn_blocking(move || Leftovers::kill(&folder)).await?;
    let leftovers = leftovers.with_context(|| {
        format!("cannot look for what an earlier process left in {}", data.display())
    })?;
    check_supervisor(&config.supervisor).await?;
    let asking = Asking {
        supervisor: &config.supervisor,
        data: &data,
        artifacts: Path::new(&config.artifacts),
        instance: instance.id.0.as_u128(),
    };
    let host = Host::probe(&config.sandbox, asking).await;
    let host = host.with_context(|| format!("cannot use {}", data.display()))?;
    let host = Arc::new(host);
    let sources = Sources {
        modules: config.modules.clone(),
        data: data.clone(),
        capacity: config.capacity(),
        host: host.clone(),
        policy: config.registered,
    };
    let seen = sources.marks();
    let offered = sources.read(&Catalogue::default()).context("cannot use the modules")?;
    let hello = Hello {
        origin: Origin { instance: instance.id, process: ProcessId(ids::unique()) },
        capacity: offered.capacity,
        modules: offered.declared(),
        labels: config.labels.iter().cloned().chain(host.labels()).collect(),
    };
    runtime.readiness.note(SANDBOX_NOTE, found(&host));
    note_modules(&runtime, &offered.modules);
    raise_file_limit();
    let artifacts = Artifacts::create(&config.artifacts, config.sync == Durability::Strict)
        .context("cannot keep files")?;
    let broker = Broker::connect(ConnectOptions {
        url: config.nats_url.reveal().to_owned(),
        service: "executor",
        monitor_url: config.nats_monitor_url.clone(),
        sync: config.sync,
    });
    let broker = tokio::select! {
        broker = broker => broker.context("cannot use the broker")?,
        () = runtime.stop.cancelled() => return Ok(()),
    };
    let tell = runtime.part(
        "executor.broker",
        "nox_executor_broker_unwell",
        "1 while the broker takes no writes, as with a full disk",
    )?;
    let _health = AbortOnDropHandle::new(tokio::spawn(broker.clone().watch_health(tell)));
    let readiness = runtime.readiness.clone();
    let streams = broker.wait_for_streams(&[subject::REPORTS, subject::LOGS], |reason| {
        readiness.set("executor", Err(reason));
    });
    tokio::select! {
        streams = streams => streams.context("cannot use the streams")?,
        () = runtime.stop.cancelled() => return Ok(()),
    }

    let (logs, logs_end) = (Logs::new(metrics.clone()), CancellationToken::new());
    let (clock, end) = (runtime.clock.clone(), logs_end.clone());
    let log_writer = tokio::spawn(log_writer::run(broker.clone(), logs.clone(), clock, end));
    let stop_grace = Duration::from_secs(config.stop_grace_s.into());
    runtime.allow_grace(event_loop::stops_within(stop_grace, &offered.modules) + LOGS_WAIT);
    let worker = Worker {
        stop_grace,
        worker_id: config.worker_id.clone(),
        beat: config.beat(),
        supervisor: config.supervisor.clone(),
        host,
        data,
        artifacts: Arc::new(artifacts),
        modules: offered.modules,
        sources,
        seen,
        registered: watch::Sender::new(Catalogue::default()),
        hello,
        broker,
        logs: logs.clone(),
        runtime,
        metrics,
    };
    let outcome = worker.run(leftovers).await;
    logs_end.cancel();
    if timeout(LOGS_WAIT, log_writer).await.is_err() {
        logs.give_up();
    }
    outcome
}

/// Shows operators what is run here, and what is not.
fn note_modules(runtime: &Runtime, modules: &Modules) {
    let names: BTreeSet<_> =
        modules.iter().map(|module| module.manifest.file.name.as_str().to_owned()).collect();
    runtime.readiness.note(MODULES_NOTE, names.into_iter().collect::<Vec<_>>().join(" "));
    runtime.readiness.note(LEFT_OUT_NOTE, left_out(modules));
}

/// What this machine has for running attempts, tried for whoever asks: each sandbox level, each layer,
/// each module, with what it is or why it is not there.
///
/// # Errors
/// The modules cannot be read, or nothing can be tried.
pub async fn examine(
    settings: &Settings,
    modules: &Path,
) -> anyhow::Result<Vec<(String, Result<String, String>)>> {
    let instance = ids::unique().as_u128();
    let data = std::env::temp_dir().join(format!("nox-examination-{instance:032x}"));
    std::fs::create_dir(&data).with_context(|| format!("cannot use {}", data.display()))?;
    let asking =
        Asking { supervisor: "/proc/self/exe".as_ref(), data: &data, artifacts: &data, instance };
    let host = Host::probe(settings, asking).await;
    // What is left of it is in the machine's folder for such things.
    let _ = std::fs::remove_dir_all(&data);
    let host = host?;
    let modules = Modules::read(modules, &host).context("cannot use the modules")?;
    let mut found: Vec<_> = host.findings().collect();
    found.extend(modules.iter().map(|module| {
        let what = match &module.engine {
            Engine::Builtin(_) => "is built in".to_owned(),
            Engine::Program(program) => program.display().to_string(),
        };
        (format!("module {}", module.manifest.file.name), Ok(what))
    }));
    let left_out = modules.left_out().iter();
    found.extend(left_out.map(|left| (format!("module {}", left.name), Err(left.reason.clone()))));
    Ok(found)
}

/// Makes sure that attempts can be supervised, before any is promised to be.
async fn check_supervisor(program: &Path) -> anyhow::Result<()> {
    let order = Order {
        program: "/nonexistent/program".into(),
        args: Vec::new(),
        env: Vec::new(),
        folder: "/proc/self".into(),
        begin_in: None,
        limits: Limits::of_a_trial(),
        confinement: Confinement::none(),
    };
    let spawning = Sandbox::spawn(program, &order, |_| Ok(()), |_| ());
    let not_there = Some(Errno::NOENT.raw_os_error());
    let outcome = match timeout(SUPERVISOR_WAIT, spawning).await {
        Ok(Err(NotSpawned::Refused { errno, .. })) if errno == not_there => return Ok(()),
        Ok(Err(NotSpawned::Refused { reason, .. })) => bail!("no attempt can be run: {reason}"),
        Ok(Err(NotSpawned::NoSupervisor(error))) => {
            return Err(error).with_context(|| format!("cannot run {}", program.display()));
        }
        outcome => outcome,
    };
    tracing::debug!(?outcome, "A supervisor did not say that there is no such program");
    bail!(
        "{} cannot supervise attempts: NOX_SUPERVISOR must name nox-executor or noxctl",
        program.display()
    );
}

/// What attempts can be shut in with, in a line.
fn found(host: &Host) -> String {
    let findings = host.findings().map(|(name, found)| match found {
        Ok(what) => format!("{name}: {what}"),
        Err(reason) => format!("{name}: no ({reason})"),
    });
    findings.collect::<Vec<_>>().join("; ")
}

fn left_out(modules: &Modules) -> String {
    let each = modules.left_out().iter().map(|left| format!("{}: {}", left.name, left.reason));
    each.collect::<Vec<_>>().join("; ")
}

/// Each attempt needs a few open files; the customary limit of 1024 is too low for many slots.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "Cannot raise the limit of open files");
    }
}
