//! How a series is found: many numbers of one kind, as the energies of an optimization.

use regex::Regex;
use serde::Deserialize;

use crate::{
    condition::When,
    relative::RelativePath,
    result::{GROUP, Source, Stream, check_name},
};

/// How one series is found. Where several rules have a name, the first that applies and finds something counts.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "SeriesTable")]
pub struct SeriesRule {
    pub name: String,
    pub source: Source,
    pub how: Numbers,
    /// Without any number the attempt has failed.
    pub required: bool,
    pub when: When,
    /// Multiplies each.
    pub scale: Option<f64>,
}

/// Where in a text the numbers are.
#[derive(Debug, Clone)]
pub enum Numbers {
    /// An array at an RFC 6901 pointer.
    Pointer(String),
    /// The group `value` of every match; with several numbers in it, if so asked.
    Pattern { pattern: Regex, split: bool },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeriesTable {
    name: String,
    file: Option<RelativePath>,
    stream: Option<Stream>,
    pointer: Option<String>,
    pattern: Option<String>,
    #[serde(default)]
    split: bool,
    scale: Option<f64>,
    #[serde(default = "yes")]
    required: bool,
    #[serde(default)]
    when: When,
}

impl TryFrom<SeriesTable> for SeriesRule {
    type Error = String;

    fn try_from(table: SeriesTable) -> Result<Self, String> {
        let SeriesTable { name, file, stream, pointer, pattern, split, scale, required, when } =
            table;
        check_name("series", &name)?;
        let source = match (file, stream) {
            (Some(file), None) => Source::File(file),
            (None, Some(stream)) => Source::Stream(stream),
            _ => return Err(format!("series `{name}` needs either `file` or `stream`")),
        };
        let how = match (pointer, pattern) {
            (Some(pointer), None) if pointer.is_empty() || pointer.starts_with('/') => {
                Numbers::Pointer(pointer)
            }
            (Some(pointer), None) => {
                return Err(format!("`{pointer}` is no JSON pointer: it must begin with '/'"));
            }
            (None, Some(pattern)) => {
                let pattern = Regex::new(&pattern).map_err(|error| error.to_string())?;
                if !pattern.capture_names().flatten().any(|group| group == GROUP) {
                    return Err(format!("the pattern of `{name}` has no group `(?<{GROUP}>…)`"));
                }
                Numbers::Pattern { pattern, split }
            }
            _ => return Err(format!("series `{name}` needs either `pointer` or `pattern`")),
        };
        Ok(Self { name, source, how, required, when, scale })
    }
}

fn yes() -> bool {
    true
}
