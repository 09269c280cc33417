//! How much of the log its stream may lose.
//!
//! What goes is in the archive, was read back from there, and lies before a kept snapshot; so whoever needs
//! it reads it there, and nobody loses anything by a cut, whoever makes it: what was archived and kept once
//! stays so, even where a leader that was deposed meanwhile goes by it. Readers that have not come so far
//! hold it back as well, for the stream is the faster place to read; but only up to a bound, since one that
//! is away would fill the stream in the end, and a full stream takes nothing.

use nox_contract::FrameNumber;

use crate::Faults;

/// When the stream is cut, and how much stays; each in percent of its limit. Admission stops at 80.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// From here on frames go.
    pub cut_percent: u8,
    /// That much stays at least, the newest frames.
    pub tail_percent: u8,
    /// From here on no reader holds frames back.
    pub reader_percent: u8,
}

impl Default for Retention {
    fn default() -> Self {
        Self { cut_percent: 50, tail_percent: 25, reader_percent: 70 }
    }
}

/// The log's stream as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogUsage {
    pub bytes: u64,
    pub bytes_max: u64,
    /// The first frame that it has.
    pub first: FrameNumber,
}

/// A segment of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archived {
    pub first: FrameNumber,
    pub last: FrameNumber,
    /// Before compression.
    pub bytes: u64,
}

/// What is elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// Segments of the archive that were read back, in order. They may overlap, and where one is missing,
    /// nothing behind the gap counts.
    pub segments: &'a [Archived],
    /// The newest snapshot that was kept; the frame itself stays, for it shows whether the log agrees.
    pub snapshot: FrameNumber,
    /// Who follows the log, and the last frame that each has taken in.
    pub readers: &'a [(String, FrameNumber)],
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// All frames before this one go; `None` if none may.
    pub before: Option<FrameNumber>,
    /// What keeps frames that would go else.
    pub hold: Option<Hold>,
    /// Readers that will have to read the archive.
    pub left_behind: Vec<String>,
}

/// What keeps frames in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// They are not in the archive yet.
    Archive,
    /// No snapshot has been kept since.
    Snapshot,
    Reader(String),
}

impl Retention {
    /// Whether the stream is so full that it should be cut.
    pub fn is_due(&self, bytes: u64, bytes_max: u64) -> bool {
        bytes >= share(bytes_max, self.cut_percent)
    }

    /// What is to be cut off; `None` while there is room.
    pub fn cut(&self, usage: LogUsage, kept: Kept<'_>, faults: Faults) -> Option<Cut> {
        if !self.is_due(usage.bytes, usage.bytes_max) {
            return None;
        }
        let (mut before, mut hold) = self.wanted(usage, kept.segments);
        if faults.cut_before_archived {
            before = FrameNumber(before.0 + 1);
        }
        let mut bound = |n: FrameNumber, what: Hold| {
            if n < before {
                (before, hold) = (n, Some(what));
            }
        };
        if !faults.cut_beyond_snapshot {
            bound(kept.snapshot, Hold::Snapshot);
        }
        if usage.bytes < share(usage.bytes_max, self.reader_percent) {
            for (reader, n) in kept.readers {
                bound(n.next(), Hold::Reader(reader.clone()));
            }
        }
        let behind = kept.readers.iter().filter(|(_, n)| n.next() < before);
        let left_behind = behind.map(|(reader, _)| reader.clone()).collect();
        let before = (before > usage.first).then_some(before);
        Some(Cut { before, hold, left_behind })
    }

    /// The first frame that should stay, by the stream's size and the archive alone: segments go whole, as
    /// long as the tail stays.
    fn wanted(&self, usage: LogUsage, segments: &[Archived]) -> (FrameNumber, Option<Hold>) {
        let tail = share(usage.bytes_max, self.tail_percent);
        let mut left = usage.bytes;
        let mut before = usage.first;
        for Archived { first, last, bytes } in segments {
            if *last < before {
                continue;
            }
            if *first > before {
                break;
            }
            left = left.saturating_sub(*bytes);
            if left < tail {
                return (before, None);
            }
            before = last.next();
        }
        // All that is archived may go, and it is not enough.
        (before, Some(Hold::Archive))
    }
}

fn share(bytes: u64, percent: u8) -> u64 {
    bytes / 100 * u64::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: fn(u64) -> FrameNumber = FrameNumber;

    /// A stream of 100 bytes in all, full to 60: frames 101 to 160 of a byte each.
    fn usage() -> LogUsage {
        LogUsage { bytes: 60, bytes_max: 100, first: N(101) }
    }

    /// Segments of ten frames, up to `last`.
    fn segments(last: u64) -> Vec<Archived> {
        (0..last / 10).map(|k| segment(k * 10 + 1, k * 10 + 10)).collect()
    }

    fn segment(first: u64, last: u64) -> Archived {
        Archived { first: N(first), last: N(last), bytes: last - first + 1 }
    }

    fn cut(usage: LogUsage, archived: u64, snapshot: u64, readers: &[(&str, u64)]) -> Option<Cut> {
        let segments = segments(archived);
        let readers: Vec<_> = readers.iter().map(|(name, n)| ((*name).to_owned(), N(*n))).collect();
        let kept = Kept { segments: &segments, snapshot: N(snapshot), readers: &readers };
        Retention::default().cut(usage, kept, Faults::default())
    }

    fn before(cut: Option<Cut>) -> (Option<u64>, Option<Hold>) {
        cut.map(|cut| (cut.before.map(|n| n.0), cut.hold)).unwrap()
    }

    #[test]
    fn nothing_goes_while_there_is_room() {
        assert_eq!(cut(LogUsage { bytes: 49, ..usage() }, 160, 160, &[]), None);
        assert!(cut(LogUsage { bytes: 50, ..usage() }, 160, 160, &[]).is_some());
    }

    #[test]
    fn a_tail_stays() {
        // 30 of 60 bytes stay, for 20 would be less than the tail of 25.
        assert_eq!(before(cut(usage(), 160, 160, &[])), (Some(131), None));
    }

    #[test]
    fn nothing_goes_that_is_not_archived() {
        assert_eq!(before(cut(usage(), 120, 160, &[])), (Some(121), Some(Hold::Archive)));
        assert_eq!(before(cut(usage(), 100, 160, &[])), (None, Some(Hold::Archive)));
        let segments = segments(120);
        let kept = Kept { segments: &segments, snapshot: N(160), readers: &[] };
        let faults = Faults { cut_before_archived: true, ..Faults::default() };
        let cut = Retention::default().cut(usage(), kept, faults).unwrap();
        assert_eq!(cut.before, Some(N(122)), "the control");
    }

    #[test]
    fn nothing_goes_from_behind_a_gap_in_the_archive() {
        let cut = |segments: &[Archived]| {
            let kept = Kept { segments, snapshot: N(160), readers: &[] };
            before(Retention::default().cut(usage(), kept, Faults::default()))
        };
        let gap = [segment(101, 110), segment(121, 160)];
        assert_eq!(cut(&gap), (Some(111), Some(Hold::Archive)));
        assert_eq!(cut(&gap[1..]), (None, Some(Hold::Archive)), "the beginning is gone");
        let overlapping = [segment(101, 112), segment(105, 111), segment(110, 122)];
        assert_eq!(cut(&overlapping), (Some(123), Some(Hold::Archive)));
    }

    #[test]
    fn nothing_goes_that_a_takeover_needs() {
        assert_eq!(before(cut(usage(), 160, 115, &[])), (Some(115), Some(Hold::Snapshot)));
        assert_eq!(before(cut(usage(), 160, 0, &[])), (None, Some(Hold::Snapshot)));
    }

    #[test]
    fn a_reader_holds_frames_up_to_a_bound() {
        let readers = [("projector", 110), ("notifier", 160)];
        let hold = Some(Hold::Reader("projector".to_owned()));
        assert_eq!(before(cut(usage(), 160, 160, &readers)), (Some(111), hold));
        let fuller = LogUsage { bytes: 70, ..usage() };
        let cut = cut(fuller, 170, 170, &readers).unwrap();
        assert_eq!(cut.before, Some(N(141)));
        assert_eq!((cut.hold, cut.left_behind), (None, vec!["projector".to_owned()]));
    }
}
