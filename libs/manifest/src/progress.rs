//! Which lines of a program's output say how far it is.

use regex::Regex;
use serde::Deserialize;

use crate::Stream;

/// A line that is recognized.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "ProgressTable")]
pub struct Progress {
    /// With a group `percent`, a number from 0 to 100, or a group `message`, or both.
    pub pattern: Regex,
    /// Where it is looked for; on both, if left out.
    pub stream: Option<Stream>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgressTable {
    pattern: String,
    stream: Option<Stream>,
}

impl TryFrom<ProgressTable> for Progress {
    type Error = String;

    fn try_from(ProgressTable { pattern, stream }: ProgressTable) -> Result<Self, String> {
        let pattern = Regex::new(&pattern).map_err(|error| error.to_string())?;
        let has = |group| pattern.capture_names().flatten().any(|name| name == group);
        if !has("percent") && !has("message") {
            return Err(
                "`progress.pattern` has neither a group `(?<percent>…)` nor `(?<message>…)`"
                    .to_owned(),
            );
        }
        Ok(Self { pattern, stream })
    }
}
