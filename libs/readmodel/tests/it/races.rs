//! Nothing is taken in twice, whoever tries.

use nox_contract::FrameNumber;
use nox_readmodel::{Batch, IllegalEntry, StoreError, audit::content_hash};

use crate::{
    log::{JobOf, Log, eventful, granted, released, started, submitted},
    support::Database,
};

#[tokio::test]
async fn a_batch_that_was_taken_in_is_refused() {
    let database = Database::start().await;
    let log = eventful(16);
    let batch = log.batch_after(FrameNumber(0));
    let mut store = database.store().await;
    store.commit(&batch).await.unwrap();

    let again = store.commit(&batch).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
    // So is one by a store that knows nothing of the first.
    let again = database.store().await.commit(&batch).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
}

#[tokio::test]
async fn of_two_projectors_one_finds_the_other_and_nothing_is_lost_or_doubled() {
    let database = Database::start().await;
    let log = eventful(64);
    // Different batches, as two processes would have them.
    let (mut first, mut second) = (database.store().await, database.store().await);
    let (mine, theirs) = (log.batches(3), log.batches(4));
    let (one, other) = tokio::join!(race(&mut first, mine), race(&mut second, theirs));

    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1, "{one:?} {other:?}");
    let conflict = one.and(other).unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict { .. }), "{conflict:?}");

    let raced = content_hash(&database.url, None).await.unwrap();
    let alone = Database::start().await;
    alone.filled(&log, 1_000).await;
    assert_eq!(raced, content_hash(&alone.url, None).await.unwrap());
}

async fn race(store: &mut nox_readmodel::Store, batches: Vec<Batch>) -> Result<(), StoreError> {
    for batch in batches {
        store.commit(&batch).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_lost_the_race_while_it_waited_for_the_row_finds_out() {
    let database = Database::start().await;
    let log = eventful(8);
    let mut late = database.store().await;
    database.filled(&log, 1_000).await;

    let outcome = late.commit(&log.batch_after(FrameNumber(0))).await;
    assert!(matches!(outcome, Err(StoreError::Conflict { .. })), "{outcome:?}");
}

/// The negative control of the compare-and-set: with the checkpoint put back by hand, the same frames
/// come in again, and two things notice, each where the one before is taken away.
#[tokio::test]
async fn without_the_compare_and_set_a_second_application_is_noticed() {
    let database = Database::start().await;
    let mut log = Log::new();
    log.open_tenant("acme", &["ada"]);
    let granted = log.n();
    log.submit(&JobOf::new("acme", "ada", "xtb", 1));
    database.filled(&log, 1_000).await;
    let once = content_hash(&database.url, None).await.unwrap();
    let back = "update projection set n = 0, chain = 'b3:' || repeat('0', 64)";

    // The fold does not make a job twice.
    database.ask(back).await;
    let outcome = database.store().await.commit(&log.batch_after(FrameNumber(0))).await;
    assert!(matches!(outcome, Err(StoreError::Illegal(IllegalEntry::Fact { .. }))), "{outcome:?}");

    // The hash tells what can be repeated legally.
    database.ask(&format!("{back}; delete from segments")).await;
    let mut store = database.store().await;
    store.commit(&log.batches(granted.0 as usize)[0]).await.unwrap();
    assert_ne!(content_hash(&database.url, None).await.unwrap().hash, once.hash);
}

#[tokio::test]
async fn an_entry_that_cannot_follow_stops_the_store_and_changes_nothing() {
    let job = JobOf::new("acme", "ada", "xtb", 1);
    type Spoil = fn(&mut Log, &JobOf);
    let spoilers: [(&str, Spoil); 5] = [
        ("started cannot follow", |log, job| {
            log.entry(&job.entity(), [started("exec-1", 1)]);
        }),
        ("started cannot follow nothing", |log, _| {
            log.entry(&JobOf::new("acme", "ada", "xtb", 2).entity(), [started("exec-1", 1)]);
        }),
        ("submitted cannot follow", |log, job| {
            log.entry(&job.entity(), [submitted()]);
        }),
        ("does not balance", |log, job| {
            log.entry(&job.entity(), [released(1_000)]);
        }),
        ("does not belong to a job", |log, job| {
            log.entry(&job.entity(), [granted(1)]);
        }),
    ];
    let database = Database::start().await;
    let mut log = Log::new();
    log.open_tenant("acme", &["ada"]);
    log.submit(&job);
    let good = log.n();
    database.filled(&log, 100).await;
    let before = content_hash(&database.url, None).await.unwrap();

    for (message, spoil) in spoilers {
        let mut log = Log::new();
        log.open_tenant("acme", &["ada"]);
        log.submit(&job);
        spoil(&mut log, &job);
        let outcome = database.store().await.commit(&log.batch_after(good)).await;
        let Err(StoreError::Illegal(error)) = outcome else { panic!("{message}: {outcome:?}") };
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(content_hash(&database.url, None).await.unwrap(), before);
    }
}
