//! Carries out what a new leader has to read and write before it may decide.

use std::time::Duration;

use anyhow::anyhow;
use futures_util::StreamExt;
use nox_archive::{ArchiveError, Log, LogError};
use nox_contract::{FrameNumber, subject};
use nox_protocol::{
    Faults, Takeover,
    takeover::{Attachment, Ready, TakeoverEffect, TakeoverError},
};
use nox_service::crash_point;
use nox_streams::{Broker, Error, PublishError};

use crate::{Scheduler, lost_end, snapshot};

/// How often a broker that does not answer is asked again, and how long is waited in between.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Why a takeover came to nothing.
pub enum Failure {
    /// Try again later.
    Unavailable(String),
    /// Log or inputs are not what they were: stop.
    Broken(anyhow::Error),
}

impl From<TakeoverError> for Failure {
    fn from(error: TakeoverError) -> Self {
        Self::Broken(error.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(reason) => Self::Unavailable(reason),
            other => Self::Broken(other.into()),
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Broker(error) => error.into(),
            LogError::Archive(ArchiveError::Unavailable { .. }) => {
                Self::Unavailable(error.to_string())
            }
            other => Self::Broken(other.into()),
        }
    }
}

/// Becomes leader in the log.
pub async fn run(
    scheduler: &Scheduler,
    log: &Log,
    holder: &str,
    accept_reset: Option<String>,
) -> Result<Ready, Failure> {
    let Scheduler { runtime, broker, metrics, .. } = scheduler;
    lost_end::restore(scheduler, log).await?;
    let attachment = attach(broker).await?;
    let faults = Faults { future: scheduler.config.is_future(), ..Faults::default() };
    let snapshot = snapshot::find(log, faults.future).await;
    let from = snapshot.as_ref().map_or(0, |(state, _)| state.n.0);
    tracing::info!(from, "Folds the log");
    metrics.takeover_snapshot_n.set(i64::try_from(from).unwrap_or(i64::MAX));
    let at = runtime.clock.now();
    let mut takeover =
        Takeover::new(holder.to_owned(), at, attachment, accept_reset, snapshot, faults);
    let mut effect = takeover.start();
    let mut tries = 0;
    loop {
        effect = match effect {
            TakeoverEffect::ReadEpoch => {
                let newest = broker.epoch().await?;
                takeover.on_epoch(newest.map(|epoch| (epoch.seq, epoch.record)))
            }
            TakeoverEffect::AppendEpoch { record, expected } => {
                crash_point("scheduler.before_epoch");
                match broker.append_epoch(&record, expected).await {
                    Ok(seq) => {
                        crash_point("scheduler.after_epoch");
                        takeover.on_epoch_appended(seq)
                    }
                    Err(error) => {
                        tries += 1;
                        if tries > TRIES {
                            return Err(Failure::Unavailable(error.to_string()));
                        }
                        if !matches!(&error, PublishError::Refused { .. } if error.is_guard()) {
                            tokio::time::sleep(PAUSE).await;
                        }
                        takeover.on_epoch_unknown()
                    }
                }
            }
            TakeoverEffect::ReadLog { from, to } => fold(log, &mut takeover, from, to).await?,
            TakeoverEffect::Attach => match takeover.on_attachment(attach(broker).await?)? {
                Some(next) => next,
                None => takeover.start(),
            },
            TakeoverEffect::Lead(ready) => return Ok(*ready),
        };
    }
}

/// The input streams as they are now.
async fn attach(broker: &Broker) -> Result<Attachment, Error> {
    Ok(Attachment {
        commands: broker.incarnation(subject::COMMANDS).await?,
        commands_last: broker.last_sequence(subject::COMMANDS).await?,
        reports: broker.incarnation(subject::REPORTS).await?,
        reports_last: broker.last_sequence(subject::REPORTS).await?,
    })
}

/// Folds the log in chunks, so that a long one need not fit into memory.
async fn fold(
    log: &Log,
    takeover: &mut Takeover,
    from: u64,
    to: u64,
) -> Result<TakeoverEffect, Failure> {
    // A snapshot is looked at before the epoch record is appended: the log lost its end in between.
    if from > to {
        let from = from - 1;
        return Err(Failure::Broken(anyhow!(
            "log_regressed: folded up to {from}, and it ends at {to}"
        )));
    }
    let mut chunks = log.read(FrameNumber(from), FrameNumber(to));
    while let Some(chunk) = chunks.next().await {
        let records: Vec<_> = chunk?.into_iter().map(|r| (r.seq, r.subject, r.payload)).collect();
        match takeover.on_log(&records)? {
            Some(TakeoverEffect::ReadLog { .. }) | None => {}
            Some(next) => return Ok(next),
        }
    }
    Err(Failure::Unavailable("the log's end is not readable".into()))
}
