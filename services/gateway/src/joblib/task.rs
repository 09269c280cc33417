//! `GET /v1/joblib/tasks/{task_id}`

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, JobId, ProblemCode};
use nox_readmodel::JobRow;

use super::{view::TaskView, wait};
use crate::{
    app::App, auth::Caller, barrier::Sources, jobs::only_min_n, problem::ApiError,
    required::Required, routes::Segment,
};

/// The task, for everybody of its tenant: rooms are shared. Where that is asked for, it is waited for its end.
pub async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let min_n = only_min_n(&uri, &headers)?;
    let id = task_id(&id)?;
    let wait = super::asked_wait(&app, &headers);
    let mut view = show(&app, &caller, id, min_n).await?;
    if let Some(wait) = wait
        && !view.state.is_ended()
    {
        app.joblib.watch.ended(id, wait).await;
        view = show(&app, &caller, id, min_n).await?;
    }
    let mut response = Json(view).into_response();
    if let Some(wait) = wait {
        wait::applied(response.headers_mut(), wait);
    }
    Ok(response)
}

pub fn task_id(text: &str) -> Result<JobId, ApiError> {
    text.parse().map_err(|_| no_task())
}

pub fn no_task() -> ApiError {
    ApiError::new(ProblemCode::TaskNotFound, "no such task")
}

/// The task of the caller's tenant.
pub async fn find(
    app: &App,
    caller: &Caller,
    id: JobId,
    min_n: Option<FrameNumber>,
) -> Result<JobRow, ApiError> {
    let read = || async move {
        let found = app.reader.job(&caller.tenant, id).await?;
        Ok(found.map(|row| row.filter(|row| row.task.is_some())))
    };
    let found = app.barrier.find(Required::frame(min_n), Sources::Commands, read).await?;
    found.value.ok_or_else(no_task)
}

/// The same, as it is shown.
pub async fn show(
    app: &App,
    caller: &Caller,
    id: JobId,
    min_n: Option<FrameNumber>,
) -> Result<TaskView, ApiError> {
    let row = find(app, caller, id, min_n).await?;
    let position = match row.waiting_code {
        Some(nox_contract::WaitingCode::Claim) => {
            let read = || app.reader.queue_position(id);
            app.barrier.read(&Required::default(), read).await?.value
        }
        _ => None,
    };
    TaskView::new(row, position).ok_or_else(no_task)
}
