//! `PATCH /v1/joblib/tasks/{task_id}`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, Uri},
};
use nox_contract::{
    Attempt, Command, JobError, JobId, NoMeaning, OUTPUTS_BYTES_MAX, Outcome, ProblemCode,
    Progress, RawJson, UpdateTask, command::TaskUpdate,
};
use nox_readmodel::JobRow;
use serde::Deserialize;

use super::{
    nothing,
    register::read,
    task::{find, no_task, show, task_id},
    view::{self, TaskView},
    workers::beat_if_due,
};
use crate::{
    app::App,
    auth::Caller,
    body::{BODY_BYTES_MAX, read_json},
    commands::{Delivery, Until},
    memory::Account,
    problem::{ApiError, FieldError},
    required::Required,
    routes::{self, Segment},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    status: Option<String>,
    /// For people, of a task that failed.
    #[serde(default)]
    error: Option<String>,
    /// Of a task that is completed.
    #[serde(default)]
    result: Option<RawJson>,
    #[serde(default)]
    progress: Option<AskedProgress>,
    /// The attempt that is spoken of; the present one if absent.
    #[serde(default)]
    attempt: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedProgress {
    #[serde(default)]
    percent: Option<f64>,
    #[serde(default)]
    message: Option<String>,
}

/// What is asked of the task.
enum Wish {
    Update(TaskUpdate),
    /// No task gets there by an update.
    Unreachable(&'static str),
}

/// Moves the task on, for whoever submitted or claimed it, and admins.
pub async fn update(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TaskView>, ApiError> {
    routes::nothing(&uri)?;
    let id = task_id(&id)?;
    let body = read_json(&account, &headers, body, BODY_BYTES_MAX).await?;
    let asked: Asked = read(body.text())?;
    let attempt = asked.attempt.map(Attempt);
    let wish = wish(asked)?;
    let row = find(&app, &caller, id, None).await?;
    if !row.status.is_ended() && !may(&app, &caller, &row).await? {
        let detail = "only whoever submitted or claimed a task, and admins, say what becomes of it";
        return Err(ApiError::new(ProblemCode::Forbidden, detail));
    }
    let status = view::status(row.status, row.waiting_code);
    let command = match wish {
        _ if row.status.is_ended() => return Err(conflict(status)),
        Wish::Unreachable(to) => {
            let detail = format!("a task that is {status} does not become {to} by an update");
            return Err(ApiError::new(ProblemCode::InvalidTaskTransition, detail));
        }
        Wish::Update(to) => {
            let (by, admin) = (caller.user.clone(), caller.admin);
            Command::UpdateTask(Box::new(UpdateTask { job_id: id, by, admin, attempt, to }))
        }
    };
    if let Some(holder) = &row.worker_id {
        beat_if_due(&app, &caller, holder).await?;
    }
    let view = send(&app, &caller, id, &command).await?;
    Ok(Json(view))
}

async fn send(
    app: &App,
    caller: &Caller,
    id: JobId,
    command: &Command,
) -> Result<TaskView, ApiError> {
    match app.commands.send(&caller.tenant, command, Until::Answered).await? {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.barrier.written(accepted.n).await;
            show(app, caller, id, Some(accepted.n)).await
        }
        // It was there just now, so it has ended since.
        Delivery::Answered(Outcome::Refused(refusal))
            if refusal.code == ProblemCode::TaskNotFound =>
        {
            let required = app.barrier.all_commands().await?;
            let read = || app.reader.job(&caller.tenant, id);
            let row = app.barrier.read(&required, read).await?.value.ok_or_else(no_task)?;
            if row.status.is_ended() {
                return Err(conflict(view::status(row.status, row.waiting_code)));
            }
            Err(refusal.into())
        }
        Delivery::Answered(Outcome::Refused(refusal)) => Err(refusal.into()),
        Delivery::Published => {
            let detail = "nobody has decided yet; the request will be: look at the task again";
            Err(ApiError::new(ProblemCode::Unavailable, detail))
        }
    }
}

fn conflict(status: &str) -> ApiError {
    let detail = format!("the task is {status}, and stays so");
    ApiError::new(ProblemCode::InvalidTaskTransition, detail)
}

/// Whether the caller submitted the task, is of the worker that has it, or an admin.
async fn may(app: &App, caller: &Caller, row: &JobRow) -> Result<bool, ApiError> {
    if caller.admin || row.user_id == caller.user {
        return Ok(true);
    }
    let Some(holder) = &row.worker_id else { return Ok(false) };
    let read = || app.reader.worker(holder);
    let worker = app.barrier.read(&Required::default(), read).await?.value;
    let claimant = worker.and_then(|worker| worker.claimant);
    Ok(claimant.is_some_and(|of| of.user_id == caller.user))
}

/// Progress as it is told: a percentage without its fraction, text that can be stored, and one of the two.
fn progress(asked: AskedProgress) -> Result<Progress, ApiError> {
    let wrong = |pointer: &str, detail: &str| {
        Err(ApiError::invalid(vec![FieldError::new(pointer, detail)]))
    };
    let AskedProgress { percent, message } = asked;
    if percent.is_none() && message.is_none() {
        return wrong("/progress", "has a percent, a message, or both");
    }
    if percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
        return wrong("/progress/percent", "must be from 0 to 100");
    }
    if let Some(message) = &message {
        check_storable(message, "/progress/message")?;
    }
    Ok(Progress { percent: percent.map(|percent| percent as u8), message })
}

fn check_storable(text: &str, pointer: &str) -> Result<(), ApiError> {
    if !text.contains('\0') {
        return Ok(());
    }
    let detail = "has the character U+0000 in it, which no store keeps";
    Err(ApiError::new(ProblemCode::UnstorableJson, format!("{pointer} {detail}"))
        .with_errors(vec![FieldError::new(pointer, detail)]))
}

/// A result as it is kept.
fn outputs(result: RawJson) -> Result<RawJson, ApiError> {
    if !result.get().trim_start().starts_with('{') {
        return Err(ApiError::invalid(vec![FieldError::new("/result", "must be an object")]));
    }
    result.canonical().map_err(|error| match &error {
        NoMeaning::Twice { pointer } => {
            let place = FieldError::new(format!("/result{pointer}"), error.to_string());
            ApiError::invalid(vec![place])
        }
        NoMeaning::Unstorable(_) => {
            ApiError::new(ProblemCode::UnstorableJson, format!("result: {error}"))
        }
    })?;
    let bytes = result.expanded_len().map_err(ApiError::internal)?;
    if bytes > OUTPUTS_BYTES_MAX {
        let detail = format!("result has {bytes} bytes, and at most {OUTPUTS_BYTES_MAX} are kept");
        return Err(ApiError::new(ProblemCode::BodyTooLarge, detail));
    }
    Ok(result)
}

fn wish(asked: Asked) -> Result<Wish, ApiError> {
    let wrong =
        |pointer: &str, detail: &str| ApiError::invalid(vec![FieldError::new(pointer, detail)]);
    let Asked { status, error, result, progress, .. } = asked;
    let status = match (status, progress) {
        (None, Some(progress)) => {
            return Ok(Wish::Update(TaskUpdate::Progressed(self::progress(progress)?)));
        }
        (None, None) => return Err(wrong("/status", "is required, or `progress`")),
        (Some(_), Some(_)) => return Err(wrong("/progress", "stands alone, without `status`")),
        (Some(status), None) => status,
    };
    if error.is_some() && status != "failed" {
        return Err(wrong("/error", "belongs to the status failed"));
    }
    if result.is_some() && status != "completed" {
        return Err(wrong("/result", "belongs to the status completed"));
    }
    Ok(match status.as_str() {
        "running" => Wish::Update(TaskUpdate::Running),
        "completed" => {
            let outputs = outputs(result.unwrap_or_else(nothing))?;
            Wish::Update(TaskUpdate::Completed { outputs })
        }
        "failed" => {
            let message = error.unwrap_or_else(|| "the worker says no more".to_owned());
            check_storable(&message, "/error")?;
            let error = JobError { code: "task_failed".to_owned(), message, exit_status: None };
            Wish::Update(TaskUpdate::Failed { error })
        }
        "cancelled" | "canceled" => Wish::Update(TaskUpdate::Canceled),
        "pending" => Wish::Unreachable("pending"),
        "claimed" => Wish::Unreachable("claimed"),
        _ => {
            let detail = "must be running, completed, failed or cancelled";
            return Err(wrong("/status", detail));
        }
    })
}
