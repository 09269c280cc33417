//! `GET /quotas/{user}/ledger`, `GET /tenants/{tenant}/quotas/ledger`: each movement of an account's budget, with the
//! fact that says so, from the log itself.

use std::sync::Arc;

use axum::{http::Uri, response::Response};
use nox_contract::{
    EpochRecord, Fact, FactOrUnknown, FactPlace, Frame, FrameNumber, JobId, ProblemCode, Timestamp,
    subject,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Named;
use crate::{
    app::App,
    endpoint::{Access, Endpoint, Method},
    extract::{self, PAGE, Paging, Reading, Segment},
    http::page::{self, Next},
    problem::ApiError,
    read::required::Required,
    use_cases::{
        look_through::{self, look_through},
        quotas,
    },
};

pub fn endpoints() -> [Endpoint; 2] {
    let user = ("list_quota_entries", "What moved a user's budget, newest first.");
    let tenant = ("list_tenant_quota_entries", "What moved a tenant's budget, newest first.");
    [
        Endpoint::new(Method::Get, "/quotas/{user}/ledger", Access::OWNER_OR_ADMIN, user, of_user),
        Endpoint::new(
            Method::Get,
            "/tenants/{tenant}/quotas/ledger",
            Access::ADMIN,
            tenant,
            of_tenant,
        ),
    ]
    .map(|endpoint| {
        endpoint
            .query::<Query>()
            .page::<Entries>("A page.")
            .problems(&[ProblemCode::AccountNotFound, ProblemCode::PlaceGone])
    })
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
    /// Of this job alone.
    job_id: Option<String>,
    /// Not before this instant.
    since: Option<String>,
    /// Before this instant.
    until: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QuotaEntries")]
struct Entries {
    entries: Vec<Movement>,
    /// The cursor of the next page, which may have some even where this one has none; null at the end.
    next: Option<FactPlace>,
}

/// One movement, in core seconds of its period.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QuotaEntry")]
struct Movement {
    /// The place of its fact in the log.
    id: FactPlace,
    at: Timestamp,
    /// The fact: `granted`, `reserved`, `settled` or `released`.
    fact: &'static str,
    /// The first instant of the period.
    period: Timestamp,
    /// Of `granted`, all that the period has from now on; of the others, what moves: from free to reserved, from
    /// reserved to used, from reserved to free.
    cpu_seconds: i64,
    /// What a job used beyond its reservation, which no budget paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    overrun: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<JobId>,
}

async fn of_user(Segment(user): Segment, request: Reading) -> Result<Response, ApiError> {
    let named = Named::user(&request.caller, &user)?;
    let user = user.parse().map_err(|_| quotas::no_such_account())?;
    quotas::of_user(&request.app, &request.caller, &user).await?;
    list(named, request).await
}

async fn of_tenant(Segment(tenant): Segment, request: Reading) -> Result<Response, ApiError> {
    let named = Named::tenant(&tenant)?;
    quotas::of_tenant(&request.app, &request.caller, &named.tenant).await?;
    list(named, request).await
}

async fn list(account: Named, request: Reading) -> Result<Response, ApiError> {
    let Reading { app, uri, headers, .. } = request;
    let asked = read(&app, &account, &uri).await?;
    let Some((asked, job)) = asked else {
        let none = Entries { entries: Vec::new(), next: None };
        return page::answer(&uri, &headers, &none, &Next::none());
    };
    let found =
        look_through(&app, &asked, |_, payload| match serde_json::from_slice::<Frame>(payload) {
            Ok(frame) => Ok(movements(&frame, &account, job)),
            Err(error) => match serde_json::from_slice::<EpochRecord>(payload) {
                Ok(_) => Ok(Vec::new()),
                Err(_) => Err(error),
            },
        });
    let found = found.await?;
    let next = Next::page(found.next.map(|next| next.to_string()));
    page::answer(&uri, &headers, &Entries { entries: found.rows, next: found.next }, &next)
}

/// What is asked for; `None` where it is of a job that is not the account's.
async fn read(
    app: &Arc<App>,
    account: &Named,
    uri: &Uri,
) -> Result<Option<(look_through::Asked, Option<JobId>)>, ApiError> {
    let query: Query = extract::query(uri)?;
    let mut errors = Vec::new();
    let paging: Paging<FactPlace> =
        Paging::read((query.limit.as_deref(), query.cursor.as_deref()), PAGE, &mut errors);
    let oldest_first = look_through::sort(query.sort.as_deref(), &mut errors);
    let since = look_through::parsed("?since", query.since, look_through::INSTANT, &mut errors);
    let until = look_through::parsed("?until", query.until, look_through::INSTANT, &mut errors);
    let job: Option<JobId> =
        look_through::parsed("?job_id", query.job_id, "must be a UUID", &mut errors);
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    let mut frames = None;
    if let Some(id) = job {
        let all = FrameNumber(0);
        let named = || app.reader.job_frames(&account.tenant, id, all);
        let Some(named) = app.barrier.read(&Required::default(), named).await?.value else {
            return Ok(None);
        };
        // Of a job with very many frames the row names some alone.
        frames = Some(named).filter(|named| named.len() < nox_readmodel::query::JOB_FRAMES_MAX);
    }
    let Paging { limit, after: cursor } = paging;
    let asked = look_through::Asked { cursor, limit, oldest_first, since, until, frames };
    Ok(Some((asked, job)))
}

/// What a frame says of an account's budget.
fn movements(frame: &Frame, account: &Named, job: Option<JobId>) -> Vec<(FactPlace, Movement)> {
    let mut found = Vec::new();
    for (place, entry) in (0..).zip(&frame.entries) {
        let is_own = entry.account.as_ref() == Some(&account.account);
        let is_job = entry.job_id.is_some()
            && entry.user_id.as_ref().is_some_and(|user| {
                account.account == subject::TENANT_ACCOUNT
                    || account.account == subject::user_account(user)
            });
        if entry.tenant != account.tenant
            || !is_own && !is_job
            || job.is_some() && entry.job_id != job
        {
            continue;
        }
        for (fact, known) in (0..).zip(&entry.facts) {
            let FactOrUnknown::Known(known) = known else { continue };
            let (period, cpu_seconds, overrun) = match known {
                Fact::Granted { period, cpu_seconds }
                | Fact::Reserved { period, cpu_seconds }
                | Fact::Released { period, cpu_seconds } => (*period, *cpu_seconds, None),
                Fact::Settled { period, cpu_seconds, overrun } => {
                    (*period, *cpu_seconds, Some(*overrun))
                }
                _ => continue,
            };
            let id = FactPlace { n: frame.n, entry: place, fact };
            let (at, fact, job_id) = (frame.at, known.name(), entry.job_id);
            found.push((id, Movement { id, at, fact, period, cpu_seconds, overrun, job_id }));
        }
    }
    found
}
