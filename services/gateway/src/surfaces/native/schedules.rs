//! `/schedules`: jobs that are submitted again and again.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{
    FrameNumber, JobId, JobTemplate, Occurrence, Overlap, ProblemCode, ScheduleId, Timestamp,
    UserId,
};
use nox_readmodel::{query::ScheduleRow, rows::LastOccurrence};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::request::Asked as AskedJob;
use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract::{self, AskedPage, Paging, Reading, Segment},
    http::{
        body::{read_json, read_nothing},
        memory::Account,
        page::{self, Next},
    },
    identity::auth::Caller,
    object,
    problem::{ApiError, FieldError},
    use_cases::schedules::{self, Wanted},
};

/// Most times that are told of one schedule.
const NEXT_MAX: usize = 100;
/// Largest body, in bytes: that of a job, and the rest.
const BODY_BYTES_MAX: usize = 128 * 1024;
/// How late an occurrence may be submitted where nothing else is said, in seconds.
const CATCH_UP_S: u32 = 3_600;

const ALL: &str = "/schedules";
const ONE: &str = "/schedules/{id}";

pub fn endpoints() -> Vec<Endpoint> {
    let create_named = ("create_schedule", "Submits a job again and again, from now on.");
    let list_named = ("list_schedules", "The asker's schedules; for admins, all of the tenant.");
    let get_named = ("get_schedule", "A schedule, and when it is due next.");
    let replace_named = ("replace_schedule", "Submits something else, or at other times.");
    let delete_named = ("delete_schedule", "Submits no more; jobs that it submitted go on.");
    let pause_named = ("pause_schedule", "Submits nothing for now.");
    let resume_named = ("resume_schedule", "Goes on; what was due meanwhile is not made up for.");
    let trigger_named =
        ("trigger_schedule", "Submits the schedule's job at once, beside its times.");
    let access = Access::OWNER_OR_ADMIN;
    vec![
        changing(Endpoint::new(Method::Post, ALL, Access::OWN, create_named, create), 201)
            .body(Content::json::<SetBody>()),
        Endpoint::new(Method::Get, ALL, access, list_named, list)
            .query::<AskedPage>()
            .page::<Listed>("A page."),
        Endpoint::new(Method::Get, ONE, access, get_named, get)
            .query::<AskedNext>()
            .answer(Answer::json::<ScheduleView>(200, "The schedule."))
            .problems(&[ProblemCode::ScheduleNotFound]),
        changing(Endpoint::new(Method::Put, ONE, access, replace_named, replace), 200)
            .body(Content::json::<SetBody>()),
        changing(Endpoint::new(Method::Delete, ONE, access, delete_named, delete), 200),
        changing(
            Endpoint::new(Method::Post, "/schedules/{id}/pause", access, pause_named, pause),
            200,
        ),
        changing(
            Endpoint::new(Method::Post, "/schedules/{id}/resume", access, resume_named, resume),
            200,
        ),
        Endpoint::new(Method::Post, "/schedules/{id}/trigger", access, trigger_named, trigger)
            .answer(Answer::json::<Triggered>(202, "Its job is submitted, or will be decided."))
            .problems(&[
                ProblemCode::ScheduleNotFound,
                ProblemCode::ModuleNotFound,
                ProblemCode::DisabledModule,
                ProblemCode::BudgetExhausted,
                ProblemCode::QueueFull,
                ProblemCode::RequestTooLarge,
                ProblemCode::Unsatisfiable,
                ProblemCode::StaleStamp,
            ]),
    ]
}

fn changing(endpoint: Endpoint, status: u16) -> Endpoint {
    endpoint
        .answer(Answer::json::<Changed>(status, "It is so now."))
        .answer(Answer::json::<Changed>(202, "It will be decided."))
        .problems(&[
            ProblemCode::ScheduleNotFound,
            ProblemCode::ModuleNotFound,
            ProblemCode::DisabledModule,
            ProblemCode::InvalidInputs,
            ProblemCode::UnstorableJson,
            ProblemCode::Unsatisfiable,
            ProblemCode::TooMany,
        ])
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SetSchedule")]
struct SetBody {
    /// For people; 1 to 128 bytes.
    name: String,
    /// Five fields (names, ranges, lists, steps), or a word such as `@daily`.
    cron: String,
    /// As IANA names it; `UTC` if absent.
    #[serde(default = "utc")]
    time_zone: String,
    /// What becomes of an occurrence while the job of an earlier one has not ended.
    #[serde(default)]
    overlap: Overlap,
    /// How late an occurrence may still be submitted after a downtime, in seconds, at most a week; of several
    /// the last one is.
    #[serde(default = "catch_up_s")]
    #[schemars(range(max = 604_800))]
    catch_up_s: u32,
    /// As the body of `POST /jobs`, without `run_at` and `after`.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    job: Box<RawValue>,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn catch_up_s() -> u32 {
    CATCH_UP_S
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskedNext {
    /// How many of the times at which it is due next are told; 1 if absent.
    #[schemars(range(max = 100))]
    next: Option<usize>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Schedules")]
struct Listed {
    schedules: Vec<ScheduleView>,
    /// The cursor of the next page; null on the last.
    next: Option<ScheduleId>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Schedule")]
struct ScheduleView {
    id: ScheduleId,
    name: String,
    user_id: UserId,
    cron: String,
    time_zone: String,
    overlap: Overlap,
    catch_up_s: u32,
    job: JobTemplate,
    paused: bool,
    /// When it is due next, as it was decided; null while it is paused, and of one that is never due again.
    next_due_at: Option<Timestamp>,
    /// When it is due next and after that, by the rules of its zone as they are known now.
    next_times: Vec<Timestamp>,
    /// The newest occurrence.
    last: Option<Last>,
    last_job_id: Option<JobId>,
    created_at: Timestamp,
    n: FrameNumber,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScheduleOccurrence")]
struct Last {
    due_at: Timestamp,
    /// When it was decided.
    at: Timestamp,
    /// `submitted`, `refused`, `skipped`, `queued` or `missed`.
    outcome: &'static str,
    /// Why it was refused.
    code: Option<ProblemCode>,
    detail: Option<String>,
}

/// What became of a change.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScheduleChanged")]
struct Changed {
    id: ScheduleId,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScheduleTriggered")]
struct Triggered {
    schedule_id: ScheduleId,
    job_id: JobId,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

impl ScheduleView {
    fn new(row: ScheduleRow, now: Timestamp, count: usize) -> Self {
        let next_times = schedules::next_times(&row, now, count);
        let (id, row) = row;
        let spec = row.spec;
        Self {
            id,
            name: spec.name,
            user_id: row.owner,
            cron: spec.cron,
            time_zone: spec.time_zone,
            overlap: spec.overlap,
            catch_up_s: spec.catch_up_s,
            job: spec.job,
            paused: row.paused,
            next_due_at: row.next_due_at,
            next_times,
            last: row.last.map(Last::from),
            last_job_id: row.last_job,
            created_at: row.created_at,
            n: row.n,
        }
    }
}

impl From<LastOccurrence> for Last {
    fn from(last: LastOccurrence) -> Self {
        let LastOccurrence { due_at, at, outcome } = last;
        let refusal = match &outcome {
            Occurrence::Refused { refusal } => Some((refusal.code, refusal.detail.clone())),
            _ => None,
        };
        let (code, detail) = refusal.unzip();
        Self { due_at, at, outcome: outcome.as_str(), code, detail }
    }
}

pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    extract::no_idempotency_key(&headers)?;
    let wanted = wanted(&account, &headers, body).await?;
    let (id, accepted) = schedules::set(&app, &caller, None, wanted).await?;
    Ok(changed(id, accepted.map(|accepted| accepted.n), StatusCode::CREATED))
}

pub async fn replace(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    request: Request,
) -> Result<Response, ApiError> {
    extract::nothing(request.uri())?;
    let id = schedule_id(&id)?;
    let (head, body) = request.into_parts();
    let wanted = wanted(&account, &head.headers, body).await?;
    let (id, accepted) = schedules::set(&app, &caller, Some(id), wanted).await?;
    Ok(changed(id, accepted.map(|accepted| accepted.n), StatusCode::OK))
}

async fn wanted(account: &Account, headers: &HeaderMap, body: Body) -> Result<Wanted, ApiError> {
    let body = read_json(account, headers, body, BODY_BYTES_MAX).await?;
    let SetBody { name, cron, time_zone, overlap, catch_up_s, job } = object::read(body.text())?;
    let job = AskedJob::parse(job.get())?.job;
    Ok(Wanted { name, cron, time_zone, overlap, catch_up_s, job })
}

pub async fn list(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let paging: Paging<ScheduleId> = extract::paging(&uri)?;
    let mut rows = schedules::list(&app, &caller, paging.after, paging.wanted()).await?;
    let next = paging.cut(&mut rows, |(id, _)| *id);
    let now = app.runtime.clock.wall();
    let schedules = rows.into_iter().map(|row| ScheduleView::new(row, now, 1)).collect();
    let listed = Listed { schedules, next };
    page::answer(&uri, &headers, &listed, &Next::page(next.map(|id| id.to_string())))
}

pub async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    uri: Uri,
) -> Result<Response, ApiError> {
    let AskedNext { next } = extract::query(&uri)?;
    let count = next.unwrap_or(1);
    if count > NEXT_MAX {
        let detail = format!("must be from 0 to {NEXT_MAX}");
        return Err(ApiError::invalid(vec![FieldError::new("?next", detail)]));
    }
    let row = schedules::find(&app, &caller, schedule_id(&id)?).await?;
    Ok(Json(ScheduleView::new(row, app.runtime.clock.wall(), count)).into_response())
}

pub async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = without_body(&account, &id, request).await?;
    let accepted = schedules::delete(&app, &caller, id).await?;
    Ok(changed(id, accepted.map(|accepted| accepted.n), StatusCode::OK))
}

pub async fn pause(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = without_body(&account, &id, request).await?;
    let accepted = schedules::pause(&app, &caller, id, true).await?;
    Ok(changed(id, accepted.map(|accepted| accepted.n), StatusCode::OK))
}

pub async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    request: Request,
) -> Result<Response, ApiError> {
    let id = without_body(&account, &id, request).await?;
    let accepted = schedules::pause(&app, &caller, id, false).await?;
    Ok(changed(id, accepted.map(|accepted| accepted.n), StatusCode::OK))
}

pub async fn trigger(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    request: Request,
) -> Result<Response, ApiError> {
    extract::no_idempotency_key(request.headers())?;
    let schedule_id = without_body(&account, &id, request).await?;
    let (job_id, accepted) = schedules::trigger(&app, &caller, schedule_id).await?;
    let pending = accepted.is_none();
    let n = accepted.map(|accepted| accepted.n);
    let triggered = Triggered { schedule_id, job_id, n, pending };
    Ok((StatusCode::ACCEPTED, Json(triggered)).into_response())
}

async fn without_body(
    account: &Account,
    id: &str,
    request: Request,
) -> Result<ScheduleId, ApiError> {
    extract::nothing(request.uri())?;
    let (head, body) = request.into_parts();
    read_nothing(account, &head.headers, body).await?;
    schedule_id(id)
}

fn schedule_id(text: &str) -> Result<ScheduleId, ApiError> {
    text.parse().map_err(|_| schedules::no_such_schedule())
}

fn changed(id: ScheduleId, n: Option<FrameNumber>, status: StatusCode) -> Response {
    let status = if n.is_some() { status } else { StatusCode::ACCEPTED };
    (status, Json(Changed { id, n, pending: n.is_none() })).into_response()
}
