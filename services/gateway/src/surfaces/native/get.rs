//! `GET /jobs/{id}`

use axum::response::Response;
use nox_contract::{ProblemCode, WaitingCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{as_of, view::JobView};
use crate::{
    endpoint::{
        Access, Answer, ETAG, Endpoint, IF_NONE_MATCH, MIN_N, Method, PREFER, PREFERENCE_APPLIED,
    },
    extract::{self, Reading, Segment, min_n},
    http::{etag, prefer},
    problem::ApiError,
    read::required::Required,
    use_cases::{find::find, past::history},
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The number of a frame, or an instant: the job as it was then.
    as_of: Option<String>,
    n: Option<u64>,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_job", "A job as it is now, or as it was.");
    Endpoint::new(Method::Get, "/jobs/{id}", Access::OWNER_OR_ADMIN, (id, summary), get)
        .query::<Asked>()
        .headers([MIN_N, PREFER, IF_NONE_MATCH])
        .answer(Answer::json::<JobView>(200, "The job.").headers([ETAG, PREFERENCE_APPLIED]))
        .answer(
            Answer::empty(304, "It is as the asker has it.").headers([ETAG, PREFERENCE_APPLIED]),
        )
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
}

async fn get(Segment(id): Segment, request: Reading) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, headers } = request;
    let id = extract::job_id(&id)?;
    let Asked { as_of, n } = extract::query(&uri)?;
    let min_n = min_n(n, &headers)?;
    if let Some(as_of) = as_of.as_deref().map(as_of::read).transpose()? {
        let found = find(&app, &caller, id, as_of::required(min_n, Some(as_of))).await;
        let row = found.map_err(|error| as_of::placed(error, min_n, Some(as_of)))?;
        let past = history(&app, &row, Some(as_of)).await?;
        return etag::json(&headers, &JobView::from(&past.row));
    }
    let wait = prefer::asked_wait(&app, &headers);
    let mut row = find(&app, &caller, id, min_n).await?;
    if let Some(wait) = wait
        && !row.status.is_ended()
    {
        app.ends.ended(id, wait).await;
        row = find(&app, &caller, id, min_n).await?;
    }
    let mut view = JobView::from(&row);
    if row.waiting_code == Some(WaitingCode::Unsatisfiable) {
        let read = || app.reader.largest_worker(&row.module);
        if let Some(largest) = app.barrier.read(&Required::default(), read).await?.value {
            view.explain_unsatisfiable(&row, &largest);
        }
    }
    let mut response = etag::json(&headers, &view)?;
    if let Some(wait) = wait {
        prefer::applied(response.headers_mut(), wait);
    }
    Ok(response)
}
