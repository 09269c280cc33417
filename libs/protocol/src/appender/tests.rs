use nox_contract::Place;

use super::*;

const EPOCH_SEQ: u64 = 10;

fn frame(n: u64) -> SealedFrame {
    let pos = Positions { commands: Place::after(n), reports: Place::default() };
    let payload = format!("frame {n}").into();
    SealedFrame { n: FrameNumber(n), pos, entries: 1, payload }
}

fn stored(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, Bytes)> {
    numbers.into_iter().map(|n| (n, frame(n).payload)).collect()
}

/// With so many frames to write.
fn appender(window: usize, frames: u64) -> Appender {
    let mut appender = Appender::new(EPOCH_SEQ, Positions::default(), window, Faults::default());
    (1..=frames).for_each(|n| appender.push(frame(EPOCH_SEQ + n)));
    appender
}

/// The frames that are sent now, each with the sequence that it has to follow.
fn sent(appender: &mut Appender) -> Vec<u64> {
    let mut sent = Vec::new();
    while let Some(effect) = appender.poll() {
        let AppendEffect::Append { guard, frame } = effect else { panic!("{effect:?}") };
        assert_eq!(guard, Guard { epoch_seq: Some(EPOCH_SEQ), last_seq: Some(frame.n.0 - 1) });
        sent.push(frame.n.0);
    }
    sent
}

fn read_tail(appender: &mut Appender) {
    // With the last frame of our own, once there is one.
    let acked = appender.acked().0;
    let from = acked + u64::from(acked == EPOCH_SEQ);
    assert_eq!(appender.poll(), Some(AppendEffect::ReadTail { from }));
    assert_eq!(appender.poll(), None, "nothing is sent while nobody knows");
}

#[test]
fn no_more_than_the_window_is_in_flight() {
    for window in [1, 2, 4] {
        let mut appender = appender(window, 9);
        assert_eq!(sent(&mut appender).len(), window);
        appender.on_stored(FrameNumber(11), 11);
        assert_eq!(sent(&mut appender), [11 + window as u64]);
        assert_eq!((appender.acked(), appender.backlog()), (FrameNumber(11), 8));
        assert_eq!(appender.acked_pos().commands, Place::after(11));
    }
}

#[test]
fn acknowledgements_out_of_order_are_no_reason_for_doubt() {
    let mut appender = appender(4, 6);
    assert_eq!(sent(&mut appender), [11, 12, 13, 14]);
    // It follows the others, so that those are stored as well.
    appender.on_stored(FrameNumber(13), 13);
    assert_eq!(
        (appender.acked(), appender.acked_pos().commands),
        (FrameNumber(13), Place::after(13))
    );
    assert_eq!(sent(&mut appender), [15, 16]);
    for late in [12, 11] {
        appender.on_stored(FrameNumber(late), late);
        assert_eq!((appender.acked(), appender.poll()), (FrameNumber(13), None));
    }
    appender.on_stored(FrameNumber(16), 16);
    assert_eq!((appender.acked(), appender.backlog()), (FrameNumber(16), 0));
}

#[test]
fn earlier_copies_of_own_frames_that_are_still_on_their_way_are_not_a_strangers() {
    let mut appender = appender(4, 4);
    assert_eq!(sent(&mut appender), [11, 12, 13, 14]);
    appender.on_unknown();
    read_tail(&mut appender);
    // When the tail is read only the first has arrived.
    appender.on_tail(11, &stored([11])).unwrap();
    // All others are sent again, and are refused: their first copies have just been stored.
    assert_eq!(sent(&mut appender), [12, 13, 14]);
    appender.on_unknown();
    read_tail(&mut appender);
    appender.on_tail(13, &stored([12, 13])).unwrap();
    assert_eq!((appender.acked(), sent(&mut appender)), (FrameNumber(13), vec![14]));
    appender.on_stored(FrameNumber(14), 14);
    assert_eq!(appender.backlog(), 0);
}

/// Of what waits to be sent again there may be copies on their way, beyond what is in flight by now.
#[test]
fn copies_of_what_is_not_in_flight_any_more_are_not_a_strangers_either() {
    let mut appender = appender(4, 4);
    assert_eq!(sent(&mut appender), [11, 12, 13, 14]);
    appender.on_unknown();
    read_tail(&mut appender);
    appender.on_tail(EPOCH_SEQ, &[]).unwrap();
    let first = appender.poll();
    assert!(matches!(first, Some(AppendEffect::Append { frame, .. }) if frame.n.0 == 11));
    appender.on_unknown();
    read_tail(&mut appender);
    appender.on_tail(13, &stored([11, 12, 13])).unwrap();
    assert_eq!((appender.acked(), sent(&mut appender)), (FrameNumber(13), vec![14]));
}

#[test]
fn a_tail_that_somebody_else_wrote_deposes() {
    for tail in [
        vec![(11, "another".into())],
        stored([11]).into_iter().chain([(12, "another".into())]).collect(),
        // More than was ever written here.
        stored([11, 12, 13]),
    ] {
        let mut appender = appender(2, 2);
        assert_eq!(sent(&mut appender), [11, 12]);
        appender.on_unknown();
        read_tail(&mut appender);
        let last = 10 + tail.len() as u64;
        let end = appender.on_tail(last, &tail);
        assert_eq!(end, Err(Deposed::Foreign { seq: last }));
        assert_eq!(appender.poll(), None);
    }
}

#[test]
fn a_log_that_lost_what_was_acknowledged_deposes() {
    let mut appender = appender(2, 3);
    sent(&mut appender);
    appender.on_stored(FrameNumber(12), 12);
    appender.on_unknown();
    read_tail(&mut appender);
    assert_eq!(appender.on_tail(11, &[]), Err(Deposed::Regressed { last: 11, acked: 12 }));
}

#[test]
fn a_log_that_got_as_long_again_by_the_frames_of_others_is_no_log_of_ours() {
    let mut appender = appender(1, 3);
    sent(&mut appender);
    appender.on_stored(FrameNumber(11), 11);
    sent(&mut appender);
    appender.on_unknown();
    read_tail(&mut appender);
    // The control: what we wrote there is no reason to end.
    assert_eq!(appender.on_tail(11, &[(11, frame(11).payload)]), Ok(()));
    sent(&mut appender);
    appender.on_unknown();
    read_tail(&mut appender);
    let foreign = Bytes::from_static(b"another one's");
    assert_eq!(appender.on_tail(11, &[(11, foreign)]), Err(Deposed::Foreign { seq: 11 }));
}
