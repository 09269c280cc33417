//! The match: which queued jobs run where.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{
    Fact, JobError, JobId, JobState, ModuleName, Resources, TenantId, UserId, WaitingCode,
};

use super::{
    Decision, Draft, Rules, end, job_entity,
    place::{Given, Kept, Look, Suspects, asks_no_less, is_unasked_for, place},
};
use crate::{
    queue::{Head, Rank},
    state::{Needs, State},
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
/// Of the kinds of jobs that wait, those whose first is behind `behind` are looked at, for as much as
/// `looks_max` says: many that do not fit must not hold everybody up.
pub(super) fn placements(
    state: &State,
    rules: &Rules,
    placements_max: u32,
    looks_max: u32,
    behind: Option<Rank>,
) -> Decision {
    let placements_max = placements_max as usize;
    let freed = state.unblocked.iter().filter_map(|id| unblock(state, *id));
    let freed: Vec<_> = freed.take(placements_max.div_ceil(2)).collect();
    let left = placements_max - freed.len();
    let mut decision = Match::new(state, rules, behind).run(left, looks_max, behind);
    // Who is freed comes last: nobody who is placed passed over somebody in the queue.
    decision.drafts.extend(freed);
    decision
}

/// A job that was not looked at yet: the first of its kind, or the next one behind those that were placed.
#[derive(Clone, Copy)]
struct Candidate<'s> {
    rank: Rank,
    job: JobId,
    kind: &'s Head,
}

struct Match<'s> {
    look: Look<'s>,
    suspects: Suspects<'s>,
    kept: Option<Kept<'s>>,
    modules: BTreeMap<&'s ModuleName, Module<'s>>,
    /// Who may run no more.
    over_quota: BTreeSet<(&'s TenantId, &'s UserId)>,
    /// The next ones of kinds of which one was placed.
    next: BTreeMap<Rank, Candidate<'s>>,
    /// A negative control, see [`super::Faults::refused_asked_again`].
    asks_again: bool,
}

/// What is known of a module's jobs.
#[derive(Default)]
struct Module<'s> {
    /// Nobody else of it can be placed.
    closed: bool,
    /// What those needed and asked for who found no place.
    unplaced: Vec<(&'s Needs, Option<Resources>)>,
}

impl<'s> Match<'s> {
    fn new(state: &'s State, rules: &Rules, behind: Option<Rank>) -> Self {
        let mut look = Look::new(state);
        let mut suspects = Suspects::up_to(state, behind);
        let kept = suspects.keep(&mut look);
        Self {
            look,
            suspects,
            kept,
            modules: BTreeMap::new(),
            over_quota: BTreeSet::new(),
            next: BTreeMap::new(),
            asks_again: rules.faults.refused_asked_again,
        }
    }

    fn run(mut self, placements_max: usize, looks_max: u32, behind: Option<Rank>) -> Decision {
        let state = self.look.state;
        let mut decision = Decision::nothing();
        let mut heads = state.queue.heads_behind(behind).peekable();
        let mut free = state.workers.free_slots();
        let mut looked_up_to = behind;
        while free > 0 && decision.drafts.len() < placements_max {
            let next = self.next.first_key_value().map(|(rank, _)| *rank);
            let head = heads.next_if(|(rank, _)| next.is_none_or(|next| *rank < next));
            let head = head.map(|(rank, kind)| Candidate { rank, job: kind.job, kind });
            let Some(candidate) = head.or_else(|| Some(self.next.pop_first()?.1)) else { break };
            if self.look.cost >= looks_max && looked_up_to != behind {
                decision.behind = looked_up_to;
                break;
            }
            looked_up_to = Some(candidate.rank);
            if let Some(draft) = self.look_at(candidate) {
                decision.drafts.push(draft);
                free -= 1;
            }
        }
        decision.looks = self.look.cost;
        decision
    }

    /// Places the candidate, if that is possible, and enters the one behind it.
    fn look_at(&mut self, candidate: Candidate<'s>) -> Option<Draft> {
        let Candidate { rank, job, kind } = candidate;
        self.look.cost += 1;
        if !self.asks_again && self.is_as_one_refused(kind) {
            return None;
        }
        let place = match self.look.place(kind, Kept::from(self.kept, rank)) {
            Ok(place) => place,
            Err(code) => {
                self.refused(rank, kind, code);
                return None;
            }
        };
        self.look.given.take(kind, place);
        self.kept = self.suspects.keep(&mut self.look);
        let state = self.look.state;
        if let Some((rank, job)) = state.queue.class(&kind.module, &kind.key)?.first_behind(rank) {
            self.next.insert(rank, Candidate { rank, job, kind });
        }
        let active = state.job(job)?;
        let facts = vec![place.assign(active.job.attempt.next())];
        Some(Draft { entity: job_entity(job, active), facts })
    }

    /// Whether this very match has found out why none of this kind can be placed.
    fn is_as_one_refused(&self, kind: &Head) -> bool {
        let Head { module, key, .. } = kind;
        // Whether a worker can be emptied for it is another question than whether one has room.
        let unplaced = |of: &Module<'_>| {
            of.unplaced.iter().any(|(needs, less)| {
                // Without a worker that serves it, what is asked for does not matter.
                let as_little = less
                    .as_ref()
                    .is_none_or(|less| !key.isolated && asks_no_less(&key.resources, less));
                as_little && **needs == *key.needs
            })
        };
        self.modules.get(module).is_some_and(|of| of.closed || unplaced(of))
            || self.over_quota.contains(&(&key.tenant, &key.user_id))
    }

    fn refused(&mut self, rank: Rank, kind: &'s Head, code: WaitingCode) {
        let Head { module, key, .. } = kind;
        match code {
            WaitingCode::Paused | WaitingCode::Concurrency => {
                self.modules.entry(module).or_default().closed = true;
            }
            WaitingCode::Quota => {
                self.over_quota.insert((&key.tenant, &key.user_id));
            }
            WaitingCode::Isolation => {
                self.suspects.push(rank, kind);
                self.kept = self.kept.or_else(|| self.suspects.keep(&mut self.look));
            }
            WaitingCode::NoWorker | WaitingCode::Resources | WaitingCode::Unsatisfiable => {
                let unplaced = &mut self.modules.entry(module).or_default().unplaced;
                if unplaced.len() < UNPLACED_MAX {
                    let asked = (code != WaitingCode::NoWorker).then_some(key.resources);
                    unplaced.push((&key.needs, asked));
                }
            }
            _ => {}
        }
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
    } else if active.needs.topic.is_some() {
        vec![Fact::Waiting { code: WaitingCode::Claim }]
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
    if active.needs.topic.is_some() {
        let fact = Fact::Waiting { code: WaitingCode::Claim };
        return Some(Decision::of(job_entity(id, active), vec![fact]));
    }
    let fact = match place(state, &Given::default(), &active.owner.module, &active.class(), None) {
        Ok(place) if is_unasked_for(state, place.worker) => place.assign(active.job.attempt.next()),
        Ok(_) => Fact::Waiting { code: WaitingCode::Priority },
        Err(code) => Fact::Waiting { code },
    };
    Some(Decision::of(job_entity(id, active), vec![fact]))
}
