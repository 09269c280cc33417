//! Keeps folds of the log, so that a takeover need not begin at its first message. A snapshot is
//! believed only where the log's own chain agrees with it.

use std::time::Duration;

use nox_archive::Log;
use nox_contract::{Chain, Frame, FrameNumber, subject};
use nox_core::State;
use nox_protocol::Leader;
use nox_streams::{Broker, Error};
use tokio::{task::JoinHandle, time::timeout};

use crate::{Config, archive::Archiving};

/// Of the state's serialised form; another one is not read.
const FORMAT: &str = "state4";

/// Longest time to keep one: the next has to wait for it.
const KEEP_WITHIN: Duration = Duration::from_secs(600);

/// Keeps folds now and then, one at a time: each is as large as all that is remembered.
pub struct Snapshots {
    entries_min: u64,
    interval: Duration,
    /// Entries since the last one was taken, or since the term began; and when that was.
    entries: u64,
    at: Duration,
    /// The log cannot be cut without a newer one.
    wanted: bool,
    /// Taken, and to be kept once the log has its last frame.
    taken: Option<(State, Chain)>,
    keeping: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// A term begins.
    pub fn new(config: &Config, now: Duration) -> Self {
        Self {
            entries_min: config.snapshot_entries,
            interval: Duration::from_millis(config.snapshot_ms),
            entries: 0,
            at: now,
            wanted: false,
            taken: None,
            keeping: None,
        }
    }

    /// The log gets a frame. One without entries has to be read by a takeover as well.
    pub fn count(&mut self, entries: usize) {
        self.entries += entries.max(1) as u64;
    }

    /// Takes a fold if one is due or wanted and no frame is open, and keeps the one that was taken as soon
    /// as it is worth it.
    pub fn look(&mut self, leader: &Leader, archiving: &Archiving, broker: &Broker, now: Duration) {
        if self.keeping.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.wanted |= archiving.takes_snapshot();
        let is_due = self.entries >= self.entries_min && now >= self.at + self.interval;
        if (is_due || self.wanted)
            && self.taken.is_none()
            && let Some((state, chain)) = leader.fold()
        {
            self.taken = Some((state.to_snapshot(), chain));
            (self.entries, self.at, self.wanted) = (0, now, false);
        }
        if let Some((state, chain)) = self.taken.take_if(|(state, _)| state.n <= leader.acked()) {
            self.keeping = Some(tokio::spawn(keep(broker.clone(), state, chain)));
        }
    }
}

/// Keeps a fold. A failure costs the next takeover time and nothing else.
async fn keep(broker: Broker, state: State, chain: Chain) {
    let name = name(state.n, chain);
    // Takes seconds for a large state: not on a thread that others wait for.
    let bytes = tokio::task::spawn_blocking(move || serde_json::to_vec(&state)).await;
    let kept = match bytes {
        Ok(Ok(bytes)) => match timeout(KEEP_WITHIN, broker.put_snapshot(&name, bytes)).await {
            Ok(kept) => kept.map_err(|e| e.to_string()),
            Err(_) => Err(format!("not done in {KEEP_WITHIN:?}")),
        },
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match kept {
        Ok(()) => tracing::info!(name, "Kept a snapshot"),
        Err(reason) => tracing::warn!(name, reason, "Cannot keep a snapshot"),
    }
}

fn name(n: FrameNumber, chain: Chain) -> String {
    format!("{FORMAT}-{n}-{}", chain.to_string().trim_start_matches("b3:"))
}

/// The frame of the newest one that was kept; 0 without any.
pub async fn newest(broker: &Broker) -> Result<FrameNumber, Error> {
    let names = broker.snapshots().await?;
    Ok(names.iter().find_map(|name| parse(name)).map(|(n, _)| n).unwrap_or_default())
}

/// The newest fold that the log agrees with, if there is one.
pub async fn find(broker: &Broker, log: &Log) -> Option<(State, Chain)> {
    let (name, bytes) = match broker.latest_snapshot().await {
        Ok(found) => found?,
        Err(error) => {
            tracing::warn!(%error, "Cannot read the snapshot; folds the whole log");
            return None;
        }
    };
    let (n, chain) = parse(&name)?;
    // The archive may have a frame that the log has lost.
    if !matches!(broker.last_sequence(subject::EVENTS).await, Ok(last) if n.0 <= last) {
        tracing::warn!(name, "The log has not come to the snapshot; folds the whole log");
        return None;
    }
    if chain_at(log, n).await? != chain {
        tracing::warn!(name, "The log disagrees with the snapshot; folds the whole log");
        return None;
    }
    let mut state: State = serde_json::from_slice(&bytes).ok()?;
    if state.n != n {
        return None;
    }
    state.reindex();
    Some((state, chain))
}

fn parse(name: &str) -> Option<(FrameNumber, Chain)> {
    let mut parts = name.split('-');
    if parts.next()? != FORMAT {
        return None;
    }
    let n = FrameNumber(parts.next()?.parse().ok()?);
    Some((n, Chain::parse(&format!("b3:{}", parts.next()?))?))
}

/// The chain after message `n`, as the log itself has it: a frame names the chain before it.
async fn chain_at(log: &Log, n: FrameNumber) -> Option<Chain> {
    let message = log.frame(n).await.ok()??;
    let frame: Frame = serde_json::from_slice(&message.payload).ok()?;
    Some(Chain::parse(&frame.prev)?.extend(&message.payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_s_name_says_what_it_is_a_fold_of() {
        let chain = Chain::START.extend(b"a frame");
        let name = name(FrameNumber(50_001), chain);
        assert_eq!(parse(&name), Some((FrameNumber(50_001), chain)));
        assert_eq!(parse(&name.replace(FORMAT, "state1")), None, "of another version");
        assert_eq!(parse(&name[..name.len() - 1]), None);
        assert_eq!(parse("state3-x-00"), None);
    }
}
