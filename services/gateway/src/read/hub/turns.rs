//! Viewers take turns, so that many of them hold up no request.
//!
//! What is done for a viewer is work of some milliseconds: frames are looked through and events written. A hundred
//! viewers that have news at once would each do theirs before anybody else's turn comes, and a request that asks
//! Postgres four times waits for all of them four times.

use std::thread;

use tokio::sync::Semaphore;

/// Who may work for a viewer now: half as many as there are processors, in the order of asking.
pub struct Turns(Semaphore);

impl Turns {
    pub fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self(Semaphore::new(processors.div_ceil(2)))
    }

    /// Waits for a turn and does `work` in it.
    pub async fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        // Nobody closes it.
        let _turn = self.0.acquire().await;
        let done = work();
        // The next one's turn comes when it was looked who else has something to do: a runtime does that when it is
        // out of work, or after 61 pieces of it.
        tokio::task::yield_now().await;
        done
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
    const WAITS: usize = 10;

    /// How often viewers have worked while a request waited for something ten times.
    async fn worked_beside_a_request(turns: Option<Arc<Turns>>) -> usize {
        let worked = Arc::new(AtomicUsize::new(0));
        let viewers = (0..VIEWERS).map(|_| {
            let (turns, worked) = (turns.clone(), worked.clone());
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    let work = || worked.fetch_add(1, Ordering::Relaxed);
                    match &turns {
                        Some(turns) => turns.run(work).await,
                        None => work(),
                    };
                    tokio::task::yield_now().await;
                }
            })
        });
        let viewers: Vec<_> = viewers.collect();
        let request = tokio::spawn({
            let worked = worked.clone();
            async move {
                for _ in 0..WAITS {
                    tokio::task::yield_now().await;
                }
                worked.load(Ordering::Relaxed)
            }
        });
        let meanwhile = request.await.unwrap();
        for viewer in viewers {
            viewer.await.unwrap();
        }
        assert_eq!(worked.load(Ordering::Relaxed), VIEWERS * ROUNDS, "each has had its turns");
        meanwhile
    }

    #[tokio::test]
    async fn a_request_does_not_wait_for_all_viewers_each_time_it_waits_for_something() {
        let turns = Arc::new(Turns(Semaphore::new(1)));
        let with = worked_beside_a_request(Some(turns)).await;
        // The control: without turns, it waits for most of them.
        let without = worked_beside_a_request(None).await;
        assert!(without >= VIEWERS * WAITS / 2, "{without}");
        assert!(with <= 3 * WAITS, "{with} of {without}");
    }
}
