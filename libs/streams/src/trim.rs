//! Makes room in an input stream by removing what was consumed.

use serde::Deserialize;

use crate::{Broker, Error};

/// A stream that is fuller than this share of its limit is trimmed. Until then what was consumed
/// stays, for people who want to see what was asked.
const TRIM_FROM: f64 = 0.5;

#[derive(Deserialize)]
struct Purged {
    purged: u64,
}

impl Broker {
    /// Removes the messages of `stream` up to and including `consumed`, if the stream is half full;
    /// says how many went. Its sequences go on as before.
    pub async fn trim(&self, stream: &str, consumed: u64) -> Result<u64, Error> {
        let usage = self.usage(stream).await?;
        let Some(bytes_max) = usage.bytes_max else { return Ok(0) };
        if (usage.bytes as f64) < bytes_max as f64 * TRIM_FROM || usage.first_seq > consumed {
            return Ok(0);
        }
        let request = serde_json::json!({ "seq": consumed + 1 });
        let Purged { purged } = self.api(&format!("STREAM.PURGE.{stream}"), &request).await?;
        Ok(purged)
    }
}
