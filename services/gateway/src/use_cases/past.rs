//! A job as it was, from its entries in the log.

use nox_contract::{FrameNumber, ProblemCode};
use nox_readmodel::{AsOf, JobRow, Past, PastError, past::past};

use super::entries::entries;
use crate::{app::App, problem::ApiError};

/// The job of `row` as of then, or as its row shows it, and how it came to that.
///
/// # Errors
/// `JobNotFound` if it was not there yet; `Unavailable` if the history is longer than its row names.
pub async fn history(app: &App, row: &JobRow, as_of: Option<AsOf>) -> Result<Past, ApiError> {
    let place = app.bulk.place().await?;
    let mut all = Vec::new();
    let mut reached = FrameNumber::default();
    while reached < row.n && !as_of.is_some_and(|as_of| as_of.is_before(reached)) {
        let page = entries(app, &place, row, reached).await?;
        let Some(last) = page.last() else { break };
        reached = last.n;
        all.extend(page);
    }
    let known = past(row, &all, as_of).map_err(|error| match error {
        PastError::Illegal(_) => {
            let detail = "this job has had so many entries that the first are not named any more";
            ApiError::new(ProblemCode::Unavailable, detail).caused_by(error)
        }
        PastError::Unreadable(_) => ApiError::internal(anyhow::Error::new(error)),
    })?;
    known.ok_or_else(|| {
        let as_of = as_of.map(|as_of| as_of.to_string()).unwrap_or_default();
        let detail = format!("the job was made at {}, after {as_of}", row.created_at);
        ApiError::new(ProblemCode::JobNotFound, detail)
    })
}
