//! `POST /v1/joblib/rooms/{room_id}/tasks/{job_name}`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use nox_contract::{
    JobState, RawJson, Resources, Submit, Task, WaitingCode, command::PRIORITY_DEFAULT,
};
use nox_service::ids;
use serde::Deserialize;

use super::{names, nothing, register::read, task::show, view::TaskView};
use crate::{
    app::App,
    auth::Caller,
    body::{BODY_BYTES_MAX, read_json},
    jobs::{decide, inputs, traceparent},
    memory::Account,
    problem::{ApiError, FieldError},
    routes::{self, Segments},
};

/// What a task takes of Nox's own workers.
const NOTHING: Resources = Resources { cpu: 0, mem_mb: 0, wall_time_s: 0, gpu: 0 };

const IDEMPOTENCY_KEY: &str = "idempotency-key";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default = "nothing")]
    payload: RawJson,
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
    routes::nothing(&uri)?;
    if headers.contains_key(IDEMPOTENCY_KEY) {
        // Passed over, it would make two tasks of what was meant to be one.
        let place = FieldError::new(IDEMPOTENCY_KEY, "is not known for tasks");
        return Err(ApiError::invalid(vec![place]));
    }
    let room = names::room(&room)?;
    let topic = names::seen_from(room, &name)?;
    let body = read_json(&account, &headers, body, BODY_BYTES_MAX).await?;
    let asked: Asked = read(body.text())?;
    if !asked.payload.get().trim_start().starts_with('{') {
        return Err(ApiError::invalid(vec![FieldError::new("/payload", "must be an object")]));
    }
    let (payload, _) = inputs(asked.payload.get(), "/payload")?;
    app.admission.check()?;
    let submit = Submit {
        job_id: ids::job_id(),
        user_id: caller.user.clone(),
        role: caller.role().to_owned(),
        module: Task::module(),
        module_version: None,
        worker_labels: Default::default(),
        inputs: payload.clone(),
        requested_resources: NOTHING,
        priority: PRIORITY_DEFAULT,
        run_at: None,
        after: Vec::new(),
        fingerprint: None,
        // Its id is made now, so any place in the log that there was lately will do.
        seen: app.log_end.recent().await?,
        pending: false,
        task: Some(Box::new(Task { topic: topic.clone(), room: room.to_owned() })),
        traceparent: traceparent(&headers).map(str::to_owned),
    };
    let created_at = app.runtime.clock.now();
    let admitted = decide(&app, &caller, submit).await?;
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
