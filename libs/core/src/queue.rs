//! Who is next: jobs that could run now, by module and by what they ask for.

use std::{
    collections::{BTreeMap, btree_map},
    iter::{Peekable, from_fn, successors},
    ops::Bound::{self, Excluded, Included, Unbounded},
    sync::Arc,
};

use crate::{
    state::Needs,
    turn::{Rank, Standing, Turn},
};
use nox_contract::{JobId, ModuleName, Resources, TenantId, UserId, WaitingCode};

/// How many kinds of waiting jobs are looked at for one that needs the same: most need the same.
const NEEDS_LOOKED_AT: usize = 4;

/// Jobs that are alike to the match: if the first of them cannot be placed, none can.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassKey {
    pub tenant: TenantId,
    pub user_id: UserId,
    pub priority: u8,
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

/// Whose jobs of which priority.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneKey {
    pub tenant: TenantId,
    pub user_id: UserId,
    pub priority: u8,
}

/// The kinds of jobs of one user and priority, in the order of their first jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lane {
    /// In boxes: most lanes have one, and a node of the map has room for eleven.
    heads: BTreeMap<Rank, Box<Head>>,
    standing: Standing,
}

impl Lane {
    fn turn(&self) -> Option<Turn> {
        self.heads.first_key_value().map(|(rank, _)| self.standing.turn(*rank))
    }
}

/// All queued jobs that nothing but the match holds back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    modules: BTreeMap<ModuleName, BTreeMap<ClassKey, Class>>,
    /// The kinds of jobs of all modules, for they share workers.
    lanes: BTreeMap<LaneKey, Lane>,
    /// The lanes in the order of their turns.
    turns: BTreeMap<Turn, LaneKey>,
    /// The first of those that need a worker of their own; mostly none.
    isolated: BTreeMap<Rank, LaneKey>,
}

/// Where a job stands in the queue.
pub(crate) struct Spot<'a> {
    pub module: &'a ModuleName,
    pub key: &'a ClassKey,
    pub rank: Rank,
}

impl Queue {
    /// Enters a job. `standing` is that of its lane, where that is not there yet.
    pub(crate) fn insert(
        &mut self,
        spot: &Spot<'_>,
        code: WaitingCode,
        job: JobId,
        standing: impl FnOnce() -> Standing,
    ) {
        self.change(spot, standing, |class| {
            class.jobs.insert((code, spot.rank), job);
        });
    }

    pub(crate) fn remove(&mut self, spot: &Spot<'_>, code: WaitingCode) {
        // Its lane is there.
        self.change(
            spot,
            || Standing::new(None, 0, 0),
            |class| {
                class.jobs.remove(&(code, spot.rank));
            },
        );
    }

    /// Changes a class, which begins to be and ceases to be as it is needed.
    fn change(
        &mut self,
        spot: &Spot<'_>,
        standing: impl FnOnce() -> Standing,
        change: impl FnOnce(&mut Class),
    ) {
        let Spot { module, key, .. } = *spot;
        let classes = match self.modules.get_mut(module) {
            Some(classes) => classes,
            None => self.modules.entry(module.clone()).or_default(),
        };
        let class = match classes.get_mut(key) {
            Some(class) => class,
            None => classes.entry(key.clone()).or_default(),
        };
        let before = class.head();
        change(class);
        let after = class.head();
        if after.is_none() {
            classes.remove(key);
            if classes.is_empty() {
                self.modules.remove(module);
            }
        }
        if before == after {
            return;
        }
        let of = LaneKey {
            tenant: key.tenant.clone(),
            user_id: key.user_id.clone(),
            priority: key.priority,
        };
        let lane = self
            .lanes
            .entry(of.clone())
            .or_insert_with(|| Lane { heads: BTreeMap::new(), standing: standing() });
        let turn = lane.turn();
        if let Some((rank, _)) = before {
            lane.heads.remove(&rank);
            self.isolated.remove(&rank);
        }
        if let Some((rank, job)) = after {
            let head = Head { module: module.clone(), key: key.clone(), job };
            lane.heads.insert(rank, Box::new(head));
            if key.isolated {
                self.isolated.insert(rank, of.clone());
            }
        }
        let next = lane.turn();
        if next.is_none() {
            self.lanes.remove(&of);
        }
        if turn != next {
            turn.map(|turn| self.turns.remove(&turn));
            next.map(|next| self.turns.insert(next, of));
        }
    }

    /// What a user holds or has used has changed, or one of its jobs was handed out.
    pub(crate) fn restand(
        &mut self,
        tenant: &TenantId,
        user_id: &UserId,
        standing: impl Fn(u8) -> Standing,
    ) {
        let key = |priority| LaneKey { tenant: tenant.clone(), user_id: user_id.clone(), priority };
        for (of, lane) in self.lanes.range_mut(key(0)..=key(u8::MAX)) {
            let before = lane.turn();
            lane.standing = standing(of.priority);
            let after = lane.turn();
            if before != after {
                before.map(|turn| self.turns.remove(&turn));
                after.map(|turn| self.turns.insert(turn, of.clone()));
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    pub fn class(&self, module: &ModuleName, key: &ClassKey) -> Option<&Class> {
        self.modules.get(module)?.get(key)
    }

    /// The lanes whose first turn is behind `turn`, in the order of these.
    pub fn lanes_behind(&self, turn: Option<Turn>) -> impl Iterator<Item = (Turn, LaneHeads<'_>)> {
        self.turns.range((turn.map_or(Unbounded, Excluded), Unbounded)).filter_map(|(turn, of)| {
            let lane = self.lanes.get(of)?;
            Some((*turn, LaneHeads::new(of, lane, Unbounded)))
        })
    }

    /// The others, without what is not behind `turn` of them.
    pub fn lanes_begun(&self, turn: Option<Turn>) -> impl Iterator<Item = (Turn, LaneHeads<'_>)> {
        turn.into_iter().flat_map(move |turn| {
            self.turns.range(..=turn).filter_map(move |(_, of)| {
                let lane = self.lanes.get(of)?;
                let mut heads = LaneHeads::new(of, lane, lane.standing.behind(turn));
                Some((heads.turn()?, heads))
            })
        })
    }

    /// The kinds of jobs whose first has its turn behind `turn`, in the order of these.
    pub fn in_turn(&self, turn: Option<Turn>) -> impl Iterator<Item = (Turn, &Head)> {
        let mut begun: BTreeMap<_, _> = self.lanes_begun(turn).collect();
        let mut others = self.lanes_behind(turn).peekable();
        from_fn(move || {
            let next = begun.first_key_value().map(|(turn, _)| *turn);
            let other = others.next_if(|(turn, _)| next.is_none_or(|next| *turn < next));
            let (turn, mut heads) = other.or_else(|| begun.pop_first())?;
            let (_, head) = heads.next()?;
            if let Some(next) = heads.turn() {
                begun.insert(next, heads);
            }
            Some((turn, head))
        })
    }

    /// The kinds of jobs that need a worker of their own whose first has its turn no later than `turn`; all, if it
    /// is `None`.
    pub fn isolated_up_to(&self, turn: Option<Turn>) -> Vec<(Turn, &Head)> {
        let all = self.isolated.iter().filter_map(|(rank, of)| {
            let lane = self.lanes.get(of)?;
            Some((lane.standing.turn(*rank), &**lane.heads.get(rank)?))
        });
        let mut some: Vec<_> = all.filter(|(of, _)| turn.is_none_or(|turn| *of <= turn)).collect();
        some.sort_by_key(|(turn, _)| *turn);
        some
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

/// Kinds of jobs of a lane, in their order.
pub struct LaneHeads<'q> {
    pub key: &'q LaneKey,
    pub standing: Standing,
    heads: Peekable<btree_map::Range<'q, Rank, Box<Head>>>,
}

impl<'q> LaneHeads<'q> {
    fn new(key: &'q LaneKey, lane: &'q Lane, from: Bound<Rank>) -> Self {
        let heads = lane.heads.range((from, Unbounded)).peekable();
        Self { key, standing: lane.standing, heads }
    }

    /// The rank of the next one.
    pub fn rank(&mut self) -> Option<Rank> {
        self.heads.peek().map(|(rank, _)| **rank)
    }

    /// Its turn.
    pub fn turn(&mut self) -> Option<Turn> {
        let rank = self.rank()?;
        Some(self.standing.turn(rank))
    }
}

impl<'q> Iterator for LaneHeads<'q> {
    type Item = (Rank, &'q Head);

    fn next(&mut self) -> Option<Self::Item> {
        self.heads.next().map(|(rank, head)| (*rank, &**head))
    }
}
