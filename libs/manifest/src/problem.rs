//! What an engine's own words mean, in a sentence for whoever sent the job.

use regex::Regex;
use serde::Deserialize;

use crate::relative::RelativePath;
use crate::result::{Source, Stream};

/// A failure that is known, by how the program ended and what it said.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "ProblemTable")]
pub struct ProblemRule {
    pub signal: Option<i32>,
    pub exit_status: Option<i32>,
    pub said: Option<(Source, Regex)>,
    /// The sentence; `{value}` is the group of that name.
    pub message: String,
    /// Whether it is a failure although the program says that it ended well.
    pub fails: bool,
    /// Whether another attempt may go better.
    pub retry: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProblemTable {
    signal: Option<i32>,
    exit_status: Option<i32>,
    file: Option<RelativePath>,
    stream: Option<Stream>,
    pattern: Option<String>,
    message: String,
    #[serde(default)]
    fails: bool,
    #[serde(default)]
    retry: bool,
}

impl TryFrom<ProblemTable> for ProblemRule {
    type Error = String;

    fn try_from(table: ProblemTable) -> Result<Self, String> {
        let ProblemTable { signal, exit_status, file, stream, pattern, message, fails, retry } =
            table;
        let said = match (file, stream, pattern) {
            (None, None, None) => None,
            (Some(file), None, Some(pattern)) => Some((Source::File(file), pattern)),
            (None, Some(stream), Some(pattern)) => Some((Source::Stream(stream), pattern)),
            _ => return Err("a problem's `pattern` needs either `file` or `stream`".to_owned()),
        };
        let said = match said {
            None => None,
            Some((source, pattern)) => {
                Some((source, Regex::new(&pattern).map_err(|error| error.to_string())?))
            }
        };
        if signal.is_none() && exit_status.is_none() && said.is_none() {
            return Err("a problem needs `pattern`, `signal` or `exit_status`".to_owned());
        }
        if fails && said.is_none() {
            return Err("a problem that `fails` needs a `pattern`".to_owned());
        }
        Ok(Self { signal, exit_status, said, message, fails, retry })
    }
}

impl ProblemRule {
    /// Whether it looks into the stream.
    pub fn wants(&self, stream: Stream) -> bool {
        self.said.as_ref().is_some_and(|(source, _)| source.is(stream))
    }
}
