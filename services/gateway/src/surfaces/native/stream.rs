//! `GET /jobs/{id}/stream`: what a job prints, as it prints it, and what becomes of it, as server-sent events.

use std::{fmt::Write, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use nox_contract::{JobId, JobState, ProblemCode};
use nox_readmodel::JobRow;
use nox_streams::LogText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{kind::Kind, status::Row};
use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Header, MIN_N, Method},
    extract::{self, Segment, min_n},
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    read::bulk::Viewer,
    use_cases::{find::find, log_rows},
};

/// How long a viewer waits at most for what was printed since it was looked last.
const LOOK: Duration = Duration::from_millis(200);
/// After so many looks that found nothing, the viewer hears that the connection lives.
const LOOKS_OF_SILENCE: u32 = 75;
/// Chunks of a look, each at most 128 KiB.
const PAGE_CHUNKS: usize = 16;

const LAST_EVENT_ID: &str = "last-event-id";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The last row that the viewer has, as the header `Last-Event-ID` names it.
    #[serde(rename = "lastId")]
    last_id: Option<u64>,
    n: Option<u64>,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("stream_job", "What a job prints and what becomes of it, as it happens.");
    let events = vec![Content::Other("text/event-stream")];
    Endpoint::new(Method::Get, "/jobs/{id}/stream", Access::OWNER_OR_ADMIN, (id, summary), stream)
        .query::<Asked>()
        .headers([
            MIN_N,
            Header::number("Last-Event-ID", "The last row that the viewer has; newer than lastId."),
        ])
        .answer(Answer::of(
            200,
            "Events `log` (a row, as GET /jobs/{id}/status has it) and `status`; it ends with the job.",
            events,
        ))
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
}

/// Where a job is, as the stream tells it.
#[derive(Serialize)]
struct StatusEvent {
    job_id: JobId,
    status: &'static str,
    state: JobState,
}

async fn stream(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = extract::job_id(&id)?;
    let Asked { last_id, n } = extract::query(&uri)?;
    let after = last_id.max(last_event(&headers)?).unwrap_or_default();
    let job = find(&app, &caller, id, min_n(n, &headers)?).await?;
    let viewer = app.bulk.viewer()?;
    let view = View {
        after,
        has_read: false,
        text: LogText::new(after == 0),
        job,
        told: None,
        silent: 0,
        is_over: false,
        _viewer: viewer,
    };
    let kind = HeaderValue::from_static("text/event-stream");
    // A proxy that gathers answers would make live what it is not.
    let unbuffered = HeaderValue::from_static("no");
    let headers = [(header::CONTENT_TYPE, kind), (X_ACCEL_BUFFERING, unbuffered)];
    Ok((headers, Body::from_stream(events(app, caller, view))).into_response())
}

const X_ACCEL_BUFFERING: header::HeaderName = header::HeaderName::from_static("x-accel-buffering");

fn last_event(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let wrong = || ApiError::invalid(vec![FieldError::new(LAST_EVENT_ID, "must be a row's id")]);
    number.map(Some).ok_or_else(wrong)
}

/// How far a viewer is.
struct View {
    /// The last row that it has, by its own word until a row was read.
    after: u64,
    has_read: bool,
    text: LogText,
    job: JobRow,
    /// What it was told last of where the job is.
    told: Option<JobState>,
    /// Looks in a row that found nothing.
    silent: u32,
    is_over: bool,
    _viewer: Viewer,
}

fn events(
    app: Arc<App>,
    caller: Caller,
    view: View,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold((app, caller, view), |(app, caller, mut view)| async move {
        while !view.is_over {
            // Whoever goes on by the id of its last event misses nothing of what could not be read now.
            let Ok(told) = view.look(&app, &caller).await else { return None };
            if !told.is_empty() {
                view.silent = 0;
                return Some((Ok(Bytes::from(told)), (app, caller, view)));
            }
            view.silent += 1;
            if view.silent == LOOKS_OF_SILENCE {
                view.silent = 0;
                return Some((Ok(Bytes::from_static(b": here\n\n")), (app, caller, view)));
            }
            tokio::select! {
                () = app.ends.ended(view.job.id, LOOK), if !view.job.status.is_ended() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = app.runtime.stop.cancelled() => return None,
            }
        }
        None
    })
}

impl View {
    /// What is new: rows, where the job is now, and its end when all rows before it were told.
    async fn look(&mut self, app: &App, caller: &Caller) -> Result<String, ApiError> {
        let mut told = String::new();
        let id = self.job.id;
        let was_ended = self.job.status.is_ended();
        let place = app.bulk.place().await?;
        let chunks = app.bulk.logs(&place, &self.job.tenant, id, self.after, PAGE_CHUNKS).await?;
        let is_dry = chunks.is_empty();
        // A viewer may name what never was, and rows are called the same whoever asks.
        let last = match is_dry && was_ended {
            true if !self.has_read => Some(log_rows::last_id(app, &place, &self.job).await?),
            true => Some(self.after + 1),
            false => None,
        };
        drop(place);
        for chunk in chunks {
            let bytes = self.text.of(&chunk);
            (self.after, self.has_read) = (chunk.seq, true);
            if !bytes.is_empty() {
                event(
                    &mut told,
                    "log",
                    Some(chunk.seq),
                    &Row::new(id, log_rows::row(&chunk, bytes)),
                );
            }
        }
        if let Some(last) = last {
            if last > self.after {
                let row = log_rows::last(&self.job, last);
                event(&mut told, "log", Some(last), &Row::new(id, row));
            }
            self.is_over = true;
        } else if !was_ended {
            self.job = find(app, caller, id, None).await?;
        }
        // The end is told after all that was printed before.
        let state = self.job.status;
        if self.told != Some(state) && (self.is_over || !state.is_ended()) {
            let status = Kind::of(&self.job.module, self.job.inputs.as_ref()).word(state);
            event(&mut told, "status", None, &StatusEvent { job_id: id, status, state });
            self.told = Some(state);
        }
        Ok(told)
    }
}

/// An event of the HTML standard's section 9.2: JSON has no line break.
fn event(text: &mut String, name: &str, id: Option<u64>, data: &impl Serialize) {
    if let Some(id) = id {
        let _ = writeln!(text, "id: {id}");
    }
    let data = serde_json::to_string(data).unwrap_or_default();
    let _ = write!(text, "event: {name}\ndata: {data}\n\n");
}
