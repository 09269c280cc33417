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
use nox_protocol::{Agreement, Faults, agreement};
use nox_service::Clock;
use nox_streams::{Broker, PublishError};
use tokio::time::timeout;

use crate::{
    Scheduler, archive_of,
    cut::{Cutting, Outcome},
    takeover::Failure,
};

/// How long a takeover waits for an archive that is away. Without it nobody knows whether the log has lost
/// its end; if it has, nothing is archived or cut until an operator has looked (see [`agree`]).
const ARCHIVE_WITHIN: Duration = Duration::from_secs(10);

/// Appends what the archive has behind the end of the stream, each message where it was.
pub async fn restore(scheduler: &Scheduler, log: &Log) -> Result<(), Failure> {
    let archive = archive_of(log);
    append(log, archive, &mut Cutting::new(scheduler, log, archive)).await
}

async fn append(log: &Log, archive: &LogArchive, cutting: &mut Cutting) -> Result<(), Failure> {
    let broker = log.broker();
    let last = FrameNumber(broker.last_sequence(subject::EVENTS).await?);
    // Its oldest segments may have been moved away.
    let end = match timeout(ARCHIVE_WITHIN, archive.end_behind(last.max(FrameNumber(1)))).await {
        Ok(Ok(Some((end, _)))) => end,
        Ok(Ok(None)) => return Ok(()),
        Ok(Err(error)) => return without(&error),
        Err(_) => return without(&format!("no answer within {ARCHIVE_WITHIN:?}")),
    };
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
            while let Err(error) = broker.append_again(message.clone()).await {
                if !error.is_full() {
                    return Err(Failure::Unavailable(format!("the log's lost end: {error}")));
                }
                make_room(cutting, FrameNumber(message.seq), end, &error).await?;
            }
        }
    }
    Ok(())
}

/// Cuts the stream, which is full before it has message `n` of those up to `end`, if any of it may go.
async fn make_room(
    cutting: &mut Cutting,
    n: FrameNumber,
    end: FrameNumber,
    full: &PublishError,
) -> Result<(), Failure> {
    match cutting.cut(end, Clock::system().monotonic()).await {
        Ok(Outcome { frames: 1.., .. }) => Ok(()),
        Ok(_) => Err(Failure::Broken(anyhow!(
            "the log lost its end, and its stream has no room for frames {n} to {end}, which the archive \
             has of it ({full}); nothing can be cut before a newer snapshot: raise NOX_LOG_BYTES, or make \
             room on the broker's disk, and start the scheduler again"
        ))),
        Err(error) => Err(Failure::Unavailable(format!("cannot make room in the log: {error:#}"))),
    }
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
        let Some(there) = broker.read_one(subject::EVENTS, n.0).await? else {
            // Cut off, by somebody who had compared it.
            break;
        };
        let there = Some((there.subject.as_str(), &*there.payload));
        let kept = archive.frame(n).await?;
        let kept = kept.with_context(|| format!("frame {n} is not archived"))?;
        match agreement::compare(there, &kept.payload, Faults::default()) {
            Agreement::Same => break,
            Agreement::Another => return Ok(Some(n)),
            Agreement::LookBefore => {}
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

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use nox_protocol::Retention;

    use super::*;
    use crate::{
        fixture::{Fixture, chain, messages, segment},
        metrics::Metrics,
        snapshot,
    };

    #[tokio::test]
    async fn what_a_full_stream_lost_comes_back_as_soon_as_something_may_be_cut() {
        let fixture = &Fixture::full(8 * 1024).await;
        let (broker, log) = (&fixture.broker, &fixture.log);
        let count = fixture.messages.len() as u64;
        let all = messages(count + count / 2, "");
        let archive = log.archive().unwrap();
        for from in (1..=all.len() as u64).step_by(3) {
            let to = (from + 2).min(all.len() as u64);
            archive.put(segment(&all, from, to)).await.unwrap();
        }
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let mut cutting = Cutting::by(Retention::default(), metrics, log, archive);
        let Err(Failure::Broken(error)) = append(log, archive, &mut cutting).await else {
            panic!("it has no room, and nothing may be cut without a snapshot");
        };
        assert!(error.to_string().contains("raise NOX_LOG_BYTES"), "{error}");
        assert_eq!(broker.last_sequence(subject::EVENTS).await.unwrap(), count);

        let name = snapshot::name(FrameNumber(count - 1), chain(&all, count - 1));
        broker.put_snapshot(&name, vec![]).await.unwrap();
        assert!(append(log, archive, &mut cutting).await.is_ok());
        assert_eq!(broker.last_sequence(subject::EVENTS).await.unwrap(), all.len() as u64);
        let read = log.read(FrameNumber(1), FrameNumber(all.len() as u64)).try_concat().await;
        assert_eq!(read.unwrap(), all);
    }
}
