//! Whether the log is what clients were told, and reads what the log is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nox_contract::{FrameNumber, JobId, TenantId};
use nox_service::ids::keyed_job_id;

use super::{Rule, Verdict, log::Told};
use crate::system::recorder::{Ask, Call, Heard, Identity, Submit};

pub(super) fn check(calls: &[Call], told: &Told, verdict: &mut Verdict) {
    verdict.counts.calls = calls.len();
    submits(calls, told, verdict);
    cancels(calls, told, verdict);
    reads(calls, told, verdict);
    for (id, story) in &told.jobs {
        if !story.state().is_some_and(|state| state.is_ended()) {
            let detail = format!("job {id} is {:?}", story.job.as_ref().map(|job| &job.phase));
            verdict.violated(Rule::EveryJobEnds, detail);
        }
    }
}

/// What was heard of one submit, over all its repetitions.
#[derive(Default)]
struct Fate {
    admitted: BTreeSet<JobId>,
    unknown: bool,
    refused: bool,
}

fn submits(calls: &[Call], told: &Told, verdict: &mut Verdict) {
    let mut fates: BTreeMap<&Submit, Fate> = BTreeMap::new();
    for call in calls {
        let Ask::Submit(submit) = &call.ask else { continue };
        let fate = fates.entry(submit).or_default();
        match call.heard.as_ref().map(|(_, heard)| heard) {
            Some(Heard::Admitted { job, n }) => {
                fate.admitted.insert(*job);
                admitted(submit, *job, *n, told, verdict);
            }
            Some(Heard::Refused { .. }) => fate.refused = true,
            _ => fate.unknown = true,
        }
    }

    let mut asked_for = BTreeSet::new();
    for (submit, fate) in &fates {
        let found = found(submit, told);
        asked_for.extend(found.iter().copied());
        if found.len() > 1 {
            let detail = format!("{} made the jobs {found:?}", submit.identity);
            verdict.violated(Rule::SubmitOnce, detail);
        }
        if fate.admitted.len() > 1 {
            let detail = format!("{} was answered with {:?}", submit.identity, fate.admitted);
            verdict.violated(Rule::SameKeySameJob, detail);
        }
        if !fate.admitted.is_empty() {
            verdict.counts.admitted += 1;
        } else if fate.unknown {
            verdict.counts.unknown += 1;
            verdict.counts.unknown_landed += usize::from(!found.is_empty());
        } else if fate.refused {
            verdict.counts.refused += 1;
            if !found.is_empty() {
                let detail = format!("{} was refused, and is {found:?}", submit.identity);
                verdict.violated(Rule::RefusedIsNotThere, detail);
            }
        }
    }
    for id in told.jobs.keys().filter(|id| !asked_for.contains(id)) {
        verdict.violated(Rule::NothingInvented, format!("job {id}"));
    }
}

/// The jobs in the log that came of a submit.
fn found(submit: &Submit, told: &Told) -> Vec<JobId> {
    match &submit.identity {
        Identity::Key(key) => {
            let id = keyed_job_id(&submit.tenant, &submit.user, key);
            told.jobs.contains_key(&id).then_some(id).into_iter().collect()
        }
        Identity::Mark(mark) => told.marks.get(mark).cloned().unwrap_or_default(),
    }
}

fn admitted(
    submit: &Submit,
    id: JobId,
    n: Option<FrameNumber>,
    told: &Told,
    verdict: &mut Verdict,
) {
    let identity = &submit.identity;
    let Some(story) = told.jobs.get(&id) else {
        let detail = format!("job {id} of {identity}, answered with {n:?}");
        return verdict.violated(Rule::AdmittedIsThere, detail);
    };
    let same = story.tenant == submit.tenant
        && story.user == submit.user
        && found(submit, told).contains(&id);
    if !same {
        let detail = format!("job {id} was answered for {identity} of {}", submit.user);
        verdict.violated(Rule::AnswerNamesTheJob, detail);
    }
    if n.is_some_and(|n| n < story.first() || n > told.last) {
        let detail = format!("job {id} is from frame {}, not {n:?}", story.first());
        verdict.violated(Rule::AnswerNamesTheFrame, detail);
    }
}

fn cancels(calls: &[Call], told: &Told, verdict: &mut Verdict) {
    let mut asked = BTreeSet::new();
    for call in calls {
        let Ask::Cancel { job, .. } = &call.ask else { continue };
        let heard = call.heard.as_ref().map(|(_, heard)| heard);
        if !matches!(heard, Some(Heard::Refused { .. } | Heard::NotFound)) {
            asked.insert(*job);
        }
        let Some(Heard::Canceled { n: Some(n) }) = heard else { continue };
        let cancels = told.jobs.get(job).map_or(&[][..], |story| &story.cancels);
        if !cancels.iter().any(|canceled| canceled <= n) {
            let detail = format!("job {job}, answered with {n}, was canceled at {cancels:?}");
            verdict.violated(Rule::CanceledIsThere, detail);
        }
    }
    for (id, story) in &told.jobs {
        if !story.cancels.is_empty() && !asked.contains(id) {
            verdict.violated(Rule::CancelWasAsked, format!("job {id}"));
        }
    }
}

fn reads(calls: &[Call], told: &Told, verdict: &mut Verdict) {
    let known = known_since(calls);
    for call in calls {
        let Ask::Read { tenant, job, min_n } = &call.ask else { continue };
        verdict.counts.reads += 1;
        match call.heard.as_ref().map(|(_, heard)| heard) {
            Some(Heard::Seen { n, state }) => {
                let Some(story) = told.jobs.get(job) else {
                    let detail = format!("job {job} was shown at {n} and is not in the log");
                    verdict.violated(Rule::ReadShowsTheLog, detail);
                    continue;
                };
                let newest = story.newest_up_to(*n).filter(|step| step.n == *n);
                if newest.is_none_or(|step| step.state != *state) {
                    let detail = format!("job {job} at {n} is {newest:?}, but was shown {state}");
                    verdict.violated(Rule::ReadShowsTheLog, detail);
                }
                let wanted = min_n.and_then(|min_n| story.newest_up_to(min_n));
                if wanted.is_some_and(|wanted| *n < wanted.n) {
                    let detail = format!("job {job} read with {min_n:?} was shown at {n}");
                    verdict.violated(Rule::ReadNotOlder, detail);
                }
            }
            Some(Heard::NotFound) => {
                let since = known.get(&(tenant.clone(), *job));
                if since.is_some_and(|since| *since < call.invoked) {
                    let detail = format!("job {job} was said not to be there");
                    verdict.violated(Rule::ReadFindsAcknowledged, detail);
                }
            }
            _ => {}
        }
    }
}

/// From when on clients knew of a job.
fn known_since(calls: &[Call]) -> BTreeMap<(TenantId, JobId), Duration> {
    let mut known = BTreeMap::new();
    for call in calls {
        if let (Ask::Submit(submit), Some((at, Heard::Admitted { job, .. }))) =
            (&call.ask, &call.heard)
        {
            let since = known.entry((submit.tenant.clone(), *job)).or_insert(*at);
            *since = (*since).min(*at);
        }
    }
    known
}
