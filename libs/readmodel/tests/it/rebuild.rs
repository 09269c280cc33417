//! The rows are a fold of the log: however it is batched, and as often as it is repeated.

use std::convert::Infallible;

use futures_util::{Stream, stream};
use nox_readmodel::{
    LogMessage, RebuildError, StoreError, audit::content_hash, rebuild, schema, switch,
};

use crate::{
    log::{JobOf, Log, eventful, eventful_in, tenant},
    support::Database,
};

pub fn messages(of: &[LogMessage]) -> impl Stream<Item = Result<LogMessage, Infallible>> + use<> {
    let owned: Vec<_> = of.iter().cloned().map(Ok).collect();
    stream::iter(owned)
}

#[tokio::test]
async fn the_content_does_not_depend_on_the_batches() {
    for log in [eventful(120), eventful_in(Log::in_frames_of(50), 120)] {
        let mut hashes = Vec::new();
        for size in [1, 7, 1_000] {
            let database = Database::start().await;
            database.filled(&log, size).await;
            hashes.push(content_hash(&database.url, None).await.unwrap());
        }
        assert_eq!(hashes[0], hashes[1]);
        assert_eq!(hashes[0], hashes[2]);
        assert_eq!(hashes[0].n, log.n());
    }
}

#[tokio::test]
async fn the_content_does_not_depend_on_restarts() {
    let log = eventful(60);
    let (one, other) = (Database::start().await, Database::start().await);
    one.filled(&log, 7).await;
    for batch in log.batches(7) {
        // Everything that the fold needs comes from rows each time.
        other.store().await.commit(&batch).await.unwrap();
    }
    let hashes = (
        content_hash(&one.url, None).await.unwrap(),
        content_hash(&other.url, None).await.unwrap(),
    );
    assert_eq!(hashes.0, hashes.1);
}

/// The negative control of the hash: it sees one bit in any table.
#[tokio::test]
async fn the_hash_sees_every_table() {
    let database = Database::start().await;
    let log = eventful(24);
    database.filled(&log, 50).await;
    let before = content_hash(&database.url, None).await.unwrap();
    for change in [
        "update projection set reports_part = reports_part + 1",
        "update projection set chain = 'b3:' || repeat('0', 64)",
        "update jobs_live set priority = 6 where submitted = (select min(submitted) from jobs_live)",
        "update jobs_ended set priority = 6 where submitted = (select min(submitted) from jobs_ended)",
        "update quota_balances set free = free - 1, granted = granted - 1 where account = 'tenant'",
        "update quota_limits set cpu = 1 where account = 'tenant'",
        "update quota_violations set detail = ''",
        "update modules set caps = '{}' where name = 'xtb'",
        "update workers set labels = '[]' where worker_id = 'exec-1'",
        "update metrics set value = value + 1 where name = 'nox_job_failures_total'",
        "insert into parked values (3, 0, 't', null, now(), false, 'refused', '', '')",
    ] {
        database.ask(change).await;
        let after = content_hash(&database.url, None).await.unwrap();
        assert_ne!(after.hash, before.hash, "{change}");
        // Put it back by folding anew: the generation is rebuilt from scratch.
        database.postgres.psql("drop schema nox_1 cascade; drop schema nox cascade").await.unwrap();
        database.filled(&log, 50).await;
        assert_eq!(content_hash(&database.url, None).await.unwrap(), before);
    }
}

#[tokio::test]
async fn a_rebuild_equals_the_rows_and_readers_and_projector_change_over() {
    let database = Database::start().await;
    let mut log = eventful(60);
    let mut store = database.filled(&log, 7).await;
    let reader = database.reader();
    let before = reader.progress().await.unwrap();

    let rebuilt = rebuild(&database.url, messages(&log.messages)).await.unwrap();
    assert!(rebuilt.is_equal(), "{rebuilt:?}");
    assert_eq!((rebuilt.live.generation, rebuilt.rebuilt.generation), (1, 2));

    // The old rows go on until the switch.
    let late = JobOf::new("acme", "ada", "xtb", 1_000);
    let n = log.submit(&late);
    store.commit(&log.batch_after(before.n)).await.unwrap();
    assert!(switch(&database.url, &rebuilt).await.unwrap());
    assert!(!switch(&database.url, &rebuilt).await.unwrap(), "it is switched to once");

    // Readers notice, and are where the new rows are.
    assert_eq!(reader.progress().await.unwrap(), before);
    assert_eq!(reader.job(&tenant("acme"), late.id).await.unwrap().value, None);

    // The projector notices at its next batch, and goes on from there.
    let later = log.submit(&JobOf::new("acme", "ada", "xtb", 1_001));
    let switched = store.commit(&log.batch_after(n)).await;
    assert!(matches!(switched, Err(StoreError::Switched { from: 1, to: 2 })), "{switched:?}");
    store.prepare().await.unwrap();
    assert_eq!(store.checkpoint().await.unwrap().n, before.n);
    store.commit(&log.batch_after(before.n)).await.unwrap();
    assert_eq!(reader.progress().await.unwrap().n, later);
    assert!(reader.job(&tenant("acme"), late.id).await.unwrap().value.is_some());

    let rows = schema::Database::new(&database.url).unwrap();
    assert!(!rows.drop(2).await.unwrap(), "the current generation stays");
    assert!(rows.drop(1).await.unwrap());
    assert_eq!(reader.progress().await.unwrap().n, later);
}

#[tokio::test]
async fn a_rebuild_while_frames_come_in_catches_up() {
    let database = Database::start().await;
    let log = eventful(400);
    let mut store = database.store().await;
    let batches = log.batches(25);
    let (ahead, rest) = batches.split_at(batches.len() / 2);
    for batch in ahead {
        store.commit(batch).await.unwrap();
    }
    let projector = async {
        for batch in rest {
            store.commit(batch).await.unwrap();
        }
    };
    let (rebuilt, ()) = tokio::join!(rebuild(&database.url, messages(&log.messages)), projector);
    assert!(rebuilt.as_ref().unwrap().is_equal(), "{rebuilt:?}");
}

#[tokio::test]
async fn rows_that_are_no_fold_of_the_log_are_found_by_a_rebuild() {
    let database = Database::start().await;
    let log = eventful(24);
    database.filled(&log, 50).await;
    database
        .ask("update jobs_ended set status = 'failed', outputs = null where status = 'succeeded'")
        .await;
    let rebuilt = rebuild(&database.url, messages(&log.messages)).await.unwrap();
    assert!(!rebuilt.is_equal());

    // It can be repeated, and an unfinished attempt is no hindrance.
    assert!(!rebuild(&database.url, messages(&log.messages)).await.unwrap().is_equal());
    let cut = rebuild(&database.url, messages(&log.messages[..9])).await;
    assert!(matches!(cut, Err(RebuildError::Short { .. })), "{cut:?}");
    let mut forged = log.messages.clone();
    forged.swap(3, 4);
    let refused = rebuild(&database.url, messages(&forged)).await;
    assert!(matches!(refused, Err(RebuildError::Read(_))), "{refused:?}");
}
