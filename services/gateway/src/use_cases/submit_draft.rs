//! Submits a draft.

use nox_contract::{
    Command, FrameNumber, JobId, JobState, Outcome, ProblemCode, SubmitDraft, subject,
};
use nox_readmodel::JobRow;

use super::{
    find::{find, find_after_all_commands},
    submit::Admitted,
};
use crate::{
    app::App,
    commands::{Delivery, Until},
    identity::auth::Caller,
    problem::ApiError,
    read::required::Required,
};

/// The draft as it was found, and what became of it. It is admitted by its owner's limits, whoever asks; one that is
/// refused stays a draft.
pub async fn submit(
    app: &App,
    caller: &Caller,
    id: JobId,
    min_n: Option<FrameNumber>,
) -> Result<(JobRow, Admitted), ApiError> {
    let row = find(app, caller, id, min_n).await?;
    app.command_roles.check(caller, &row.module)?;
    app.admission.check()?;
    if row.status.is_ended() {
        return Err(already(row.status));
    }
    let role = match row.user_id == caller.user {
        true => caller.role().to_owned(),
        false => role_of(app, caller, &row).await?,
    };
    let command = Command::SubmitDraft(SubmitDraft { job_id: id, by: row.user_id.clone(), role });
    match app.commands.send(&caller.tenant, &command, Until::Answered).await? {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.barrier.written(accepted.n).await;
            Ok((row, Admitted::decided(id, accepted.n, accepted.repeated)))
        }
        // It was there just now, so it has ended since.
        Delivery::Answered(Outcome::Refused(refusal))
            if refusal.code == ProblemCode::JobNotFound =>
        {
            let row = find_after_all_commands(app, caller, id).await?;
            if row.status.is_ended() { Err(already(row.status)) } else { Err(refusal.into()) }
        }
        Delivery::Answered(Outcome::Refused(refusal)) => Err(refusal.into()),
        Delivery::Published => Ok((row, Admitted::pending(id))),
    }
}

/// The role that the limits of a job's owner came from last.
async fn role_of(app: &App, caller: &Caller, row: &JobRow) -> Result<String, ApiError> {
    let account = subject::user_account(&row.user_id);
    let read = || app.reader.limits(&caller.tenant, &account);
    let limits = app.barrier.read(&Required::default(), read).await?.value;
    Ok(limits.map(|row| row.role).unwrap_or_default())
}

fn already(state: JobState) -> ApiError {
    ApiError::new(ProblemCode::AlreadyEnded, format!("the job has already {state}"))
}
