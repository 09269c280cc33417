//! Folds of the log beside its segments: whoever wants the state of an earlier instant folds from the nearest one on, and
//! not from the first message.
//!
//! They are derived, so none has to be believed: its name says behind which message it is, the log's chain there, and the
//! hash of what it says. One that is damaged, or of another history, is passed over for the one before.

use std::io::Read;

use bytes::Bytes;
use nox_contract::{Chain, FrameNumber, Timestamp};
use object_store::path::Path;

use crate::{
    ArchiveError, LogArchive,
    name::{self, StateInfo},
    segment::sha256,
};

/// What JSON of a state compresses to hardly gets smaller at higher levels.
const ZSTD_LEVEL: i32 = 3;

/// Most that are kept, and their bytes. So many are a day of a leader that keeps one each two minutes; a state with few
/// open jobs takes some KiB, one with a hundred thousand some MiB.
const STATES_MAX: usize = 720;
const STATES_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// A fold as it is to lie in the archive.
#[derive(Debug, Clone)]
pub struct ClosedState {
    info: StateInfo,
    content: Bytes,
}

impl ClosedState {
    /// Compresses `said`, the fold up to `n` in this form. Takes seconds for a large state.
    pub fn new(
        (n, at, chain): (FrameNumber, Timestamp, Chain),
        format: &str,
        said: &[u8],
    ) -> std::io::Result<Self> {
        let content = Bytes::from(zstd::bulk::compress(said, ZSTD_LEVEL)?);
        let (sha256, format, bytes) = (sha256(said), format.to_owned(), content.len() as u64);
        Ok(Self { info: StateInfo { n, at, chain, sha256, format, bytes }, content })
    }
}

impl LogArchive {
    /// The folds that are there, the first of the log first.
    pub async fn states(&self) -> Result<Vec<StateInfo>, ArchiveError> {
        let mut states = Vec::new();
        for object in self.archive().list(&self.states_folder()).await? {
            let file = object.location.filename().unwrap_or_default();
            states.extend(name::state(file).map(|info| StateInfo { bytes: object.size, ..info }));
        }
        states.sort_by(|a, b| (a.n, &a.sha256).cmp(&(b.n, &b.sha256)));
        Ok(states)
    }

    /// Keeps a fold, and removes those that are too many beside it.
    pub async fn put_state(&self, closed: ClosedState) -> Result<StateInfo, ArchiveError> {
        let ClosedState { info, content } = closed;
        self.archive().put_if_absent(&self.state_path(&info), content).await?;
        for superfluous in superfluous(self.states().await?) {
            self.archive().remove(&self.state_path(&superfluous)).await?;
        }
        Ok(info)
    }

    /// What a fold says; `None` if it is there no more.
    ///
    /// # Errors
    /// It does not say what was kept under its name, or more than `bytes_max`.
    pub async fn state(
        &self,
        info: &StateInfo,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, ArchiveError> {
        let path = self.state_path(info);
        let Some(content) = self.archive().get(&path).await? else { return Ok(None) };
        let expected = info.sha256.clone();
        let read = tokio::task::spawn_blocking(move || {
            let said = decompress(&content, bytes_max).map_err(|error| error.to_string())?;
            if sha256(&said) != expected {
                return Err("the SHA-256 of what it says is another one".to_owned());
            }
            Ok(said)
        });
        let said = read.await.unwrap_or_else(|error| Err(error.to_string()));
        let segment = name::of_state(info);
        said.map(Some).map_err(|reason| ArchiveError::Damaged { segment, reason })
    }

    fn states_folder(&self) -> Path {
        name::states(self.archive().base(), self.incarnation())
    }

    fn state_path(&self, info: &StateInfo) -> Path {
        self.states_folder().join(name::of_state(info))
    }
}

fn decompress(content: &[u8], bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut said = Vec::new();
    let reader = zstd::stream::read::Decoder::new(content)?;
    reader.take(bytes_max + 1).read_to_end(&mut said)?;
    if said.len() as u64 > bytes_max {
        return Err(std::io::Error::other(format!("it has more than {bytes_max} bytes")));
    }
    Ok(said)
}

/// Which of them are too many: as long as there are more than [`STATES_MAX`], or they take more than
/// [`STATES_BYTES_MAX`], the one goes that is missed least. That is the one whose neighbours are nearest to each other,
/// measured by how long ago it is: so what is told of yesterday has to be folded twice as far as what is told of last
/// night. The first and the last stay.
fn superfluous(mut states: Vec<StateInfo>) -> Vec<StateInfo> {
    let mut gone = Vec::new();
    let mut bytes: u64 = states.iter().map(|state| state.bytes).sum();
    while states.len() > 2 && (states.len() > STATES_MAX || bytes > STATES_BYTES_MAX) {
        let newest = states[states.len() - 1].n.0;
        let missed = |place: &usize| {
            let gap = u128::from(states[place + 1].n.0 - states[place - 1].n.0);
            let age = u128::from(newest - states[*place].n.0).max(1);
            // A share of its age, in billionths.
            gap * 1_000_000_000 / age
        };
        let Some(place) = (1..states.len() - 1).min_by_key(missed) else { break };
        let state = states.remove(place);
        bytes -= state.bytes;
        gone.push(state);
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(n: u64, bytes: u64) -> StateInfo {
        StateInfo {
            n: FrameNumber(n),
            at: Timestamp::from_micros(1_000 * n.cast_signed()),
            chain: Chain::START.extend(&n.to_le_bytes()),
            sha256: sha256(b"state"),
            format: "state4".to_owned(),
            bytes,
        }
    }

    #[test]
    fn the_name_of_a_state_says_what_it_is_a_fold_of() {
        let info = state(50_001, 0);
        let name = name::of_state(&info);
        assert_eq!(name::state(&name), Some(info));
        for other in ["README", &name[1..], &format!("{name}#1"), &name.replace(".state4", "")] {
            assert_eq!(name::state(other), None, "{other}");
        }
    }

    #[test]
    fn the_nearer_an_instant_is_the_nearer_is_a_state() {
        let mut kept: Vec<StateInfo> = Vec::new();
        for n in 1..=5_000 {
            kept.push(state(100 * n, 1));
            let gone = superfluous(kept.clone());
            kept.retain(|state| !gone.contains(state));
        }
        assert_eq!(kept.len(), STATES_MAX);
        assert_eq!((kept[0].n.0, kept[STATES_MAX - 1].n.0), (100, 500_000));
        let gap = |pair: &[StateInfo]| pair[1].n.0 - pair[0].n.0;
        let gaps: Vec<_> = kept.windows(2).map(gap).collect();
        let (old, young) = gaps.split_at(gaps.len() / 2);
        assert!(young.iter().max() < old.iter().max(), "{gaps:?}");
        // Whoever asks for an instant folds at most a small part of what came since.
        for pair in kept.windows(2) {
            let since = 500_000 - pair[0].n.0;
            assert!(gap(pair) <= 200.max(since / 50), "{:?}", (pair[0].n, pair[1].n));
        }
    }

    #[test]
    fn large_states_are_fewer() {
        let all: Vec<_> = (1..=10).map(|n| state(n, STATES_BYTES_MAX / 4)).collect();
        let gone = superfluous(all);
        assert_eq!(gone.len(), 6);
        assert!(
            superfluous(vec![state(1, STATES_BYTES_MAX), state(2, STATES_BYTES_MAX)]).is_empty()
        );
    }
}
