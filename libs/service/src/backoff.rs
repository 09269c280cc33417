//! How long to wait before trying again.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Pauses that double up to a bound. Each is cut by up to a half at random, so that processes that lost
/// the same server do not all come back at the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { next: min, max }
    }

    /// The pause before the next try.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.max);
        // A fresh state hashes differently each time; nothing better is needed.
        let random = RandomState::new().hash_one(0) >> 32;
        let share = random as f64 / f64::from(u32::MAX);
        pause.mul_f64(0.5 + 0.5 * share.min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_differ() {
        let (min, max) = (Duration::from_millis(50), Duration::from_secs(2));
        let mut backoff = Backoff::new(min, max);
        let pauses: Vec<_> = (0..50).map(|_| backoff.pause()).collect();
        for (tries, pause) in pauses.iter().enumerate() {
            let whole = (min * 2_u32.saturating_pow(tries.min(6) as u32)).min(max);
            assert!((whole / 2..=whole).contains(pause), "{tries}: {pause:?}");
        }
        assert!(pauses[10..].windows(2).any(|two| two[0] != two[1]), "{pauses:?}");
    }
}
