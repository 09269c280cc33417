//! `GET /audit`: who did what, for admins: acts of their tenant, from the log itself.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use nox_contract::{
    EpochRecord, FactPlace, Frame, FrameNumber, JobId, ProblemCode, TenantId, UserId,
    audit::{self, Act, Outcome},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{Access, Answer, Content, Endpoint, LINK, Method},
    extract::{self, PAGE, Paging, Reading},
    http::page::{self, Next},
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    use_cases::look_through::{self, INSTANT, look_through, parsed},
};

const NDJSON: &str = "application/x-ndjson";

pub fn endpoint() -> Endpoint {
    let (id, summary) = (
        "list_acts",
        "Who did what, from where, by which token, why, and what became of it; for admins, newest first.",
    );
    let contents = vec![Content::json::<Page>(), Content::Other(NDJSON)];
    Endpoint::new(Method::Get, "/audit", Access::ADMIN, (id, summary), list)
        .query::<Query>()
        .answer(Answer::of(200, "A page.", contents).headers([LINK]))
        .problems(&[ProblemCode::PlaceGone])
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    #[schemars(with = "Option<u32>", range(min = 1, max = 200))]
    limit: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// `at`: the oldest first.
    sort: Option<String>,
    /// Who asked.
    user_id: Option<String>,
    /// What was done, as `job.cancel`, or all of a kind, as `job`.
    verb: Option<String>,
    /// Of this job alone.
    job_id: Option<String>,
    /// `done` or `refused`.
    outcome: Option<String>,
    /// Not before this instant.
    since: Option<String>,
    /// Before this instant.
    until: Option<String>,
}

/// Acts, as far as they were looked for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Acts")]
pub(super) struct Page {
    pub acts: Vec<Act>,
    /// The cursor of the next page, which may have some even where this one has none; null at the end.
    pub next: Option<FactPlace>,
}

/// Which acts are wanted.
struct Wanted {
    tenant: TenantId,
    user: Option<UserId>,
    verb: Option<String>,
    job: Option<JobId>,
    outcome: Option<Outcome>,
}

impl Wanted {
    /// Those of the tenant's, and, for those who run the system, those of the system.
    fn wants(&self, act: &Act) -> bool {
        let verb = |wanted: &String| {
            act.verb
                .strip_prefix(wanted.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let job = |wanted: &JobId| act.object.kind == "job" && act.object.id == wanted.to_string();
        let of_system = act.tenant.is_system() && self.tenant.as_str() == TenantId::DEFAULT;
        (act.tenant == self.tenant || of_system)
            && self.user.as_ref().is_none_or(|user| act.user_id.as_ref() == Some(user))
            && self.verb.as_ref().is_none_or(verb)
            && self.job.as_ref().is_none_or(job)
            && self.outcome.is_none_or(|outcome| act.outcome == outcome)
    }
}

impl Query {
    fn read(self, caller: &Caller) -> Result<(look_through::Asked, Wanted), ApiError> {
        let mut errors = Vec::new();
        let paging: Paging<FactPlace> =
            Paging::read((self.limit.as_deref(), self.cursor.as_deref()), PAGE, &mut errors);
        let oldest_first = look_through::sort(self.sort.as_deref(), &mut errors);
        let outcome = match self.outcome.as_deref() {
            None | Some("") => None,
            Some("done") => Some(Outcome::Done),
            Some("refused") => Some(Outcome::Refused),
            Some(_) => {
                errors.push(FieldError::new("?outcome", "must be done or refused"));
                None
            }
        };
        let user = parsed("?user_id", self.user_id, "must be a user's id", &mut errors);
        let job = parsed("?job_id", self.job_id, "must be a UUID", &mut errors);
        let since = parsed("?since", self.since, INSTANT, &mut errors);
        let until = parsed("?until", self.until, INSTANT, &mut errors);
        if !errors.is_empty() {
            return Err(ApiError::invalid(errors));
        }
        let Paging { limit, after: cursor } = paging;
        let asked = look_through::Asked { cursor, limit, oldest_first, since, until, frames: None };
        let tenant = caller.tenant.clone();
        let verb = self.verb.filter(|verb| !verb.is_empty());
        Ok((asked, Wanted { tenant, user, verb, job, outcome }))
    }
}

/// The acts of a message of the log.
pub(super) fn acts(n: FrameNumber, payload: &[u8]) -> serde_json::Result<Vec<Act>> {
    match serde_json::from_slice::<Frame>(payload) {
        Ok(frame) => Ok(audit::acts(&frame)),
        Err(error) => match serde_json::from_slice::<EpochRecord>(payload) {
            Ok(record) => Ok(vec![audit::term(n, &record)]),
            Err(_) => Err(error),
        },
    }
}

async fn list(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let (asked, wanted) = extract::query::<Query>(&uri)?.read(&caller)?;
    let found = look_through(&app, &asked, |n, payload| {
        let acts = acts(n, payload)?.into_iter().filter(|act| wanted.wants(act));
        Ok(acts.map(|act| (act.id, act)).collect())
    });
    let found = found.await?;
    let next = Next::page(found.next.map(|next| next.to_string()));
    if !wants_lines(&headers) {
        return page::answer(&uri, &headers, &Page { acts: found.rows, next: found.next }, &next);
    }
    let mut lines = Vec::new();
    for act in &found.rows {
        serde_json::to_writer(&mut lines, act).map_err(ApiError::internal)?;
        lines.push(b'\n');
    }
    let links = HeaderValue::from_str(&page::links(&uri, &next)).map_err(ApiError::internal)?;
    let kind = HeaderValue::from_static(NDJSON);
    Ok(([(header::CONTENT_TYPE, kind), (header::LINK, links)], Body::from(lines)).into_response())
}

fn wants_lines(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.split(',').any(|kind| kind.trim() == NDJSON))
}
