//! `GET /quotas/my/ledger`: what the asker's jobs reserved and used, the newest job first.

use axum::response::Response;
use nox_contract::{FrameNumber, JobId, Timestamp};
use nox_readmodel::{Cursor, query::LedgerRow};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{self, AskedPage, Paging, Reading},
    http::page::{self, Next},
    problem::ApiError,
    use_cases::quotas,
};

pub fn endpoint() -> Endpoint {
    let (id, summary) =
        ("list_my_ledger", "What the asker's jobs reserved and used, newest first.");
    Endpoint::new(Method::Get, "/quotas/my/ledger", Access::OWN, (id, summary), list)
        .query::<AskedPage>()
        .page::<Ledger>("A page.")
}

#[derive(Serialize, JsonSchema)]
struct Ledger {
    ledger: Vec<Line>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

/// What one job reserved and used, in core seconds of its period.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LedgerLine")]
struct Line {
    job_id: JobId,
    period: Timestamp,
    /// `reserved`, `used` and `released` together.
    reservation: i64,
    reserved: i64,
    used: i64,
    released: i64,
    /// Used beyond the reservation.
    overrun: i64,
    n: FrameNumber,
}

impl From<LedgerRow> for Line {
    fn from(row: LedgerRow) -> Self {
        Self {
            job_id: row.job_id,
            period: row.period,
            reservation: row.reservation,
            reserved: row.reserved,
            used: row.used,
            released: row.released,
            overrun: row.overrun,
            n: row.n,
        }
    }
}

async fn list(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let Paging { limit, after } = extract::paging::<Cursor>(&uri)?;
    let found = quotas::ledger(&app, &caller, after, limit).await?;
    let next = found.next.map(|next| next.to_string());
    let ledger = found.rows.into_iter().map(Line::from).collect();
    page::answer(&uri, &headers, &Ledger { ledger, next: next.clone() }, &Next::page(next))
}
