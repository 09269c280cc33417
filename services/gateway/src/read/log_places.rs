//! Where the reading of logs as rows ended lately.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use nox_contract::{JobId, TenantId};
use nox_streams::LogText;

/// Jobs of which it is known where the reading ended last.
const KNOWN_MAX: usize = 4_096;

/// How far the rows of a log were read.
#[derive(Clone)]
pub struct Reached {
    pub rows: u64,
    /// The last chunk.
    pub seq: u64,
    pub text: LogText,
}

/// Where reading ended lately, so that whoever asks for what follows does not have all of it read again.
#[derive(Default)]
pub struct LogPlaces(Mutex<HashMap<(TenantId, JobId), Reached>>);

impl LogPlaces {
    /// The furthest known place that is not behind row `offset`.
    pub fn before(&self, tenant: &TenantId, id: JobId, offset: u64) -> Reached {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = known.get(&(tenant.clone(), id)).filter(|reached| reached.rows <= offset);
        reached.cloned().unwrap_or_else(|| Reached { rows: 0, seq: 0, text: LogText::new(true) })
    }

    pub fn keep(&self, tenant: &TenantId, id: JobId, reached: Reached) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert((tenant.clone(), id), reached);
    }
}
