//! Keeps folds of the log, so that a takeover need not begin at its first message. A snapshot is
//! believed only where the log's own chain agrees with it: by whoever takes over, and by whoever cuts the
//! log up to it or deletes those before. A log that lost its end may have snapshots of what it lost.
//!
//! One that was made by a version that knows more words is not read: what it says is not all that this one would go
//! by. In one with something parked, this version may know now what that lacked: then it folds the log from an earlier one.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use nox_archive::{ClosedState, Log, LogError};
use nox_contract::{Chain, FrameNumber, subject};
use nox_core::State;
use nox_protocol::{
    Leader,
    snapshot::{self, FORMAT},
};
use tokio::{task::JoinHandle, time::timeout};

use crate::{Config, archive::Archiving};

/// Where something is parked: what a version that knows more begins before.
const PARKED: &str = "parked5";
/// Of earlier versions, which knew no word that is not known now, and parked nothing: the state alone.
const BARE: &str = "state4";

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
    words: Arc<BTreeSet<String>>,
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
            words: Arc::new(snapshot::words(config.is_future())),
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
            self.keeping = Some(tokio::spawn(keep(log.clone(), state, chain, self.words.clone())));
        }
    }
}

/// Keeps a fold. A failure costs the next takeover time, and the log's stream room.
async fn keep(log: Log, state: State, chain: Chain, words: Arc<BTreeSet<String>>) {
    let name = match state.parking.is_empty() {
        true => name(state.n, chain),
        false => named(PARKED, state.n, chain),
    };
    let kept = match timeout(KEEP_WITHIN, put(&log, &name, state, chain, words)).await {
        Ok(kept) => kept.map_err(|error| format!("{error:#}")),
        Err(_) => Err(format!("not done in {KEEP_WITHIN:?}")),
    };
    match kept {
        Ok(()) => tracing::info!(name, "Kept a snapshot"),
        Err(reason) => tracing::warn!(name, reason, "Cannot keep a snapshot"),
    }
}

async fn put(
    log: &Log,
    name: &str,
    state: State,
    chain: Chain,
    words: Arc<BTreeSet<String>>,
) -> anyhow::Result<()> {
    let of = (state.n, state.at, chain);
    let is_whole = state.parking.is_empty();
    // Takes seconds for a large state: not on a thread that others wait for.
    let pack = move || {
        let bytes = snapshot::write(&state, &words)?;
        let closed = ClosedState::new(of, FORMAT, &bytes)?;
        Ok::<_, anyhow::Error>((bytes, closed))
    };
    let (bytes, closed) = tokio::task::spawn_blocking(pack).await??;
    log.broker().put_snapshot(name, bytes).await?;
    thin_out(log).await.context("what is there beside it")?;
    // The next takeover does without it. With something parked it is not what a version that knows more would tell.
    if is_whole
        && let Some(archive) = log.archive()
        && let Err(error) = archive.put_state(closed).await
    {
        tracing::warn!(name, %error, "Cannot keep a state in the archive");
    }
    Ok(())
}

/// Deletes all but the newest that the log agrees with, and the newest of those with nothing parked: a version that
/// knows more begins with that. One that the log disagrees with would pass for newer for as long as the log has not
/// come so far again.
async fn thin_out(log: &Log) -> Result<(), LogError> {
    let (mut kept, mut is_whole_kept) = (0, false);
    let mut superfluous = Vec::new();
    for name in log.broker().snapshots().await? {
        let is_whole = !name.starts_with(PARKED);
        let is_wanted = kept < KEPT || (is_whole && !is_whole_kept);
        if is_wanted && agreed(log, &name).await?.is_some() {
            kept += 1;
            is_whole_kept |= is_whole;
        } else {
            superfluous.push(name);
        }
    }
    Ok(log.broker().delete_snapshots(&superfluous).await?)
}

pub fn name(n: FrameNumber, chain: Chain) -> String {
    named(FORMAT, n, chain)
}

fn named(format: &str, n: FrameNumber, chain: Chain) -> String {
    format!("{format}-{n}-{}", chain.to_string().trim_start_matches("b3:"))
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

/// The newest fold that the log agrees with and that can be read, if there is one. `future` is a version that is still
/// to come.
pub async fn find(log: &Log, future: bool) -> Option<(State, Chain)> {
    let words = snapshot::words(future);
    let names = match log.broker().snapshots().await {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!(%error, "Cannot look for snapshots; folds the whole log");
            return None;
        }
    };
    for name in names {
        match read(log, &name, &words).await {
            Ok(Some((state, _))) if state.parking.is_known_now() || future && is_parked(&state) => {
                let since = state.parking.since().map(|n| n.0);
                tracing::info!(name, since, "Knows what was parked: folds from before it");
            }
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
async fn read(
    log: &Log,
    name: &str,
    words: &BTreeSet<String>,
) -> anyhow::Result<Option<(State, Chain)>> {
    let Some((n, chain)) = agreed(log, name).await? else { return Ok(None) };
    let bytes = log.broker().get_snapshot(name).await?.context("it is not there any more")?;
    let mut state = match name.starts_with(BARE) {
        true => serde_json::from_slice(&bytes)?,
        false => snapshot::read(&bytes, words)?,
    };
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

fn is_parked(state: &State) -> bool {
    !state.parking.is_empty()
}

fn parse(name: &str) -> Option<(FrameNumber, Chain)> {
    let mut parts = name.split('-');
    if ![FORMAT, PARKED, BARE].contains(&parts.next()?) {
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

    fn bytes(n: u64) -> Vec<u8> {
        snapshot::write(&fold(n), &snapshot::words(false)).unwrap()
    }

    async fn keep(log: Log, state: State, chain: Chain) {
        super::keep(log, state, chain, Arc::new(snapshot::words(false))).await;
    }

    async fn find(log: &Log) -> Option<(State, Chain)> {
        super::find(log, false).await
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
            broker.put_snapshot(&name(FrameNumber(n), chain), bytes(n)).await.unwrap();
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
        broker.put_snapshot(&name(FrameNumber(23), chain(written, 23)), bytes(7)).await.unwrap();
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

    #[tokio::test]
    async fn a_snapshot_of_a_version_that_knows_more_is_not_read_and_what_is_parked_is_folded_anew()
    {
        let Fixture { log, messages: written, .. } = &Fixture::new(25).await;
        let up_to = |n| chain(written, n);
        keep(log.clone(), fold(8), up_to(8)).await;
        let mut parked = fold(12);
        let job = "01900000-0000-7000-8000-000000000007".parse().unwrap();
        let entity = nox_contract::Entity::Job {
            tenant: nox_contract::TenantId::system(),
            job_id: job,
            user_id: "ada".parse().unwrap(),
            module: "noop".parse().unwrap(),
        };
        let by = nox_contract::Cause { src: nox_contract::Source::Timer, seq: 0, part: 0 };
        let fact = nox_contract::RawJson::parse(r#"{"marked":{}}"#.to_owned()).unwrap();
        let unknown = nox_contract::FactOrUnknown::Unknown(fact);
        parked.apply_entry(&nox_contract::Entry::new(by, entity, vec![unknown])).unwrap();
        for n in [12, 13, 14] {
            parked.n = FrameNumber(n);
            keep(log.clone(), parked.clone(), up_to(n)).await;
        }
        assert_eq!(names(log).await, [14, 13, 8], "the last one with nothing parked stays");
        let (found, _) = find(log).await.unwrap();
        assert!(found.n == FrameNumber(14) && found.parking.job(job).is_some());
        // Whoever knows the fact begins before it.
        let (found, _) = super::find(log, true).await.unwrap();
        assert_eq!(found.n, FrameNumber(8));

        // And what that one keeps is not for the other.
        super::keep(log.clone(), fold(15), up_to(15), Arc::new(snapshot::words(true))).await;
        assert_eq!(super::find(log, true).await.unwrap().0.n, FrameNumber(15));
        assert_eq!(find(log).await.unwrap().0.n, FrameNumber(14));
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
