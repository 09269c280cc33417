//! Events as they were written: of one job, and all of them.

use nox_contract::{EventNumber, JobId, TenantId};
use sqlx::Row;

use super::{QueryError, Reader};
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
    ) -> Result<Option<Vec<RawEvent>>, QueryError> {
        let Some(mut numbers) = self.job_event_numbers(tenant, id).await? else { return Ok(None) };
        numbers.retain(|n| *n > after);
        numbers.truncate(JOB_EVENTS_MAX);
        let mut events = Vec::with_capacity(numbers.len());
        for (n_first, messages) in self.segments_with(&numbers).await? {
            for (n, message) in (n_first.0..).map(EventNumber).zip(messages) {
                if numbers.binary_search(&n).is_ok() {
                    events.push(RawEvent { n, payload: message.payload });
                }
            }
        }
        Ok(Some(events))
    }

    async fn job_event_numbers(
        &self,
        tenant: &TenantId,
        id: JobId,
    ) -> Result<Option<Vec<EventNumber>>, QueryError> {
        let (_, pool) = self.current().await?;
        let row = sqlx::query("select submitted_n, events from jobs where tenant = $1 and id = $2")
            .bind(tenant.as_str())
            .bind(id.0)
            .fetch_optional(&pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let first = number(row.try_get("submitted_n")?);
        Ok(Some(rows::event_numbers(first, row.try_get("events")?)))
    }

    /// The segments that hold any of `numbers`, by the number of their first message.
    async fn segments_with(
        &self,
        numbers: &[EventNumber],
    ) -> Result<Vec<(EventNumber, Vec<LogMessage>)>, QueryError> {
        let (_, pool) = self.current().await?;
        let numbers: Vec<i64> = numbers.iter().map(|n| big(n.0)).collect();
        let rows = sqlx::query(
            "select n_first, bytes, content
             from segments
             where n_first in (
                 select (select max(n_first) from segments where n_first <= n)
                 from unnest($1::bigint[]) as wanted (n)
             )
             order by n_first",
        )
        .bind(numbers)
        .fetch_all(&pool)
        .await?;
        rows.iter()
            .map(|row| {
                let n_first = number(row.try_get("n_first")?);
                let bytes = count(row.try_get("bytes")?) as usize;
                Ok((n_first, segment::decode(n_first, bytes, row.try_get("content")?)?))
            })
            .collect()
    }

    /// The messages after `after`, as they were written, whole segments at a time: the log's second
    /// copy. Empty at the end.
    pub async fn log(
        &self,
        after: EventNumber,
    ) -> Result<Vec<(EventNumber, LogMessage)>, QueryError> {
        let (_, pool) = self.current().await?;
        let row = sqlx::query(
            "select n_first, bytes, content
             from segments
             where n_last > $1
             order by n_first
             limit 1",
        )
        .bind(big(after.0))
        .fetch_optional(&pool)
        .await?;
        let Some(row) = row else { return Ok(Vec::new()) };
        let n_first = number(row.try_get("n_first")?);
        let bytes = count(row.try_get("bytes")?) as usize;
        let messages = segment::decode(n_first, bytes, row.try_get("content")?)?;
        let numbered = (n_first.0..).map(EventNumber).zip(messages);
        Ok(numbered.filter(|(n, _)| *n > after).collect())
    }
}
