//! `noxctl audit verify`: proves the audit's files, by themselves and against the log.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use nox_contract::{
    FrameNumber,
    audit::{self, Act},
};
use nox_notifier::audit::{Line, Walk, files, walk};
use nox_protocol::{Reader, Record};
use nox_service::Clock;
use serde_json::json;

use crate::{
    commands::source::{self, Source},
    exit::Exit,
    home::AUDIT,
    output::{Format, Output},
    target::Target,
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    /// The folder with the files; that of the development system in the data folder, if not given.
    #[arg(env = "NOX_AUDIT")]
    folder: Option<PathBuf>,

    /// Files before the first one were removed: begin with it, whatever was before.
    #[arg(long)]
    removed: bool,

    /// Compare each line with the log as well: that it follows from its frame, and that none is missing.
    #[arg(long)]
    log: bool,

    #[command(flatten)]
    source: source::Args,
}

/// What was found.
#[derive(Default)]
struct Finding {
    files: usize,
    lines: u64,
    first: Option<FrameNumber>,
    last: Option<FrameNumber>,
    fault: Option<String>,
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let folder = match args.folder {
        Some(folder) => folder,
        None => target.folder().join(AUDIT),
    };
    let clock = Clock::system();
    let begun = clock.monotonic();
    let mut finding = Finding { files: listed(&folder)?, ..Finding::default() };
    let mut lines = Lines { walk: walk(&folder, args.removed)?, finding: &mut finding };
    if args.log {
        let read = args.source.read(target, async |source| compare(&source, &mut lines).await);
        read.await?;
    }
    while lines.next().is_some() {}
    let seconds = clock.monotonic().saturating_sub(begun).as_secs_f64();
    show(&finding, seconds, output)?;
    match finding.fault {
        None => Ok(Exit::Done),
        Some(fault) => bail!("{fault}"),
    }
}

fn listed(folder: &Path) -> Result<usize> {
    let files = files(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    if files.is_empty() {
        bail!("{} has no files of an audit", folder.display());
    }
    Ok(files.len())
}

/// The lines up to the first fault.
struct Lines<'f> {
    walk: Walk,
    finding: &'f mut Finding,
}

impl Lines<'_> {
    fn next(&mut self) -> Option<Line> {
        if self.finding.fault.is_some() {
            return None;
        }
        match self.walk.next()? {
            Ok(line) => {
                self.finding.lines += 1;
                self.finding.first.get_or_insert(line.act.n);
                self.finding.last = Some(line.act.n);
                Some(line)
            }
            Err(fault) => {
                self.finding.fault = Some(fault.to_string());
                None
            }
        }
    }
}

/// Compares the lines with the acts of the log, from the first line's frame on.
async fn compare(source: &Source, lines: &mut Lines<'_>) -> Result<()> {
    let mut next = lines.next();
    let Some(first) = next.as_ref().map(|line| line.act.id) else { return Ok(()) };
    let mut log = source.read(FrameNumber(1));
    let mut reader = Reader::default();
    while let Some(messages) = log.next().await {
        for message in messages? {
            let acts = match reader.read(&message.subject, &message.payload)? {
                Record::Epoch(record) => vec![audit::term(reader.n(), &record)],
                Record::Frame(frame) => audit::acts(&frame),
            };
            for act in acts.into_iter().filter(|act| act.id >= first) {
                let Some(line) = next.take() else {
                    let what = format!("the act {} of the log is not in the audit", act.id);
                    lines.finding.fault.get_or_insert(what);
                    return Ok(());
                };
                if line.act != act {
                    let said = |act: &Act| serde_json::to_string(act).unwrap_or_default();
                    let what = format!(
                        "the line of {} is not what the log says: {} in the audit, {} in the log",
                        line.act.id,
                        said(&line.act),
                        said(&act)
                    );
                    lines.finding.fault = Some(what);
                    return Ok(());
                }
                next = lines.next();
            }
        }
    }
    if let Some(line) = next {
        let what = format!("the log has no such act: {}", line.act.id);
        lines.finding.fault.get_or_insert(what);
    }
    Ok(())
}

fn show(finding: &Finding, seconds: f64, output: Output) -> Result<()> {
    let Finding { files, lines, first, last, fault } = finding;
    if output.format != Format::Table {
        let document = json!({
            "files": files,
            "lines": lines,
            "first": first,
            "last": last,
            "seconds": seconds,
            "fault": fault,
        });
        output.json(&document.to_string())?;
        return Ok(());
    }
    let place = |n: &Option<FrameNumber>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let row = vec![files.to_string(), lines.to_string(), place(first), place(last)];
    output.table(&["files", "lines", "first", "last"], &[row])?;
    note!("verified in {seconds:.1} s");
    Ok(())
}
