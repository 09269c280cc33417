//! Who is next: jobs that could run now, by module and by what they ask for.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{
    FrameNumber, JobId, ModuleName, Resources, TenantId, Timestamp, UserId, WaitingCode,
};

/// The most that one step of priority is worth, in microseconds: more than any log lasts, and no
/// priority runs over with it.
const STEP_MAX: i64 = i64::MAX / 512;

/// A job's place: by priority with ageing, then first come, first served.
///
/// One step of priority is worth a fixed span of waiting, so the order between two jobs never
/// changes while they wait, and a low priority is overtaken only by so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Microseconds: when it was admitted, less what its priority is worth.
    order: i64,
    /// The frame that made it, and the entry there.
    submitted: (FrameNumber, u32),
}

impl Rank {
    pub fn new(
        created_at: Timestamp,
        priority: u8,
        ageing_ms: u64,
        submitted: (FrameNumber, u32),
    ) -> Self {
        let step = i64::try_from(ageing_ms).unwrap_or(STEP_MAX).saturating_mul(1_000);
        let worth = i64::from(priority) * step.min(STEP_MAX);
        Self { order: created_at.as_micros().saturating_sub(worth), submitted }
    }
}

/// Jobs that are alike to the match: if the first of them cannot be placed, none can.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassKey {
    pub tenant: TenantId,
    pub user_id: UserId,
    pub resources: Resources,
    /// Runs only on a worker that runs nothing else.
    pub isolated: bool,
}

/// The jobs of one class in order, and by the reason that the log last gave each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Class {
    pub by_rank: BTreeMap<Rank, JobId>,
    by_code: BTreeMap<WaitingCode, BTreeSet<Rank>>,
}

impl Class {
    pub fn head(&self) -> Option<(Rank, JobId)> {
        self.by_rank.first_key_value().map(|(rank, job)| (*rank, *job))
    }

    /// The jobs, other than the head, whose recorded reason is not `expected`.
    pub fn behind_head_without(&self, expected: WaitingCode) -> impl Iterator<Item = JobId> {
        let head = self.head().map(|(rank, _)| rank);
        self.by_code
            .iter()
            .filter(move |(code, _)| **code != expected)
            .flat_map(|(_, ranks)| ranks)
            .filter(move |rank| Some(**rank) != head)
            .filter_map(|rank| self.by_rank.get(rank).copied())
    }
}

/// The queued jobs of one module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    pub classes: BTreeMap<ClassKey, Class>,
    /// The classes in the order of their first jobs.
    pub heads: BTreeMap<Rank, ClassKey>,
}

impl Waiting {
    /// Changes a class, which begins to be and ceases to be as it is needed.
    fn change(&mut self, key: &ClassKey, change: impl FnOnce(&mut Class)) {
        let class = self.classes.entry(key.clone()).or_default();
        let before = class.head();
        change(class);
        let after = class.head();
        if before == after {
            return;
        }
        if let Some((rank, _)) = before {
            self.heads.remove(&rank);
        }
        match after {
            Some((rank, _)) => {
                self.heads.insert(rank, key.clone());
            }
            None => {
                self.classes.remove(key);
            }
        }
    }
}

/// All queued jobs that nothing but the match holds back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    pub modules: BTreeMap<ModuleName, Waiting>,
    /// How many of them need a worker of their own; mostly none.
    isolated: usize,
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
        self.isolated += usize::from(key.isolated);
        self.modules.entry(module.clone()).or_default().change(key, |class| {
            class.by_rank.insert(rank, job);
            class.by_code.entry(code).or_default().insert(rank);
        });
    }

    pub(crate) fn remove(
        &mut self,
        module: &ModuleName,
        key: &ClassKey,
        rank: Rank,
        code: WaitingCode,
    ) {
        let Some(waiting) = self.modules.get_mut(module) else { return };
        self.isolated -= usize::from(key.isolated);
        waiting.change(key, |class| {
            class.by_rank.remove(&rank);
            if let Some(ranks) = class.by_code.get_mut(&code) {
                ranks.remove(&rank);
                if ranks.is_empty() {
                    class.by_code.remove(&code);
                }
            }
        });
        if waiting.classes.is_empty() {
            self.modules.remove(module);
        }
    }

    /// The kinds of jobs that need a worker of their own.
    pub fn isolated(&self) -> impl Iterator<Item = (&ModuleName, &ClassKey, &Class)> {
        let modules = (self.isolated > 0).then_some(&self.modules).into_iter().flatten();
        modules
            .flat_map(|(module, waiting)| {
                waiting.classes.iter().map(move |(key, class)| (module, key, class))
            })
            .filter(|(_, key, _)| key.isolated)
    }

    /// How many kinds of jobs wait.
    pub fn classes(&self) -> usize {
        self.modules.values().map(|waiting| waiting.classes.len()).sum()
    }

    /// Whether anybody of `module` waits to be placed.
    pub fn is_waited_for(&self, module: &ModuleName) -> bool {
        self.modules.contains_key(module)
    }
}
