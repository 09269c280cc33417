//! What of the log's stream is in the archive for certain. Each segment is read back once before anything is
//! cut by it, and one that is damaged is archived again from the stream.
//!
//! What is put in the place of a damaged segment has its name and its messages, so whoever does that, and be it
//! a leader that was deposed meanwhile, makes it whole. A segment that is not damaged is never written again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, ensure};
use futures_util::StreamExt;
use nox_archive::{ArchiveError, Log, LogArchive, SegmentBuilder, SegmentInfo};
use nox_contract::{Chain, FrameHead, FrameNumber, subject};
use nox_protocol::retention::Archived;
use nox_streams::Broker;
use tokio::task::spawn_blocking;

use crate::{archive::fill, metrics::Metrics};

/// How often a segment that stays damaged is read again: an operator may have put it in order.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Segments of one life of the log that were read back whole.
pub struct Verified {
    log: Log,
    archive: LogArchive,
    metrics: Metrics,
    /// Bytes of the messages of each, by name and size.
    segments: BTreeMap<Key, u64>,
    damaged: BTreeMap<Key, Damage>,
}

/// A segment's first and last message, and the bytes of the object.
type Key = (FrameNumber, FrameNumber, u64);

fn key(segment: &SegmentInfo) -> Key {
    (segment.n_first, segment.n_last, segment.bytes)
}

/// A segment that cannot be had whole again.
struct Damage {
    reason: String,
    looked: Duration,
}

impl Verified {
    pub fn new(log: &Log, archive: &LogArchive, metrics: Metrics) -> Self {
        let (segments, damaged) = (BTreeMap::new(), BTreeMap::new());
        Self { log: log.clone(), archive: archive.clone(), metrics, segments, damaged }
    }

    /// A segment was read back whole, with so many bytes of messages.
    pub fn add(&mut self, segment: &SegmentInfo, raw_bytes: u64) {
        self.segments.insert(key(segment), raw_bytes);
    }

    /// Looks which segments there are of the stream, which begins with frame `first`. All up to `archived` must
    /// still be there.
    ///
    /// # Errors
    /// It is not, or archive or broker are away.
    pub async fn look(
        &mut self,
        first: FrameNumber,
        archived: FrameNumber,
        now: Duration,
    ) -> anyhow::Result<()> {
        let listed = self.archive.list().await?;
        let end = listed.end(first).map_or(FrameNumber(0), |segment| segment.n_last);
        ensure!(end >= archived, "the archive ended at frame {archived}, and now at {end}");
        let mut there = BTreeSet::new();
        for segment in listed.all() {
            let is_new = !self.segments.contains_key(&key(segment));
            let damage = self.damaged.get(&key(segment));
            let is_due =
                damage.map_or(segment.n_last >= first, |damage| now >= damage.looked + AGAIN_AFTER);
            let mended =
                if is_new && is_due { self.verify(segment, first, now).await? } else { None };
            there.extend([Some(key(segment)), mended.as_ref().map(key)].into_iter().flatten());
        }
        self.segments.retain(|key, _| there.contains(key) && key.1 >= first);
        self.damaged.retain(|key, _| there.contains(key));
        Ok(())
    }

    /// What may be cut of a stream that begins with frame `first`, as far as the archive is concerned.
    pub fn archived(&self, first: FrameNumber) -> Vec<Archived> {
        let segments = self.segments.iter().filter(|((_, last, _), _)| *last >= first);
        segments
            .map(|((first, last, _), bytes)| Archived { first: *first, last: *last, bytes: *bytes })
            .collect()
    }

    /// What is damaged in the archive, and could not be put in order.
    pub fn damage(&self) -> Option<String> {
        let (_, Damage { reason, .. }) = self.damaged.first_key_value()?;
        let others = match self.damaged.len() - 1 {
            0 => String::new(),
            count => format!(" (and {count} others)"),
        };
        Some(format!("{reason}{others}"))
    }

    /// Behind what message the archive ends, where it has the stream from its first frame on, or ends right
    /// before that; the chain there. It is where the archiving goes on, and is read back first.
    pub async fn end(
        &mut self,
        first: FrameNumber,
        now: Duration,
    ) -> anyhow::Result<Option<(FrameNumber, Chain)>> {
        let Some(segment) = self.archive.list().await?.end(first).cloned() else { return Ok(None) };
        let n = segment.n_last;
        let is_known = self.segments.contains_key(&key(&segment));
        let mended = if is_known { None } else { self.verify(&segment, first, now).await? };
        // Not of the segment alone: of one that is damaged only what the stream still has was archived again.
        if self.damaged.contains_key(&key(&segment)) {
            let chain = match n >= first {
                true => self.log.chain_at(n, true).await?.context("a frame without a chain")?,
                false => chain_before(&self.log, first).await?,
            };
            return Ok(Some((n, chain)));
        }
        let whole = mended.unwrap_or(segment);
        Ok(Some((n, self.archive.index(&whole).await?.chain_after)))
    }

    /// Reads a segment back. One that is damaged is archived again, as far as the stream still has what it
    /// held; what came of that.
    async fn verify(
        &mut self,
        segment: &SegmentInfo,
        first: FrameNumber,
        now: Duration,
    ) -> anyhow::Result<Option<SegmentInfo>> {
        let damage = match self.archive.verify(segment).await {
            Ok(index) => {
                self.add(segment, index.raw_bytes);
                self.damaged.remove(&key(segment));
                return Ok(None);
            }
            Err(damage @ ArchiveError::Damaged { .. }) => damage,
            Err(error) => return Err(error.into()),
        };
        let mended = self.mend(segment, first).await;
        if let Ok(Some(mended)) = &mended {
            self.metrics.segments_mended.inc();
            tracing::warn!(%damage, segment = mended.name(), "Archived again from the stream");
            if mended.name() == segment.name() {
                self.damaged.remove(&key(segment));
                return Ok(Some(mended.clone()));
            }
        }
        let reason = match &mended {
            Ok(Some(mended)) => format!(
                "{damage}; what the stream still had of it is in {}: restore {} from a backup",
                mended.name(),
                segment.name()
            ),
            Ok(None) => match self.damaged.get_mut(&key(segment)) {
                Some(known) => {
                    known.looked = now;
                    return Ok(None);
                }
                None => format!("{damage}; restore it from a backup"),
            },
            Err(error) => format!("{damage}; and it cannot be archived again: {error:#}"),
        };
        tracing::error!(reason, "A segment of the archive is damaged");
        self.damaged.insert(key(segment), Damage { reason, looked: now });
        mended.or(Ok(None))
    }

    /// Archives again what the stream still has of a segment; `None` if that is nothing, or is archived.
    async fn mend(
        &mut self,
        segment: &SegmentInfo,
        first: FrameNumber,
    ) -> anyhow::Result<Option<SegmentInfo>> {
        let broker = self.log.broker();
        let is_whole = has_all(broker, segment.n_first, first).await?;
        let from = if is_whole { segment.n_first } else { first };
        if !is_whole && (from > segment.n_last || self.has(from, segment.n_last)) {
            return Ok(None);
        }
        let chain = chain_before(&self.log, from).await?;
        let mut builder = SegmentBuilder::new(FrameNumber(from.0 - 1), chain);
        let mut messages = self.log.read(from, segment.n_last);
        while let Some(chunk) = messages.next().await {
            (builder, _) = fill(builder, chunk?.into(), u64::MAX).await?;
        }
        let closed = spawn_blocking(move || builder.close()).await?.context("an empty segment")?;
        let raw_bytes = closed.raw_bytes;
        let mended = self.archive.replace(closed).await?;
        self.add(&mended, raw_bytes);
        Ok(Some(mended))
    }

    fn has(&self, from: FrameNumber, to: FrameNumber) -> bool {
        self.segments.keys().any(|(first, last, _)| *first <= from && *last >= to)
    }
}

/// Whether the stream, the first frame of which is `first`, has everything from message `n` on: records of
/// epochs outlive a cut.
pub async fn has_all(broker: &Broker, n: FrameNumber, first: FrameNumber) -> anyhow::Result<bool> {
    for n in n.0..first.0 {
        if broker.read_one(subject::EVENTS, n).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The chain before message `n`, as the log has it.
pub async fn chain_before(log: &Log, n: FrameNumber) -> anyhow::Result<Chain> {
    let message = log.frame(n).await?.context("the log ends before that")?;
    let chain = if message.subject == subject::EPOCH {
        log.chain_at(FrameNumber(n.0 - 1), true).await?
    } else {
        Chain::parse(&FrameHead::read(&message.payload)?.prev)
    };
    chain.with_context(|| format!("no chain is known before message {n}"))
}
