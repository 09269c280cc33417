//! One question to Postgres for many requests that each ask after one thing.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Semaphore, mpsc, oneshot};

/// Things that are asked after at a time: rows of as many jobs with the largest inputs and outputs take some 8 MiB.
const ASKED_MAX: usize = 64;
/// Questions at a time. With fewer of them under way each is put at once; with more, those who come meanwhile are asked
/// for together, so that they need few connections.
const QUESTIONS_MAX: usize = 4;
/// How long a question may take, of its own statements and of a connection that is dead and does not say so.
const ANSWER_WAIT: Duration = Duration::from_secs(11);

/// Asks after many things at once.
///
/// An answer is given only to those who asked before the question was put, as [`Shared`](super::shared::Shared) does.
#[derive(Clone)]
pub struct Together<K, V> {
    askers: mpsc::UnboundedSender<(K, oneshot::Sender<V>)>,
}

impl<K: Send + 'static, V: Send + 'static> Together<K, V> {
    /// Puts questions by `ask`, which answers each thing in its place, for as long as this value lives.
    pub fn new<F, R>(ask: F) -> Self
    where
        F: Fn(Vec<K>) -> R + Send + Sync + 'static,
        R: Future<Output = Vec<V>> + Send + 'static,
    {
        let (askers, mut waiting) = mpsc::unbounded_channel::<(K, oneshot::Sender<V>)>();
        let questions = Arc::new(Semaphore::new(QUESTIONS_MAX));
        tokio::spawn(async move {
            while let Ok(question) = questions.clone().acquire_owned().await {
                let mut asked = Vec::new();
                if waiting.recv_many(&mut asked, ASKED_MAX).await == 0 {
                    return;
                }
                let (things, askers): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
                let answers = ask(things);
                tokio::spawn(async move {
                    // Without an answer, the askers are told so when they are dropped, and the place is free.
                    let answers = tokio::time::timeout(ANSWER_WAIT, answers).await;
                    for (asker, answer) in askers.into_iter().zip(answers.unwrap_or_default()) {
                        // An error says that the request is gone.
                        let _ = asker.send(answer);
                    }
                    drop(question);
                });
            }
        });
        Self { askers }
    }

    /// What was found after this call; `None` if there was no answer in time.
    pub async fn get(&self, thing: K) -> Option<V> {
        let (asker, answer) = oneshot::channel();
        self.askers.send((thing, asker)).ok()?;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn those_who_come_while_as_many_questions_are_under_way_are_asked_for_together() {
        let (put, may_end) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        let together = Together::new({
            let (put, may_end) = (put.clone(), may_end.clone());
            move |things: Vec<u32>| {
                put.lock().unwrap().push(things.len());
                let may_end = may_end.clone();
                async move {
                    may_end.acquire().await.unwrap().forget();
                    things.into_iter().map(|thing| thing * 10).collect()
                }
            }
        });
        let ask = |thing: u32| {
            let together = together.clone();
            tokio::spawn(async move { together.get(thing).await })
        };
        // The control: with few, each is a question of its own, at once.
        let mut asked = Vec::new();
        for thing in 0..4 {
            asked.push(ask(thing));
            while put.lock().unwrap().len() <= thing as usize {
                tokio::task::yield_now().await;
            }
        }
        asked.extend((4..200).map(ask));
        tokio::task::yield_now().await;
        may_end.add_permits(1_000);
        for (thing, asker) in (0..).zip(asked) {
            assert_eq!(asker.await.unwrap(), Some(thing * 10), "to each its own");
        }
        let put = put.lock().unwrap().clone();
        assert_eq!((&put[..4], put.iter().sum::<usize>()), (&[1; 4][..], 200));
        assert!(put.len() <= 4 + 196_usize.div_ceil(ASKED_MAX), "{put:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn questions_that_have_no_answer_hold_nobody_up_for_long() {
        let together = Together::new(|things: Vec<u32>| async move {
            if things[0] == 0 {
                std::future::pending::<()>().await;
            }
            things
        });
        let dead: Vec<_> = (0..QUESTIONS_MAX)
            .map(|_| {
                let together = together.clone();
                tokio::spawn(async move { together.get(0).await })
            })
            .collect();
        for asker in dead {
            assert_eq!(asker.await.unwrap(), None);
        }
        assert_eq!(together.get(7).await, Some(7));
    }
}
