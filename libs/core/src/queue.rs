//! Who is next: jobs that could run now, by module and by what they ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::successors,
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
};

use nox_contract::{
    FrameNumber, JobId, ModuleName, Resources, TenantId, Timestamp, UserId, WaitingCode,
};
use serde::{Deserialize, Serialize};

use crate::state::Needs;

/// The most that one step of priority is worth, in microseconds: more than any log lasts, and no
/// priority runs over with it.
const STEP_MAX: i64 = i64::MAX / 512;

/// A job's place: by priority with ageing, then first come, first served.
///
/// One step of priority is worth a fixed span of waiting, so the order between two jobs never
/// changes while they wait, and a low priority is overtaken only by so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rank {
    /// Microseconds: when it was admitted, less what its priority is worth.
    order: i64,
    /// The frame that made it, and the entry there in the lowest `ENTRY_BITS`: this stands in memory for
    /// every queued job.
    submitted: u64,
}

/// As many entries no frame can hold; 2^44 frames are more than any log lasts.
const ENTRY_BITS: u32 = 20;

impl Rank {
    pub fn new(
        created_at: Timestamp,
        priority: u8,
        ageing_ms: u64,
        submitted: (FrameNumber, u32),
    ) -> Self {
        let step = i64::try_from(ageing_ms).unwrap_or(STEP_MAX).saturating_mul(1_000);
        let worth = i64::from(priority) * step.min(STEP_MAX);
        let (n, entry) = submitted;
        Self {
            order: created_at.as_micros().saturating_sub(worth),
            submitted: n.0 << ENTRY_BITS | u64::from(entry),
        }
    }

    const FIRST: Self = Self { order: i64::MIN, submitted: 0 };
    pub(crate) const LAST: Self = Self { order: i64::MAX, submitted: u64::MAX };
}

/// How many kinds of waiting jobs are looked at for one that needs the same: most need the same.
const NEEDS_LOOKED_AT: usize = 4;

/// Jobs that are alike to the match: if the first of them cannot be placed, none can.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassKey {
    pub tenant: TenantId,
    pub user_id: UserId,
    pub resources: Resources,
    pub needs: Arc<Needs>,
    /// Runs only on a worker that runs nothing else.
    pub isolated: bool,
}

/// The jobs of one class by the reason that the log last gave each, in order; most have the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Class {
    jobs: BTreeMap<(WaitingCode, Rank), JobId>,
}

impl Class {
    pub fn head(&self) -> Option<(Rank, JobId)> {
        self.firsts().map(|(_, rank, job)| (rank, job)).min()
    }

    /// The next job behind that of `rank`.
    pub fn first_behind(&self, rank: Rank) -> Option<(Rank, JobId)> {
        let behind = |code| (Excluded((code, rank)), Included((code, Rank::LAST)));
        self.codes()
            .filter_map(|code| self.jobs.range(behind(code)).next())
            .map(|((_, rank), job)| (*rank, *job))
            .min()
    }

    /// The reasons that there are, with the first job of each. Mostly one, and then this searches nothing.
    fn firsts(&self) -> impl Iterator<Item = (WaitingCode, Rank, JobId)> {
        let last = self.jobs.last_key_value().map(|((code, _), _)| *code);
        let of = |((code, rank), job): (&(WaitingCode, Rank), &JobId)| (*code, *rank, *job);
        successors(self.jobs.first_key_value().map(of), move |(code, ..)| {
            let behind = (Excluded((*code, Rank::LAST)), Unbounded);
            (Some(*code) != last).then(|| self.jobs.range(behind).next().map(of))?
        })
    }

    fn codes(&self) -> impl Iterator<Item = WaitingCode> {
        self.firsts().map(|(code, ..)| code)
    }

    /// The jobs, other than the head, whose recorded reason is not `expected`.
    pub fn behind_head_without(&self, expected: WaitingCode) -> impl Iterator<Item = JobId> {
        let head = self.head().map(|(rank, _)| rank);
        self.codes()
            .filter(move |code| *code != expected)
            .flat_map(|code| self.jobs.range((code, Rank::FIRST)..=(code, Rank::LAST)))
            .filter(move |((_, rank), _)| Some(*rank) != head)
            .map(|(_, job)| *job)
    }
}

/// The first job of a kind, by which the kind is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub module: ModuleName,
    pub key: ClassKey,
    pub job: JobId,
}

/// All queued jobs that nothing but the match holds back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    modules: BTreeMap<ModuleName, BTreeMap<ClassKey, Class>>,
    /// The kinds of jobs of all modules, for they share workers, in the order of their first jobs.
    heads: BTreeMap<Rank, Head>,
    /// Those among them that need a worker of their own; mostly none.
    isolated: BTreeSet<Rank>,
}

impl Queue {
    pub(crate) fn insert(
        &mut self,
        module: &ModuleName,
        key: &ClassKey,
        rank: Rank,
        code: WaitingCode,
        job: JobId,
    ) {
        self.change(module, key, |class| {
            class.jobs.insert((code, rank), job);
        });
    }

    pub(crate) fn remove(
        &mut self,
        module: &ModuleName,
        key: &ClassKey,
        rank: Rank,
        code: WaitingCode,
    ) {
        self.change(module, key, |class| {
            class.jobs.remove(&(code, rank));
        });
    }

    /// Changes a class, which begins to be and ceases to be as it is needed.
    fn change(&mut self, module: &ModuleName, key: &ClassKey, change: impl FnOnce(&mut Class)) {
        let classes = self.modules.entry(module.clone()).or_default();
        let class = classes.entry(key.clone()).or_default();
        let before = class.head();
        change(class);
        let after = class.head();
        if before == after {
            return;
        }
        if let Some((rank, _)) = before {
            self.heads.remove(&rank);
            self.isolated.remove(&rank);
        }
        if let Some((rank, job)) = after {
            self.heads.insert(rank, Head { module: module.clone(), key: key.clone(), job });
            if key.isolated {
                self.isolated.insert(rank);
            }
            return;
        }
        classes.remove(key);
        if classes.is_empty() {
            self.modules.remove(module);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub fn class(&self, module: &ModuleName, key: &ClassKey) -> Option<&Class> {
        self.modules.get(module)?.get(key)
    }

    /// The kinds of jobs whose first is behind `rank`, in the order of these.
    pub fn heads_behind(&self, rank: Option<Rank>) -> impl Iterator<Item = (Rank, &Head)> {
        self.heads
            .range((rank.map_or(Unbounded, Excluded), Unbounded))
            .map(|(rank, of)| (*rank, of))
    }

    /// The kinds of jobs that need a worker of their own, up to the one whose first is at `rank`.
    pub fn isolated_up_to(&self, rank: Rank) -> impl Iterator<Item = (Rank, &Head)> {
        self.isolated.range(..=rank).filter_map(|rank| Some((*rank, self.heads.get(rank)?)))
    }

    /// What jobs of `module` that wait need, of a few kinds.
    pub(crate) fn needs(&self, module: &ModuleName) -> impl Iterator<Item = &Arc<Needs>> {
        let classes = self.modules.get(module).into_iter().flat_map(BTreeMap::keys);
        classes.take(NEEDS_LOOKED_AT).map(|key| &key.needs)
    }

    /// Whether anybody of `module` waits to be placed.
    pub fn is_waited_for(&self, module: &ModuleName) -> bool {
        self.modules.contains_key(module)
    }
}
