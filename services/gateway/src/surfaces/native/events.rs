//! `GET /jobs/{id}/events`: the job's entries in the log, as they were written, and nothing of others.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, JobId, ProblemCode, RawJson};
use nox_readmodel::query::JobEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, Segment, min_n},
    identity::auth::Caller,
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
        .answer(Answer::json::<Page>(200, "A page."))
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
}

pub async fn events(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = extract::job_id(&id)?;
    let Asked { after, n } = extract::query(&uri)?;
    let row = find(&app, &caller, id, min_n(n, &headers)?).await?;

    let place = app.bulk.place().await?;
    let entries = entries(&app, &place, &row, after.unwrap_or_default()).await?;
    let next = entries.last().map(|entry| entry.n).or(after);
    let events: Result<_, _> = entries.iter().map(JobEntry::document).collect();
    let events = events.map_err(unreadable)?;
    Ok(Json(Page { job_id: id, events, next }).into_response())
}
