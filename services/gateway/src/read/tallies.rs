//! Counting jobs: so many at a time, since each may keep the database busy for a second.

use std::time::Duration;

use nox_contract::ProblemCode;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::problem::ApiError;

/// At a time; a quarter of the connections to the database.
const TALLIES_MAX: usize = 4;
/// How long to wait for that, in the order of asking.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// See the head of this file.
pub struct Tallies(Semaphore);

impl Default for Tallies {
    fn default() -> Self {
        Self(Semaphore::new(TALLIES_MAX))
    }
}

impl Tallies {
    /// Waits for leave to count, for a while.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        match tokio::time::timeout(TURN_WAIT, self.0.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(ApiError::new(
                ProblemCode::Overloaded,
                format!("{TALLIES_MAX} others have jobs counted"),
            )),
        }
    }
}
