//! What a job printed, as rows of which whoever asks may skip some.

use nox_contract::{JobState, Timestamp};
use nox_readmodel::JobRow;
use nox_streams::LogChunk;

use crate::{app::App, problem::ApiError, read::bulk::Place};

/// Most bytes of what was printed in an answer, but always a row.
pub const BYTES_MAX: usize = 1 << 20;

/// Chunks that are read at a time.
const PAGE_CHUNKS: usize = 64;

/// Something that was printed, or how it ended.
pub struct LogRow {
    /// Grows from row to row.
    pub id: u64,
    pub at: Timestamp,
    /// `None` of the last row, which nobody printed.
    pub stream: Option<&'static str>,
    pub bytes: Vec<u8>,
}

/// Rows behind the first `offset`, at most `limit`.
pub async fn read(
    app: &App,
    place: &Place,
    job: &JobRow,
    offset: u64,
    limit: usize,
) -> Result<Vec<LogRow>, ApiError> {
    let (tenant, id) = (&job.tenant, job.id);
    let mut reached = app.log_places.before(tenant, id, offset);
    let mut rows = Vec::new();
    let mut bytes = 0;
    loop {
        let page = app.bulk.logs(place, tenant, id, reached.seq, PAGE_CHUNKS).await?;
        let is_end = page.is_empty();
        for chunk in page {
            let text = reached.text.of(&chunk);
            reached.seq = chunk.seq;
            if text.is_empty() {
                continue;
            }
            reached.rows += 1;
            if reached.rows > offset {
                bytes += text.len();
                rows.push(row(&chunk, text));
            }
            if rows.len() == limit || bytes >= BYTES_MAX {
                app.log_places.keep(tenant, id, reached);
                return Ok(rows);
            }
        }
        if is_end {
            break;
        }
    }
    if job.status.is_ended() && reached.rows >= offset {
        rows.push(last(job, reached.seq + 1));
    }
    app.log_places.keep(tenant, id, reached);
    Ok(rows)
}

/// The id of the last row of a job that has ended, behind all that was printed.
pub async fn last_id(app: &App, place: &Place, job: &JobRow) -> Result<u64, ApiError> {
    let (tenant, id) = (&job.tenant, job.id);
    let mut reached = app.log_places.before(tenant, id, u64::MAX);
    loop {
        let page = app.bulk.logs(place, tenant, id, reached.seq, PAGE_CHUNKS).await?;
        if page.is_empty() {
            break;
        }
        for chunk in page {
            reached.rows += u64::from(!reached.text.of(&chunk).is_empty());
            reached.seq = chunk.seq;
        }
    }
    let last = reached.seq + 1;
    app.log_places.keep(tenant, id, reached);
    Ok(last)
}

/// What a chunk shows, as a row.
pub fn row(chunk: &LogChunk, bytes: Vec<u8>) -> LogRow {
    LogRow { id: chunk.seq, at: chunk.at, stream: Some(chunk.stream.as_str()), bytes }
}

/// How it ended, in the words that older clients look for.
pub fn last(job: &JobRow, id: u64) -> LogRow {
    let error = job.error.as_ref();
    let code = match job.status {
        JobState::Succeeded => Some(0),
        _ => error.and_then(|error| error.exit_status),
    };
    let output = match code {
        Some(code) => format!("Process exited with code {code}"),
        None => {
            let why = error.map_or_else(|| job.status.to_string(), |error| error.code.clone());
            format!("Process ended without an exit code: {why}")
        }
    };
    let at = job.ended_at.unwrap_or(job.created_at);
    LogRow { id, at, stream: None, bytes: output.into_bytes() }
}
