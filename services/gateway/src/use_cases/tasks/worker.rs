//! Who a worker is: the one that its user goes by, or one of several.

use nox_contract::{Command, Outcome, ProblemCode, RemoveWorker, WorkerId};
use nox_readmodel::WorkerRow;
use nox_service::ids;
use uuid::Uuid;

use crate::{
    app::App,
    commands::{Delivery, Until},
    identity::auth::Caller,
    problem::ApiError,
    read::{barrier::Sources, required::Required},
};

/// What the caller's own worker is called: the user's id where that is a UUID, else one made of it.
pub fn own(caller: &Caller) -> Uuid {
    ids::worker_of_user(&caller.user)
}

/// The worker that a path or body names: the caller's own by the user's id, any by its UUID.
pub fn named(caller: &Caller, text: &str) -> Result<Uuid, ApiError> {
    if text == caller.user.as_str() {
        return Ok(own(caller));
    }
    text.parse().map_err(|_| no_such_worker())
}

/// The worker that a body names, or the caller's own where it names none.
pub fn named_or_own(caller: &Caller, text: Option<&str>) -> Result<Uuid, ApiError> {
    text.map_or_else(|| Ok(own(caller)), |text| named(caller, text))
}

pub fn worker_id(caller: &Caller, id: Uuid) -> WorkerId {
    WorkerId::of_http(&caller.tenant, id)
}

/// The caller's worker, if it is there. What is not is said from rows that have everything that was
/// acknowledged before.
pub async fn find(app: &App, caller: &Caller, id: Uuid) -> Result<WorkerRow, ApiError> {
    let worker = worker_id(caller, id);
    let worker = &worker;
    let of_caller = |row: &WorkerRow| {
        row.claimant.as_ref().is_some_and(|of| caller.admin || of.user_id == caller.user)
    };
    let read = || async move {
        let found = app.reader.worker(worker).await?;
        Ok(found.map(|row| row.filter(of_caller)))
    };
    let found = app.barrier.find(Required::default(), Sources::Commands, read).await?;
    found.value.ok_or_else(no_such_worker)
}

pub fn no_such_worker() -> ApiError {
    ApiError::new(ProblemCode::WorkerNotFound, "no such worker of yours")
}

/// The worker goes: what it has claimed is claimed by others. Says whether that is decided.
pub async fn remove(app: &App, caller: &Caller, id: Uuid) -> Result<bool, ApiError> {
    let worker_id = worker_id(caller, id);
    let (by, admin) = (caller.user.clone(), caller.admin);
    let command = Command::RemoveWorker(RemoveWorker { worker_id, by, admin });
    match app.commands.send(&caller.tenant, &command, Until::Answered).await? {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.barrier.written(accepted.n).await;
            Ok(true)
        }
        Delivery::Answered(Outcome::Refused(_)) => Err(no_such_worker()),
        Delivery::Published => Ok(false),
    }
}
