//! A frame holds entries of many jobs, and several of one.

use nox_contract::JobState;
use nox_readmodel::audit;

use crate::{
    log::{JobOf, Log, eventful, eventful_in},
    support::{Database, commit_all},
};

/// All that rows say but for where and when.
const ROWS: [&str; 6] = [
    "select id, tenant, user_id, module, status, attempt, waiting_code, inputs, outputs,
            requested_resources, reserved_resources, error, worker_id, priority, fingerprint, parked,
            held, failures, crashes, suspicions, period, reservation, reserved, used, overrun
     from jobs order by id",
    "select tenant, account, period, granted, free, reserved, used, overrun
     from quota_balances order by tenant, account",
    "select tenant, account, role, cpu_seconds from quota_limits order by tenant, account",
    "select tenant, account, user_id, job_id, code from quota_violations order by n, part",
    "select name, version, enabled from modules order by name",
    "select worker_id, state from workers order by worker_id",
];

#[tokio::test]
async fn how_entries_are_framed_changes_no_row_but_its_numbers() {
    let mut tables = Vec::new();
    for (entries, batch) in [(1, 1_000), (7, 3), (40, 1), (1_000_000, 1_000)] {
        let database = Database::start().await;
        let log = eventful_in(Log::in_frames_of(entries), 48);
        database.filled(&log, batch).await;
        assert_eq!(audit::ledger_differences(&database.url).await.unwrap(), []);
        assert_eq!(audit::usage_differences(&database.url).await.unwrap(), []);
        let mut rows = Vec::new();
        for table in ROWS {
            rows.push(database.ask(table).await);
        }
        let metrics = database.reader().metrics().await.unwrap().value;
        rows.push(format!("{:?} {:?}", metrics.submitted, metrics.running));
        rows.push(format!("{:?} {:?}", metrics.failures, metrics.violations));
        tables.push(rows);
    }
    for other in &tables[1..] {
        assert_eq!(*other, tables[0]);
    }
    assert!(tables[0].iter().all(|table| !table.is_empty()));
}

#[tokio::test]
async fn several_refusals_of_one_frame_are_told_apart_by_the_place_of_their_facts() {
    let database = Database::start().await;
    let log = eventful_in(Log::in_frames_of(1_000_000), 24);
    database.filled(&log, 100).await;
    let places =
        database.ask("select count(distinct n), count(distinct part) from quota_violations").await;
    assert_eq!(places, "1|3");
}

/// What happens to a job within a batch is one version of its row, however many entries tell of it.
#[tokio::test]
async fn a_job_is_written_once_a_batch() {
    let mut log = Log::in_frames_of(10);
    log.open_tenant("acme", &["ada"]);
    let jobs: Vec<_> = (0..30).map(|number| JobOf::new("acme", "ada", "xtb", number)).collect();
    for job in &jobs {
        log.submit(job);
    }
    for job in &jobs {
        log.assign(job, "exec-1", 1);
    }
    for job in &jobs {
        log.start_and_succeed(job, "exec-1");
    }
    log.seal();
    // The control: no frame tells of a job twice, so frame by frame each entry is a write.
    for (batch, writes) in [(1_000, 30), (1, 90)] {
        let database = Database::start().await;
        let mut store = database.store().await;
        database
            .ask(
                "create table written (id uuid);
                 create function note() returns trigger language plpgsql
                 as 'begin insert into nox_1.written values (new.id); return new; end';
                 create trigger note after insert or update on jobs_live
                 for each row execute function note();
                 create trigger note after insert or update on jobs_ended
                 for each row execute function note()",
            )
            .await;
        commit_all(&mut store, log.batches(batch)).await;
        assert_eq!(database.ask("select count(*) from written").await, writes.to_string());
        let reader = database.reader();
        for job in &jobs {
            let row = reader.job(&job.tenant, job.id).await.unwrap().value.unwrap();
            assert_eq!((row.status, row.attempt.0), (JobState::Succeeded, 1));
        }
    }
}

#[tokio::test]
async fn frames_without_entries_and_terms_move_the_checkpoint_and_nothing_else() {
    let database = Database::start().await;
    let mut log = eventful(8);
    let mut store = database.filled(&log, 100).await;
    let jobs = database.ask("select jobs::text from jobs order by id").await;
    let after = log.n();
    log.empty_frame();
    log.begin_term();
    let last = log.empty_frame();
    let committed = store.commit(&log.batch_after(after)).await.unwrap();
    assert_eq!((committed.frames, committed.parked), (3, 0));
    let checkpoint = store.checkpoint().await.unwrap();
    assert_eq!((checkpoint.n, checkpoint.chain, checkpoint.pos), (last, log.chain, log.pos));
    assert_eq!(database.ask("select jobs::text from jobs order by id").await, jobs);
}
