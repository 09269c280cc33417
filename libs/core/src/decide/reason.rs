//! Why queued jobs do not run.

use nox_contract::{Fact, JobId, ModuleName, WaitingCode};

use super::{
    Decision, Draft, job_entity,
    place::{Given, Kept, place},
};
use crate::{
    queue::{Class, ClassKey},
    state::State,
};

/// Brings recorded reasons that are no longer the right ones up to date, at most `reasons_max`. Of the
/// kinds of jobs that wait, those behind the first `skip` are looked at, at most `classes_max`.
pub(super) fn reasons(
    state: &State,
    reasons_max: u32,
    classes_max: u32,
    skip: u32,
) -> Option<Decision> {
    let kept = Kept::find(state, &Given::default());
    let classes = state.queue.modules.iter().flat_map(|(module, waiting)| {
        waiting.classes.iter().map(move |(key, class)| (module, key, class))
    });
    let drafts: Vec<_> = classes
        .skip(skip as usize)
        .take(classes_max as usize)
        .flat_map(|(module, key, class)| wrong_reasons(state, module, key, class, kept))
        .take(reasons_max as usize)
        .filter_map(|(id, code)| {
            let active = state.job(id)?;
            let facts = vec![Fact::Waiting { code }];
            Some(Draft { entity: job_entity(id, active), facts })
        })
        .collect();
    (!drafts.is_empty()).then(|| Decision { drafts, ..Decision::default() })
}

/// Jobs of one kind whose recorded reason is wrong, and the right one.
///
/// The first of its kind waits for what `place` says. Those behind it wait for their turn, unless
/// what holds the first back would hold them back just the same.
fn wrong_reasons<'s>(
    state: &'s State,
    module: &ModuleName,
    key: &ClassKey,
    class: &'s Class,
    kept: Option<Kept<'s>>,
) -> impl Iterator<Item = (JobId, WaitingCode)> + use<'s> {
    let found = class.head().and_then(|(rank, head)| {
        let kept = Kept::from(kept, rank);
        // A job that can be placed is the match's to place, not to explain.
        let code = place(state, &Given::default(), module, key, kept).err()?;
        let behind = match code {
            WaitingCode::NoWorker | WaitingCode::Paused => code,
            _ => WaitingCode::Priority,
        };
        let wrong = state.job(head)?.job.waiting() != Some(code);
        Some((wrong.then_some((head, code)), behind))
    });
    found.into_iter().flat_map(move |(head, behind)| {
        let others = class.behind_head_without(behind).map(move |job| (job, behind));
        head.into_iter().chain(others)
    })
}
