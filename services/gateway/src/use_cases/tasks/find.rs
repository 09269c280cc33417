//! The one way to a task of which somebody knows the id.

use nox_contract::{FrameNumber, JobId, ProblemCode};
use nox_readmodel::JobRow;

use crate::{
    app::App,
    identity::auth::Caller,
    problem::ApiError,
    read::{barrier::Sources, required::Required},
};

pub fn no_task() -> ApiError {
    ApiError::new(ProblemCode::TaskNotFound, "no such task")
}

/// The task of the caller's tenant.
pub async fn find(
    app: &App,
    caller: &Caller,
    id: JobId,
    min_n: Option<FrameNumber>,
) -> Result<JobRow, ApiError> {
    let read = || async move {
        let found = app.reader.job(&caller.tenant, id).await?;
        Ok(found.map(|row| row.filter(|row| row.task.is_some())))
    };
    let found = app.barrier.find(Required::frame(min_n), Sources::Commands, read).await?;
    found.value.ok_or_else(no_task)
}
