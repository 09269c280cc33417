//! The entries of a frame as they stand in the log, byte for byte.

use bytes::Bytes;
use nox_contract::{Epoch, JobId, TenantId, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A frame of which the entries are left as they are.
#[derive(Deserialize)]
pub(crate) struct RawFrame<'a> {
    pub epoch: Epoch,
    pub at: Timestamp,
    #[serde(borrow)]
    pub entries: Vec<&'a RawValue>,
}

/// Whose an entry is.
#[derive(Deserialize)]
struct Owner {
    tenant: TenantId,
    job_id: Option<JobId>,
}

impl<'a> RawFrame<'a> {
    pub(crate) fn parse(payload: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(payload)
    }

    /// The entries of one job of one tenant, and of nobody else, each with its place in the frame.
    pub(crate) fn of_job(
        &self,
        tenant: &TenantId,
        id: JobId,
    ) -> serde_json::Result<Vec<(u32, &'a str)>> {
        let mut found = Vec::new();
        for (place, entry) in (0..).zip(&self.entries) {
            let owner: Owner = serde_json::from_str(entry.get())?;
            if owner.job_id == Some(id) && owner.tenant == *tenant {
                found.push((place, entry.get()));
            }
        }
        Ok(found)
    }
}

/// Entry `place` of a frame that was read before.
pub(crate) fn entry(payload: &Bytes, place: u32) -> Bytes {
    let frame = RawFrame::parse(payload).expect("a frame that was read once is read again");
    payload.slice_ref(frame.entries[place as usize].get().as_bytes())
}
