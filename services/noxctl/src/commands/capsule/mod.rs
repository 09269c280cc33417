//! `noxctl capsule`: one job's case in one file, for somebody who has nothing else.

mod collect;
mod mask;
mod queue;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use nox_contract::{Incarnation, JobId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::queue::Queue;
use crate::{
    commands::source,
    exit::Exit,
    facts,
    output::{Format, Output},
    target::Target,
    terminal::note,
    views,
};

/// The form of the file. One that is not known is refused.
const FORMAT: u32 = 1;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Pack what is known of a job: its entries, what was in force before it, its workers, what it printed.
    Export(Export),
    /// Show what is in such a file, without a server.
    Open {
        /// What `capsule export` wrote.
        file: PathBuf,
    },
}

#[derive(clap::Args)]
pub struct Export {
    #[command(flatten)]
    source: source::Args,

    job: JobId,

    /// Where it goes; `JOB.capsule.json`, if not given. It may not be there yet.
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,
}

/// What is in the file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Capsule {
    format: u32,
    job_id: JobId,
    /// The life of the log that it is from.
    log: Incarnation,
    /// What was in force when the job began: the configuration, its module, the limits and budgets of its accounts, the
    /// workers that were there. Entries of the log, the newest of each kind.
    before: Vec<Value>,
    /// Who waited and ran then; none where the log has lost its beginning.
    #[serde(default)]
    queue: Option<Queue>,
    /// The job's entries, and those of workers that it was given to, in the order of the log.
    entries: Vec<Value>,
    /// What it printed, as far as it is kept.
    printed: Vec<Printed>,
    /// Values that were replaced, for their names say that they are secret. Where these stand elsewhere, as in what was
    /// printed, they are masked as well.
    masked: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Printed {
    attempt: u32,
    stream: String,
    text: String,
}

pub async fn run(command: Command, target: &Target, output: Output) -> Result<Exit> {
    match command {
        Command::Export(args) => export(args, target).await,
        Command::Open { file } => open(&file, output),
    }
}

async fn export(args: Export, target: &Target) -> Result<Exit> {
    let read = args.source.read(target, async |source| collect::capsule(&source, args.job).await);
    let capsule = read.await?;
    if capsule.entries.is_empty() {
        note!("the log has nothing of job {}", args.job);
        return Ok(Exit::NotFound);
    }
    let file = args.to_file.unwrap_or_else(|| PathBuf::from(format!("{}.capsule.json", args.job)));
    let mut to = fs_err::File::create_new(&file)?;
    serde_json::to_writer_pretty(&mut to, &capsule)?;
    let Capsule { before, entries, printed, masked, .. } = &capsule;
    note!(
        "{}: {} entries, {} of before, {} chunks of output; {masked} values masked",
        file.display(),
        entries.len(),
        before.len(),
        printed.len()
    );
    Ok(Exit::Done)
}

fn open(file: &std::path::Path, output: Output) -> Result<Exit> {
    let text = fs_err::read_to_string(file)?;
    let capsule: Capsule =
        serde_json::from_str(&text).with_context(|| format!("{} is no capsule", file.display()))?;
    if capsule.format != FORMAT {
        bail!("{} has format {}; this noxctl knows {FORMAT}", file.display(), capsule.format);
    }
    if output.format != Format::Table {
        output.json(&text)?;
        return Ok(Exit::Done);
    }
    let rows = |told: &[Value]| -> Result<Vec<Vec<String>>> {
        let entries = told.iter().map(|told| views::Entry::deserialize(told).context("an entry"));
        let entries = entries.collect::<Result<Vec<_>>>()?;
        Ok(entries.iter().flat_map(facts::rows).collect())
    };
    note!("job {}, of the log {}", capsule.job_id, capsule.log.0);
    note!("in force before it:");
    output.table(&facts::HEAD, &rows(&capsule.before)?)?;
    if let Some(queue) = &capsule.queue {
        note!("the queue before it, behind frame {}:", queue.n);
        output.table(&["of", "value"], &queue.rows())?;
    }
    note!("what became of it:");
    output.table(&facts::HEAD, &rows(&capsule.entries)?)?;
    for Printed { attempt, stream, text } in &capsule.printed {
        note!("attempt {attempt}, {stream}:");
        output.bytes(text.as_bytes())?;
    }
    if capsule.masked > 0 {
        note!("{} values are masked", capsule.masked);
    }
    Ok(Exit::Done)
}
