//! What comes again of a job that is over.

use std::time::Duration;

use nox_contract::{FrameNumber, JobState, ProblemCode};
use nox_readmodel::{JobRow, Store, StoreError, audit, rebuild};

use crate::{
    log::{JobOf, Log},
    rebuild::messages,
    support::{Database, commit_all},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn row(database: &Database, job: &JobOf) -> JobRow {
    database.reader().job(&job.tenant, job.id).await.unwrap().value.unwrap()
}

/// A log with a job that succeeded.
fn succeeded(job: &JobOf) -> Log {
    let mut log = Log::new();
    log.open_tenant("acme", &["ada"]);
    log.join("exec-1", &["xtb"]);
    log.submit_and_assign(job, "exec-1");
    log.start_and_succeed(job, "exec-1");
    log
}

/// The scheduler has forgotten the job, and a copy of its submit was promised: what stands in the log then
/// changes nothing, however long the job has been over.
#[tokio::test]
async fn a_stale_copy_of_a_submit_leaves_the_job_as_it_ended() {
    let unkeyed = JobOf::new("acme", "ada", "xtb", 1);
    for job in [unkeyed.clone(), unkeyed.keyed()] {
        for (later, size) in [(Duration::from_secs(1_800), 1), (3 * DAY, 1), (3 * DAY, 1_000)] {
            let mut log = succeeded(&job);
            let before = {
                let database = Database::start().await;
                database.filled(&log, 1).await;
                row(&database, &job).await
            };
            log.at = log.at + later;
            let n = log.reject(&job, ProblemCode::StaleStamp);

            let database = Database::start().await;
            database.filled(&log, size).await;
            // What was asked last is told, and nothing else moves.
            assert_eq!(row(&database, &job).await, JobRow { n, ..before });
            let history = log.history(&database.reader(), &job, FrameNumber(0)).await;
            let told: Vec<_> = history.iter().map(|entry| entry.entry.get().to_owned()).collect();
            let written: Vec<_> =
                log.entries_of(&job).into_iter().map(|(_, entry)| entry).collect();
            assert_eq!(told, written);
            assert_eq!(told.len(), 3);
            assert_eq!(audit::ledger_differences(&database.url).await.unwrap(), []);
            assert_eq!(audit::usage_differences(&database.url).await.unwrap(), []);
            let metrics = database.reader().metrics().await.unwrap().value;
            assert_eq!(metrics.submitted.iter().map(|of| of.count).sum::<u64>(), 1);
            assert_eq!(metrics.failures, []);
            let rebuilt = rebuild(&database.url, messages(&log.messages)).await.unwrap();
            assert!(rebuilt.is_equal(), "{rebuilt:?}");
        }
    }
}

/// The control: where there is no job, the copy makes a failed one.
#[tokio::test]
async fn a_stale_submit_of_which_there_is_no_job_is_a_failed_one() {
    let job = JobOf::new("acme", "ada", "xtb", 1).keyed();
    let mut log = Log::new();
    log.reject(&job, ProblemCode::StaleStamp);
    let database = Database::start().await;
    database.filled(&log, 1).await;
    let row = row(&database, &job).await;
    assert_eq!(
        (row.status, row.error.unwrap().code.as_str()),
        (JobState::Failed, "rejected:stale_stamp")
    );
}

/// A key makes another job as soon as the row of the first may have expired; rows that are kept for longer
/// come by the same place.
#[tokio::test]
async fn a_key_that_comes_again_after_a_day_begins_another_job() {
    let job = JobOf::new("acme", "ada", "xtb", 1).keyed();
    for refused in [false, true] {
        let mut log = succeeded(&job);
        log.at = log.at + DAY;
        let n = match refused {
            false => log.submit(&job),
            true => log.reject(&job, ProblemCode::BudgetExhausted),
        };
        for size in [1, 1_000] {
            let database = Database::start().await;
            database.filled(&log, size).await;
            let row = row(&database, &job).await;
            let status = if refused { JobState::Failed } else { JobState::Queued };
            assert_eq!((row.status, row.submitted_n, row.outputs), (status, n, None));
            let rebuilt = rebuild(&database.url, messages(&log.messages)).await.unwrap();
            assert!(rebuilt.is_equal(), "{rebuilt:?}");
        }
    }
}

/// Before that, and without a key, the log or the code is broken: a success is not thrown away for it.
#[tokio::test]
async fn a_job_that_begins_again_while_its_row_has_to_be_there_stops_the_store() {
    let unkeyed = JobOf::new("acme", "ada", "xtb", 1);
    let almost_a_day = DAY - Duration::from_secs(1);
    for (job, later) in [(unkeyed.clone().keyed(), almost_a_day), (unkeyed, 3 * DAY)] {
        for (refused, size) in [(false, 1), (false, 1_000), (true, 1)] {
            let mut log = succeeded(&job);
            let before = log.n();
            log.at = log.at + later;
            match refused {
                false => log.submit(&job),
                true => log.reject(&job, ProblemCode::BudgetExhausted),
            };
            let database = Database::start().await;
            let mut store = Store::new(&database.url).unwrap();
            store.prepare().await.unwrap();
            if size == 1 {
                commit_all(&mut store, vec![log.batches(before.0 as usize).swap_remove(0)]).await;
                let outcome = store.commit(&log.batch_after(before)).await;
                assert!(matches!(outcome, Err(StoreError::Illegal(_))), "{outcome:?}");
                assert_eq!(row(&database, &job).await.status, JobState::Succeeded);
            } else {
                let outcome = store.commit(&log.batch_after(FrameNumber(0))).await;
                assert!(matches!(outcome, Err(StoreError::Illegal(_))), "{outcome:?}");
            }
        }
    }
}
