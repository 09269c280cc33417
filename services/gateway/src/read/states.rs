//! The state of the whole system as it was: folded when somebody asks, one at a time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nox_archive::{Bounds, UpTo};
use nox_contract::{Incarnation, ProblemCode};
use nox_protocol::Fold;
use tokio::sync::Semaphore;

use super::bulk::{Bulk, Place, RowsLog};
use crate::problem::ApiError;

/// Folds at a time: each may hold a state and keeps a core busy for a second or two.
const FOLDS_MAX: usize = 1;
/// How long to wait for that.
const FOLD_WAIT: Duration = Duration::from_secs(5);
/// How long the last one is kept, for the next page and the other questions of whoever looks at that instant.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// A state of some 600,000 jobs that have not ended, and a little less than a gigabyte of log behind it: memory and
/// seconds of a gateway that has other work.
const BOUNDS: Bounds = Bounds { state_bytes_max: 256 << 20, log_bytes_max: 768 << 20 };

/// States of then.
pub struct States {
    folds: Semaphore,
    kept: Arc<Mutex<Option<Kept>>>,
}

struct Kept {
    life: Incarnation,
    up_to: UpTo,
    fold: Arc<Fold>,
}

impl Default for States {
    fn default() -> Self {
        Self { folds: Semaphore::new(FOLDS_MAX), kept: Arc::default() }
    }
}

impl States {
    /// The state of `log` behind a place. `lasts` says that nothing can be decided any more before it.
    pub async fn at(
        &self,
        bulk: &Bulk,
        place: &Place,
        log: &RowsLog,
        (up_to, lasts): (UpTo, bool),
    ) -> Result<Arc<Fold>, ApiError> {
        if let Some(fold) = self.known(log, up_to) {
            return Ok(fold);
        }
        let Ok(Ok(_turn)) = tokio::time::timeout(FOLD_WAIT, self.folds.acquire()).await else {
            let detail = "others ask for the state of an earlier instant";
            return Err(ApiError::new(ProblemCode::Overloaded, detail));
        };
        // Whoever was first may have asked for the same.
        if let Some(fold) = self.known(log, up_to) {
            return Ok(fold);
        }
        let fold = Arc::new(bulk.fold(place, log, up_to, BOUNDS).await?);
        if lasts {
            self.keep(log.log().incarnation().clone(), up_to, fold.clone());
        }
        Ok(fold)
    }

    fn known(&self, log: &RowsLog, up_to: UpTo) -> Option<Arc<Fold>> {
        let kept = lock(&self.kept);
        let kept = kept.as_ref()?;
        let is_it = kept.life == *log.log().incarnation() && kept.up_to == up_to;
        is_it.then(|| kept.fold.clone())
    }

    fn keep(&self, life: Incarnation, up_to: UpTo, fold: Arc<Fold>) {
        let forgotten = Arc::downgrade(&fold);
        *lock(&self.kept) = Some(Kept { life, up_to, fold });
        let kept = self.kept.clone();
        tokio::spawn(async move {
            tokio::time::sleep(KEPT_FOR).await;
            let is_it = |kept: &mut Kept| std::ptr::eq(Arc::as_ptr(&kept.fold), forgotten.as_ptr());
            lock(&kept).take_if(is_it);
        });
    }
}

fn lock(kept: &Mutex<Option<Kept>>) -> MutexGuard<'_, Option<Kept>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
