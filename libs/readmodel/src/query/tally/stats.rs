//! How it went with jobs within a span of time: how many came and ended, and how long they waited and ran.

use std::time::Duration;

use nox_contract::{JobState, Timestamp};
use sqlx::{QueryBuilder, Row};

use super::{
    super::{At, QueryError, Reader, jobs::Filter},
    LOOKED_AT_MAX, LOOKED_AT_OF_RUN_MAX, begin, write_looked_at,
};
use crate::{
    load::decode,
    sql::{Instant, count},
};

/// Parts of a span that are counted by themselves.
pub const PARTS_MAX: usize = 200;

/// A span of time, in parts of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: Timestamp,
    /// Behind `from`, and not within the span.
    pub to: Timestamp,
    /// From 1 to [`PARTS_MAX`].
    pub parts: usize,
}

/// What happened within a span.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// One for each part.
    pub parts: Vec<SpanPart>,
    /// Of jobs that succeeded or failed: from their creation to the start of their newest attempt.
    pub waits: Quantiles,
    /// Of the same: from there to their end.
    pub runs: Quantiles,
    /// Else there may be more.
    pub is_exact: bool,
}

/// What came and ended in a part of a span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanPart {
    pub submitted: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub canceled: u64,
}

/// Of so many durations, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quantiles {
    pub count: u64,
    /// `None` of none.
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub max: Option<f64>,
}

impl Span {
    pub fn part(&self) -> Duration {
        self.to.since(self.from) / u32::try_from(self.parts).unwrap_or(u32::MAX).max(1)
    }
}

impl Reader {
    /// What became of the jobs of a list within a span. Its cursor and limit mean nothing.
    pub async fn job_stats(&self, filter: &Filter, span: Span) -> Result<At<Stats>, QueryError> {
        let filter = Filter { before: None, ..filter.clone() };
        let mut look = self.look().await?;
        begin(look.connection()).await.map_err(|error| look.failed(error))?;
        let mut query = QueryBuilder::new("with looked_at as materialized (");
        write_looked_at(&mut query, &filter);
        query.push("), span (first, last, part) as (select ").push_bind(Instant(span.from));
        query.push("::timestamptz, ").push_bind(Instant(span.to));
        query.push("::timestamptz, ").push_bind(span.part().as_secs_f64());
        query.push(format!(
            "::float8),
             ended as (
                 select extract(epoch from started_at - created_at)::float8 as waited,
                        extract(epoch from ended_at - started_at)::float8 as ran
                 from looked_at, span
                 where passes and started_at is not null and status in ('succeeded', 'failed')
                       and ended_at >= first and ended_at < last
             )
             select 'cut' as what, null::bigint as part, count(*) as count,
                    null::float8[] as shares, null::float8 as most
             from looked_at group by run, is_live having count(*) > {LOOKED_AT_OF_RUN_MAX}
             union all
             select 'cut', null, count(*), null, null from looked_at having count(*) > {LOOKED_AT_MAX}
             union all
             select what, floor(extract(epoch from at - first) / part)::bigint, count(*), null, null
             from looked_at, span,
                  lateral (values ('submitted', created_at), (status, ended_at)) as happened (what, at)
             where passes and status <> 'draft' and at >= first and at < last
             group by 1, 2
             union all
             select 'waited', null, count(*), percentile_cont(array[0.5, 0.95]) within group (order by waited),
                    max(waited)
             from ended
             union all
             select 'ran', null, count(*), percentile_cont(array[0.5, 0.95]) within group (order by ran), max(ran)
             from ended{mark}",
            mark = look.mark(),
        ));
        let rows = query.build().fetch_all(look.connection()).await;
        let rows = rows.map_err(|error| look.failed(error))?;
        let mut stats = Stats {
            parts: vec![SpanPart::default(); span.parts],
            is_exact: true,
            ..Stats::default()
        };
        for row in rows {
            let number = count(row.try_get("count")?);
            match row.try_get::<&str, _>("what")? {
                "cut" => stats.is_exact = false,
                "waited" => stats.waits = Quantiles::read(&row, number)?,
                "ran" => stats.runs = Quantiles::read(&row, number)?,
                what => {
                    let part: i64 = row.try_get("part")?;
                    // Rounding may lead the last microseconds out of the last part.
                    let part = usize::try_from(part).unwrap_or_default().min(span.parts - 1);
                    if let Some(part) = stats.parts.get_mut(part) {
                        part.tell(what, number)?;
                    }
                }
            }
        }
        look.end(stats).await
    }
}

impl SpanPart {
    fn tell(&mut self, what: &str, number: u64) -> sqlx::Result<()> {
        let of = match what {
            "submitted" => &mut self.submitted,
            state => match state.parse().map_err(decode)? {
                JobState::Succeeded => &mut self.succeeded,
                JobState::Failed => &mut self.failed,
                JobState::Canceled => &mut self.canceled,
                JobState::Draft | JobState::Queued | JobState::Running => return Ok(()),
            },
        };
        *of += number;
        Ok(())
    }
}

impl Quantiles {
    fn read(row: &sqlx::postgres::PgRow, count: u64) -> sqlx::Result<Self> {
        let shares: Option<Vec<Option<f64>>> = row.try_get("shares")?;
        let share = |place: usize| shares.as_ref()?.get(place).copied().flatten();
        Ok(Self { count, p50: share(0), p95: share(1), max: row.try_get("most")? })
    }
}
