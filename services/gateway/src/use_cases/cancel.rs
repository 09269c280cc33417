//! Ends a job, whatever it is doing.

use nox_contract::{Cancel, Command, FrameNumber, JobId, JobState, Outcome, ProblemCode};
use nox_readmodel::JobRow;

use super::find::{find, find_after_all_commands};
use crate::{
    app::App,
    commands::{Delivery, Until},
    identity::auth::Caller,
    problem::ApiError,
};

/// What became of a cancel.
pub struct Canceled {
    /// The job as it was found.
    pub row: JobRow,
    /// The frame that has its end; absent while nobody has decided.
    pub n: Option<FrameNumber>,
}

/// The scheduler decides; here is only looked up whether the asker may know of the job at all.
pub async fn cancel(
    app: &App,
    caller: &Caller,
    id: JobId,
    min_n: Option<FrameNumber>,
) -> Result<Canceled, ApiError> {
    let row = find(app, caller, id, min_n).await?;
    // An end is final, so this needs no decision.
    if row.status.is_ended() {
        return already(row);
    }
    let command =
        Command::Cancel(Cancel { job_id: id, by: caller.user.clone(), admin: caller.admin });
    match app.commands.send(&caller.tenant, &command, Until::Answered).await? {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.barrier.written(accepted.n).await;
            Ok(Canceled { row, n: Some(accepted.n) })
        }
        // It was there just now, so it has ended since, and the scheduler knows of it no more.
        Delivery::Answered(Outcome::Refused(refusal))
            if refusal.code == ProblemCode::JobNotFound =>
        {
            let row = find_after_all_commands(app, caller, id).await?;
            if row.status.is_ended() { already(row) } else { Err(refusal.into()) }
        }
        Delivery::Answered(Outcome::Refused(refusal)) => Err(refusal.into()),
        Delivery::Published => Ok(Canceled { row, n: None }),
    }
}

/// Canceling what is canceled is no mistake; what has ended otherwise stays as it is.
fn already(row: JobRow) -> Result<Canceled, ApiError> {
    match row.status {
        JobState::Canceled => Ok(Canceled { n: Some(row.n), row }),
        state => {
            Err(ApiError::new(ProblemCode::AlreadyEnded, format!("the job has already {state}")))
        }
    }
}
