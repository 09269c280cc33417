//! `GET /jobs/{id}/events`: the job's own part of the log, as it was written, and nothing of others.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{Entity, JobId, RawJson, subject};
use serde::{Deserialize, Serialize};

use super::{
    find::{find, min_n},
    own_part::own_part,
};
use crate::{
    app::App,
    auth::Caller,
    problem::ApiError,
    routes::{self, Segment},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Events after this one; all, if left out.
    after: Option<u64>,
    n: Option<u64>,
}

/// A page. Not by way of a `Value`, which would write the events anew.
#[derive(Serialize)]
struct Page {
    job_id: JobId,
    events: Vec<RawJson>,
    next: Option<u64>,
}

pub async fn events(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = routes::job_id(&id)?;
    let Asked { after, n } = routes::query(&uri)?;
    let row = find(&app, &caller, id, min_n(n, &headers)?).await?;

    let subject = subject::event(&Entity::Job {
        tenant: row.tenant,
        job_id: id,
        user_id: row.user_id,
        module: row.module,
    });
    // The log is never purged, so an event's number is its sequence.
    let from = after.unwrap_or_default();
    let place = app.bulk.place().await?;
    let messages = app.bulk.history(&place, &subject, from).await?;

    let next = messages.last().map(|message| message.seq).or(after);
    let events = messages.into_iter().map(|message| {
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        RawJson::parse(text).and_then(own_part).map_err(|error| {
            ApiError::internal(anyhow::Error::new(error).context("an event is not JSON"))
        })
    });
    let events = events.collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Page { job_id: id, events, next }).into_response())
}
