//! `noxctl doctor`: what this machine has, and what is missing for what.

use anyhow::Result;
use nox_executor::sandbox::host::Settings;
use serde::Serialize;
use serde_json::value::to_raw_value;

use crate::{
    exit::Exit,
    output::{Format, Output},
    system::modules,
    target::Target,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    sandbox: Settings,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    name: String,
    ok: bool,
    /// What it is, or why it is not there.
    what: String,
}

/// Tries what attempts are shut in with, and reads the modules.
pub async fn run(args: Args, _: &Target, output: Output) -> Result<Exit> {
    let found = nox_executor::examine(&args.sandbox, &modules::folder()?).await?;
    let findings = found.into_iter().map(|(name, found)| {
        let ok = found.is_ok();
        Finding { name, ok, what: found.unwrap_or_else(|reason| reason) }
    });
    let findings: Vec<Finding> = findings.collect();
    if output.format() == Format::Table {
        let row = |finding: &Finding| {
            let mark = if finding.ok { "ok" } else { "no" };
            vec![finding.name.clone(), mark.to_owned(), finding.what.clone()]
        };
        output
            .table(&["what", "found", "detail"], &findings.iter().map(row).collect::<Vec<_>>())?;
    } else {
        let documents = findings.iter().map(to_raw_value).collect::<Result<Vec<_>, _>>()?;
        output.documents(&documents)?;
    }
    Ok(Exit::Done)
}
