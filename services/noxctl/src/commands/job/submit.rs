//! `noxctl job submit`: what a job is to be, and handing it in.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nox_contract::{JobId, ModuleName, NoMeaning, RawJson};
use serde::Serialize;

use crate::{
    client::{Client, ClientError},
    exit::Exit,
    output::{Format, Output},
    views::{Admitted, Upload},
};

/// Longest text of a file that stands in inputs itself, in bytes: half of what these may have. A longer
/// one is uploaded first.
const INLINE_BYTES_MAX: usize = 8 * 1024;

/// What a job is to be.
#[derive(clap::Args)]
pub struct Order {
    /// What to run; `noxctl module list` says what there is.
    module: ModuleName,

    /// A file with the inputs, a JSON object; `-` is standard input.
    #[arg(short, long, value_name = "FILE", conflicts_with = "param")]
    input: Option<PathBuf>,

    /// One input, repeatedly. A value that is JSON is taken as such, any other as text; `@FILE`
    /// stands for the text in a file, which is uploaded first if it is long.
    #[arg(short, long, value_name = "KEY=VALUE")]
    param: Vec<Param>,

    /// Cores; what the module says, if not given, as with the other resources.
    #[arg(long)]
    cpu: Option<u32>,

    /// Memory, in MiB.
    #[arg(long)]
    mem_mb: Option<u32>,

    /// Longest run of an attempt, in seconds.
    #[arg(long)]
    wall_time_s: Option<u32>,

    /// Devices.
    #[arg(long)]
    gpu: Option<u32>,

    /// From 0 (last) to 9 (first).
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,

    /// Not before this instant, such as 2026-12-24T18:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    run_at: Option<String>,

    /// A job that has to succeed first, repeatedly.
    #[arg(long, value_name = "JOB")]
    after: Vec<JobId>,

    /// The version of the module; the present one unless it is given.
    #[arg(long, value_name = "VERSION")]
    module_version: Option<String>,

    /// A label that the worker must have; may be given several times.
    #[arg(long, value_name = "LABEL")]
    worker_label: Vec<String>,

    /// The same key twice, with the same job, submits it once.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// The body of a submit. What is not given here is left out, and is the module's or the gateway's.
#[derive(Serialize)]
struct Body<'a> {
    module: &'a ModuleName,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_version: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    worker_labels: &'a [String],
    /// As they were written, digit by digit.
    inputs: RawJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_resources: Option<Resources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    after: &'a [JobId],
}

#[derive(PartialEq, Eq, Default, Serialize)]
struct Resources {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_mb: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_time_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<u32>,
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

pub async fn run(order: Order, client: &Client, output: Output) -> Result<Exit> {
    let (answer, admitted) = submit(&order, client).await?;
    let printed = match output.format {
        Format::Table => output.line(&admitted.job_id.to_string()),
        Format::Json | Format::Jsonl => output.json(&answer),
    };
    printed.map_err(|error| unprinted(admitted.job_id, &error))?;
    Ok(Exit::Done)
}

/// What was to be printed of a job that this command has submitted is in nobody's hands. Also where a
/// reader has gone: whoever cannot read the id there must not lose it.
pub fn unprinted(id: JobId, error: &io::Error) -> anyhow::Error {
    anyhow!("{id} is submitted: {error}")
}

/// Hands the job in; returns the answer as it came, and what it says.
pub async fn submit(order: &Order, client: &Client) -> Result<(String, Admitted)> {
    let body = order.body(client).await?;
    let key = order.idempotency_key.as_deref();
    let answer = client.post_as("/jobs", Some(body), key).await;
    let answer = answer.map_err(|error| order.with_hint(error))?;
    let admitted = answer.read()?;
    Ok((answer.body, admitted))
}

impl Order {
    async fn body(&self, client: &Client) -> Result<String> {
        let Self { cpu, mem_mb, wall_time_s, gpu, .. } = *self;
        let resources = Resources { cpu, mem_mb, wall_time_s, gpu };
        let body = Body {
            module: &self.module,
            module_version: self.module_version.as_deref(),
            worker_labels: &self.worker_label,
            inputs: self.inputs(client).await?,
            requested_resources: Some(resources).filter(|asked| *asked != Resources::default()),
            priority: self.priority,
            run_at: self.run_at.as_deref(),
            after: &self.after,
        };
        Ok(serde_json::to_string(&body)?)
    }

    /// Tells why an input was not taken, where that may be how this program read it.
    fn with_hint(&self, error: ClientError) -> ClientError {
        let ClientError::Refused(mut problem) = error else { return error };
        let blamed = |param: &&Param| {
            let pointer = format!("/inputs/{}", param.key);
            problem.errors.iter().any(|error| error.pointer == pointer)
        };
        problem.hint = self.param.iter().filter(blamed).find_map(Param::hint);
        ClientError::Refused(problem)
    }

    async fn inputs(&self, client: &Client) -> Result<RawJson> {
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
