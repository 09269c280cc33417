//! `/schedules`: jobs that are submitted again and again, one file an endpoint.

mod body;
mod changed;
mod create;
mod delete;
mod get;
mod list;
mod pause;
mod replace;
mod resume;
mod trigger;
mod view;

use nox_contract::{ProblemCode, ScheduleId};

use crate::{endpoint::Endpoint, problem::ApiError, use_cases::schedules};

/// All of them.
const ALL: &str = "/schedules";
/// One of them.
const ONE: &str = "/schedules/{id}";

pub fn endpoints() -> Vec<Endpoint> {
    vec![
        create::endpoint(),
        list::endpoint(),
        get::endpoint(),
        replace::endpoint(),
        delete::endpoint(),
        pause::endpoint(),
        resume::endpoint(),
        trigger::endpoint(),
    ]
}

/// Why a schedule may not be changed, beside what is wrong with what it is to be.
const CHANGE_PROBLEMS: &[ProblemCode] = &[
    ProblemCode::InvalidId,
    ProblemCode::ScheduleNotFound,
    ProblemCode::Refused,
    ProblemCode::StorageFull,
];

/// What no schedule has for its id, none has.
fn schedule_id(text: &str) -> Result<ScheduleId, ApiError> {
    text.parse().map_err(|_| schedules::no_such_schedule())
}
