//! `PUT /v1/joblib/rooms/{room_id}/jobs`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{NoMeaning, ProblemCode, RawJson, command::DeclaredTopic};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    jobs::JobView,
    names::{self, GLOBAL},
    nothing,
};
use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract::{self, Segment},
    http::{
        body::{BODY_BYTES_MAX, read_json},
        memory::Account,
    },
    identity::auth::Caller,
    object::read,
    problem::{ApiError, FieldError},
    use_cases::{
        beat::beat_if_due,
        tasks::{register, topic, worker},
    },
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RegisterBody")]
struct Asked {
    category: String,
    name: String,
    #[serde(default = "nothing", alias = "schema_")]
    schema: RawJson,
    #[serde(default)]
    worker_id: Option<String>,
}

pub fn endpoint() -> Endpoint {
    let path = "/v1/joblib/rooms/{room_id}/jobs";
    let (id, summary) = ("register_job", "Registers a job, and the caller's worker for it.");
    Endpoint::new(Method::Put, path, Access::TENANT, (id, summary), register)
        .body(Content::json::<Asked>())
        .example(r#"{"category": "modifiers", "name": "Another", "schema": {"type": "object"}}"#)
        .answer(Answer::json::<JobView>(200, "It was registered before."))
        .answer(Answer::json::<JobView>(201, "It is registered."))
        .problems(&[
            ProblemCode::InvalidRoomId,
            ProblemCode::InvalidCategory,
            ProblemCode::SchemaConflict,
            ProblemCode::UnstorableJson,
            ProblemCode::WorkerNotFound,
            ProblemCode::JobNotFound,
            ProblemCode::StaleStamp,
            ProblemCode::Refused,
        ])
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
    extract::nothing(&uri)?;
    let room = names::room(&room)?;
    if room == GLOBAL && !caller.admin {
        let detail = format!("only admins register jobs in {GLOBAL}");
        return Err(ApiError::new(ProblemCode::Forbidden, detail));
    }
    let body = read_json(&account, &headers, body, BODY_BYTES_MAX).await?;
    let asked: Asked = read(body.text())?;
    let categories = &app.joblib.allowed_categories;
    if !categories.has(&asked.category) {
        let detail = format!("the category must be one of {}", categories.listed());
        return Err(ApiError::new(ProblemCode::InvalidCategory, detail));
    }
    let declared = names::topic(room, &asked.category, &asked.name)?;
    let schema = schema(&asked.schema)?;
    let id = worker::named_or_own(&caller, asked.worker_id.as_deref())?;
    // One of several has to be there; only one's own begins to be by this.
    if id != worker::own(&caller) {
        worker::find(&app, &caller, id).await?;
    }
    beat_if_due(&app, &caller, &worker::worker_id(&caller, id)).await?;
    let topic = DeclaredTopic { name: declared.clone(), schema };
    let accepted = register::register(&app, &caller, id, Some(topic)).await?;
    let row = topic::find(&app, &caller, &declared).await?;
    let status = if accepted.repeated { StatusCode::OK } else { StatusCode::CREATED };
    let view = JobView::new(&caller, row, Some(id));
    Ok((status, Json(view)).into_response())
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
