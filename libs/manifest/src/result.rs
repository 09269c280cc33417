//! How a module's scalars are found in what its program wrote.

use regex::Regex;
use serde::Deserialize;

use crate::condition::When;
use crate::{relative::RelativePath, template::Template};

/// The name that a regular expression's group must have.
pub const GROUP: &str = "value";

/// How one scalar is found. Where several rules have a name, the first whose `when` holds counts.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "ResultTable")]
pub struct ResultRule {
    pub name: String,
    pub kind: Kind,
    pub how: How,
    /// Without it the attempt has failed.
    pub required: bool,
    pub when: When,
    /// Multiplies a number.
    pub scale: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Number,
    Integer,
    String,
    Boolean,
    /// Any JSON value.
    Json,
}

/// Where a scalar is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    File(RelativePath),
    Stream(Stream),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// How a scalar is told from what stands around it.
#[derive(Debug, Clone)]
pub enum How {
    /// RFC 6901; of a vector of numbers its length, if so asked.
    Pointer { source: Source, pointer: String, norm: bool },
    /// The group `value` of one match, or how many there are.
    Pattern { source: Source, pattern: Regex, take: Take },
    /// A text by itself: what was asked for, or what is known of the molecule.
    Value(Template),
}

/// What is taken of a pattern's matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    First,
    #[default]
    Last,
    /// Their number.
    Count,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResultTable {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    file: Option<RelativePath>,
    stream: Option<Stream>,
    pointer: Option<String>,
    pattern: Option<String>,
    value: Option<Template>,
    #[serde(default)]
    take: Take,
    #[serde(default)]
    norm: bool,
    scale: Option<f64>,
    #[serde(default = "yes")]
    required: bool,
    #[serde(default)]
    when: When,
}

impl TryFrom<ResultTable> for ResultRule {
    type Error = String;

    fn try_from(table: ResultTable) -> Result<Self, String> {
        let ResultTable { name, kind, file, stream, pointer, pattern, .. } = table;
        check_name("result", &name)?;
        let (required, when, scale) = (table.required, table.when, table.scale);
        if let Some(value) = table.value {
            if file.is_some() || stream.is_some() || pointer.is_some() || pattern.is_some() {
                return Err(format!("result `{name}` needs nothing beside its `value`"));
            }
            return Ok(Self { name, kind, how: How::Value(value), required, when, scale });
        }
        let source = match (file, stream) {
            (Some(file), None) => Source::File(file),
            (None, Some(stream)) => Source::Stream(stream),
            _ => return Err(format!("result `{name}` needs either `file` or `stream`")),
        };
        let how = match (pointer, pattern) {
            (Some(pointer), None) if pointer.is_empty() || pointer.starts_with('/') => {
                How::Pointer { source, pointer, norm: table.norm }
            }
            (Some(pointer), None) => {
                return Err(format!("`{pointer}` is no JSON pointer: it must begin with '/'"));
            }
            (None, Some(pattern)) => {
                let pattern = Regex::new(&pattern).map_err(|error| error.to_string())?;
                if table.take == Take::Count && kind != Kind::Integer {
                    return Err(format!("`{name}` is a count, which is an integer"));
                }
                if !pattern.capture_names().flatten().any(|group| group == GROUP) {
                    return Err(format!("the pattern of `{name}` has no group `(?<{GROUP}>…)`"));
                }
                if table.norm || kind == Kind::Json {
                    return Err(format!("the pattern of `{name}` finds neither vectors nor JSON"));
                }
                How::Pattern { source, pattern, take: table.take }
            }
            _ => return Err(format!("result `{name}` needs either `pointer` or `pattern`")),
        };
        if (table.scale.is_some() || table.norm) && kind != Kind::Number {
            return Err(format!("only a number has `scale` or `norm`, and `{name}` is none"));
        }
        Ok(Self { name, kind, how, required, when, scale })
    }
}

/// A name in the outputs.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        return Err(format!("a {what}'s name is 1 to 64 letters, digits and '_', not `{name}`"));
    }
    Ok(())
}

impl Source {
    pub fn is(&self, stream: Stream) -> bool {
        *self == Self::Stream(stream)
    }
}

impl ResultRule {
    /// Whether it looks into the stream.
    pub fn wants(&self, stream: Stream) -> bool {
        match &self.how {
            How::Pointer { source, .. } | How::Pattern { source, .. } => source.is(stream),
            How::Value(_) => false,
        }
    }
}

fn yes() -> bool {
    true
}
