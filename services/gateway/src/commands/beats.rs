//! Heartbeats of workers that speak HTTP, passed on as those of executors are.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use nox_contract::{Beat, SessionId, UserId, WorkNumber, WorkerId, subject};
use nox_streams::Broker;

use crate::problem::ApiError;

/// Most workers of which is remembered when that was. Beyond, all are passed on once more.
const REMEMBERED_MAX: usize = 100_000;

/// When each worker's life was passed on last, since the process began; by who asked, for whoever names another's
/// worker must not keep it from being heard.
#[derive(Default)]
pub struct Beaten(Mutex<HashMap<(UserId, WorkerId), Duration>>);

impl Beaten {
    /// Whether it is time to pass it on; if so, it is taken for done.
    pub fn is_due(&self, who: (UserId, WorkerId), now: Duration, every: Duration) -> bool {
        let mut beaten = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if beaten.get(&who).is_some_and(|last| now.saturating_sub(*last) < every) {
            return false;
        }
        if beaten.len() >= REMEMBERED_MAX {
            beaten.clear();
        }
        beaten.insert(who, now);
        true
    }
}

/// A heartbeat as those of executors are: kept for as long as no newer one is there.
pub fn beat(broker: &Broker, worker_id: &WorkerId, session: SessionId) -> Result<(), ApiError> {
    let beat = Beat {
        session,
        origin: None,
        received_up_to: WorkNumber(0),
        held: Vec::new(),
        joined: true,
        reports_up_to: 0,
        registered_up_to: None,
    };
    let beat = serde_json::to_vec(&beat).map_err(ApiError::internal)?;
    broker.publish_unacked(subject::beat(worker_id), beat.into());
    Ok(())
}
