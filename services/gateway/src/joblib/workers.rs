//! `POST /v1/joblib/workers`, `GET /v1/joblib/workers`, `PATCH /v1/joblib/workers/{worker_id}`, `DELETE …`

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use nox_contract::{
    Beat, Command, Outcome, RemoveWorker, SessionId, UserId, WorkNumber, WorkerId, subject,
};
use nox_readmodel::WorkerRow;
use nox_service::ids;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    identity,
    page::{Asked, Page},
    register,
};
use crate::{
    app::App,
    auth::Caller,
    body::read_nothing,
    commands::{Delivery, Until},
    memory::Account,
    problem::ApiError,
    required::Required,
    routes::{self, Segment},
};

/// Whoever asks for work lives: of each worker, that is passed on so many times within its lease.
const BEATS_OF_LEASE: u32 = 4;
/// Most workers of which is remembered when that was. Beyond, all are passed on once more.
const REMEMBERED_MAX: usize = 100_000;

/// When each worker's life was passed on last, since the process began; by who asked, for whoever names another's
/// worker must not keep it from being heard.
#[derive(Default)]
pub struct Beaten(Mutex<HashMap<(UserId, WorkerId), Duration>>);

impl Beaten {
    /// Whether it is time to pass it on; if so, it is taken for done.
    fn is_due(&self, who: (UserId, WorkerId), now: Duration, every: Duration) -> bool {
        let mut beaten = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if beaten.get(&who).is_some_and(|last| now.saturating_sub(*last) < every) {
            return false;
        }
        if beaten.len() >= REMEMBERED_MAX {
            beaten.clear();
        }
        beaten.insert(who, now);
        true
    }
}

#[derive(Debug, Serialize)]
pub struct WorkerView {
    id: Uuid,
    user_id: String,
    jobs: Vec<String>,
    job_count: usize,
    registered_at: nox_contract::Timestamp,
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

/// One more worker of the caller.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    routes::nothing(&uri)?;
    read_nothing(&account, &headers, body).await?;
    let id = ids::unique();
    register::send(&app, &caller, id, None).await?;
    let heard = app.runtime.clock.wall();
    Ok((StatusCode::CREATED, Json(json!({"id": id, "last_heartbeat": heard}))))
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
) -> Result<Json<Value>, ApiError> {
    routes::nothing(&uri)?;
    read_nothing(&account, &headers, body).await?;
    let id = identity::named(&caller, &id)?;
    let row = identity::find(&app, &caller, id).await?;
    beat(&app, &row.worker_id, row.session)?;
    let heard = app.runtime.clock.wall();
    Ok(Json(json!({"id": id, "last_heartbeat": heard})))
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
    routes::nothing(&uri)?;
    read_nothing(&account, &headers, body).await?;
    let worker_id = identity::worker_id(&caller, identity::named(&caller, &id)?);
    let (by, admin) = (caller.user.clone(), caller.admin);
    let command = Command::RemoveWorker(RemoveWorker { worker_id, by, admin });
    match app.commands.send(&caller.tenant, &command, Until::Answered).await? {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.barrier.written(accepted.n).await;
            Ok(StatusCode::NO_CONTENT)
        }
        Delivery::Answered(Outcome::Refused(_)) => Err(identity::no_such_worker()),
        Delivery::Published => Ok(StatusCode::ACCEPTED),
    }
}

/// Passes on that a worker of the caller's which just asked for something lives, now and then.
pub async fn beat_if_due(app: &App, caller: &Caller, worker_id: &WorkerId) -> Result<(), ApiError> {
    let every = app.joblib.settings.worker_timeout() / BEATS_OF_LEASE;
    let who = (caller.user.clone(), worker_id.clone());
    if !app.joblib.beaten.is_due(who, app.runtime.clock.monotonic(), every) {
        return Ok(());
    }
    let read = || app.reader.worker(worker_id);
    let row = app.barrier.read(&Required::default(), read).await?.value;
    let own = row.filter(|row| row.claimant.as_ref().is_some_and(|of| of.user_id == caller.user));
    own.map_or(Ok(()), |row| beat(app, worker_id, row.session))
}

/// A heartbeat as those of executors are: kept for as long as no newer one is there.
fn beat(app: &App, worker_id: &WorkerId, session: SessionId) -> Result<(), ApiError> {
    let beat = Beat {
        session,
        origin: None,
        received_up_to: WorkNumber(0),
        held: Vec::new(),
        joined: true,
        reports_up_to: 0,
    };
    let beat = serde_json::to_vec(&beat).map_err(ApiError::internal)?;
    app.broker.publish_unacked(subject::beat(worker_id), beat.into());
    Ok(())
}
