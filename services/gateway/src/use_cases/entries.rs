//! A job's entries in the log, as they were written, and nothing of others.

use nox_contract::FrameNumber;
use nox_readmodel::{JobRow, query::JobEntry};

use crate::{
    app::App,
    problem::ApiError,
    read::{
        bulk::{PAGE_BYTES, Place},
        required::Required,
    },
};

/// Frames read for an answer, each of which may be large and have little of the job. A job that ends at
/// its first attempt has entries in two or three.
const PAGE_FRAMES: usize = 32;

/// The job's entries in the next frames that its row names, and no more than a page, but always all that
/// one frame has.
pub async fn entries(
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

pub fn unreadable(error: serde_json::Error) -> ApiError {
    ApiError::internal(anyhow::Error::new(error).context("a frame is not as it should be"))
}
