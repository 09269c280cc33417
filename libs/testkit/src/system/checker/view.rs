//! Whether the rows are what the log tells.

use std::collections::BTreeMap;

use nox_contract::{JobId, RawJson};
use nox_core::job::Job;
use nox_readmodel::{JobRow, project::ReservedResources};
use serde_json::Value;

use super::{
    LogEntry, Rule, Verdict, View, log,
    log::{Story, Told},
};

pub(super) fn check(view: &View, told: &Told, verdict: &mut Verdict) {
    verdict.counts.rows = view.jobs.len();
    if view.n != told.last {
        let detail = format!("the rows are at frame {}, the log at {}", view.n, told.last);
        verdict.violated(Rule::RowsAreComplete, detail);
    }
    let rows: BTreeMap<JobId, &JobRow> = view.jobs.iter().map(|row| (row.id, row)).collect();
    for (id, story) in &told.jobs {
        match (rows.get(id), row(*id, story)) {
            (None, _) => verdict.violated(Rule::JobHasRow, format!("job {id}")),
            (Some(found), Some(expected)) => {
                for difference in differences(found, &expected) {
                    verdict.violated(Rule::RowIsTheFold, format!("job {id}: {difference}"));
                }
            }
            // Its facts are illegal, which was said before.
            (Some(_), None) => {}
        }
    }
    for id in rows.keys().filter(|id| !told.jobs.contains_key(id)) {
        verdict.violated(Rule::RowHasJob, format!("job {id}"));
    }
    for difference in &view.ledger_differences {
        verdict.violated(Rule::RowsBalance, difference.clone());
    }
    if view.live != view.rebuilt {
        let detail = format!("live {}, rebuilt {}", view.live, view.rebuilt);
        verdict.violated(Rule::RebuildIsEqual, detail);
    }
}

/// The rows that a log leads to, in the order of ids.
pub fn rows(log: &[LogEntry]) -> Vec<JobRow> {
    let told = log::read(log, &mut Verdict::default());
    told.jobs.iter().filter_map(|(id, story)| row(*id, story)).collect()
}

/// The row that a job should have; `None` where its facts make none.
fn row(id: JobId, story: &Story) -> Option<JobRow> {
    let job: &Job = story.job.as_ref()?;
    let given = job.resources();
    Some(JobRow {
        id,
        tenant: story.tenant.clone(),
        user_id: story.user.clone(),
        module: story.module.clone(),
        module_version: story.module_version.clone(),
        worker_labels: story.worker_labels.clone(),
        metadata: story.metadata.clone(),
        concurrency: story.concurrency.clone(),
        status: job.state(),
        attempt: job.attempt,
        waiting_code: job.waiting(),
        inputs: Some(story.inputs.clone()),
        outputs: story.outputs.clone(),
        requested_resources: job.requested_resources,
        reserved_resources: story.reserved.map(|cpu_seconds| ReservedResources {
            cpu: given.cpu,
            mem_mb: given.mem_mb,
            wall_time_s: given.wall_time_s,
            gpu: given.gpu,
            cpu_seconds,
        }),
        created_at: job.created_at,
        started_at: job.started_at,
        ended_at: job.ended_at,
        due_at: job.due_at,
        error: job.error.as_deref().cloned(),
        n: story.steps.last().map(|step| step.n)?,
        worker_id: story.worker.clone(),
        priority: job.priority,
        task: story.task.clone(),
        progress: story.progress.clone(),
        fingerprint: story.fingerprint.clone(),
        parked: None,
        submitted_n: job.submitted_n,
        submitted_place: story.submitted_place,
    })
}

/// The columns in which a row is not what it should be.
fn differences(found: &JobRow, expected: &JobRow) -> Vec<String> {
    let mut differences = Vec::new();
    macro_rules! compare {
        ($($column:ident)*) => {
            $(if found.$column != expected.$column {
                differences.push(format!(
                    "{} is {:?}, but by the log {:?}",
                    stringify!($column), found.$column, expected.$column
                ));
            })*
        };
    }
    compare!(tenant user_id module status attempt waiting_code requested_resources);
    compare!(reserved_resources created_at started_at ended_at due_at error n worker_id);
    compare!(module_version worker_labels task metadata concurrency progress priority);
    compare!(fingerprint submitted_n submitted_place);
    // What cannot be stored is missing from the row, and the row says so.
    if found.parked.is_none() {
        for (column, found, expected) in [
            ("inputs", &found.inputs, &expected.inputs),
            ("outputs", &found.outputs, &expected.outputs),
        ] {
            if value(found) != value(expected) {
                differences.push(format!("{column}: {found:?}, but by the log {expected:?}"));
            }
        }
    }
    differences
}

/// As JSON compares: Postgres orders members and rewrites numbers.
fn value(json: &Option<RawJson>) -> Option<Value> {
    json.as_ref().and_then(|json| serde_json::from_str(json.get()).ok())
}
