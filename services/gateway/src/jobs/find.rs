//! The one way to a job of which somebody knows the id.

use axum::http::{HeaderMap, Uri};
use nox_contract::{EventNumber, JobId};
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
    let visible = || async move {
        let found = app.reader.job(&caller.tenant, id).await?;
        Ok(found.map(|row| row.filter(|row| caller.sees(row))))
    };
    let found = app.barrier.find(Required::event(min_n), Sources::Commands, visible).await?;
    found.value.ok_or_else(ApiError::no_job)
}

/// The event that a request wants to see: `?n=` or the header, the newer of both.
pub fn min_n(uri: &Uri, headers: &HeaderMap) -> Result<Option<EventNumber>, ApiError> {
    #[derive(Deserialize)]
    struct Required {
        n: Option<u64>,
    }

    let Required { n } = routes::query(uri)?;
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
