//! `POST /v1/joblib/rooms/{room_id}/tasks/{job_name}`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use nox_contract::{JobState, ProblemCode, RawJson, Task, WaitingCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{names, nothing, task::show, view::TaskView};
use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Header, Method, TRACEPARENT},
    extract::{self, Segments, traceparent},
    http::{
        body::{BODY_BYTES_MAX, read_json},
        memory::Account,
    },
    identity::auth::Caller,
    object::read,
    problem::{ApiError, FieldError},
    use_cases::{job_request::inputs, tasks::submit},
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TaskBody")]
struct Asked {
    #[serde(default = "nothing")]
    payload: RawJson,
}

pub fn endpoint() -> Endpoint {
    let path = "/v1/joblib/rooms/{room_id}/tasks/{job_name}";
    let (id, summary) = ("submit_task", "Submits a task of a registered job.");
    Endpoint::new(Method::Post, path, Access::TENANT, (id, summary), submit)
        .headers([TRACEPARENT])
        .body(Content::json::<Asked>())
        .example(r#"{"payload": {"angle": 90}}"#)
        .answer(Answer::json::<TaskView>(202, "The task was taken in.").headers([
            Header::text("Location", "Where the task is."),
            Header::text("Retry-After", "Seconds after which to look."),
        ]))
        .problems(&[
            ProblemCode::InvalidRoomId,
            ProblemCode::JobNotFound,
            ProblemCode::UnstorableJson,
            ProblemCode::QueueFull,
            ProblemCode::StaleStamp,
            ProblemCode::Refused,
            ProblemCode::StorageFull,
        ])
}

/// Submits a task. What its payload means is for its worker to say.
pub async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segments(room, name): Segments,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    extract::no_idempotency_key(&headers)?;
    let room = names::room(&room)?;
    let topic = names::seen_from(room, &name)?;
    let body = read_json(&account, &headers, body, BODY_BYTES_MAX).await?;
    let asked: Asked = read(body.text())?;
    if !asked.payload.get().trim_start().starts_with('{') {
        return Err(ApiError::invalid(vec![FieldError::new("/payload", "must be an object")]));
    }
    let (payload, _) = inputs(asked.payload.get(), "/payload")?;
    let task = Task { topic: topic.clone(), room: room.to_owned() };
    let created_at = app.runtime.clock.now();
    let admitted =
        submit::submit(&app, &caller, task, payload.clone(), traceparent(&headers)).await?;
    let view = match admitted.n {
        Some(n) => {
            app.barrier.written(n).await;
            show(&app, &caller, admitted.job_id, Some(n)).await?
        }
        // Nobody has decided yet, and so there is no row.
        None => TaskView {
            id: admitted.job_id,
            job_name: topic.to_string(),
            room_id: room.to_owned(),
            status: super::view::status(JobState::Queued, Some(WaitingCode::Claim)),
            state: JobState::Queued,
            created_by_id: caller.user.to_string(),
            created_at,
            started_at: None,
            completed_at: None,
            worker_id: None,
            attempt: 0,
            error: None,
            payload: Some(payload),
            result: None,
            progress: None,
            queue_position: None,
        },
    };
    let mut response = (StatusCode::ACCEPTED, Json(&view)).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/joblib/tasks/{}", view.id)) {
        headers.insert(header::LOCATION, location);
    }
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    Ok(response)
}
