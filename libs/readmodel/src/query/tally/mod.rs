//! Jobs of a list, counted and measured instead of shown.
//!
//! The rows are found by the indexes of lists, the newest of each run, and conditions are judged behind that: so the
//! work is bounded, whatever is asked for, and what is told says whether it is all.

mod counts;
mod stats;

use nox_contract::{JobState, ModuleName};
use sqlx::{PgConnection, Postgres, QueryBuilder};

pub use self::{
    counts::{Counted, Counts, Facet, FacetCounts},
    stats::{PARTS_MAX, Quantiles, Span, SpanPart, Stats},
};
use super::{
    jobs::Filter,
    list::{PLAN, write_rows},
};

/// Rows of a run (the jobs of a module that ended in one way, or have not ended) that are looked at: reading so many
/// takes some 50 ms where they are in memory. The newest of each, so that few failures are counted whole beside many
/// successes.
pub const LOOKED_AT_OF_RUN_MAX: i64 = 20_000;
/// The same of all runs of a statement, which bounds those of many modules.
pub const LOOKED_AT_MAX: i64 = 100_000;

/// Longest time of a statement, after which there is no answer: nobody waits longer for figures, and others need the
/// database.
const WITHIN: &str = "set local statement_timeout = '4s'";

/// Begins to count in a snapshot.
async fn begin(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(PLAN).execute(&mut *connection).await?;
    sqlx::raw_sql(WITHIN).execute(connection).await?;
    Ok(())
}

/// Writes the rows to look at, one more than so many of each run and of all, each with whether it `passes`.
fn write_looked_at(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    query.push("select looked.*, (true");
    for condition in &filter.conditions {
        // As of live jobs: what has ended has no reason to wait in these rows.
        condition.push(query, "jobs_live");
    }
    query.push(") as passes from (select * from (");
    write_rows(query, filter, LOOKED_AT_OF_RUN_MAX + 1);
    query.push(") as found limit ").push_bind(LOOKED_AT_MAX + 1).push(") as looked");
}

/// Where looking ended before the rows did.
#[derive(Debug, Default)]
struct Cuts {
    /// Not all runs were begun.
    all: bool,
    runs: Vec<Cut>,
}

/// A run of which not all was looked at.
#[derive(Debug)]
struct Cut {
    /// How its jobs ended; `None` of those that have not.
    over: Option<JobState>,
    /// `None` where it has jobs of several.
    module: Option<ModuleName>,
}

impl Cuts {
    fn is_none(&self) -> bool {
        !self.all && self.runs.is_empty()
    }

    /// Whether there may be more jobs in a state.
    fn may_hide_state(&self, state: JobState) -> bool {
        let of_live = !matches!(state, JobState::Succeeded | JobState::Failed);
        self.all || self.runs.iter().any(|cut| cut.over.map_or(of_live, |over| over == state))
    }

    /// Whether there may be more jobs of a module.
    fn may_hide_module(&self, name: &str) -> bool {
        let is_of = |module: &ModuleName| module.as_str() == name;
        self.all || self.runs.iter().any(|cut| cut.module.as_ref().is_none_or(is_of))
    }

    /// Whether there may be more jobs that have not ended.
    fn may_hide_live(&self) -> bool {
        self.all || self.runs.iter().any(|cut| cut.over.is_none())
    }

    /// Whether there may be more jobs that failed.
    fn may_hide_failed(&self) -> bool {
        self.may_hide_state(JobState::Failed)
    }
}
