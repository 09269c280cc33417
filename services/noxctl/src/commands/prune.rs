//! `noxctl prune`: what the projector sweeps from the artifact store every so often, now or only as a list.

use anyhow::{Context, Result};
use nox_projector::sweep::ReadRows;
use nox_readmodel::Reader;
use nox_service::Clock;
use nox_store::{
    Artifacts,
    sweep::{Gone, Rules, sweep},
};
use serde_json::{json, value::RawValue};

use super::projection::Servers;
use crate::{
    exit::Exit,
    home::ARTIFACTS,
    output::{Format, Output},
    target::Target,
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    servers: Servers,

    /// Where files and uploads are; those of the development system in the data folder, if not given.
    #[arg(long, env = "NOX_ARTIFACTS")]
    artifacts: Option<String>,

    /// Days for which a job's files are kept after its end; 0 for ever.
    #[arg(long, env = "NOX_ARTIFACT_DAYS", default_value_t = 90)]
    artifact_days: u32,

    /// Days for which an upload is kept after it was uploaded last; 0 for ever.
    #[arg(long, env = "NOX_UPLOAD_DAYS", default_value_t = 7)]
    upload_days: u32,

    /// Only show what would go.
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let own = || target.folder().join(ARTIFACTS).to_string_lossy().into_owned();
    let location = args.artifacts.clone().unwrap_or_else(own);
    let artifacts = Artifacts::open(&location, false)?;
    let reader = Reader::new(&args.servers.database(target)?, 1)?;
    let rows = ReadRows { reader, clock: Clock::system() };
    let rules = Rules { artifact_days: args.artifact_days, upload_days: args.upload_days };
    let mut all: Vec<Gone> = Vec::new();
    let swept = sweep(&artifacts, &rows, rules, args.dry_run, |gone| all.push(gone)).await;
    let bytes: u64 = all.iter().map(|gone| gone.size).sum();
    if output.format == Format::Table {
        let rows = all.iter().map(|gone| {
            vec![gone.path.clone(), gone.size.to_string(), gone.reason.as_str().to_owned()]
        });
        output.table(&["path", "size", "reason"], &rows.collect::<Vec<_>>())?;
    } else {
        let document = |gone: &Gone| {
            let document =
                json!({"path": gone.path, "size": gone.size, "reason": gone.reason.as_str()});
            RawValue::from_string(document.to_string())
        };
        output.documents(&all.iter().map(document).collect::<Result<Vec<_>, _>>()?)?;
    }
    let what = if args.dry_run { "would go" } else { "are gone" };
    note!("{} files with {bytes} bytes {what}", all.len());
    swept.context("not all of it could be looked at")?;
    Ok(Exit::Done)
}
