//! Viewers take turns, so that many of them hold up no request.
//!
//! What is done for a viewer is work of some milliseconds: frames are looked through and events written. A hundred
//! viewers that have news at once would each do theirs before anybody else's turn comes, and a request that asks
//! Postgres four times waits for all of them four times.

use std::thread;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Who may work for a viewer now: half as many as there are processors, in the order of asking.
pub struct Turns(Semaphore);

impl Turns {
    pub fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self(Semaphore::new(processors.div_ceil(2)))
    }

    /// Waits for a turn. Whoever has it must not wait for anything else.
    pub async fn take(&self) -> SemaphorePermit<'_> {
        match self.0.acquire().await {
            Ok(turn) => turn,
            // Nobody closes it.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    const VIEWERS: usize = 100;
    const ROUNDS: usize = 20;

    /// How many viewers have worked before a request has been waited for this many times.
    async fn worked_before_a_request(turns: Option<Arc<Turns>>) -> usize {
        let worked = Arc::new(AtomicUsize::new(0));
        let viewers = (0..VIEWERS).map(|_| {
            let (turns, worked) = (turns.clone(), worked.clone());
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    let turn = match &turns {
                        Some(turns) => Some(turns.take().await),
                        None => None,
                    };
                    worked.fetch_add(1, Ordering::Relaxed);
                    drop(turn);
                    tokio::task::yield_now().await;
                }
            })
        });
        let viewers: Vec<_> = viewers.collect();
        for _ in 0..ROUNDS / 2 {
            tokio::task::yield_now().await;
        }
        let before = worked.load(Ordering::Relaxed);
        for viewer in viewers {
            viewer.await.unwrap();
        }
        assert_eq!(worked.load(Ordering::Relaxed), VIEWERS * ROUNDS, "each has had its turns");
        before
    }

    #[tokio::test]
    async fn a_request_does_not_wait_for_all_viewers_each_time_it_waits_for_something() {
        let turns = Arc::new(Turns(Semaphore::new(1)));
        let with = worked_before_a_request(Some(turns)).await;
        // The control: without turns, it waits for all of them.
        let without = worked_before_a_request(None).await;
        assert!(without >= VIEWERS * (ROUNDS / 2 - 1), "{without}");
        assert!(with * 10 < without, "{with} of {without}");
    }
}
