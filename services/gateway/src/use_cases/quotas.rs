//! What an account may have.

use nox_contract::Limits;

use crate::{app::App, identity::auth::Caller, problem::ApiError, read::required::Required};

/// The limits of an account of the caller's tenant; none before its first submit.
pub async fn limits(app: &App, caller: &Caller, account: &str) -> Result<Option<Limits>, ApiError> {
    let read = || app.reader.limits(&caller.tenant, account);
    let row = app.barrier.read(&Required::default(), read).await?.value;
    Ok(row.map(|row| row.limits))
}
