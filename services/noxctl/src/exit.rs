//! What the exit status of `noxctl` says.

use std::process::ExitCode;

use nox_contract::JobState;

use crate::client::ClientError;

/// How a command ended; the numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    /// A request failed, or the command itself did.
    Failed = 1,
    /// Wrong usage; the argument parser's number. See [`Misused`].
    Usage = 2,
    NotFound = 3,
    /// Not signed in, or not allowed.
    Denied = 4,
    /// The server does not answer.
    Unreachable = 5,
    /// Conflicts with what is: already ended, or an idempotency key of another request.
    Conflict = 6,
    /// A quota or a rate limit.
    Quota = 7,
    /// Not done when the time ran out.
    Pending = 8,
    JobFailed = 10,
    JobCanceled = 11,
    JobTimedOut = 12,
}

/// Arguments that their parser takes, and that together mean nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misused(pub String);

/// What the executor says of an attempt that ran for longer than it asked for.
const OUT_OF_TIME: &str = "wall_time";

impl Exit {
    /// The one for an error that ended a command.
    pub fn of(error: &anyhow::Error) -> Self {
        if error.is::<Misused>() {
            return Self::Usage;
        }
        match error.downcast_ref() {
            Some(ClientError::NoToken) => Self::Denied,
            Some(ClientError::Unreachable { .. } | ClientError::NoSystem(_)) => Self::Unreachable,
            Some(ClientError::Refused(problem)) => {
                Self::of_problem(problem.status, problem.code.as_deref().unwrap_or_default())
            }
            Some(
                ClientError::Address(_) | ClientError::Header { .. } | ClientError::Control { .. },
            ) => Self::Usage,
            Some(ClientError::Unreadable(_)) | None => Self::Failed,
        }
    }

    fn of_problem(status: u16, code: &str) -> Self {
        match (status, code) {
            (_, "idempotency_conflict") => Self::Conflict,
            // Forbidden to everybody, because it can never fit.
            (_, "request_too_large" | "upload_quota") => Self::Quota,
            // As many as one may have.
            (_, "too_many") => Self::Quota,
            (401 | 403, _) => Self::Denied,
            (404, _) => Self::NotFound,
            (409 | 412, _) => Self::Conflict,
            (429, _) => Self::Quota,
            _ => Self::Failed,
        }
    }

    /// The one for a job that stands at `state`, for a command that waited for its end.
    pub fn of_job(state: JobState, error_code: Option<&str>) -> Self {
        match state {
            JobState::Succeeded => Self::Done,
            JobState::Failed if error_code == Some(OUT_OF_TIME) => Self::JobTimedOut,
            JobState::Failed => Self::JobFailed,
            JobState::Canceled => Self::JobCanceled,
            JobState::Draft | JobState::Queued | JobState::Running => Self::Pending,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_what_can_be_done_about_them() {
        for (status, code, exit) in [
            (404, "job_not_found", Exit::NotFound),
            (401, "token_expired", Exit::Denied),
            (403, "forbidden", Exit::Denied),
            (403, "request_too_large", Exit::Quota),
            (403, "upload_quota", Exit::Quota),
            (409, "too_many", Exit::Quota),
            (409, "at_most_exceeded", Exit::Conflict),
            (429, "budget_exhausted", Exit::Quota),
            (409, "already_ended", Exit::Conflict),
            (422, "idempotency_conflict", Exit::Conflict),
            (422, "invalid_inputs", Exit::Failed),
            (503, "unavailable", Exit::Failed),
        ] {
            assert_eq!(Exit::of_problem(status, code), exit, "{status} {code}");
        }
    }

    #[test]
    fn a_job_that_ran_out_of_time_is_told_apart_from_one_that_failed() {
        assert_eq!(Exit::of_job(JobState::Failed, Some("wall_time")), Exit::JobTimedOut);
        assert_eq!(Exit::of_job(JobState::Failed, Some("exit_status")), Exit::JobFailed);
        assert_eq!(Exit::of_job(JobState::Canceled, None), Exit::JobCanceled);
        assert_eq!(Exit::of_job(JobState::Succeeded, None), Exit::Done);
    }
}
