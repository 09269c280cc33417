//! Where in the log a job has entries, and what of a frame is the job's.

use nox_contract::{Epoch, FrameNumber, JobId, RawJson, TenantId, Timestamp};
use sqlx::Row;

use super::{At, QueryError, Reader, look::Look};
use crate::{raw_frame::RawFrame, rows, sql::number};

/// Most frames of a job that its row names beside the first: the newest.
pub const JOB_FRAMES_MAX: usize = rows::FRAMES_MAX;

/// What one part of one input caused for a job, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEntry {
    /// The frame that it stands in. Other entries of the job may stand there as well.
    pub n: FrameNumber,
    /// Among the frame's entries, counted from 0.
    pub place: u32,
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
            .map(|(place, entry)| {
                Ok(Self { n, place, epoch, at, entry: RawJson::parse(entry.to_owned())? })
            })
            .collect()
    }

    /// The entry with the `n`, `epoch` and `at` of its frame before its own members, which stay as they
    /// were written.
    pub fn document(&self) -> serde_json::Result<RawJson> {
        let Self { n, place: _, epoch, at, entry } = self;
        let members = entry.get().strip_prefix('{').unwrap_or_default();
        RawJson::parse(format!(r#"{{"n":{n},"epoch":{epoch},"at":"{at}",{members}"#))
    }
}

impl Reader {
    /// The frames after `after` that have entries of a job, in order, as far as its row names them; `None`
    /// if the tenant has no such job.
    ///
    /// Of a job with very many frames the first is found and the newest are; see the `frames` of a row.
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
