//! `GET /events`: what happens, as it happens, of all that the asker may see; or a page of what has happened.

use axum::{
    Extension, Json,
    response::{IntoResponse, Response},
};
use nox_contract::{CloudEvent, FactPlace, ProblemCode, RawJson};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    asked::Asked,
    live::{self, Asker, Form, NDJSON, NOX_AFTER, SSE},
};
use crate::{
    endpoint::{Access, Answer, Content, Endpoint, Header, Method},
    extract::{self, Reading},
    http::memory::Account,
    problem::ApiError,
    read::bulk::PAGE_BYTES,
    use_cases::follow::{Following, Scope, Told},
};

/// Looks of a page that find nothing, each of 256 frames: it ends there, be it empty, and its reader goes on.
const PAGE_LOOKS: usize = 8;

/// Events behind a place, as far as they are there.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Events")]
struct Page {
    #[schemars(with = "Vec<CloudEvent>")]
    events: Vec<RawJson>,
    /// `?after=` of the next page, which may have some even where this one has none: only where it is the place
    /// that was asked for there is nothing yet.
    next: FactPlace,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = (
        "list_events",
        "What happens, as CloudEvents: the asker's jobs, schedules, keys and account, for admins all of the tenant; \
         modules and workers.",
    );
    let contents = vec![Content::json::<Page>(), Content::Other(SSE), Content::Other(NDJSON)];
    Endpoint::new(Method::Get, "/events", Access::OWNER_OR_ADMIN, (id, summary), events)
        .query::<Asked>()
        .headers([Header::text(
            "Last-Event-ID",
            "The last event that the viewer has; newer than after.",
        )])
        .answer(
            Answer::of(200, "A page; or events, as they come, without end.", contents)
                .headers([NOX_AFTER]),
        )
        .problems(&[ProblemCode::PlaceGone])
}

async fn events(
    Extension(account): Extension<Account>,
    request: Reading,
) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, headers } = request;
    let (after, wanted) = extract::query::<Asked>(&uri)?.read(&headers)?;
    if let Some(form) = Form::asked(&headers) {
        let asker = Asker { app, caller, account, headers };
        return live::follow(asker, form, Scope::All, (after, wanted)).await;
    }
    let mut following = Following::begin(&app, caller, Scope::All, wanted, after).await?;
    let (mut events, mut bytes, mut looks) = (Vec::new(), 0, 0);
    while bytes < PAGE_BYTES && looks < PAGE_LOOKS {
        match following.tell(&app).await? {
            Told::Events(more) => {
                bytes += more.iter().map(|event| event.json.get().len()).sum::<usize>();
                events.extend(more.iter().map(|event| event.json.clone()));
            }
            Told::Looked => looks += 1,
            Told::Nothing | Told::Over => break,
        }
    }
    Ok(Json(Page { events, next: following.place() }).into_response())
}
