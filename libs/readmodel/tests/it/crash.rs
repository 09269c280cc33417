//! Postgres dies, is away, comes back: a batch is in as a whole or not at all.

use std::time::Duration;

use nox_contract::FrameNumber;
use nox_readmodel::{Batch, Remedy, Store, StoreError, audit::content_hash};

use crate::{
    log::{Log, eventful},
    support::Database,
};

async fn hash_alone(log: &Log) -> String {
    let alone = Database::start().await;
    alone.filled(log, 1_000).await;
    content_hash(&alone.url, None).await.unwrap().hash
}

/// Tries like a projector: the last batch until Postgres is back, and what was lost once more.
async fn until_committed(store: &mut Store, batches: &[Batch]) {
    let (last, before) = batches.split_last().unwrap();
    let tries = async {
        loop {
            match store.commit(last).await {
                Ok(_) => return,
                Err(StoreError::Unavailable(_)) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(StoreError::WentBack { .. }) => {
                    store.prepare().await.unwrap();
                    let stored = store.checkpoint().await.unwrap().n;
                    for batch in before.iter().filter(|batch| batch.start().0 >= stored) {
                        store.commit(batch).await.unwrap();
                    }
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), tries).await.unwrap();
}

#[tokio::test]
async fn killed_in_the_middle_of_a_transaction_postgres_keeps_all_of_it_or_nothing() {
    let mut database = Database::start().await;
    let log = eventful(1_500);
    let mut store = database.store().await;
    let batches = log.batches(400);
    for (number, batch) in batches.iter().enumerate() {
        // Each time a bit later, from before the first statement to after the commit.
        let kill_after = Duration::from_micros(900 * number as u64);
        let outcome = tokio::select! {
            biased;
            outcome = store.commit(batch) => Some(outcome),
            () = tokio::time::sleep(kill_after) => None,
        };
        if let Some(Err(error)) = outcome {
            panic!("{error:?}");
        }
        // Whether the call is in the middle or through, what is left of it must be whole. Commits do not
        // wait for the disk, so it may have been lost, and others before it.
        database.postgres.kill9();
        database.postgres.restart().await.unwrap();
        let stored = database.ask("select n from projection").await;
        let mut ends: Vec<_> =
            batches[..=number].iter().map(|batch| batch.end().0.to_string()).collect();
        ends.push("0".to_owned());
        assert!(ends.contains(&stored), "{stored} is in the middle of {ends:?}");
        let lost = stored != batch.end().0.to_string();
        if outcome.is_some() {
            let verified = store.verify().await;
            assert!(matches!(verified, Err(StoreError::Unavailable(_))), "{verified:?}");
            store.prepare().await.unwrap();
        }
        if outcome.is_none() || lost {
            until_committed(&mut store, &batches[..=number]).await;
        }
    }
    let hash = content_hash(&database.url, None).await.unwrap().hash;
    assert_eq!(hash, hash_alone(&log).await);
}

/// No commit waits for the disk. What a crash takes away is noticed, and folded again.
#[tokio::test]
async fn commits_that_a_crash_loses_are_folded_again() {
    let mut database = Database::start().await;
    let log = eventful(60);
    let batches = log.batches(20);
    let mut store = database.store().await;
    database.postgres.write_late().await.unwrap();
    let (_, before) = batches.split_last().unwrap();
    for batch in before {
        store.commit(batch).await.unwrap();
    }
    // A gateway has seen them.
    let seen = database.reader().progress().await.unwrap();
    assert_eq!(seen.n, before[before.len() - 1].end().0);
    database.postgres.kill9();
    database.postgres.restart().await.unwrap();
    let left = database.reader().progress().await.unwrap();
    assert!(left.n < seen.n, "the control: something was lost");
    until_committed(&mut store, &batches).await;
    let hash = content_hash(&database.url, None).await.unwrap().hash;
    assert_eq!(hash, hash_alone(&log).await);
}

#[tokio::test]
async fn a_commit_that_was_heard_of_too_late_is_not_repeated() {
    let database = Database::start().await;
    let log = eventful(64);
    let batch = log.batch_after(FrameNumber(0));
    let mut store = database.store().await;
    // The call is given up at every moment of its life.
    for micros in (0..40).map(|step| step * 200) {
        let given_up =
            tokio::time::timeout(Duration::from_micros(micros), store.commit(&batch)).await;
        match given_up {
            Err(_) => {}
            Ok(outcome) => {
                outcome.unwrap();
                break;
            }
        }
    }
    if store.checkpoint().await.unwrap().n < log.n() {
        store.commit(&batch).await.unwrap();
    }
    let hash = content_hash(&database.url, None).await.unwrap().hash;
    assert_eq!(hash, hash_alone(&log).await);
}

#[tokio::test]
async fn while_postgres_is_away_a_batch_waits_and_then_goes_in_once() {
    let mut database = Database::start().await;
    let log = eventful(32);
    let batches = log.batches(20);
    let mut store = database.store().await;
    store.commit(&batches[0]).await.unwrap();

    database.postgres.stop().await;
    let away = store.commit(&batches[1]).await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    let away = store.commit(&batches[1]).await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    let reading = database.reader().progress().await;
    assert!(matches!(reading, Err(nox_readmodel::QueryError::Unavailable(_))), "{reading:?}");

    database.postgres.restart().await.unwrap();
    for last in 1..batches.len() {
        until_committed(&mut store, &batches[..=last]).await;
    }
    let hash = content_hash(&database.url, None).await.unwrap().hash;
    assert_eq!(hash, hash_alone(&log).await);
}

#[tokio::test]
async fn another_projector_that_moved_on_meanwhile_is_noticed_after_an_outage() {
    let mut database = Database::start().await;
    let log = eventful(32);
    let batches = log.batches(20);
    let mut store = database.store().await;
    store.commit(&batches[0]).await.unwrap();
    database.postgres.restart().await.unwrap();
    // Its batches end elsewhere.
    let mut other = database.store().await;
    other.commit(&log.batch_after(FrameNumber(20))).await.unwrap();

    let first = store.commit(&batches[1]).await;
    assert!(matches!(first, Err(StoreError::Unavailable(_))), "{first:?}");
    let second = store.commit(&batches[1]).await;
    assert!(matches!(second, Err(StoreError::Conflict { .. })), "{second:?}");
}

#[tokio::test]
async fn rows_that_went_back_are_attached_to_again_where_they_are() {
    let log = eventful(32);
    let batches = log.batches(10);
    // A standby that was promoted without the second batch, which the projector knows to be in.
    let standby = Database::start().await;
    let mut promoted = standby.store().await;
    promoted.commit(&batches[0]).await.unwrap();
    let behind = promoted.commit(&batches[2]).await.unwrap_err();
    let (from, to) = (FrameNumber(20), FrameNumber(10));
    assert!(
        matches!(behind, StoreError::WentBack { from: f, to: t } if (f, t) == (from, to)),
        "{behind:?}"
    );
    assert_eq!(behind.remedy(), Remedy::PrepareAgain);
    promoted.prepare().await.unwrap();
    for batch in &batches[1..] {
        promoted.commit(batch).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_was_made_anew_is_filled_from_the_beginning() {
    let database = Database::start().await;
    let log = eventful(32);
    let batches = log.batches(10);
    let mut store = database.store().await;
    store.commit(&batches[0]).await.unwrap();
    database.ask("drop schema nox cascade; drop schema nox_1 cascade").await;

    let gone = store.commit(&batches[1]).await.unwrap_err();
    assert_eq!(gone.remedy(), Remedy::PrepareAgain, "{gone:?}");
    store.prepare().await.unwrap();
    for batch in &batches {
        store.commit(batch).await.unwrap();
    }
    assert_eq!(content_hash(&database.url, None).await.unwrap().hash, hash_alone(&log).await);
}
