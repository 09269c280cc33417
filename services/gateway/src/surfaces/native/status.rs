//! `GET /jobs/{id}/status`: what a job printed, as rows.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use nox_contract::{JobId, ProblemCode, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, MIN_N, Method},
    extract::{self, Segment, min_n},
    http::memory::Account,
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    use_cases::{
        find::find,
        log_rows::{self, LogRow},
    },
};

/// Most rows of an answer.
const ROWS_MAX: usize = 1_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    offset: Option<u64>,
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    n: Option<u64>,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) =
        ("get_job_output", "What a job printed, as rows, the last of which says how it ended.");
    Endpoint::new(Method::Get, "/jobs/{id}/status", Access::OWNER_OR_ADMIN, (id, summary), status)
        .query::<Asked>()
        .headers([MIN_N])
        .answer(Answer::json::<Vec<Row>>(200, "Rows from `offset` on."))
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
}

/// Something that was printed, or how it ended.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "OutputRow")]
pub struct Row {
    /// Grows from row to row.
    id: u64,
    job_id: JobId,
    output: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// `null` of the last row, which nobody printed.
    stream: Option<&'static str>,
    /// All bytes, where `output` has something in place of what is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Row {
    pub fn new(job_id: JobId, row: LogRow) -> Self {
        let LogRow { id, at, stream, bytes } = row;
        let (output, base64) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let bytes = error.as_bytes();
                (String::from_utf8_lossy(bytes).into_owned(), Some(STANDARD.encode(bytes)))
            }
        };
        Self { id, job_id, output, created_at: at, updated_at: at, stream, base64 }
    }
}

pub async fn status(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    Segment(id): Segment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = extract::job_id(&id)?;
    let Asked { offset, limit, n } = extract::query(&uri)?;
    let limit = limit.unwrap_or(ROWS_MAX);
    if !(1..=ROWS_MAX).contains(&limit) {
        let detail = format!("must be a whole number from 1 to {ROWS_MAX}");
        return Err(ApiError::invalid(vec![FieldError::new("?limit", detail)]));
    }
    let row = find(&app, &caller, id, min_n(n, &headers)?).await?;
    let _room = account.take(2 * log_rows::BYTES_MAX)?;
    let place = app.bulk.place().await?;
    let rows = log_rows::read(&app, &place, &row, offset.unwrap_or_default(), limit).await?;
    let rows: Vec<_> = rows.into_iter().map(|row| Row::new(id, row)).collect();
    Ok(Json(rows).into_response())
}
