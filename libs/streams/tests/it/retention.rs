//! The log that is cut from its beginning, and those who read it.

use futures_util::StreamExt;
use nox_contract::{Incarnation, Position, subject};
use nox_streams::{Broker, ConsumeError, Guard, Readers};

use crate::support::{connect, epoch, frame, setup, soon, text};

/// An epoch record and nine frames.
async fn write(broker: &Broker) -> Guard {
    let epoch_seq = broker.append_epoch(&epoch(1), 0).await.unwrap();
    let mut guard = Guard { epoch_seq, last_seq: epoch_seq };
    for last_seq in 1..10 {
        guard.last_seq = last_seq;
        broker.append(frame(format!("frame {}", last_seq + 1)), guard).await.unwrap();
    }
    Guard { last_seq: 10, ..guard }
}

#[tokio::test]
async fn a_log_that_is_cut_goes_on_under_the_same_guards() {
    let mut setup = setup().await;
    let guard = write(&setup.broker).await;
    assert_eq!(setup.broker.first_frame().await.unwrap(), Some(2));
    assert_eq!(setup.broker.cut_log(8).await.unwrap(), 6);
    assert_eq!(setup.broker.first_frame().await.unwrap(), Some(8));

    assert_eq!(setup.broker.append(frame("11"), guard).await.unwrap(), 11);
    setup.server.kill9();
    setup.server.restart().await.unwrap();
    let broker = connect(&setup.server, "after").await;
    let guard = Guard { last_seq: 11, ..guard };
    assert_eq!(broker.append(frame("12"), guard).await.unwrap(), 12);
    let epoch = broker.epoch().await.unwrap().unwrap();
    assert_eq!(epoch.seq, guard.epoch_seq);
    // Negative control: purged as a whole, the stream has no epoch to name any more.
    let stream = setup.broker_stream().await;
    stream.purge().sequence(8).await.unwrap();
    let guard = Guard { last_seq: 12, ..guard };
    broker.append(frame("13"), guard).await.unwrap_err();
}

#[tokio::test]
async fn whoever_follows_the_log_stops_where_it_was_cut() {
    let setup = setup().await;
    write(&setup.broker).await;
    setup.broker.cut_log(8).await.unwrap();
    let mut chunks = setup.broker.follow(subject::EVENTS, 1, None);
    let first = soon(chunks.next()).await.unwrap().unwrap();
    assert_eq!(first.iter().map(|message| message.seq).collect::<Vec<_>>(), [1], "the epoch");
    let gap = soon(chunks.next()).await.unwrap().unwrap_err();
    let stream = subject::EVENTS.to_owned();
    assert_eq!(gap, ConsumeError::Gap { stream, from: 2, next: 8 });
    assert!(soon(chunks.next()).await.is_none());

    let mut chunks = setup.broker.follow(subject::EVENTS, 8, None);
    assert_eq!(soon(chunks.next()).await.unwrap().unwrap().len(), 3);
}

#[tokio::test]
async fn only_the_newest_word_of_a_reader_counts() {
    let setup = setup().await;
    let broker = &setup.broker;
    assert_eq!(broker.readers().await.unwrap(), Readers::default());
    let at = |seq| Position { incarnation: Incarnation("i".to_owned()), seq };
    for (reader, seq) in [("projector", 5), ("notifier", 3), ("projector", 9)] {
        broker.tell_reader(reader, &at(seq)).await.unwrap();
    }
    let positions = [("notifier".to_owned(), at(3)), ("projector".to_owned(), at(9))].into();
    let readers = Readers { positions, ..Readers::default() };
    assert_eq!(broker.readers().await.unwrap(), readers);
    // One that nobody can read takes nothing from the others.
    broker.publish(subject::reader("other"), None, text("?")).await.unwrap();
    let Readers { positions, unreadable } = broker.readers().await.unwrap();
    assert_eq!(positions, readers.positions);
    assert_eq!(unreadable.into_keys().collect::<Vec<_>>(), [subject::reader("other")]);
}
