//! `POST /jobs`

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, JobId, JobState, ProblemCode};
use nox_service::crash_point;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    body::JobBody,
    kind::Kind,
    request::{Asked, Manner},
};
use crate::{
    endpoint::{Access, Answer, Content, Endpoint, Header, IDEMPOTENCY_KEY, Method, TRACEPARENT},
    extract::Incoming,
    http::body::BODY_BYTES_MAX,
    problem::ApiError,
    use_cases::submit::{Admitted, Keyed, Prepared, decide, prepare},
};

/// Says that an answer repeats an earlier one, under the name that clients know from elsewhere.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The answer to a job that was taken in.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Receipt {
    job_id: JobId,
    id: JobId,
    /// What the job begins as, also while nobody has decided; in the words of its kind.
    status: &'static str,
    state: JobState,
    /// What clients of engines look for.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    /// How far it is, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
    #[serde(skip)]
    replayed: bool,
    #[serde(skip)]
    is_command: bool,
}

impl Receipt {
    /// What is said of it to whoever asked for it so.
    pub fn new(admitted: Admitted, manner: Manner) -> Self {
        let Admitted { job_id, n, replayed } = admitted;
        let is_engine = matches!(manner.kind, Kind::Engine { .. });
        let state = if manner.is_draft { JobState::Draft } else { JobState::Queued };
        let message = match state {
            JobState::Draft => "the job is a draft",
            _ => "the job waits for its turn",
        };
        Self {
            job_id,
            id: job_id,
            status: manner.kind.word(state),
            state,
            message: is_engine.then_some(message),
            progress: is_engine.then_some(0),
            n,
            pending: n.is_none(),
            replayed,
            is_command: manner.is_command,
        }
    }
}

impl Receipt {
    /// Whether it repeats an earlier answer.
    pub fn is_replayed(&self) -> bool {
        self.replayed
    }
}

impl IntoResponse for Receipt {
    fn into_response(self) -> Response {
        let status = if self.is_command { StatusCode::CREATED } else { StatusCode::ACCEPTED };
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        if let Ok(location) = HeaderValue::from_str(&format!("/jobs/{}", self.job_id)) {
            headers.insert(header::LOCATION, location);
        }
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("submit_job", "Submits a job.");
    Endpoint::new(Method::Post, "/jobs", Access::OWN, (id, summary), submit)
        .headers([IDEMPOTENCY_KEY, TRACEPARENT])
        .body(Content::json::<JobBody>())
        .example(r#"{"module": "noop", "labels": {"team": "a"}}"#)
        .answer(Answer::json::<Receipt>(201, "A command was taken in.").headers(RECEIPT_HEADERS))
        .answer(Answer::json::<Receipt>(202, "The job was taken in.").headers(RECEIPT_HEADERS))
        .problems(SUBMIT_PROBLEMS)
        .problems(&[ProblemCode::InvalidCommand])
}

pub const RECEIPT_HEADERS: &[Header] = &[
    Header::text("Location", "Where the job is."),
    Header::text(
        "Idempotency-Replayed",
        "true, where the answer repeats an earlier one under its key.",
    ),
];

/// Why a job may be refused, whatever it is asked for as.
pub const SUBMIT_PROBLEMS: &[ProblemCode] = &[
    ProblemCode::InvalidInputs,
    ProblemCode::UnstorableJson,
    ProblemCode::UnknownModule,
    ProblemCode::DisabledModule,
    ProblemCode::Parked,
    ProblemCode::IdempotencyConflict,
    ProblemCode::StaleStamp,
    ProblemCode::BudgetExhausted,
    ProblemCode::QueueFull,
    ProblemCode::RequestTooLarge,
    ProblemCode::Unsatisfiable,
    ProblemCode::Refused,
    ProblemCode::StorageFull,
];

pub async fn submit(mut incoming: Incoming) -> Result<Receipt, ApiError> {
    let body = incoming.json(BODY_BYTES_MAX).await?;
    let Incoming { app, caller, .. } = &incoming;
    let (key, traceparent) = (incoming.key()?, incoming.traceparent());
    let Asked { job, moved, manner } = Asked::parse(body.text())?;
    let keyed = key.map(|key| Keyed::new(caller, key, None, &job));
    let prepared = prepare(app, caller, &job, keyed, traceparent).await;
    let admitted = match prepared.map_err(|error| error.placed(&moved))? {
        Prepared::Known(admitted) => admitted,
        Prepared::New(submit) => decide(app, caller, *submit).await?,
    };
    crash_point("gateway.before_answer");
    Ok(Receipt::new(admitted, manner))
}
