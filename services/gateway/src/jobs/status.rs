//! `GET /jobs/{id}/status`: what a job printed, as rows.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use nox_contract::{JobId, JobState, TenantId, Timestamp};
use nox_readmodel::JobRow;
use nox_streams::{LogChunk, LogText};
use serde::{Deserialize, Serialize};

use super::find::{find, min_n};
use crate::{
    app::App,
    auth::Caller,
    bulk::Place,
    memory::Account,
    problem::{ApiError, FieldError},
    routes::{self, Segment},
};

/// Most rows of an answer.
const ROWS_MAX: usize = 1_000;

/// Most bytes of what was printed in an answer, but always a row.
const BYTES_MAX: usize = 1 << 20;

/// Chunks that are read at a time.
const PAGE_CHUNKS: usize = 64;

/// Jobs of which it is known where the reading ended last.
const KNOWN_MAX: usize = 4_096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    offset: Option<u64>,
    limit: Option<usize>,
    n: Option<u64>,
}

/// Something that was printed, or how it ended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    /// Grows from row to row.
    id: u64,
    job_id: JobId,
    output: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// `None` of the last row, which nobody printed.
    stream: Option<&'static str>,
    /// All bytes, where `output` has something in place of what is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// How far the rows of a log were read.
#[derive(Clone)]
struct Reached {
    rows: u64,
    /// The last chunk.
    seq: u64,
    text: LogText,
}

/// Where reading ended lately, so that whoever asks for what follows does not have all of it read again.
#[derive(Default)]
pub struct LogPlaces(Mutex<HashMap<(TenantId, JobId), Reached>>);

impl LogPlaces {
    /// The furthest known place that is not behind row `offset`.
    fn before(&self, tenant: &TenantId, id: JobId, offset: u64) -> Reached {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = known.get(&(tenant.clone(), id)).filter(|reached| reached.rows <= offset);
        reached.cloned().unwrap_or_else(|| Reached { rows: 0, seq: 0, text: LogText::new(true) })
    }

    fn keep(&self, tenant: &TenantId, id: JobId, reached: Reached) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert((tenant.clone(), id), reached);
    }
}

pub async fn status(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = routes::job_id(&id)?;
    let Asked { offset, limit, n } = routes::query(&uri)?;
    let limit = limit.unwrap_or(ROWS_MAX);
    if !(1..=ROWS_MAX).contains(&limit) {
        let detail = format!("must be a whole number from 1 to {ROWS_MAX}");
        return Err(ApiError::invalid(vec![FieldError::new("?limit", detail)]));
    }
    let row = find(&app, &caller, id, min_n(n, &headers)?).await?;
    let _room = account.take(2 * BYTES_MAX)?;
    let place = app.bulk.place().await?;
    let rows = read(&app, &place, &row, offset.unwrap_or_default(), limit).await?;
    Ok(Json(rows).into_response())
}

async fn read(
    app: &App,
    place: &Place,
    job: &JobRow,
    offset: u64,
    limit: usize,
) -> Result<Vec<Row>, ApiError> {
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
                rows.push(row(id, &chunk, text));
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

fn row(job_id: JobId, chunk: &LogChunk, bytes: Vec<u8>) -> Row {
    let (output, base64) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let bytes = error.as_bytes();
            (String::from_utf8_lossy(bytes).into_owned(), Some(STANDARD.encode(bytes)))
        }
    };
    let stream = Some(chunk.stream.as_str());
    Row {
        id: chunk.seq,
        job_id,
        output,
        created_at: chunk.at,
        updated_at: chunk.at,
        stream,
        base64,
    }
}

/// How it ended, in the words that older clients look for.
fn last(job: &JobRow, id: u64) -> Row {
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
    Row { id, job_id: job.id, output, created_at: at, updated_at: at, stream: None, base64: None }
}
