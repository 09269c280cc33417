//! `GET /system`: how the log, its readers, its streams and its archive are, for those who run the system.

use axum::response::Response;
use nox_contract::{FrameNumber, Timestamp, subject};
use nox_streams::Usage;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::{Access, Answer, ETAG, Endpoint, IF_NONE_MATCH, Method},
    extract::{self, Reading},
    http::etag,
    problem::ApiError,
    read::figures::SystemState,
    use_cases::system::system,
};

/// How the system is, some seconds old at most. What cannot be told is `null`, and `troubles` say why.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "System")]
struct View {
    at: Timestamp,
    version: &'static str,
    projection: ProjectionView,
    streams: Vec<StreamView>,
    /// Those that said within a week how far they had come. `projector`, `notifier` (the feed), `webhooks`, `audit`.
    readers: Option<Vec<ReaderView>>,
    /// The log's segments; `null` as well where this gateway has no archive.
    archive: Option<ArchiveView>,
    troubles: Vec<TroubleView>,
}

/// How far the rows are.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SystemProjection")]
struct ProjectionView {
    n: Option<FrameNumber>,
    /// As `/health` says it.
    lag_frames: i64,
    lag_s: f64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SystemStream")]
struct StreamView {
    name: &'static str,
    #[serde(flatten)]
    usage: Option<UsageView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StreamUsage")]
struct UsageView {
    messages: u64,
    bytes: u64,
    /// `null`: as much as the broker has.
    bytes_max: Option<u64>,
    first_seq: u64,
    last_seq: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SystemReader")]
struct ReaderView {
    name: String,
    /// `null` where it reads another life of the log.
    n: Option<FrameNumber>,
    /// Frames that it was behind the log when it said so last, which is up to five seconds ago.
    lag_frames: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SystemArchive")]
struct ArchiveView {
    segments: usize,
    /// As they are kept.
    bytes: u64,
    /// `null` of none.
    oldest: Option<SegmentView>,
    newest: Option<SegmentView>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SystemSegment")]
struct SegmentView {
    n_first: FrameNumber,
    n_last: FrameNumber,
    bytes: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SystemTrouble")]
struct TroubleView {
    part: &'static str,
    detail: String,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) =
        ("get_system", "How log, readers, streams and archive are, for those who run the system.");
    Endpoint::new(Method::Get, "/system", Access::OPERATOR, (id, summary), get)
        .headers([IF_NONE_MATCH])
        .answer(Answer::json::<View>(200, "The system.").headers([ETAG]))
        .answer(Answer::empty(304, "It is as the asker has it.").headers([ETAG]))
}

async fn get(Reading { app, uri, headers, .. }: Reading) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    let state = system(&app).await;
    let lag = (app.metrics.lag_frames.get(), app.metrics.lag_seconds.get());
    etag::json(&headers, &View::new(&state, lag))
}

impl View {
    fn new(state: &SystemState, (lag_frames, lag_s): (i64, f64)) -> Self {
        let events = state.streams.iter().find(|(name, _)| *name == subject::EVENTS);
        let last = events.and_then(|(_, usage)| usage.as_ref()).map(|usage| usage.last_seq);
        let readers = state.readers.as_ref().map(|readers| {
            let view = |name: &String, n: Option<FrameNumber>| {
                let lag_frames = last.zip(n).map(|(last, n)| last.saturating_sub(n.0));
                ReaderView { name: name.clone(), n, lag_frames }
            };
            readers.iter().map(|reader| view(&reader.name, reader.n)).collect()
        });
        let archive = state.segments.as_ref().map(|segments| {
            let view = |segment: &nox_archive::SegmentInfo| SegmentView {
                n_first: segment.n_first,
                n_last: segment.n_last,
                bytes: segment.bytes,
            };
            ArchiveView {
                segments: segments.len(),
                bytes: segments.iter().map(|segment| segment.bytes).sum(),
                oldest: segments.first().map(view),
                newest: segments.iter().max_by_key(|segment| segment.n_last).map(view),
            }
        });
        let streams = state
            .streams
            .iter()
            .map(|(name, usage)| StreamView { name, usage: usage.map(UsageView::from) });
        let troubles = state
            .troubles
            .iter()
            .map(|trouble| TroubleView { part: trouble.part, detail: trouble.detail.clone() });
        Self {
            at: state.at,
            version: env!("CARGO_PKG_VERSION"),
            projection: ProjectionView { n: state.view_n, lag_frames, lag_s },
            streams: streams.collect(),
            readers,
            archive,
            troubles: troubles.collect(),
        }
    }
}

impl From<Usage> for UsageView {
    fn from(Usage { messages, bytes, bytes_max, first_seq, last_seq }: Usage) -> Self {
        Self { messages, bytes, bytes_max, first_seq, last_seq }
    }
}
