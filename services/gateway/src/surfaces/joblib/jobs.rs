//! `GET /v1/joblib/rooms/{room_id}/jobs` and `GET /v1/joblib/rooms/{room_id}/jobs/{job_name}`

use std::sync::Arc;

use axum::{Json, extract::State, http::Uri};
use nox_contract::{ProblemCode, RawJson};
use nox_readmodel::TopicRow;
use nox_service::ids;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{
    names::{self, GLOBAL},
    page::{Asked, Page},
};
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{self, Segment, Segments},
    identity::auth::Caller,
    problem::ApiError,
    read::required::Required,
    use_cases::tasks::topic,
};

/// A registered job.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RegisteredJob")]
pub struct JobView {
    id: Uuid,
    room_id: String,
    category: String,
    name: String,
    full_name: String,
    /// Not in lists: it may be large.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<RawJson>,
    /// The workers that claim tasks of it now.
    workers: Vec<Uuid>,
    /// The worker that registered it by this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_id: Option<Uuid>,
}

impl JobView {
    pub fn new(caller: &Caller, row: TopicRow, worker_id: Option<Uuid>) -> Self {
        let (room, category, name) = row.topic.parts();
        Self {
            id: ids::topic(&caller.tenant, &row.topic),
            room_id: room.to_owned(),
            category: category.to_owned(),
            name: name.to_owned(),
            full_name: row.topic.to_string(),
            schema: row.schema,
            workers: row.workers.iter().filter_map(|id| id.http_id()).collect(),
            worker_id,
        }
    }
}

pub fn endpoints() -> [Endpoint; 2] {
    let (jobs, job) =
        ("/v1/joblib/rooms/{room_id}/jobs", "/v1/joblib/rooms/{room_id}/jobs/{job_name}");
    [
        Endpoint::new(
            Method::Get,
            jobs,
            Access::TENANT,
            ("list_registered_jobs", "The jobs of a room and those for all rooms."),
            list,
        )
        .query::<Asked>()
        .answer(Answer::json::<Page<JobView>>(200, "A page."))
        .problems(&[ProblemCode::InvalidRoomId]),
        Endpoint::new(
            Method::Get,
            job,
            Access::TENANT,
            ("get_registered_job", "A job, with the workers that claim its tasks now."),
            get,
        )
        .answer(Answer::json::<JobView>(200, "The job."))
        .problems(&[ProblemCode::InvalidRoomId, ProblemCode::JobNotFound]),
    ]
}

/// The jobs of a room and those for all rooms.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(room): Segment,
    uri: Uri,
) -> Result<Json<Page<JobView>>, ApiError> {
    let asked = Asked::read(&uri)?;
    let room = names::room(&room)?;
    let rooms = [room, GLOBAL];
    let (limit, offset) = (asked.limit(), asked.offset());
    let read = || app.reader.topics(&caller.tenant, &rooms, (limit, offset));
    let (rows, total) = app.barrier.read(&Required::default(), read).await?.value;
    let items = rows.into_iter().map(|row| JobView::new(&caller, row, None)).collect();
    Ok(Json(Page { items, total, limit, offset }))
}

/// One job that `room` has.
pub async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segments(room, name): Segments,
    uri: Uri,
) -> Result<Json<JobView>, ApiError> {
    extract::nothing(&uri)?;
    let topic = names::seen_from(names::room(&room)?, &name)?;
    let row = topic::find(&app, &caller, &topic).await?;
    Ok(Json(JobView::new(&caller, row, None)))
}
