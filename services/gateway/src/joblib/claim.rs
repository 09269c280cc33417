//! `POST /v1/joblib/tasks/claim`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, Uri},
};
use nox_contract::{
    Claim, Command, JobId, Outcome, ProblemCode, RequestId, TenantId, Undelivered, WorkerId,
};
use nox_service::ids;
use serde::{Deserialize, Serialize};

use super::{identity, register::read, task::show, view::TaskView, workers::beat_if_due};
use crate::{
    app::App,
    auth::Caller,
    body::{BODY_BYTES_MAX, read_json_or_nothing},
    commands::{Delivery, Until},
    memory::Account,
    problem::ApiError,
    required::Required,
    routes,
};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    worker_id: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Claimed {
    task: Option<TaskView>,
}

/// Gives the worker the oldest task of its jobs, if any waits.
pub async fn claim(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Claimed>, ApiError> {
    routes::nothing(&uri)?;
    let body = read_json_or_nothing(&account, &headers, body, BODY_BYTES_MAX).await?;
    let asked: Asked = body.map(|body| read(body.text())).transpose()?.unwrap_or_default();
    let worker = identity::named_or_own(&caller, asked.worker_id.as_deref())?;
    let worker_id = identity::worker_id(&caller, worker);
    beat_if_due(&app, &caller, &worker_id).await?;
    // Asked of the rows first: most who ask for work are told that there is none, and the scheduler
    // need not hear of that.
    let read = || app.reader.has_claimable(&worker_id);
    let waits = app.barrier.read(&Required::default(), read).await?;
    if !waits.value {
        return Ok(Json(Claimed { task: None }));
    }
    let Some((guard, id, n)) = send(&app, &caller, worker_id).await? else {
        return Ok(Json(Claimed { task: None }));
    };
    let task = show(&app, &caller, id, Some(n)).await?;
    guard.delivered();
    Ok(Json(Claimed { task: Some(task) }))
}

/// Has the scheduler decide; what it gave the worker, if it gave anything.
async fn send(
    app: &Arc<App>,
    caller: &Caller,
    worker_id: WorkerId,
) -> Result<Option<(Guard, JobId, nox_contract::FrameNumber)>, ApiError> {
    let request = RequestId(ids::unique());
    let guard = Guard::new(app.clone(), caller.tenant.clone(), worker_id.clone(), request);
    let command = Command::Claim(Claim { worker_id, by: caller.user.clone(), request });
    let delivery = app.commands.send(&caller.tenant, &command, Until::Answered).await;
    match delivery {
        Ok(Delivery::Answered(Outcome::Accepted(accepted))) => match accepted.job_id {
            Some(id) => Ok(Some((guard, id, accepted.n))),
            None => {
                guard.delivered();
                Ok(None)
            }
        },
        Ok(Delivery::Answered(Outcome::Refused(refusal))) => {
            guard.delivered();
            Err(refusal.into())
        }
        // Whatever is claimed in the end goes back: the guard sees to it.
        Ok(Delivery::Published) => {
            Err(ApiError::new(ProblemCode::Unavailable, "nobody has decided yet; ask again"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Sees to it that a claim whose answer does not get to the worker is taken back: the asker has gone, or
/// nobody could say what was claimed.
struct Guard {
    app: Arc<App>,
    tenant: TenantId,
    undelivered: Option<Undelivered>,
}

impl Guard {
    fn new(app: Arc<App>, tenant: TenantId, worker_id: WorkerId, request: RequestId) -> Self {
        Self { app, tenant, undelivered: Some(Undelivered { worker_id, request }) }
    }

    fn delivered(mut self) {
        self.undelivered = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(undelivered) = self.undelivered.take() else { return };
        let (app, tenant) = (self.app.clone(), self.tenant.clone());
        tokio::spawn(async move {
            let command = Command::Undelivered(undelivered);
            if let Err(error) = app.commands.send(&tenant, &command, Until::Published).await {
                // It stays claimed until its worker is given up or removed.
                tracing::warn!(%error, "Cannot take back a claim that was not delivered");
            }
        });
    }
}
