use futures_util::{StreamExt, future::join_all};
use nox_contract::{FRAME_BYTES_MAX, subject};
use nox_streams::{Broker, Guard, PublishError};

use crate::support::{epoch, frame, headers, raw, setup, soon, text};

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
            broker.publish(subject::FRAMES.to_owned(), headers(&pairs), text("x"))
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
    let guard = Guard { epoch_seq: first, last_seq: first };
    let last = broker.append(frame("1"), guard).await.unwrap();

    let second = broker.append_epoch(&epoch(2), first).await.unwrap();
    assert_eq!(second, last + 1);
    // The deposed leader predicts the end of the log, and is refused all the same.
    let deposed = Guard { epoch_seq: first, last_seq: second };
    assert!(broker.append(frame("2"), deposed).await.unwrap_err().is_guard());

    let alone = headers(&[("Nats-Expected-Last-Sequence", &second.to_string())]);
    let let_in = broker.publish(subject::FRAMES.to_owned(), alone, text("deposed")).await;
    assert_eq!(let_in.unwrap().seq, second + 1);
}

#[tokio::test]
async fn pipelined_appends_pass_until_the_epoch_changes_under_them() {
    let setup = setup().await;
    let broker = &setup.broker;
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let append =
        |i: u64| broker.append(frame(i.to_string()), Guard { epoch_seq, last_seq: epoch_seq + i });
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
    broker.append(frame("1"), guard).await.unwrap();
    let second = broker.append_epoch(&epoch(2), first).await.unwrap();

    let found = broker.epoch().await.unwrap().unwrap();
    assert_eq!((found.seq, found.record), (second, epoch(2)));
}

#[tokio::test]
async fn the_log_is_read_from_anywhere_to_its_end() {
    let setup = setup().await;
    let broker = &setup.broker;
    assert_eq!(broker.read_log(1).await.unwrap(), []);
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let appends: Vec<_> = (0..2999)
        .map(|i| broker.append(frame(i.to_string()), Guard { epoch_seq, last_seq: epoch_seq + i }))
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
async fn a_message_of_the_log_is_read_by_its_sequence() {
    let setup = setup().await;
    let broker = &setup.broker;
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    for i in 0..3 {
        let guard = Guard { epoch_seq, last_seq: epoch_seq + i };
        broker.append(frame(format!("frame {i}")), guard).await.unwrap();
    }
    let read = |seq| broker.read_direct(subject::EVENTS, seq);
    let found = read(epoch_seq + 2).await.unwrap().unwrap();
    assert_eq!((found.seq, found.subject.as_str()), (epoch_seq + 2, subject::FRAMES));
    assert_eq!(found.payload, "frame 1");
    for nothing in [epoch_seq + 4, u64::MAX] {
        assert_eq!(read(nothing).await.unwrap(), None, "{nothing}");
    }
    assert!(broker.read_direct("NOX_OTHERS", 1).await.is_err());

    // The largest there is, in either way.
    let guard = Guard { epoch_seq, last_seq: epoch_seq + 3 };
    let largest = broker.append(frame(vec![b'x'; FRAME_BYTES_MAX]), guard).await.unwrap();
    let found = read(largest).await.unwrap().unwrap();
    assert_eq!(found.payload.len(), FRAME_BYTES_MAX);
    assert_eq!(broker.read_one(subject::EVENTS, largest).await.unwrap(), Some(found));
}

#[tokio::test]
async fn that_something_was_stored_is_repeated_and_what_it_says_is_not() {
    let setup = setup().await;
    let broker = &setup.broker;
    let client = raw(&setup.server).await;
    let mut live = client.subscribe("live.>").await.unwrap();
    // The server knows of it when it answers.
    client.request("$JS.API.INFO", "".into()).await.unwrap();
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let guard = Guard { epoch_seq, last_seq: epoch_seq };
    broker.append(frame("{}"), guard).await.unwrap();
    for (subject, seq) in [(subject::EPOCH, "1"), (subject::FRAMES, "2")] {
        let message = soon(live.next()).await.unwrap();
        assert_eq!(message.subject.as_str(), format!("live.{subject}"));
        assert!(message.payload.is_empty(), "{message:?}");
        let headers = message.headers.unwrap();
        assert_eq!(headers.get("Nats-Sequence").map(|value| value.as_str()), Some(seq));
        // Nothing but the broker's own: whoever may hear it learns that there is something, and no more.
        let own = headers.iter().find(|(name, _)| !name.to_string().starts_with("Nats-"));
        assert_eq!(own, None);
    }
}

#[tokio::test]
async fn a_write_of_unknown_outcome_arrives_late_and_the_same_guards_let_in_one_of_two() {
    let mut setup = setup().await;
    let broker = setup.broker.clone();
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let guard = Guard { epoch_seq, last_seq: epoch_seq };
    setup.server.freeze();
    let first = soon(broker.append(frame("1"), guard)).await;
    assert!(matches!(first, Err(PublishError::Unknown(_))), "{first:?}");
    setup.server.thaw();

    soon(broker.link().wait_for(|link| link.up)).await.unwrap();
    let again = soon(broker.append(frame("1"), guard)).await;
    assert!(again.is_err_and(|error| error.is_guard()));
    let records = broker.read_log(1).await.unwrap();
    assert_eq!(records.iter().map(|r| r.seq).collect::<Vec<_>>(), [epoch_seq, epoch_seq + 1]);
}
