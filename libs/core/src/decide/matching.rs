//! The match: which queued jobs run where.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{
    Fact, JobError, JobId, JobState, ModuleName, Resources, TenantId, Timestamp, UserId,
    WaitingCode,
};

use super::{
    Decision, Draft, Faults, Rules, end,
    internal::Limit,
    job_entity,
    place::{
        Given, Kept, Look, Suspects, asks_no_less, is_full, is_module_throttled, is_unasked_for,
        place,
    },
};
use crate::{
    queue::{Head, LaneHeads, LaneKey},
    state::{Needs, State},
    turn::{Rank, Standing, Turn},
};

/// Requests that found no place which one match remembers, so that larger ones need not ask.
const UNPLACED_MAX: usize = 16;

/// Frees jobs from their dependencies, and places queued jobs, as their turns come; at most as many of both as
/// `limit` says. The first is the first of all modules, for they share workers. A job that is freed is in the
/// queue from the next match on.
///
/// However many are to be freed, they take at most half of it (the larger one), so that a slot does not
/// stay empty meanwhile; what they leave is for those that are placed.
///
/// Of the kinds of jobs that wait, those whose first has its turn behind `behind` are looked at, for as much as
/// `limit` says: many that do not fit must not hold everybody up.
pub(super) fn placements(
    state: &State,
    rules: &Rules,
    limit: Limit,
    behind: Option<Turn>,
    now: Timestamp,
) -> Decision {
    let placements_max = limit.most as usize;
    let freed = state.unblocked.iter().filter_map(|id| unblock(state, *id));
    let freed: Vec<_> = freed.take(placements_max.div_ceil(2)).collect();
    let left = placements_max - freed.len();
    let mut decision = Match::new(state, rules, behind, now).run(left, limit.looks_max, behind);
    // Who is freed comes last: nobody who is placed passed over somebody in the queue.
    decision.drafts.extend(freed);
    decision
}

/// A job that was not looked at yet: the first of its kind, or the next one behind those that were placed.
#[derive(Clone, Copy)]
struct Candidate<'s> {
    job: JobId,
    kind: &'s Head,
}

/// A lane that was begun: what is left to look at in it.
struct Begun<'s> {
    heads: LaneHeads<'s>,
    /// The next ones of kinds of which one was placed.
    next: BTreeMap<Rank, Candidate<'s>>,
}

impl<'s> Begun<'s> {
    fn new(heads: LaneHeads<'s>) -> Self {
        Self { heads, next: BTreeMap::new() }
    }

    fn pop(&mut self) -> Option<(Rank, Candidate<'s>)> {
        let next = self.next.first_key_value().map(|(rank, _)| *rank);
        if self.heads.rank().is_some_and(|rank| next.is_none_or(|next| rank < next)) {
            let (rank, kind) = self.heads.next()?;
            return Some((rank, Candidate { job: kind.job, kind }));
        }
        self.next.pop_first()
    }

    /// When it is the lane's turn again, by what this match has given away.
    fn turn(&mut self, look: &Look<'s>) -> Option<Turn> {
        let next = self.next.first_key_value().map(|(rank, _)| *rank);
        let rank = [self.heads.rank(), next].into_iter().flatten().min()?;
        let LaneKey { tenant, user_id, priority } = self.heads.key;
        let share = look.given.share_of(tenant, user_id);
        let standing = match share {
            Some(_) => Standing::new(share, *priority, look.state.ageing_ms()),
            None => self.heads.standing,
        };
        Some(standing.turn(rank))
    }
}

struct Match<'s> {
    look: Look<'s>,
    suspects: Suspects<'s>,
    kept: Option<Kept<'s>>,
    modules: BTreeMap<&'s ModuleName, Module<'s>>,
    /// Who may run no more.
    over_quota: BTreeSet<(&'s TenantId, &'s UserId)>,
    /// Lanes that were begun, by their turns.
    begun: BTreeMap<Turn, Begun<'s>>,
    faults: Faults,
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
    fn new(state: &'s State, rules: &Rules, behind: Option<Turn>, now: Timestamp) -> Self {
        let mut look = Look::new(state, rules, now);
        let mut suspects = match behind {
            Some(_) => Suspects::up_to(state, behind),
            None => Suspects::none(),
        };
        let kept = suspects.keep(&mut look);
        let begun = state.queue.lanes_begun(behind);
        let begun = begun.map(|(turn, heads)| (turn, Begun::new(heads))).collect();
        Self {
            look,
            suspects,
            kept,
            modules: BTreeMap::new(),
            over_quota: BTreeSet::new(),
            begun,
            faults: rules.faults,
        }
    }

    fn run(mut self, placements_max: usize, looks_max: u32, behind: Option<Turn>) -> Decision {
        let state = self.look.state;
        let mut decision = Decision::nothing();
        let mut others = state.queue.lanes_behind(behind).peekable();
        let mut free = state.workers.free_slots();
        let mut looked_up_to = behind;
        while free > 0 && decision.drafts.len() < placements_max {
            let next = self.begun.first_key_value().map(|(turn, _)| *turn);
            let other = others.next_if(|(turn, _)| next.is_none_or(|next| *turn < next));
            let other = other.map(|(turn, heads)| (turn, Begun::new(heads)));
            let Some((turn, mut lane)) = other.or_else(|| self.begun.pop_first()) else { break };
            // Another lane of its user may have been served meanwhile.
            let now = lane.turn(&self.look).unwrap_or(turn);
            if now > turn && !self.faults.turns_not_taken {
                self.begun.insert(now, lane);
                continue;
            }
            if self.look.cost >= looks_max && looked_up_to != behind {
                decision.behind = looked_up_to;
                break;
            }
            looked_up_to = Some(turn);
            if let Some(draft) = self.look_at(turn, &mut lane) {
                decision.drafts.push(draft);
                free -= 1;
            }
            if let Some(next) = self.turn_after(turn, &mut lane) {
                self.begun.insert(next, lane);
            }
        }
        decision.looks = self.look.cost;
        decision.look_at = self.look.look_at;
        decision
    }

    /// When it is the lane's turn again.
    fn turn_after(&self, turn: Turn, lane: &mut Begun<'s>) -> Option<Turn> {
        let next = lane.turn(&self.look)?;
        if self.faults.turns_not_taken {
            return Some(turn.with_rank_of(next));
        }
        Some(next)
    }

    /// Places the next one of the lane, if that is possible, and enters the one behind it.
    fn look_at(&mut self, turn: Turn, lane: &mut Begun<'s>) -> Option<Draft> {
        let (rank, Candidate { job, kind }) = lane.pop()?;
        self.look.cost += 1;
        if !self.faults.refused_asked_again && self.is_as_one_refused(kind) {
            return None;
        }
        let place = match self.look.place(kind, Kept::from(self.kept, turn)) {
            Ok(place) => place,
            Err(code) => {
                self.refused(turn, kind, code);
                return None;
            }
        };
        self.look.given.take(self.look.state, kind, place);
        self.kept = self.suspects.keep(&mut self.look);
        let state = self.look.state;
        if let Some((rank, job)) = state.queue.class(&kind.module, &kind.key)?.first_behind(rank) {
            lane.next.insert(rank, Candidate { job, kind });
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

    fn refused(&mut self, turn: Turn, kind: &'s Head, code: WaitingCode) {
        let Head { module, key, .. } = kind;
        let (state, given) = (self.look.state, &self.look.given);
        match code {
            WaitingCode::Paused => self.modules.entry(module).or_default().closed = true,
            // Else its key is full.
            WaitingCode::Concurrency if is_full(state, given, module) => {
                self.modules.entry(module).or_default().closed = true;
            }
            WaitingCode::Rate if is_module_throttled(state, given, module, key) => {
                self.modules.entry(module).or_default().closed = true;
            }
            WaitingCode::Rate => {
                self.over_quota.insert((&key.tenant, &key.user_id));
            }
            WaitingCode::Quota => {
                self.over_quota.insert((&key.tenant, &key.user_id));
            }
            WaitingCode::Isolation => {
                self.suspects.push(turn, kind);
                self.kept = self.kept.or_else(|| self.suspects.keep(&mut self.look));
            }
            WaitingCode::NoWorker
            | WaitingCode::Drained
            | WaitingCode::Resources
            | WaitingCode::Unsatisfiable => {
                let unplaced = &mut self.modules.entry(module).or_default().unplaced;
                if unplaced.len() < UNPLACED_MAX {
                    let is_there = !matches!(code, WaitingCode::NoWorker | WaitingCode::Drained);
                    let asked = is_there.then_some(key.resources);
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
pub(super) fn due(state: &State, rules: &Rules, id: JobId, now: Timestamp) -> Option<Decision> {
    let active = state.job(id)?;
    let waiting = active.job.waiting()?;
    if !matches!(waiting, WaitingCode::Scheduled | WaitingCode::Backoff) {
        return None;
    }
    if active.needs.topic.is_some() {
        let fact = Fact::Waiting { code: WaitingCode::Claim };
        return Some(Decision::of(job_entity(id, active), vec![fact]));
    }
    let given = Given::new(state, rules, now);
    let fact = match place(state, &given, &active.owner.module, &active.class(), None) {
        Ok(place) if is_unasked_for(state, place.worker) => place.assign(active.job.attempt.next()),
        Ok(_) => Fact::Waiting { code: WaitingCode::Priority },
        Err(code) => Fact::Waiting { code },
    };
    Some(Decision::of(job_entity(id, active), vec![fact]))
}
