//! `POST /v1/joblib/workers`, `GET /v1/joblib/workers`, `PATCH /v1/joblib/workers/{worker_id}`, `DELETE …`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use nox_contract::{ProblemCode, Timestamp};
use nox_readmodel::WorkerRow;
use nox_service::ids;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::page::{Asked, Page};
use crate::{
    app::App,
    commands::beats,
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{self, Segment},
    http::{body::read_nothing, memory::Account},
    identity::auth::Caller,
    problem::ApiError,
    read::required::Required,
    use_cases::tasks::{register, worker},
};

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TaskWorker")]
pub struct WorkerView {
    id: Uuid,
    user_id: String,
    jobs: Vec<String>,
    job_count: usize,
    registered_at: Timestamp,
}

impl WorkerView {
    fn new(row: WorkerRow) -> Option<Self> {
        Some(Self {
            id: row.worker_id.http_id()?,
            user_id: row.claimant?.user_id.to_string(),
            job_count: row.labels.len(),
            jobs: row.labels,
            registered_at: row.joined_at,
        })
    }
}

pub fn endpoints() -> [Endpoint; 4] {
    let (workers, worker) = ("/v1/joblib/workers", "/v1/joblib/workers/{worker_id}");
    [
        Endpoint::new(
            Method::Post,
            workers,
            Access::OWN,
            ("create_worker", "One more worker of the caller."),
            create,
        )
        .answer(Answer::json::<Heard>(201, "It is there."))
        .problems(&[ProblemCode::StaleStamp, ProblemCode::Refused]),
        Endpoint::new(
            Method::Get,
            workers,
            Access::OWN,
            ("list_task_workers", "The caller's workers; for admins, all of the tenant."),
            list,
        )
        .query::<Asked>()
        .answer(Answer::json::<Page<WorkerView>>(200, "A page.")),
        Endpoint::new(
            Method::Patch,
            worker,
            Access::OWNER_OR_ADMIN,
            ("heartbeat", "The worker lives."),
            heartbeat,
        )
        .answer(Answer::json::<Heard>(200, "It was heard."))
        .problems(&[ProblemCode::WorkerNotFound]),
        Endpoint::new(
            Method::Delete,
            worker,
            Access::OWNER_OR_ADMIN,
            ("delete_worker", "The worker goes: what it has claimed is claimed by others."),
            remove,
        )
        .answer(Answer::empty(204, "It is gone."))
        .answer(Answer::empty(202, "It will be decided."))
        .problems(&[ProblemCode::WorkerNotFound]),
    ]
}

/// A worker that was heard of.
#[derive(Serialize, JsonSchema)]
pub struct Heard {
    id: Uuid,
    /// For people: what counts is the scheduler's clock.
    last_heartbeat: Timestamp,
}

/// One more worker of the caller.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Heard>), ApiError> {
    extract::nothing(&uri)?;
    read_nothing(&account, &headers, body).await?;
    let id = ids::unique();
    register::register(&app, &caller, id, None).await?;
    let heard = app.runtime.clock.wall();
    Ok((StatusCode::CREATED, Json(Heard { id, last_heartbeat: heard })))
}

/// The caller's workers; for admins, all of the tenant.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Page<WorkerView>>, ApiError> {
    let asked = Asked::read(&uri)?;
    let user = (!caller.admin).then_some(&caller.user);
    let read = || app.reader.claimants(&caller.tenant, user);
    let rows = app.barrier.read(&Required::default(), read).await?.value;
    Ok(Json(asked.of(rows.into_iter().filter_map(WorkerView::new).collect())))
}

/// The worker lives. When it was heard of is judged by the scheduler's clock alone; what is answered is for
/// people.
pub async fn heartbeat(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Heard>, ApiError> {
    extract::nothing(&uri)?;
    read_nothing(&account, &headers, body).await?;
    let id = worker::named(&caller, &id)?;
    let row = worker::find(&app, &caller, id).await?;
    beats::beat(&app.broker, &row.worker_id, row.session)?;
    let heard = app.runtime.clock.wall();
    Ok(Json(Heard { id, last_heartbeat: heard }))
}

/// The worker goes: what it has claimed is claimed by others.
pub async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    extract::nothing(&uri)?;
    read_nothing(&account, &headers, body).await?;
    let decided = worker::remove(&app, &caller, worker::named(&caller, &id)?).await?;
    Ok(if decided { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED })
}
