//! Why a batch was not taken in, and what there is to do then.

use nox_contract::FrameNumber;

use crate::{
    consequence::{Consequence, Described},
    project::IllegalEntry,
};

/// Why a batch was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another projector is alive. Exit.
    #[error("another projector moved the checkpoint away from frame {n}")]
    Conflict { n: FrameNumber },
    /// A rebuild has finished. [`prepare`](super::Store::prepare) attaches to the new rows.
    #[error("generation {from} was replaced by generation {to}")]
    Switched { from: u64, to: u64 },
    /// This is an earlier state of the rows: a standby that was promoted before it had all, or a
    /// backup. [`prepare`](super::Store::prepare) attaches to them, and the log is read again from there.
    #[error("the rows went back from frame {from} to frame {to}")]
    WentBack { from: FrameNumber, to: FrameNumber },
    /// The tables are not there, most likely because the database was made anew. [`prepare`](super::Store::prepare).
    #[error("the database is not prepared{}", because(.0))]
    Unprepared(Option<sqlx::Error>),
    /// They are not there though the database was prepared: somebody took away a part of them.
    #[error(
        "a table of {schema} is missing, or hidden, or without its row: {}; bring it back, or drop \
         schema {schema} cascade: it is made anew then, and filled from the log", Described(.cause)
    )]
    Incomplete { schema: String, cause: sqlx::Error },
    /// The stream was made anew: what it numbers is not what was folded in. Stop.
    #[error("the log is another one: expected incarnation {expected:?}, found {found:?}")]
    OtherIncarnation { expected: String, found: String },
    /// Log or code is broken. Stop.
    #[error(transparent)]
    Illegal(#[from] IllegalEntry),
    /// Postgres refuses in words that are said of data, and does so without any job's data as well: it
    /// can pass. Try the same batch again.
    #[error("postgres refuses whatever is written: {}", Described(.0))]
    Data(sqlx::Error),
    /// Postgres is away, or refuses for a reason that can pass. Try the same batch again.
    #[error("postgres is away or refuses: {}", Described(.0))]
    Unavailable(sqlx::Error),
    /// The tables are not what this version needs. Stop.
    #[error("postgres does not do what it must: {}", Described(.0))]
    Broken(sqlx::Error),
}

/// What there is to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The same again, after a pause.
    TryAgain,
    /// [`prepare`](super::Store::prepare), and read on from where the rows are then.
    PrepareAgain,
    /// Nothing: going on would make wrong rows, or never help.
    Stop,
}

impl StoreError {
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Unavailable(_) | Self::Data(_) => Remedy::TryAgain,
            Self::Switched { .. }
            | Self::WentBack { .. }
            | Self::Unprepared(_)
            | Self::Incomplete { .. } => Remedy::PrepareAgain,
            Self::Conflict { .. }
            | Self::OtherIncarnation { .. }
            | Self::Illegal(_)
            | Self::Broken(_) => Remedy::Stop,
        }
    }
}

fn because(error: &Option<sqlx::Error>) -> String {
    error.as_ref().map(|error| format!(": {}", Described(error))).unwrap_or_default()
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match Consequence::of(&error) {
            Consequence::Park => Self::Data(error),
            Consequence::Prepare => Self::Unprepared(Some(error)),
            Consequence::Stop => Self::Broken(error),
            Consequence::Retry => Self::Unavailable(error),
        }
    }
}
