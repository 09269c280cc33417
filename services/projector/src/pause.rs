//! Waits between two tries, and says what is waited for.

use std::time::Duration;

use nox_service::{Backoff, Runtime};

use crate::POSTGRES;

/// Between two tries to reach a server.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Longer and longer pauses, up to a bound.
pub(crate) struct Pause<'a> {
    runtime: &'a Runtime,
    backoff: Backoff,
}

impl<'a> Pause<'a> {
    pub(crate) fn new(runtime: &'a Runtime) -> Self {
        Self { runtime, backoff: Backoff::new(RETRY_MIN, RETRY_MAX) }
    }

    /// Says why the rows cannot be written, and waits; false if asked to stop meanwhile.
    pub(crate) async fn after(&mut self, error: &impl std::fmt::Display) -> bool {
        self.runtime.readiness.set(POSTGRES, Err(error.to_string()));
        self.wait().await
    }

    /// Waits; false if asked to stop meanwhile.
    pub(crate) async fn wait(&mut self) -> bool {
        tokio::select! {
            () = tokio::time::sleep(self.backoff.pause()) => true,
            () = self.runtime.stop.cancelled() => false,
        }
    }
}
