//! The frames that a leader wrote last, for whoever archives them: it need not read them again from the
//! broker. Bounded; what went before somebody took it is in the log all the same.

use std::collections::VecDeque;

use bytes::Bytes;
use nox_contract::FrameNumber;

use crate::faults::Faults;

/// See the head of this file.
#[derive(Debug)]
pub struct RecentFrames {
    /// Most bytes of payloads.
    bytes_max: usize,
    faults: Faults,
    /// Everything up to here is in the log.
    acked: FrameNumber,
    /// As they were sent, without a gap; some may never get into the log.
    frames: VecDeque<(FrameNumber, Bytes)>,
    bytes: usize,
}

/// What follows a message of the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Following {
    /// These, the first of which is its successor. They are not kept any longer.
    Frames(Vec<(FrameNumber, Bytes)>),
    /// Messages up to this one, which the log alone has.
    InLog { up_to: FrameNumber },
    /// Nothing yet.
    Nothing,
}

impl RecentFrames {
    /// Keeps frames of `bytes_max` together; the log has all up to `end` already.
    pub fn new(bytes_max: usize, end: FrameNumber, faults: Faults) -> Self {
        Self { bytes_max, faults, acked: end, frames: VecDeque::new(), bytes: 0 }
    }

    /// Frame `n` is sent, be it once more.
    pub fn sent(&mut self, n: FrameNumber, payload: &Bytes) {
        if self.frames.back().is_some_and(|(last, _)| n <= *last) {
            return;
        }
        self.bytes += payload.len();
        self.frames.push_back((n, payload.clone()));
        while self.bytes > self.bytes_max {
            self.pop();
        }
    }

    /// The log has everything up to `n`, as it was sent.
    pub fn acked(&mut self, n: FrameNumber) {
        self.acked = self.acked.max(n);
    }

    /// Bytes that are kept, and the log may have.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the log has behind `after`. Frames of up to `bytes_max`, or a single one.
    pub fn take(&mut self, after: FrameNumber, bytes_max: usize) -> Following {
        while self.frames.front().is_some_and(|(n, _)| *n <= after) {
            self.pop();
        }
        let is_in_log = |n: FrameNumber| n <= self.acked || self.faults.archived_before_ack;
        match self.frames.front() {
            Some((first, _)) if *first == after.next() => {
                let mut bytes = 0;
                let mut taken = Vec::new();
                while bytes < bytes_max
                    && self.frames.front().is_some_and(|(n, _)| is_in_log(*n))
                    && let Some((n, payload)) = self.frames.pop_front()
                {
                    bytes += payload.len();
                    taken.push((n, payload));
                }
                self.bytes -= bytes;
                if taken.is_empty() { Following::Nothing } else { Following::Frames(taken) }
            }
            _ if after >= self.acked => Following::Nothing,
            Some((first, _)) => {
                Following::InLog { up_to: FrameNumber(self.acked.0.min(first.0 - 1)) }
            }
            None => Following::InLog { up_to: self.acked },
        }
    }

    fn pop(&mut self) {
        if let Some((_, payload)) = self.frames.pop_front() {
            self.bytes -= payload.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(n: u64) -> (FrameNumber, Bytes) {
        (FrameNumber(n), Bytes::from(format!("frame {n:04}")))
    }

    /// Frames 11 to 19 were sent, 11 to 15 are in the log, and there is room for `room` of them.
    fn recent(room: usize) -> RecentFrames {
        let mut recent =
            RecentFrames::new(room * frame(0).1.len(), FrameNumber(10), Faults::default());
        for n in 11..20 {
            let (n, payload) = frame(n);
            recent.sent(n, &payload);
        }
        recent.acked(FrameNumber(15));
        recent
    }

    #[test]
    fn what_the_log_has_is_taken_once_and_in_portions() {
        let mut recent = recent(100);
        recent.sent(FrameNumber(12), &frame(12).1);
        assert_eq!(recent.take(FrameNumber(10), 11), Following::Frames(vec![frame(11), frame(12)]));
        assert_eq!(
            recent.take(FrameNumber(12), 1_000),
            Following::Frames(vec![frame(13), frame(14), frame(15)])
        );
        assert_eq!(recent.take(FrameNumber(15), 1_000), Following::Nothing);
        recent.acked(FrameNumber(16));
        assert_eq!(recent.take(FrameNumber(15), 1_000), Following::Frames(vec![frame(16)]));
        assert_eq!(recent.bytes(), 3 * frame(0).1.len());
    }

    #[test]
    fn what_another_one_wrote_or_nobody_took_in_time_is_in_the_log_alone() {
        let mut recent = recent(6);
        let up_to = FrameNumber(13);
        assert_eq!(recent.take(FrameNumber(3), 1_000), Following::InLog { up_to });
        assert_eq!(recent.take(up_to, 1_000), Following::Frames(vec![frame(14), frame(15)]));

        let mut none = RecentFrames::new(0, FrameNumber(10), Faults::default());
        let up_to = FrameNumber(10);
        assert_eq!(none.take(FrameNumber(3), 1_000), Following::InLog { up_to });
        none.sent(FrameNumber(11), &frame(11).1);
        assert_eq!(none.take(FrameNumber(10), 1_000), Following::Nothing);
        none.acked(FrameNumber(11));
        let up_to = FrameNumber(11);
        assert_eq!(none.take(FrameNumber(10), 1_000), Following::InLog { up_to });
    }

    #[test]
    fn an_archive_that_is_ahead_is_waited_for() {
        let mut recent = recent(100);
        assert_eq!(recent.take(FrameNumber(30), 1_000), Following::Nothing);
    }
}
