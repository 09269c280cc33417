//! The place in the log that the rows are a fold of.

use std::time::Duration;

use nox_contract::{
    Chain, Entry, EpochRecord, Fact, Frame, FrameNumber, Incarnation, Place, Position, Positions,
    Source, Timestamp,
};
use nox_protocol::Record;
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    batch::{Batch, ReadMessage},
    sql::{Instant, count, number},
    store::StoreError,
};

/// How far the log is folded in.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub generation: u64,
    pub n: FrameNumber,
    pub chain: Chain,
    /// The life of NOX_EVENTS that `n` counts in; `None` before the first attach.
    pub incarnation: Option<Incarnation>,
    /// How far the inputs are consumed.
    pub pos: Positions,
    /// The lives of NOX_COMMANDS and NOX_REPORTS that `pos` counts in; empty before the first term.
    pub commands: Incarnation,
    pub reports: Incarnation,
    /// Of the newest frame.
    pub at: Option<Timestamp>,
    /// Rows of jobs that ended before do not count any more. Never goes back.
    pub expired_before: Option<Timestamp>,
}

impl Checkpoint {
    /// The checkpoint after `messages`, which follow it, where rows of ended jobs are kept for so long.
    pub(crate) fn after(&self, messages: &[ReadMessage], keep: Option<Duration>) -> Self {
        let mut next = self.clone();
        for message in messages {
            next.n = message.n;
            next.chain = message.chain;
            match &message.record {
                Record::Frame(frame) => next.frame(frame),
                Record::Epoch(record) => next.term(record),
            }
        }
        // `None` is less than any instant.
        next.expired_before =
            next.expired_before.max(next.at.zip(keep).map(|(at, keep)| at - keep));
        next
    }

    fn frame(&mut self, frame: &Frame) {
        for fact in frame.entries.iter().flat_map(Entry::known_facts) {
            let Fact::InputsReset { src, incarnation, .. } = fact else { continue };
            let of_stream = match src {
                Source::Commands => &mut self.commands,
                _ => &mut self.reports,
            };
            *of_stream = incarnation.clone();
        }
        self.pos = frame.pos;
        self.at = Some(frame.at);
    }

    /// As `nox_core`'s state has it: the first term says which streams the log reads, and from then on
    /// only an operator's word makes them others. A leader that finds others before it is given writes
    /// its record and nothing else.
    fn term(&mut self, record: &EpochRecord) {
        if self.commands == Incarnation::default() {
            self.commands = record.commands.clone();
            self.reports = record.reports.clone();
        }
    }

    /// The messages of `batch` that are still to be taken in. If it is `unsure` what became of the last
    /// commit, the first ones may be in already.
    pub(crate) fn remaining<'a>(
        &self,
        batch: &'a Batch,
        unsure: bool,
    ) -> Result<&'a [ReadMessage], StoreError> {
        let place = (self.n, self.chain);
        if batch.start() == place {
            return Ok(batch.messages());
        }
        // Our last word may have been heard without our hearing so.
        let taken_in =
            batch.messages().iter().position(|message| (message.n, message.chain) == place);
        match taken_in {
            Some(last) if unsure => Ok(&batch.messages()[last + 1..]),
            _ => Err(moved(batch.start().0, self.n)),
        }
    }
}

/// Why the checkpoint is at `stored`, and not at `n`, where it was left. It never goes back by itself.
pub(crate) fn moved(n: FrameNumber, stored: FrameNumber) -> StoreError {
    if stored < n {
        return StoreError::WentBack { from: n, to: stored };
    }
    StoreError::Conflict { n }
}

/// Reads the checkpoint, after whatever transaction is about to move it.
pub(crate) async fn read(
    connection: &mut PgConnection,
    generation: u64,
) -> Result<Checkpoint, StoreError> {
    let row = sqlx::query(
        "select n, chain, incarnation, commands_seq, commands_part, commands_incarnation,
                reports_seq, reports_part, reports_incarnation, at, expired_before
         from projection
         for update",
    )
    .fetch_one(connection)
    .await?;
    let chain: &str = row.try_get("chain")?;
    let no_chain = || sqlx::Error::Decode(format!("{chain:?} is no chain").into());
    Ok(Checkpoint {
        generation,
        n: number(row.try_get("n")?),
        chain: Chain::parse(chain).ok_or_else(no_chain)?,
        incarnation: row.try_get::<Option<String>, _>("incarnation")?.map(Incarnation),
        pos: Positions {
            commands: place(&row, "commands_seq", "commands_part")?,
            reports: place(&row, "reports_seq", "reports_part")?,
        },
        commands: Incarnation(row.try_get("commands_incarnation")?),
        reports: Incarnation(row.try_get("reports_incarnation")?),
        at: row.try_get::<Option<Instant>, _>("at")?.map(|instant| instant.0),
        expired_before: row.try_get::<Option<Instant>, _>("expired_before")?.map(|i| i.0),
    })
}

fn place(row: &PgRow, seq: &str, part: &str) -> sqlx::Result<Place> {
    let part = row.try_get::<i32, _>(part)?.unsigned_abs();
    Ok(Place { seq: count(row.try_get(seq)?), part })
}

/// How far a stream's messages are consumed whole.
pub(crate) fn position(row: &PgRow, incarnation: &str, seq: &str) -> sqlx::Result<Position> {
    let incarnation = Incarnation(row.try_get(incarnation)?);
    // Parts of a message are no reason to say that it is consumed.
    let place = Place { seq: count(row.try_get(seq)?), part: 0 };
    Ok(Position { incarnation, seq: place.whole() })
}
