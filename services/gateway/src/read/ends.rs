//! Waiting for the ends of jobs: one look at the rows serves all who wait.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nox_contract::JobId;
use nox_readmodel::Reader;
use tokio::sync::{Notify, oneshot};

use crate::read::barrier::Barrier;

/// How long a look waits at most for the rows to move before it is repeated.
const MOVES_WITHIN: Duration = Duration::from_secs(5);
/// After a look that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// Those who wait, by job.
#[derive(Clone, Default)]
pub struct Ends(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<BTreeMap<JobId, Vec<oneshot::Sender<()>>>>,
    came: Notify,
}

impl Ends {
    /// Looks for as long as anybody waits; ends with the last clone of `barrier`'s own.
    pub fn start(reader: Reader, barrier: Arc<Barrier>) -> Self {
        let watch = Self::default();
        tokio::spawn(follow(watch.0.clone(), reader, barrier));
        watch
    }

    /// Waits until the job has ended, at most for `limit`.
    pub async fn ended(&self, id: JobId, limit: Duration) {
        let (tell, told) = oneshot::channel();
        self.0.waiting().entry(id).or_default().push(tell);
        self.0.came.notify_one();
        // Told, or over: either way the asker looks again.
        let _ = tokio::time::timeout(limit, told).await;
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<JobId, Vec<oneshot::Sender<()>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The jobs that somebody still waits for.
    fn wanted(&self) -> Vec<JobId> {
        let mut waiting = self.waiting();
        waiting.retain(|_, tell| {
            tell.retain(|tell| !tell.is_closed());
            !tell.is_empty()
        });
        waiting.keys().copied().collect()
    }
}

async fn follow(shared: Arc<Shared>, reader: Reader, barrier: Arc<Barrier>) {
    loop {
        let ids = shared.wanted();
        if ids.is_empty() {
            shared.came.notified().await;
            continue;
        }
        let at = match reader.ended_of(&ids).await {
            Ok(at) => at,
            Err(error) => {
                tracing::debug!(%error, "Cannot look for ends of jobs");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        for id in at.value {
            for tell in shared.waiting().remove(&id).into_iter().flatten() {
                // Whoever waited may have gone.
                let _ = tell.send(());
            }
        }
        tokio::select! {
            () = barrier.moved(&at.progress, MOVES_WITHIN) => {}
            () = shared.came.notified() => {}
        }
    }
}
