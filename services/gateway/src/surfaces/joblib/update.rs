//! `PATCH /v1/joblib/tasks/{task_id}`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, Uri},
};
use nox_contract::{
    Attempt, JobError, NoMeaning, OUTPUTS_BYTES_MAX, ProblemCode, Progress, RawJson,
    command::TaskUpdate,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    nothing,
    task::{show, task_id},
    view::{self, TaskView},
};
use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract::{self, Segment},
    http::{
        body::{BODY_BYTES_MAX, read_json},
        memory::Account,
    },
    identity::auth::Caller,
    object::read,
    problem::{ApiError, FieldError},
    use_cases::tasks::update::{self, Wish},
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskUpdateBody")]
struct Asked {
    #[schemars(extend("enum" = ["running", "completed", "failed", "cancelled", "canceled", null]))]
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProgressBody")]
struct AskedProgress {
    #[serde(default)]
    percent: Option<f64>,
    #[serde(default)]
    message: Option<String>,
}

pub fn endpoint() -> Endpoint {
    let path = "/v1/joblib/tasks/{task_id}";
    let (id, summary) = ("update_task", "Moves a task on, or says how far it is.");
    Endpoint::new(Method::Patch, path, Access::HOLDER, (id, summary), update)
        .body(Content::json::<Asked>())
        .example(r#"{"progress": {"percent": 1}}"#)
        .answer(Answer::json::<TaskView>(200, "The task as it is now."))
        .problems(&[
            ProblemCode::TaskNotFound,
            ProblemCode::Parked,
            ProblemCode::InvalidTaskTransition,
            ProblemCode::UnstorableJson,
            ProblemCode::Refused,
        ])
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
    extract::nothing(&uri)?;
    let id = task_id(&id)?;
    let body = read_json(&account, &headers, body, BODY_BYTES_MAX).await?;
    let asked: Asked = read(body.text())?;
    let attempt = asked.attempt.map(Attempt);
    let wish = wish(asked)?;
    let n = update::update(&app, &caller, id, attempt, wish, view::status).await?;
    Ok(Json(show(&app, &caller, id, Some(n)).await?))
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
