//! `PUT /v1/joblib/rooms/{room_id}/jobs`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{
    Accepted, Command, NoMeaning, Outcome, ProblemCode, RawJson, Register, command::DeclaredTopic,
};
use nox_service::ids;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    identity,
    jobs::{JobView, find},
    names::{self, GLOBAL},
    nothing,
    workers::beat_if_due,
};
use crate::{
    app::App,
    auth::Caller,
    body::{BODY_BYTES_MAX, read_json},
    commands::{Delivery, Until},
    memory::Account,
    problem::{ApiError, FieldError},
    routes::{self, Segment},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    category: String,
    name: String,
    #[serde(default = "nothing", alias = "schema_")]
    schema: RawJson,
    #[serde(default)]
    worker_id: Option<String>,
}

/// Registers a job, by the caller's own worker or the one that the body names. Repeated, it changes nothing.
pub async fn register(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(room): Segment,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    routes::nothing(&uri)?;
    let room = names::room(&room)?;
    if room == GLOBAL && !caller.admin {
        let detail = format!("only admins register jobs in {GLOBAL}");
        return Err(ApiError::new(ProblemCode::Forbidden, detail));
    }
    let body = read_json(&account, &headers, body, BODY_BYTES_MAX).await?;
    let asked: Asked = read(body.text())?;
    let categories = &app.joblib.settings.allowed_categories;
    if !categories.has(&asked.category) {
        let detail = format!("the category must be one of {}", categories.listed());
        return Err(ApiError::new(ProblemCode::InvalidCategory, detail));
    }
    let topic = names::topic(room, &asked.category, &asked.name)?;
    let schema = schema(&asked.schema)?;
    let worker = identity::named_or_own(&caller, asked.worker_id.as_deref())?;
    // One of several has to be there; only one's own begins to be by this.
    if worker != identity::own(&caller) {
        identity::find(&app, &caller, worker).await?;
    }
    beat_if_due(&app, &caller, &identity::worker_id(&caller, worker)).await?;
    let declared = DeclaredTopic { name: topic.clone(), schema };
    let accepted = send(&app, &caller, worker, Some(declared)).await?;
    let row = find(&app, &caller, &topic).await?;
    let status = if accepted.repeated { StatusCode::OK } else { StatusCode::CREATED };
    let view = JobView::new(&caller, row, Some(worker));
    Ok((status, Json(view)).into_response())
}

/// Says that the worker is there, and what it claims tasks of.
pub async fn send(
    app: &App,
    caller: &Caller,
    worker: Uuid,
    topic: Option<DeclaredTopic>,
) -> Result<Accepted, ApiError> {
    let timeout = app.joblib.settings.worker_timeout();
    let mut register = Register {
        worker_id: identity::worker_id(caller, worker),
        session: ids::session_id(),
        by: caller.user.clone(),
        lease_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        topic,
    };
    for last in [false, true] {
        let command = Command::Register(Box::new(register.clone()));
        match app.commands.send(&caller.tenant, &command, Until::Answered).await? {
            Delivery::Answered(Outcome::Accepted(accepted)) => {
                app.barrier.written(accepted.n).await;
                return Ok(accepted);
            }
            // The session that was to begin has ended: the next one has not.
            Delivery::Answered(Outcome::Refused(refusal))
                if refusal.code == ProblemCode::StaleStamp && !last =>
            {
                register.session = ids::session_id();
            }
            Delivery::Answered(Outcome::Refused(refusal)) => return Err(refusal.into()),
            Delivery::Published => break,
        }
    }
    let detail = "nobody has decided yet; the request will be, and repeating it does no harm";
    Err(ApiError::new(ProblemCode::Unavailable, detail))
}

/// Reads a body whose members are all known. What is wrong is named by its place in the text.
pub fn read<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, ApiError> {
    serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            let place = (error.line(), error.column()).into();
            let error = FieldError { place: Some(place), ..FieldError::new("", error.to_string()) };
            ApiError::invalid(vec![error])
        } else {
            ApiError::new(ProblemCode::MalformedJson, error.to_string())
        }
    })
}

/// The one text for all schemas that mean the same.
fn schema(schema: &RawJson) -> Result<RawJson, ApiError> {
    let wrong = |pointer: &str, detail: String| {
        ApiError::invalid(vec![FieldError::new(format!("/schema{pointer}"), detail)])
    };
    if !schema.get().trim_start().starts_with('{') {
        return Err(wrong("", "a schema is an object".to_owned()));
    }
    schema.canonical().map_err(|error| match &error {
        NoMeaning::Twice { pointer } => wrong(pointer, error.to_string()),
        NoMeaning::Unstorable(_) => ApiError::new(ProblemCode::UnstorableJson, error.to_string()),
    })
}
