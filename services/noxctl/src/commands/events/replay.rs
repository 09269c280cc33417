//! `noxctl events replay`: a stretch of the log once more, as it was written, at the pace that is asked for.

use std::{
    collections::BTreeSet,
    io::{BufWriter, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use fs_err::File;
use futures_util::{Stream, StreamExt, TryStreamExt, future::ready, stream};
use nox_archive::LogError;
use nox_contract::{
    Entity, Entry, EventType, FactOrUnknown, Frame, FrameHead, FrameNumber, JobId, ModuleName,
    TenantId, Timestamp, UserId, near, subject,
};
use nox_readmodel::{LogMessage, scratch};
use nox_service::Secret;
use nox_streams::{Broker, Message};

use super::Told;
use crate::{
    commands::source::{self, Source},
    exit::{Exit, Misused},
    facts,
    output::{Format, Output},
    target::Target,
    terminal::note,
    views,
};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: source::Args,

    /// The first and the last frame.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    from: u64,
    #[arg(long, value_name = "N")]
    to: Option<u64>,

    /// Frames from this instant on, and up to this one.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,

    #[command(flatten)]
    filter: Filter,

    /// So many times as fast as it happened; as fast as it can be read, if not given.
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    speed: Option<f64>,

    /// Write to this file instead, a document a line.
    #[arg(long, value_name = "FILE")]
    to_file: Option<PathBuf>,

    /// Publish each fact on `PREFIX.<tenant>.<fact>` of the same broker instead. No subject of Nox's own is one.
    #[arg(long, value_name = "PREFIX", value_parser = prefix, conflicts_with = "to_file")]
    to_subject: Option<String>,

    /// Fold all of the log, up to --to or --until, into rows in this schema of the database instead, in place of those that
    /// an earlier call made there. The rows that are served are not touched.
    #[arg(long, value_name = "NAME", value_parser = schema, conflicts_with_all = ["to_file", "to_subject", "speed"])]
    to_schema: Option<String>,

    #[arg(long, env = "NOX_DATABASE_URL", hide_env_values = true)]
    database_url: Option<Secret>,
}

/// Which entries, and which facts of them.
#[derive(clap::Args)]
struct Filter {
    /// Entries of this job alone.
    #[arg(long)]
    job: Option<JobId>,
    /// Entries of jobs of this user, and of its account.
    #[arg(long)]
    user: Option<UserId>,
    /// Entries of this tenant.
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Entries of jobs of this module, and of the module.
    #[arg(long)]
    module: Option<ModuleName>,
    /// Facts of this name, as `succeeded`; repeatedly.
    #[arg(long = "fact", value_name = "NAME", value_parser = fact)]
    facts: Vec<String>,
}

/// What facts of a newer version are called.
const UNKNOWN: &str = "unknown";

/// Where entries go.
enum Sink<'b> {
    Output(Output),
    File(BufWriter<File>),
    Subject { broker: &'b Broker, prefix: String },
}

pub async fn run(args: Args, target: &Target, output: Output) -> Result<Exit> {
    if args.to.is_some_and(|to| to < args.from)
        || args.until.is_some_and(|until| Some(until) < args.since)
    {
        return Err(Misused("the end of the stretch is before its beginning".to_owned()).into());
    }
    if let Some(name) = &args.to_schema {
        if args.from > 1 || args.since.is_some() || !args.filter.is_empty() {
            let why = "rows are a fold of all entries from the first on: --to-schema goes with --to and --until alone";
            return Err(Misused(why.to_owned()).into());
        }
        let database = match args.database_url.as_ref().map(Secret::reveal) {
            Some(url) if !url.is_empty() => url.to_owned(),
            _ => target.place()?.database_url,
        };
        let fill = async |source: Source| {
            let messages = up_to(&source, (args.to, args.until));
            Ok(scratch::fill(&database, name, source.incarnation(), messages).await?)
        };
        let taken = args.source.read(target, fill).await?;
        note!("schema {name}: {} frames, {} facts", taken.n, taken.facts);
        return Ok(Exit::Done);
    }
    let read = args.source.read(target, async |source| replay(&args, &source, output).await);
    let (entries, facts) = read.await?;
    note!("{entries} entries, {facts} facts");
    Ok(Exit::Done)
}

async fn replay(args: &Args, source: &Source, output: Output) -> Result<(u64, u64)> {
    let mut sink = Sink::of(args, source, output)?;
    let (mut entries, mut facts) = (0, 0);
    let mut before: Option<Timestamp> = None;
    let mut log = source.read(FrameNumber(args.from));
    'log: while let Some(messages) = log.next().await {
        for message in messages? {
            if args.to.is_some_and(|to| message.seq > to) {
                break 'log;
            }
            if message.subject == subject::EPOCH {
                continue;
            }
            let frame: Frame = serde_json::from_slice(&message.payload)
                .with_context(|| format!("frame {} cannot be read", message.seq))?;
            if args.until.is_some_and(|until| frame.at > until) {
                break 'log;
            }
            if args.since.is_some_and(|since| frame.at < since) {
                continue;
            }
            for entry in &frame.entries {
                let Some(entry) = args.filter.of(entry) else { continue };
                if let (Some(speed), Some(before)) = (args.speed, before) {
                    tokio::time::sleep(span(before, frame.at, speed)).await;
                }
                before = Some(frame.at);
                entries += 1;
                facts += entry.facts.len() as u64;
                sink.put(&frame, entry)?;
            }
        }
    }
    sink.end().await?;
    Ok((entries, facts))
}

/// The messages from the first to a frame or an instant.
fn up_to(
    source: &Source,
    (to, until): (Option<u64>, Option<Timestamp>),
) -> impl Stream<Item = Result<LogMessage, LogError>> {
    let messages = source.read(FrameNumber(1));
    let messages = messages.map_ok(|chunk| stream::iter(chunk).map(Ok)).try_flatten();
    let is_within = move |message: &Message| {
        // What is no frame is for whoever folds it to refuse.
        let is_late = |until| FrameHead::read(&message.payload).is_ok_and(|head| head.at > until);
        to.is_none_or(|to| message.seq <= to)
            && (message.subject == subject::EPOCH || !until.is_some_and(is_late))
    };
    let within = messages.try_take_while(move |message| ready(Ok(is_within(message))));
    within.map_ok(|Message { subject, payload, .. }| LogMessage { subject, payload })
}

/// How long after one frame another one comes.
fn span(before: Timestamp, at: Timestamp, speed: f64) -> Duration {
    Duration::try_from_secs_f64(at.since(before).as_secs_f64() / speed).unwrap_or_default()
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(factor),
        _ => Err("no number above 0".to_owned()),
    }
}

fn schema(text: &str) -> Result<String, String> {
    scratch::check_name(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// A misspelt name would choose nothing, and say nothing.
fn fact(text: &str) -> Result<String, String> {
    let names = EventType::fact_names();
    if text == UNKNOWN || names.iter().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    match near(text, names.iter().map(String::as_str)).as_slice() {
        [] => Err(format!("no fact; there are {}", names.join(", "))),
        near => Err(format!("no fact; did you mean {}?", near.join(" or "))),
    }
}

/// Whoever replays may not be taken for whoever it was.
fn prefix(text: &str) -> Result<String, String> {
    let first = text.split('.').next().unwrap_or_default();
    if first == "nox" || first == "live" || first.starts_with(['$', '_']) {
        return Err(format!("{first} is live: what is replayed goes elsewhere"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_token = |token: &str| !token.is_empty() && token.chars().all(plain);
    if !text.split('.').all(is_token) {
        return Err("no subject: words of letters, digits, - and _ between dots".to_owned());
    }
    Ok(text.to_owned())
}

impl Filter {
    fn is_empty(&self) -> bool {
        let Self { job, user, tenant, module, facts } = self;
        job.is_none() && user.is_none() && tenant.is_none() && module.is_none() && facts.is_empty()
    }

    /// The entry with the facts that are asked for; `None` if that leaves none.
    fn of(&self, entry: &Entry) -> Option<Entry> {
        let account = self.user.as_ref().map(subject::user_account);
        let of_user =
            entry.user_id == self.user || (entry.user_id.is_none() && entry.account == account);
        let asked = self.job.is_none_or(|job| entry.job_id == Some(job))
            && (self.user.is_none() || of_user)
            && self.tenant.as_ref().is_none_or(|tenant| entry.tenant == *tenant)
            && self.module.as_ref().is_none_or(|module| entry.module.as_ref() == Some(module));
        let mut entry = asked.then(|| entry.clone())?;
        if !self.facts.is_empty() {
            let names: BTreeSet<&str> = self.facts.iter().map(String::as_str).collect();
            entry.facts.retain(|fact| names.contains(name(fact)));
        }
        (!entry.facts.is_empty()).then_some(entry)
    }
}

fn name(fact: &FactOrUnknown) -> &str {
    match fact {
        FactOrUnknown::Known(fact) => fact.name(),
        FactOrUnknown::Unknown(_) => UNKNOWN,
    }
}

impl<'b> Sink<'b> {
    fn of(args: &Args, source: &'b Source, output: Output) -> Result<Self> {
        if let Some(prefix) = args.to_subject.clone() {
            let Some(broker) = source.broker() else {
                bail!("the archive alone has no broker to publish to");
            };
            return Ok(Self::Subject { broker, prefix });
        }
        Ok(match &args.to_file {
            Some(file) => Self::File(BufWriter::new(File::create_new(file)?)),
            None => Self::Output(output.streaming()),
        })
    }

    fn put(&mut self, frame: &Frame, entry: Entry) -> Result<()> {
        let told = |entry: &Entry| serde_json::to_string(&Told::of(frame, entry));
        match self {
            Self::Output(output) if output.format == Format::Table => {
                output.table(&HEAD, &rows(frame, entry))?;
            }
            Self::Output(output) => output.json(&told(&entry)?)?,
            Self::File(file) => writeln!(file, "{}", told(&entry)?)?,
            Self::Subject { broker, prefix } => {
                for fact in &entry.facts {
                    let subject = format!("{prefix}.{}.{}", entry.tenant, name(fact));
                    let one = Entry { facts: vec![fact.clone()], ..entry.clone() };
                    broker.publish_unacked(subject, told(&one)?.into());
                }
            }
        }
        Ok(())
    }

    async fn end(self) -> Result<()> {
        match self {
            Self::Output(_) => {}
            Self::File(file) => file.into_inner().map_err(|e| e.into_error())?.sync_all()?,
            Self::Subject { broker, .. } => broker.flush().await,
        }
        Ok(())
    }
}

const HEAD: [&str; 5] = ["time", "n", "of", "fact", "details"];

fn rows(frame: &Frame, entry: Entry) -> Vec<Vec<String>> {
    let of = entry.entity().map(whom).unwrap_or_default();
    let entry = views::Entry { n: frame.n, at: frame.at, tenant: entry.tenant, facts: entry.facts };
    let mut rows = facts::rows(&entry);
    rows.iter_mut().for_each(|row| row.insert(2, of.clone()));
    rows
}

/// What an entry is about, in a word.
fn whom(entity: Entity) -> String {
    match entity {
        Entity::Job { job_id, .. } => job_id.to_string(),
        Entity::Account { tenant, account } => format!("{tenant}/{account}"),
        Entity::Worker(worker) => worker.to_string(),
        Entity::Module(module) => module.to_string(),
        Entity::Topic { topic, .. } => topic.to_string(),
        Entity::Key { key_id, .. } => key_id.to_string(),
        Entity::Schedule { schedule_id, .. } => schedule_id.to_string(),
        Entity::Webhook { webhook_id, .. } => webhook_id.to_string(),
        Entity::Control => "log".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_replayed_to_where_it_is_taken_for_what_happens() {
        for live in ["nox", "nox.evt", "live.x", "$JS.API", "_INBOX.x"] {
            assert!(prefix(live).is_err_and(|why| why.contains("live")), "{live}");
        }
        for none in ["", "a..b", "a.*", "a.>", "a b", ".a"] {
            assert!(prefix(none).is_err(), "{none}");
        }
        assert_eq!(prefix("again.of-monday_1"), Ok("again.of-monday_1".to_owned()));
    }

    #[test]
    fn a_fact_that_does_not_exist_is_refused_and_near_ones_are_named() {
        for known in ["succeeded", "quota_violated", "configured", "inputs_reset", "unknown"] {
            assert_eq!(fact(known), Ok(known.to_owned()));
        }
        let refused = fact("suceeded").unwrap_err();
        assert!(refused.contains("did you mean succeeded?"), "{refused}");
        assert!(fact("elephants").unwrap_err().contains("there are submitted, "));
    }

    #[test]
    fn a_speed_is_a_factor_above_nothing() {
        assert_eq!(speed("2.5"), Ok(2.5));
        for none in ["0", "-1", "inf", "NaN", "fast"] {
            assert!(speed(none).is_err(), "{none}");
        }
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (before, behind) = (at("2026-11-21T22:00:00Z"), at("2026-11-21T22:00:10Z"));
        assert_eq!(span(before, behind, 4.0), Duration::from_millis(2_500));
        assert_eq!(span(behind, before, 4.0), Duration::ZERO);
    }
}
