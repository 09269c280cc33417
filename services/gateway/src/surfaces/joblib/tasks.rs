//! `GET /v1/joblib/rooms/{room_id}/tasks`

use std::sync::Arc;

use axum::{Json, extract::State, http::Uri};
use nox_contract::{ProblemCode, TopicName};
use nox_readmodel::TaskFilter;

use super::{
    names,
    page::{Asked, Page},
    view::TaskView,
};
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Method},
    extract::Segment,
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    read::required::Required,
};

pub fn endpoint() -> Endpoint {
    let path = "/v1/joblib/rooms/{room_id}/tasks";
    let (id, summary) = ("list_tasks", "The tasks that were submitted in a room, newest first.");
    Endpoint::new(Method::Get, path, Access::TENANT, (id, summary), list)
        .query::<Asked>()
        .answer(Answer::json::<Page<TaskView>>(200, "A page."))
        .problems(&[ProblemCode::InvalidRoomId])
}

/// The tasks that were submitted in a room, newest first; `?status=` and `?job_name=` choose among them.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(room): Segment,
    uri: Uri,
) -> Result<Json<Page<TaskView>>, ApiError> {
    let asked = Asked::read(&uri)?;
    let wrong = |name: &str, detail: String| ApiError::invalid(vec![FieldError::new(name, detail)]);
    // Both are queued jobs.
    let (status, claimed) = match asked.status.as_deref() {
        Some("claimed") => (Some("pending"), Some(true)),
        Some("pending") => (Some("pending"), Some(false)),
        other => (other, None),
    };
    let status = status.map(str::parse).transpose();
    let filter = TaskFilter {
        tenant: caller.tenant.clone(),
        room: names::room(&room)?.to_owned(),
        topic: asked
            .job_name
            .as_deref()
            .map(TopicName::new)
            .transpose()
            .map_err(|error| wrong("?job_name", error.to_string()))?,
        status: status.map_err(|error| wrong("?status", format!("{error}")))?,
        claimed,
        limit: asked.limit(),
        offset: asked.offset(),
    };
    let read = || app.reader.tasks(&filter);
    let (rows, total) = app.barrier.read(&Required::default(), read).await?.value;
    let items = rows.into_iter().filter_map(|row| TaskView::new(row, None)).collect();
    let (limit, offset) = (asked.limit(), asked.offset());
    Ok(Json(Page { items, total: total as usize, limit, offset }))
}
