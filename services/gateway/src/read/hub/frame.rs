//! A frame as it is kept for viewers: whose its entries are, and each entry parsed when somebody watches it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use nox_contract::{Entry, FrameNumber, JobId, TenantId, Timestamp, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A frame that was looked over once, for all who watch.
pub struct HubFrame {
    pub n: FrameNumber,
    pub at: Timestamp,
    pub entries: Vec<HubEntry>,
    /// Of its payload.
    pub bytes: usize,
}

/// An entry of which it is known whose it is.
pub struct HubEntry {
    pub tenant: TenantId,
    pub job_id: Option<JobId>,
    /// Of a job, schedule or key.
    pub user_id: Option<UserId>,
    text: Bytes,
    parsed: OnceLock<Option<Arc<Entry>>>,
}

#[derive(Deserialize)]
struct Raw<'f> {
    at: Timestamp,
    #[serde(borrow)]
    entries: Vec<&'f RawValue>,
}

/// Unknown members are passed over, so that little more than these is read.
#[derive(Deserialize)]
struct Owner {
    tenant: TenantId,
    job_id: Option<JobId>,
    user_id: Option<UserId>,
}

impl HubFrame {
    /// Looks a frame over.
    ///
    /// # Errors
    /// It is none.
    pub fn read(n: FrameNumber, payload: &Bytes) -> serde_json::Result<Self> {
        let raw: Raw<'_> = serde_json::from_slice(payload)?;
        let entries = raw.entries.iter().map(|entry| {
            let Owner { tenant, job_id, user_id } = serde_json::from_str(entry.get())?;
            let text = payload.slice_ref(entry.get().as_bytes());
            Ok(HubEntry { tenant, job_id, user_id, text, parsed: OnceLock::new() })
        });
        let entries = entries.collect::<serde_json::Result<_>>()?;
        Ok(Self { n, at: raw.at, entries, bytes: payload.len() })
    }
}

impl HubEntry {
    /// The entry, parsed at most once; `None` if it is none, which whoever projects the log will say.
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        let parse = || match serde_json::from_slice(&self.text) {
            Ok(entry) => Some(Arc::new(entry)),
            Err(error) => {
                tracing::warn!(%error, "An entry of the log cannot be read");
                None
            }
        };
        self.parsed.get_or_init(parse).as_ref()
    }

    #[cfg(test)]
    pub fn is_parsed(&self) -> bool {
        self.parsed.get().is_some()
    }
}
