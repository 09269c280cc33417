//! Whether there is room for more jobs.
//!
//! A stream that refuses is too late: the log would have no room left for the ends of jobs that were
//! admitted. So submits are refused well before, and completions never.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use nox_contract::{ProblemCode, subject};
use nox_streams::Usage;

use crate::problem::ApiError;

/// Share of a stream's limit, in per cent, from which on nothing is admitted. What is left is for
/// the jobs that are in.
const FULL_PERCENT: u64 = 80;

/// The streams that an admitted job goes on to write to.
pub const STREAMS: [&str; 3] = [subject::COMMANDS, subject::REPORTS, subject::EVENTS];

/// Open, or closed for a stream that is nearly full.
#[derive(Debug, Default)]
pub struct Admission(Mutex<Option<&'static str>>);

impl Admission {
    /// Refuses a submit while a stream is nearly full.
    pub fn check(&self) -> Result<(), ApiError> {
        let Some(stream) = *self.lock() else { return Ok(()) };
        let detail = format!("{stream} is more than {FULL_PERCENT} % full; nothing is admitted");
        Err(ApiError::new(ProblemCode::Overloaded, detail)
            .with_status(StatusCode::INSUFFICIENT_STORAGE))
    }

    /// Opens or closes by how full the streams are; says what is the case now.
    pub fn judge(&self, usages: &[(&'static str, Usage)]) -> String {
        let full = usages.iter().find(|(_, usage)| is_full(usage)).map(|(stream, _)| *stream);
        let before = std::mem::replace(&mut *self.lock(), full);
        match full {
            Some(stream) if before.is_none() => tracing::error!(stream, "Admission closed"),
            None if before.is_some() => tracing::info!("Admission open"),
            _ => {}
        }
        full.map_or_else(|| "open".to_owned(), |stream| format!("closed: {stream} is full"))
    }

    /// What is in there is always whole.
    fn lock(&self) -> MutexGuard<'_, Option<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_full(usage: &Usage) -> bool {
    // Wide enough for any limit that a stream can have.
    let percent = |max: u64| u128::from(max) * u128::from(FULL_PERCENT);
    usage.bytes_max.is_some_and(|max| u128::from(usage.bytes) * 100 > percent(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(bytes: u64, bytes_max: Option<u64>) -> Usage {
        Usage { messages: 1, bytes, bytes_max, first_seq: 1, last_seq: 1 }
    }

    #[test]
    fn nothing_is_admitted_while_any_stream_is_nearly_full() {
        let admission = Admission::default();
        let judge = |events: Usage| {
            admission.judge(&[(subject::COMMANDS, usage(1, Some(100))), (subject::EVENTS, events)]);
            admission.check().map_err(|error| error.status().as_u16())
        };
        assert_eq!(judge(usage(80, Some(100))), Ok(()));
        assert_eq!(judge(usage(81, Some(100))), Err(507));
        assert_eq!(judge(usage(u64::MAX, None)), Ok(()));
        assert_eq!(judge(usage(1, Some(u64::MAX))), Ok(()));
        assert_eq!(judge(usage(u64::MAX, Some(u64::MAX))), Err(507));
    }
}
