//! Cuts the log's stream where it gets full: by what the archive has and was read back, by snapshots that the
//! log agrees with, and by what readers say.

use std::collections::BTreeSet;

use anyhow::ensure;
use nox_archive::{Log, LogArchive, SegmentInfo};
use nox_contract::{FrameNumber, subject};
use nox_protocol::{
    Faults, Retention,
    retention::{Archived, Hold, Kept, LogUsage},
};
use nox_service::crash_point;
use nox_streams::{Broker, Readers};

use crate::{Scheduler, metrics::Metrics, snapshot};

/// Cuts one life of the log.
pub struct Cutting {
    broker: Broker,
    metrics: Metrics,
    log: Log,
    archive: LogArchive,
    retention: Retention,
    /// Segments of what the stream has that were read back whole.
    verified: Vec<SegmentInfo>,
    /// Readers of which it was said that nobody can read how far they are.
    unreadable: BTreeSet<String>,
}

/// What came of looking at the stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// The limit of the stream, if it has one.
    pub bytes_max: Option<u64>,
    /// So many frames went.
    pub frames: u64,
    /// More could go if there was a newer snapshot.
    pub wants_snapshot: bool,
}

impl Cutting {
    pub fn new(scheduler: &Scheduler, log: &Log, archive: &LogArchive) -> Self {
        let Scheduler { config, metrics, .. } = scheduler;
        Self::by(config.retention(), metrics.clone(), log, archive)
    }

    pub fn by(retention: Retention, metrics: Metrics, log: &Log, archive: &LogArchive) -> Self {
        Self {
            broker: log.broker().clone(),
            metrics,
            log: log.clone(),
            archive: archive.clone(),
            retention,
            verified: Vec::new(),
            unreadable: BTreeSet::new(),
        }
    }

    /// Cuts the stream if it is full enough. All up to `archived` must still be in the archive.
    pub async fn cut(&mut self, archived: FrameNumber) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        let usage = self.broker.usage(subject::EVENTS).await?;
        let Some(bytes_max) = usage.bytes_max else { return Ok(outcome) };
        outcome.bytes_max = Some(bytes_max);
        if !self.retention.is_due(usage.bytes, bytes_max) {
            return Ok(outcome);
        }
        let Some(first) = self.broker.first_frame().await? else { return Ok(outcome) };
        let usage = LogUsage { bytes: usage.bytes, bytes_max, first: FrameNumber(first) };
        let end = self.archive.end_behind(usage.first).await?.map_or(0, |(end, _)| end.0);
        ensure!(end >= archived.0, "the archive ended at frame {archived}, and now at {end}");
        let segments = self.segments(usage.first).await?;
        let readers = self.readers().await?;
        let snapshot = snapshot::newest(&self.log).await?;
        let kept = Kept { segments: &segments, snapshot, readers: &readers };
        let Some(cut) = self.retention.cut(usage, kept, Faults::default()) else {
            return Ok(outcome);
        };

        for reader in cut.left_behind.iter().filter(|_| cut.before.is_some()) {
            self.metrics.readers_left_behind.with_label_values(&[reader]).inc();
            tracing::warn!(reader, "Cuts the log before a reader has come so far");
        }
        match &cut.hold {
            Some(Hold::Snapshot) => outcome.wants_snapshot = true,
            Some(Hold::Reader(reader)) => tracing::info!(reader, "A reader holds the log back"),
            Some(Hold::Archive) | None => {}
        }
        if let Some(before) = cut.before {
            crash_point("scheduler.before_cut");
            outcome.frames = self.broker.cut_log(before.0).await?;
            crash_point("scheduler.after_cut");
            self.metrics.log_first_n.set(i64::try_from(before.0).unwrap_or(i64::MAX));
            tracing::info!(before = before.0, outcome.frames, "Cut the log's stream");
        }
        Ok(outcome)
    }

    /// Who follows this life of the log, and how far. What nobody can read holds nothing back.
    async fn readers(&mut self) -> anyhow::Result<Vec<(String, FrameNumber)>> {
        let Readers { positions, unreadable } = self.broker.readers().await?;
        for (subject, reason) in &unreadable {
            if !self.unreadable.contains(subject) {
                let reader = subject::last_token(subject);
                tracing::warn!(
                    reader,
                    subject,
                    reason,
                    "Cannot read how far a reader is; passes it over"
                );
            }
        }
        self.unreadable = unreadable.into_keys().collect();
        let incarnation = self.archive.incarnation();
        let positions = positions.into_iter().filter(|(_, at)| at.incarnation == *incarnation);
        Ok(positions.map(|(name, at)| (name, FrameNumber(at.seq))).collect())
    }

    /// What the archive has of the stream from `first` on. Segments that others wrote are read once before
    /// anything is cut by them.
    async fn segments(&mut self, first: FrameNumber) -> anyhow::Result<Vec<Archived>> {
        let mut found = self.archive.segments().await?;
        found.retain(|segment| segment.n_last >= first);
        self.verified.retain(|segment| segment.n_last >= first);
        let mut segments = Vec::new();
        for segment in found {
            if !self.verified.contains(&segment) {
                self.archive.verify(&segment).await?;
                self.verified.push(segment.clone());
            }
            let bytes = self.archive.index(&segment).await?.raw_bytes;
            segments.push(Archived { first: segment.n_first, last: segment.n_last, bytes });
        }
        Ok(segments)
    }

    /// A segment that was read back whole.
    pub fn has_verified(&mut self, segment: SegmentInfo) {
        self.verified.push(segment);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use nox_contract::Position;

    use super::*;
    use crate::fixture::{Fixture, chain, messages, segment};

    /// The first frame that is left in the stream when it was cut, and whether a snapshot is waited for.
    async fn cut(cutting: &mut Cutting, archived: u64) -> (u64, bool) {
        let outcome = cutting.cut(FrameNumber(archived)).await.unwrap();
        (cutting.broker.first_frame().await.unwrap().unwrap(), outcome.wants_snapshot)
    }

    #[tokio::test]
    async fn the_stream_is_cut_up_to_a_snapshot_of_the_log_and_to_readers_that_say_where_they_are()
    {
        let fixture = &Fixture::new(25).await;
        let (broker, written) = (&fixture.broker, &fixture.messages);
        let archive = fixture.log.archive().unwrap();
        archive.put(segment(written, 1, 22)).await.unwrap();
        let retention = Retention { cut_percent: 0, tail_percent: 0, reader_percent: 70 };
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let cutting = &mut Cutting::by(retention, metrics, &fixture.log, archive);
        // Of what the log lost, and of nothing at all.
        let other = messages(40, "another history");
        for (n, of) in [(15, written), (19, &other), (40, &other)] {
            let name = snapshot::name(FrameNumber(n), chain(of, n));
            broker.put_snapshot(&name, vec![]).await.unwrap();
        }
        let at = |seq| Position { incarnation: archive.incarnation().clone(), seq };
        broker.tell_reader("projector", &at(11)).await.unwrap();
        broker.publish(subject::reader("other"), None, Bytes::from_static(b"?")).await.unwrap();
        assert_eq!(cut(cutting, 22).await, (12, false), "the reader holds the rest");
        assert_eq!(cutting.unreadable, [subject::reader("other")].into());

        broker.tell_reader("projector", &at(25)).await.unwrap();
        assert_eq!(cut(cutting, 22).await, (15, true), "a takeover needs the rest");
    }
}
