//! How far the projection is, watched only while somebody waits for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use nox_readmodel::Progress;
use tokio::sync::{Notify, watch};

/// Pause between two looks. A look costs Postgres some 50 µs, and a projector's batch takes longer
/// than this.
const PAUSE: Duration = Duration::from_millis(3);

/// Tells waiters how far the projection is. One look serves all of them.
#[derive(Clone)]
pub struct ProgressWatch {
    waiters: Arc<Waiters>,
    seen: watch::Receiver<Seen>,
}

#[derive(Default)]
struct Waiters {
    count: AtomicUsize,
    came: Notify,
}

/// What the last look found.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    /// Nobody has looked lately.
    Nothing,
    Progress(Progress),
    Failure(String),
}

/// Why waiting was given up.
#[derive(Debug, Clone, PartialEq)]
pub enum Behind {
    /// The projection is here, and not yet where it was waited for.
    At(Progress),
    /// Nobody could say where it is.
    Unknown(String),
}

impl ProgressWatch {
    /// Looks by `look`, one at a time.
    pub fn new<F, R>(look: F) -> Self
    where
        F: Fn() -> R + Send + 'static,
        R: Future<Output = Result<Progress, String>> + Send + 'static,
    {
        let (found, seen) = watch::channel(Seen::Nothing);
        let waiters = Arc::<Waiters>::default();
        tokio::spawn(follow(look, found, waiters.clone()));
        Self { waiters, seen }
    }

    /// Waits until the projection's progress is as `wanted` asks; at most for `limit`.
    pub async fn until(
        &self,
        limit: Duration,
        wanted: impl Fn(&Progress) -> bool,
    ) -> Result<Progress, Behind> {
        let _waiter = Waiter::new(&self.waiters);
        let mut seen = self.seen.clone();
        let arrived = seen.wait_for(|seen| matches!(seen, Seen::Progress(at) if wanted(at)));
        let last = match tokio::time::timeout(limit, arrived).await {
            Ok(Ok(seen)) => seen.clone(),
            Ok(Err(_)) => Seen::Failure("nobody looks any more".to_owned()),
            Err(_) => self.seen.borrow().clone(),
        };
        match last {
            Seen::Progress(at) if wanted(&at) => Ok(at),
            Seen::Progress(at) => Err(Behind::At(at)),
            Seen::Failure(reason) => Err(Behind::Unknown(reason)),
            Seen::Nothing => Err(Behind::Unknown("no answer in time".to_owned())),
        }
    }
}

async fn follow<F, R>(look: F, found: watch::Sender<Seen>, waiters: Arc<Waiters>)
where
    F: Fn() -> R,
    R: Future<Output = Result<Progress, String>>,
{
    while !found.is_closed() {
        if waiters.count.load(Ordering::SeqCst) == 0 {
            // What was seen grows old now; the next waiter must not take it for news.
            found.send_replace(Seen::Nothing);
            tokio::select! {
                () = waiters.came.notified() => {}
                () = found.closed() => return,
            }
        }
        found.send_replace(match look().await {
            Ok(progress) => Seen::Progress(progress),
            Err(reason) => Seen::Failure(reason),
        });
        tokio::time::sleep(PAUSE).await;
    }
}

/// Counts as waiting while it lives.
struct Waiter<'a>(&'a Waiters);

impl<'a> Waiter<'a> {
    fn new(waiters: &'a Waiters) -> Self {
        waiters.count.fetch_add(1, Ordering::SeqCst);
        waiters.came.notify_one();
        Self(waiters)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use nox_contract::FrameNumber;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);
    const AT_ONCE: Duration = Duration::from_millis(50);

    fn progress(n: u64) -> Progress {
        Progress { n: FrameNumber(n), ..Progress::default() }
    }

    type Script = Arc<Mutex<Result<Progress, String>>>;

    fn watched(first: Result<Progress, String>) -> (ProgressWatch, Script, Arc<AtomicUsize>) {
        let (script, looks) = (Arc::new(Mutex::new(first)), Arc::new(AtomicUsize::new(0)));
        let watch = ProgressWatch::new({
            let (script, looks) = (script.clone(), looks.clone());
            move || {
                looks.fetch_add(1, Ordering::SeqCst);
                let answer = script.lock().unwrap().clone();
                async move { answer }
            }
        });
        (watch, script, looks)
    }

    #[tokio::test]
    async fn all_waiters_are_let_go_when_the_projection_arrives() {
        let (watch, script, _) = watched(Ok(progress(1)));
        let waiters: Vec<_> = (1..=20)
            .map(|n| {
                let watch = watch.clone();
                tokio::spawn(async move { watch.until(SOON, |at| at.n.0 >= n).await })
            })
            .collect();
        *script.lock().unwrap() = Ok(progress(20));
        for waiter in waiters {
            assert!(waiter.await.unwrap().is_ok());
        }
    }

    #[tokio::test]
    async fn a_projection_that_does_not_arrive_is_behind_and_one_that_cannot_be_asked_unknown() {
        let (watch, script, _) = watched(Ok(progress(7)));
        let outcome = watch.until(AT_ONCE, |at| at.n.0 >= 8).await;
        assert_eq!(outcome, Err(Behind::At(progress(7))));

        *script.lock().unwrap() = Err("connection refused".to_owned());
        let outcome = watch.until(AT_ONCE, |at| at.n.0 >= 8).await;
        assert_eq!(outcome, Err(Behind::Unknown("connection refused".to_owned())));
    }

    #[tokio::test]
    async fn nobody_looks_while_nobody_waits_and_old_news_is_not_passed_on() {
        let (watch, script, looks) = watched(Ok(progress(5)));
        watch.until(SOON, |at| at.n.0 == 5).await.unwrap();

        // The follower goes to rest: what it saw last is cleared.
        let mut seen = watch.seen.clone();
        tokio::time::timeout(SOON, seen.wait_for(|s| *s == Seen::Nothing)).await.unwrap().unwrap();
        let before = looks.load(Ordering::SeqCst);
        tokio::time::sleep(PAUSE * 5).await;
        assert_eq!(looks.load(Ordering::SeqCst), before);

        // A projection that was made anew is behind what was seen before.
        *script.lock().unwrap() = Ok(progress(1));
        let outcome = watch.until(AT_ONCE, |at| at.n.0 >= 5).await;
        assert_eq!(outcome, Err(Behind::At(progress(1))));
    }
}
