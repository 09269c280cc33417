//! The projector: facts in, rows out.
//!
//! Reads:  NOX_EVENTS, and its archive where the stream was cut
//! Writes: Postgres, and how far it has come: NOX_READERS
//! Sweeps: the artifact store
//! Keeps:  nothing; its checkpoint commits with the rows
//!
//! One at a time: a second one finds the checkpoint moved, and exits. It stops loudly where the log is
//! not the one it has read, or says what cannot be; it waits for ever where a server is away, or refuses
//! for a reason that can pass.
//!
//! | file | what it does |
//! |---|---|
//! | [`config`] | what an operator can set |
//! | `read` | verifies the log, and makes batches of it |
//! | `commit` | gives batches to Postgres, in order, until they are in |
//! | [`sweep`] | removes what was kept long enough from the artifact store |
//! | `pause` | the waits between two tries |
//! | `metrics` | what it counts |

mod commit;
pub mod config;
mod metrics;
mod pause;
mod read;
pub mod sweep;

use std::time::Duration;

use anyhow::Context;
use nox_archive::{Archive, Log};
use nox_contract::{FrameNumber, Incarnation, subject};
use nox_protocol::Reader;
use nox_readmodel::{Remedy, Store, StoreError};
use nox_service::{Running, Runtime};
use nox_store::Artifacts;
use nox_streams::{Broker, ConnectOptions, Error};
use tokio_util::task::AbortOnDropHandle;

use commit::End;
pub use config::Config;
use metrics::Metrics;
use pause::Pause;
use sweep::ReadRows;

/// The projector among the readers of the log.
const READER: &str = "projector";
/// The part of readiness that says whether rows follow the log.
const PROJECTOR: &str = "projector";
/// The part of readiness that says how Postgres is.
const POSTGRES: &str = "projector.postgres";
/// The part of readiness that says how the log is.
const LOG: &str = "projector.log";

/// Runs until stopped, or until the log is not what it was, or another projector runs.
pub fn run(config: Config, runtime: Runtime) -> Running {
    Box::pin(until_stopped(config, runtime))
}

async fn until_stopped(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    let metrics = Metrics::register(&runtime.registry)?;
    runtime.readiness.set(PROJECTOR, Err("not attached yet"));
    let archive = config.archive.as_deref().map(Archive::open).transpose()?;
    let broker = tokio::select! {
        broker = connect(&config) => broker?,
        () = runtime.stop.cancelled() => return Ok(()),
    };
    let tell = runtime.part(
        "projector.broker",
        "nox_projection_broker_unwell",
        "1 while the broker takes no writes, as with a full disk",
    )?;
    let _health = AbortOnDropHandle::new(tokio::spawn(broker.clone().watch_health(tell)));
    let _sweeper = sweeper(&config, &runtime, &metrics)?;
    let outcome = project(&config, &runtime, &broker, archive.as_ref(), &metrics).await;
    if let Err(error) = &outcome {
        runtime.readiness.set(PROJECTOR, Err(format!("{error:#}")));
    }
    outcome
}

/// Sweeps the artifact store beside, if there is one.
fn sweeper(
    config: &Config,
    runtime: &Runtime,
    metrics: &Metrics,
) -> anyhow::Result<Option<AbortOnDropHandle<()>>> {
    let Some(location) = config.artifacts.as_deref().filter(|_| config.sweep_s > 0) else {
        return Ok(None);
    };
    let artifacts = Artifacts::open(location, false).context("cannot sweep the artifact store")?;
    let reader = nox_readmodel::Reader::new(config.database_url.reveal(), 1)
        .context("the database cannot be named")?;
    let every = Duration::from_secs(config.sweep_s.into());
    let (rules, runtime) = (config.rules(), runtime.clone());
    let rows = ReadRows { reader, clock: runtime.clock.clone() };
    let sweeping = sweep::run(artifacts, rows, rules, every, runtime, metrics.clone());
    Ok(Some(AbortOnDropHandle::new(tokio::spawn(sweeping))))
}

async fn connect(config: &Config) -> anyhow::Result<Broker> {
    Broker::connect(ConnectOptions {
        url: config.nats_url.reveal().to_owned(),
        service: "projector",
        monitor_url: config.nats_monitor_url.clone(),
        sync: config.sync,
    })
    .await
    .context("cannot use the broker")
}

/// Why the rows could not take the log in up to an event.
struct Refused {
    up_to: FrameNumber,
    reason: String,
}

/// Follows the log, into one generation of rows after the other.
async fn project(
    config: &Config,
    runtime: &Runtime,
    broker: &Broker,
    archive: Option<&Archive>,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let (readiness, lag) = (runtime.readiness.clone(), metrics.clone());
    let watch = broker.clone().watch_log(move |end| {
        let outcome = end.map(|end| lag.log_ends_at(end));
        readiness.set(LOG, outcome.map_err(|error| error.to_string()));
    });
    let _watch = AbortOnDropHandle::new(tokio::spawn(watch));
    let mut pause = Pause::new(runtime);
    let mut refused: Option<Refused> = None;
    loop {
        let Some(incarnation) = incarnation(broker, runtime).await? else { return Ok(()) };
        let Some((mut store, place)) = attach(config, runtime, &incarnation).await? else {
            return Ok(());
        };
        // That tables could be attached to says nothing of one that a batch needs, until it is in.
        let still = refused.take().filter(|refused| place.n() < refused.up_to);
        runtime.readiness.set(POSTGRES, still.map_or(Ok(()), |refused| Err(refused.reason)));
        runtime.readiness.set(PROJECTOR, Ok::<(), String>(()));
        tracing::info!(frame.n = place.n().0, log.incarnation = incarnation.0, "Follows the log");
        metrics.place(place.n());

        let rows = metrics.clone();
        let tell = broker
            .clone()
            .keep_telling_reader(READER, incarnation.clone(), move || Some(rows.rows_are_at()));
        let _tell = AbortOnDropHandle::new(tokio::spawn(tell));
        let log = Log::new(broker.clone(), incarnation, archive);
        let batches = read::start(&log, place);
        match commit::all(config, runtime, metrics, &mut store, batches).await? {
            End::Stopped => return Ok(()),
            End::OtherRows { reason, up_to } => {
                tracing::warn!(%reason, "Attaches to other rows");
                if let StoreError::Unprepared(_) | StoreError::Incomplete { .. } = reason {
                    refused = Some(Refused { up_to, reason: reason.to_string() });
                }
            }
        }
        // Two servers behind one address may take turns.
        if !pause.wait().await {
            return Ok(());
        }
    }
}

/// The store, and where its rows are in this log; `None` if asked to stop before Postgres let us in.
async fn attach(
    config: &Config,
    runtime: &Runtime,
    incarnation: &Incarnation,
) -> anyhow::Result<Option<(Store, Reader)>> {
    let mut pause = Pause::new(runtime);
    let store = Store::new(config.database_url.reveal()).context("the database cannot be named")?;
    let mut store = store.keeping(config.keep_days);
    loop {
        match place(&mut store, incarnation).await {
            Ok(reader) => return Ok(Some((store, reader))),
            Err(error) if error.remedy() != Remedy::Stop => {
                if !pause.after(&error).await {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error).context("cannot attach to the rows"),
        }
    }
}

async fn place(store: &mut Store, incarnation: &Incarnation) -> Result<Reader, StoreError> {
    store.prepare().await?;
    store.follow(incarnation).await?;
    let checkpoint = store.checkpoint().await?;
    Ok(Reader::new(checkpoint.n, checkpoint.chain, checkpoint.pos))
}

/// Which log there is, once there is one; `None` if asked to stop before.
async fn incarnation(broker: &Broker, runtime: &Runtime) -> anyhow::Result<Option<Incarnation>> {
    let mut pause = Pause::new(runtime);
    loop {
        match broker.incarnation(subject::EVENTS).await {
            Ok(incarnation) => return Ok(Some(incarnation)),
            Err(Error::Drift(drift)) => return Err(drift).context("cannot use the log"),
            // The scheduler makes it.
            Err(error) => {
                runtime.readiness.set(LOG, Err(error.to_string()));
                if !pause.wait().await {
                    return Ok(None);
                }
            }
        }
    }
}
