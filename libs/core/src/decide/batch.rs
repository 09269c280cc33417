//! Jobs that are submitted all or none.

use std::collections::BTreeSet;

use nox_contract::{
    FRAME_BYTES_MAX, FrameNumber, ProblemCode, Refusal, Submit, SubmitBatch, TenantId, Timestamp,
    command::BATCH_JOBS_MAX,
};

use super::{
    Decision, Draft, Rules,
    quota::{self, Beside},
    submit::{admit, check_stamp, conflict, job_entity, known},
};
use crate::state::State;

/// What an entry takes in a frame beside its facts and the names of what they are about, in bytes: what caused it,
/// and the job's id.
const ENTRY_BYTES: usize = 224;

/// What of a frame is not for the jobs, in bytes.
const FRAME_RESERVE_BYTES: usize = 16 * 1024;

/// Admits each as if those before it were admitted already, in one step: what follows is in one frame, or nothing
/// follows. None is placed here: the places that there are would be given to each of them.
pub(super) fn decide(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    batch: &SubmitBatch,
    now: Timestamp,
) -> Decision {
    let jobs = &batch.jobs;
    let first = match check_shape(jobs) {
        Ok(first) => first,
        Err(detail) => {
            return Decision::refused(Refusal::new(ProblemCode::InvalidRequest, detail));
        }
    };
    match repeated(state, tenant, jobs) {
        Ok(None) => {}
        Ok(Some(n)) => return Decision::unchanged(n),
        Err(refusal) => return Decision::refused(*refusal),
    }
    let mut drafts = quota::opening(state, rules, tenant, &first.user_id, &first.role, now);
    let mut all = Beside::default();
    jobs.iter().for_each(|submit| all.add(submit));
    let asker = (&first.user_id, &*first.role);
    if let Err(refusal) = quota::admit_together(state, tenant, asker, all) {
        quota::record(state, &job_entity(tenant, first), &refusal, &mut drafts, now);
        return Decision { drafts, ..Decision::refused(*refusal) };
    }
    let mut admitted = Vec::with_capacity(jobs.len());
    let mut beside = Beside::default();
    for (place, submit) in (0..).zip(jobs) {
        let checked = check_stamp(state, rules, submit)
            .and_then(|()| admit(state, tenant, submit, beside, now));
        match checked {
            Ok(job) => admitted.push((submit, job)),
            Err(_) if rules.faults.batch_taken_in_part => continue,
            Err(refusal) => {
                let refusal = Refusal { job: Some(place), ..*refusal };
                quota::record(state, &job_entity(tenant, submit), &refusal, &mut drafts, now);
                return Decision { drafts, ..Decision::refused(refusal) };
            }
        }
        if !rules.faults.batch_admitted_one_by_one {
            beside.add(submit);
        }
    }
    let mut bytes = 0;
    for (submit, job) in admitted {
        let facts = job.facts(state, rules, tenant, true, now);
        let draft = Draft { entity: job_entity(tenant, submit), facts };
        bytes += entry_bytes(submit, tenant, &draft);
        drafts.push(draft);
    }
    if bytes > FRAME_BYTES_MAX - FRAME_RESERVE_BYTES {
        let detail = format!(
            "what is submitted all or none has to fit into {} bytes of the log, and takes {bytes}",
            FRAME_BYTES_MAX - FRAME_RESERVE_BYTES
        );
        return Decision::refused(Refusal::new(ProblemCode::BodyTooLarge, detail));
    }
    Decision { drafts, ..Decision::nothing() }.accepted(None, None)
}

/// The first of the jobs, if they can be a batch.
fn check_shape(jobs: &[Submit]) -> Result<&Submit, String> {
    let Some(first) = jobs.first().filter(|_| jobs.len() <= BATCH_JOBS_MAX) else {
        return Err(format!("{} jobs; 1 to {BATCH_JOBS_MAX} are allowed", jobs.len()));
    };
    // Their limits are counted together.
    if jobs.iter().any(|job| job.user_id != first.user_id || job.role != first.role) {
        return Err("jobs of several users".to_owned());
    }
    let ids: BTreeSet<_> = jobs.iter().map(|job| job.job_id).collect();
    if ids.len() < jobs.len() {
        return Err("two jobs with one id".to_owned());
    }
    Ok(first)
}

/// Where the log has all of them, if it does. One of them alone was another request's.
fn repeated(
    state: &State,
    tenant: &TenantId,
    jobs: &[Submit],
) -> Result<Option<FrameNumber>, Box<Refusal>> {
    let mut newest = None;
    let mut count = 0;
    for submit in jobs {
        let Some(known) = known(state, tenant, submit) else { continue };
        newest = newest.max(Some(known?.n));
        count += 1;
    }
    if count == 0 || count == jobs.len() { Ok(newest) } else { Err(conflict()) }
}

impl Beside {
    fn add(&mut self, submit: &Submit) {
        if submit.draft {
            self.drafts += 1;
        } else {
            self.queued_jobs += 1;
            let cost = submit.requested_resources.cpu_seconds();
            self.cpu_seconds = self.cpu_seconds.saturating_add(cost);
        }
    }
}

/// What the entry of a draft takes in a frame, in bytes; rather more than less.
fn entry_bytes(submit: &Submit, tenant: &TenantId, draft: &Draft) -> usize {
    let names = [tenant.as_str(), submit.user_id.as_str(), submit.module.as_str()];
    let facts = serde_json::to_vec(&draft.facts).map_or(FRAME_BYTES_MAX, |text| text.len());
    ENTRY_BYTES + names.iter().map(|name| name.len()).sum::<usize>() + facts
}
