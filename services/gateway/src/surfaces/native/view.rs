//! A job as its users see it.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use nox_contract::{
    Attempt, Capacity, Concurrency, FrameNumber, JobError, JobId, JobState, ModuleName, Progress,
    RawJson, Resources, Timestamp, TopicName, UserId, WaitingCode, WorkerId,
};
use nox_readmodel::{JobRow, project::ReservedResources};
use schemars::JsonSchema;
use serde::Serialize;

use super::kind::Kind;

/// The members of the first users' example, and beside them what is canonical.
///
/// `status` is in the words of the job's kind; for jobs of a module these are the canonical ones,
/// which `state` always has.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Job")]
pub struct JobView<'a> {
    id: JobId,
    job_id: JobId,
    module: &'a ModuleName,
    module_version: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    worker_labels: &'a BTreeSet<String>,
    user_id: &'a UserId,
    status: &'static str,
    state: JobState,
    /// As what it was asked for, where that was an engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<&'a ModuleName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    waiting: Option<Waiting>,
    attempt: Attempt,
    priority: u8,
    /// `null`, and `parked` says why, where they cannot be stored. Brief lists leave both out.
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<Option<&'a RawJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<Option<&'a RawJson>>,
    error: Option<&'a JobError>,
    requested_resources: Resources,
    #[schemars(with = "Option<Resources>")]
    reserved_resources: Option<ReservedResources>,
    worker_id: Option<&'a WorkerId>,
    /// How far the newest attempt is, by its worker's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<&'a Progress>,
    /// What makes it a task: the job that workers registered, and the room that it was submitted in.
    #[serde(flatten)]
    task: Option<TaskView<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_id: Option<&'a str>,
    /// The job that it repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<JobId>,
    /// How many of its key run at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<&'a Concurrency>,
    created_at: Timestamp,
    /// When and by whom once more, under the names that clients of commands look for.
    #[serde(rename = "createdAt", skip_serializing_if = "Option::is_none")]
    command_created_at: Option<Timestamp>,
    #[serde(rename = "createdBy", skip_serializing_if = "Option::is_none")]
    command_created_by: Option<&'a UserId>,
    started_at: Option<Timestamp>,
    /// When a job that waits for an instant may run.
    due_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    /// The newest frame with an entry of the job that this view shows.
    n: FrameNumber,
    /// Why the view does not tell all, where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TaskOfJob")]
struct TaskView<'a> {
    job_name: &'a TopicName,
    room_id: &'a str,
}

/// Why a queued job does not run.
#[derive(Debug, Serialize, JsonSchema)]
struct Waiting {
    code: WaitingCode,
    message: Cow<'static, str>,
}

impl<'a> From<&'a JobRow> for JobView<'a> {
    fn from(row: &'a JobRow) -> Self {
        let kind = Kind::of(&row.module, row.inputs.as_ref());
        let engine = match kind {
            Kind::Engine { kind } => Some((&row.module, kind)),
            Kind::Module | Kind::Command => None,
        };
        let is_command = kind == Kind::Command;
        Self {
            id: row.id,
            job_id: row.id,
            module: &row.module,
            module_version: row.module_version.as_deref(),
            worker_labels: &row.worker_labels,
            user_id: &row.user_id,
            status: kind.word(row.status),
            state: row.status,
            engine: engine.map(|(engine, _)| engine),
            kind: engine.map(|(_, kind)| kind),
            waiting: row
                .waiting_code
                .map(|code| Waiting { code, message: message(code, kind).into() }),
            attempt: row.attempt,
            priority: row.priority,
            inputs: Some(row.inputs.as_ref()),
            outputs: Some(row.outputs.as_ref()),
            error: row.error.as_ref(),
            requested_resources: row.requested_resources,
            reserved_resources: row.reserved_resources,
            worker_id: row.worker_id.as_ref(),
            progress: row.progress.as_ref(),
            task: row.task.as_ref().map(|of| TaskView { job_name: &of.topic, room_id: &of.room }),
            labels: &row.metadata.labels,
            release_id: row.metadata.release_id.as_deref(),
            retry_of: row.metadata.retry_of,
            concurrency: row.concurrency.as_ref(),
            created_at: row.created_at,
            command_created_at: is_command.then_some(row.created_at),
            command_created_by: is_command.then_some(&row.user_id),
            started_at: row.started_at,
            due_at: row.due_at,
            ended_at: row.ended_at,
            n: row.n,
            parked: row.parked.map(|parked| parked.as_str()),
        }
    }
}

impl<'a> JobView<'a> {
    /// Without inputs and outputs.
    pub fn brief(row: &'a JobRow) -> Self {
        Self { inputs: None, outputs: None, ..Self::from(row) }
    }
}

impl JobView<'_> {
    /// Says what workers have of what `row` asks too much of; `largest` is the most that any has.
    pub fn explain_unsatisfiable(&mut self, row: &JobRow, largest: &Capacity) {
        let Some(waiting) = &mut self.waiting else { return };
        let asked = row.reserved_resources.map_or(row.requested_resources, Resources::from);
        let each = [
            ("cpu", asked.cpu, largest.cpu),
            ("mem_mb", asked.mem_mb, largest.mem_mb),
            ("gpu", asked.gpu, largest.gpu),
        ];
        let list = |of: fn(&(&str, u32, u32)) -> String| each.iter().map(of).collect::<Vec<_>>();
        let asks = list(|(name, asked, _)| format!("{name} {asked}")).join(", ");
        let has = list(|(name, _, most)| format!("{name} {most}")).join(", ");
        waiting.message =
            format!("the job asks for {asks}, and the most that a worker has is {has}").into();
    }
}

/// Why a queued job does not run, for people.
pub fn message(code: WaitingCode, kind: Kind) -> &'static str {
    match code {
        WaitingCode::Priority => "other jobs are ahead",
        WaitingCode::Concurrency => "as many jobs of this kind run as may run at a time",
        WaitingCode::Quota => "as many of your jobs run as your limits allow at a time",
        WaitingCode::Rate => "starts are throttled",
        WaitingCode::NoWorker if kind == Kind::Command => {
            "no live worker runs commands, for which it needs the sandbox level isolated; its /readyz and noxctl \
             doctor say what it lacks"
        }
        WaitingCode::NoWorker => "no live worker that takes work serves the module",
        WaitingCode::Drained => {
            "an operator has taken the workers that serve the module out of service"
        }
        WaitingCode::Resources => "no worker has room for what the job asks for",
        WaitingCode::Unsatisfiable => "no worker has as much as the job asks for",
        WaitingCode::Isolation => {
            "its worker was lost several times while it ran beside others; it waits for one of its own"
        }
        WaitingCode::Dependency => "a job that this one follows has not succeeded yet",
        WaitingCode::Scheduled => "the job is to start later",
        WaitingCode::Backoff => "the last attempt failed; the next one waits",
        WaitingCode::Paused => "the module is switched off",
        WaitingCode::Claim => "a worker that registered the task's job is to claim it",
        WaitingCode::Dispatching => "a worker has been told and has not started yet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_no_worker_can_isolate_waits_with_that_reason() {
        assert!(message(WaitingCode::NoWorker, Kind::Command).contains("isolated"));
        assert!(!message(WaitingCode::NoWorker, Kind::Module).contains("isolated"));
    }
}
