//! `POST /jobs/{id}/cancel`

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{Cancel, Command, FrameNumber, JobId, JobState, Outcome, ProblemCode};
use serde_json::json;

use super::{
    find::{find, find_after_all_commands, only_min_n},
    kind::Kind,
};
use crate::{
    app::App,
    auth::Caller,
    body::read_nothing,
    commands::{Delivery, Until},
    memory::Account,
    problem::ApiError,
    routes::{self, Segment},
};

/// The scheduler decides; here is only looked up whether the asker may know of the job at all.
pub async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(id): Segment,
    Extension(account): Extension<Account>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let id = routes::job_id(&id)?;
    let min_n = only_min_n(&uri, &headers)?;
    read_nothing(&account, &headers, body).await?;
    let row = find(&app, &caller, id, min_n).await?;
    let kind = Kind::of(&row.module, row.inputs.as_ref());
    // An end is final, so this needs no decision.
    match row.status {
        JobState::Canceled => return Ok(canceled(id, kind, row.n)),
        state if state.is_ended() => return Err(ended(state)),
        _ => {}
    }

    let command =
        Command::Cancel(Cancel { job_id: id, by: caller.user.clone(), admin: caller.admin });
    match app.commands.send(&caller.tenant, &command, Until::Answered).await? {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.barrier.written(accepted.n).await;
            Ok(canceled(id, kind, accepted.n))
        }
        // It was there just now, so it has ended since, and the scheduler knows of it no more.
        Delivery::Answered(Outcome::Refused(refusal))
            if refusal.code == ProblemCode::JobNotFound =>
        {
            let row = find_after_all_commands(&app, &caller, id).await?;
            match row.status {
                JobState::Canceled => Ok(canceled(id, kind, row.n)),
                state if state.is_ended() => Err(ended(state)),
                _ => Err(refusal.into()),
            }
        }
        Delivery::Answered(Outcome::Refused(refusal)) => Err(refusal.into()),
        Delivery::Published => {
            let (state, status) = (row.status, kind.word(row.status));
            let body =
                json!({"job_id": id, "id": id, "status": status, "state": state, "pending": true});
            Ok((StatusCode::ACCEPTED, Json(body)).into_response())
        }
    }
}

fn canceled(id: JobId, kind: Kind, n: FrameNumber) -> Response {
    let state = JobState::Canceled;
    let status = kind.word(state);
    let body = json!({"job_id": id, "id": id, "status": status, "state": state, "n": n});
    Json(body).into_response()
}

fn ended(state: JobState) -> ApiError {
    ApiError::new(ProblemCode::AlreadyEnded, format!("the job has already {state}"))
}
