//! `GET /jobs/{id}/events`: the job's entries in the log, as they were written, and nothing of others; or its
//! events as they come, to its end.

use axum::{Extension, response::Response};
use nox_contract::{FrameNumber, JobId, ProblemCode, RawJson};
use nox_readmodel::query::JobEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    asked,
    live::{self, Asker, Form, NDJSON, NOX_AFTER, SSE},
};
use crate::{
    endpoint::{
        Access, Answer, Content, ETAG, Endpoint, Header, IF_NONE_MATCH, LINK, MIN_N, Method,
    },
    extract::{self, Reading, Segment, min_n},
    http::{
        memory::Account,
        page::{self, Next},
    },
    problem::{ApiError, FieldError},
    use_cases::{
        entries::{entries, unreadable},
        find::find,
        follow::Scope,
    },
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Of a page, entries of the frames after this one; all, if left out. Of what is followed, events behind the one
    /// with this `id`, such as `41822-0-2`; from now on, if left out, and all with `0-0-0`.
    #[schemars(with = "Option<FrameNumber>")]
    after: Option<String>,
    n: Option<u64>,
    /// Of what is followed: `job`, `job.succeeded` or `nox.job.succeeded.v1`; several with commas between.
    #[serde(rename = "type")]
    of_type: Option<String>,
    #[serde(rename = "type!")]
    not_type: Option<String>,
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
    let (id, summary) = (
        "list_job_events",
        "A job's entries in the log, as they were written; or its events as they come.",
    );
    let contents = vec![Content::json::<Page>(), Content::Other(SSE), Content::Other(NDJSON)];
    let described = "A page; or CloudEvents, as they come, to the job's last.";
    Endpoint::new(Method::Get, "/jobs/{id}/events", Access::OWNER_OR_ADMIN, (id, summary), events)
        .query::<Asked>()
        .headers([
            MIN_N,
            IF_NONE_MATCH,
            Header::text("Last-Event-ID", "The last event that the viewer has; newer than after."),
        ])
        .answer(Answer::of(200, described, contents).headers([ETAG, LINK, NOX_AFTER]))
        .answer(Answer::empty(304, "It is as the asker has it.").headers([ETAG, LINK]))
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound, ProblemCode::PlaceGone])
}

async fn events(
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    request: Reading,
) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, headers } = request;
    let id = extract::job_id(&id)?;
    let Asked { after, n, of_type, not_type } = extract::query(&uri)?;
    if let Some(form) = Form::asked(&headers) {
        let wanted = asked::of_job(after, (of_type, not_type), &headers)?;
        find(&app, &caller, id, min_n(n, &headers)?).await?;
        let asker = Asker { app, caller, account, headers };
        return live::follow(asker, form, Scope::Job(id), wanted).await;
    }
    asked::not_in_a_page(&[("?type", of_type.is_some()), ("?type!", not_type.is_some())])?;
    let after = after.map(|text| frame_number(&text)).transpose()?;
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

fn frame_number(text: &str) -> Result<FrameNumber, ApiError> {
    let wrong = |_| ApiError::invalid(vec![FieldError::new("?after", "must be a frame's number")]);
    text.parse().map(FrameNumber).map_err(wrong)
}
