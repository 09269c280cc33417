//! `GET /jobs/{id}/events`: the job's entries in the log, as they were written, and nothing of others.

use axum::response::Response;
use nox_contract::{FrameNumber, JobId, ProblemCode, RawJson};
use nox_readmodel::query::JobEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{Access, Endpoint, MIN_N, Method},
    extract::{self, Reading, Segment, min_n},
    http::page::{self, Next},
    problem::ApiError,
    use_cases::{
        entries::{entries, unreadable},
        find::find,
    },
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Entries of the frames after this one; all, if left out.
    after: Option<FrameNumber>,
    n: Option<u64>,
}

/// A page. Not by way of a `Value`, which would write the entries anew.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JobEvents")]
struct Page {
    job_id: JobId,
    events: Vec<RawJson>,
    next: Option<FrameNumber>,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("list_job_events", "A job's entries in the log, as they were written.");
    Endpoint::new(Method::Get, "/jobs/{id}/events", Access::OWNER_OR_ADMIN, (id, summary), events)
        .query::<Asked>()
        .headers([MIN_N])
        .page::<Page>("A page.")
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
}

async fn events(Segment(id): Segment, request: Reading) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, headers } = request;
    let id = extract::job_id(&id)?;
    let Asked { after, n } = extract::query(&uri)?;
    let row = find(&app, &caller, id, min_n(n, &headers)?).await?;

    let place = app.bulk.place().await?;
    let entries = entries(&app, &place, &row, after.unwrap_or_default()).await?;
    let last = entries.last().map(|entry| entry.n);
    let events: Result<_, _> = entries.iter().map(JobEntry::document).collect();
    let events = events.map_err(unreadable)?;
    let listed = Page { job_id: id, events, next: last.or(after) };
    // Behind an empty page there is nothing yet.
    let next = Next { parameter: "after", cursor: last.map(|n| n.to_string()) };
    page::answer(&uri, &headers, &listed, &next)
}
