//! Whoever asks for work lives.

use nox_contract::WorkerId;

use crate::{
    app::App, commands::beats, identity::auth::Caller, problem::ApiError, read::required::Required,
};

/// Of each worker, that it lives is passed on so many times within its lease.
const BEATS_OF_LEASE: u32 = 4;

/// Passes on that a worker of the caller's which just asked for something lives, now and then.
pub async fn beat_if_due(app: &App, caller: &Caller, worker_id: &WorkerId) -> Result<(), ApiError> {
    let every = app.joblib.worker_timeout() / BEATS_OF_LEASE;
    let who = (caller.user.clone(), worker_id.clone());
    if !app.beaten.is_due(who, app.runtime.clock.monotonic(), every) {
        return Ok(());
    }
    let read = || app.reader.worker(worker_id);
    let row = app.barrier.read(&Required::default(), read).await?.value;
    let own = row.filter(|row| row.claimant.as_ref().is_some_and(|of| of.user_id == caller.user));
    own.map_or(Ok(()), |row| beats::beat(&app.broker, worker_id, row.session))
}
