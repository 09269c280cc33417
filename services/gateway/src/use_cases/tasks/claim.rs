//! Gives a worker the oldest task of its topics.

use std::sync::Arc;

use nox_contract::{
    Claim, Command, FrameNumber, JobId, Outcome, ProblemCode, RequestId, TenantId, Undelivered,
    WorkerId,
};
use nox_service::ids;

use crate::{
    app::App,
    commands::{Delivery, Until},
    identity::auth::Caller,
    problem::ApiError,
    read::required::Required,
};

/// A task that was given to a worker, which has yet to hear of it.
pub struct Claimed {
    pub id: JobId,
    /// The frame that says so.
    pub n: FrameNumber,
    guard: Guard,
}

impl Claimed {
    /// The worker is told by what is answered now.
    pub fn delivered(self) {
        self.guard.delivered();
    }
}

/// The oldest task that waits for the worker, if any does.
pub async fn claim(
    app: &Arc<App>,
    caller: &Caller,
    worker_id: WorkerId,
) -> Result<Option<Claimed>, ApiError> {
    // Asked of the rows first: most who ask for work are told that there is none, and the scheduler
    // need not hear of that.
    let read = || app.reader.has_claimable(&worker_id);
    let waits = app.barrier.read(&Required::default(), read).await?;
    if waits.value { send(app, caller, worker_id).await } else { Ok(None) }
}

/// Has the scheduler decide; what it gave the worker, if it gave anything.
async fn send(
    app: &Arc<App>,
    caller: &Caller,
    worker_id: WorkerId,
) -> Result<Option<Claimed>, ApiError> {
    let request = RequestId(ids::unique());
    let guard = Guard::new(app.clone(), caller.tenant.clone(), worker_id.clone(), request);
    let command = Command::Claim(Claim { worker_id, by: caller.user.clone(), request });
    let delivery = app.commands.send(&caller.tenant, &command, Until::Answered).await;
    match delivery {
        Ok(Delivery::Answered(Outcome::Accepted(accepted))) => match accepted.job_id {
            Some(id) => Ok(Some(Claimed { id, n: accepted.n, guard })),
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
