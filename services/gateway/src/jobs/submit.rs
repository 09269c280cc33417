//! `POST /jobs`

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nox_contract::{Command, EventNumber, JobId, JobState, Outcome, ProblemCode, Refusal, Submit};
use nox_service::{crash_point, ids};
use serde::Serialize;

use super::{
    find::{find, row},
    request::{JobRequest, idempotency_key},
};
use crate::{
    app::App,
    auth::Caller,
    body::{BODY_BYTES_MAX, read_json},
    commands::{Delivery, Undelivered, Until},
    problem::{ApiError, FieldError},
};

/// Says that an answer repeats an earlier one, under the name that clients know from elsewhere.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A job that will be decided, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Admitted {
    pub job_id: JobId,
    pub id: JobId,
    /// What the job begins as; absent while nobody has decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<JobState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    /// A reader that names this number sees the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<EventNumber>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
    /// Whether an earlier request with the same key was answered so.
    #[serde(skip)]
    pub replayed: bool,
}

impl Admitted {
    fn decided(job_id: JobId, n: EventNumber, replayed: bool) -> Self {
        let queued = Some(JobState::Queued);
        Self {
            job_id,
            id: job_id,
            status: queued,
            state: queued,
            n: Some(n),
            pending: false,
            replayed,
        }
    }

    fn pending(job_id: JobId) -> Self {
        Self {
            job_id,
            id: job_id,
            status: None,
            state: None,
            n: None,
            pending: true,
            replayed: false,
        }
    }
}

impl IntoResponse for Admitted {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::ACCEPTED, Json(&self)).into_response();
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

pub async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Admitted, ApiError> {
    let key = idempotency_key(&headers)?;
    let text = read_json(&headers, body, BODY_BYTES_MAX).await?;
    let request = JobRequest::parse(&text)?;
    let admitted = admit(&app, &caller, &request, key, traceparent(&headers)).await?;
    crash_point("gateway.before_answer");
    Ok(admitted)
}

/// Admits one job: looks it over, asks the scheduler, and says what the asker may rely on.
pub async fn admit(
    app: &App,
    caller: &Caller,
    request: &JobRequest,
    key: Option<&str>,
    traceparent: Option<&str>,
) -> Result<Admitted, ApiError> {
    let module = app.modules.get(&request.module).await?;
    module.check(&request.inputs)?;
    let mut submit = Submit {
        job_id: match key {
            Some(key) => ids::keyed_job_id(&caller.tenant, &caller.user, key),
            None => ids::job_id(),
        },
        user_id: caller.user.clone(),
        role: caller.role().to_owned(),
        module: request.module.clone(),
        inputs: request.inputs.clone(),
        requested_resources: request.resources.or(module.resources),
        priority: request.priority,
        run_at: request.run_at,
        after: unmet(app, caller, request).await?,
        fingerprint: key.map(|_| request.fingerprint()),
        seen: app.barrier.seen(),
        pending: false,
        traceparent: traceparent.map(str::to_owned),
    };

    // Once more if the stamp was too old; a second time in a row that can't be.
    for fresh in [false, true] {
        if key.is_some() {
            match first_use(app, caller, &mut submit, fresh).await? {
                Use::First => {}
                Use::Repetition(admitted) => return Ok(admitted),
            }
        } else if fresh || submit.seen == EventNumber(0) {
            submit.seen = app.barrier.now().await?.n;
        }
        match ask(app, caller, &mut submit).await? {
            Asked::Admitted(admitted) => return Ok(admitted),
            Asked::Refused(refusal) if refusal.code == ProblemCode::StaleStamp && !fresh => {}
            Asked::Refused(refusal) => return Err(refusal.into()),
        }
    }
    Err(ApiError::new(ProblemCode::StaleStamp, "the stamp of the submit was too old, twice"))
}

enum Use {
    First,
    Repetition(Admitted),
}

/// Finds out whether the key was used, and stamps the submit with the place in the log up to which
/// it was not.
///
/// The stamp is what makes this safe without waiting for the projection: the scheduler knows every
/// id of the last quarter of an hour by itself and refuses older stamps, and only then the
/// projection is waited for.
async fn first_use(
    app: &App,
    caller: &Caller,
    submit: &mut Submit,
    wait: bool,
) -> Result<Use, ApiError> {
    let at = if wait { app.barrier.commands().await? } else { app.barrier.now().await? };
    submit.seen = at.n;
    let Some(row) = row(app, &caller.tenant, submit.job_id).await? else { return Ok(Use::First) };
    // A job's id comes from tenant, user and key, so the row is the asker's own.
    if row.fingerprint != submit.fingerprint {
        let detail = "the key was used for another request";
        return Err(ApiError::new(ProblemCode::IdempotencyConflict, detail));
    }
    Ok(Use::Repetition(Admitted::decided(row.id, row.submitted_n, true)))
}

enum Asked {
    Admitted(Admitted),
    Refused(Refusal),
}

async fn ask(app: &App, caller: &Caller, submit: &mut Submit) -> Result<Asked, ApiError> {
    let job_id = submit.job_id;
    match send(app, caller, submit, Until::Answered).await? {
        Delivery::Answered { outcome: Outcome::Accepted(accepted), .. } => {
            app.barrier.saw(accepted.n);
            let admitted = Admitted::decided(job_id, accepted.n, accepted.repeated);
            return Ok(Asked::Admitted(admitted));
        }
        Delivery::Answered { outcome: Outcome::Refused(refusal), .. } => {
            return Ok(Asked::Refused(refusal));
        }
        Delivery::Published => {}
    }
    // The asker is told that the job is pending, so from here on a refusal has to become a job
    // that can be looked up.
    submit.pending = true;
    send(app, caller, submit, Until::Published).await?;
    Ok(Asked::Admitted(Admitted::pending(job_id)))
}

async fn send(
    app: &App,
    caller: &Caller,
    submit: &Submit,
    until: Until,
) -> Result<Delivery, Undelivered> {
    let command = Command::Submit(Box::new(submit.clone()));
    app.commands.send(&caller.tenant, &command, until).await
}

/// The jobs that still have to succeed. All have to be the asker's to see, else `after` would tell
/// which ids exist; those that have succeeded are left out, since the scheduler forgets them.
async fn unmet(app: &App, caller: &Caller, request: &JobRequest) -> Result<Vec<JobId>, ApiError> {
    let mut unmet = Vec::new();
    for (place, id) in request.after.iter().enumerate() {
        match find(app, caller, *id, None).await {
            Ok(row) if row.status == JobState::Succeeded => {}
            Ok(row) if row.status.is_ended() => {
                return Err(after_error(place, "has ended without success"));
            }
            Ok(_) => unmet.push(*id),
            Err(error) if error.code() == ProblemCode::JobNotFound => {
                return Err(after_error(place, "is no job that you may see"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(unmet)
}

fn after_error(place: usize, detail: &str) -> ApiError {
    ApiError::invalid(vec![FieldError::new(format!("/after/{place}"), detail)])
}

/// The W3C trace context of a request, if it is one.
pub fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let lengths = text.split('-').map(str::len);
    let hex = text.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (hex && lengths.eq([2, 32, 16, 2])).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trace_context_is_passed_on() {
        let mut headers = HeaderMap::new();
        assert_eq!(traceparent(&headers), None);
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert("traceparent", good.parse().unwrap());
        assert_eq!(traceparent(&headers), Some(good));
        for bad in ["", "00", &good.to_uppercase(), &format!("{good}-x"), &good[1..]] {
            headers.insert("traceparent", bad.parse().unwrap());
            assert_eq!(traceparent(&headers), None, "{bad}");
        }
    }
}
