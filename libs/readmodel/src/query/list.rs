//! Lists of jobs, newest first.
//!
//! A page reads the rows that it shows and few others, whatever is asked for, however rare it is, and
//! whatever the planner believes of the tables. Ended jobs are indexed by all that can be asked for, in
//! front of the order: for each module and status of an owner there is one run of the index that has the
//! order, and a page is merged from the newest of each. Which runs there are is read off the index, one step
//! each. Live jobs are found the same way, but by module alone, since their status changes; nearly all of
//! them are queued, and the others have an index of their own.
//!
//! For what no index has in front of the order ([`Condition`]) a page looks at a bounded number of rows of such a
//! list, and ends there, be it short: its reader goes on by its cursor. The jobs of a release are found by it.

use std::convert::Infallible;

use nox_contract::{JobId, JobState};
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

/// Rows that a page with conditions looks at, at most, and at a time.
const LOOKED_AT_MAX: usize = 20_000;
const LOOKED_AT: usize = 1_000;

/// Bytes of what the programs made of a row.
const BYTES_OF_ENDED: &str =
    "octet_length(coalesce(inputs::text, '')) + octet_length(coalesce(outputs::text, ''))
                              + octet_length(coalesce(error::text, ''))";
const BYTES_OF_LIVE: &str =
    "octet_length(coalesce(inputs::text, '')) + octet_length(coalesce(error::text, ''))";

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
        let found = page(look.connection(), filter, limit, &mark).await;
        let Candidates { found, behind } = found.map_err(|error| look.failed(error))?;
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
        sort(&mut rows, filter);
        let last = found[..shown].last().filter(|_| shown < found.len());
        let next = last.map(|last| Cursor(last.place)).or(behind);
        look.end(Ok((Page { rows, next }, room))).await
    }

    /// The ids of the first `max` jobs of a list, in its order, whatever the filter's limit; and whether these
    /// are all.
    pub async fn job_ids(
        &self,
        filter: &Filter,
        max: usize,
    ) -> Result<At<(Vec<JobId>, bool)>, QueryError> {
        let mut look = self.look().await?;
        let mark = look.mark();
        let found = first(look.connection(), filter, max, &mark).await;
        let (found, is_all) = found.map_err(|error| look.failed(error))?;
        look.end((found.into_iter().map(JobId).collect(), is_all)).await
    }

    /// The jobs of a list from `offset` on, at most its filter's limit; how many there are, counted up to `max`;
    /// and whether these are all. Whoever turns many pages is better served by [`Reader::jobs`].
    pub async fn jobs_from(
        &self,
        filter: &Filter,
        offset: usize,
        max: usize,
    ) -> Result<At<(Vec<JobRow>, usize, bool)>, QueryError> {
        let mut look = self.look().await?;
        let mark = look.mark();
        let found = first(look.connection(), filter, max, &mark).await;
        let (found, is_all) = found.map_err(|error| look.failed(error))?;
        let total = found.len();
        let ids: Vec<_> = found.into_iter().skip(offset).take(filter.limit).collect();
        let sql = look.sql(&rows_where("id = any($1)"));
        let rows = sqlx::query(sql).bind(ids).fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let mut rows = rows.iter().map(job).collect::<sqlx::Result<Vec<_>>>()?;
        sort(&mut rows, filter);
        look.end((rows, total, is_all)).await
    }
}

fn sort(rows: &mut [JobRow], filter: &Filter) {
    rows.sort_by_key(|row| (row.submitted_n, row.submitted_place));
    if !filter.oldest_first {
        rows.reverse();
    }
}

/// The first `max` rows of a list, step by step, and whether these are all.
async fn first(
    connection: &mut PgConnection,
    filter: &Filter,
    max: usize,
    mark: &str,
) -> sqlx::Result<(Vec<Uuid>, bool)> {
    let mut filter = filter.clone();
    let mut ids = Vec::new();
    while ids.len() < max {
        let step = PAGE_MAX.min(max - ids.len());
        let Candidates { found, behind } = page(&mut *connection, &filter, step, mark).await?;
        let is_more = found.len() > step;
        let shown = &found[..step.min(found.len())];
        ids.extend(shown.iter().map(|found| found.id));
        filter.before = match shown.last() {
            Some(last) if is_more => Some(Cursor(last.place)),
            _ if behind.is_some() => behind,
            _ => return Ok((ids, true)),
        };
    }
    Ok((ids, false))
}

/// A row of a page, before it is read.
pub(super) struct Found {
    pub(super) id: Uuid,
    pub(super) place: EntryPlace,
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

/// Rows for a page, in order and one more than it shows, if there are so many.
pub(super) struct Candidates {
    pub(super) found: Vec<Found>,
    /// Where to go on if these are all that were found, and not all were looked at.
    behind: Option<Cursor>,
}

pub(super) async fn page(
    connection: &mut PgConnection,
    filter: &Filter,
    limit: usize,
    mark: &str,
) -> sqlx::Result<Candidates> {
    sqlx::raw_sql(PLAN).execute(&mut *connection).await?;
    if filter.conditions.is_empty() {
        let found = newest(connection, filter, limit, mark).await?;
        return Ok(Candidates { found, behind: None });
    }
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let mut filter = Filter { limit: LOOKED_AT, ..filter.clone() };
    loop {
        let mut looked: Vec<Uuid> = Vec::new();
        let step = candidates(connection, &filter, LOOKED_AT, mark).await?;
        let is_end = step.len() <= LOOKED_AT;
        for (id, place) in step.into_iter().take(LOOKED_AT) {
            looked.push(id);
            filter.before = Some(Cursor(place));
        }
        looked_at += looked.len();
        found.extend(passing(connection, &filter, looked, mark).await?);
        if is_end || found.len() > limit {
            found.truncate(limit + 1);
            return Ok(Candidates { found, behind: None });
        }
        if looked_at >= LOOKED_AT_MAX {
            return Ok(Candidates { found, behind: filter.before });
        }
    }
}

/// Those of `looked` that meet the conditions, in the filter's order.
async fn passing(
    connection: &mut PgConnection,
    filter: &Filter,
    looked: Vec<Uuid>,
    mark: &str,
) -> sqlx::Result<Vec<Found>> {
    let mut query = QueryBuilder::new("select id, submitted, bytes from (");
    for (table, bytes) in [("jobs_live", BYTES_OF_LIVE), ("jobs_ended", BYTES_OF_ENDED)] {
        let union = if table == "jobs_live" { "" } else { " union all " };
        query.push(format!(
            "{union}select id, submitted, {bytes} as bytes from {table} where id = any("
        ));
        query.push_bind(looked.clone()).push("::uuid[])");
        for condition in &filter.conditions {
            condition.push(&mut query, table);
        }
    }
    query.push(") as found").push(mark);
    let rows = query.build().fetch_all(connection).await?;
    let mut found = rows.iter().map(found_row).collect::<sqlx::Result<Vec<_>>>()?;
    found.sort_by_key(|found| found.place.packed());
    if !filter.oldest_first {
        found.reverse();
    }
    Ok(found)
}

/// The first rows that a filter without conditions lets through, and one more than `limit`, if there are so many.
async fn newest(
    connection: &mut PgConnection,
    filter: &Filter,
    limit: usize,
    mark: &str,
) -> sqlx::Result<Vec<Found>> {
    let mut query = QueryBuilder::new(format!(
        "select id, submitted,
                coalesce(
                    (select {BYTES_OF_ENDED} from jobs_ended where jobs_ended.id = found.id),
                    (select {BYTES_OF_LIVE} from jobs_live where jobs_live.id = found.id)
                ) as bytes
         from ("
    ));
    write_candidates(&mut query, filter, limit);
    query.push(mark);
    query.build().fetch_all(connection).await?.iter().map(found_row).collect()
}

/// The same, by their places alone.
async fn candidates(
    connection: &mut PgConnection,
    filter: &Filter,
    limit: usize,
    mark: &str,
) -> sqlx::Result<Vec<(Uuid, EntryPlace)>> {
    let mut query = QueryBuilder::new("select id, submitted from (");
    write_candidates(&mut query, filter, limit);
    query.push(mark);
    let rows = query.build().fetch_all(connection).await?;
    let place =
        |row: &PgRow| Ok((row.try_get("id")?, EntryPlace::unpacked(row.try_get("submitted")?)));
    rows.iter().map(place).collect()
}

fn write_candidates(query: &mut QueryBuilder<Postgres>, filter: &Filter, limit: usize) {
    let mut runs = Runs { query, filter, limit: limit as i64 + 1, any: false };
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
    let order = order(filter);
    query.push(format!(") as found order by submitted {order} limit "));
    query.push_bind(limit as i64 + 1);
}

fn order(filter: &Filter) -> &'static str {
    if filter.oldest_first { "asc" } else { "desc" }
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

    /// The jobs of a release: one run of live ones, and one of those that ended.
    fn of_release(&mut self) {
        for table in ["jobs_live", "jobs_ended"] {
            self.begin();
            self.query.push(format!("select id, submitted from {table} where release_id = "));
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
        self.query.push(
            "select id, submitted from jobs_live where status not in ('queued', 'draft') and ",
        );
        self.whose();
        self.query.push(status);
        self.end("");
    }

    /// Jobs that are not submitted yet: one run, bounded by limits.
    fn drafts(&mut self) {
        self.begin();
        self.query.push("select id, submitted from jobs_live where status = 'draft' and ");
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
            let behind = if self.filter.oldest_first { ">" } else { "<" };
            self.query.push(format!(" and submitted {behind} ")).push_bind(place.packed());
        }
        self.query.push(format!(" order by submitted {} limit ", order(self.filter)));
        self.query.push_bind(self.limit).push(close).push(")");
    }
}
