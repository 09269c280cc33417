//! Whether what ran was told to run, and what is said to have succeeded did run.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nox_contract::{Attempt, JobId, ModuleName};

use super::{Rule, Run, Verdict, log::Told};

/// How far the wall clock may have been moved between the leader's start and a run on the same
/// machine without anybody's having lied.
const CLOCK_SLACK: Duration = Duration::from_millis(200);

pub(super) fn check(
    runs: &[Run],
    telling: &BTreeSet<ModuleName>,
    told: &Told,
    verdict: &mut Verdict,
) {
    verdict.counts.runs = runs.len();
    let mut counts: BTreeMap<(JobId, Attempt), u32> = BTreeMap::new();
    for Run { job, attempt, at } in runs {
        let count = counts.entry((*job, *attempt)).or_default();
        *count += 1;
        if *count == 2 {
            verdict.violated(Rule::RunOnce, format!("attempt {attempt} of job {job}"));
        }
        let assigned = told.jobs.get(job).and_then(|story| story.assigned.get(attempt));
        match assigned {
            None => {
                verdict.violated(Rule::RunWasAssigned, format!("attempt {attempt} of job {job}"));
            }
            Some(assigned) if *at + CLOCK_SLACK < assigned.at => {
                let detail = format!(
                    "attempt {attempt} of job {job} ran at {at}, was assigned at {}",
                    assigned.at
                );
                verdict.violated(Rule::RunAfterAssigned, detail);
            }
            Some(_) => {}
        }
    }
    for (id, story) in told.jobs.iter().filter(|(_, story)| telling.contains(&story.module)) {
        for attempt in &story.successes {
            if !counts.contains_key(&(*id, *attempt)) {
                verdict.violated(Rule::SuccessDidRun, format!("attempt {attempt} of job {id}"));
            }
        }
    }
}
