use nox_protocol::Retention;
use nox_service::Readiness;

use super::*;
use crate::{
    fixture::{Fixture, chain, messages_at, segment},
    snapshot,
};

const WITHIN: Duration = Duration::from_secs(30);

/// Archives the fixture's log until dropped.
fn start(fixture: &Fixture, close_after: Duration) -> (AbortOnDropHandle<()>, Metrics) {
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let archive = fixture.log.archive().unwrap();
    // Nothing goes without a snapshot, so that it is there to be compared.
    let retention = Retention { cut_percent: 0, tail_percent: 0, reader_percent: 70 };
    let end = FrameNumber(fixture.messages.len() as u64);
    let task = Task {
        broker: fixture.broker.clone(),
        clock: Clock::system(),
        health: Health::new(Readiness::default(), metrics.clone()),
        metrics: metrics.clone(),
        log: fixture.log.clone(),
        cutting: Cutting::by(retention, metrics.clone(), &fixture.log, archive),
        archive: archive.clone(),
        close_after,
        recent: Arc::new(Recent::new(0, end)),
        snapshot_wanted: Arc::default(),
    };
    (AbortOnDropHandle::new(tokio::spawn(task.run())), metrics)
}

async fn until_archived(fixture: &Fixture, metrics: &Metrics) {
    let last = i64::try_from(fixture.messages.len()).unwrap();
    let archived = async {
        while metrics.archived_n.get() < last {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, archived).await.expect("the log to be archived to its end");
}

#[tokio::test]
async fn a_damaged_segment_is_archived_again_and_what_follows_as_well() {
    let fixture = &Fixture::new(60).await;
    let archive = fixture.log.archive().unwrap();
    for n in [1, 11, 21] {
        archive.put(segment(&fixture.messages, n, n + 9)).await.unwrap();
    }
    let segments = archive.segments().await.unwrap();
    // A block in the middle, and the index of the last one.
    let half = segments[1].bytes as usize - 20;
    fixture.damage(&segments[1].name(), half);
    fixture.damage(&segments[2].name(), 100);
    for segment in &segments[1..] {
        assert!(archive.verify(segment).await.is_err(), "the control");
    }
    let (_task, metrics) = start(fixture, Duration::from_secs(1));
    until_archived(fixture, &metrics).await;
    for segment in archive.segments().await.unwrap() {
        archive.verify(&segment).await.unwrap();
    }
    assert_eq!(archive.end().await.unwrap().0, FrameNumber(60));
    assert_eq!(metrics.segments_mended.get(), 2);
    assert_eq!(metrics.archive_failing.get(), 0);
}

#[tokio::test]
async fn a_log_whose_time_ran_ahead_is_archived_in_time() {
    let fixture = &Fixture::of(messages_at(25, "", "2126-01-01T00:00:00Z")).await;
    let (_task, metrics) = start(fixture, Duration::from_secs(1));
    until_archived(fixture, &metrics).await;
}

#[tokio::test]
async fn the_oldest_segments_may_be_removed_and_all_goes_on() {
    let fixture = &Fixture::new(60).await;
    let (broker, written) = (&fixture.broker, &fixture.messages);
    let archive = fixture.log.archive().unwrap();
    for n in [1, 11, 21] {
        archive.put(segment(written, n, n + 9)).await.unwrap();
    }
    broker.cut_log(26).await.unwrap();
    for segment in &archive.segments().await.unwrap()[..2] {
        std::fs::remove_file(fixture.file(&segment.name())).unwrap();
    }
    let name = snapshot::name(FrameNumber(55), chain(written, 55));
    broker.put_snapshot(&name, vec![]).await.unwrap();
    let (_task, metrics) = start(fixture, Duration::from_secs(1));
    until_archived(fixture, &metrics).await;
    assert_eq!(archive.segments().await.unwrap()[0].n_first, FrameNumber(21), "none comes back");
    let cut = async {
        while metrics.log_first_n.get() < 55 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, cut).await.expect("the log to be cut");
    assert_eq!(metrics.archive_failing.get(), 0);
    for n in 21..=60 {
        let found = fixture.log.frame(FrameNumber(n)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&written[n as usize - 1]), "{n}");
    }
    let gone = fixture.log.frame(FrameNumber(5)).await;
    assert!(matches!(gone, Err(LogError::Missing { n: FrameNumber(5), .. })), "{gone:?}");
}

#[tokio::test]
async fn an_archive_that_takes_nothing_is_alarmed_of_until_it_does() {
    let fixture = &Fixture::new(25).await;
    // In the place of the folder that segments go into.
    let log = fixture.archive_folder().join("log");
    std::fs::write(&log, b"?").unwrap();
    let (_task, metrics) = start(fixture, Duration::from_secs(1));
    let alarmed = async {
        while metrics.archive_failing.get() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, alarmed).await.expect("an alarm");
    assert_eq!(metrics.archived_n.get(), 0);
    std::fs::remove_file(&log).unwrap();
    until_archived(fixture, &metrics).await;
    let well = async {
        while metrics.archive_failing.get() == 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, well).await.expect("no alarm any more");
}
