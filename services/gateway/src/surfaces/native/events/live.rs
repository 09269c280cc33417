//! Events as they come: how they are written, and how following ends.
//!
//! | | server-sent events | NDJSON |
//! |---|---|---|
//! | an event | `id`, `event` (its type), `data` (the CloudEvent) | a line |
//! | nothing for 15 s | a comment, and an `id` to go on from | an empty line |
//! | the job has ended | `event: end`, and the answer ends | the answer ends |
//! | the token is worth nothing any more | `event: end` | the answer breaks off |
//! | it cannot be read on, or the gateway stops | the answer ends: ask again | the answer breaks off |

use std::{fmt::Write, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use nox_contract::{EventFilter, FactPlace, ProblemCode};
use prometheus::IntGauge;

use crate::{
    app::App,
    endpoint::Header,
    http::memory::Account,
    identity::auth::{self, Caller},
    problem::ApiError,
    read::hub::frame::HubEvent,
    use_cases::follow::{Following, Scope, Told},
};

/// After so long a silence the viewer hears that the connection lives.
const SILENCE: Duration = Duration::from_secs(15);
/// How often it is looked whether the token still counts.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// When a browser asks again that was cut off, in milliseconds.
const RETRY_MS: u32 = 2_000;

pub const SSE: &str = "text/event-stream";
pub const NDJSON: &str = "application/x-ndjson";

const BEGINS_AFTER: header::HeaderName = header::HeaderName::from_static("nox-after");
/// The same, as it is described.
pub const NOX_AFTER: Header = Header::text(
    "Nox-After",
    "Of what is followed: where it begins, to be named as Last-Event-ID by whoever is cut off before the first event.",
);
const X_ACCEL_BUFFERING: header::HeaderName = header::HeaderName::from_static("x-accel-buffering");

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Sse,
    Ndjson,
}

impl Form {
    /// The one that is asked for; `None` where it is a page.
    pub fn asked(headers: &HeaderMap) -> Option<Self> {
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok())?;
        let kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
        kinds
            .filter(|kind| kind.contains('/'))
            .map(|kind| match kind {
                kind if kind.eq_ignore_ascii_case(SSE) => Some(Self::Sse),
                kind if kind.eq_ignore_ascii_case(NDJSON) => Some(Self::Ndjson),
                _ => None,
            })
            .next()?
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Sse => SSE,
            Self::Ndjson => NDJSON,
        }
    }

    /// Before anything else: where to go on for whoever is cut off before the first event.
    fn begin(self, place: FactPlace) -> String {
        match self {
            Self::Sse => format!("retry: {RETRY_MS}\nid: {place}\n\n"),
            Self::Ndjson => String::new(),
        }
    }

    fn silence(self, place: FactPlace) -> String {
        match self {
            Self::Sse => format!(": here\nid: {place}\n\n"),
            Self::Ndjson => "\n".to_owned(),
        }
    }

    fn events(self, events: &[Arc<HubEvent>]) -> String {
        let mut text = String::new();
        for event in events {
            let HubEvent { id, event_type: name, json } = &**event;
            let data = json.get();
            let _ = match self {
                Self::Sse => {
                    write!(text, "id: {id}\nevent: {name}\ndata: {data}\n\n")
                }
                Self::Ndjson => writeln!(text, "{data}"),
            };
        }
        text
    }

    /// The last that is said; `None` where the answer breaks off instead.
    fn end(self, end: End) -> Option<String> {
        let reason = match (self, end) {
            (Self::Sse, End::JobEnded) => "job_ended",
            (Self::Sse, End::Refused(code)) => code.as_str(),
            (Self::Sse, End::Interrupted) | (Self::Ndjson, End::JobEnded) => {
                return Some(String::new());
            }
            (Self::Ndjson, End::Refused(_) | End::Interrupted) => return None,
        };
        Some(format!("event: end\ndata: {{\"reason\":\"{reason}\"}}\n\n"))
    }
}

/// Why following ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    JobEnded,
    /// The token is not taken any more.
    Refused(ProblemCode),
    Interrupted,
}

/// Who asks, and with what.
pub struct Asker {
    pub app: Arc<App>,
    pub caller: Caller,
    pub account: Account,
    pub headers: HeaderMap,
}

/// Follows from `after` on, or from now on.
pub async fn follow(
    asker: Asker,
    form: Form,
    scope: Scope,
    (after, wanted): (Option<FactPlace>, EventFilter),
) -> Result<Response, ApiError> {
    let Asker { app, caller, account, headers } = asker;
    let following = Following::begin(&app, caller, scope, wanted, after).await?;
    let mut credentials = HeaderMap::new();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        credentials.insert(header::AUTHORIZATION, value.clone());
    }
    let begins_after = following.place().to_string().parse().map_err(ApiError::internal)?;
    let now = app.runtime.clock.monotonic();
    let gauge = app.metrics.event_viewers.clone();
    gauge.inc();
    let live = Live {
        app,
        following,
        account,
        credentials,
        form,
        state: State::Begins,
        checked: now,
        spoke: now,
        _counted: Counted(gauge),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(form.media_type())),
        // A proxy that gathers answers would make live what it is not.
        (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
        (BEGINS_AFTER, begins_after),
    ];
    Ok((headers, Body::from_stream(texts(Box::new(live)))).into_response())
}

/// A viewer, and what it was told.
struct Live {
    app: Arc<App>,
    following: Following,
    account: Account,
    /// What it proves itself with, to be looked at again.
    credentials: HeaderMap,
    form: Form,
    state: State,
    /// When its token was looked at, and when something was said, on the monotonic clock.
    checked: Duration,
    spoke: Duration,
    _counted: Counted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begins,
    Goes,
    IsOver,
}

struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What is said, each when the one before was taken: a viewer never has two in hand.
fn texts(live: Box<Live>) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold(live, |mut live| async move {
        let text = match live.state {
            State::Begins => {
                live.state = State::Goes;
                Ok(live.form.begin(live.following.place()))
            }
            State::Goes => live.next().await,
            State::IsOver => return None,
        };
        let said = text.and_then(|text| {
            let room = live.account.take(text.len()).map_err(|_| End::Interrupted)?;
            Ok(room.around(Bytes::from(text)))
        });
        match said {
            Ok(bytes) => Some((Ok(bytes), live)),
            Err(end) => {
                live.state = State::IsOver;
                let last = live.form.end(end).map(Bytes::from);
                let broken = || std::io::Error::other("following broke off");
                Some((last.ok_or_else(broken), live))
            }
        }
    })
}

impl Live {
    /// What is said next, once there is something to say.
    async fn next(&mut self) -> Result<String, End> {
        loop {
            let now = self.app.runtime.clock.monotonic();
            if now.saturating_sub(self.checked) >= CHECK_EVERY {
                self.checked = now;
                self.check().await?;
            }
            let told = self.following.tell(&self.app).await.map_err(|error| {
                tracing::debug!(code = %error.code(), "A viewer cannot be told what goes on");
                End::Interrupted
            })?;
            match told {
                Told::Events(events) => {
                    self.spoke = now;
                    let form = self.form;
                    return Ok(self.app.hub.in_turn(|| form.events(&events)).await);
                }
                Told::Over => return Err(End::JobEnded),
                Told::Nothing | Told::Looked if now.saturating_sub(self.spoke) >= SILENCE => {
                    self.spoke = now;
                    return Ok(self.form.silence(self.following.place()));
                }
                Told::Looked => {
                    // Others have their turn, and whoever stops everything.
                    tokio::task::yield_now().await;
                    if self.app.runtime.stop.is_cancelled() {
                        return Err(End::Interrupted);
                    }
                    continue;
                }
                Told::Nothing => {}
            }
            tokio::select! {
                () = self.following.news() => {}
                () = tokio::time::sleep(CHECK_EVERY) => {}
                () = self.app.runtime.stop.cancelled() => return Err(End::Interrupted),
            }
        }
    }

    /// Looks whether the token still counts. That nobody can say so now is no reason to end.
    async fn check(&self) -> Result<(), End> {
        let wall = self.app.runtime.clock.wall();
        let identities = self.app.identities();
        match auth::authenticate(identities, wall, &Method::GET, &self.credentials).await {
            Err(error) if !error.status().is_server_error() => Err(End::Refused(error.code())),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_kind_that_is_named_counts() {
        let asked = |accept: &str| {
            let accept = HeaderValue::from_str(accept).unwrap();
            Form::asked(&HeaderMap::from_iter([(header::ACCEPT, accept)]))
        };
        assert_eq!(asked("text/event-stream"), Some(Form::Sse));
        assert_eq!(asked("Application/X-NDJSON; q=1, */*"), Some(Form::Ndjson));
        for page in ["*/*", "application/json, text/event-stream", ""] {
            assert_eq!(asked(page), None, "{page}");
        }
        assert_eq!(Form::asked(&HeaderMap::new()), None);
    }

    #[test]
    fn only_an_end_that_is_one_ends_well_where_nothing_says_why() {
        let expired = End::Refused(ProblemCode::TokenExpired);
        let said = Form::Sse.end(expired).unwrap();
        assert_eq!(said, "event: end\ndata: {\"reason\":\"token_expired\"}\n\n");
        assert_eq!(Form::Ndjson.end(expired), None);
        assert_eq!(Form::Ndjson.end(End::Interrupted), None);
        assert_eq!(Form::Ndjson.end(End::JobEnded), Some(String::new()));
        assert_eq!(Form::Sse.end(End::Interrupted), Some(String::new()));
    }
}
