//! Which jobs print something: asked of the broker once for all who wait for that, while anybody does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use nox_contract::JobId;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::bulk::{Bulk, Printed};
use crate::problem::ApiError;

/// How often the broker is asked. What is printed is handed on within 200 ms as well.
const LOOK: Duration = Duration::from_millis(200);

/// See the head of this file.
pub struct LogNews {
    bulk: Arc<Bulk>,
    /// What asks now, if anybody waits.
    asking: tokio::sync::Mutex<Weak<Asking>>,
}

/// It ends with the last who waits.
struct Asking {
    jobs: Arc<Jobs>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Jobs(Mutex<BTreeMap<JobId, watch::Sender<()>>>);

/// Somebody who waits for what a job prints.
pub struct Waiting {
    asking: Arc<Asking>,
    id: JobId,
    news: watch::Receiver<()>,
}

impl LogNews {
    pub fn new(bulk: Arc<Bulk>) -> Self {
        Self { bulk, asking: tokio::sync::Mutex::default() }
    }

    /// Waits for what the job prints from now on.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn wait_for(&self, id: JobId) -> Result<Waiting, ApiError> {
        let mut asking = self.asking.lock().await;
        let live = match asking.upgrade() {
            Some(live) => live,
            None => {
                let after = self.bulk.printed_last().await?;
                let jobs = Arc::new(Jobs::default());
                let task = tokio::spawn(ask(self.bulk.clone(), jobs.clone(), after));
                let live = Arc::new(Asking { jobs, _task: AbortOnDropHandle::new(task) });
                *asking = Arc::downgrade(&live);
                live
            }
        };
        let news = live.jobs.enter(id);
        Ok(Waiting { asking: live, id, news })
    }
}

async fn ask(bulk: Arc<Bulk>, jobs: Arc<Jobs>, mut after: u64) {
    loop {
        tokio::time::sleep(LOOK).await;
        match bulk.printed(after).await {
            Ok(Printed { jobs: printed, last, is_whole: true }) => {
                printed.iter().for_each(|id| jobs.tell(*id));
                after = last;
            }
            // More than is worth being read: everybody looks.
            Ok(Printed { last, is_whole: false, .. }) => {
                jobs.tell_all();
                after = last;
            }
            Err(error) => tracing::debug!(code = %error.code(), "Cannot ask who prints"),
        }
    }
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, id: JobId) -> watch::Receiver<()> {
        self.lock().entry(id).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// One of those who wait for the job goes.
    fn leave(&self, id: JobId) {
        let mut jobs = self.lock();
        // The one who goes is still counted.
        if jobs.get(&id).is_some_and(|tell| tell.receiver_count() <= 1) {
            jobs.remove(&id);
        }
    }

    fn tell(&self, id: JobId) {
        if let Some(tell) = self.lock().get(&id) {
            tell.send_replace(());
        }
    }

    fn tell_all(&self) {
        self.lock().values().for_each(|tell| {
            tell.send_replace(());
        });
    }
}

impl Waiting {
    /// Waits for something that was printed since.
    pub async fn news(&mut self) {
        if self.news.changed().await.is_err() {
            // Nobody tells any more, which is not while one waits.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.asking.jobs.leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_hears_of_its_job_and_nothing_is_kept_of_who_has_left() {
        let jobs = Jobs::default();
        let [one, other] = [1, 2]
            .map(|n: u32| format!("00000000-0000-0000-0000-{n:012}").parse::<JobId>().unwrap());
        let (mut first, second) = (jobs.enter(one), jobs.enter(one));
        jobs.tell(other);
        assert!(!first.has_changed().unwrap());
        jobs.tell(one);
        assert!(first.has_changed().unwrap());
        first.mark_unchanged();
        jobs.tell_all();
        assert!(first.has_changed().unwrap() && second.has_changed().unwrap());
        jobs.leave(one);
        drop(second);
        assert_eq!(jobs.lock().len(), 1);
        jobs.leave(one);
        drop(first);
        assert!(jobs.lock().is_empty());
    }
}
