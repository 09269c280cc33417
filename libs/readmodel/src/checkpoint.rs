//! The place in the log that the rows are a fold of.

use nox_contract::{EventNumber, Incarnation, Positions, Timestamp, event::Chain};
use nox_protocol::Record;
use sqlx::{PgConnection, Row};

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
    pub pos: Positions,
    /// Of the newest event.
    pub at: Option<Timestamp>,
}

impl Checkpoint {
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

/// The positions and the instant after `entries`, if there is an event among them.
pub(crate) fn progress(entries: &[Entry]) -> Option<(Positions, Timestamp)> {
    entries.iter().rev().find_map(|entry| match &entry.record {
        Record::Event(event) => Some((event.pos, event.at)),
        Record::Epoch(_) => None,
    })
}

/// Reads the checkpoint, after whatever transaction is about to move it.
pub(crate) async fn read(
    connection: &mut PgConnection,
    generation: u64,
) -> Result<Checkpoint, StoreError> {
    let row = sqlx::query(
        "select n, chain, incarnation, pos_commands, pos_reports, at from projection for update",
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
            commands: count(row.try_get("pos_commands")?),
            reports: count(row.try_get("pos_reports")?),
        },
        at: row.try_get::<Option<Instant>, _>("at")?.map(|instant| instant.0),
    })
}
