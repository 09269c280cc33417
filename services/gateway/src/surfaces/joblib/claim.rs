//! `POST /v1/joblib/tasks/claim`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, Uri},
};
use nox_contract::ProblemCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{task::show, view::TaskView};
use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract,
    http::{
        body::{BODY_BYTES_MAX, read_json_or_nothing},
        memory::Account,
    },
    identity::auth::Caller,
    object::read,
    problem::ApiError,
    use_cases::{
        beat::beat_if_due,
        tasks::{claim, worker},
    },
};

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ClaimBody")]
struct Asked {
    #[serde(default)]
    worker_id: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ClaimedTask")]
pub struct Claimed {
    task: Option<TaskView>,
}

pub fn endpoint() -> Endpoint {
    let path = "/v1/joblib/tasks/claim";
    let (id, summary) = ("claim_task", "Gives a worker the oldest task of its jobs, if any waits.");
    Endpoint::new(Method::Post, path, Access::OWN, (id, summary), claim)
        .optional_body(Content::json::<Asked>())
        .example(r#"{}"#)
        .answer(Answer::json::<Claimed>(200, "The task, or null."))
        .problems(&[ProblemCode::WorkerNotFound, ProblemCode::TaskNotFound, ProblemCode::Refused])
}

/// Gives the worker the oldest task of its jobs, if any waits.
pub async fn claim(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Claimed>, ApiError> {
    extract::nothing(&uri)?;
    let body = read_json_or_nothing(&account, &headers, body, BODY_BYTES_MAX).await?;
    let asked: Asked = body.map(|body| read(body.text())).transpose()?.unwrap_or_default();
    let worker = worker::named_or_own(&caller, asked.worker_id.as_deref())?;
    let worker_id = worker::worker_id(&caller, worker);
    beat_if_due(&app, &caller, &worker_id).await?;
    let Some(claimed) = claim::claim(&app, &caller, worker_id).await? else {
        return Ok(Json(Claimed { task: None }));
    };
    let task = show(&app, &caller, claimed.id, Some(claimed.n)).await?;
    claimed.delivered();
    Ok(Json(Claimed { task: Some(task) }))
}
