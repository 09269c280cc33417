//! The runs of indexes that a page is merged from.

use nox_contract::JobState;
use sqlx::{Postgres, QueryBuilder};

use super::super::jobs::{Cursor, Filter};
use crate::rows::{Owner, status_bits};

/// Writes a query for the first rows that a filter without conditions lets through, and one more than `limit`.
pub fn write_candidates(query: &mut QueryBuilder<Postgres>, filter: &Filter, limit: usize) {
    write_runs(query, filter, Shown::Places, limit as i64 + 1);
    let order = order(filter);
    query.push(format!(") as found order by submitted {order} limit "));
    query.push_bind(limit as i64 + 1);
}

/// Writes the first `limit` rows of each run that a filter without conditions lets through, in no order among runs.
/// Rows of one run that is cut there have one `run` and `is_live`.
pub fn write_rows(query: &mut QueryBuilder<Postgres>, filter: &Filter, limit: i64) {
    write_runs(query, filter, Shown::Rows, limit);
}

/// What is told of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Places,
    /// What is counted, and what conditions ask for.
    Rows,
}

fn write_runs(query: &mut QueryBuilder<Postgres>, filter: &Filter, shown: Shown, limit: i64) {
    let mut runs = Runs { query, filter, shown, limit, any: false };
    match filter.status {
        _ if filter.release.is_some() => runs.of_release(),
        None => {
            runs.live("");
            runs.ended(None);
        }
        Some(JobState::Draft) => runs.drafts(),
        Some(JobState::Queued) => runs.live(" and status = 'queued'"),
        Some(JobState::Running) => runs.busy(" and status = 'running'"),
        Some(JobState::Succeeded | JobState::Failed) => runs.ended(filter.status),
        // A worker may still have to say `stopped`.
        Some(JobState::Canceled) => {
            runs.busy(" and status = 'canceled'");
            runs.ended(filter.status);
        }
    }
}

fn order(filter: &Filter) -> &'static str {
    if filter.oldest_first { "asc" } else { "desc" }
}

/// Writes the runs that a page is merged from.
struct Runs<'a> {
    query: &'a mut QueryBuilder<Postgres>,
    filter: &'a Filter,
    shown: Shown,
    /// Rows that each gives at most.
    limit: i64,
    any: bool,
}

impl Runs<'_> {
    /// Ended jobs: a run for each module and status.
    fn ended(&mut self, status: Option<JobState>) {
        let statuses = [JobState::Succeeded, JobState::Failed, JobState::Canceled];
        let over = statuses.into_iter().filter(|over| status.is_none_or(|status| status == *over));
        self.runs("jobs_ended", &over.map(Some).collect::<Vec<_>>());
        self.end(") as found");
    }

    /// Live jobs: a run for each module.
    fn live(&mut self, status: &str) {
        self.runs("jobs_live", &[None]);
        self.query.push(status);
        self.end(") as found");
    }

    /// The jobs of a release: one run of live ones, and one of those that ended.
    fn of_release(&mut self) {
        for table in ["jobs_live", "jobs_ended"] {
            self.begin();
            let columns = self.columns(table, None);
            self.query.push(format!("select {columns} from {table} where release_id = "));
            self.query.push_bind(self.filter.release.clone()).push(" and ");
            self.whose();
            if let Some(status) = self.filter.status {
                self.query.push(" and status = ").push_bind(status.as_str());
            }
            self.end("");
        }
    }

    /// Jobs that a worker has: one short run.
    fn busy(&mut self, status: &str) {
        self.begin();
        let columns = self.columns("jobs_live", None);
        self.query.push(format!(
            "select {columns} from jobs_live where status not in ('queued', 'draft') and "
        ));
        self.whose();
        self.query.push(status);
        self.end("");
    }

    /// Jobs that are not submitted yet: one run, bounded by limits.
    fn drafts(&mut self) {
        self.begin();
        let columns = self.columns("jobs_live", None);
        self.query.push(format!("select {columns} from jobs_live where status = 'draft' and "));
        self.whose();
        self.end("");
    }

    fn begin(&mut self) {
        self.query.push(if self.any { " union all (" } else { "(" });
        self.any = true;
    }

    /// Names the runs of jobs that ended in these ways, or of live ones, and begins to read each.
    fn runs(&mut self, table: &str, over: &[Option<JobState>]) {
        self.begin();
        let owner = Owner::new(&self.filter.tenant, self.filter.user.as_ref());
        let run = if self.filter.user.is_some() { "user_run" } else { "tenant_run" };
        if let Some(module) = &self.filter.module {
            let runs: Vec<_> = over.iter().map(|over| owner.run(module, *over)).collect();
            self.query
                .push("with runs (run) as (select unnest(")
                .push_bind(runs)
                .push("::bigint[]))");
        } else {
            self.steps(table, run, owner);
            if let [Some(over)] = over {
                let (bits, mask) = status_bits(*over);
                self.query.push(format!(" and run & {mask} = {bits}"));
            }
            self.query.push(")");
        }
        let columns = self.columns(table, Some(run));
        self.query.push(format!(
            " select found.* from runs, lateral (
                  select {columns} from {table} where {run} = runs.run and "
        ));
        self.whose();
    }

    /// What is told of a row of `table`, of the run whose number is in a column, or of the only one.
    fn columns(&self, table: &str, run: Option<&str>) -> String {
        if self.shown == Shown::Places {
            return "id, submitted".to_owned();
        }
        let is_live = table == "jobs_live";
        let waiting = if is_live { "waiting_code" } else { "null::text as waiting_code" };
        let run = run.unwrap_or("0::bigint");
        format!(
            "{run} as run, {is_live} as is_live, status, module, user_id, priority, {waiting}, error, labels,
             release_id, retry_of, created_at, started_at, ended_at"
        )
    }

    /// Steps from each run of an owner to the next one.
    fn steps(&mut self, table: &str, run: &str, owner: Owner) {
        let (first, last) = owner.bounds();
        self.query.push(format!(
            "with recursive step (run) as ((select {run} from {table} where {run} between "
        ));
        self.query.push_bind(first).push(" and ").push_bind(last);
        self.query.push(format!(
            " order by {run} limit 1)
              union all
              select (select {run} from {table} where {run} > step.run and {run} <= "
        ));
        self.query.push_bind(last);
        self.query.push(format!(
            " order by {run} limit 1) from step where step.run is not null),
              runs as (select run from step where run is not null"
        ));
    }

    /// Whose jobs, and of which module, by name: others may have the same run.
    fn whose(&mut self) {
        self.query.push("tenant = ").push_bind(self.filter.tenant.as_str().to_owned());
        if let Some(user) = &self.filter.user {
            self.query.push(" and user_id = ").push_bind(user.as_str().to_owned());
        }
        if let Some(module) = &self.filter.module {
            self.query.push(" and module = ").push_bind(module.as_str().to_owned());
        }
    }

    /// Ends a run, and puts it in order.
    fn end(&mut self, close: &str) {
        if let Some(Cursor(place)) = self.filter.before {
            let behind = if self.filter.oldest_first { ">" } else { "<" };
            self.query.push(format!(" and submitted {behind} ")).push_bind(place.packed());
        }
        self.query.push(format!(" order by submitted {} limit ", order(self.filter)));
        self.query.push_bind(self.limit).push(close).push(")");
    }
}
