//! A recent end of the log, for the stamps of jobs whose ids are made now.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nox_contract::{FrameNumber, Position};
use nox_service::Clock;

use crate::{problem::ApiError, read::barrier::Barrier};

/// How old it may be: much less than the quarter of an hour for which the scheduler remembers, and
/// enough that the broker is asked by few of many submits.
const RECENT: Duration = Duration::from_secs(30);

pub struct LogEnd {
    barrier: Arc<Barrier>,
    clock: Clock,
    /// The end, and when it was asked for.
    known: Mutex<Option<(Position, Duration)>>,
}

impl LogEnd {
    pub fn new(barrier: Arc<Barrier>, clock: Clock) -> Self {
        Self { barrier, clock, known: Mutex::default() }
    }

    /// Where the log ended within the last half minute, as the broker had it. The view may be far
    /// behind that, and says nothing of it.
    pub async fn recent(&self) -> Result<FrameNumber, ApiError> {
        let now = self.clock.monotonic();
        match &*self.known.lock().unwrap_or_else(PoisonError::into_inner) {
            // Of another life of the log, it says nothing.
            Some((end, at)) if now.saturating_sub(*at) < RECENT && self.barrier.is_of(end) => {
                return Ok(FrameNumber(end.seq));
            }
            _ => {}
        }
        Box::pin(self.now()).await
    }

    /// Where the log ends now.
    async fn now(&self) -> Result<FrameNumber, ApiError> {
        let asked_at = self.clock.monotonic();
        let end = self.barrier.log_end().await?;
        let n = FrameNumber(end.seq);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((end, asked_at));
        Ok(n)
    }
}
