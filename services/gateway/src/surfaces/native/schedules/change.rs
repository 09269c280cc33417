//! `POST /schedules/{id}/pause`, `POST /schedules/{id}/resume`, `DELETE /schedules/{id}`: whether it submits anything.

use std::sync::Arc;

use axum::{handler::Handler, http::StatusCode, response::Response};
use nox_contract::ProblemCode;

use super::{
    ONE,
    changed::{answer, answered},
    schedule_id,
};
use crate::{
    app::App,
    endpoint::{Access, Endpoint, Method},
    extract::{Incoming, Segment},
    problem::ApiError,
    use_cases::schedules,
};

/// What becomes of a schedule.
#[derive(Debug, Clone, Copy)]
enum Change {
    Pause,
    Resume,
    Delete,
}

pub fn endpoints() -> [Endpoint; 3] {
    let paused = ("pause_schedule", "Submits nothing for now.");
    let resumed = ("resume_schedule", "Goes on; what was due meanwhile is not made up for.");
    let deleted = ("delete_schedule", "Submits no more; jobs that it submitted go on.");
    [
        changing(Method::Post, "/schedules/{id}/pause", paused, |id, incoming| {
            change(id, incoming, Change::Pause)
        }),
        changing(Method::Post, "/schedules/{id}/resume", resumed, |id, incoming| {
            change(id, incoming, Change::Resume)
        }),
        changing(Method::Delete, ONE, deleted, |id, incoming| change(id, incoming, Change::Delete)),
    ]
}

fn changing<H, T>(
    method: Method,
    path: &'static str,
    named: (&'static str, &'static str),
    handler: H,
) -> Endpoint
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    let endpoint = Endpoint::new(method, path, Access::OWNER_OR_ADMIN, named, handler);
    answered(endpoint, 200).problems(&[
        ProblemCode::InvalidId,
        ProblemCode::ScheduleNotFound,
        ProblemCode::Parked,
        ProblemCode::Refused,
        ProblemCode::StorageFull,
    ])
}

async fn change(
    Segment(id): Segment,
    mut incoming: Incoming,
    change: Change,
) -> Result<Response, ApiError> {
    incoming.nothing().await?;
    let id = schedule_id(&id)?;
    let Incoming { app, caller, .. } = &incoming;
    let changed = match change {
        Change::Pause => schedules::pause(app, caller, id).await,
        Change::Resume => schedules::resume(app, caller, id).await,
        Change::Delete => schedules::delete(app, caller, id).await,
    };
    Ok(answer(changed?, StatusCode::OK))
}
