//! `GET /jobs/{id}/logs`: what a job printed.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{Stream, stream};
use nox_contract::{Attempt, JobId, ProblemCode, TenantId, Timestamp};
use nox_streams::{LogChunk, LogGaps, LogText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, MIN_N, Method},
    extract::{self, Segment, min_n},
    http::memory::Account,
    identity::auth::Caller,
    problem::ApiError,
    read::bulk::Place,
    use_cases::find::find,
};

/// Chunks in an answer; each has at most 128 KiB.
const PAGE_CHUNKS: usize = 64;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Chunks after this one; all, if left out.
    after: Option<u64>,
    n: Option<u64>,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) =
        ("get_job_logs", "What a job printed: chunks, or text where that is asked for.");
    let contents = vec![Content::json::<Logs>(), Content::Other("text/plain")];
    Endpoint::new(Method::Get, "/jobs/{id}/logs", Access::OWNER_OR_ADMIN, (id, summary), logs)
        .query::<Asked>()
        .headers([MIN_N])
        .answer(Answer::of(200, "A page of chunks; as text, all that follows.", contents))
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
}

/// A page of what a job printed.
#[derive(Serialize, JsonSchema)]
struct Logs<'a> {
    job_id: JobId,
    chunks: Vec<Chunk<'a>>,
    /// `?after=` of the next page; an empty page is the end, so far.
    next: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Chunk<'a> {
    /// Bytes before it that are not there.
    missing: u64,
    seq: u64,
    at: Timestamp,
    attempt: Attempt,
    stream: &'static str,
    /// Where it stands in its stream.
    offset: u64,
    length: u64,
    /// Whether its stream ends with it.
    end: bool,
    text: Cow<'a, str>,
    /// All bytes, where `text` has something in place of what is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

pub async fn logs(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = extract::job_id(&id)?;
    let Asked { after, n } = extract::query(&uri)?;
    find(&app, &caller, id, min_n(n, &headers)?).await?;

    let place = app.bulk.place().await?;
    let first =
        app.bulk.logs(&place, &caller.tenant, id, after.unwrap_or_default(), PAGE_CHUNKS).await?;
    if wants_text(&headers) {
        // Nearly all that jobs print is UTF-8. What is not comes as it is.
        let texts = texts(app, account, place, caller.tenant, id, first, is_start(after));
        let body = Body::from_stream(texts);
        let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        return Ok((kind, body).into_response());
    }
    let next = first.last().map(|chunk| chunk.seq).or(after);
    let mut gaps = LogGaps::new(is_start(after));
    let chunks = first.iter().map(|chunk| {
        let text = String::from_utf8_lossy(&chunk.bytes);
        // Something was replaced in it.
        let is_lossy = matches!(text, Cow::Owned(_));
        Chunk {
            missing: gaps.before(chunk).unwrap_or_default(),
            seq: chunk.seq,
            at: chunk.at,
            attempt: chunk.attempt,
            stream: chunk.stream.as_str(),
            offset: chunk.offset,
            length: chunk.length,
            end: chunk.end,
            text,
            base64: is_lossy.then(|| STANDARD.encode(&chunk.bytes)),
        }
    });
    Ok(Json(Logs { job_id: id, chunks: chunks.collect(), next }).into_response())
}

/// What comes next.
enum Page {
    Here(Vec<LogChunk>),
    After(u64),
    None,
}

/// The texts of all pages, the first of which is there already. A page that can't be read breaks
/// the answer off.
fn texts(
    app: Arc<App>,
    account: Account,
    place: Place,
    tenant: TenantId,
    id: JobId,
    first: Vec<LogChunk>,
    is_start: bool,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    let (place, shown) = (Arc::new(place), LogText::new(is_start));
    stream::unfold((Page::Here(first), shown), move |(page, mut shown)| {
        let (app, place, tenant) = (app.clone(), place.clone(), tenant.clone());
        let account = account.clone();
        async move {
            // Read when the one before was taken: a reader never has two in hand.
            let chunks = match page {
                Page::Here(chunks) => Ok(chunks),
                Page::After(seq) => app.bulk.logs(&place, &tenant, id, seq, PAGE_CHUNKS).await,
                Page::None => return None,
            };
            let Ok(chunks) = chunks else {
                let broken = Err(std::io::Error::other("the log broke off"));
                return Some((broken, (Page::None, shown)));
            };
            let last = chunks.last()?.seq;
            let text = chunks.iter().map(|chunk| shown.of(chunk)).collect::<Vec<_>>().concat();
            let Ok(room) = account.take(text.len()) else {
                let broken = Err(std::io::Error::other("the log broke off"));
                return Some((broken, (Page::None, shown)));
            };
            Some((Ok(room.around(Bytes::from(text))), (Page::After(last), shown)))
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
