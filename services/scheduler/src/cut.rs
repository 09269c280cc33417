//! Cuts the log's stream where it gets full: by what the archive has and was read back, by snapshots that the
//! log agrees with, and by what readers say.

use std::{collections::BTreeSet, time::Duration};

use nox_archive::{Log, LogArchive};
use nox_contract::{FrameNumber, subject};
use nox_protocol::{
    Faults, Retention,
    retention::{Hold, Kept, LogUsage},
};
use nox_service::crash_point;
use nox_streams::{Broker, Readers};

use crate::{Scheduler, metrics::Metrics, snapshot, verified::Verified};

/// How often it is looked which segments there are, where nothing is cut by them: others may add or remove some.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// A stream that should be cut and cannot be for so long is worth a look: a snapshot takes seconds, and a
/// reader that is behind some more.
const HELD_LONG: Duration = Duration::from_secs(120);

/// Cuts one life of the log.
pub struct Cutting {
    broker: Broker,
    metrics: Metrics,
    log: Log,
    pub verified: Verified,
    retention: Retention,
    /// When it was looked which segments there are.
    listed: Option<Duration>,
    /// Since when nothing may go, and for whose sake.
    held: Option<(Duration, Hold)>,
    /// Readers of which it was said that nobody can read how far they are.
    unreadable: BTreeSet<String>,
}

/// What came of looking at the stream.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The limit of the stream, if it has one.
    pub bytes_max: Option<u64>,
    /// So many frames went.
    pub frames: u64,
    /// More could go if there was a newer snapshot.
    pub wants_snapshot: bool,
    /// What has kept the stream from being cut for long.
    pub held: Option<String>,
}

impl Cutting {
    pub fn new(scheduler: &Scheduler, log: &Log, archive: &LogArchive) -> Self {
        let Scheduler { config, metrics, .. } = scheduler;
        Self::by(config.retention(), metrics.clone(), log, archive)
    }

    pub fn by(retention: Retention, metrics: Metrics, log: &Log, archive: &LogArchive) -> Self {
        Self {
            broker: log.broker().clone(),
            verified: Verified::new(log, archive, metrics.clone()),
            metrics,
            log: log.clone(),
            retention,
            listed: None,
            held: None,
            unreadable: BTreeSet::new(),
        }
    }

    /// Cuts the stream if it is full enough. All up to `archived` must still be in the archive.
    pub async fn cut(&mut self, archived: FrameNumber, now: Duration) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::default();
        let usage = self.broker.usage(subject::EVENTS).await?;
        let Some(bytes_max) = usage.bytes_max else { return Ok(outcome) };
        outcome.bytes_max = Some(bytes_max);
        let is_due = self.retention.is_due(usage.bytes, bytes_max);
        if !is_due {
            self.goes(now, None);
        }
        // What is damaged may be in order again, and then nobody needs to be told any more.
        if !is_due && self.verified.damage().is_none() {
            return Ok(outcome);
        }
        let Some(first) = self.broker.first_frame().await? else { return Ok(outcome) };
        let usage = LogUsage { bytes: usage.bytes, bytes_max, first: FrameNumber(first) };
        let mut is_listed = self.listed.is_none_or(|at| now >= at + LIST_EVERY);
        if is_listed {
            self.look(usage.first, archived, now).await?;
        }
        if !is_due {
            return Ok(outcome);
        }
        let readers = self.readers().await?;
        let snapshot = snapshot::newest(&self.log).await?;
        let cut = loop {
            let segments = self.verified.archived(usage.first);
            let kept = Kept { segments: &segments, snapshot, readers: &readers };
            let Some(cut) = self.retention.cut(usage, kept, Faults::default()) else {
                return Ok(outcome);
            };
            if is_listed || cut.before.is_none() {
                break cut;
            }
            // Nothing goes by what may have been removed from the archive since.
            self.look(usage.first, archived, now).await?;
            is_listed = true;
        };

        for reader in cut.left_behind.iter().filter(|_| cut.before.is_some()) {
            self.metrics.readers_left_behind.with_label_values(&[reader]).inc();
            tracing::warn!(reader, "Cuts the log before a reader has come so far");
        }
        outcome.wants_snapshot = cut.hold == Some(Hold::Snapshot);
        if let Some(before) = cut.before {
            crash_point("scheduler.before_cut");
            outcome.frames = self.broker.cut_log(before.0).await?;
            crash_point("scheduler.after_cut");
            self.metrics.log_first_n.set(i64::try_from(before.0).unwrap_or(i64::MAX));
            tracing::info!(before = before.0, outcome.frames, "Cut the log's stream");
        }
        outcome.held = self.goes(now, cut.hold.filter(|_| outcome.frames == 0));
        Ok(outcome)
    }

    async fn look(
        &mut self,
        first: FrameNumber,
        archived: FrameNumber,
        now: Duration,
    ) -> anyhow::Result<()> {
        self.verified.look(first, archived, now).await?;
        self.listed = Some(now);
        Ok(())
    }

    /// Counts for how long nothing may go of a stream that should be cut, for the sake of `hold`; says so when
    /// that is long.
    fn goes(&mut self, now: Duration, hold: Option<Hold>) -> Option<String> {
        if self.held.as_ref().map(|(_, hold)| hold) != hold.as_ref() {
            self.metrics.log_held_seconds.reset();
            self.held = hold.map(|hold| (now, hold));
        }
        let (since, hold) = self.held.as_ref()?;
        let held_for = now.saturating_sub(*since);
        let (by, what) = match hold {
            Hold::Archive => ("archive", "frames that are not in the archive".to_owned()),
            Hold::Snapshot => ("snapshot", "want of a newer snapshot".to_owned()),
            Hold::Reader(reader) => ("reader", format!("the reader {reader}")),
        };
        let seconds = held_for.as_secs();
        let gauge = self.metrics.log_held_seconds.with_label_values(&[by]);
        gauge.set(i64::try_from(seconds).unwrap_or(i64::MAX));
        (held_for >= HELD_LONG).then(|| {
            format!("nothing could be cut off its stream for {seconds} s, because of {what}")
        })
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
        let incarnation = self.log.incarnation();
        let positions = positions.into_iter().filter(|(_, at)| at.incarnation == *incarnation);
        Ok(positions.map(|(name, at)| (name, FrameNumber(at.seq))).collect())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use nox_contract::Position;

    use super::*;
    use crate::fixture::{Fixture, chain, messages, segment};

    const ALL: Retention = Retention { cut_percent: 0, tail_percent: 0, reader_percent: 70 };

    fn cutting(fixture: &Fixture) -> Cutting {
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        Cutting::by(ALL, metrics, &fixture.log, fixture.log.archive().unwrap())
    }

    /// The first frame that is left in the stream when it was cut, and whether a snapshot is waited for.
    async fn cut(cutting: &mut Cutting, archived: u64) -> (u64, bool) {
        let outcome = cutting.cut(FrameNumber(archived), Duration::ZERO).await.unwrap();
        (cutting.broker.first_frame().await.unwrap().unwrap(), outcome.wants_snapshot)
    }

    #[tokio::test]
    async fn the_stream_is_cut_up_to_a_snapshot_of_the_log_and_to_readers_that_say_where_they_are()
    {
        let fixture = &Fixture::new(25).await;
        let (broker, written) = (&fixture.broker, &fixture.messages);
        let archive = fixture.log.archive().unwrap();
        archive.put(segment(written, 1, 22)).await.unwrap();
        let cutting = &mut cutting(fixture);
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

    #[tokio::test]
    async fn a_segment_is_read_once_however_often_the_stream_is_looked_at() {
        let fixture = &Fixture::new(210).await;
        let (broker, written) = (&fixture.broker, &fixture.messages);
        let archive = fixture.log.archive().unwrap();
        // More than there are indexes in memory.
        for n in (1..=210).step_by(2) {
            archive.put(segment(written, n, n + 1)).await.unwrap();
        }
        let cutting = &mut cutting(fixture);
        let mut requests = archive.requests();
        let mut since = || {
            let before = std::mem::replace(&mut requests, archive.requests());
            requests - before
        };
        cut(cutting, 210).await;
        assert_eq!(since(), 1 + 105, "all are listed, and each is read back");
        cut(cutting, 210).await;
        assert_eq!(since(), 0, "nothing may go, for want of a snapshot");
        let name = snapshot::name(FrameNumber(100), chain(written, 100));
        broker.put_snapshot(&name, vec![]).await.unwrap();
        assert_eq!(cut(cutting, 210).await, (101, true), "100 is an epoch's record");
        assert_eq!(since(), 1, "it is looked whether all are still there");
        std::fs::remove_file(fixture.file(&archive.segments().await.unwrap()[104].name())).unwrap();
        let outcome = cutting.cut(FrameNumber(210), LIST_EVERY).await;
        let error = outcome.unwrap_err().to_string();
        assert_eq!(error, "the archive ended at frame 210, and now at 208");
    }

    #[tokio::test]
    async fn who_holds_the_stream_for_long_is_said() {
        let fixture = &Fixture::new(25).await;
        let (broker, written) = (&fixture.broker, &fixture.messages);
        fixture.log.archive().unwrap().put(segment(written, 1, 22)).await.unwrap();
        let cutting = &mut cutting(fixture);
        let held = async |cutting: &mut Cutting, seconds| {
            let now = Duration::from_secs(seconds);
            let outcome = cutting.cut(FrameNumber(22), now).await.unwrap();
            let gauge = cutting.metrics.log_held_seconds.with_label_values(&["snapshot"]);
            (outcome.held.is_some_and(|by| by.contains("snapshot")), gauge.get())
        };
        assert_eq!(held(cutting, 1_000).await, (false, 0));
        assert_eq!(held(cutting, 1_060).await, (false, 60));
        assert_eq!(held(cutting, 1_130).await, (true, 130));
        let name = snapshot::name(FrameNumber(15), chain(written, 15));
        broker.put_snapshot(&name, vec![]).await.unwrap();
        assert_eq!(held(cutting, 1_140).await, (false, 0), "it is cut");
        assert_eq!(held(cutting, 1_150).await, (false, 0), "and held again, not for long");
    }

    #[tokio::test]
    async fn of_a_damaged_segment_what_the_stream_has_is_kept_and_the_rest_is_alarmed_of() {
        let fixture = &Fixture::new(40).await;
        let (broker, written) = (&fixture.broker, &fixture.messages);
        let archive = fixture.log.archive().unwrap();
        for n in [1, 11, 21, 31] {
            archive.put(segment(written, n, n + 9)).await.unwrap();
        }
        let names: Vec<_> = archive.segments().await.unwrap().iter().map(|s| s.name()).collect();
        let whole = std::fs::read(fixture.file(&names[1])).unwrap();
        broker.cut_log(16).await.unwrap();
        fixture.damage(&names[1], 1);
        let name = snapshot::name(FrameNumber(35), chain(written, 35));
        broker.put_snapshot(&name, vec![]).await.unwrap();
        let cutting = &mut cutting(fixture);
        assert_eq!(cut(cutting, 40).await.0, 35, "it holds nothing back");
        let damage = cutting.verified.damage().unwrap();
        assert!(damage.contains(&names[1]) && damage.contains("00016-"), "{damage}");
        let reads = async |n| archive.frame(FrameNumber(n)).await.map(Option::unwrap);
        for n in (1..11).chain(16..=40) {
            assert_eq!(reads(n).await.unwrap(), written[n as usize - 1], "{n}");
        }
        assert!(reads(12).await.is_err(), "the control: it is nowhere");

        cutting.cut(FrameNumber(40), Duration::from_secs(70)).await.unwrap();
        assert_eq!(cutting.verified.damage(), Some(damage));
        std::fs::write(fixture.file(&names[1]), whole).unwrap();
        cutting.cut(FrameNumber(40), Duration::from_secs(140)).await.unwrap();
        assert_eq!(cutting.verified.damage(), None, "restored from a backup");
    }
}
