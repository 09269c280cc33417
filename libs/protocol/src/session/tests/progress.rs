//! Progress on its way: the latest of each attempt, and none of one that is over.

use super::*;

#[test]
fn of_the_progress_that_cannot_be_stored_yet_the_latest_is_kept() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 1), start(2, 2)]);
    worker.spawned(1);
    worker.spawned(2);
    worker.pass(STARTED_AFTER);
    // Something is in flight, and so all that follows is owed.
    let in_flight = worker.sent.len();
    let told = |percent| Progress { percent: Some(percent), message: None };
    for percent in [10, 20, 30] {
        worker.session.on_progressed(held(1), told(percent), worker.now);
        worker.session.on_progressed(held(2), told(percent + 1), worker.now);
    }
    worker.ended(2);
    // What has ended gets no further.
    worker.session.on_progressed(held(2), told(99), worker.now);
    worker.ack(2);
    let reports = worker.sent[in_flight..].iter().flat_map(|(_, message)| &message.reports);
    let percents: Vec<_> = reports
        .filter_map(|report| match report {
            Report::Progressed(progressed) => progressed.progress.percent,
            _ => None,
        })
        .collect();
    assert_eq!(percents, [30, 31]);
}

#[test]
fn what_a_program_says_before_anybody_says_that_it_began_counts() {
    let mut worker = Worker::new();
    worker.work(vec![start(1, 1)]);
    let first = Progress { percent: Some(10), message: None };
    worker.session.on_progressed(held(1), first, worker.now);
    worker.spawned(1);
    worker.pass(STARTED_AFTER);
    assert!(worker.said().contains(&"progressed:1".to_owned()), "{:?}", worker.said());
}
