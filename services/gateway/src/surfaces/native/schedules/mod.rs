//! `/schedules`: jobs that are submitted again and again.

mod body;
mod change;
mod changed;
mod create;
mod get;
mod list;
mod replace;
mod trigger;
mod view;

use nox_contract::ScheduleId;

use crate::{endpoint::Endpoint, problem::ApiError, use_cases::schedules};

/// All of them.
const ALL: &str = "/schedules";
/// One of them.
const ONE: &str = "/schedules/{id}";

pub fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = vec![
        create::endpoint(),
        list::endpoint(),
        get::endpoint(),
        replace::endpoint(),
        trigger::endpoint(),
    ];
    endpoints.extend(change::endpoints());
    endpoints
}

/// What no schedule has for its id, none has.
fn schedule_id(text: &str) -> Result<ScheduleId, ApiError> {
    text.parse().map_err(|_| schedules::no_such_schedule())
}
