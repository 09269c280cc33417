//! Whether the projection follows the log, seen from outside: a projector that cannot write does not
//! always live to say so.

use std::time::Duration;

use nox_contract::Position;

/// How long the view may stay where it is while the log is ahead of it. A batch takes less than a
/// second, and a projector that is restarted some two.
const STANDSTILL_AFTER: Duration = Duration::from_secs(5);

/// Remembers since when the view has not moved.
#[derive(Debug, Default)]
pub struct Standstill {
    /// Where the view is behind the log, and when it was first seen there, on the monotonic clock.
    behind: Option<(Position, Duration)>,
}

impl Standstill {
    /// Judges one look at both.
    ///
    /// # Errors
    /// The view has stood still for too long, in a sentence.
    pub fn judge(&mut self, now: Duration, view: Position, log: &Position) -> Result<(), String> {
        if view >= *log {
            self.behind = None;
            return Ok(());
        }
        let (place, since) = self.behind.get_or_insert_with(|| (view.clone(), now));
        if *place != view {
            self.behind = Some((view, now));
            return Ok(());
        }
        if now.saturating_sub(*since) < STANDSTILL_AFTER {
            return Ok(());
        }
        if view.incarnation != log.incarnation {
            return Err(
                "the view is of another log than there is now: see the projector".to_owned()
            );
        }
        Err(format!(
            "the view stands still at frame {}, and more have come: see the projector",
            view.seq
        ))
    }
}

#[cfg(test)]
mod tests {
    use nox_contract::Incarnation;

    use super::*;

    fn at(seq: u64) -> Position {
        Position { incarnation: Incarnation::default(), seq }
    }

    #[test]
    fn a_view_that_moves_may_be_behind_and_one_that_does_not_may_not() {
        let mut standstill = Standstill::default();
        let mut judge = |seconds, view, log| {
            let now = Duration::from_secs(seconds);
            standstill.judge(now, at(view), &at(log)).is_ok()
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

    #[test]
    fn a_view_of_another_log_does_not_follow_however_far_it_is() {
        let mut standstill = Standstill::default();
        let other = Position { incarnation: Incarnation("other".to_owned()), seq: 3 };
        assert!(standstill.judge(Duration::ZERO, at(100), &other).is_ok(), "just seen");
        let said = standstill.judge(STANDSTILL_AFTER, at(100), &other).unwrap_err();
        assert!(said.contains("another log"), "{said}");
    }
}
