//! Counting jobs: so many at a time, since each may keep the database busy for seconds, and one of each user's, so that
//! nobody keeps all others waiting.

use std::time::Duration;

use nox_contract::ProblemCode;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::per_user::{OfUser, PerUser};
use crate::{identity::auth::Caller, problem::ApiError};

/// At a time; a quarter of the connections to the database.
const TALLIES_MAX: usize = 4;
/// How long to wait for that.
const TURN_WAIT: Duration = Duration::from_secs(5);
/// Between two looks whether another of the same user's has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// See the head of this file.
pub struct Tallies {
    all: Semaphore,
    of_users: PerUser,
}

/// Leave to count, for as long as this lives.
pub struct Turn<'t> {
    _of_all: SemaphorePermit<'t>,
    _of_user: OfUser,
}

impl Default for Tallies {
    fn default() -> Self {
        Self { all: Semaphore::new(TALLIES_MAX), of_users: PerUser::new(1) }
    }
}

impl Tallies {
    /// Waits for leave to count, for a while.
    pub async fn turn(&self, caller: &Caller) -> Result<Turn<'_>, ApiError> {
        let turn = async {
            let of_user = loop {
                let user = (caller.tenant.clone(), caller.user.clone());
                match self.of_users.enter(user) {
                    Some(of_user) => break of_user,
                    None => tokio::time::sleep(LOOK_AGAIN).await,
                }
            };
            let of_all = self.all.acquire().await.ok()?;
            Some(Turn { _of_all: of_all, _of_user: of_user })
        };
        match tokio::time::timeout(TURN_WAIT, turn).await {
            Ok(Some(turn)) => Ok(turn),
            Ok(None) | Err(_) => {
                let detail = "others, or you, have jobs counted, one of each user's at a time";
                Err(ApiError::new(ProblemCode::Overloaded, detail))
            }
        }
    }
}
