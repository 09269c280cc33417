//! Lists of jobs, newest first.
//!
//! A page reads the rows that it shows and few others, whatever is asked for, however rare it is, and
//! whatever the planner believes of the tables. Ended jobs are indexed by all that can be asked for, in
//! front of the order: for each module and status of an owner there is one run of the index that has the
//! order, and a page is merged from the newest of each. Which runs there are is read off the index, one step
//! each. Live jobs are found the same way, but by module alone, since their status changes; nearly all of
//! them are queued, and the others have an index of their own.

use std::convert::Infallible;

use nox_contract::JobState;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    At, PAGE_MAX, QueryError, Reader,
    jobs::{Cursor, Filter, JobRow, Page, job, rows_where},
};
use crate::{
    batch::EntryPlace,
    rows::{Owner, status_bits},
};

/// Each statement has one right plan, which is to walk along its indexes; see the indexes in the migration.
const PLAN: &str = "set local enable_seqscan = off; set local enable_bitmapscan = off;
                    set local enable_sort = off; set local enable_hashjoin = off;
                    set local enable_mergejoin = off; set local jit = off";

impl Reader {
    /// A page of jobs, newest first. Jobs that come in meanwhile are before the first page; none is
    /// listed twice or missed by following `next`.
    pub async fn jobs(&self, filter: &Filter) -> Result<At<Page<JobRow>>, QueryError> {
        let At { progress, value } =
            self.jobs_within(filter, usize::MAX, |_| Ok::<(), Infallible>(())).await?;
        let Ok((page, ())) = value;
        Ok(At { progress, value: page })
    }

    /// The same, of at most `bytes_max` bytes, or of one row. Before they are read, `room` is asked for
    /// as many bytes as they have; what it gives comes with the page, and its refusal instead of it.
    pub async fn jobs_within<R, E>(
        &self,
        filter: &Filter,
        bytes_max: usize,
        room: impl FnOnce(usize) -> Result<R, E>,
    ) -> Result<At<Result<(Page<JobRow>, R), E>>, QueryError> {
        let mut look = self.look().await?;
        let limit = filter.limit.clamp(1, PAGE_MAX);
        let mark = look.mark();
        let found = found(look.connection(), filter, limit, &mark).await;
        let found = found.map_err(|error| look.failed(error))?;
        let (bytes, shown) = fitting(&found[..limit.min(found.len())], bytes_max);
        let room = match room(bytes) {
            Ok(room) => room,
            Err(refused) => return look.end(Err(refused)).await,
        };
        let ids: Vec<Uuid> = found[..shown].iter().map(|found| found.id).collect();
        let sql = look.sql(&rows_where("id = any($1)"));
        let rows = sqlx::query(sql).bind(ids).fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let mut rows = rows.iter().map(job).collect::<sqlx::Result<Vec<_>>>()?;
        rows.sort_by_key(|row| std::cmp::Reverse((row.submitted_n, row.submitted_place)));
        let last = found[..shown].last().filter(|_| shown < found.len());
        let next = last.map(|last| Cursor(last.place));
        look.end(Ok((Page { rows, next }, room))).await
    }
}

/// A row of a page, before it is read.
struct Found {
    id: Uuid,
    place: EntryPlace,
    bytes: usize,
}

/// What a row takes up beside what is counted: names, ids and instants.
const ROW_BYTES: usize = 1024;

/// The first rows that have at most `bytes_max` bytes, but at least one: their bytes, and how many.
fn fitting(found: &[Found], bytes_max: usize) -> (usize, usize) {
    let mut bytes = 0;
    for (count, row) in found.iter().enumerate() {
        if count > 0 && bytes + row.bytes > bytes_max {
            return (bytes, count);
        }
        bytes += row.bytes;
    }
    (bytes, found.len())
}

/// The newest rows that a filter lets through, and one more than `limit`, if there are so many.
async fn found(
    connection: &mut PgConnection,
    filter: &Filter,
    limit: usize,
    mark: &str,
) -> sqlx::Result<Vec<Found>> {
    sqlx::raw_sql(PLAN).execute(&mut *connection).await?;
    let mut query = QueryBuilder::new(
        "select id, submitted,
                coalesce(
                    (select octet_length(coalesce(inputs::text, ''))
                            + octet_length(coalesce(outputs::text, ''))
                            + octet_length(coalesce(error::text, ''))
                     from jobs_ended where jobs_ended.id = found.id),
                    (select octet_length(coalesce(inputs::text, ''))
                            + octet_length(coalesce(error::text, ''))
                     from jobs_live where jobs_live.id = found.id)
                ) as bytes
         from (",
    );
    let mut runs = Runs { query: &mut query, filter, limit: limit as i64 + 1, any: false };
    match filter.status {
        None => {
            runs.live("");
            runs.ended(None);
        }
        Some(JobState::Draft) => return Ok(Vec::new()),
        Some(JobState::Queued) => runs.live(" and status = 'queued'"),
        Some(JobState::Running) => runs.busy(" and status = 'running'"),
        Some(JobState::Succeeded | JobState::Failed) => runs.ended(filter.status),
        // A worker may still have to say `stopped`.
        Some(JobState::Canceled) => {
            runs.busy(" and status = 'canceled'");
            runs.ended(filter.status);
        }
    }
    query.push(") as found order by submitted desc limit ");
    query.push_bind(limit as i64 + 1).push(mark);
    query.build().fetch_all(connection).await?.iter().map(found_row).collect()
}

fn found_row(row: &PgRow) -> sqlx::Result<Found> {
    let bytes: i32 = row.try_get("bytes")?;
    Ok(Found {
        id: row.try_get("id")?,
        place: EntryPlace::unpacked(row.try_get("submitted")?),
        bytes: bytes.unsigned_abs() as usize + ROW_BYTES,
    })
}

/// Writes the runs that a page is merged from.
struct Runs<'a> {
    query: &'a mut QueryBuilder<Postgres>,
    filter: &'a Filter,
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

    /// Jobs that a worker has: one short run.
    fn busy(&mut self, status: &str) {
        self.begin();
        self.query.push("select id, submitted from jobs_live where status <> 'queued' and ");
        self.whose();
        self.query.push(status);
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
        self.query.push(format!(
            " select found.* from runs, lateral (
                  select id, submitted from {table} where {run} = runs.run and "
        ));
        self.whose();
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
            self.query.push(" and submitted < ").push_bind(place.packed());
        }
        self.query.push(" order by submitted desc limit ");
        self.query.push_bind(self.limit).push(close).push(")");
    }
}
