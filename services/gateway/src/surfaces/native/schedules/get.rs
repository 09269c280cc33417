//! `GET /schedules/{id}`

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use nox_contract::ProblemCode;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ONE, schedule_id, view::ScheduleView};
use crate::{
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{Incoming, Segment},
    problem::{ApiError, FieldError},
    use_cases::schedules,
};

/// Most times that are told of one schedule.
const NEXT_MAX: usize = 100;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// How many of the times at which it is due next are told; 1 if absent.
    #[schemars(range(max = 100))]
    next: Option<usize>,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("get_schedule", "A schedule, and when it is due next.");
    Endpoint::new(Method::Get, ONE, Access::OWNER_OR_ADMIN, (id, summary), get)
        .query::<Asked>()
        .answer(Answer::json::<ScheduleView>(200, "The schedule."))
        .problems(&[ProblemCode::InvalidId, ProblemCode::ScheduleNotFound])
}

async fn get(Segment(id): Segment, incoming: Incoming) -> Result<Response, ApiError> {
    let count = incoming.query::<Asked>()?.count()?;
    let row = schedules::find(&incoming.app, &incoming.caller, schedule_id(&id)?).await?;
    let now = incoming.app.runtime.clock.wall();
    Ok(Json(ScheduleView::new(row, now, count)).into_response())
}

impl Asked {
    fn count(&self) -> Result<usize, ApiError> {
        let count = self.next.unwrap_or(1);
        if count <= NEXT_MAX {
            return Ok(count);
        }
        let detail = format!("must be from 0 to {NEXT_MAX}");
        Err(ApiError::invalid(vec![FieldError::new("?next", detail)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_number_of_times_is_told() {
        let count = |next| Asked { next }.count();
        assert_eq!(count(None).unwrap(), 1);
        assert_eq!((count(Some(0)).unwrap(), count(Some(100)).unwrap()), (0, 100));
        assert_eq!(count(Some(101)).unwrap_err().code(), ProblemCode::InvalidRequest);
    }
}
