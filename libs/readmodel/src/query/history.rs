//! Events as they were written: of one job, and all of them.

use nox_contract::{EventNumber, JobId, TenantId};
use sqlx::{Row, postgres::PgRow};

use super::{At, QueryError, Reader, look::Look};
use crate::{
    batch::LogMessage,
    rows, segment,
    sql::{big, count, number},
};

/// Most events of one job in one answer: each may lie in a segment of its own, which is read whole.
pub const JOB_EVENTS_MAX: usize = 200;

/// One event of a job, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    pub n: EventNumber,
    /// An [`nox_contract::Event`] as JSON.
    pub payload: bytes::Bytes,
}

impl Reader {
    /// The events of a job after `after`, in order, at most [`JOB_EVENTS_MAX`]; `None` if there is
    /// no such job.
    pub async fn job_events(
        &self,
        tenant: &TenantId,
        id: JobId,
        after: EventNumber,
    ) -> Result<At<Option<Vec<RawEvent>>>, QueryError> {
        let mut look = self.look().await?;
        let Some(mut numbers) = event_numbers(&mut look, tenant, id).await? else {
            return look.end(None).await;
        };
        numbers.retain(|n| *n > after);
        numbers.truncate(JOB_EVENTS_MAX);
        let mut events = Vec::with_capacity(numbers.len());
        for (n_first, messages) in segments_with(&mut look, &numbers).await? {
            for (n, message) in (n_first.0..).map(EventNumber).zip(messages) {
                if numbers.binary_search(&n).is_ok() {
                    events.push(RawEvent { n, payload: message.payload });
                }
            }
        }
        look.end(Some(events)).await
    }

    /// The messages after `after`, as they were written, whole segments at a time: the log's second
    /// copy. Empty at the end.
    pub async fn log(
        &self,
        after: EventNumber,
    ) -> Result<At<Vec<(EventNumber, LogMessage)>>, QueryError> {
        let mut look = self.look().await?;
        let sql = look.sql(
            "select n_first, bytes, content
             from segments
             where n_last > $1
             order by n_first
             limit 1",
        );
        let row = sqlx::query(sql).bind(big(after.0)).fetch_optional(look.connection()).await;
        let Some(row) = row.map_err(|error| look.failed(error))? else {
            return look.end(Vec::new()).await;
        };
        let (n_first, messages) = segment(&row)?;
        let numbered = (n_first.0..).map(EventNumber).zip(messages);
        look.end(numbered.filter(|(n, _)| *n > after).collect()).await
    }
}

async fn event_numbers(
    look: &mut Look,
    tenant: &TenantId,
    id: JobId,
) -> Result<Option<Vec<EventNumber>>, QueryError> {
    let sql = look.sql("select submitted_n, events from jobs where tenant = $1 and id = $2");
    let row =
        sqlx::query(sql).bind(tenant.as_str()).bind(id.0).fetch_optional(look.connection()).await;
    let Some(row) = row.map_err(|error| look.failed(error))? else { return Ok(None) };
    let first = number(row.try_get("submitted_n")?);
    Ok(Some(rows::event_numbers(first, row.try_get("events")?)))
}

/// The segments that hold any of `numbers`, by the number of their first message.
async fn segments_with(
    look: &mut Look,
    numbers: &[EventNumber],
) -> Result<Vec<(EventNumber, Vec<LogMessage>)>, QueryError> {
    let numbers: Vec<i64> = numbers.iter().map(|n| big(n.0)).collect();
    let sql = look.sql(
        "select n_first, bytes, content
         from segments
         where n_first in (
             select (select max(n_first) from segments where n_first <= n)
             from unnest($1::bigint[]) as wanted (n)
         )
         order by n_first",
    );
    let rows = sqlx::query(sql).bind(numbers).fetch_all(look.connection()).await;
    let rows = rows.map_err(|error| look.failed(error))?;
    rows.iter().map(segment).collect()
}

fn segment(row: &PgRow) -> Result<(EventNumber, Vec<LogMessage>), QueryError> {
    let n_first = number(row.try_get("n_first")?);
    let bytes = count(row.try_get("bytes")?) as usize;
    Ok((n_first, segment::decode(n_first, bytes, row.try_get("content")?)?))
}
