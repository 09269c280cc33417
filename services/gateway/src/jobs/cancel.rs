//! `POST /jobs/{id}/cancel`

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{Accepted, Cancel, Command, JobId, JobState, Outcome, ProblemCode, Refusal};
use serde_json::json;

use super::find::{find, min_n, visible};
use crate::{
    app::App,
    auth::Caller,
    commands::{Delivery, Until},
    problem::ApiError,
    routes,
};

/// The scheduler decides; here is only looked up whether the asker may know of the job at all.
pub async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = routes::job_id(&id)?;
    let row = find(&app, &caller, id, min_n(&uri, &headers)?).await?;
    // An end is final, so this needs no decision.
    if row.status.is_ended() {
        return Err(ended(row.status));
    }

    let command =
        Command::Cancel(Cancel { job_id: id, by: caller.user.clone(), admin: caller.admin });
    match app.commands.send(&caller.tenant, &command, Until::Answered).await? {
        Delivery::Answered { outcome: Outcome::Accepted(accepted), .. } => {
            app.barrier.saw(accepted.n);
            Ok(canceled(id, &accepted))
        }
        Delivery::Answered { outcome: Outcome::Refused(refusal), repeated } => {
            refused(&app, &caller, id, refusal, repeated).await
        }
        Delivery::Published => {
            let body = json!({"job_id": id, "id": id, "pending": true});
            Ok((StatusCode::ACCEPTED, Json(body)).into_response())
        }
    }
}

fn canceled(id: JobId, accepted: &Accepted) -> Response {
    let state = accepted.state.unwrap_or(JobState::Canceled);
    let body = json!({"job_id": id, "id": id, "status": state, "state": state, "n": accepted.n});
    Json(body).into_response()
}

/// A command that was published twice may be refused for what its own first copy did.
async fn refused(
    app: &App,
    caller: &Caller,
    id: JobId,
    refusal: Refusal,
    repeated: bool,
) -> Result<Response, ApiError> {
    if repeated && refusal.code == ProblemCode::AlreadyEnded {
        app.barrier.commands().await?;
        if let Some(row) = visible(app, caller, id).await?
            && row.status == JobState::Canceled
        {
            let accepted =
                Accepted { n: row.n, job_id: Some(id), state: Some(row.status), repeated };
            return Ok(canceled(id, &accepted));
        }
    }
    Err(refusal.into())
}

fn ended(state: JobState) -> ApiError {
    ApiError::new(
        ProblemCode::AlreadyEnded,
        format!(
            "the job has already {}",
            match state {
                JobState::Canceled => "been canceled",
                JobState::Failed => "failed",
                _ => "succeeded",
            }
        ),
    )
}
