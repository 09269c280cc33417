//! Whether the projection follows the log, seen from outside: a projector that cannot write does not
//! always live to say so.

use std::time::Duration;

use nox_contract::EventNumber;

/// How long the view may stay where it is while the log is ahead of it. A batch takes less than a
/// second, and a projector that is restarted some two.
const STANDSTILL_AFTER: Duration = Duration::from_secs(5);

/// Remembers since when the view has not moved.
#[derive(Debug, Default)]
pub struct Standstill {
    /// Where the view is behind the log, and when it was first seen there, on the monotonic clock.
    behind: Option<(EventNumber, Duration)>,
}

impl Standstill {
    /// Judges one look at both.
    ///
    /// # Errors
    /// The view has stood still for too long, in a sentence.
    pub fn judge(
        &mut self,
        now: Duration,
        view: EventNumber,
        log: EventNumber,
    ) -> Result<(), String> {
        if view >= log {
            self.behind = None;
            return Ok(());
        }
        let (place, since) = *self.behind.get_or_insert((view, now));
        if place != view {
            self.behind = Some((view, now));
            return Ok(());
        }
        if now.saturating_sub(since) < STANDSTILL_AFTER {
            return Ok(());
        }
        Err(format!("the view stands still at event {view}, and more have come: see the projector"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_moves_may_be_behind_and_one_that_does_not_may_not() {
        let mut standstill = Standstill::default();
        let mut judge = |seconds, view, log| {
            let now = Duration::from_secs(seconds);
            standstill.judge(now, EventNumber(view), EventNumber(log)).is_ok()
        };
        assert!(judge(0, 7, 7), "nothing has come");
        assert!(judge(100, 7, 9), "just seen");
        assert!(judge(104, 7, 12));
        assert!(!judge(105, 7, 12));
        assert!(judge(106, 8, 12), "it moves");
        assert!(judge(110, 8, 12));
        assert!(!judge(111, 8, 12));
        assert!(judge(112, 12, 12));
        assert!(judge(113, 12, 13), "the time before does not count");
        assert!(judge(114, 3, 13), "another database moves as well");
    }
}
