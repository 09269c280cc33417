//! Waits until a run has settled, and collects everything that the checker judges.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use nox_archive::{Archive, Log, LogError};
use nox_contract::{Frame, FrameNumber, Source, TenantId, subject};
use nox_protocol::replay::Recorded;
use nox_readmodel::{Filter, JobRow, LogMessage, Reader, Rebuilt, audit, query::PAGE_MAX};

use super::{
    checker::{Evidence, LogEntry, View, check},
    cluster::{Cluster, TOKEN_KEY, until},
    modules,
};

/// How long log and rows have to stand still to count as settled: longer than any look by time.
const STILL_FOR: Duration = Duration::from_millis(1_200);
/// A look at the rows by hand costs a process.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long whoever still writes is waited for.
const QUIET_WITHIN: Duration = Duration::from_secs(20);

impl Cluster {
    /// Waits until nothing moves any more, every job has ended and the rows have all of it.
    ///
    /// # Errors
    /// That is not so after `within`; the checker then says which job hangs.
    pub async fn settle(&self, within: Duration) -> Result<()> {
        let broker = self.broker().await?;
        let reader = Reader::new(&self.database_url, 2)?;
        let mut still: Option<(u64, std::time::Instant)> = None;
        let settled = until(within, "everything to settle", async || {
            tokio::time::sleep(LOOK_EVERY).await;
            let Ok(last) = broker.last_sequence(subject::EVENTS).await else { return Ok(None) };
            let Ok(progress) = reader.progress().await else { return Ok(None) };
            let unfinished = match self.unfinished().await {
                Ok(unfinished) => unfinished,
                Err(_) => return Ok(None),
            };
            if progress.n.0 != last || unfinished > 0 {
                still = None;
                return Ok(None);
            }
            match still {
                Some((n, since)) if n == last => Ok((since.elapsed() > STILL_FOR).then_some(())),
                _ => {
                    still = Some((last, std::time::Instant::now()));
                    Ok(None)
                }
            }
        })
        .await;
        match settled {
            Ok(()) => Ok(()),
            Err(error) => Err(self.with_log(error).await),
        }
    }

    /// Keeps the log for a look, and adds to `error` what is wrong with it: what hangs, or has ended,
    /// may do so for what it read.
    pub async fn with_log(&self, error: anyhow::Error) -> anyhow::Error {
        let log = match self.read_log().await {
            Ok(log) => log,
            Err(unread) => return error.context(format!("and no log to look at: {unread:#}")),
        };
        if let Err(unkept) = self.keep_log(&log) {
            return error.context(format!("and the log cannot be kept: {unkept:#}"));
        }
        let verdict = check(&Evidence { log, ..Evidence::default() });
        if verdict.violations.is_empty() { error } else { error.context(verdict.to_string()) }
    }

    /// The log's payloads, a line each, in the run's folder.
    fn keep_log(&self, log: &[LogEntry]) -> Result<()> {
        let payloads = log.iter().map(|entry| Ok(entry.payload.to_vec()));
        write_lines(&self.folder().join("log.jsonl"), payloads)
    }

    /// Jobs that have not ended, or of which something still runs, as the rows say.
    pub async fn unfinished(&self) -> Result<u64> {
        let count = format!(
            "select count(*) from {}.jobs where ended_at is null or held",
            self.schema().await?
        );
        Ok(self.sql(&count).await?.parse()?)
    }

    /// The schema of the current rows.
    pub async fn schema(&self) -> Result<String> {
        Ok(format!("nox_{}", self.sql("select generation from nox.generation").await?))
    }

    /// Asks the database by hand.
    pub async fn sql(&self, sql: &str) -> Result<String> {
        self.postgres.psql(sql).await
    }

    /// Where the services keep the log.
    pub fn archive(&self) -> Result<Archive> {
        let folder = self.folder().join("archive");
        Ok(Archive::open(folder.to_str().context("a folder's name is no text")?)?)
    }

    /// The log, with what is in its archive, and its last frame.
    pub async fn log(&self) -> Result<(Log, FrameNumber)> {
        let broker = self.broker().await?;
        let (incarnation, last) = broker.extent(subject::EVENTS).await?;
        Ok((Log::new(broker, incarnation, Some(&self.archive()?)), FrameNumber(last)))
    }

    /// Reads the whole log.
    pub async fn read_log(&self) -> Result<Vec<LogEntry>> {
        let (log, last) = self.log().await?;
        entries(&log, last).try_collect::<Vec<_>>().await.context("cannot read the log")
    }

    /// What the input streams have.
    async fn inputs(&self) -> Result<Recorded> {
        let broker = self.broker().await?;
        let commands = broker.incarnation(subject::COMMANDS).await?;
        let reports = broker.incarnation(subject::REPORTS).await?;
        let mut inputs = Recorded::new(commands, reports);
        for (src, stream) in
            [(Source::Commands, subject::COMMANDS), (Source::Reports, subject::REPORTS)]
        {
            let usage = broker.usage(stream).await?;
            let mut next = usage.first_seq.max(1);
            let mut chunks = broker.follow(stream, next, None);
            while next <= usage.last_seq {
                let chunk = chunks.next().await.context("a stream ended")??;
                for message in chunk {
                    next = message.seq + 1;
                    inputs.push(src, message.seq, message.subject, message.payload);
                }
            }
        }
        Ok(inputs)
    }

    /// Folds the log into rows of a new generation and compares them with the live ones.
    pub async fn rebuild(&self) -> Result<Rebuilt> {
        let (log, last) = self.log().await?;
        let log = entries(&log, last)
            .map_ok(|entry| LogMessage { subject: entry.subject, payload: entry.payload });
        Ok(nox_readmodel::rebuild(&self.database_url, Box::pin(log)).await?)
    }

    /// Everything that is known of the run so far. It must have settled, or the rows are behind.
    pub async fn evidence(&self) -> Result<Evidence> {
        let reader = Reader::new(&self.database_url, 2)?;
        // Rows that are beyond what was read of the log say that somebody still wrote meanwhile.
        let (log, n) = until(QUIET_WITHIN, "the log to rest", async || {
            let log = self.read_log().await?;
            let n = reader.progress().await?.n;
            let is_at_rest = log.last().is_some_and(|last| n.0 <= last.seq);
            Ok(is_at_rest.then_some((log, n)))
        })
        .await?;
        let mut jobs = Vec::new();
        for tenant in tenants(&log) {
            jobs.extend(rows(&reader, tenant).await?);
        }
        let differences = audit::ledger_differences(&self.database_url).await?;
        let miscounted = audit::usage_differences(&self.database_url).await?;
        let Rebuilt { live, rebuilt, .. } = self.rebuild().await?;
        let after = reader.progress().await?.n;
        ensure!(n == after, "the rows moved from {n} to {after} while they were read");
        let calls = self.recorder.calls();
        // For people, in case the checker finds something.
        write_lines(&self.folder().join("calls.jsonl"), calls.iter().map(serde_json::to_vec))?;
        self.keep_log(&log)?;
        Ok(Evidence {
            calls,
            log,
            inputs: Some((self.inputs().await?, TOKEN_KEY)),
            runs: modules::runs(&self.truth())?,
            telling: ["mark", "talker"].map(str::parse).into_iter().collect::<Result<_, _>>()?,
            view: Some(View {
                n,
                jobs,
                ledger_differences: differences
                    .iter()
                    .map(|d| format!("{d:?}"))
                    .chain(miscounted.iter().map(|d| format!("{d:?}")))
                    .collect(),
                live: format!("{} at {}", live.hash, live.n),
                rebuilt: format!("{} at {}", rebuilt.hash, rebuilt.n),
            }),
        })
    }
}

fn entries(
    log: &Log,
    last: FrameNumber,
) -> impl futures_util::Stream<Item = Result<LogEntry, LogError>> + use<> {
    log.read(FrameNumber(1), last)
        .map_ok(|chunk| stream::iter(chunk).map(Ok))
        .try_flatten()
        .map_ok(|m| LogEntry { seq: m.seq, subject: m.subject, payload: m.payload })
}

fn tenants(log: &[LogEntry]) -> BTreeSet<TenantId> {
    log.iter()
        .filter_map(|message| serde_json::from_slice::<Frame>(&message.payload).ok())
        .flat_map(|frame| frame.entries)
        .filter(|entry| entry.job_id.is_some())
        .map(|entry| entry.tenant)
        .collect()
}

async fn rows(reader: &Reader, tenant: TenantId) -> Result<Vec<JobRow>> {
    let mut filter = Filter::of(tenant, PAGE_MAX);
    let mut rows = Vec::new();
    loop {
        let page = reader.jobs(&filter).await?.value;
        rows.extend(page.rows);
        filter.before = page.next;
        if filter.before.is_none() {
            return Ok(rows);
        }
    }
}

fn write_lines(
    path: &Path,
    lines: impl Iterator<Item = serde_json::Result<Vec<u8>>>,
) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for line in lines {
        file.write_all(&line?)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}
