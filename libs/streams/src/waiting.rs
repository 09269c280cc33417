//! Who waits for which reply: numbered tokens, each with one sender, in the order they were given.

use std::collections::VecDeque;

use async_nats::Subject;
use tokio::sync::oneshot;

/// Replies that are still to come. Time is counted in ticks, so that it reads no clock.
///
/// Tokens are consecutive, so the senders stand in a queue and a token is a place in it; whoever
/// waits longest is at the front.
pub(crate) struct Waiting<T> {
    /// The token of the queue's front.
    first: u64,
    queue: VecDeque<Option<Waiter<T>>>,
    /// How many of them are still waited for.
    count: usize,
}

struct Waiter<T> {
    since_tick: u64,
    /// What it is a reply to, where that has a subject.
    subject: Option<Subject>,
    reply: oneshot::Sender<T>,
}

impl<T> Waiting<T> {
    pub(crate) fn new() -> Self {
        Self { first: 0, queue: VecDeque::new(), count: 0 }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Takes the next token for `reply`.
    pub(crate) fn add(&mut self, tick: u64, reply: oneshot::Sender<T>) -> u64 {
        self.add_about(tick, None, reply)
    }

    /// The same for a reply to a message on `subject`.
    pub(crate) fn add_about(
        &mut self,
        tick: u64,
        subject: Option<Subject>,
        reply: oneshot::Sender<T>,
    ) -> u64 {
        self.count += 1;
        self.queue.push_back(Some(Waiter { since_tick: tick, subject, reply }));
        self.first + self.queue.len() as u64 - 1
    }

    /// Gives the senders of all that is on `subject`.
    pub(crate) fn take_of(&mut self, subject: &str) -> Vec<oneshot::Sender<T>> {
        let is_meant = |place: &mut &mut Option<Waiter<T>>| {
            let waiter = place.as_ref();
            waiter.and_then(|waiter| waiter.subject.as_deref()).is_some_and(|of| of == subject)
        };
        let meant = self.queue.iter_mut().filter_map(|mut place| {
            is_meant(&mut place).then(|| place.take()).flatten().map(|waiter| waiter.reply)
        });
        let meant: Vec<_> = meant.collect();
        self.count -= meant.len();
        self.drop_answered();
        meant
    }

    /// Gives the sender of `token`, once; a token that nobody waits for any more has none.
    pub(crate) fn take(&mut self, token: u64) -> Option<oneshot::Sender<T>> {
        let place = usize::try_from(token.checked_sub(self.first)?).ok()?;
        let waiter = self.queue.get_mut(place)?.take()?;
        self.count -= 1;
        self.drop_answered();
        Some(waiter.reply)
    }

    /// Gives the senders that have waited since before `tick`.
    pub(crate) fn expire(&mut self, tick: u64) -> Vec<oneshot::Sender<T>> {
        let mut expired = Vec::new();
        while let Some(Some(waiter)) = self.queue.front() {
            if waiter.since_tick >= tick {
                break;
            }
            expired.extend(self.queue.pop_front().flatten().map(|waiter| waiter.reply));
            self.first += 1;
            self.drop_answered();
        }
        self.count -= expired.len();
        expired
    }

    /// Gives all senders.
    pub(crate) fn drain(&mut self) -> Vec<oneshot::Sender<T>> {
        self.first += self.queue.len() as u64;
        self.count = 0;
        self.queue.drain(..).flatten().map(|waiter| waiter.reply).collect()
    }

    fn drop_answered(&mut self) {
        while let Some(None) = self.queue.front() {
            self.queue.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_answered_once_whatever_the_order() {
        let mut waiting = Waiting::new();
        let mut receivers = Vec::new();
        for expected in 0..4_u64 {
            let (reply, receiver) = oneshot::channel();
            assert_eq!(waiting.add(0, reply), expected);
            receivers.push(receiver);
        }
        for token in [2, 0, 3, 1] {
            waiting.take(token).unwrap().send(token).unwrap();
            assert!(waiting.take(token).is_none());
        }
        for (token, mut receiver) in (0..).zip(receivers) {
            assert_eq!(receiver.try_recv(), Ok(token));
        }
        assert_eq!((waiting.count(), waiting.queue.len()), (0, 0));
        assert!(waiting.take(99).is_none());
    }

    #[test]
    fn only_those_who_waited_too_long_expire() {
        let mut waiting = Waiting::<()>::new();
        for tick in [1, 1, 2, 3] {
            waiting.add(tick, oneshot::channel().0);
        }
        assert!(waiting.take(1).is_some());
        assert_eq!(waiting.expire(3).len(), 2);
        assert_eq!(waiting.count(), 1);
        assert!(waiting.take(2).is_none());
        assert!(waiting.take(3).is_some());
        assert_eq!(waiting.add(4, oneshot::channel().0), 4);
    }

    #[test]
    fn those_on_one_subject_are_given_together_and_the_others_stay() {
        let mut waiting = Waiting::<()>::new();
        for subject in ["a", "b", "a"] {
            waiting.add_about(0, Some(subject.into()), oneshot::channel().0);
        }
        waiting.add(0, oneshot::channel().0);
        assert_eq!(waiting.take_of("a").len(), 2);
        assert!(waiting.take_of("a").is_empty());
        assert_eq!(waiting.count(), 2);
        assert!(waiting.take(1).is_some() && waiting.take(3).is_some());
        assert_eq!((waiting.count(), waiting.queue.len()), (0, 0));
    }

    #[test]
    fn a_token_from_before_a_drain_is_never_given_again() {
        let mut waiting = Waiting::<()>::new();
        waiting.add(0, oneshot::channel().0);
        let late = waiting.add(0, oneshot::channel().0);
        assert_eq!(waiting.drain().len(), 2);
        assert_eq!(waiting.add(0, oneshot::channel().0), late + 1);
        assert!(waiting.take(late).is_none());
    }
}
