//! Finds in the log what a job's case is made of.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use nox_contract::{
    Entry, Fact, FactOrUnknown, Frame, FrameNumber, Incarnation, JobId, ModuleName, TenantId,
    WorkerId, subject,
};
use nox_executor::logs::{Mask, Masking};
use nox_protocol::Fold;
use nox_streams::{LogChunk, Message};
use serde_json::Value;

use super::{Capsule, FORMAT, Printed, Queue, mask};
use crate::{
    commands::{events::Told, source::Source},
    terminal::note,
};

/// Chunks of output that are asked for at a time, and their bytes.
const PAGE: usize = 1_000;
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Most of what a job printed that goes into its capsule, in bytes.
const PRINTED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Reads the log from its first message.
pub async fn capsule(source: &Source, job: JobId) -> Result<Capsule> {
    let mut case = Case { job, ..Case::default() };
    let mut log = source.read(FrameNumber(1));
    let mut fold = Some(Fold::default());
    while let Some(messages) = log.next().await {
        for message in messages? {
            if message.subject == subject::EPOCH {
                take(&mut fold, &message);
                continue;
            }
            let frame: Frame = serde_json::from_slice(&message.payload)
                .with_context(|| format!("frame {} cannot be read", message.seq))?;
            if case.tenant.is_none() && frame.entries.iter().any(|of| of.job_id == Some(job)) {
                let module = frame.entries.iter().find(|of| of.job_id == Some(job));
                let module = module.and_then(|of| of.module.clone());
                case.queue = fold.take().map(|fold| Queue::of(&fold, module.as_ref()));
            }
            for entry in &frame.entries {
                case.note(&frame, entry)?;
            }
            take(&mut fold, &message);
        }
    }
    let printed = match (source, &case.tenant) {
        (Source::Log { log, .. }, Some(tenant)) => printed(log.broker(), tenant, job).await?,
        _ => Vec::new(),
    };
    case.end(source.incarnation().clone(), printed)
}

/// Folds a message in. What cannot be folded ends the fold: the rest of a case can be told without it.
fn take(fold: &mut Option<Fold>, message: &Message) {
    if let Some(folding) = fold
        && let Err(error) = folding.take(&message.subject, &message.payload, None)
    {
        note!("the queue before the job cannot be told: {error}");
        *fold = None;
    }
}

async fn printed(
    broker: &nox_streams::Broker,
    tenant: &TenantId,
    job: JobId,
) -> Result<Vec<LogChunk>> {
    let (mut printed, mut bytes, mut after) = (Vec::new(), 0, 0);
    while bytes < PRINTED_BYTES_MAX {
        let page = broker.read_logs(tenant, job, after, PAGE, PAGE_BYTES).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        bytes += page.iter().map(|chunk| chunk.bytes.len()).sum::<usize>();
        printed.extend(page);
    }
    Ok(printed)
}

/// What was printed without the secrets, also where one is cut in two.
fn masked(chunks: &[LogChunk], mask: &Mask) -> Vec<Printed> {
    let mut streams: BTreeMap<(u32, String), Masking<'_>> = BTreeMap::new();
    let mut printed = Vec::new();
    let mut put = |(attempt, stream): &(u32, String), bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        printed.push(Printed { attempt: *attempt, stream: stream.clone(), text });
    };
    for chunk in chunks {
        let of = (chunk.attempt.0, chunk.stream.to_string());
        let masking = streams.entry(of.clone()).or_insert_with(|| mask.begin());
        put(&of, &masking.push(&chunk.bytes));
    }
    for (of, masking) in &mut streams {
        let rest = masking.end();
        if !rest.is_empty() {
            put(of, &rest);
        }
    }
    printed
}

/// The newest of each kind that is in force: its entity, and the name of its fact.
type InForce = BTreeMap<(String, &'static str), Value>;

#[derive(Default)]
struct Case {
    job: JobId,
    tenant: Option<TenantId>,
    /// Until the job begins.
    in_force: InForce,
    before: Vec<Value>,
    entries: Vec<Value>,
    workers: BTreeSet<WorkerId>,
    queue: Option<Queue>,
}

impl Case {
    fn note(&mut self, frame: &Frame, entry: &Entry) -> Result<()> {
        if entry.job_id == Some(self.job) {
            if self.tenant.is_none() {
                self.begin(entry);
            }
            for fact in entry.known_facts() {
                if let Fact::Assigned { worker_id, .. } = fact {
                    self.workers.insert(worker_id.clone());
                }
            }
            self.entries.push(told(frame, entry)?);
            return Ok(());
        }
        if self.tenant.is_none() {
            return self.keep(frame, entry);
        }
        if entry.worker_id.as_ref().is_some_and(|worker| self.workers.contains(worker)) {
            self.entries.push(told(frame, entry)?);
        }
        Ok(())
    }

    /// Keeps what is in force from here on.
    fn keep(&mut self, frame: &Frame, entry: &Entry) -> Result<()> {
        if entry.job_id.is_some() || entry.key_id.is_some() || entry.schedule_id.is_some() {
            return Ok(());
        }
        let of = place(entry);
        for fact in entry.known_facts() {
            if let (Fact::WorkerLeft { .. }, Some(_)) = (fact, &entry.worker_id) {
                self.in_force.retain(|(kept, _), _| *kept != of);
                continue;
            }
            let alone = Entry { facts: vec![FactOrUnknown::Known(fact.clone())], ..entry.clone() };
            self.in_force.insert((of.clone(), fact.name()), told(frame, &alone)?);
        }
        Ok(())
    }

    /// The job begins: what concerns it was in force before.
    fn begin(&mut self, entry: &Entry) {
        self.tenant = Some(entry.tenant.clone());
        let user = entry.user_id.as_ref().map(subject::user_account).unwrap_or_default();
        let accounts =
            [account(&entry.tenant, subject::TENANT_ACCOUNT), account(&entry.tenant, &user)];
        let module = entry.module.as_ref().map(of_module).unwrap_or_default();
        let in_force = std::mem::take(&mut self.in_force);
        let concerns = |of: &str| {
            of.is_empty()
                || of == module
                || accounts.iter().any(|account| account == of)
                || of.starts_with(WORKER)
        };
        self.before
            .extend(in_force.into_iter().filter(|((of, _), _)| concerns(of)).map(|(_, told)| told));
    }

    fn end(self, log: Incarnation, printed: Vec<LogChunk>) -> Result<Capsule> {
        let Self { job, mut before, mut entries, queue, .. } = self;
        let mut secrets = BTreeSet::new();
        let all = before.iter_mut().chain(&mut entries);
        let mut count: u64 = all.map(|told| mask::mask(told, &mut secrets)).sum();
        let mut written = BTreeSet::new();
        before.iter().chain(&entries).for_each(|told| mask::find_written(told, &mut written));
        count += written.len() as u64;
        secrets.append(&mut written);
        let mask = Mask::new(secrets.iter().map(String::as_str))?;
        let all = before.iter_mut().chain(&mut entries);
        all.for_each(|told| mask::mask_free(told, &mask));
        let printed = masked(&printed, &mask);
        let (job_id, format) = (job, FORMAT);
        Ok(Capsule { format, job_id, log, before, queue, entries, printed, masked: count })
    }
}

const WORKER: &str = "worker ";

/// What an entry is about that is no job; empty for the log itself.
fn place(entry: &Entry) -> String {
    match (&entry.account, &entry.module, &entry.worker_id) {
        (Some(name), _, _) => account(&entry.tenant, name),
        (_, Some(module), _) => of_module(module),
        (_, _, Some(worker)) => format!("{WORKER}{worker}"),
        _ => String::new(),
    }
}

fn account(tenant: &TenantId, name: &str) -> String {
    format!("account {tenant}/{name}")
}

fn of_module(module: &ModuleName) -> String {
    format!("module {module}")
}

fn told(frame: &Frame, entry: &Entry) -> Result<Value> {
    Ok(serde_json::to_value(Told::of(frame, entry))?)
}
