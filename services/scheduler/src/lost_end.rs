//! Gives the log's stream back the end that it lost and the archive has.
//!
//! The archive is on stable storage as soon as it has something; the stream of a relaxed broker is so only some
//! time later, and an operator may bring back an older copy of it. What was archived has been acknowledged,
//! handed out and shown to readers: a new leader begins behind that, and never beside it.

use std::time::Duration;

use anyhow::{Context, anyhow};
use futures_util::StreamExt;
use nox_archive::{Log, LogArchive};
use nox_contract::{FrameNumber, subject};
use nox_streams::Broker;
use tokio::time::timeout;

use crate::takeover::Failure;

/// How long a takeover waits for an archive that is away. Without it nobody knows whether the log has lost
/// its end; if it has, nothing is archived or cut until an operator has looked (see [`agree`]).
const ARCHIVE_WITHIN: Duration = Duration::from_secs(10);

/// Appends what the archive has behind the end of the stream, each message where it was.
pub async fn restore(broker: &Broker, log: &Log) -> Result<(), Failure> {
    let Some(archive) = log.archive() else { return Ok(()) };
    let end = match timeout(ARCHIVE_WITHIN, archive.end()).await {
        Ok(Ok((end, _))) => end,
        Ok(Err(error)) => return without(&error),
        Err(_) => return without(&format!("no answer within {ARCHIVE_WITHIN:?}")),
    };
    let last = FrameNumber(broker.last_sequence(subject::EVENTS).await?);
    if last >= end {
        return Ok(());
    }
    match difference(broker, archive, last).await {
        Ok(None) => {}
        // Two histories: which of them counts, people must say.
        Ok(Some(n)) => return without(&another(archive, n)),
        Err(error) => return Err(Failure::Unavailable(format!("{error:#}"))),
    }
    tracing::warn!(
        stream.n = last.0,
        archive.n = end.0,
        "The log lost its end: takes it from the archive"
    );
    let mut chunks = archive.read(last.next());
    while let Some(chunk) = chunks.next().await {
        let messages = chunk.map_err(|error| Failure::Unavailable(error.to_string()))?;
        for message in messages.into_iter().filter(|message| message.seq <= end.0) {
            let appended = broker.append_again(message).await;
            appended
                .map_err(|error| Failure::Unavailable(format!("the log's lost end: {error}")))?;
        }
    }
    Ok(())
}

/// Nobody can tell what the archive has; the log is led on all the same.
fn without(reason: &dyn std::fmt::Display) -> Result<(), Failure> {
    tracing::error!(%reason, "Leads without knowing whether the log has all that was archived");
    Ok(())
}

/// Whether the stream has what the archive ends with, at message `end`. A log that lost its end may have
/// grown as long again, and then the archive is of what was lost: none of that may stand for what there is
/// now, and nothing may be cut that only seems to be archived.
pub async fn agree(broker: &Broker, archive: &LogArchive, end: FrameNumber) -> anyhow::Result<()> {
    let last = broker.last_sequence(subject::EVENTS).await?;
    if last < end.0 {
        return Err(anyhow!(
            "the archive {} goes on to frame {end}, and the log ends at {last}",
            archive.location()
        ));
    }
    match difference(broker, archive, end).await? {
        Some(n) => Err(anyhow!(another(archive, n))),
        None => Ok(()),
    }
}

/// The last of the messages up to `n` that stream and archive do not have alike; `None` where all that can be
/// compared is.
async fn difference(
    broker: &Broker,
    archive: &LogArchive,
    n: FrameNumber,
) -> anyhow::Result<Option<FrameNumber>> {
    for n in (1..=n.0).rev().map(FrameNumber) {
        // Cut off already, by somebody who had compared it.
        let Some(there) = broker.read_one(subject::EVENTS, n.0).await? else { break };
        let kept = archive.frame(n).await?;
        let kept = kept.with_context(|| format!("frame {n} is not archived"))?;
        if there.payload != kept.payload {
            return Ok(Some(n));
        }
        // A frame names all before it; the record of an epoch does not.
        if there.subject != subject::EPOCH {
            break;
        }
    }
    Ok(None)
}

fn another(archive: &LogArchive, n: FrameNumber) -> String {
    format!(
        "frame {n} of the archive {} is another one than the log has: the log lost its end after that was \
         archived, and went on without it; move the segments from there on away",
        archive.location()
    )
}
