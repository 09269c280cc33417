//! `GET /jobs/{id}/events`: the job's entries in the log, as they were written, and nothing of others.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, JobId, RawJson};
use nox_readmodel::{JobRow, query::JobEntry};
use serde::{Deserialize, Serialize};

use super::find::{find, min_n};
use crate::{
    app::App,
    auth::Caller,
    bulk::{PAGE_BYTES, Place},
    problem::ApiError,
    required::Required,
    routes::{self, Segment},
};

/// Frames read for an answer, each of which may be large and have little of the job. A job that ends at
/// its first attempt has entries in two or three.
const PAGE_FRAMES: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Entries of the frames after this one; all, if left out.
    after: Option<FrameNumber>,
    n: Option<u64>,
}

/// A page. Not by way of a `Value`, which would write the entries anew.
#[derive(Serialize)]
struct Page {
    job_id: JobId,
    events: Vec<RawJson>,
    next: Option<FrameNumber>,
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

    let place = app.bulk.place().await?;
    let entries = entries(&app, &place, &row, after.unwrap_or_default()).await?;
    let next = entries.last().map(|entry| entry.n).or(after);
    let events: Result<_, _> = entries.iter().map(JobEntry::document).collect();
    let events = events.map_err(unreadable)?;
    Ok(Json(Page { job_id: id, events, next }).into_response())
}

/// The job's entries in the next frames that its row names, and no more than a page, but always all that
/// one frame has.
async fn entries(
    app: &App,
    place: &Place,
    row: &JobRow,
    after: FrameNumber,
) -> Result<Vec<JobEntry>, ApiError> {
    let (tenant, id) = (&row.tenant, row.id);
    // As new as the row that was found.
    let required = Required::frame(Some(row.n));
    let named = app.barrier.read(&required, || app.reader.job_frames(tenant, id, after)).await?;
    let log = app.bulk.log(place, named.progress.place().incarnation).await?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    for n in named.value.unwrap_or_default().into_iter().take(PAGE_FRAMES) {
        let of_job = |frame: &[u8]| JobEntry::of_frame(n, frame, tenant, id);
        let found = match app.bulk.frame(place, &log, n, of_job).await {
            Ok(found) => found.map_err(unreadable)?,
            // Whoever asks for what follows is told why it is not there.
            Err(_) if !entries.is_empty() => break,
            Err(error) => return Err(error),
        };
        bytes += found.iter().map(|entry| entry.entry.get().len()).sum::<usize>();
        entries.extend(found);
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(entries)
}

fn unreadable(error: serde_json::Error) -> ApiError {
    ApiError::internal(anyhow::Error::new(error).context("a frame is not as it should be"))
}
