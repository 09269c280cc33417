//! `POST /api/jobs` and `POST /api/releases/{release_id}/actions/{job_type}`

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nox_contract::{JobId, JobState, Metadata, ModuleName, ProblemCode, RawJson, metadata};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::word;
use crate::{
    endpoint::{Access, Answer, Content, Endpoint, IDEMPOTENCY_KEY, Method, TRACEPARENT},
    extract::{self, Incoming, Segments},
    http::body::BODY_BYTES_MAX,
    object::read,
    problem::{ApiError, FieldError, Moved},
    surfaces::native::submit::{RECEIPT_HEADERS, SUBMIT_PROBLEMS},
    use_cases::{
        job_request::{JobRequest, inputs},
        submit::{Admitted, Keyed, Prepared, decide, prepare},
        submit_batch::Shared,
    },
};

/// What can be done with a release by naming it: each is the module of the same name. Others are jobs like any.
const ACTIONS: [&str; 5] = ["nfofix", "readnfo", "repack", "dirfix", "packaging"];

pub fn endpoints() -> [Endpoint; 2] {
    let answered = |endpoint: Endpoint| {
        endpoint
            .headers([IDEMPOTENCY_KEY, TRACEPARENT])
            .problems(SUBMIT_PROBLEMS)
            .answer(Answer::json::<Receipt>(201, "It was taken in.").headers(RECEIPT_HEADERS))
            .answer(Answer::json::<Receipt>(202, "It will be decided.").headers(RECEIPT_HEADERS))
    };
    let jobs = ("api_create_job", "Submits a job of a type, for a release.");
    let actions = ("api_create_action", "Has something done with a release.");
    let path = "/api/releases/{release_id}/actions/{job_type}";
    [
        answered(Endpoint::new(Method::Post, "/api/jobs", Access::OWN, jobs, create))
            .body(Content::json::<Asked>())
            .example(r#"{"job_type": "noop", "release_id": "r-1", "config_json": {}}"#)
            .problems(&[ProblemCode::InvalidCommand]),
        answered(Endpoint::new(Method::Post, path, Access::OWN, actions, act))
            .optional_body(Content::json::<serde_json::Map<String, serde_json::Value>>())
            .example(r#"{"nfo": "Title: Some Film"}"#)
            .problems(&[ProblemCode::ModuleNotFound]),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReleaseJobBody")]
struct Asked {
    /// The module that does it.
    job_type: ModuleName,
    #[serde(default)]
    release_id: Option<String>,
    /// Its inputs.
    #[serde(default)]
    config_json: Option<RawJson>,
}

/// The answer to a job that was taken in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReleaseReceipt")]
pub struct Receipt {
    job_id: JobId,
    id: JobId,
    release_id: Option<String>,
    status: &'static str,
    state: JobState,
}

/// Where the body of a job of a type has what a job has.
const OF_JOB: &[Moved] =
    &[Moved { to: "/module", from: "/job_type" }, Moved { to: "/inputs", from: "/config_json" }];

/// The same of an action, whose body is the inputs.
const OF_ACTION: &[Moved] = &[Moved { to: "/inputs", from: "" }];

async fn create(mut incoming: Incoming) -> Result<Response, ApiError> {
    let body = incoming.json(BODY_BYTES_MAX).await?;
    let Asked { job_type, release_id, config_json } = read(body.text())?;
    let config = config_json.unwrap_or_default();
    let request = request(job_type, release_id, config.get(), "/config_json")?;
    let Incoming { app, caller, .. } = &incoming;
    let (key, traceparent) = (incoming.key()?, incoming.traceparent());
    let submitted = submit(Shared { app, caller, key, traceparent }, request).await;
    submitted.map_err(|error| error.placed(OF_JOB))
}

async fn act(
    Segments(release, job_type): Segments,
    mut incoming: Incoming,
) -> Result<Response, ApiError> {
    extract::nothing(incoming.uri())?;
    let body = incoming.json_or_nothing(BODY_BYTES_MAX).await?;
    if !ACTIONS.contains(&job_type.as_str()) {
        let detail = format!("the actions of a release are {}", ACTIONS.join(", "));
        return Err(ApiError::new(ProblemCode::ModuleNotFound, detail));
    }
    let job_type = job_type.parse().map_err(ApiError::internal)?;
    let config = body.as_ref().map_or("{}", |body| body.text());
    let placed = |error: ApiError| match error.code() {
        // The path names it.
        ProblemCode::UnknownModule => error.placeless(),
        _ => error.placed(OF_ACTION),
    };
    let request = request(job_type, Some(release), config, "/inputs").map_err(placed)?;
    let Incoming { app, caller, .. } = &incoming;
    let (key, traceparent) = (incoming.key()?, incoming.traceparent());
    submit(Shared { app, caller, key, traceparent }, request).await.map_err(placed)
}

/// A job of a type, for a release. `place` names where its inputs stand in the body.
pub fn request(
    job_type: ModuleName,
    release_id: Option<String>,
    config: &str,
    place: &str,
) -> Result<JobRequest, ApiError> {
    if let Some(Err(rule)) = release_id.as_deref().map(metadata::check_release_id) {
        return Err(ApiError::invalid(vec![FieldError::new("/release_id", rule)]));
    }
    let (inputs, canonical_inputs) = inputs(config, place)?;
    let metadata = Metadata { release_id, ..Metadata::default() };
    Ok(JobRequest { metadata, ..JobRequest::new(job_type, inputs, canonical_inputs) })
}

async fn submit(asker: Shared<'_>, request: JobRequest) -> Result<Response, ApiError> {
    let admitted = admit(asker, &request).await?;
    let release_id = request.metadata.release_id;
    let (id, state) = (admitted.job_id, JobState::Queued);
    let receipt = Receipt { job_id: id, id, release_id, status: word(state), state };
    let code = if admitted.n.is_some() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    let mut response = (code, Json(receipt)).into_response();
    let location = HeaderValue::from_str(&format!("/api/jobs/{id}"));
    response.headers_mut().extend(location.ok().map(|location| (header::LOCATION, location)));
    Ok(response)
}

/// Submits it, with the asker's key where it has one.
pub async fn admit(asker: Shared<'_>, request: &JobRequest) -> Result<Admitted, ApiError> {
    let Shared { app, caller, key, traceparent } = asker;
    let keyed = key.map(|key| Keyed::new(caller, key, None, request));
    match prepare(app, caller, request, keyed, traceparent).await? {
        Prepared::Known(admitted) => Ok(admitted),
        Prepared::New(submit) => decide(app, caller, *submit).await,
    }
}
