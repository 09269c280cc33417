use nox_contract::subject;
use nox_streams::Error;

use crate::support::{raw, setup, soon};

/// As incompressible as it is repeatable.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[tokio::test]
async fn a_snapshot_comes_back_as_it_was_and_the_newest_two_are_kept() {
    let setup = setup().await;
    let broker = &setup.broker;
    assert_eq!(broker.latest_snapshot().await.unwrap(), None);

    for n in [9_u64, 10, 11, 100] {
        broker.put_snapshot(&format!("state1-{n}-ab"), noise(3 << 20, n)).await.unwrap();
    }
    assert_eq!(broker.snapshots().await.unwrap(), ["state1-100-ab", "state1-11-ab"]);
    let (name, bytes) = broker.latest_snapshot().await.unwrap().unwrap();
    assert_eq!(name, "state1-100-ab");
    assert!(bytes == noise(3 << 20, 100));
    assert!(broker.get_snapshot("state1-11-ab").await.unwrap().unwrap() == noise(3 << 20, 11));
    assert_eq!(broker.get_snapshot("state1-9-ab").await.unwrap(), None);
    let kept = broker.usage("OBJ_NOX_SNAPSHOTS").await.unwrap().bytes;
    assert!(kept < 7 << 20, "{kept}");
}

#[tokio::test]
async fn a_snapshot_that_was_cut_short_is_passed_over_and_swept() {
    let setup = setup().await;
    let broker = &setup.broker;
    broker.put_snapshot("state1-1-ab", vec![1; 1000]).await.unwrap();
    broker.put_snapshot("state1-2-ab", noise(2 << 20, 2)).await.unwrap();
    let jetstream = async_nats::jetstream::new(raw(&setup.server).await);
    let store = jetstream.get_object_store(subject::SNAPSHOTS).await.unwrap();
    let chunks = format!("$O.NOX_SNAPSHOTS.C.{}", store.info("state1-2-ab").await.unwrap().nuid);
    let stream = jetstream.get_stream("OBJ_NOX_SNAPSHOTS").await.unwrap();
    for kept in [1, 0] {
        stream.purge().filter(&chunks).keep(kept).await.unwrap();
        let cut = soon(broker.get_snapshot("state1-2-ab")).await;
        assert!(matches!(cut, Err(Error::Unreadable { .. })), "{cut:?}");
    }
    let (name, bytes) = soon(broker.latest_snapshot()).await.unwrap().unwrap();
    assert_eq!((name.as_str(), bytes), ("state1-1-ab", vec![1; 1000]));

    // Chunks without a name, as a writer leaves them that dies before it is done.
    let ack =
        jetstream.publish("$O.NOX_SNAPSHOTS.C.orphan", vec![0; 1 << 19].into()).await.unwrap();
    ack.await.unwrap();
    broker.put_snapshot("state1-3-ab", vec![3; 10]).await.unwrap();
    let orphan = stream.get_last_raw_message_by_subject("$O.NOX_SNAPSHOTS.C.orphan").await;
    assert!(orphan.is_err());
    assert_eq!(broker.latest_snapshot().await.unwrap().unwrap().1, vec![3; 10]);
}
