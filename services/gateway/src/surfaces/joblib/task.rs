//! `GET /v1/joblib/tasks/{task_id}`

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, JobId, ProblemCode, WaitingCode};

use super::view::TaskView;
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, MIN_N, Method, PREFER, PREFERENCE_APPLIED},
    extract::{OnlyN, Segment, only_min_n},
    http::prefer,
    identity::auth::Caller,
    problem::ApiError,
    read::required::Required,
    use_cases::tasks::find::{find, no_task},
};

pub fn endpoint() -> Endpoint {
    let path = "/v1/joblib/tasks/{task_id}";
    let (id, summary) = ("get_task", "A task; where that is asked for, when it has ended.");
    Endpoint::new(Method::Get, path, Access::TENANT, (id, summary), get)
        .query::<OnlyN>()
        .headers([MIN_N, PREFER])
        .answer(Answer::json::<TaskView>(200, "The task.").headers([PREFERENCE_APPLIED]))
        .problems(&[ProblemCode::TaskNotFound])
}

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
    let wait = prefer::asked_wait(&app, &headers);
    let mut view = show(&app, &caller, id, min_n).await?;
    if let Some(wait) = wait
        && !view.state.is_ended()
    {
        app.ends.ended(id, wait).await;
        view = show(&app, &caller, id, min_n).await?;
    }
    let mut response = Json(view).into_response();
    if let Some(wait) = wait {
        prefer::applied(response.headers_mut(), wait);
    }
    Ok(response)
}

pub fn task_id(text: &str) -> Result<JobId, ApiError> {
    text.parse().map_err(|_| no_task())
}

/// A task as it is shown.
pub async fn show(
    app: &App,
    caller: &Caller,
    id: JobId,
    min_n: Option<FrameNumber>,
) -> Result<TaskView, ApiError> {
    let row = find(app, caller, id, min_n).await?;
    let position = match row.waiting_code {
        Some(WaitingCode::Claim) => {
            let read = || app.reader.queue_position(id);
            app.barrier.read(&Required::default(), read).await?.value
        }
        _ => None,
    };
    TaskView::new(row, position).ok_or_else(no_task)
}
