//! The place in the log that the rows are a fold of.

use nox_contract::{
    EpochRecord, Event, EventNumber, Fact, Incarnation, Position, Source, Timestamp, event::Chain,
};
use nox_protocol::Record;
use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::{
    batch::{Batch, Entry},
    sql::{Instant, count, number},
    store::StoreError,
};

/// How far the log is folded in.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub generation: u64,
    pub n: EventNumber,
    pub chain: Chain,
    /// The life of NOX_EVENTS that `n` counts in; `None` before the first attach.
    pub incarnation: Option<Incarnation>,
    /// How far the inputs are consumed.
    pub commands: Position,
    pub reports: Position,
    /// Of the newest event.
    pub at: Option<Timestamp>,
}

impl Checkpoint {
    /// The checkpoint after `entries`, which follow it.
    pub(crate) fn after(&self, entries: &[Entry]) -> Self {
        let mut next = self.clone();
        for entry in entries {
            next.n = entry.n;
            next.chain = entry.chain;
            match &entry.record {
                Record::Event(event) => next.event(event),
                Record::Epoch(record) => next.term(record),
            }
        }
        next
    }

    fn event(&mut self, event: &Event) {
        for fact in event.known_facts() {
            let Fact::InputsReset { src, incarnation, .. } = fact else { continue };
            let position = match src {
                Source::Commands => &mut self.commands,
                _ => &mut self.reports,
            };
            position.incarnation = incarnation.clone();
        }
        self.commands.seq = event.pos.commands;
        self.reports.seq = event.pos.reports;
        self.at = Some(event.at);
    }

    /// As `nox_core`'s state has it: the first term says which streams the log reads, and from then on
    /// only an operator's word makes them others. A leader that finds others before it is given writes
    /// its record and nothing else.
    fn term(&mut self, record: &EpochRecord) {
        if self.commands.incarnation == Incarnation::default() {
            self.commands.incarnation = record.commands.clone();
            self.reports.incarnation = record.reports.clone();
        }
    }

    /// The entries of `batch` that are still to be taken in. If it is `unsure` what became of the last
    /// commit, the first ones may be in already.
    pub(crate) fn remaining<'a>(
        &self,
        batch: &'a Batch,
        unsure: bool,
    ) -> Result<&'a [Entry], StoreError> {
        let place = (self.n, self.chain);
        if batch.start() == place {
            return Ok(batch.entries());
        }
        // Our last word may have been heard without our hearing so.
        let taken_in = batch.entries().iter().position(|entry| (entry.n, entry.chain) == place);
        match taken_in {
            Some(last) if unsure => Ok(&batch.entries()[last + 1..]),
            _ => Err(moved(batch.start().0, self.n)),
        }
    }
}

/// Why the checkpoint is at `stored`, and not at `n`, where it was left. It never goes back by itself.
pub(crate) fn moved(n: EventNumber, stored: EventNumber) -> StoreError {
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
        "select n, chain, incarnation, pos_commands, commands_incarnation, pos_reports,
                reports_incarnation, at
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
        commands: position(&row, "commands_incarnation", "pos_commands")?,
        reports: position(&row, "reports_incarnation", "pos_reports")?,
        at: row.try_get::<Option<Instant>, _>("at")?.map(|instant| instant.0),
    })
}

pub(crate) fn position(row: &PgRow, incarnation: &str, seq: &str) -> sqlx::Result<Position> {
    let incarnation = Incarnation(row.try_get(incarnation)?);
    Ok(Position { incarnation, seq: count(row.try_get(seq)?) })
}
