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
async fn a_snapshot_comes_back_as_it_was_until_it_is_deleted() {
    let setup = setup().await;
    let broker = &setup.broker;
    assert!(broker.snapshots().await.unwrap().is_empty());

    for n in [9_u64, 10, 11, 100] {
        broker.put_snapshot(&format!("state1-{n}-ab"), noise(3 << 20, n)).await.unwrap();
    }
    let names = ["state1-100-ab", "state1-11-ab", "state1-10-ab", "state1-9-ab"];
    assert_eq!(broker.snapshots().await.unwrap(), names, "the highest number first");
    broker
        .delete_snapshots(&names[2..].iter().map(ToString::to_string).collect::<Vec<_>>())
        .await
        .unwrap();
    assert_eq!(broker.snapshots().await.unwrap(), names[..2]);
    assert!(broker.get_snapshot("state1-100-ab").await.unwrap().unwrap() == noise(3 << 20, 100));
    assert!(broker.get_snapshot("state1-11-ab").await.unwrap().unwrap() == noise(3 << 20, 11));
    assert_eq!(broker.get_snapshot("state1-9-ab").await.unwrap(), None);
    let kept = broker.usage("OBJ_NOX_SNAPSHOTS").await.unwrap().bytes;
    assert!(kept < 7 << 20, "{kept}");
}

#[tokio::test]
async fn a_snapshot_that_was_cut_short_is_unreadable_and_what_nobody_finished_is_swept() {
    let setup = setup().await;
    let broker = &setup.broker;
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

    // Chunks without a name, as a writer leaves them that dies before it is done.
    let ack =
        jetstream.publish("$O.NOX_SNAPSHOTS.C.orphan", vec![0; 1 << 19].into()).await.unwrap();
    ack.await.unwrap();
    broker.put_snapshot("state1-3-ab", vec![3; 10]).await.unwrap();
    broker.delete_snapshots(&["state1-2-ab".to_owned()]).await.unwrap();
    let orphan = stream.get_last_raw_message_by_subject("$O.NOX_SNAPSHOTS.C.orphan").await;
    assert!(orphan.is_err());
    assert_eq!(broker.snapshots().await.unwrap(), ["state1-3-ab"]);
    assert_eq!(broker.get_snapshot("state1-3-ab").await.unwrap().unwrap(), vec![3; 10]);
}
