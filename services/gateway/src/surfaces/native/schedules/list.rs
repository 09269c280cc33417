//! `GET /schedules`

use axum::response::Response;
use nox_contract::ScheduleId;
use schemars::JsonSchema;
use serde::Serialize;

use super::{ALL, view::ScheduleView};
use crate::{
    endpoint::{Access, Endpoint, Method},
    extract::{self, AskedPage, Paging, Reading},
    http::page::{self, Next},
    problem::ApiError,
    use_cases::schedules,
};

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
        .query::<AskedPage>()
        .page::<Listed>("A page.")
}

async fn list(Reading { app, caller, uri, headers }: Reading) -> Result<Response, ApiError> {
    let paging: Paging<ScheduleId> = extract::paging(&uri)?;
    let mut rows = schedules::list(&app, &caller, paging.after, paging.wanted()).await?;
    let next = paging.cut(&mut rows, |(id, _)| *id);
    let now = app.runtime.clock.wall();
    let schedules = rows.into_iter().map(|row| ScheduleView::new(row, now, 1)).collect();
    let listed = Listed { schedules, next };
    page::answer(&uri, &headers, &listed, &Next::page(next.map(|id| id.to_string())))
}
