//! `noxctl log verify`: reads all of the log that there is, and checks all that can be checked of it.

use std::{collections::BTreeMap, fmt::Display};

use anyhow::{Result, bail};
use futures_util::{StreamExt, stream::BoxStream};
use nox_archive::{LogArchive, LogError, SegmentInfo};
use nox_contract::{Chain, FrameHead, FrameNumber, Positions};
use nox_protocol::{Reader, Record};
use nox_service::Clock;
use nox_streams::Message;
use serde_json::json;

use crate::{
    commands::source::{self, Source},
    exit::Exit,
    output::{Format, Output},
    target::Target,
    terminal::note,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: source::Args,

    /// The first frame of the log that is meant to be there: those before it were removed from the archive.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    from: u64,
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
    /// First and last of those that are nowhere, where something follows.
    gone: Vec<(FrameNumber, FrameNumber)>,
    damage: Option<String>,
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let clock = Clock::system();
    let begun = clock.monotonic();
    let from = FrameNumber(args.from);
    let verified = args.source.read(target, async |source| Ok(verify(&source, from).await));
    let finding = verified.await?;
    let seconds = clock.monotonic().saturating_sub(begun).as_secs_f64();
    show(&finding, seconds, output)?;
    match finding.damage {
        None => Ok(Exit::Done),
        Some(damage) => bail!("{damage}"),
    }
}

impl Source {
    async fn frame(&self, n: FrameNumber) -> Result<Option<Message>, LogError> {
        let found = match self {
            Self::Log { log, .. } => log.frame(n).await,
            Self::Archive(archive) => archive.frame(n).await.map_err(LogError::from),
        };
        match found {
            Err(LogError::Missing { .. }) => Ok(None),
            found => found,
        }
    }

    /// To begin with the first message from `n` on that there is, and says what the chain was before it.
    async fn reader(&self, n: FrameNumber, chains: &Chains) -> Result<Option<Reader>, LogError> {
        let mut at = n;
        if self.frame(n).await?.is_none() {
            let begins = chains.values().flatten().map(|(_, segment)| segment.n_first);
            let stream = match self {
                Self::Log { log, .. } => log.broker().first_frame().await?.map(FrameNumber),
                Self::Archive(_) => None,
            };
            match begins.chain(stream).filter(|begin| *begin > n).min() {
                Some(begin) => at = begin,
                None => return Ok(None),
            }
        }
        let before = FrameNumber(at.0 - 1);
        let said = chains.get(&before).into_iter().flatten();
        let mut said = said.filter(|(_, segment)| segment.n_first == at);
        let chain = match said.next() {
            Some((chain, _)) => Some(*chain),
            None => self
                .frame(at)
                .await?
                .and_then(|frame| Chain::parse(&FrameHead::read(&frame.payload).ok()?.prev)),
        };
        Ok(chain.map(|chain| Reader::new(before, chain, Positions::default())))
    }
}

/// Reads every segment whole, those included that lie within others, and then the log, up to the first
/// damage. What is nowhere is passed over, and said.
async fn verify(source: &Source, from: FrameNumber) -> Finding {
    let mut finding = Finding::default();
    if let Err(damage) = verify_all(source, from, &mut finding).await {
        finding.damage = Some(damage);
    }
    finding
}

async fn verify_all(
    source: &Source,
    from: FrameNumber,
    finding: &mut Finding,
) -> Result<(), String> {
    let chains = match source.archive() {
        Some(archive) => segments(archive, finding).await?,
        None => Chains::default(),
    };
    let mut reader = match from.0 {
        1 => Some(Reader::default()),
        _ => source.reader(from, &chains).await.map_err(text)?,
    };
    let mut next = from;
    let mut missing = None;
    while let Some(mut begun) = reader {
        if begun.n() >= next {
            finding.gone.push((next, begun.n()));
        }
        let read = source.read(begun.n().next());
        let Some(reason) = walk(read, &mut begun, &chains, finding).await? else { break };
        missing.get_or_insert(reason);
        next = begun.n().next();
        let behind = source.reader(next, &chains).await.map_err(text)?;
        reader = behind.filter(|behind| behind.n() >= next);
    }
    if let (None, Some((first, last))) = (&missing, finding.gone.first()) {
        missing = Some(format!("frames {first} to {last} are nowhere"));
    }
    let Some(reason) = missing else { return Ok(()) };
    let gone = finding.gone.iter().map(|(first, last)| format!("{first} to {last}"));
    match finding.gone.last() {
        None => Err(reason),
        Some((_, last)) => Err(format!(
            "{reason}; gone are {}, and what is there from {} on is whole",
            gone.collect::<Vec<_>>().join(", "),
            last.next()
        )),
    }
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

/// Reads on to the end; says what is missing, if it does not come so far.
async fn walk(
    mut log: BoxStream<'static, Result<Vec<Message>, LogError>>,
    reader: &mut Reader,
    chains: &Chains,
    finding: &mut Finding,
) -> Result<Option<String>, String> {
    agrees(reader, chains)?;
    while let Some(messages) = log.next().await {
        let messages = match messages {
            Err(missing @ LogError::Missing { .. }) => return Ok(Some(missing.to_string())),
            messages => messages.map_err(text)?,
        };
        for Message { subject, payload, .. } in messages {
            if let Record::Frame(frame) = reader.read(&subject, &payload).map_err(text)? {
                let facts = frame.entries.iter().map(|entry| entry.facts.len());
                finding.facts += facts.sum::<usize>() as u64;
            }
            finding.frames += 1;
            finding.bytes += payload.len() as u64;
            agrees(reader, chains)?;
        }
    }
    let last = chains.last_key_value().map_or(FrameNumber(0), |(n, _)| *n);
    let missing =
        || format!("the log ends at frame {}, and the archive goes on to {last}", reader.n());
    Ok((last > reader.n()).then(missing))
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
    let Finding { segments, segment_bytes, frames, facts, bytes, gone, damage } = finding;
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
            "gone": gone.iter().map(|(first, last)| [first.0, last.0]).collect::<Vec<_>>(),
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
