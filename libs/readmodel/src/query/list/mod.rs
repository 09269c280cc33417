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

mod candidates;
mod runs;

use std::convert::Infallible;

use nox_contract::JobId;
use sqlx::PgConnection;
use uuid::Uuid;

use self::candidates::{Candidates, fitting};
pub(super) use self::{
    candidates::{PLAN, page},
    runs::write_rows,
};
use super::{
    At, PAGE_MAX, QueryError, Reader,
    jobs::{Cursor, Filter, JobRow, Page, brief_rows_where, job, rows_where},
};

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
        let rows = if filter.brief { brief_rows_where } else { rows_where };
        let sql = look.sql(&rows("id = any($1)"));
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
