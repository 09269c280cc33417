//! What the log says, as it was written: of one job, and all of it.

use futures_util::TryStreamExt;
use nox_contract::{Epoch, FrameNumber, JobId, RawJson, TenantId, Timestamp};
use sqlx::{Row, postgres::PgRow};

use super::{At, QueryError, Reader, look::Look};
use crate::{
    batch::LogMessage,
    raw_frame::RawFrame,
    rows,
    segment::{self, DamagedSegment},
    sql::{big, count, number},
};

/// Most frames that one answer takes a job's entries from: each may lie in a segment of its own, which
/// is read whole.
pub const JOB_FRAMES_MAX: usize = 200;

/// What one part of one input caused for a job, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEntry {
    /// The frame that it stands in. Other entries of the job may stand there as well.
    pub n: FrameNumber,
    pub epoch: Epoch,
    pub at: Timestamp,
    /// A [`nox_contract::Entry`], byte for byte.
    pub entry: RawJson,
}

impl JobEntry {
    /// The entries of a job in frame `n`, which has this payload, and nothing of others.
    pub fn of_frame(
        n: FrameNumber,
        payload: &[u8],
        tenant: &TenantId,
        id: JobId,
    ) -> serde_json::Result<Vec<Self>> {
        let frame = RawFrame::parse(payload)?;
        let (epoch, at) = (frame.epoch, frame.at);
        let of_job = frame.of_job(tenant, id)?.into_iter();
        of_job
            .map(|entry| Ok(Self { n, epoch, at, entry: RawJson::parse(entry.to_owned())? }))
            .collect()
    }

    /// The entry with the `n`, `epoch` and `at` of its frame before its own members, which stay as they
    /// were written.
    pub fn document(&self) -> serde_json::Result<RawJson> {
        let Self { n, epoch, at, entry } = self;
        let members = entry.get().strip_prefix('{').unwrap_or_default();
        RawJson::parse(format!(r#"{{"n":{n},"epoch":{epoch},"at":"{at}",{members}"#))
    }
}

impl Reader {
    /// The frames after `after` that have entries of a job, in order, as far as its row names them; `None`
    /// if the tenant has no such job.
    pub async fn job_frames(
        &self,
        tenant: &TenantId,
        id: JobId,
        after: FrameNumber,
    ) -> Result<At<Option<Vec<FrameNumber>>>, QueryError> {
        let mut look = self.look().await?;
        let mut numbers = frame_numbers(&mut look, tenant, id).await?;
        if let Some(numbers) = &mut numbers {
            numbers.retain(|n| *n > after);
        }
        look.end(numbers).await
    }

    /// The entries of a job in frames after `after`, in order, from at most [`JOB_FRAMES_MAX`] frames;
    /// `None` if the tenant has no such job. Empty at the end.
    ///
    /// Of a job with very many frames the first is found and the newest are; see the `frames` of a row.
    pub async fn job_events(
        &self,
        tenant: &TenantId,
        id: JobId,
        after: FrameNumber,
    ) -> Result<At<Option<Vec<JobEntry>>>, QueryError> {
        let mut look = self.look().await?;
        let Some(mut numbers) = frame_numbers(&mut look, tenant, id).await? else {
            return look.end(None).await;
        };
        numbers.retain(|n| *n > after);
        numbers.truncate(JOB_FRAMES_MAX);
        let entries = job_entries(&mut look, tenant, id, &numbers).await?;
        look.end(Some(entries)).await
    }

    /// The messages after `after`, as they were written, whole segments at a time: the log's second
    /// copy. Empty at the end.
    pub async fn log(
        &self,
        after: FrameNumber,
    ) -> Result<At<Vec<(FrameNumber, LogMessage)>>, QueryError> {
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
        let numbered = (n_first.0..).map(FrameNumber).zip(messages);
        look.end(numbered.filter(|(n, _)| *n > after).collect()).await
    }
}

async fn frame_numbers(
    look: &mut Look,
    tenant: &TenantId,
    id: JobId,
) -> Result<Option<Vec<FrameNumber>>, QueryError> {
    let sql = look.sql("select submitted_n, frames from jobs where tenant = $1 and id = $2");
    let row =
        sqlx::query(sql).bind(tenant.as_str()).bind(id.0).fetch_optional(look.connection()).await;
    let Some(row) = row.map_err(|error| look.failed(error))? else { return Ok(None) };
    let first = number(row.try_get("submitted_n")?);
    Ok(Some(rows::frame_numbers(first, row.try_get("frames")?)))
}

/// The entries of a job in frames `numbers`, which are in order. Of the frames nothing else is kept: they
/// are everybody's.
async fn job_entries(
    look: &mut Look,
    tenant: &TenantId,
    id: JobId,
    numbers: &[FrameNumber],
) -> Result<Vec<JobEntry>, QueryError> {
    let wanted: Vec<i64> = numbers.iter().map(|n| big(n.0)).collect();
    let sql = look.sql(
        "select n_first, bytes, content
         from segments
         where n_first in (
             select (select max(n_first) from segments where n_first <= n)
             from unnest($1::bigint[]) as wanted (n)
         )
         order by n_first",
    );
    let mut segments = sqlx::query(sql).bind(wanted).fetch(look.connection());
    let mut entries = Vec::new();
    loop {
        let row = match segments.try_next().await {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => {
                drop(segments);
                return Err(look.failed(error));
            }
        };
        let (n_first, messages) = segment(&row)?;
        for (n, message) in (n_first.0..).map(FrameNumber).zip(messages) {
            if numbers.binary_search(&n).is_ok() {
                let found = JobEntry::of_frame(n, &message.payload, tenant, id);
                entries.extend(found.map_err(|error| DamagedSegment {
                    n_first,
                    reason: format!("frame {n}: {error}"),
                })?);
            }
        }
    }
    drop(segments);
    Ok(entries)
}

fn segment(row: &PgRow) -> Result<(FrameNumber, Vec<LogMessage>), QueryError> {
    let n_first = number(row.try_get("n_first")?);
    let bytes = count(row.try_get("bytes")?) as usize;
    Ok((n_first, segment::decode(n_first, bytes, row.try_get("content")?)?))
}
