//! Keeps folds of the log, so that a takeover need not begin at its first message. A snapshot is
//! believed only where the log's own chain agrees with it: by whoever takes over, and by whoever cuts the
//! log up to it or deletes those before. A log that lost its end may have snapshots of what it lost.

use std::time::Duration;

use anyhow::{Context, ensure};
use nox_archive::{ClosedState, Log, LogError};
use nox_contract::{Chain, FrameNumber, subject};
use nox_core::State;
use nox_protocol::Leader;
use tokio::{task::JoinHandle, time::timeout};

use crate::{Config, archive::Archiving};

/// Of the state's serialised form.
const FORMAT: &str = State::FORMAT;

/// Snapshots that are kept, of those that the log agrees with: the newest may turn out to be unreadable.
const KEPT: usize = 2;

/// Longest time to keep one: the next has to wait for it.
const KEEP_WITHIN: Duration = Duration::from_secs(600);

/// So many times the fewest entries between two snapshots, and one is due before its time: a takeover folds
/// them in some two seconds.
const ENTRIES_MANY: u64 = 10;
/// So many times as long as the last one took to keep, it is not.
const PAUSES: u32 = 10;

/// When a snapshot is due.
struct Pace {
    entries_min: u64,
    interval: Duration,
    /// Entries since the last one was taken, or since the term began; and when that was.
    entries: u64,
    at: Duration,
    /// Until the last one was kept.
    took: Duration,
}

impl Pace {
    fn is_due(&self, now: Duration) -> bool {
        let is_many = self.entries >= self.entries_min.saturating_mul(ENTRIES_MANY);
        let interval = if is_many { self.interval.min(PAUSES * self.took) } else { self.interval };
        self.entries >= self.entries_min && now >= self.at + interval
    }
}

/// Keeps folds now and then, one at a time: each is as large as all that is remembered.
pub struct Snapshots {
    pace: Pace,
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
            pace: Pace {
                entries_min: config.snapshot_entries,
                interval: Duration::from_millis(config.snapshot_ms),
                entries: 0,
                at: now,
                took: Duration::ZERO,
            },
            wanted: false,
            taken: None,
            keeping: None,
        }
    }

    /// The log gets a frame. One without entries has to be read by a takeover as well.
    pub fn count(&mut self, entries: usize) {
        self.pace.entries += entries.max(1) as u64;
    }

    /// Whether a fold is due or wanted: the turn is to end between two frames.
    pub fn wants_fold(&mut self, archiving: &Archiving, now: Duration) -> bool {
        self.wanted |= archiving.takes_snapshot();
        if self.keeping.take_if(|task| task.is_finished()).is_some() {
            self.pace.took = now.saturating_sub(self.pace.at);
        }
        let is_free = self.taken.is_none() && self.keeping.is_none();
        is_free && (self.wanted || self.pace.is_due(now))
    }

    /// Takes a fold if one is due or wanted and no frame is open, and keeps the one that was taken as soon
    /// as it is worth it.
    pub fn look(&mut self, leader: &Leader, archiving: &Archiving, log: &Log, now: Duration) {
        if self.wants_fold(archiving, now)
            && let Some((state, chain)) = leader.fold()
        {
            self.taken = Some((state.to_snapshot(), chain));
            (self.pace.entries, self.pace.at, self.wanted) = (0, now, false);
        }
        if self.keeping.is_none()
            && let Some((state, chain)) = self.taken.take_if(|(state, _)| state.n <= leader.acked())
        {
            self.keeping = Some(tokio::spawn(keep(log.clone(), state, chain)));
        }
    }
}

/// Keeps a fold. A failure costs the next takeover time, and the log's stream room.
async fn keep(log: Log, state: State, chain: Chain) {
    let name = name(state.n, chain);
    let kept = match timeout(KEEP_WITHIN, put(&log, &name, state, chain)).await {
        Ok(kept) => kept.map_err(|error| format!("{error:#}")),
        Err(_) => Err(format!("not done in {KEEP_WITHIN:?}")),
    };
    match kept {
        Ok(()) => tracing::info!(name, "Kept a snapshot"),
        Err(reason) => tracing::warn!(name, reason, "Cannot keep a snapshot"),
    }
}

async fn put(log: &Log, name: &str, state: State, chain: Chain) -> anyhow::Result<()> {
    let of = (state.n, state.at, chain);
    // Takes seconds for a large state: not on a thread that others wait for.
    let pack = move || {
        let bytes = serde_json::to_vec(&state)?;
        let closed = ClosedState::new(of, FORMAT, &bytes)?;
        Ok::<_, anyhow::Error>((bytes, closed))
    };
    let (bytes, closed) = tokio::task::spawn_blocking(pack).await??;
    log.broker().put_snapshot(name, bytes).await?;
    thin_out(log).await.context("what is there beside it")?;
    // The next takeover does without it.
    if let Some(archive) = log.archive()
        && let Err(error) = archive.put_state(closed).await
    {
        tracing::warn!(name, %error, "Cannot keep a state in the archive");
    }
    Ok(())
}

/// Deletes all but the newest that the log agrees with. One that it disagrees with would pass for newer for
/// as long as the log has not come so far again.
async fn thin_out(log: &Log) -> Result<(), LogError> {
    let mut kept = 0;
    let mut superfluous = Vec::new();
    for name in log.broker().snapshots().await? {
        if kept < KEPT && agreed(log, &name).await?.is_some() {
            kept += 1;
        } else {
            superfluous.push(name);
        }
    }
    Ok(log.broker().delete_snapshots(&superfluous).await?)
}

pub fn name(n: FrameNumber, chain: Chain) -> String {
    format!("{FORMAT}-{n}-{}", chain.to_string().trim_start_matches("b3:"))
}

/// The frame of the newest one that the log agrees with; 0 without any.
pub async fn newest(log: &Log) -> Result<FrameNumber, LogError> {
    for name in log.broker().snapshots().await? {
        if let Some((n, _)) = agreed(log, &name).await? {
            return Ok(n);
        }
    }
    Ok(FrameNumber(0))
}

/// The newest fold that the log agrees with and that can be read, if there is one.
pub async fn find(log: &Log) -> Option<(State, Chain)> {
    let names = match log.broker().snapshots().await {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!(%error, "Cannot look for snapshots; folds the whole log");
            return None;
        }
    };
    for name in names {
        match read(log, &name).await {
            Ok(Some(found)) => return Some(found),
            Ok(None) => tracing::warn!(name, "The log disagrees with a snapshot"),
            Err(error) => {
                tracing::warn!(name, error = format!("{error:#}"), "Cannot read a snapshot");
            }
        }
    }
    None
}

/// `None` if the log disagrees with it.
async fn read(log: &Log, name: &str) -> anyhow::Result<Option<(State, Chain)>> {
    let Some((n, chain)) = agreed(log, name).await? else { return Ok(None) };
    let bytes = log.broker().get_snapshot(name).await?.context("it is not there any more")?;
    let mut state: State = serde_json::from_slice(&bytes)?;
    ensure!(state.n == n, "it is a fold up to {}", state.n);
    state.reindex();
    Ok(Some((state, chain)))
}

/// Where in the log the snapshot of this name is; `None` if the log disagrees with it, or nobody can tell.
async fn agreed(log: &Log, name: &str) -> Result<Option<(FrameNumber, Chain)>, LogError> {
    let Some((n, chain)) = parse(name) else { return Ok(None) };
    // The archive may have a frame that the log has lost.
    if log.broker().last_sequence(subject::EVENTS).await? < n.0 {
        return Ok(None);
    }
    match log.chain_at(n, true).await {
        Ok(found) => Ok((found == Some(chain)).then_some((n, chain))),
        Err(LogError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(name: &str) -> Option<(FrameNumber, Chain)> {
    let mut parts = name.split('-');
    if parts.next()? != FORMAT {
        return None;
    }
    let n = FrameNumber(parts.next()?.parse().ok()?);
    Some((n, Chain::parse(&format!("b3:{}", parts.next()?))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, chain, messages};

    #[test]
    fn many_entries_bring_a_snapshot_before_its_time_and_a_large_state_a_pause() {
        let s = Duration::from_secs;
        let pace =
            |entries, took| Pace { entries_min: 50, interval: s(60), entries, at: s(100), took };
        assert!(!pace(49, s(1)).is_due(s(1_000)));
        assert!(!pace(50, s(1)).is_due(s(159)));
        assert!(pace(50, s(1)).is_due(s(160)));
        assert!(!pace(500, s(1)).is_due(s(109)));
        assert!(pace(500, s(1)).is_due(s(110)));
        assert!(!pace(500, s(30)).is_due(s(159)));
        assert!(pace(500, s(30)).is_due(s(160)));
    }

    fn fold(n: u64) -> State {
        let mut state = State::default();
        state.n = FrameNumber(n);
        state
    }

    async fn names(log: &Log) -> Vec<u64> {
        let names = log.broker().snapshots().await.unwrap();
        names.iter().map(|name| parse(name).unwrap().0.0).collect()
    }

    #[tokio::test]
    async fn a_snapshot_of_another_history_hides_none_that_the_log_agrees_with() {
        let Fixture { broker, log, messages: written, .. } = &Fixture::new(25).await;
        let other = messages(40, "another history");
        assert_eq!(newest(log).await.unwrap(), FrameNumber(0));
        // What the log has, what it has otherwise, and what it had before it lost its end.
        for (n, chain) in [(8, chain(written, 8)), (15, chain(&other, 15)), (40, chain(&other, 40))]
        {
            let bytes = serde_json::to_vec(&fold(n)).unwrap();
            broker.put_snapshot(&name(FrameNumber(n), chain), bytes).await.unwrap();
        }
        assert_eq!(newest(log).await.unwrap(), FrameNumber(8));
        assert_eq!(find(log).await.map(|(state, _)| state.n), Some(FrameNumber(8)));

        // The next ones take the place of what the log disagrees with.
        keep(log.clone(), fold(12), chain(written, 12)).await;
        assert_eq!(names(log).await, [12, 8]);
        keep(log.clone(), fold(13), chain(written, 13)).await;
        assert_eq!(names(log).await, [13, 12]);
        assert_eq!(newest(log).await.unwrap(), FrameNumber(13));

        // One that cannot be read, and one that is not what its name says.
        broker.put_snapshot(&name(FrameNumber(22), chain(written, 22)), vec![7]).await.unwrap();
        let bytes = serde_json::to_vec(&fold(7)).unwrap();
        broker.put_snapshot(&name(FrameNumber(23), chain(written, 23)), bytes).await.unwrap();
        let (state, at) = find(log).await.unwrap();
        assert_eq!((state.n, at), (FrameNumber(13), chain(written, 13)));
    }

    #[tokio::test]
    async fn the_log_agrees_with_a_fold_up_to_the_record_of_an_epoch() {
        let Fixture { log, messages: written, .. } = &Fixture::new(25).await;
        for n in [1, 2, 20, 21] {
            let found = log.chain_at(FrameNumber(n), true).await.unwrap();
            assert_eq!(found, Some(chain(written, n)), "{n}");
        }
        keep(log.clone(), fold(20), chain(written, 20)).await;
        assert_eq!(newest(log).await.unwrap(), FrameNumber(20));
    }

    #[test]
    fn a_snapshot_s_name_says_what_it_is_a_fold_of() {
        let chain = Chain::START.extend(b"a frame");
        let name = name(FrameNumber(50_001), chain);
        assert_eq!(parse(&name), Some((FrameNumber(50_001), chain)));
        assert_eq!(parse(&name.replace(FORMAT, "state1")), None, "of another version");
        assert_eq!(parse(&name[..name.len() - 1]), None);
        assert_eq!(parse(&format!("{FORMAT}-x-00")), None);
    }
}
