//! What is answered to a change of a schedule.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, ScheduleId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    endpoint::{Answer, Endpoint},
    use_cases::schedules,
};

/// What became of a change.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScheduleChanged")]
pub struct Changed {
    id: ScheduleId,
    /// When it is due next; null while it is paused, of one that is never due again or no more, and while nobody
    /// has decided.
    next_due_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

/// `endpoint`, which answers with this under the status `decided`, or 202 while nobody has decided.
pub fn answered(endpoint: Endpoint, decided: u16) -> Endpoint {
    endpoint
        .answer(Answer::json::<Changed>(decided, "It is so now."))
        .answer(Answer::json::<Changed>(202, "It will be decided."))
}

/// The answer, under `decided` once somebody has.
pub fn answer(changed: schedules::Changed, decided: StatusCode) -> Response {
    let schedules::Changed { id, accepted, next_due_at } = changed;
    let n = accepted.map(|accepted| accepted.n);
    let status = if n.is_some() { decided } else { StatusCode::ACCEPTED };
    (status, Json(Changed { id, next_due_at, n, pending: n.is_none() })).into_response()
}

#[cfg(test)]
mod tests {
    use nox_contract::Accepted;

    use super::*;

    #[test]
    fn what_nobody_has_decided_is_pending() {
        let of = |accepted| {
            let id = "0193a000-0000-7000-8000-00000000b001".parse().unwrap();
            let changed = schedules::Changed { id, accepted, next_due_at: None };
            answer(changed, StatusCode::CREATED).status()
        };
        assert_eq!(of(None), StatusCode::ACCEPTED);
        let accepted = Accepted { n: FrameNumber(7), job_id: None, state: None, repeated: false };
        assert_eq!(of(Some(accepted)), StatusCode::CREATED);
    }
}
