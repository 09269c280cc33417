//! `GET /api/jobs/{id}/logs` and `GET /api/wizard/jobs/{id}/logs`: lines `[time] [LEVEL] message`.

use std::{fmt::Write, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
};
use nox_contract::{JobId, ProblemCode};
use nox_readmodel::JobRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, Segment, min_n},
    identity::auth::Caller,
    problem::ApiError,
    use_cases::{
        find::find,
        log_rows::{self, LogRow},
    },
};

/// Rows of an answer, at most.
const ROWS_MAX: usize = 1_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// `next` of the answer before: what was printed since.
    since: Option<u64>,
    n: Option<u64>,
}

pub fn endpoints() -> [Endpoint; 2] {
    let of = |path, id| {
        let summary = "What a job prints, while it prints it: ask again with `since`.";
        Endpoint::new(Method::Get, path, Access::OWNER_OR_ADMIN, (id, summary), logs)
            .query::<Asked>()
            .headers([MIN_N])
            .answer(Answer::json::<Logs>(200, "Lines."))
            .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
    };
    [
        of("/api/jobs/{id}/logs", "api_get_job_logs"),
        of("/api/wizard/jobs/{id}/logs", "api_get_wizard_job_logs"),
    ]
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReleaseJobLogs")]
pub struct Logs {
    job_id: JobId,
    pub logs: String,
    /// What to ask for next, as `since`.
    next: u64,
}

async fn logs(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Logs>, ApiError> {
    let id = extract::job_id(&id)?;
    let Asked { since, n } = extract::query(&uri)?;
    let row = find(&app, &caller, id, min_n(n, &headers)?).await?;
    Ok(Json(of(&app, &row, since).await?))
}

/// What a job printed from row `since` on.
pub async fn of(app: &App, row: &JobRow, since: Option<u64>) -> Result<Logs, ApiError> {
    let place = app.bulk.place().await?;
    let since = since.unwrap_or_default();
    let rows = log_rows::read(app, &place, row, since, ROWS_MAX).await?;
    // Of what has ended, the row that says so is no line that anybody printed.
    let printed: Vec<_> = rows.iter().filter(|row| row.stream.is_some()).collect();
    let next = since + printed.len() as u64;
    let logs = printed.into_iter().map(lines).collect();
    Ok(Logs { job_id: row.id, logs, next })
}

fn lines(row: &LogRow) -> String {
    let level = if row.stream == Some("stderr") { "ERROR" } else { "INFO" };
    let text = String::from_utf8_lossy(&row.bytes);
    text.lines().fold(String::new(), |mut lines, line| {
        let _ = writeln!(lines, "[{}] [{level}] {line}", row.at);
        lines
    })
}
