//! `GET /workers`, `GET /workers/{id}`, `POST /workers/{id}/drain`, `POST …/undrain`

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Request, State},
    handler::Handler,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{
    Capacity, FrameNumber, JobId, ModuleName, ProblemCode, Timestamp, UserId, WorkerId,
    fact::ServedModule,
};
use nox_readmodel::query::RunningRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{self, Segment},
    http::{body::read_nothing, memory::Account},
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    use_cases::workers::{self, Seen},
};

/// Workers in a page that names no limit, and most in any.
const LIMIT_DEFAULT: usize = 200;
const LIMIT_MAX: usize = 1_000;

/// What a worker may be.
const STATES: [&str; 6] = ["joined", "drained", "draining", "paused", "left", "lost"];

pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(
            Method::Get,
            "/workers",
            Access::TENANT,
            (
                "list_workers",
                "Who runs jobs: executors, and the tenant's workers that claim tasks.",
            ),
            list,
        )
        .query::<Asked>()
        .answer(Answer::json::<Listed>(200, "A page, by name.")),
        Endpoint::new(
            Method::Get,
            "/workers/{id}",
            Access::TENANT,
            ("get_worker", "A worker, with what the asker may see of what it runs."),
            get,
        )
        .answer(Answer::json::<WorkerView>(200, "The worker."))
        .problems(&[ProblemCode::WorkerNotFound]),
        draining(
            "/workers/{id}/drain",
            ("drain_worker", "Takes a worker out of service: it is given no more work."),
            drain,
        ),
        draining(
            "/workers/{id}/undrain",
            ("undrain_worker", "Puts a worker back into service."),
            undrain,
        ),
    ]
}

fn draining<H, T>(path: &'static str, named: (&'static str, &'static str), handler: H) -> Endpoint
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    Endpoint::new(Method::Post, path, Access::OPERATOR, named, handler)
        .answer(Answer::json::<Drained>(200, "It is so now."))
        .answer(Answer::json::<Drained>(202, "It will be decided."))
        .problems(&[ProblemCode::WorkerNotFound, ProblemCode::InvalidRequest])
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// One of `joined`, `drained`, `draining`, `paused`, `left`, `lost`; all that are there if absent.
    state: Option<String>,
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<usize>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Workers")]
struct Listed {
    workers: Vec<WorkerView>,
    /// The cursor of the next page; null on the last.
    next: Option<WorkerId>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Worker")]
struct WorkerView {
    id: WorkerId,
    worker_id: WorkerId,
    /// `joined`: takes work. `drained`: an operator took it out of service. `draining`: is about to stop.
    /// `paused`: cannot run anything for now. `left`, `lost`: is not there.
    state: &'static str,
    /// It claims tasks over HTTP; else it is an executor.
    claims: bool,
    capacity: Capacity,
    modules: Vec<ServedModule>,
    labels: Vec<String>,
    drained_by: Option<UserId>,
    /// What it runs of jobs that the asker sees; at most 1,000 in an answer.
    running: Vec<Running>,
    /// How many attempts it has in all; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    running_jobs: Option<i64>,
    joined_at: Timestamp,
    /// When the log heard of it last, to ten seconds.
    last_seen_at: Timestamp,
    left_at: Option<Timestamp>,
    n: FrameNumber,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunningJob")]
struct Running {
    job_id: JobId,
    user_id: UserId,
    module: ModuleName,
    started_at: Option<Timestamp>,
}

/// What became of a drain.
#[derive(Serialize, JsonSchema)]
struct Drained {
    worker_id: WorkerId,
    #[serde(skip_serializing_if = "Option::is_none")]
    drained: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

impl From<Seen> for WorkerView {
    fn from(seen: Seen) -> Self {
        let Seen { row, running, running_jobs } = seen;
        // Whoever is away is away, whether it would be given work or not.
        let drained = row.drained_by.is_some() && row.left_at.is_none();
        Self {
            id: row.worker_id.clone(),
            worker_id: row.worker_id,
            state: if drained { "drained" } else { row.state.as_str() },
            claims: row.claimant.is_some(),
            capacity: row.capacity,
            modules: row.modules,
            labels: row.labels,
            drained_by: row.drained_by,
            running: running.into_iter().map(Running::from).collect(),
            running_jobs,
            joined_at: row.joined_at,
            last_seen_at: row.seen_at,
            left_at: row.left_at,
            n: row.n,
        }
    }
}

impl From<RunningRow> for Running {
    fn from(row: RunningRow) -> Self {
        let RunningRow { job_id, user_id, module, started_at, .. } = row;
        Self { job_id, user_id, module, started_at }
    }
}

pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ApiError> {
    let Asked { state, limit, cursor } = extract::query(&uri)?;
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let mut errors = Vec::new();
    if !(1..=LIMIT_MAX).contains(&limit) {
        errors.push(FieldError::new("?limit", format!("must be from 1 to {LIMIT_MAX}")));
    }
    if state.as_deref().is_some_and(|state| !STATES.contains(&state)) {
        errors.push(FieldError::new("?state", format!("must be one of {}", STATES.join(", "))));
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    let wanted = |view: &WorkerView| match state.as_deref() {
        Some(state) => view.state == state,
        None => view.left_at.is_none(),
    };
    let behind =
        |view: &WorkerView| cursor.as_deref().is_none_or(|cursor| view.id.as_str() > cursor);
    let seen = workers::list(&app, &caller).await?;
    let mut workers: Vec<WorkerView> = seen
        .into_iter()
        .map(WorkerView::from)
        .filter(|view| wanted(view) && behind(view))
        .collect();
    workers.sort_by(|a, b| a.id.cmp(&b.id));
    let more = workers.len() > limit;
    workers.truncate(limit);
    let next = workers.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Json(Listed { workers, next }).into_response())
}

pub async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    uri: Uri,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    let seen = workers::find(&app, &caller, &id).await?;
    Ok(Json(WorkerView::from(seen)).into_response())
}

pub async fn drain(
    state: State<Arc<App>>,
    caller: Caller,
    account: Extension<Account>,
    id: Segment,
    request: Request,
) -> Result<Response, ApiError> {
    switch(state, caller, account, id, request, true).await
}

pub async fn undrain(
    state: State<Arc<App>>,
    caller: Caller,
    account: Extension<Account>,
    id: Segment,
    request: Request,
) -> Result<Response, ApiError> {
    switch(state, caller, account, id, request, false).await
}

async fn switch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    Segment(id): Segment,
    request: Request,
    drained: bool,
) -> Result<Response, ApiError> {
    extract::nothing(request.uri())?;
    let (head, body) = request.into_parts();
    read_nothing(&account, &head.headers, body).await?;
    let (worker_id, accepted) = workers::drain(&app, &caller, &id, drained).await?;
    let status = if accepted.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let drained = Drained {
        worker_id,
        drained: accepted.as_ref().map(|_| drained),
        n: accepted.as_ref().map(|accepted| accepted.n),
        pending: accepted.is_none(),
    };
    Ok((status, Json(drained)).into_response())
}
