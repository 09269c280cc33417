//! One question to the broker for all requests that wait for its answer.

use tokio::sync::{mpsc, oneshot};

/// Asks a question for many at once.
///
/// An answer is given only to those who asked before the question was put: whoever comes while it
/// is under way waits for the next one, because the answer may be older than its request.
#[derive(Clone)]
pub struct Shared<T> {
    askers: mpsc::UnboundedSender<oneshot::Sender<T>>,
}

impl<T: Clone + Send + 'static> Shared<T> {
    /// Puts the question by `ask`, one at a time, for as long as this value lives.
    pub fn new<F, R>(ask: F) -> Self
    where
        F: Fn() -> R + Send + 'static,
        R: Future<Output = T> + Send + 'static,
    {
        let (askers, mut waiting) = mpsc::unbounded_channel::<oneshot::Sender<T>>();
        tokio::spawn(async move {
            let mut asked = Vec::new();
            while waiting.recv_many(&mut asked, usize::MAX).await > 0 {
                let answer = ask().await;
                for asker in asked.drain(..) {
                    // An error says that the request is gone.
                    let _ = asker.send(answer.clone());
                }
            }
        });
        Self { askers }
    }

    /// An answer to the question put after this call; `None` if the asking task has died.
    pub async fn get(&self) -> Option<T> {
        let (asker, answer) = oneshot::channel();
        self.askers.send(asker).ok()?;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn those_who_come_while_a_question_is_under_way_share_the_next_one() {
        let put = Arc::new(AtomicU64::new(0));
        let (begun, may_end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let shared = Shared::new({
            let (put, begun, may_end) = (put.clone(), begun.clone(), may_end.clone());
            move || {
                let (put, begun, may_end) = (put.clone(), begun.clone(), may_end.clone());
                async move {
                    let number = put.fetch_add(1, Ordering::SeqCst) + 1;
                    begun.notify_one();
                    may_end.notified().await;
                    number
                }
            }
        });

        let ask = || {
            let shared = shared.clone();
            tokio::spawn(async move { shared.get().await })
        };
        let first = ask();
        begun.notified().await;
        let late: Vec<_> = (0..50).map(|_| ask()).collect();
        tokio::task::yield_now().await;
        may_end.notify_one();
        begun.notified().await;
        may_end.notify_one();

        assert_eq!(first.await.unwrap(), Some(1));
        for asker in late {
            assert_eq!(asker.await.unwrap(), Some(2));
        }
        assert_eq!(put.load(Ordering::SeqCst), 2);
    }
}
