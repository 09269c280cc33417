//! Rows go after a while, by the log's time: of ended jobs, of violations, of parked entries.

use std::time::Duration;

use nox_contract::{Entity, Fact, FrameNumber};
use nox_readmodel::{audit, rebuild, switch};

use crate::{
    log::{JobOf, Log, refusal, released, settled, started, succeeded_with, tenant},
    parked,
    rebuild::messages,
    support::{Database, commit_all},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Jobs that end, and one that waits; then days without any.
fn days_of_jobs() -> (Log, Vec<JobOf>) {
    let mut log = Log::in_frames_of(7);
    log.open_tenant("acme", &["ada"]);
    log.join("exec-1", &["xtb"]);
    let mut jobs = Vec::new();
    for day in 0..5 {
        for number in 0..10 {
            let job = JobOf::new("acme", "ada", "xtb", day * 100 + number);
            log.submit_and_assign(&job, "exec-1");
            if number > 0 {
                log.start_and_succeed(&job, "exec-1");
            }
            jobs.push(job);
        }
        log.seal();
        log.at = log.at + DAY;
    }
    (log, jobs)
}

#[tokio::test]
async fn rows_of_ended_jobs_expire_by_the_log_s_time_and_a_rebuild_agrees() {
    let (log, jobs) = days_of_jobs();
    let mut hashes = Vec::new();
    for size in [1, 3, 1_000] {
        let database = Database::start().await;
        let mut store = database.store_keeping(Some(2)).await;
        commit_all(&mut store, log.batches(size)).await;

        // Of five days there are the last two, but for what has not ended.
        let reader = database.reader();
        for (number, job) in jobs.iter().enumerate() {
            let (day, lives) = (number / 10, number % 10 == 0);
            let row = reader.job(&job.tenant, job.id).await.unwrap().value;
            assert_eq!(row.is_some(), lives || day >= 3, "job {number} of day {day}");
        }
        // The ledger and what was counted stay as they were.
        assert_eq!(audit::ledger_differences(&database.url).await.unwrap(), []);
        assert_eq!(audit::usage_differences(&database.url).await.unwrap(), []);
        let metrics = reader.metrics().await.unwrap().value;
        assert_eq!(metrics.submitted.iter().map(|submitted| submitted.count).sum::<u64>(), 50);
        assert_eq!(metrics.durations[0].count, 45);

        let rebuilt = rebuild(&database.url, messages(&log.messages)).await.unwrap();
        assert!(rebuilt.is_equal(), "{rebuilt:?}");
        hashes.push(rebuilt.live.hash);
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], hashes[2]);
    // The control: all rows are more than those.
    let database = Database::start().await;
    database.filled(&log, 3).await;
    assert_ne!(audit::content_hash(&database.url, None).await.unwrap().hash, hashes[0]);
}

/// Told to keep rows for some days, a projector finds those that were kept for longer, some at a time.
#[tokio::test]
async fn what_is_past_its_day_counts_no_more_before_it_is_removed() {
    let (mut log, jobs) = days_of_jobs();
    let database = Database::start().await;
    database.filled(&log, 3).await;
    let mut store = database.store_keeping(Some(1)).await;
    assert!(database.reader().job(&tenant("acme"), jobs[1].id).await.unwrap().value.is_some());
    let after = log.n();
    log.empty_frame();
    store.commit(&log.batch_after(after)).await.unwrap();
    assert!(database.reader().job(&tenant("acme"), jobs[1].id).await.unwrap().value.is_none());
    let removed = audit::content_hash(&database.url, None).await.unwrap();

    // The same rows with one that has not been removed yet.
    let other = Database::start().await;
    let mut store = other.store_keeping(Some(1)).await;
    store.commit(&log.batch_after(FrameNumber(0))).await.unwrap();
    assert_eq!(audit::content_hash(&other.url, None).await.unwrap(), removed);
    other
        .ask(
            "insert into jobs_ended
             select (jsonb_populate_record(row, jsonb_build_object(
                 'id', gen_random_uuid(), 'ended_at', timestamptz '2026-11-20Z'))).*
             from jobs_ended as row limit 1",
        )
        .await;
    assert_eq!(audit::content_hash(&other.url, None).await.unwrap(), removed);
    // The control: one that is within its days counts.
    other
        .ask(
            "insert into jobs_ended
             select (jsonb_populate_record(row, jsonb_build_object('id', gen_random_uuid()))).*
             from jobs_ended as row limit 1",
        )
        .await;
    assert_ne!(audit::content_hash(&other.url, None).await.unwrap(), removed);
}

/// A job that is made once more after its row expired is a new one, whether that was removed or not.
#[tokio::test]
async fn a_job_that_begins_again_after_its_day_has_a_row_of_its_own() {
    let (mut log, jobs) = days_of_jobs();
    log.submit(&jobs[1]);
    log.seal();
    let mut hashes = Vec::new();
    for size in [1, 1_000] {
        let database = Database::start().await;
        let mut store = database.store_keeping(Some(2)).await;
        commit_all(&mut store, log.batches(size)).await;
        let row = database.reader().job(&tenant("acme"), jobs[1].id).await.unwrap().value;
        assert_eq!(row.unwrap().ended_at, None);
        hashes.push(audit::content_hash(&database.url, None).await.unwrap().hash);
    }
    assert_eq!(hashes[0], hashes[1]);
}

/// However much comes in at once, as much goes; and of a little, little.
#[tokio::test]
async fn rows_that_expire_do_not_pile_up_behind_large_batches() {
    const JOBS: u64 = 3_000;
    let database = Database::start().await;
    let mut store = database.store_keeping(Some(1)).await;
    let mut log = Log::in_frames_of(500);
    log.open_tenant("acme", &["ada"]);
    let mut after = FrameNumber(0);
    for day in 0..3 {
        for number in 0..JOBS {
            let job = JobOf::new("acme", "ada", "xtb", day * JOBS + number);
            log.submit_and_assign(&job, "exec-1");
            log.start_and_succeed(&job, "exec-1");
        }
        log.seal();
        store.commit(&log.batch_after(after)).await.unwrap();
        let rows = database.ask("select count(*) from jobs_ended").await;
        assert_eq!(rows, JOBS.to_string(), "day {day}");
        after = log.n();
        log.at = log.at + 2 * DAY;
    }
    // The control: what one small frame removes has an end, so that nobody waits for it.
    log.empty_frame();
    store.commit(&log.batch_after(after)).await.unwrap();
    assert_eq!(database.ask("select count(*) from jobs_ended").await, (JOBS - 2_000).to_string());
}

/// On each day a refusal, and a job whose outputs cannot be stored.
fn days_of_refusals() -> Log {
    let mut log = Log::in_frames_of(3);
    log.open_tenant("acme", &["ada"]);
    for day in 0..5 {
        let job = JobOf::new("acme", "ada", "xtb", day);
        log.submit_and_assign(&job, "exec-1");
        let outputs = succeeded_with(1, r#"{"scalars": "\u0000"}"#);
        log.entry(&job.entity(), [started("exec-1", 1), outputs, settled(2), released(58)]);
        let violated = Fact::QuotaViolated {
            job_id: JobOf::new("acme", "ada", "xtb", 100 + day).id,
            user_id: job.user.clone(),
            module: job.module.clone(),
            refusal: Box::new(refusal()),
        };
        let account =
            Entity::Account { tenant: job.tenant.clone(), account: "user/ada".to_owned() };
        log.entry(&account, [violated]);
        log.seal();
        log.at = log.at + DAY;
    }
    log
}

#[tokio::test]
async fn violations_and_parked_entries_expire_with_the_jobs_and_a_rebuild_agrees() {
    let log = days_of_refusals();
    let counts =
        "select (select count(*) from jobs_ended), (select count(*) from quota_violations),
                         (select count(*) from parked)";
    let mut hashes = Vec::new();
    for size in [1, 1_000] {
        let database = Database::start().await;
        let mut store = database.store_keeping(Some(2)).await;
        commit_all(&mut store, log.batches(size)).await;
        assert_eq!(database.ask(counts).await, "2|2|2");
        let reader = database.reader();
        assert_eq!(
            reader.violations(&tenant("acme"), None, None, 100).await.unwrap().value.len(),
            2
        );
        // What was counted stays as it was.
        let metrics = reader.metrics().await.unwrap().value;
        assert_eq!(metrics.parked, [("unstorable".to_owned(), 5)]);
        let rebuilt = rebuild(&database.url, messages(&log.messages)).await.unwrap();
        assert!(rebuilt.is_equal(), "{rebuilt:?}");
        // Nor does it matter when they are removed.
        database
            .ask(
                "insert into quota_violations
                 select (jsonb_populate_record(row, jsonb_build_object(
                     'n', 1, 'at', timestamptz '2026-11-20Z'))).*
                 from quota_violations as row limit 1;
                 insert into parked
                 select (jsonb_populate_record(row, jsonb_build_object(
                     'n', 1, 'at', timestamptz '2026-11-20Z'))).*
                 from parked as row limit 1",
            )
            .await;
        assert_eq!(audit::content_hash(&database.url, None).await.unwrap(), rebuilt.live);
        hashes.push(rebuilt.live.hash);
    }
    assert_eq!(hashes[0], hashes[1]);
    // The control: without an end to it all of them stay.
    let database = Database::start().await;
    database.filled(&log, 1).await;
    assert_eq!(database.ask(counts).await, "5|5|5");
}

/// Of a job that never got a row, only what is parked tells that it is no new one.
#[tokio::test]
async fn what_is_parked_in_place_of_a_row_stays() {
    let database = Database::start().await;
    let mut store = database.store_keeping(Some(1)).await;
    parked::refuse(&database, "new.module = 'poison'").await;
    let mut log = Log::new();
    log.open_tenant("acme", &["ada"]);
    let job = JobOf::new("acme", "ada", "poison", 1);
    log.submit_and_assign(&job, "exec-1");
    store.commit(&log.batch_after(FrameNumber(0))).await.unwrap();
    for _ in 0..2 {
        let n = log.n();
        log.at = log.at + 2 * DAY;
        log.empty_frame();
        store.commit(&log.batch_after(n)).await.unwrap();
    }
    // A store that remembers nothing.
    let n = log.n();
    log.start_and_succeed(&job, "exec-1");
    let mut store = database.store_keeping(Some(1)).await;
    assert_eq!(store.commit(&log.batch_after(n)).await.unwrap().parked, 1);
    assert_eq!(database.ask("select count(*) from parked").await, "2");
}

/// Log time that was far ahead once has expired what ended before, and only more days bring it back.
#[tokio::test]
async fn rows_that_a_jump_of_the_clock_expired_come_back_by_a_rebuild_with_more_days() {
    let (mut log, jobs) = days_of_jobs();
    let database = Database::start().await;
    let mut store = database.store_keeping(Some(30)).await;
    store.commit(&log.batch_after(FrameNumber(0))).await.unwrap();
    let ended = "select count(*) from jobs_ended";
    assert_eq!(database.ask(ended).await, "45");
    let n = log.n();
    log.at = log.at + 40 * DAY;
    log.empty_frame();
    store.commit(&log.batch_after(n)).await.unwrap();
    assert_eq!(database.ask(ended).await, "0");

    // As it was told last, or with more days, which alone bring nothing back.
    for (days, back) in [(30, false), (90, true)] {
        database.store_keeping(Some(days)).await;
        let rebuilt = rebuild(&database.url, messages(&log.messages)).await.unwrap();
        assert!(rebuilt.is_equal(), "{rebuilt:?}");
        assert!(database.reader().job(&tenant("acme"), jobs[1].id).await.unwrap().value.is_none());
        assert!(switch(&database.url, &rebuilt).await.unwrap());
        let row = database.reader().job(&tenant("acme"), jobs[1].id).await.unwrap().value;
        assert_eq!(row.is_some(), back, "{days} days");
    }
}
