//! Moves a task on.

use nox_contract::{
    Attempt, Command, FrameNumber, JobId, JobState, Outcome, ProblemCode, UpdateTask, WaitingCode,
    command::TaskUpdate,
};
use nox_readmodel::JobRow;

use super::find::{find, no_task};
use crate::{
    app::App,
    commands::{Delivery, Until},
    identity::auth::Caller,
    problem::ApiError,
    read::required::Required,
    use_cases::beat::beat_if_due,
};

/// What is asked of the task.
pub enum Wish {
    Update(TaskUpdate),
    /// No task gets there by an update.
    Unreachable(&'static str),
}

/// How the asker's surface calls where a task is.
pub type Word = fn(JobState, Option<WaitingCode>) -> &'static str;

/// Moves the task on, for whoever submitted or claimed it, and admins. The frame that says so.
pub async fn update(
    app: &App,
    caller: &Caller,
    id: JobId,
    attempt: Option<Attempt>,
    wish: Wish,
    word: Word,
) -> Result<FrameNumber, ApiError> {
    let row = find(app, caller, id, None).await?;
    if row.status.is_ended() {
        return Err(conflict(word(row.status, row.waiting_code)));
    }
    if !may(app, caller, &row).await? {
        let detail = "only whoever submitted or claimed a task, and admins, say what becomes of it";
        return Err(ApiError::new(ProblemCode::Forbidden, detail));
    }
    let to = match wish {
        Wish::Unreachable(to) => {
            let status = word(row.status, row.waiting_code);
            let detail = format!("a task that is {status} does not become {to} by an update");
            return Err(ApiError::new(ProblemCode::InvalidTaskTransition, detail));
        }
        Wish::Update(to) => to,
    };
    if let Some(holder) = &row.worker_id {
        beat_if_due(app, caller, holder).await?;
    }
    let (by, admin) = (caller.user.clone(), caller.admin);
    let command = Command::UpdateTask(Box::new(UpdateTask { job_id: id, by, admin, attempt, to }));
    send(app, caller, id, &command, word).await
}

async fn send(
    app: &App,
    caller: &Caller,
    id: JobId,
    command: &Command,
    word: Word,
) -> Result<FrameNumber, ApiError> {
    match app.commands.send(&caller.tenant, command, Until::Answered).await? {
        Delivery::Answered(Outcome::Accepted(accepted)) => {
            app.barrier.written(accepted.n).await;
            Ok(accepted.n)
        }
        // It was there just now, so it has ended since.
        Delivery::Answered(Outcome::Refused(refusal))
            if refusal.code == ProblemCode::TaskNotFound =>
        {
            let required = app.barrier.all_commands().await?;
            let read = || app.reader.job(&caller.tenant, id);
            let row = app.barrier.read(&required, read).await?.value.ok_or_else(no_task)?;
            if row.status.is_ended() {
                return Err(conflict(word(row.status, row.waiting_code)));
            }
            Err(refusal.into())
        }
        Delivery::Answered(Outcome::Refused(refusal)) => Err(refusal.into()),
        Delivery::Published => {
            let detail = "nobody has decided yet; the request will be: look at the task again";
            Err(ApiError::new(ProblemCode::Unavailable, detail))
        }
    }
}

fn conflict(status: &str) -> ApiError {
    let detail = format!("the task is {status}, and stays so");
    ApiError::new(ProblemCode::InvalidTaskTransition, detail)
}

/// Whether the caller submitted the task, is of the worker that has it, or an admin.
async fn may(app: &App, caller: &Caller, row: &JobRow) -> Result<bool, ApiError> {
    if caller.admin || row.user_id == caller.user {
        return Ok(true);
    }
    let Some(holder) = &row.worker_id else { return Ok(false) };
    let read = || app.reader.worker(holder);
    let worker = app.barrier.read(&Required::default(), read).await?.value;
    let claimant = worker.and_then(|worker| worker.claimant);
    Ok(claimant.is_some_and(|of| of.user_id == caller.user))
}
