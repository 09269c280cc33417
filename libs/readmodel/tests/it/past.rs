//! A job as it was, folded from its history, is the job that its row showed then.

use std::collections::BTreeMap;

use nox_contract::{Fact, FrameNumber, JobState, WaitingCode};
use nox_readmodel::{AsOf, JobRow, Past, PastError, past::past, query::JobEntry};

use crate::{
    log::{JobOf, Log, eventful, eventful_in},
    support::Database,
};

const JOBS: u64 = 96;

fn job(number: u64) -> JobOf {
    let (tenant, user) = [("acme", "ada"), ("acme", "bob"), ("zeta", "ada")][number as usize % 3];
    JobOf::new(tenant, user, ["command", "xtb"][number as usize % 2], number)
}

#[tokio::test]
async fn a_job_as_it_was_is_what_its_row_showed_then() {
    for log in [eventful(JOBS as usize), eventful_in(Log::in_frames_of(40), JOBS as usize)] {
        let database = Database::start().await;
        let mut store = database.store().await;
        let reader = database.reader();
        // What the rows showed, whenever a batch had been taken in.
        let mut shown: BTreeMap<(FrameNumber, u64), JobRow> = BTreeMap::new();
        for batch in log.batches(log.n().0 as usize / 8 + 1) {
            store.commit(&batch).await.unwrap();
            for number in 0..JOBS {
                let job = job(number);
                let row = reader.job(&job.tenant, job.id).await.unwrap().value;
                shown.extend(row.map(|row| ((batch.end().0, number), row)));
            }
        }
        let mut compared = 0;
        for number in 0..JOBS {
            let job = job(number);
            let Some(present) = reader.job(&job.tenant, job.id).await.unwrap().value else {
                continue;
            };
            let history = log.history(&reader, &job, FrameNumber(0)).await;
            let now = told(&present, &history, None).unwrap();
            assert_eq!(now.row, present, "job {number} as it is");
            for ((n, _), then) in shown.iter().filter(|((_, of), _)| *of == number) {
                let as_of = told(&present, &history, Some(AsOf::Frame(*n))).unwrap();
                assert_eq!(as_of.row, *then, "job {number} at {n}");
                compared += 1;
            }
            let first = &now.standings[0];
            assert_eq!(first.from, present.created_at);
            assert!(now.standings.is_sorted_by_key(|standing| (standing.from, standing.n)));
            let before = AsOf::Frame(FrameNumber(present.submitted_n.0 - 1));
            assert_eq!(told(&present, &history, Some(before)), None);
        }
        assert!(compared > JOBS, "{compared} rows were compared");
    }
}

#[tokio::test]
async fn a_start_that_is_told_with_the_end_stands_between_wait_and_end() {
    let database = Database::start().await;
    let mut log = Log::in_frames_of(100);
    log.open_tenant("acme", &["ada"]);
    let job = job(0);
    log.submit(&job);
    log.entry(&job.entity(), [Fact::Waiting { code: WaitingCode::Resources }]);
    log.seal();
    log.assign(&job, "exec-1", 1);
    log.seal();
    log.start_and_succeed(&job, "exec-1");
    log.seal();
    database.filled(&log, 10).await;
    let reader = database.reader();
    let row = reader.job(&job.tenant, job.id).await.unwrap().value.unwrap();
    let history = log.history(&reader, &job, FrameNumber(0)).await;
    let past = told(&row, &history, None).unwrap();
    let stood: Vec<_> = past.standings.iter().map(|s| (s.state, s.waiting)).collect();
    let expected = [
        (JobState::Queued, Some(WaitingCode::NoWorker)),
        (JobState::Queued, Some(WaitingCode::Resources)),
        (JobState::Queued, Some(WaitingCode::Dispatching)),
        (JobState::Running, None),
        (JobState::Succeeded, None),
    ];
    assert_eq!(stood, expected);
    // Not before there was anything to start, whatever its worker says.
    let assigned = past.standings[2].from;
    assert_eq!(past.standings[3].from, row.started_at.unwrap().max(assigned));
}

#[tokio::test]
async fn an_attempt_runs_when_it_was_said_to_start_and_not_when_it_was_given_away() {
    let database = Database::start().await;
    let log = eventful(8);
    database.filled(&log, 64).await;
    let reader = database.reader();
    // It succeeds at its second attempt.
    let job = job(2);
    let row = reader.job(&job.tenant, job.id).await.unwrap().value.unwrap();
    let history = log.history(&reader, &job, FrameNumber(0)).await;
    let past = told(&row, &history, None).unwrap();
    let ran = past.standings.iter().filter(|standing| standing.state == JobState::Running);
    assert_eq!(ran.map(|standing| standing.attempt.0).collect::<Vec<_>>(), [1, 2]);
}

/// The negative control: with an entry less, nobody is told anything.
#[tokio::test]
async fn a_history_that_lacks_an_entry_is_refused() {
    let database = Database::start().await;
    let log = eventful(8);
    database.filled(&log, 64).await;
    let reader = database.reader();
    let job = job(1);
    let row = reader.job(&job.tenant, job.id).await.unwrap().value.unwrap();
    let mut history = log.history(&reader, &job, FrameNumber(0)).await;
    assert!(past(&row, &history, None).is_ok());
    history.remove(1);
    assert!(matches!(past(&row, &history, None), Err(PastError::Illegal(_))));
}

fn told(row: &JobRow, history: &[JobEntry], as_of: Option<AsOf>) -> Option<Past> {
    past(row, history, as_of).unwrap()
}
