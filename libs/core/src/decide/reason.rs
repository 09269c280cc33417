//! Why queued jobs do not run.

use nox_contract::{Fact, JobId, Timestamp, WaitingCode};

use super::{
    Decision, Draft, Rules,
    internal::Limit,
    job_entity,
    place::{Kept, Look, Suspects},
};
use crate::{queue::Head, state::State, turn::Turn};

/// Brings recorded reasons that are no longer the right ones up to date, at most `reasons_max`. Of the
/// kinds of jobs that wait, those whose first is behind `behind` are looked at, for as much as `looks_max`
/// says.
pub(super) fn reasons(
    state: &State,
    rules: &Rules,
    limit: Limit,
    behind: Option<Turn>,
    now: Timestamp,
) -> Decision {
    let Limit { most: reasons_max, looks_max } = limit;
    let mut look = Look::new(state, rules, now);
    let kept = Suspects::up_to(state, None).keep(&mut look);
    let mut decision = Decision::nothing();
    let mut looked_up_to = behind;
    for (turn, kind) in state.queue.in_turn(behind) {
        let left = (reasons_max as usize).saturating_sub(decision.drafts.len());
        if left == 0 || (look.cost >= looks_max && looked_up_to != behind) {
            decision.behind = looked_up_to;
            break;
        }
        looked_up_to = Some(turn);
        look.cost += 1;
        let wrong = wrong_reasons(&mut look, turn, kind, kept).take(left);
        decision.drafts.extend(wrong.filter_map(|(id, code)| {
            let active = state.job(id)?;
            let facts = vec![Fact::Waiting { code }];
            Some(Draft { entity: job_entity(id, active), facts })
        }));
    }
    decision.looks = look.cost;
    decision
}

/// Jobs of one kind whose recorded reason is wrong, and the right one.
///
/// The first of its kind waits for what `place` says. Those behind it wait for their turn, unless
/// what holds the first back would hold them back just the same.
fn wrong_reasons<'s>(
    look: &mut Look<'s>,
    turn: Turn,
    kind: &'s Head,
    kept: Option<Kept<'s>>,
) -> impl Iterator<Item = (JobId, WaitingCode)> + use<'s> {
    let state = look.state;
    // A job that can be placed is the match's to place, not to explain.
    let found = look.place(kind, Kept::from(kept, turn)).err().and_then(|code| {
        let behind = match code {
            WaitingCode::NoWorker
            | WaitingCode::Drained
            | WaitingCode::Paused
            | WaitingCode::Unsatisfiable => code,
            _ => WaitingCode::Priority,
        };
        let wrong = state.job(kind.job)?.job.waiting() != Some(code);
        Some((wrong.then_some((kind.job, code)), behind))
    });
    found.into_iter().flat_map(move |(head, behind)| {
        let class = state.queue.class(&kind.module, &kind.key);
        let others = class.into_iter().flat_map(move |class| class.behind_head_without(behind));
        head.into_iter().chain(others.map(move |job| (job, behind)))
    })
}
