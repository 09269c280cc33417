//! The audit sink: acts, in files to which lines are only added.
//!
//! A task of its own: it waits for the disk, and nothing waits for it. It reads the log as everybody does, and goes
//! on behind the last whole line of its files, which are its position: each act stands there once, whatever becomes
//! of the process. How far it is, it tells the log's readers only when it is on the disk.
//!
//! | file | what of it |
//! |---|---|
//! | `line` | how an act is a line, and lines a chain |
//! | `folder` | which files there are, and where writing goes on |
//! | `verify` | whether they are whole |

mod folder;
mod line;
mod verify;

use std::path::PathBuf;

use anyhow::Context;
use nox_archive::{Follower, Log};
use nox_contract::{
    EpochRecord, Frame, FrameNumber,
    audit::{self, Act},
};
use nox_protocol::HeadReader;
use nox_service::{Backoff, Runtime};

use self::folder::Folder;
pub use self::{
    folder::{FILE_BYTES, files},
    line::Line,
    verify::{Fault, Walk, walk},
};
use crate::{RETRY_MAX, RETRY_MIN, place::ReaderPlace};

/// The part of readiness that says whether acts are written.
const AUDIT: &str = "notifier.audit";
/// The audit sink among the readers of the log.
const NAME: &str = "audit";

/// What the sink is given.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    pub(crate) folder: PathBuf,
    /// The first frame that an empty folder begins with.
    pub(crate) from: FrameNumber,
}

/// Writes acts for ever. What ends it is said in readiness, and ends nothing else.
pub(crate) async fn run(sink: Sink, log: Log, runtime: Runtime) {
    if let Err(error) = write(&sink, &log, &runtime).await {
        tracing::error!(error = %format!("{error:#}"), "The audit is written no further");
        runtime.readiness.set(AUDIT, Err(format!("the audit is written no further: {error:#}")));
    }
}

async fn write(sink: &Sink, log: &Log, runtime: &Runtime) -> anyhow::Result<()> {
    runtime.readiness.set(AUDIT, Err("not begun yet"));
    let mut folder = open(sink, runtime).await?;
    let last = folder.last();
    // The frame of the last act is read again, for it may have more.
    let read = last.map_or(sink.from, |last| last.n).0.saturating_sub(1);
    let mut follower = Follower::new(log, HeadReader::after(FrameNumber(read)));
    runtime.readiness.set(AUDIT, Ok::<(), String>(()));
    tracing::info!(frame.n = read, audit.folder = %sink.folder.display(), "Goes on with the audit");
    let kept = ReaderPlace::tell(log, NAME, FrameNumber(read));
    loop {
        let mut acts = Vec::new();
        let mut read = FrameNumber(read);
        for message in follower.next().await.context("cannot follow the log")? {
            read = message.n;
            let payload = &message.message.payload;
            if message.said.is_some() {
                let frame: Frame = serde_json::from_slice(payload)
                    .with_context(|| format!("frame {read} cannot be read"))?;
                if !frame.entries.is_empty() || !frame.asked.is_empty() {
                    acts.extend(audit::acts(&frame));
                }
            } else {
                let record: EpochRecord = serde_json::from_slice(payload)
                    .with_context(|| format!("record {read} cannot be read"))?;
                acts.push(audit::term(read, &record));
            }
        }
        folder = keep(folder, acts, runtime).await?;
        kept.reach(read);
    }
}

/// Waits for the folder: another notifier may have it, or the disk be away.
async fn open(sink: &Sink, runtime: &Runtime) -> anyhow::Result<Folder> {
    let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
    loop {
        let path = sink.folder.clone();
        let opened = tokio::task::spawn_blocking(move || Folder::open(&path, FILE_BYTES)).await?;
        match opened {
            Ok(folder) => return Ok(folder),
            Err(error @ folder::Error::Broken { .. }) => return Err(error.into()),
            Err(error) => runtime.readiness.set(AUDIT, Err(error.to_string())),
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}

/// Adds acts, again and again while the disk takes none.
async fn keep(mut folder: Folder, acts: Vec<Act>, runtime: &Runtime) -> anyhow::Result<Folder> {
    let mut backoff = Backoff::new(RETRY_MIN, RETRY_MAX);
    let mut failed = false;
    loop {
        let batch = acts.clone();
        let (back, added) = tokio::task::spawn_blocking(move || {
            let added = folder.add(&batch);
            (folder, added)
        })
        .await?;
        folder = back;
        match added {
            Ok(()) if failed => runtime.readiness.set(AUDIT, Ok::<(), String>(())),
            Ok(()) => {}
            Err(error @ folder::Error::Broken { .. }) => return Err(error.into()),
            Err(error) => {
                if !failed {
                    tracing::warn!(%error, "The audit waits for its disk");
                }
                failed = true;
                runtime.readiness.set(AUDIT, Err(format!("the audit waits for its disk: {error}")));
                tokio::time::sleep(backoff.pause()).await;
                continue;
            }
        }
        return Ok(folder);
    }
}
