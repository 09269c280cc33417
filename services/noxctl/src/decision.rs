//! What became of a change that was asked for.

use anyhow::Result;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::{
    client::Answer,
    exit::Exit,
    output::{Format, Output},
    terminal::note,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Decision {
    /// Nobody has decided yet; what was asked for is kept and will be.
    pending: bool,
}

impl Answer {
    /// Whether the command is kept, and nobody has decided yet.
    pub fn is_pending(&self) -> bool {
        // Some accept what was decided, for later.
        let told = || self.read::<Decision>().map_or(true, |decision| decision.pending);
        self.status == StatusCode::ACCEPTED && told()
    }
}

/// Tells that `what` is `done` ("paused"), or will be; as JSON, what the server says, if it says anything.
pub fn tell(answer: &Answer, output: Output, what: &str, done: &str) -> Result<Exit> {
    let is_pending = answer.is_pending();
    match output.format {
        Format::Table if is_pending => note!("{what} will be {done}"),
        Format::Table => note!("{what} {done}"),
        Format::Json | Format::Jsonl if answer.body.is_empty() => {}
        Format::Json | Format::Jsonl => output.json(&answer.body)?,
    }
    Ok(if is_pending { Exit::Pending } else { Exit::Done })
}
