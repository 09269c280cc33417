//! `GET /quotas/my/violations`: what the asker was refused, newest first.

use axum::response::Response;
use nox_contract::{FrameNumber, JobId, ModuleName, Timestamp};
use nox_readmodel::query::{ViolationPlace, ViolationRow};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{self, AskedPage, Paging, Reading},
    http::page::{self, Next},
    problem::{ApiError, percentage},
    use_cases::quotas,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("list_my_violations", "What the asker was refused, newest first.");
    Endpoint::new(Method::Get, "/quotas/my/violations", Access::OWN, (id, summary), list)
        .query::<AskedPage>()
        .page::<Violations>("A page.")
}

#[derive(Serialize, JsonSchema)]
struct Violations {
    violations: Vec<Violation>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Violation {
    n: FrameNumber,
    at: Timestamp,
    job_id: JobId,
    module: ModuleName,
    account: String,
    code: String,
    quota_type: Option<String>,
    current_usage: Option<i64>,
    limit: Option<i64>,
    requested: Option<i64>,
    percentage: Option<f64>,
    retry_after: Option<i64>,
    message: String,
}

impl From<ViolationRow> for Violation {
    fn from(row: ViolationRow) -> Self {
        Self {
            n: row.place.n,
            at: row.at,
            job_id: row.job_id,
            module: row.module,
            account: row.account,
            code: row.code,
            percentage: percentage(row.usage, row.limit),
            quota_type: row.quota,
            current_usage: row.usage,
            limit: row.limit,
            requested: row.requested,
            retry_after: row.retry_after_s,
            message: row.detail,
        }
    }
}

async fn list(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let paging: Paging<ViolationPlace> = extract::paging(&uri)?;
    let mut rows = quotas::violations(&app, &caller, paging.after, paging.wanted()).await?;
    let next = paging.cut(&mut rows, |row| row.place.to_string());
    let violations = rows.into_iter().map(Violation::from).collect();
    page::answer(&uri, &headers, &Violations { violations, next: next.clone() }, &Next::page(next))
}
