//! When the queue is looked at, and how far at a time.

use nox_core::Internal;

use super::{Leader, Now, TermEnd};

/// Most jobs that one match places: enough to fill any worker, few enough that others get their turn. Where
/// there are very many workers, each of which is asked for each job, fewer.
pub(super) const PLACEMENTS_MAX: u32 = 256;
/// How many jobs one match, or one look at reasons, looks at, and how many workers it asks for a place for
/// them; the next one goes on behind them. 0.1 to 0.2 µs each, so that others wait for 4 ms at most.
pub(super) const LOOKS_MAX: u32 = 20_000;

impl Leader {
    /// Looks at the next kinds of waiting jobs. Where something happened since the first of them were
    /// looked at, it begins anew, for what was freed is the first's whom it fits. That is done once before
    /// it comes to its end: else the last would never be looked at where something happens all the time.
    pub(super) fn match_queued(&mut self, now: Now) -> Result<(), TermEnd> {
        let due = self.is_match_due();
        let happened = std::mem::take(&mut self.match_due);
        let behind = self.match_behind.take();
        let to_end = std::mem::take(&mut self.match_to_end);
        if !due {
            return Ok(());
        }
        let anew = happened && behind.is_some() && !to_end;
        let behind = behind.filter(|_| !anew);
        let placements_max = self.placements_max();
        let input = Internal::Match { placements_max, looks_max: LOOKS_MAX, behind };
        let goes_on = behind.is_some();
        let followed = self.decide_internal(input, now)?;
        // One that goes on has not looked at those before again.
        let before = self.look_at.filter(|_| goes_on);
        self.look_at = [before, followed.look_at].into_iter().flatten().min();
        // What happened meanwhile is for the next one.
        self.match_due |= happened && behind.is_some();
        if followed.entries >= placements_max as usize {
            self.match_due = true;
        } else if followed.behind.is_some() {
            self.match_behind = followed.behind;
            self.match_to_end = anew || to_end;
        }
        Ok(())
    }

    /// As many as take half of what one match may look at, at most: the other half is for those that
    /// cannot be placed.
    fn placements_max(&self) -> u32 {
        let workers = u32::try_from(self.state().workers.len()).unwrap_or(u32::MAX);
        (LOOKS_MAX / 2 / workers.saturating_add(1)).clamp(1, PLACEMENTS_MAX)
    }

    /// Whether the queue may move: something happened that could let it, kinds of jobs are still to be
    /// looked at, or a frame told jobs that what they waited for has ended.
    pub(super) fn is_match_due(&self) -> bool {
        let state = self.state();
        state.has_unblocked()
            || ((self.match_due || self.match_behind.is_some()) && state.has_waiting())
    }
}
