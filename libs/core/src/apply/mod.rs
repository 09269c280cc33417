//! How facts change the state, one file for each kind of entity. Every arm is total: a fact that
//! cannot follow is an error, and then log or code is broken and the reader stops.

mod account;
mod aside;
mod control;
mod dependency;
mod job;
mod key;
mod module;
mod schedule;
mod topic;
mod webhook;
mod worker;

pub use dependency::EndToTell;
use nox_contract::{Entity, Entry, EpochRecord, Fact, Frame, FrameNumber, Positions, Timestamp};

use crate::{
    job::IllegalFact,
    ledger::LedgerError,
    state::{DEFAULTS, Owner, SESSIONS_REMEMBERED, State},
};

/// Why a frame cannot follow what was folded before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    #[error("frame {found} cannot follow frame {after}")]
    OutOfOrder { after: FrameNumber, found: FrameNumber },
    #[error("frame {n}: time runs backwards")]
    TimeRunsBackwards { n: FrameNumber },
    #[error("frame {n}: positions go back from {before:?} to {found:?}")]
    PositionsGoBack { n: FrameNumber, before: Positions, found: Positions },
    #[error("frame {n}: an entry has fields of several entities")]
    NoEntity { n: FrameNumber },
    #[error(
        "frame {n} has a fact about {what} that this version does not know ({reason}): nothing can be decided without \
         it; start the version that wrote it, or a newer one"
    )]
    UnknownFact { n: FrameNumber, what: &'static str, reason: String },
    #[error("frame {n}: {fact} of an unknown {what}")]
    Missing { n: FrameNumber, fact: &'static str, what: &'static str },
    #[error("frame {n}: {fact} does not belong to {entity}")]
    Misplaced { n: FrameNumber, fact: &'static str, entity: &'static str },
    #[error("frame {n}: {source}")]
    Illegal { n: FrameNumber, source: IllegalFact },
    #[error("frame {n}: {source}")]
    Ledger { n: FrameNumber, source: LedgerError },
}

impl State {
    /// Folds one frame in.
    pub fn apply(&mut self, frame: &Frame) -> Result<(), ApplyError> {
        self.begin_frame(frame.n, frame.at)?;
        for entry in &frame.entries {
            self.apply_entry(entry)?;
        }
        self.end_frame(frame.pos)
    }

    /// From here on, and until [`Self::end_frame`], entries belong to frame `n`.
    pub fn begin_frame(&mut self, n: FrameNumber, at: Timestamp) -> Result<(), ApplyError> {
        if n != self.n.next() {
            return Err(ApplyError::OutOfOrder { after: self.n, found: n });
        }
        if at < self.at {
            return Err(ApplyError::TimeRunsBackwards { n });
        }
        self.n = n;
        self.at = at;
        Ok(())
    }

    /// Folds one entry of the frame that was begun.
    pub fn apply_entry(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        let n = self.n;
        let entity = entry.entity().ok_or(ApplyError::NoEntity { n })?;
        if self.set_aside(entry, &entity)? {
            self.entries += 1;
            return Ok(());
        }
        match entity {
            Entity::Job { tenant, job_id, user_id, module } => {
                self.apply_job(entry, job_id, &Owner { tenant, user_id, module })
            }
            Entity::Account { tenant, account } => self.apply_account(entry, &tenant, &account),
            Entity::Worker(worker) => self.apply_worker(entry, &worker),
            Entity::Module(module) => self.apply_module(entry, &module),
            Entity::Topic { tenant, topic } => self.apply_topic(entry, &tenant, &topic),
            Entity::Key { tenant, key_id } => self.apply_key(entry, &tenant, key_id),
            Entity::Schedule { tenant, schedule_id } => {
                self.apply_schedule(entry, &tenant, schedule_id)
            }
            Entity::Webhook { tenant, webhook_id } => {
                self.apply_webhook(entry, &tenant, webhook_id)
            }
            Entity::Control => self.apply_control(entry),
        }?;
        self.entries += 1;
        Ok(())
    }

    /// Ends the frame that was begun: the inputs are consumed as far as `pos`. Places never go back,
    /// but where an entry of this frame said that their stream is another one.
    pub fn end_frame(&mut self, pos: Positions) -> Result<(), ApplyError> {
        if pos.commands < self.pos.commands || pos.reports < self.pos.reports {
            let (n, before) = (self.n, self.pos);
            return Err(ApplyError::PositionsGoBack { n, before, found: pos });
        }
        self.pos = pos;
        self.entries = 0;
        self.forget();
        self.tell_dependents();
        Ok(())
    }

    /// Folds the beginning of a term in.
    pub fn apply_epoch(&mut self, n: FrameNumber, record: &EpochRecord) -> Result<(), ApplyError> {
        if n != self.n.next() {
            return Err(ApplyError::OutOfOrder { after: self.n, found: n });
        }
        if self.epoch.0 == 0 {
            self.commands = record.commands.clone();
            self.reports = record.reports.clone();
        }
        self.n = n;
        self.epoch = record.epoch;
        // The record is written before its leader has read the log, so its clock may be behind.
        self.at = self.at.max(record.at);
        self.epoch_at = self.at;
        Ok(())
    }

    /// Forgets ended jobs and sessions that are old, counted from the beginning of the term at the
    /// earliest, so that what was submitted while nobody led still finds them.
    fn forget(&mut self) {
        let (at, epoch_at) = (self.at, self.epoch_at);
        let is_old = |ended_at: Timestamp| at.since(ended_at.max(epoch_at)) >= SESSIONS_REMEMBERED;
        self.workers.forget_past(is_old);
        self.gone.forget(is_old);
        self.ended.forget(at, epoch_at, self.config.as_ref().unwrap_or(&DEFAULTS));
    }
}

fn misplaced(n: FrameNumber, fact: &Fact, entity: &'static str) -> ApplyError {
    ApplyError::Misplaced { n, fact: fact.name(), entity }
}
