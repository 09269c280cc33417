//! The one way to a job of which somebody knows the id.

use axum::http::{HeaderMap, Uri};
use nox_contract::{EventNumber, JobId, TenantId};
use nox_readmodel::JobRow;
use serde::Deserialize;

use crate::{
    app::App,
    auth::Caller,
    problem::{ApiError, FieldError},
    routes,
};

/// Names the event that a reader has heard of and wants to see in the answer, as `?n=` does.
const MIN_N: &str = "nox-min-n";

/// The job, if `caller` may see it. A job that isn't there and one that isn't the caller's cost the
/// same steps and get the same answer.
pub async fn find(
    app: &App,
    caller: &Caller,
    id: JobId,
    min_n: Option<EventNumber>,
) -> Result<JobRow, ApiError> {
    let found = visible(app, caller, id).await?;
    match (found, min_n) {
        (Some(row), None) => return Ok(row),
        (Some(row), Some(n)) if row.n >= n => return Ok(row),
        (_, Some(n)) => app.barrier.event(n).await?,
        (None, None) => app.barrier.commands().await?,
    };
    let found = match visible(app, caller, id).await? {
        // An event that the reader has heard of does not cover all commands.
        None if min_n.is_some() => {
            app.barrier.commands().await?;
            visible(app, caller, id).await?
        }
        found => found,
    };
    found.ok_or_else(ApiError::no_job)
}

/// The job's row as it is now, if there is one and `caller` may see it.
async fn visible(app: &App, caller: &Caller, id: JobId) -> Result<Option<JobRow>, ApiError> {
    Ok(row(app, &caller.tenant, id).await?.filter(|row| caller.sees(row)))
}

/// The job's row as it is now, whosever it is.
pub async fn row(app: &App, tenant: &TenantId, id: JobId) -> Result<Option<JobRow>, ApiError> {
    app.reader.job(tenant, id).await.map_err(|error| ApiError::unavailable("the database", error))
}

/// The event that a request wants to see: `?n=` or the header, the newer of both.
pub fn min_n(uri: &Uri, headers: &HeaderMap) -> Result<Option<EventNumber>, ApiError> {
    #[derive(Deserialize)]
    struct Wanted {
        n: Option<u64>,
    }

    let Wanted { n } = routes::query(uri)?;
    let header = headers.get(MIN_N).map(|value| value.to_str().ok()?.parse::<u64>().ok());
    let header = match header {
        None => None,
        Some(Some(n)) => Some(n),
        Some(None) => {
            let error = FieldError::new(MIN_N, "must be the number of an event");
            return Err(ApiError::invalid(vec![error]));
        }
    };
    Ok(n.max(header).map(EventNumber))
}
