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
    read::{
        bulk::Viewer,
        hub::{Listener, Look, Topic},
        log_news::Waiting,
    },
    use_cases::{find::find, log_rows},
};

/// Before rows are looked at again that have not taken in what the log says of the job.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// After so long a silence the viewer hears that the connection lives.
const SILENCE: Duration = Duration::from_secs(15);
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
    // Before it is looked what there is, so that nothing comes between.
    let printed = app.log_news.wait_for(id).await?;
    let decided = app.hub.listen(Topic::Job(job.tenant.clone(), id)).await?;
    let view = View {
        after,
        has_read: false,
        text: LogText::new(after == 0),
        job,
        told: None,
        is_behind: false,
        has_more: true,
        is_over: false,
        printed,
        decided,
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
    /// The rows have not taken in what the log says of the job.
    is_behind: bool,
    /// There may be more at once.
    has_more: bool,
    is_over: bool,
    printed: Waiting,
    decided: Listener,
    _viewer: Viewer,
}

fn events(
    app: Arc<App>,
    caller: Caller,
    view: View,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold((app, caller, view), |(app, caller, mut view)| async move {
        while !view.is_over {
            // The log is followed no further here: whoever asks again is told on.
            let next = view.decided.newest().next();
            if matches!(view.decided.look(next), Look::Broken) {
                return None;
            }
            // Whoever goes on by the id of its last event misses nothing of what could not be read now.
            let Ok(told) = view.look(&app, &caller).await else { return None };
            if !told.is_empty() {
                return Some((Ok(Bytes::from(told)), (app, caller, view)));
            }
            if view.has_more {
                continue;
            }
            tokio::select! {
                () = view.decided.news() => {}
                () = view.printed.news() => {}
                () = tokio::time::sleep(LOOK_AGAIN), if view.is_behind => {}
                () = tokio::time::sleep(SILENCE) => {
                    return Some((Ok(Bytes::from_static(b": here\n\n")), (app, caller, view)));
                }
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
        self.has_more = !is_dry;
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
            self.read(app, caller).await?;
            // What it printed before its end may have come since.
            self.has_more |= self.job.status.is_ended();
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

impl View {
    /// Reads the job's row, as new as what was heard of it, or as it is where the rows are far behind.
    async fn read(&mut self, app: &App, caller: &Caller) -> Result<(), ApiError> {
        let newest = self.decided.newest();
        let found = find(app, caller, self.job.id, Some(newest)).await;
        self.is_behind = found.as_ref().is_err_and(|error| error.code() == ProblemCode::Lagging);
        self.job = match found {
            Err(_) if self.is_behind => find(app, caller, self.job.id, None).await?,
            found => found?,
        };
        Ok(())
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
