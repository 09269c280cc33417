//! `POST /jobs`

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, JobId, JobState, ModuleName, ProblemCode, Resources, Submit};
use nox_service::crash_point;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    body::JobBody,
    kind::Kind,
    request::{Asked, Manner},
};
use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Header, IDEMPOTENCY_KEY, Method, TRACEPARENT},
    extract::Incoming,
    http::body::BODY_BYTES_MAX,
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    use_cases::{
        dry_run,
        submit::{Admitted, Keyed, Prepared, decide, prepare},
    },
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
        .query::<Query>()
        .headers([IDEMPOTENCY_KEY, TRACEPARENT])
        .body(Content::json::<JobBody>())
        .example(r#"{"module": "noop", "labels": {"team": "a"}}"#)
        .answer(Answer::json::<DryRun>(200, "What would become of it; nothing was recorded."))
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

/// The query of a submit.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// `true`: judge the job, and record nothing.
    #[schemars(with = "Option<bool>")]
    dry_run: Option<String>,
}

/// What would become of a job that is not submitted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DryRun {
    /// Nothing was recorded.
    dry_run: bool,
    /// The job that the request's key has made already, if it has.
    known_job_id: Option<JobId>,
    /// The job as it would be; absent where there is one already.
    job: Option<Foreseen>,
    /// Whether the limits of the asker and its tenant are known, and there is room: those of a user are not known before
    /// its first submit.
    limits_known: bool,
}

/// A job as it would be.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ForeseenJob")]
struct Foreseen {
    module: ModuleName,
    module_version: Option<String>,
    state: JobState,
    priority: u8,
    requested_resources: Resources,
    /// Core seconds of the day's budget that it would reserve; 0 of a draft.
    cpu_seconds: i64,
    /// The jobs that it would wait for.
    after: Vec<JobId>,
}

/// What a submit is answered with.
pub enum Submitted {
    Receipt(Receipt),
    DryRun(Box<DryRun>),
}

impl IntoResponse for Submitted {
    fn into_response(self) -> Response {
        match self {
            Self::Receipt(receipt) => receipt.into_response(),
            Self::DryRun(judged) => Json(*judged).into_response(),
        }
    }
}

impl Foreseen {
    fn new(submit: Submit) -> Self {
        let Submit { module, module_version, priority, requested_resources, after, .. } = submit;
        let (state, cpu_seconds) = match submit.draft {
            true => (JobState::Draft, 0),
            false => (JobState::Queued, requested_resources.cpu_seconds()),
        };
        Self { module, module_version, state, priority, requested_resources, cpu_seconds, after }
    }
}

pub async fn submit(mut incoming: Incoming) -> Result<Submitted, ApiError> {
    let Query { dry_run } = incoming.query()?;
    let is_dry = match dry_run.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            let error = FieldError::new("?dry_run", "must be true or false");
            return Err(ApiError::invalid(vec![error]));
        }
    };
    let body = incoming.json_beside_query(BODY_BYTES_MAX).await?;
    let Incoming { app, caller, .. } = &incoming;
    let (key, traceparent) = (incoming.key()?, incoming.traceparent());
    let Asked { job, moved, manner } = Asked::parse(body.text())?;
    let keyed = key.map(|key| Keyed::new(caller, key, None, &job));
    let prepared = prepare(app, caller, &job, keyed, traceparent).await;
    let prepared = prepared.map_err(|error| error.placed(&moved))?;
    if is_dry {
        return judged(app, caller, prepared).await.map(|of| Submitted::DryRun(Box::new(of)));
    }
    let admitted = match prepared {
        Prepared::Known(admitted) => admitted,
        Prepared::New(submit) => decide(app, caller, *submit).await?,
    };
    crash_point("gateway.before_answer");
    Ok(Submitted::Receipt(Receipt::new(admitted, manner)))
}

async fn judged(app: &App, caller: &Caller, prepared: Prepared) -> Result<DryRun, ApiError> {
    let (known_job_id, job, limits_known) = match prepared {
        Prepared::Known(admitted) => (Some(admitted.job_id), None, true),
        Prepared::New(submit) => {
            let are_known = dry_run::check_limits(app, caller, &submit).await?;
            (None, Some(Foreseen::new(*submit)), are_known)
        }
    };
    Ok(DryRun { dry_run: true, known_job_id, job, limits_known })
}
