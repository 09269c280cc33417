use super::*;
use crate::start_work::start_work;

const NOW: Duration = Duration::from_secs(100);

fn start(job: u128) -> StartWork {
    start_work(format!("0193a000-0000-7000-8000-{job:012}").parse().unwrap(), "{}")
}

/// Stores all that can be sent; returns what that is.
fn store_all(buffer: &mut LogBuffer) -> Vec<Sent> {
    let mut all = Vec::new();
    while let Some(sent) = buffer.next_piece() {
        buffer.stored(&sent, NOW);
        all.push(sent);
    }
    all
}

fn sum(sent: &[Sent]) -> (u64, u64) {
    let pieces = || sent.iter().map(|sent| &sent.piece);
    (pieces().map(|piece| piece.length).sum(), pieces().map(|piece| piece.missing).sum())
}

#[test]
fn one_piece_of_a_lane_is_under_way_and_those_of_others_beside_it() {
    let mut buffer = LogBuffer::default();
    let lanes = [buffer.open(&start(1)), buffer.open(&start(2))];
    for lane in lanes {
        for text in ["a", "b"] {
            assert_eq!(buffer.add(lane, Stream::Stdout, text.into()), 0);
        }
    }
    let [one, other] = [buffer.next_piece().unwrap(), buffer.next_piece().unwrap()];
    assert_eq!((one.lane, other.lane, buffer.next_piece()), (lanes[0], lanes[1], None));
    // What failed comes first, under its old number.
    buffer.failed(&one, false);
    assert_eq!(buffer.next_piece(), Some(one.clone()));
    buffer.stored(&one, NOW);
    let next = buffer.next_piece().unwrap();
    assert_eq!((next.number, next.piece.offset, &next.piece.bytes[..]), (1, 1, &b"b"[..]));
}

#[test]
fn what_does_not_fit_is_told_of_by_the_next_piece_or_the_last() {
    let mut buffer = LogBuffer::default();
    let lane = buffer.open(&start(1));
    let chunk = Bytes::from(vec![b'x'; 64 << 10]);
    let mut lost = 0;
    for _ in 0..300 {
        lost += buffer.add(lane, Stream::Stdout, chunk.clone());
    }
    assert!(lost > 0 && buffer.lost(lane) == lost);
    let sent = store_all(&mut buffer);
    assert_eq!(sum(&sent), ((300 << 16) - lost, 0));
    buffer.add(lane, Stream::Stdout, "more".into());
    let told = store_all(&mut buffer);
    let piece = &told[0].piece;
    assert_eq!((piece.missing, piece.offset, piece.length), (lost, 300 << 16, 4));

    let mut lost = 0;
    for _ in 0..300 {
        lost += buffer.add(lane, Stream::Stderr, chunk.clone());
    }
    buffer.close(lane);
    let told = store_all(&mut buffer);
    assert_eq!(sum(&told), ((300 << 16) - lost, lost));
    let last = &told.last().unwrap().piece;
    assert!(last.end && last.missing == lost && last.stream == Stream::Stderr, "{last:?}");
    buffer.tick(NOW + KEPT_FOR);
    assert!(buffer.lanes.is_empty());
    assert_eq!((buffer.bytes, buffer.waiting()), (0, 0));
}

#[test]
fn one_job_leaves_room_for_others() {
    let mut buffer = LogBuffer::default();
    let (loud, quiet) = (buffer.open(&start(1)), buffer.open(&start(2)));
    let chunk = Bytes::from(vec![b'x'; 64 << 10]);
    while buffer.add(loud, Stream::Stdout, chunk.clone()) == 0 {}
    assert_eq!(buffer.add(quiet, Stream::Stdout, chunk), 0);
}

#[test]
fn what_was_stored_lately_is_sent_again_after_the_connection_was_lost() {
    let mut buffer = LogBuffer::default();
    let lane = buffer.open(&start(1));
    for text in ["a", "b", "c"] {
        buffer.add(lane, Stream::Stdout, text.into());
    }
    let old = buffer.next_piece().unwrap();
    buffer.stored(&old, NOW);
    buffer.tick(NOW + KEPT_FOR);
    let lately = buffer.next_piece().unwrap();
    buffer.stored(&lately, NOW + KEPT_FOR);
    let under_way = buffer.next_piece().unwrap();
    buffer.rewind();
    assert!(!buffer.is_stored(lane));
    // Its reply is still on its way to us, and proves nothing any more.
    assert_eq!(buffer.stored(&under_way, NOW + KEPT_FOR), 0);
    let again = store_all(&mut buffer);
    assert_eq!(again.iter().map(|sent| sent.number).collect::<Vec<_>>(), [1, 2]);
    assert!(buffer.is_stored(lane) && buffer.is_idle());
}

#[test]
fn what_the_broker_never_takes_is_told_of_as_missing() {
    let mut buffer = LogBuffer::default();
    let lane = buffer.open(&start(1));
    buffer.add(lane, Stream::Stdout, "too large".into());
    let sent = buffer.next_piece().unwrap();
    assert_eq!(buffer.failed(&sent, true), 9);
    let told = buffer.next_piece().unwrap().piece;
    assert_eq!((told.offset, told.missing, told.length, told.bytes.len()), (9, 9, 0, 0));
    assert_eq!((buffer.lost(lane), buffer.bytes), (9, PIECE_BYTES));
}

#[test]
fn an_attempt_that_prints_nothing_has_no_log() {
    let mut buffer = LogBuffer::default();
    let lane = buffer.open(&start(1));
    buffer.close(lane);
    assert!(buffer.next_piece().is_none() && buffer.lanes.is_empty());
}

#[test]
fn what_is_more_than_is_kept_counts_as_missing_where_it_was() {
    let mut buffer = LogBuffer::default();
    let lane = buffer.open(&start(1));
    buffer.add(lane, Stream::Stdout, "kept".into());
    buffer.note(lane, Stream::Stdout, "[enough]".to_owned());
    buffer.skip(lane, Stream::Stdout, 7);
    buffer.add(lane, Stream::Stdout, "end".into());
    buffer.end(lane, Stream::Stdout);
    let sent = store_all(&mut buffer);
    assert_eq!((sum(&sent), buffer.lost(lane)), ((7, 7), 7));
    assert_eq!((sent[2].piece.offset, sent[2].piece.missing), (11, 7));
    assert_eq!((sent[3].piece.offset, sent[3].piece.end), (14, true));
}

#[test]
fn a_word_of_the_executors_own_always_fits() {
    let mut buffer = LogBuffer::default();
    let lane = buffer.open(&start(1));
    let chunk = Bytes::from(vec![b'x'; 64 << 10]);
    for stream in [Stream::Stdout, Stream::Stderr] {
        while buffer.add(lane, stream, chunk.clone()) == 0 {}
        buffer.note(lane, stream, "[enough]".to_owned());
    }
    let sent = store_all(&mut buffer);
    let words = sent.iter().filter(|sent| &sent.piece.bytes[..] == b"[enough]");
    // What did not fit before it is told of with it.
    assert_eq!(words.map(|sent| sent.piece.missing).collect::<Vec<_>>(), [64 << 10; 2]);
}
