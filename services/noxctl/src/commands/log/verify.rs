//! `noxctl log verify`: reads all of the log that there is, and checks all that can be checked of it.

use std::{collections::BTreeMap, fmt::Display};

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use nox_archive::{Log, LogArchive, LogError, SegmentInfo};
use nox_contract::{Chain, FrameNumber, subject};
use nox_protocol::{Reader, Record};
use nox_service::{Clock, Secret};
use nox_streams::{Broker, ConnectOptions, Durability, Message};
use serde_json::json;

use crate::{
    commands::archive,
    exit::Exit,
    output::{Format, Output},
    target::Target,
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    /// The broker; that of the development system in the data folder, if not given.
    #[arg(long, env = "NOX_NATS_URL", hide_env_values = true)]
    nats_url: Option<Secret>,

    #[command(flatten)]
    archive: archive::Args,
}

/// What was found.
#[derive(Default)]
struct Finding {
    segments: usize,
    /// Of the segments as they are kept.
    segment_bytes: u64,
    /// Frames and records of terms that follow one another from the first on.
    frames: u64,
    facts: u64,
    /// Of the messages.
    bytes: u64,
    damage: Option<String>,
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let clock = Clock::system();
    let url = args.nats_url.as_ref().map(Secret::reveal).filter(|url| !url.is_empty());
    let archive = args.archive.open(target, url.is_none())?;
    let begun = clock.monotonic();
    let finding = if args.archive.is_alone() {
        let archive = args.archive.alone(archive, None).await?;
        let log = archive.read(FrameNumber(1)).map_err(LogError::from).boxed();
        verify(Some(&archive), log).await
    } else {
        let url = match url {
            Some(url) => url.to_owned(),
            None => target.place()?.nats_url,
        };
        let options =
            ConnectOptions { url, service: "noxctl", monitor_url: None, sync: Durability::Relaxed };
        let broker = Broker::connect(options).await?;
        let verified = async {
            let extent = broker.extent(subject::EVENTS).await;
            let (incarnation, last) = extent.context("cannot read the log")?;
            let log = Log::new(broker.clone(), incarnation, archive.as_ref());
            let messages = log.read(FrameNumber(1), FrameNumber(last));
            anyhow::Ok(verify(log.archive(), messages).await)
        };
        tokio::select! {
            verified = verified => verified?,
            denied = broker.denied() => return Err(denied.into()),
        }
    };
    let seconds = clock.monotonic().saturating_sub(begun).as_secs_f64();
    show(&finding, seconds, output)?;
    match finding.damage {
        None => Ok(Exit::Done),
        Some(damage) => bail!("{damage}"),
    }
}

/// Reads every segment whole, those included that lie within others, and then the log, up to the first
/// damage.
async fn verify(
    archive: Option<&LogArchive>,
    log: BoxStream<'static, Result<Vec<Message>, LogError>>,
) -> Finding {
    let mut finding = Finding::default();
    let verified = async {
        let chains = match archive {
            Some(archive) => segments(archive, &mut finding).await?,
            None => Chains::default(),
        };
        walk(log, &chains, &mut finding).await
    };
    if let Err(damage) = verified.await {
        finding.damage = Some(damage);
    }
    finding
}

/// The chain after a number, as segments say, and which.
type Chains = BTreeMap<FrameNumber, Vec<(Chain, SegmentInfo)>>;

async fn segments(archive: &LogArchive, finding: &mut Finding) -> Result<Chains, String> {
    let mut chains = Chains::new();
    for segment in archive.segments().await.map_err(text)? {
        let index = archive.verify(&segment).await.map_err(text)?;
        finding.segments += 1;
        finding.segment_bytes += segment.bytes;
        let before = FrameNumber(segment.n_first.0 - 1);
        for (n, chain) in [(before, index.chain_before), (segment.n_last, index.chain_after)] {
            chains.entry(n).or_default().push((chain, segment.clone()));
        }
    }
    Ok(chains)
}

async fn walk(
    mut log: BoxStream<'static, Result<Vec<Message>, LogError>>,
    chains: &Chains,
    finding: &mut Finding,
) -> Result<(), String> {
    let mut reader = Reader::default();
    agrees(&reader, chains)?;
    while let Some(messages) = log.next().await {
        for Message { subject, payload, .. } in messages.map_err(text)? {
            if let Record::Frame(frame) = reader.read(&subject, &payload).map_err(text)? {
                let facts = frame.entries.iter().map(|entry| entry.facts.len());
                finding.facts += facts.sum::<usize>() as u64;
            }
            finding.frames += 1;
            finding.bytes += payload.len() as u64;
            agrees(&reader, chains)?;
        }
    }
    match chains.last_key_value() {
        Some((n, _)) if *n > reader.n() => {
            Err(format!("the log ends at frame {}, and the archive goes on to {n}", reader.n()))
        }
        _ => Ok(()),
    }
}

/// Segments may overlap, and the log is read from one of them alone.
fn agrees(reader: &Reader, chains: &Chains) -> Result<(), String> {
    let said = chains.get(&reader.n()).into_iter().flatten();
    match said.into_iter().find(|(chain, _)| *chain != reader.chain()) {
        None => Ok(()),
        Some((_, segment)) => {
            Err(format!("segment {} is of another log at frame {}", segment.name(), reader.n()))
        }
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn show(finding: &Finding, seconds: f64, output: Output) -> Result<()> {
    let Finding { segments, segment_bytes, frames, facts, bytes, damage } = finding;
    let rate = *facts as f64 / seconds.max(0.001);
    if output.format != Format::Table {
        let document = json!({
            "frames": frames,
            "facts": facts,
            "bytes": bytes,
            "segments": segments,
            "segment_bytes": segment_bytes,
            "seconds": seconds,
            "facts_per_second": rate.round(),
            "damage": damage,
        });
        output.json(&document.to_string())?;
        return Ok(());
    }
    let cells = [*frames, *facts, *bytes, *segments as u64, *segment_bytes];
    let row = cells.map(|number| number.to_string()).to_vec();
    output.table(&["frames", "facts", "bytes", "segments", "segment bytes"], &[row])?;
    note!("read in {seconds:.1} s, {rate:.0} facts a second");
    Ok(())
}
