//! Fair sharing between users: what each runs and has used, which its waiting jobs make good for with their
//! turns. See `docs/decisions/0019-fair-share.md`.

use std::{collections::BTreeMap, time::Duration};

use nox_contract::Timestamp;
use serde::{Deserialize, Serialize};

/// What a core that a user holds counts for, in waiting: far more than a slot takes to come free in a busy
/// cluster, so that whoever holds fewer cores is next.
const CORE_WORTH: Duration = Duration::from_secs(60);

/// Most core time by which a user's account of what it used may be ahead of, or behind, where the others are: nobody
/// pays for longer than a quarter of an hour for what they used, and nobody saves up more.
const AHEAD_MAX: Duration = Duration::from_secs(15 * 60);

/// What counts at the least for an attempt, for each core: between users whose jobs take no time, turns alternate.
const LEAST_USED_MS: u64 = 1;

/// See the head of this file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Core milliseconds used, on the scale of [`Served`].
    #[serde(default)]
    used_ms: u64,
    /// Cores that its attempts hold.
    #[serde(default)]
    cores: u64,
    /// When a job of each priority was last handed out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    served_at: BTreeMap<u8, Timestamp>,
}

/// Where users stand who are served now, in core milliseconds; never goes back. Whoever comes begins there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Served(u64);

impl Share {
    /// A user who had nothing to do has.
    pub(crate) fn begin(&mut self, served: Served) {
        self.used_ms = self.used_ms.max(served.0);
    }

    /// A job of the user's is handed out.
    pub(crate) fn serve(&mut self, served: &mut Served, priority: u8, cores: u32, at: Timestamp) {
        self.used_ms = self.used_ms.max(served.0.saturating_sub(ahead_max_ms()));
        served.0 = served.0.max(self.used_ms);
        let least = LEAST_USED_MS * u64::from(cores.max(1));
        self.used_ms = self.used_ms.saturating_add(least);
        self.cores += u64::from(cores);
        self.served_at.insert(priority, at);
    }

    /// It holds these cores no more.
    pub(crate) fn free(&mut self, cores: u32) {
        self.cores = self.cores.saturating_sub(u64::from(cores));
    }

    /// What an attempt used.
    pub(crate) fn charge(&mut self, served: Served, core_ms: u64) {
        let most = served.0.saturating_add(ahead_max_ms()).max(self.used_ms);
        self.used_ms = self.used_ms.saturating_add(core_ms).min(most);
    }

    pub fn cores(&self) -> u64 {
        self.cores
    }

    pub fn served_at(&self, priority: u8) -> Option<Timestamp> {
        self.served_at.get(&priority).copied()
    }

    /// What it uses and has used, in microseconds of waiting.
    pub fn load(&self) -> i64 {
        let used = i64::try_from(self.used_ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
        used.saturating_add(worth_of(self.cores))
    }
}

/// What holding so many cores counts for, in microseconds of waiting.
fn worth_of(cores: u64) -> i64 {
    let micros = u64::try_from(CORE_WORTH.as_micros()).unwrap_or(u64::MAX);
    i64::try_from(micros.saturating_mul(cores)).unwrap_or(i64::MAX)
}

fn ahead_max_ms() -> u64 {
    u64::try_from(AHEAD_MAX.as_millis()).unwrap_or(u64::MAX)
}
