//! Switches that break the protocol, for negative controls: a simulation that stays green with one
//! of these on proves nothing. All off in production, where nothing sets them.

/// What to break in the scheduler's side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Append without naming the epoch.
    pub epoch_guard_off: bool,
    /// Append without naming the expected last sequence.
    pub predicted_sequence_off: bool,
    /// After an unknown outcome, send everything in flight again without comparing the tail.
    pub blind_resend: bool,
    /// A new leader takes an input of which some parts are consumed for done.
    pub half_input_dropped: bool,
    /// A frame that ends within an input says that one part more is consumed.
    pub part_skipped: bool,
    /// A new leader goes on where the last frame with entries stood, as if those without said nothing.
    pub empty_frames_ignored: bool,
    /// A new leader decides the last whole input once more.
    pub consumed_input_repeated: bool,
    /// Answer, and hand out work, before the write is acknowledged.
    pub answer_before_ack: bool,
    /// Go on at the old position in a stream that is another one.
    pub incarnation_ignored: bool,
    /// Archive frames that were sent, be they in the log or not.
    pub archived_before_ack: bool,
    /// Take the archive for one of this log without comparing the two.
    pub archive_not_compared: bool,
    /// Cut the log one frame beyond what is in the archive.
    pub cut_before_archived: bool,
    /// Cut the log without regard to what a takeover needs.
    pub cut_beyond_snapshot: bool,
    /// Judge a beat although reports that it refers to are still to be consumed.
    pub beat_judged_early: bool,
    /// Give a worker up as soon as the broker says once that nobody listens for its work.
    pub absent_at_once: bool,
    /// Decide by a version that is still to come, see [`crate::future`]. It breaks nothing by itself.
    pub future: bool,
    /// Count a worker's absence as before when the leader's own connection was lost in between.
    pub reconnects_ignored: bool,
}
