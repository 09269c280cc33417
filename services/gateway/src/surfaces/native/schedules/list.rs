//! `GET /schedules`

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use nox_contract::ScheduleId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ALL, view::ScheduleView};
use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{self, Incoming},
    problem::ApiError,
    use_cases::schedules,
};

/// Schedules in a page that names no limit, and most in any.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Schedules")]
struct Listed {
    schedules: Vec<ScheduleView>,
    /// The cursor of the next page; null on the last.
    next: Option<ScheduleId>,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("list_schedules", "The asker's schedules; for admins, all of the tenant.");
    Endpoint::new(Method::Get, ALL, Access::OWNER_OR_ADMIN, (id, summary), list)
        .query::<Asked>()
        .answer(Answer::json::<Listed>(200, "A page."))
}

async fn list(incoming: Incoming) -> Result<Response, ApiError> {
    let Asked { limit, cursor } = incoming.query()?;
    let Incoming { app, caller, .. } = incoming;
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    let after = extract::cursor(cursor.as_deref(), (limit, LIMIT_MAX))?;
    let mut rows = schedules::list(&app, &caller, after, limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(id, _)| *id);
    let now = app.runtime.clock.wall();
    let schedules = rows.into_iter().map(|row| ScheduleView::new(row, now, 1)).collect();
    Ok(Json(Listed { schedules, next }).into_response())
}
