//! `GET /jobs/{id}/logs`: what a job printed.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use nox_contract::{JobId, TenantId};
use nox_streams::{LogChunk, LogGaps, LogText};
use serde::Deserialize;
use serde_json::json;

use super::find::{find, min_n};
use crate::{
    app::App,
    auth::Caller,
    memory::Account,
    problem::ApiError,
    routes::{self, Segment},
};

/// Chunks in an answer; each has at most 128 KiB.
const PAGE_CHUNKS: usize = 64;

#[derive(Deserialize)]
struct Asked {
    /// Chunks after this one; all, if left out.
    after: Option<u64>,
}

pub async fn logs(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = routes::job_id(&id)?;
    let Asked { after } = routes::query(&uri)?;
    find(&app, &caller, id, min_n(&uri, &headers)?).await?;

    let first = page(&app, &caller.tenant, id, after.unwrap_or_default()).await?;
    if wants_text(&headers) {
        let body =
            Body::from_stream(texts(app, account, caller.tenant, id, first, is_start(after)));
        let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        return Ok((kind, body).into_response());
    }
    let next = first.last().map(|chunk| chunk.seq).or(after);
    let mut gaps = LogGaps::new(is_start(after));
    let chunks = first.iter().map(|chunk| {
        json!({
            "missing": gaps.before(chunk).unwrap_or_default(),
            "seq": chunk.seq,
            "at": chunk.at,
            "attempt": chunk.attempt,
            "stream": chunk.stream.as_str(),
            "offset": chunk.offset,
            "length": chunk.length,
            "end": chunk.end,
            "text": chunk.text,
        })
    });
    let chunks: Vec<_> = chunks.collect();
    // An empty page is the end, so far.
    Ok(Json(json!({"job_id": id, "chunks": chunks, "next": next})).into_response())
}

async fn page(
    app: &App,
    tenant: &TenantId,
    id: JobId,
    after: u64,
) -> Result<Vec<LogChunk>, ApiError> {
    let chunks = app.broker.read_logs(tenant, id, after, PAGE_CHUNKS).await;
    chunks.map_err(|error| ApiError::unavailable("the broker", error))
}

/// The texts of all pages, the first of which is there already. A page that can't be read breaks
/// the answer off.
fn texts(
    app: Arc<App>,
    account: Account,
    tenant: TenantId,
    id: JobId,
    first: Vec<LogChunk>,
    is_start: bool,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    let begun = Some((first, LogText::new(is_start)));
    stream::unfold(begun, move |read| {
        let (app, account, tenant) = (app.clone(), account.clone(), tenant.clone());
        async move {
            let (chunks, mut shown) = read?;
            let last = chunks.last()?.seq;
            let text: String = chunks.iter().map(|chunk| shown.of(chunk)).collect();
            let broke_off = || Some((Err(std::io::Error::other("the log broke off")), None));
            let Ok(room) = account.take(text.len()) else { return broke_off() };
            match page(&app, &tenant, id, last).await {
                Ok(next) => Some((Ok(room.around(Bytes::from(text))), Some((next, shown)))),
                Err(_) => broke_off(),
            }
        }
    })
}

fn is_start(after: Option<u64>) -> bool {
    after.unwrap_or_default() == 0
}

/// Whether plain text is asked for, and JSON is not.
fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let mut kinds = accept.unwrap_or_default().split([',', ';']).map(str::trim);
    kinds
        .find(|kind| kind.contains('/'))
        .is_some_and(|first| first.eq_ignore_ascii_case("text/plain"))
}
