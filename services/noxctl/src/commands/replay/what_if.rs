//! `noxctl replay what-if`: the recorded jobs with another configuration.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use nox_contract::{FrameNumber, TenantId, UserId};
use nox_protocol::{
    Reader, Record,
    replay::{Measures, Modelled, Outcome, Patch, Recording, what_if},
};
use serde_json::{Value, json};

use super::{Key, feed::Feed};
use crate::{
    commands::source::{self, Source},
    exit::{Exit, Misused},
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

    /// What is different, as JSON: `config`, `slots`, `priorities`, `limits`; see docs/OPERATIONS.md.
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,

    /// Slots of a worker, or of all others as `*=N`; repeatedly.
    #[arg(long, value_name = "WORKER=N", value_parser = slots)]
    slots: Vec<(String, u32)>,
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    let patch = args.patch()?;
    patch.check()?;
    let key = args.key.get(target)?.context(
        "no key: set NOX_CLUSTER_KEY (or --cluster-key), without which nobody knows which reports were believed",
    )?;
    let read = args.source.read(target, async |source| record(&source, key.0).await);
    let recording = read.await?;
    let same = what_if(&recording, &Patch::default())?;
    let other = what_if(&recording, &patch)?;
    show(&recording, &same, &other, output)?;
    Ok(Exit::Done)
}

impl Args {
    fn patch(&self) -> Result<Patch> {
        let mut patch: Patch = match &self.patch {
            None => Patch::default(),
            Some(file) => {
                let text = fs_err::read_to_string(file)?;
                serde_json::from_str(&text).with_context(|| format!("in {}", file.display()))?
            }
        };
        patch.slots.extend(self.slots.iter().cloned());
        if patch == Patch::default() {
            return Err(Misused("nothing is different: give --patch or --slots".to_owned()).into());
        }
        Ok(patch)
    }
}

fn slots(text: &str) -> Result<(String, u32), String> {
    let (worker, slots) = text.split_once('=').ok_or("no WORKER=N")?;
    Ok((worker.to_owned(), slots.parse().map_err(|e| format!("{slots}: {e}"))?))
}

/// Reads and decides the whole log again, and keeps what a model goes by.
async fn record(source: &Source, key: [u8; 32]) -> Result<Recording> {
    let Some(broker) = source.broker() else {
        bail!("the archive alone has no commands and reports, which a model goes by");
    };
    let mut feed = Feed::of(broker).await?;
    let (mut reader, mut recording) = (Reader::default(), Recording::by_key(key));
    let mut log = source.read(FrameNumber(1));
    while let Some(messages) = log.next().await {
        for message in messages? {
            match reader.read(&message.subject, &message.payload)? {
                Record::Epoch(record) => recording.epoch(reader.n(), &record)?,
                Record::Frame(frame) => {
                    feed.read_for(recording.replay(), &frame).await?;
                    recording.frame(&frame, feed.inputs())?;
                }
            }
        }
    }
    Ok(recording)
}

fn show(recording: &Recording, same: &Modelled, other: &Modelled, output: Output) -> Result<()> {
    let sides = [recording.outcome(), &same.outcome, &other.outcome];
    let mut users: Vec<_> = sides.iter().flat_map(|side| side.users()).collect();
    users.sort_unstable();
    users.dedup();
    if output.format != Format::Table {
        let document = json!({
            "all": measured(&sides, None)?,
            "users": users
                .iter()
                .map(|of| {
                    let mut document = measured(&sides, Some(of))?;
                    document["tenant"] = json!(of.0);
                    document["user_id"] = json!(of.1);
                    Ok(document)
                })
                .collect::<Result<Vec<_>>>()?,
            "tasks_left_out": recording.tasks(),
            "guessed_attempts": { "model": same.guessed, "what_if": other.guessed },
            "other_ends": other_ends(&same.outcome, &other.outcome),
        });
        output.json(&document.to_string())?;
        return Ok(());
    }
    let mut rows = rows("all", &sides, None);
    for of in &users {
        rows.extend(self::rows(&format!("{}/{}", of.0, of.1), &sides, Some(of)));
    }
    output.table(&["of", "measure", "recorded", "model", "what-if"], &rows)?;
    let ends = other_ends(&same.outcome, &other.outcome).len();
    note!(
        "{ends} jobs end otherwise; guessed are {} attempts of the model and {} of what-if",
        same.guessed,
        other.guessed
    );
    if recording.tasks() > 0 {
        note!("left out on every side: {} tasks, which workers claim", recording.tasks());
    }
    Ok(())
}

fn measured(sides: &[&Outcome; 3], of: Option<&(TenantId, UserId)>) -> Result<Value> {
    let [was, same, other] = sides.map(|side| side.measures(of));
    Ok(json!({ "recorded": was, "model": same, "what_if": other }))
}

/// A row for each measure.
fn rows(name: &str, sides: &[&Outcome; 3], of: Option<&(TenantId, UserId)>) -> Vec<Vec<String>> {
    let sides = sides.map(|side| cells(&side.measures(of)));
    let measures = sides[0].iter().enumerate().map(|(at, (measure, _))| {
        let values = sides.iter().map(|cells| cells[at].1.to_string());
        [name.to_owned(), (*measure).to_owned()].into_iter().chain(values).collect()
    });
    measures.collect()
}

fn cells(of: &Measures) -> [(&'static str, u64); 13] {
    [
        ("jobs", of.jobs),
        ("succeeded", of.succeeded),
        ("failed", of.failed),
        ("canceled", of.canceled),
        ("rejected", of.rejected),
        ("open", of.open),
        ("violations", of.violations),
        ("attempts", of.attempts),
        ("wait mean ms", of.wait_mean_ms),
        ("wait p95 ms", of.wait_p95_ms),
        ("wait max ms", of.wait_max_ms),
        ("turnaround mean ms", of.turnaround_mean_ms),
        ("makespan ms", of.makespan_ms),
    ]
}

/// Jobs that end in another way, or exist on one side alone.
fn other_ends(same: &Outcome, other: &Outcome) -> Vec<Value> {
    let end = |side: &Outcome, job| side.job(job).map(|job| job.end.unwrap_or("open"));
    let mut jobs: Vec<_> = same.jobs().chain(other.jobs()).map(|(id, _)| id).collect();
    jobs.sort_unstable();
    jobs.dedup();
    jobs.into_iter()
        .filter(|id| end(same, *id) != end(other, *id))
        .map(|id| json!({ "job_id": id, "model": end(same, id), "what_if": end(other, id) }))
        .collect()
}
