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
    /// A new leader takes a half-committed input for done.
    pub half_input_dropped: bool,
    /// A new leader completes an input from where the input before it stood, as if nothing had been
    /// consumed in between.
    pub factless_inputs_forgotten: bool,
    /// A new leader applies the last complete input once more.
    pub complete_input_reapplied: bool,
    /// Answer, and hand out work, before the write is acknowledged.
    pub answer_before_ack: bool,
    /// Go on at the old position in a stream that is another one.
    pub incarnation_ignored: bool,
    /// Judge a beat although reports that it refers to are still to be consumed.
    pub beat_judged_early: bool,
}
