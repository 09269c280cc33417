//! The match: which queued jobs run where.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, btree_map},
};

use nox_contract::{
    Fact, JobError, JobId, JobState, ModuleName, Resources, TenantId, UserId, WaitingCode,
};

use super::{
    Decision, Draft, end, job_entity,
    place::{Given, Kept, asks_no_less, is_unasked_for, place},
};
use crate::{
    queue::{ClassKey, Rank, Waiting},
    state::State,
};

/// Requests that found no place which one match remembers, so that larger ones need not ask.
const UNPLACED_MAX: usize = 16;

/// Frees jobs from their dependencies, and places queued jobs, first come, first served; at most
/// `placements_max` of both. The first is the first of all modules, for they share workers. A job that is
/// freed is in the queue from the next match on.
///
/// However many are to be freed, they take at most half of it (the larger one), so that a slot does not
/// stay empty meanwhile; what they leave is for those that are placed.
///
/// Of the kinds of jobs that wait, those behind the first `skip` are looked at, at most `classes_max`: many
/// that do not fit must not hold everybody up.
pub(super) fn placements(
    state: &State,
    placements_max: u32,
    classes_max: u32,
    skip: u32,
) -> Option<Decision> {
    let placements_max = placements_max as usize;
    let freed = state.unblocked.iter().filter_map(|id| unblock(state, *id));
    let freed: Vec<_> = freed.take(placements_max.div_ceil(2)).collect();
    let left = placements_max - freed.len();
    // Who is freed comes last: nobody who is placed passed over somebody in the queue.
    let mut drafts = Match::new(state).run(left, classes_max, skip);
    drafts.extend(freed);
    (!drafts.is_empty()).then(|| Decision { drafts, ..Decision::default() })
}

/// The first job of a kind that was not looked at yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<'s> {
    rank: Rank,
    job: JobId,
    /// Of the module, in the order of their names.
    module: usize,
    key: &'s ClassKey,
    /// Whether it is the first of its kind; else those before it were placed.
    is_head: bool,
}

struct Match<'s> {
    state: &'s State,
    kept: Option<Kept<'s>>,
    given: Given<'s>,
    modules: Vec<Module<'s>>,
    next: BinaryHeap<Reverse<Candidate<'s>>>,
    /// Who may run no more.
    over_quota: BTreeSet<(&'s TenantId, &'s UserId)>,
}

struct Module<'s> {
    name: &'s ModuleName,
    waiting: &'s Waiting,
    heads: btree_map::Iter<'s, Rank, ClassKey>,
    /// Nobody else of it can be placed.
    closed: bool,
    unplaced: Vec<Resources>,
}

impl<'s> Match<'s> {
    fn new(state: &'s State) -> Self {
        let modules: Vec<_> = state
            .queue
            .modules
            .iter()
            .map(|(name, waiting)| Module {
                name,
                waiting,
                heads: waiting.heads.iter(),
                closed: false,
                unplaced: Vec::new(),
            })
            .collect();
        let mut this = Self {
            state,
            kept: Kept::find(state, &Given::default()),
            given: Given::default(),
            next: BinaryHeap::with_capacity(modules.len()),
            modules,
            over_quota: BTreeSet::new(),
        };
        for module in 0..this.modules.len() {
            this.advance(module);
        }
        this
    }

    /// Enters the next kind of jobs of a module.
    fn advance(&mut self, module: usize) {
        let of = &mut self.modules[module];
        if of.closed {
            return;
        }
        let Some((rank, key)) = of.heads.next() else { return };
        let Some((_, job)) = of.waiting.classes.get(key).and_then(|class| class.head()) else {
            return;
        };
        self.next.push(Reverse(Candidate { rank: *rank, job, module, key, is_head: true }));
    }

    fn run(mut self, placements_max: usize, classes_max: u32, skip: u32) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let mut free = self.state.workers.free_slots();
        let mut looked = 0;
        while free > 0 && drafts.len() < placements_max {
            let Some(Reverse(candidate)) = self.next.pop() else { break };
            if candidate.is_head {
                self.advance(candidate.module);
                looked += 1;
                if looked <= skip {
                    continue;
                }
                if looked > skip.saturating_add(classes_max) {
                    break;
                }
            }
            if let Some(draft) = self.look(candidate) {
                drafts.push(draft);
                free -= 1;
            }
        }
        drafts
    }

    /// Places the candidate, if that is possible, and enters the one behind it.
    fn look(&mut self, candidate: Candidate<'s>) -> Option<Draft> {
        let Candidate { rank, job, key, .. } = candidate;
        let of = &mut self.modules[candidate.module];
        let unplaced = |less: &Resources| asks_no_less(&key.resources, less);
        if of.closed
            || self.over_quota.contains(&(&key.tenant, &key.user_id))
            || of.unplaced.iter().any(unplaced)
        {
            return None;
        }
        let kept = Kept::from(self.kept, rank);
        let place = match place(self.state, &self.given, of.name, key, kept) {
            Ok(place) => place,
            Err(WaitingCode::NoWorker | WaitingCode::Paused | WaitingCode::Concurrency) => {
                of.closed = true;
                return None;
            }
            Err(WaitingCode::Quota) => {
                self.over_quota.insert((&key.tenant, &key.user_id));
                return None;
            }
            Err(WaitingCode::Resources) if of.unplaced.len() < UNPLACED_MAX => {
                of.unplaced.push(key.resources);
                return None;
            }
            Err(_) => return None,
        };
        self.given.take(of.name, key, rank, place);
        self.kept = Kept::find(self.state, &self.given);
        if let Some((rank, job)) = of.waiting.classes.get(key)?.first_behind(rank) {
            self.next.push(Reverse(Candidate { rank, job, is_head: false, ..candidate }));
        }
        let active = self.state.job(job)?;
        let facts = vec![place.assign(active.job.attempt.next())];
        Some(Draft { entity: job_entity(job, active), facts })
    }
}

/// What becomes of a job that waits for no other one any more.
fn unblock(state: &State, id: JobId) -> Option<Draft> {
    let active = state.job(id)?;
    let doomed = active.dependencies.as_ref().and_then(|of| of.doomed);
    let facts = if let Some((dependency, state)) = doomed {
        let error = JobError {
            code: "dependency".to_owned(),
            message: format!("job {dependency}, which had to succeed first, {}", ended_as(state)),
            exit_status: None,
        };
        let mut facts = vec![Fact::Failed { error }];
        facts.extend(end::settle(active, 0));
        facts
    } else if active.job.due_at.is_some() {
        vec![Fact::Waiting { code: WaitingCode::Scheduled }]
    } else {
        vec![Fact::Waiting { code: WaitingCode::Priority }]
    };
    Some(Draft { entity: job_entity(id, active), facts })
}

fn ended_as(state: JobState) -> &'static str {
    match state {
        JobState::Canceled => "was canceled",
        _ => "failed",
    }
}

/// What a job does whose instant has come: run if nobody is ahead, else queue up.
pub(super) fn due(state: &State, id: JobId) -> Option<Decision> {
    let active = state.job(id)?;
    let waiting = active.job.waiting()?;
    if !matches!(waiting, WaitingCode::Scheduled | WaitingCode::Backoff) {
        return None;
    }
    let fact = match place(state, &Given::default(), &active.owner.module, &active.class(), None) {
        Ok(place) if is_unasked_for(state, place.worker) => place.assign(active.job.attempt.next()),
        Ok(_) => Fact::Waiting { code: WaitingCode::Priority },
        Err(code) => Fact::Waiting { code },
    };
    Some(Decision::of(job_entity(id, active), vec![fact]))
}
