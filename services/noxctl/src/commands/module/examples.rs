//! `noxctl module test`: a module's examples, run on this machine by the executor's own code.

use std::{collections::BTreeMap, path::Path, path::PathBuf};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use nox_contract::{AttemptEnd, RawJson};
use nox_executor::local::Local;
use serde::Deserialize;
use serde_json::Value;

use crate::{exit::Exit, output::Output, terminal::note};

/// One example: inputs, and what is to come of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    inputs: RawJson,
    /// What the scalars are; others may be there as well.
    #[serde(default)]
    scalars: BTreeMap<String, Expected>,
    /// The code of the failure, if it is to fail.
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Near { value: f64, tolerance: f64 },
    Equal(Value),
}

pub async fn run(folder: &Path, output: Output) -> Result<Exit> {
    let mut examples: Vec<PathBuf> = Vec::new();
    let place = folder.join("examples");
    for entry in fs::read_dir(&place).context("a module's examples are in its folder `examples`")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            examples.push(path);
        }
    }
    examples.sort();
    if examples.is_empty() {
        bail!("{} has no example", place.display());
    }
    let temp = tempfile::Builder::new().prefix("nox-module-").tempdir()?;
    let local = Local::in_folder(temp.path(), "/proc/self/exe".into()).await?;
    let module = local.read(folder)?;
    let mut failed = 0;
    let mut rows = Vec::new();
    for path in examples {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        let example: Example =
            serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
        let end = local.run(&module, example.inputs.clone()).await?;
        let wrong = compare(&example, &end)?;
        failed += usize::from(!wrong.is_empty());
        let outcome = if wrong.is_empty() { "ok".to_owned() } else { wrong.join("; ") };
        rows.push(vec![name, outcome]);
    }
    output.table(&["example", "outcome"], &rows)?;
    if failed > 0 {
        note!("{failed} of {} examples failed", rows.len());
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// All that is not as it should be.
fn compare(example: &Example, end: &AttemptEnd) -> Result<Vec<String>> {
    let outputs = match (end, &example.error) {
        (AttemptEnd::Succeeded { outputs }, None) => outputs,
        (AttemptEnd::Succeeded { .. }, Some(code)) => {
            return Ok(vec![format!("it succeeded, and not failed with {code}")]);
        }
        (AttemptEnd::Failed { error, .. }, Some(code)) if error.code == *code => {
            return Ok(Vec::new());
        }
        (AttemptEnd::Failed { error, .. }, _) => {
            return Ok(vec![format!("{}: {}", error.code, error.message)]);
        }
        (end, _) => return Ok(vec![format!("it was not run: {end:?}")]),
    };
    let outputs: Value = serde_json::from_str(outputs.get())?;
    let wrong = example.scalars.iter().filter_map(|(name, expected)| {
        let found = &outputs["scalars"][name.as_str()];
        let is_so = match expected {
            Expected::Near { value, tolerance } => {
                found.as_f64().is_some_and(|found| (found - value).abs() <= *tolerance)
            }
            Expected::Equal(value) => found == value,
        };
        let expected = match expected {
            Expected::Near { value, tolerance } => format!("{value} ± {tolerance}"),
            Expected::Equal(value) => value.to_string(),
        };
        (!is_so).then(|| format!("{name} is {found}, not {expected}"))
    });
    Ok(wrong.collect())
}
