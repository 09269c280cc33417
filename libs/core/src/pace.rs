//! Rate limits of starts, by log time: the generic cell rate algorithm.

use std::time::Duration;

use nox_contract::{Timestamp, limits::UNLIMITED};
use serde::{Deserialize, Serialize};

const MINUTE: Duration = Duration::from_secs(60);

/// How far starts have come: by an even spread, the next one is due then. One second's worth may come at once
/// where nothing came before, and one start always, so that any minute has at most its number and that more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pace(Timestamp);

impl Pace {
    pub(crate) fn is_unused(&self) -> bool {
        *self == Self::default()
    }

    /// When one more may start, after `given` that start `at` and that the log does not know yet. `None`: whenever it
    /// likes to, or never, where there are to be none; see [`Self::admits`].
    pub fn next_start(self, per_minute: u32, at: Timestamp, given: u32) -> Option<Timestamp> {
        let interval = interval(per_minute)?;
        let due = if given == 0 { self.0 } else { self.0.max(at) + interval * given };
        let at_once = (per_minute / 60).max(1) - 1;
        Some(due - interval * at_once)
    }

    /// Whether one more may start `at`.
    pub fn admits(self, per_minute: u32, at: Timestamp, given: u32) -> bool {
        per_minute != 0 && self.next_start(per_minute, at, given).is_none_or(|next| next <= at)
    }

    /// After a start.
    pub(crate) fn start(&mut self, per_minute: u32, at: Timestamp) {
        if let Some(interval) = interval(per_minute) {
            self.0 = self.0.max(at) + interval;
        }
    }
}

/// Between two starts.
fn interval(per_minute: u32) -> Option<Duration> {
    if per_minute == UNLIMITED || per_minute == 0 {
        return None;
    }
    let micros = u64::try_from(MINUTE.as_micros()).unwrap_or(u64::MAX);
    Some(Duration::from_micros(micros.div_ceil(u64::from(per_minute))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn starts_are_spread_and_a_seconds_worth_comes_at_once() {
        let at = |ms: i64| Timestamp::from_micros(1_000_000_000_000 + ms * 1_000);
        let mut pace = Pace::default();
        assert!(pace.admits(6, at(0), 0) && !pace.admits(6, at(0), 1));
        pace.start(6, at(0));
        assert!(!pace.admits(6, at(9_999), 0));
        assert_eq!(pace.next_start(6, at(5_000), 0), Some(at(10_000)));
        assert!(pace.admits(6, at(10_000), 0));
        // Three a second.
        let mut pace = Pace::default();
        for given in 0..3 {
            assert!(pace.admits(180, at(0), given));
        }
        assert!(!pace.admits(180, at(0), 3));
        (0..3).for_each(|_| pace.start(180, at(0)));
        assert!(!pace.admits(180, at(0), 0) && pace.admits(180, at(334), 0));
        assert!(Pace::default().admits(UNLIMITED, at(0), u32::MAX));
        assert!(!Pace::default().admits(0, at(0), 0), "none is none");
    }

    proptest! {
        #[test]
        fn no_minute_has_more_than_its_number_and_a_seconds_worth(
            per_minute in 1_u32..2_000,
            waits in prop::collection::vec(0_u64..3_000, 1..600),
        ) {
            let mut pace = Pace::default();
            let mut now = Timestamp::from_micros(1_000_000_000_000);
            let mut starts = Vec::new();
            for wait in waits {
                now = now + Duration::from_millis(wait);
                while pace.admits(per_minute, now, 0) {
                    pace.start(per_minute, now);
                    starts.push(now);
                }
            }
            let most = (per_minute + (per_minute / 60).max(1)) as usize;
            for (first, start) in starts.iter().enumerate() {
                let within = starts[first..].iter().take_while(|at| at.since(*start) < MINUTE);
                prop_assert!(within.count() <= most);
            }
        }
    }
}
