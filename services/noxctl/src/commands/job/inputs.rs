//! A job's inputs, as they are typed or stand in a file.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use nox_contract::{NoMeaning, RawJson};

use crate::{
    client::{Client, ClientError},
    views::Upload,
};

/// Longest text of a file that stands in inputs itself, in bytes: half of what these may have. A longer
/// one is uploaded first.
const INLINE_BYTES_MAX: usize = 8 * 1024;

/// What a job works on.
#[derive(clap::Args)]
#[group(id = "inputs")]
pub struct Inputs {
    /// A file with the inputs, a JSON object; `-` is standard input.
    #[arg(short, long, value_name = "FILE", conflicts_with = "param")]
    input: Option<PathBuf>,

    /// One input, repeatedly. A value that is JSON is taken as such, any other as text; `@FILE`
    /// stands for the text in a file, which is uploaded first if it is long.
    #[arg(short, long, value_name = "KEY=VALUE")]
    param: Vec<Param>,
}

/// An input as it was typed.
#[derive(Debug, Clone, PartialEq)]
struct Param {
    key: String,
    value: String,
}

impl std::str::FromStr for Param {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("not KEY=VALUE"),
        }
    }
}

impl Param {
    /// The value as it is sent: a text that is too long in a file is uploaded first.
    async fn sent(&self, client: &Client) -> Result<RawJson> {
        let value = self.value()?;
        if !self.value.starts_with('@') || value.get().len() <= INLINE_BYTES_MAX {
            return Ok(value);
        }
        let text: String = serde_json::from_str(value.get())?;
        let upload: Upload = client.upload(text.into_bytes()).await?.read()?;
        Ok(RawJson::of(&upload.reference())?)
    }

    fn value(&self) -> Result<RawJson> {
        if let Some(path) = self.value.strip_prefix('@') {
            return Ok(RawJson::of(&text_of(Path::new(path))?)?);
        }
        match RawJson::parse(self.value.clone()) {
            Ok(json) => Ok(json),
            Err(_) => Ok(RawJson::of(&self.value)?),
        }
    }

    /// How to give it as text, if it was read as something else.
    fn hint(&self) -> Option<String> {
        let Self { key, value } = self;
        let read =
            RawJson::parse(value.clone()).ok().filter(|read| !read.get().starts_with('"'))?;
        let text = RawJson::of(value).ok()?;
        let (read, text) = (read.get(), text.get());
        Some(format!("{key} was read as the JSON value {read}; as text it is -p '{key}={text}'"))
    }
}

impl Inputs {
    /// Whether any are given.
    pub fn are_given(&self) -> bool {
        self.input.is_some() || !self.param.is_empty()
    }

    /// Tells why an input was not taken, where that may be how this program read it.
    pub fn with_hint(&self, error: ClientError) -> ClientError {
        let ClientError::Refused(mut problem) = error else { return error };
        let blamed = |param: &&Param| {
            let pointer = format!("/inputs/{}", param.key);
            problem.errors.iter().any(|error| error.pointer.ends_with(&pointer))
        };
        problem.hint = self.param.iter().filter(blamed).find_map(Param::hint);
        ClientError::Refused(problem)
    }

    /// As they are sent.
    pub async fn read(&self, client: &Client) -> Result<RawJson> {
        let Some(path) = &self.input else {
            let mut inputs = BTreeMap::new();
            for param in &self.param {
                let before = inputs.insert(&param.key, param.sent(client).await?);
                ensure!(before.is_none(), "the input {} is given twice", param.key);
            }
            let inputs = RawJson::of(&inputs)?;
            check(&inputs)?;
            return Ok(inputs);
        };
        let text = text_of(path)?;
        let is_file = path != Path::new("-");
        let name = if is_file { path.to_string_lossy() } else { "standard input".into() };
        let inputs = RawJson::parse(text).with_context(|| format!("{name} is not JSON"))?;
        if !inputs.get().starts_with('{') {
            bail!("{name} holds no JSON object");
        }
        check(&inputs).context(name.into_owned())?;
        Ok(inputs)
    }
}

/// What the gateway would refuse for what it says, or for saying two things: here nothing is sent, and
/// the place is told in the same words.
fn check(inputs: &RawJson) -> Result<()> {
    match inputs.canonical() {
        Ok(_) => Ok(()),
        Err(NoMeaning::Twice { pointer }) => bail!("/inputs{pointer} stands there twice"),
        Err(NoMeaning::Unstorable(error)) => bail!("/inputs {error}"),
    }
}

fn text_of(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    Ok(fs_err::read_to_string(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        text.parse::<Param>().unwrap().value().unwrap().get().to_owned()
    }

    #[test]
    fn a_value_that_is_json_is_taken_as_such_and_any_other_as_text() {
        assert_eq!(value("a=5"), "5");
        assert_eq!(value("a=true"), "true");
        assert_eq!(value("a=[1, 2.50]"), "[1, 2.50]");
        assert_eq!(value("a=1e400"), "1e400");
        assert_eq!(value("a=hello there"), r#""hello there""#);
        assert_eq!(value("a=\"5\""), r#""5""#);
        assert_eq!(value("a=x=y"), r#""x=y""#);
        assert_eq!(value("a="), r#""""#);
        assert!("=5".parse::<Param>().is_err());
        assert!("a".parse::<Param>().is_err());
    }

    #[test]
    fn a_value_that_was_read_as_json_can_be_given_as_text() {
        let hint = |text: &str| text.parse::<Param>().unwrap().hint();
        let told = hint("text=123").unwrap();
        assert!(told.ends_with(r#"-p 'text="123"'"#), "{told}");
        assert_eq!(value("text=\"123\""), r#""123""#);
        assert_eq!(hint("text=hello"), None);
        assert_eq!(hint("text=\"123\""), None);
    }

    #[test]
    fn a_file_is_taken_as_text() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("water.xyz");
        fs_err::write(&path, "3\n\nO 0 0 0\n").unwrap();
        assert_eq!(value(&format!("xyz=@{}", path.display())), r#""3\n\nO 0 0 0\n""#);
    }
}
