//! A term's loop, once for the service and the simulation: which inputs are taken now, when time alone is
//! looked at, and the order in which what follows is carried out. What is carried out where is [`Io`]'s.

use std::time::Duration;

use bytes::Bytes;
use nox_contract::{Beat, FrameNumber, SessionId, Source, WorkerId};

use crate::{
    Leader, LeaderConfig, Now,
    leader::{Effect, TermEnd},
    liveness::Probe,
    takeover::Ready,
};

/// Frames that may be decided beyond the window before inputs are left unread: enough that there is one
/// to send whenever there is room, few enough to keep a frozen leader's memory small.
const AHEAD_MAX: usize = 4;

/// The world around a term. Nothing here waits: what takes time is begun, and its outcome is told later.
pub trait Io {
    /// Why a term ends: what the protocol says, and whatever else can happen there.
    type End: From<TermEnd>;

    /// Does what the leader says, in this order.
    ///
    /// # Errors
    /// The term is over.
    fn carry_out(&mut self, effect: Effect) -> Result<(), Self::End>;

    /// All of a turn was carried out.
    ///
    /// # Errors
    /// The term is over.
    fn end_turn(&mut self, leader: &Leader) -> Result<(), Self::End>;
}

/// A message of an input stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputMessage {
    pub seq: u64,
    pub subject: String,
    pub payload: Bytes,
}

/// What became of something that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Frame `n` has the sequence `seq` in the log.
    Stored {
        n: FrameNumber,
        seq: u64,
    },
    /// An append had no clean acknowledgement.
    Unknown,
    /// The log from where it was asked for, and its last sequence.
    Tail {
        last: u64,
        records: Vec<(u64, Bytes)>,
    },
    TailFailed,
}

/// How often a term looks at the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two looks at what is due by time alone, while inputs arrive all the time.
    pub tick: Duration,
    /// Longest sleep, so that a forgotten wake-up does little harm.
    pub sleep_max: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { tick: Duration::from_millis(10), sleep_max: Duration::from_millis(500) }
    }
}

/// See the head of this file.
#[derive(Debug)]
pub struct Term {
    leader: Leader,
    pace: Pace,
    /// Frames that are decided and not in the log, up to which inputs are taken.
    backlog_max: usize,
    /// When time alone was looked at last; `None` where it is to be looked at in this turn.
    ticked: Option<Duration>,
}

impl Term {
    /// Begins a term from what the takeover found.
    ///
    /// # Errors
    /// What is to be recorded first cannot be.
    pub fn begin(
        ready: Ready,
        config: LeaderConfig,
        pace: Pace,
        now: Now,
    ) -> Result<Self, TermEnd> {
        let backlog_max = config.window + AHEAD_MAX;
        let leader = Leader::begin(ready, config, now)?;
        Ok(Self { leader, pace, backlog_max, ticked: None })
    }

    pub fn leader(&self) -> &Leader {
        &self.leader
    }

    /// Whether inputs may be taken: else the log has to come after first.
    pub fn takes_inputs(&self) -> bool {
        self.leader.backlog() < self.backlog_max
    }

    /// Decides the share that a stream has of this turn.
    ///
    /// # Errors
    /// The term is over.
    pub fn on_inputs(
        &mut self,
        src: Source,
        share: impl IntoIterator<Item = InputMessage>,
        mut now: impl FnMut() -> Now,
    ) -> Result<(), TermEnd> {
        for InputMessage { seq, subject, payload } in share {
            self.leader.on_input(src, seq, &subject, &payload, now())?;
        }
        Ok(())
    }

    /// A worker's sign of life, which is judged in this turn.
    pub fn on_beat(&mut self, worker: WorkerId, beat: Beat, now: Now) {
        self.leader.on_beat(worker, beat, now);
        self.look_at_time();
    }

    /// The broker says that nobody listened for a session's work, and which report was stored last by then.
    pub fn on_absent(
        &mut self,
        worker_id: &WorkerId,
        session: SessionId,
        probe: Probe,
        reports: u64,
        now: Now,
    ) {
        self.leader.on_absent(worker_id, session, probe, reports, now);
        self.look_at_time();
    }

    /// The connection to the broker was lost and is there again, or is to another one.
    pub fn on_reconnected(&mut self, now: Now) {
        self.leader.on_reconnected(now);
    }

    /// # Errors
    /// The term is over.
    pub fn on_reply(&mut self, reply: Reply) -> Result<(), TermEnd> {
        match reply {
            Reply::Stored { n, seq } => self.leader.on_stored(n, seq),
            Reply::Unknown => self.leader.on_unknown(),
            Reply::Tail { last, records } => self.leader.on_tail(last, &records)?,
            Reply::TailFailed => self.leader.on_tail_failed(),
        }
        Ok(())
    }

    /// Looks at what is due by time alone in this turn, however short the last look was ago.
    pub fn look_at_time(&mut self) {
        self.ticked = None;
    }

    /// Ends the next turn between two frames, see [`Leader::want_fold`].
    pub fn want_fold(&mut self) {
        self.leader.want_fold();
    }

    /// Ends a turn: what is due by time, and everything that follows from what was decided. Says whether
    /// time was looked at.
    ///
    /// # Errors
    /// The term is over.
    pub fn turn<I: Io>(&mut self, now: Now, io: &mut I) -> Result<bool, I::End> {
        let looks = self.next_look(now).is_zero();
        if looks {
            self.ticked = Some(now.monotonic);
            self.leader.tick(now)?;
        }
        self.leader.end_turn(now)?;
        while let Some(effect) = self.leader.poll()? {
            io.carry_out(effect)?;
        }
        io.end_turn(&self.leader)?;
        Ok(looks)
    }

    /// How long nothing is to be done, unless something arrives. What is due by time is looked at once a
    /// tick; to wake up before it would be to spin.
    pub fn sleep(&self, now: Now) -> Duration {
        let wake = self.leader.next_wake(now).unwrap_or(self.pace.sleep_max);
        wake.min(self.pace.sleep_max).max(self.next_look(now))
    }

    /// Gets all that was decided ready for the log, whether or not there is more to come; nothing is
    /// decided after this.
    pub fn finish(&mut self, now: Now) {
        self.leader.finish(now);
    }

    fn next_look(&self, now: Now) -> Duration {
        let Some(ticked) = self.ticked else { return Duration::ZERO };
        self.pace.tick.saturating_sub(now.monotonic.saturating_sub(ticked))
    }
}
