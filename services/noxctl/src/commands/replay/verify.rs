//! `noxctl replay verify`: every fact of the log follows from its inputs again.

use anyhow::{Result, bail};
use futures_util::StreamExt;
use nox_contract::FrameNumber;
use nox_protocol::{
    Reader, Record, Replay,
    replay::{Counts, ReplayError},
};
use nox_scheduler::config::ClusterKey;
use nox_service::Clock;
use serde_json::{Value, json};

use super::{Key, feed::Feed};
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

    #[command(flatten)]
    key: Key,
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let clock = Clock::system();
    let begun = clock.monotonic();
    let key = args.key.get(target)?;
    let read = args.source.read(target, async |source| replay(&source, key).await);
    let (counts, error) = read.await?;
    let seconds = clock.monotonic().saturating_sub(begun).as_secs_f64();
    show(&counts, error.as_ref(), seconds, output)?;
    match error {
        None => Ok(Exit::Done),
        Some(error) => bail!("{error}"),
    }
}

/// Reads the log from its first message, up to the first place at which something else follows. Without a key nobody
/// knows which reports were believed, so that it is as if all messages were gone.
async fn replay(source: &Source, key: Option<ClusterKey>) -> Result<(Counts, Option<ReplayError>)> {
    let mut feed = match (source.broker(), &key) {
        (Some(broker), Some(_)) => Feed::of(broker).await?,
        _ => Feed::empty(),
    };
    let mut replay = Replay::by_key(key.map_or([0; 32], |key| key.0));
    let mut reader = Reader::default();
    let mut log = source.read(FrameNumber(1));
    while let Some(messages) = log.next().await {
        for message in messages? {
            let decided = match reader.read(&message.subject, &message.payload)? {
                Record::Epoch(record) => replay.epoch(reader.n(), &record),
                Record::Frame(frame) => {
                    feed.read_for(&replay, &frame).await?;
                    replay.frame(&frame, feed.inputs(), &mut ())
                }
            };
            if let Err(error) = decided {
                return Ok((replay.counts(), Some(error)));
            }
        }
    }
    Ok((replay.counts(), None))
}

fn show(counts: &Counts, error: Option<&ReplayError>, seconds: f64, output: Output) -> Result<()> {
    let Counts { frames, entries, facts, silent, taken_facts, gone_up_to, .. } = counts;
    let rate = (facts + taken_facts) as f64 / seconds.max(0.001);
    if output.format != Format::Table {
        let document = json!({
            "frames": frames,
            "entries": entries,
            "facts_compared": facts,
            "facts_taken": taken_facts,
            "silent_parts": silent,
            "inputs_gone_up_to": gone_up_to,
            "divergences": u8::from(error.is_some()),
            "seconds": seconds,
            "facts_per_second": rate.round(),
            "divergence": error.map(divergence),
        });
        output.json(&document.to_string())?;
        return Ok(());
    }
    let head = ["frames", "facts compared", "facts taken", "silent parts", "divergences"];
    let cells = [*frames, *facts, *taken_facts, *silent, u64::from(error.is_some())];
    output.table(&head, &[cells.map(|number| number.to_string()).to_vec()])?;
    if gone_up_to.0 > 0 {
        note!(
            "messages that frames up to {gone_up_to} consumed are not there: what they led to is taken as it \
             is recorded, and everything else is compared"
        );
    }
    note!("decided in {seconds:.1} s, {rate:.0} facts a second");
    Ok(())
}

/// The place and both sides, for programs.
fn divergence(error: &ReplayError) -> Value {
    match error {
        ReplayError::Divergence(of) => json!({
            "n": of.n,
            "entry": of.entry,
            "fact": of.fact,
            "by": of.by,
            "expected": of.expected,
            "found": of.found,
        }),
        other => json!({ "error": other.to_string() }),
    }
}
