//! The one way to a job of which somebody knows the id.

use axum::http::{HeaderMap, Uri};
use nox_contract::{FrameNumber, JobId};
use nox_readmodel::JobRow;
use serde::Deserialize;

use crate::{
    app::App,
    auth::Caller,
    barrier::Sources,
    problem::{ApiError, FieldError},
    required::Required,
    routes,
};

/// Names the frame that a reader has heard of and wants to see in the answer, as `?n=` does.
const MIN_N: &str = "nox-min-n";

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

/// The frame that a request wants to see, which can ask for nothing else: `?n=` or the header.
pub fn only_min_n(uri: &Uri, headers: &HeaderMap) -> Result<Option<FrameNumber>, ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        n: Option<u64>,
    }

    let Asked { n } = routes::query(uri)?;
    min_n(n, headers)
}

/// The newer of what `?n=` and the header name.
pub fn min_n(n: Option<u64>, headers: &HeaderMap) -> Result<Option<FrameNumber>, ApiError> {
    let wrong = |detail| Err(ApiError::invalid(vec![FieldError::new(MIN_N, detail)]));
    let mut values = headers.get_all(MIN_N).iter();
    let header = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => match value.to_str().ok().and_then(|text| text.parse().ok()) {
            Some(header) => Some(header),
            None => return wrong("must be the number of a frame"),
        },
        (Some(_), Some(_)) => return wrong("stands there twice"),
    };
    Ok(n.max(header).map(FrameNumber))
}
