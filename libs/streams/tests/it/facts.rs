use futures_util::{StreamExt, future::join_all};
use nox_contract::{Epoch, EpochRecord, Incarnation, Timestamp, subject};
use nox_streams::{Broker, Guard, LogMessage, PublishError};

use crate::support::{headers, raw, setup, soon, text};

fn epoch(number: u64) -> EpochRecord {
    EpochRecord {
        epoch: Epoch(number),
        leader: "test".into(),
        at: Timestamp::from_micros(1),
        commands: Incarnation("c".into()),
        reports: Incarnation("r".into()),
    }
}

fn message(i: u64) -> LogMessage {
    LogMessage {
        subject: format!("nox.evt.t.job.{i}"),
        facts: "submitted,assigned".into(),
        payload: text(&i.to_string()),
    }
}

/// Whether the epoch alone, the sequence alone, or both guard the messages.
#[derive(Clone, Copy, PartialEq)]
enum Guards {
    Both,
    Epoch,
    Sequence,
}

/// Appends 100 messages at once from `last_seq` on, the tenth of which the broker cannot take;
/// returns how many were let in.
async fn append_with_one_refused(broker: &Broker, guards: Guards, epoch_seq: u64) -> usize {
    let appends: Vec<_> = (0..100_u64)
        .map(|i| {
            let mut pairs = Vec::new();
            let (epoch_seq, last_seq) = (epoch_seq.to_string(), (epoch_seq + i).to_string());
            if guards != Guards::Sequence {
                pairs.push(("Nats-Expected-Last-Subject-Sequence", epoch_seq.as_str()));
                pairs.push(("Nats-Expected-Last-Subject-Sequence-Subject", subject::EPOCH));
            }
            if guards != Guards::Epoch {
                pairs.push(("Nats-Expected-Last-Sequence", last_seq.as_str()));
            }
            if i == 9 {
                pairs.push(("Nats-TTL", "soon"));
            }
            broker.publish(format!("nox.evt.t.job.{i}"), headers(&pairs), text("x"))
        })
        .collect();
    soon(join_all(appends)).await.into_iter().filter(Result::is_ok).count()
}

#[tokio::test]
async fn nothing_gets_in_after_a_refused_message_unless_the_sequence_guard_is_off() {
    for (guards, let_in) in [(Guards::Both, 9), (Guards::Sequence, 9), (Guards::Epoch, 99)] {
        let setup = setup().await;
        let epoch_seq = setup.broker.append_epoch(&epoch(1), 0).await.unwrap();
        assert_eq!(append_with_one_refused(&setup.broker, guards, epoch_seq).await, let_in);
    }
}

#[tokio::test]
async fn a_deposed_leader_is_kept_out_unless_the_epoch_guard_is_off() {
    let setup = setup().await;
    let broker = &setup.broker;
    let first = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let last =
        broker.append(message(1), Guard { epoch_seq: first, last_seq: first }).await.unwrap();

    let second = broker.append_epoch(&epoch(2), first).await.unwrap();
    assert_eq!(second, last + 1);
    // The deposed leader predicts the end of the log, and is refused all the same.
    let deposed = Guard { epoch_seq: first, last_seq: second };
    assert!(broker.append(message(2), deposed).await.unwrap_err().is_guard());
    assert!(
        broker.append_batch(vec![message(2), message(3)], deposed).await.unwrap_err().is_guard()
    );

    let alone = headers(&[("Nats-Expected-Last-Sequence", &second.to_string())]);
    let let_in = broker.publish("nox.evt.t.job.2".into(), alone, text("deposed")).await;
    assert_eq!(let_in.unwrap().seq, second + 1);
}

#[tokio::test]
async fn pipelined_appends_pass_until_the_epoch_changes_under_them() {
    let setup = setup().await;
    let broker = &setup.broker;
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let append = |i: u64| broker.append(message(i), Guard { epoch_seq, last_seq: epoch_seq + i });
    let mut appends: Vec<_> = (0..500).map(append).collect();
    let successor = epoch(2);
    let takeover = broker.append_epoch(&successor, epoch_seq);
    let (takeover, rest) = tokio::join!(takeover, async {
        appends.extend((500..1000).map(append));
        soon(join_all(appends)).await
    });

    let stored = rest.iter().take_while(|outcome| outcome.is_ok()).count() as u64;
    assert_eq!(takeover.unwrap(), epoch_seq + stored + 1);
    assert!(rest[stored as usize..].iter().all(|o| o.as_ref().is_err_and(PublishError::is_guard)));
    for (outcome, i) in rest.into_iter().zip(1..).take(stored as usize) {
        assert_eq!(outcome.unwrap(), epoch_seq + i);
    }
}

#[tokio::test]
async fn the_newest_epoch_is_read_and_only_its_successor_is_accepted() {
    let setup = setup().await;
    let broker = &setup.broker;
    assert_eq!(broker.epoch().await.unwrap(), None);

    let first = broker.append_epoch(&epoch(1), 0).await.unwrap();
    assert!(broker.append_epoch(&epoch(1), 0).await.unwrap_err().is_guard());
    let guard = Guard { epoch_seq: first, last_seq: first };
    broker.append(message(1), guard).await.unwrap();
    let second = broker.append_epoch(&epoch(2), first).await.unwrap();

    let found = broker.epoch().await.unwrap().unwrap();
    assert_eq!((found.seq, found.record), (second, epoch(2)));
}

#[tokio::test]
async fn a_batch_gets_in_whole_or_not_at_all() {
    let setup = setup().await;
    let broker = &setup.broker;
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let batch = |n: u64| (0..n).map(message).collect::<Vec<_>>();
    let guard = |last_seq| Guard { epoch_seq, last_seq };

    let last = soon(broker.append_batch(batch(1000), guard(epoch_seq))).await.unwrap();
    assert_eq!(last, epoch_seq + 1000);
    let last = soon(broker.append_batch(batch(1), guard(last))).await.unwrap();
    assert_eq!(last, epoch_seq + 1001);
    assert!(broker.append_batch(batch(10), guard(last - 1)).await.unwrap_err().is_guard());
    for unsendable in [0, 1001] {
        assert!(broker.append_batch(batch(unsendable), guard(last)).await.is_err());
    }
    assert_eq!(broker.last_sequence(subject::EVENTS).await.unwrap(), last);
    // Single appends go on where the batch ended.
    assert_eq!(broker.append(message(7), guard(last)).await.unwrap(), last + 1);
}

#[tokio::test]
async fn the_log_is_read_from_anywhere_to_its_end() {
    let setup = setup().await;
    let broker = &setup.broker;
    assert_eq!(broker.read_log(1).await.unwrap(), []);
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let appends: Vec<_> = (0..2999)
        .map(|i| broker.append(message(i), Guard { epoch_seq, last_seq: epoch_seq + i }))
        .collect();
    soon(join_all(appends)).await;

    for (from, count) in [(1, 3000), (2993, 8), (2992, 9), (3000, 1), (3001, 0), (9999, 0)] {
        let records = soon(broker.read_log(from)).await.unwrap();
        assert_eq!(records.len(), count, "from {from}");
        for (record, seq) in records.iter().zip(from..) {
            assert_eq!(record.seq, seq);
            if seq > 1 {
                assert_eq!(record.payload, (seq - 2).to_string());
            }
        }
    }
    let chunks: Vec<_> = soon(broker.stream_log(10, 2500).collect()).await;
    let seqs: Vec<u64> = chunks.into_iter().flat_map(|c| c.unwrap()).map(|r| r.seq).collect();
    assert_eq!(seqs, (10..=2500).collect::<Vec<_>>());
}

#[tokio::test]
async fn facts_are_republished_for_watchers_with_their_place() {
    let setup = setup().await;
    let broker = &setup.broker;
    // Any client of NATS can.
    let client = raw(&setup.server).await;
    let mut live = client.subscribe("live.nox.evt.t.job.>").await.unwrap();
    client.flush().await.unwrap();
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    for i in 0..2 {
        let same = LogMessage { subject: "nox.evt.t.job.1".into(), ..message(i) };
        broker.append(same, Guard { epoch_seq, last_seq: epoch_seq + i }).await.unwrap();
    }
    for (place, (seq, previous)) in [("2", "0"), ("3", "2")].into_iter().enumerate() {
        let message = soon(live.next()).await.unwrap();
        assert_eq!(message.payload, place.to_string());
        let headers = message.headers.unwrap();
        let header = |name: &str| headers.get(name).map(|value| value.as_str());
        assert_eq!(header("Nats-Sequence"), Some(seq));
        // Of the message before it on its own subject: whoever missed one can tell.
        assert_eq!(header("Nats-Last-Sequence"), Some(previous));
        assert_eq!(header("Nats-Subject"), Some("nox.evt.t.job.1"));
    }
}

#[tokio::test]
async fn a_write_of_unknown_outcome_arrives_late_and_the_same_guards_let_in_one_of_two() {
    let mut setup = setup().await;
    let broker = setup.broker.clone();
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let guard = Guard { epoch_seq, last_seq: epoch_seq };
    setup.server.freeze();
    let first = soon(broker.append(message(1), guard)).await;
    assert!(matches!(first, Err(PublishError::Unknown(_))), "{first:?}");
    setup.server.thaw();

    soon(broker.link().wait_for(|link| link.up)).await.unwrap();
    let again = soon(broker.append(message(1), guard)).await;
    assert!(again.is_err_and(|error| error.is_guard()));
    let records = broker.read_log(1).await.unwrap();
    assert_eq!(records.iter().map(|r| r.seq).collect::<Vec<_>>(), [epoch_seq, epoch_seq + 1]);
}
