//! The one way to a job of which somebody knows the id.

use nox_contract::{FrameNumber, JobId};
use nox_readmodel::JobRow;

use crate::{
    app::App,
    identity::auth::Caller,
    problem::ApiError,
    read::{barrier::Sources, required::Required},
};

/// The job, if `caller` may see it. A job that isn't there and one that isn't the caller's cost the
/// same steps and get the same answer.
pub async fn find(
    app: &App,
    caller: &Caller,
    id: JobId,
    min_n: Option<FrameNumber>,
) -> Result<JobRow, ApiError> {
    let visible = || async move {
        let found = app.reader.job(&caller.tenant, id).await?;
        Ok(found.map(|row| row.filter(|row| caller.sees(row))))
    };
    let found = app.barrier.find(Required::frame(min_n), Sources::Commands, visible).await?;
    found.value.ok_or_else(ApiError::no_job)
}

/// The job as it is when all commands are decided that there are by now, one that was refused included.
pub async fn find_after_all_commands(
    app: &App,
    caller: &Caller,
    id: JobId,
) -> Result<JobRow, ApiError> {
    let required = app.barrier.all_commands().await?;
    let found = app.barrier.read(&required, || app.reader.job(&caller.tenant, id)).await?;
    found.value.filter(|row| caller.sees(row)).ok_or_else(ApiError::no_job)
}

/// The job, if it has ended; `None` if it had not when this was asked, whatever the view showed then.
pub async fn find_ended(
    app: &App,
    caller: &Caller,
    id: JobId,
    min_n: Option<FrameNumber>,
) -> Result<Option<JobRow>, ApiError> {
    let row = find(app, caller, id, min_n).await?;
    if row.status.is_ended() {
        return Ok(Some(row));
    }
    let required = app.barrier.all_inputs().await?;
    let found = app.barrier.read(&required, || app.reader.job(&caller.tenant, id)).await?;
    let row = found.value.filter(|row| caller.sees(row)).ok_or_else(ApiError::no_job)?;
    Ok(Some(row).filter(|row| row.status.is_ended()))
}
