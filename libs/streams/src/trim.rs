//! Makes room in the input streams by removing what was consumed, and in the log by removing what is
//! kept elsewhere.

use nox_contract::subject;
use serde::Deserialize;

use crate::{Broker, Error};

/// A stream that is fuller than this, or than half of its limit, is trimmed. Until then what was consumed
/// stays, for people who want to see what was asked. The broker's memory grows with what it keeps.
const TRIM_FROM: u64 = 256 * 1024 * 1024;

#[derive(Deserialize)]
struct Purged {
    purged: u64,
}

impl Broker {
    /// Removes the messages of `stream` up to and including `consumed`, if the stream is half full or takes
    /// 256 MiB; says how many went. Its sequences go on as before.
    pub async fn trim(&self, stream: &str, consumed: u64) -> Result<u64, Error> {
        let usage = self.usage(stream).await?;
        let Some(bytes_max) = usage.bytes_max else { return Ok(0) };
        if usage.bytes < TRIM_FROM.min(bytes_max / 2) || usage.first_seq > consumed {
            return Ok(0);
        }
        self.purge(stream, serde_json::json!({ "seq": consumed + 1 })).await
    }

    /// The number of the first frame that the log's stream has; `None` if it has none.
    pub async fn first_frame(&self) -> Result<Option<u64>, Error> {
        let first = self.read_history(subject::EVENTS, subject::FRAMES, 0, 1, 1).await?;
        Ok(first.first().map(|frame| frame.seq))
    }

    /// Removes the frames of the log before `n`; says how many went. Epoch records stay, for the guard of
    /// every append names the newest one: so there may be some before a gap.
    pub async fn cut_log(&self, n: u64) -> Result<u64, Error> {
        self.purge(subject::EVENTS, serde_json::json!({ "filter": subject::FRAMES, "seq": n }))
            .await
    }

    /// Removes the messages of `stream` that `which` names; says how many went.
    pub(crate) async fn purge(&self, stream: &str, which: serde_json::Value) -> Result<u64, Error> {
        let Purged { purged } = self.api(&format!("STREAM.PURGE.{stream}"), &which).await?;
        Ok(purged)
    }
}
