//! A term: decides inputs, gets what follows into the log, and only then answers and hands out work.
//!
//! | file | what of it |
//! |---|---|
//! | `mod.rs` | inputs, and the turn that ends in a frame |
//! | `entries.rs` | what is to be done for what was decided |
//! | `matching.rs` | when the queue is looked at, and how far |
//! | `time.rs` | what is done by time alone |
//! | `schedules.rs` | when schedules are due |
//! | `dispatch.rs` | work, and work again |
//! | `held_back.rs` | what waits for the log |
//! | `hot_inputs.rs` | inputs of jobs that were submitted lately |

mod dispatch;
mod entries;
mod held_back;
mod hot_inputs;
mod matching;
mod schedules;
mod time;

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use nox_contract::{
    Answer, AnswerMessage, Beat, Chain, Covers, FrameNumber, Positions, SchedulerConfig, SessionId,
    Source, TenantId, Timestamp, WorkerId,
};
use nox_core::{Internal, Rules, State, turn::Turn};

pub use self::dispatch::Dispatch;
use self::{held_back::HeldBack, hot_inputs::HotInputs};
use crate::{
    appender::{AppendEffect, Appender, Deposed, Guard},
    faults::Faults,
    liveness::{Liveness, Probe, Probing},
    sequencer::{Decided, Input, SealedFrame, SequenceError, Sequencer},
    takeover::{Ready, decode_input},
};

/// Most attempts of sessions that are over which one turn says are lost: a worker that goes may have had
/// tens of thousands.
pub const LOSSES_MAX: u32 = 1_000;
/// Shortest span between two frames without entries that only say that inputs were consumed. Each is a
/// message of the log: a loop of refused requests must not be able to fill it.
const EMPTY_FRAMES_INTERVAL: Duration = Duration::from_millis(100);

/// What a term is to be led by.
#[derive(Debug, Clone)]
pub struct LeaderConfig {
    pub rules: Rules,
    /// Most frames in flight.
    pub window: usize,
    /// From this size on a frame is sealed, in bytes; [`crate::sequencer::FRAME_BYTES_FULL`] unless a
    /// test wants frames to end everywhere.
    pub frame_bytes: usize,
    /// Most losses that a turn tells; [`LOSSES_MAX`] unless a test wants others between any two.
    pub losses_max: u32,
    /// How long a silent worker is believed to live.
    pub worker_lease: Duration,
    /// How workers are asked after that are not heard of; `None`: their leases alone decide.
    pub probing: Option<Probing>,
    pub scheduler: SchedulerConfig,
    pub faults: Faults,
}

/// The two clocks of a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// What the log records, unless it is ahead. Never decreases.
    pub at: Timestamp,
    /// The wall clock, for `run_at` alone.
    pub wall: Timestamp,
    /// Since the process began, for leases.
    pub monotonic: Duration,
}

/// What to do for the leader.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Append {
        guard: Guard,
        frame: SealedFrame,
    },
    ReadTail {
        from: u64,
    },
    Answer {
        reply_to: String,
        message: AnswerMessage,
    },
    Dispatch {
        worker_id: WorkerId,
        session: SessionId,
        work: Dispatch,
    },
    /// Hand out again, in one message, for what it covers is settled only by all of it.
    Redeliver {
        worker_id: WorkerId,
        session: SessionId,
        covers: Covers,
        work: Vec<Dispatch>,
    },
    /// Ask the broker whether anybody listens for the worker's work; where nobody does, [`Leader::on_absent`]
    /// follows. Rests on nothing in the log, and changes nothing by itself.
    Probe {
        worker_id: WorkerId,
        session: SessionId,
        probe: Probe,
    },
}

/// Why a term ends.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TermEnd {
    #[error(transparent)]
    Deposed(#[from] Deposed),
    #[error(transparent)]
    Broken(#[from] SequenceError),
}

/// What followed from one input, once it is noted.
struct Followed {
    /// How many entries.
    entries: usize,
    /// For each part that somebody waits for.
    answers: Vec<Answer>,
    /// Where a look at the queue is to go on that did not come to its end.
    behind: Option<Turn>,
    /// When a job that starts too soon after others may start.
    look_at: Option<Timestamp>,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Leader {
    config: LeaderConfig,
    sequencer: Sequencer,
    appender: Appender,
    liveness: Liveness,
    /// Questions about workers that are still to be asked.
    probes: VecDeque<Effect>,
    hot_inputs: HotInputs,
    held_back: HeldBack,
    /// Something is held back that rests on no fact, so that only a write can prove that this leader may
    /// do it.
    proof_due: bool,
    /// What was decided is to be sealed as soon as the appender can take it.
    seal_due: bool,
    /// What was decided is to be sealed at the end of this turn, whether or not the appender can take it.
    fold_due: bool,
    /// The instant of a frame without entries, if that is what is due.
    turn_at: Timestamp,
    /// When a frame without entries was written last.
    empty_frame_at: Option<Duration>,
    /// Something happened that no match has looked at from the front of the queue since.
    match_due: bool,
    /// Up to where in the queue the last match, and the last look at reasons, looked without coming to an
    /// end.
    match_behind: Option<Turn>,
    reasons_behind: Option<Turn>,
    /// When the queue is to be looked at again, for a job that starts too soon after others may start then.
    look_at: Option<Timestamp>,
    /// The match has begun anew, for something happened before it came to its end: now it goes on to it.
    match_to_end: bool,
    reasons_at: Option<Duration>,
    /// By how much the log's time is ahead of this process's clock.
    ahead: Duration,
}

impl Leader {
    /// Begins a term from what the takeover found.
    pub fn begin(ready: Ready, config: LeaderConfig, now: Now) -> Result<Self, TermEnd> {
        let acked_pos = ready.acked_pos();
        let Ready { state, chain, pos, epoch_seq, resets } = ready;
        // A leader before may have had a clock that was ahead. Log time never runs backwards; it must
        // not stand still either until this clock has caught up, for backoffs, budgets and what is
        // to be forgotten go by it. So it goes on from where it is, at the pace of this clock.
        let ahead = state.at.since(now.at);
        let sequencer = Sequencer::new(state, pos, chain, config.rules.clone())
            .with_frame_bytes(config.frame_bytes)
            .with_part_skipped(config.faults.part_skipped)
            .with_future(config.faults.future);
        let mut leader = Self {
            appender: Appender::new(epoch_seq, acked_pos, config.window, config.faults),
            liveness: Liveness::new(
                sequencer.state(),
                config.worker_lease,
                config.faults.beat_judged_early,
                now.monotonic,
            )
            .with_probing(config.probing, &config.faults),
            probes: VecDeque::new(),
            sequencer,
            config,
            hot_inputs: HotInputs::default(),
            held_back: HeldBack::default(),
            proof_due: false,
            seal_due: false,
            fold_due: false,
            turn_at: now.at,
            empty_frame_at: None,
            match_due: true,
            match_behind: None,
            reasons_behind: None,
            look_at: None,
            match_to_end: false,
            reasons_at: None,
            ahead,
        };
        let at = leader.in_log_time(now);
        for reset in resets {
            leader.decide_internal(reset, at)?;
        }
        let config = leader.config.scheduler.clone();
        leader.decide_internal(Internal::Configure { config }, at)?;
        leader.end_turn(now)?;
        Ok(leader)
    }

    pub fn state(&self) -> &State {
        self.sequencer.state()
    }

    /// Where to read on in the input streams: everything before is decided.
    pub fn next_command(&self) -> u64 {
        self.sequencer.pos().commands.seq.max(1)
    }

    pub fn next_report(&self) -> u64 {
        self.sequencer.pos().reports.seq.max(1)
    }

    /// Frames that are not in the log yet; stop reading inputs when this grows.
    pub fn backlog(&self) -> usize {
        self.appender.backlog() + usize::from(self.sequencer.has_open_frame())
    }

    /// The state and the chain after its last frame, for a snapshot; `None` while a frame is open, which it
    /// is for as long as the log cannot keep up, see [`Self::want_fold`]. It is worth something only once the
    /// log has that frame, see [`Self::acked`].
    pub fn fold(&self) -> Option<(&State, Chain)> {
        self.sequencer.fold()
    }

    /// Has the open frame closed with this turn, so that there is a [`Self::fold`] when the turn has ended. Where
    /// the appender has no room, a frame would be closed only when it is full, and the next one begun by
    /// the rest of the same input: a log that is written without a pause would have no fold for ever.
    pub fn want_fold(&mut self) {
        self.fold_due = true;
    }

    /// The last message that is known to be in the log.
    pub fn acked(&self) -> FrameNumber {
        self.appender.acked()
    }

    /// How far the log says that the inputs are consumed: what may be removed of them.
    pub fn acked_pos(&self) -> Positions {
        self.appender.acked_pos()
    }

    /// Whether the log has all that was decided and consumed.
    pub fn is_settled(&self) -> bool {
        self.backlog() == 0 && !self.sequencer.needs_frame()
    }

    /// A message of an input stream. One that cannot be decoded is consumed without a fact.
    pub fn on_input(
        &mut self,
        src: Source,
        seq: u64,
        subject: &str,
        payload: &[u8],
        now: Now,
    ) -> Result<(), TermEnd> {
        let next = match src {
            Source::Commands => self.next_command(),
            _ => self.next_report(),
        };
        if seq < next {
            // Delivered again.
            return Ok(());
        }
        let input = decode_input(src, seq, subject, payload).unwrap_or_else(|| empty(src, seq));
        let Followed { entries, answers, .. } = self.decide(&input, self.in_log_time(now))?;
        if let Input::Commands { message, .. } = input
            && let Some(reply_to) = message.reply_to
            && !answers.is_empty()
        {
            let message = AnswerMessage { answers };
            // A "no" rests on nothing that it caused: the frame that says that it is consumed proves
            // that it may be said. That is the last one where the input ended with it.
            let told = entries > 0 && !self.sequencer.needs_frame();
            let n = if told { self.state().n } else { self.sequencer.next_n() };
            self.held_back.push(n, Effect::Answer { reply_to, message });
        }
        Ok(())
    }

    pub fn on_beat(&mut self, worker_id: WorkerId, beat: Beat, now: Now) {
        self.liveness.on_beat(worker_id, beat, now.monotonic);
    }

    /// See [`Liveness::on_absent`].
    pub fn on_absent(
        &mut self,
        worker_id: &WorkerId,
        session: SessionId,
        probe: Probe,
        reports: u64,
        now: Now,
    ) {
        self.liveness.on_absent(worker_id, session, probe, reports, now.monotonic);
    }

    /// See [`Liveness::on_reconnected`].
    pub fn on_reconnected(&mut self, now: Now) {
        self.liveness.on_reconnected(now.monotonic);
    }

    /// Ends a turn: tells losses and places what can be placed, as far as one turn goes, and sees to it that what was decided gets into the log.
    /// Inputs that caused no fact may wait for the next ones, see `EMPTY_FRAMES_INTERVAL`.
    pub fn end_turn(&mut self, now: Now) -> Result<(), TermEnd> {
        let now = self.in_log_time(now);
        if self.state().has_losses() {
            let losses_max = self.config.losses_max;
            self.decide_internal(Internal::Losses { losses_max }, now)?;
        }
        self.match_queued(now)?;
        let only_pos =
            !self.sequencer.has_open_frame() && !self.proof_due && !self.are_ends_due(now.at);
        if self.has_to_tell(now.at) && (!only_pos || self.frame_wait(now).is_zero()) {
            self.want_frame(now);
        }
        if std::mem::take(&mut self.fold_due) && self.sequencer.has_open_frame() {
            self.seal(now.at)?;
        }
        Ok(())
    }

    fn seal(&mut self, at: Timestamp) -> Result<(), TermEnd> {
        self.sequencer.seal(at)?;
        self.proof_due = false;
        self.push_sealed();
        Ok(())
    }

    /// Whether the next frame says something.
    fn has_to_tell(&self, at: Timestamp) -> bool {
        self.sequencer.has_open_frame()
            || self.sequencer.needs_frame()
            || self.proof_due
            || self.are_ends_due(at)
    }

    /// Whether a frame is wanted for the dependents alone that it tells.
    fn are_ends_due(&self, at: Timestamp) -> bool {
        self.state().ends_due_at().is_some_and(|due_at| due_at <= at)
    }

    /// Ends the last turn of a term that is about to stop: nothing waits for others any more.
    pub fn finish(&mut self, now: Now) {
        let now = self.in_log_time(now);
        if self.has_to_tell(now.at) {
            self.want_frame(now);
        }
    }

    fn want_frame(&mut self, now: Now) {
        if !self.sequencer.has_open_frame() && !self.seal_due {
            self.empty_frame_at = Some(now.monotonic);
        }
        self.seal_due = true;
        self.turn_at = now.at;
    }

    /// How long inputs that caused no fact still wait for others to share a frame with.
    fn frame_wait(&self, now: Now) -> Duration {
        let since = self.empty_frame_at.map(|at| now.monotonic.saturating_sub(at));
        since.map_or(Duration::ZERO, |since| EMPTY_FRAMES_INTERVAL.saturating_sub(since))
    }

    pub fn on_stored(&mut self, n: FrameNumber, seq: u64) {
        self.appender.on_stored(n, seq);
        self.release();
    }

    /// An append was refused, timed out, or the connection was lost.
    pub fn on_unknown(&mut self) {
        self.appender.on_unknown();
    }

    pub fn on_tail_failed(&mut self) {
        self.appender.on_tail_failed();
    }

    pub fn on_tail(&mut self, last: u64, tail: &[(u64, Bytes)]) -> Result<(), TermEnd> {
        self.appender.on_tail(last, tail)?;
        self.release();
        Ok(())
    }

    /// What to do next; ask until there is nothing.
    pub fn poll(&mut self) -> Result<Option<Effect>, TermEnd> {
        if let Some(effect) = self.held_back.pop().or_else(|| self.probes.pop_front()) {
            return Ok(Some(effect));
        }
        if self.seal_due && self.appender.has_room() {
            self.seal_due = false;
            // It may have been sealed meanwhile, because it was full.
            if self.has_to_tell(self.turn_at) {
                self.seal(self.turn_at)?;
            }
        }
        Ok(self.appender.poll().map(|effect| match effect {
            AppendEffect::Append { guard, frame } => Effect::Append { guard, frame },
            AppendEffect::ReadTail { from } => Effect::ReadTail { from },
        }))
    }

    fn decide_internal(&mut self, internal: Internal, now: Now) -> Result<Followed, TermEnd> {
        self.decide(&Input::Internal(internal), now)
    }

    /// Decides one input.
    fn decide(&mut self, input: &Input, now: Now) -> Result<Followed, TermEnd> {
        let Decided { entries, answers, behind, look_at } = self.sequencer.run(input, now.at)?;
        let followed = Followed { entries: entries.len(), answers, behind, look_at };
        for (n, entry) in entries {
            self.note(n, entry);
        }
        self.push_sealed();
        Ok(followed)
    }

    fn push_sealed(&mut self) {
        for frame in self.sequencer.take_sealed() {
            self.appender.push(frame);
        }
        if self.config.faults.answer_before_ack {
            self.held_back.release(FrameNumber(u64::MAX));
        }
    }

    /// Holds back what rests on no fact until the next frame proves that this leader leads.
    fn hold_back_until_proved(&mut self, effect: Effect) {
        self.proof_due = true;
        self.held_back.push(self.sequencer.next_n(), effect);
    }

    /// Lets go what the log now has the reason for.
    fn release(&mut self) {
        self.held_back.release(self.appender.acked());
    }
}

/// What is consumed where a message could not be decoded.
fn empty(src: Source, seq: u64) -> Input {
    match src {
        Source::Commands => Input::Commands {
            seq,
            tenant: TenantId::system(),
            message: nox_contract::CommandMessage::new(None, Vec::new()),
        },
        _ => Input::Reports {
            seq,
            worker_id: WorkerId::nobody(),
            message: nox_contract::ReportMessage {
                session: SessionId(Default::default()),
                reports: Vec::new(),
            },
        },
    }
}

#[cfg(test)]
mod tests;
