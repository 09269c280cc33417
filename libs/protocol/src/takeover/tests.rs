use std::time::Duration;

use bytes::Bytes;
use nox_contract::{
    Cancel, Capacity, Cause, Command, Frame, Hello, JobId, RawJson, Report, SchedulerConfig,
    SessionId,
};
use nox_core::Rules;

use super::*;
use crate::{
    fixtures,
    leader::{Effect, LOSSES_MAX, Leader, LeaderConfig, Now, TermEnd},
    sequencer::{SealedFrame, SequenceError, Sequencer},
};

/// A log as the broker has it.
type Log = Vec<(u64, String, Bytes)>;

fn at(second: u64) -> Timestamp {
    "2026-11-21T22:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_secs(second)
}

fn attachment(life: &str, commands_last: u64) -> Attachment {
    Attachment {
        commands: Incarnation(life.to_owned()),
        commands_last,
        reports: Incarnation("reports".to_owned()),
        reports_last: 0,
    }
}

/// Two submits that are refused, and promised: several facts each.
fn commands() -> CommandMessage {
    submits(&[1, 2])
}

fn submits(numbers: &[u128]) -> CommandMessage {
    let submit = |number: u128| {
        let job_id = format!("{number:032x}").parse().unwrap();
        Command::Submit(Box::new(fixtures::submit(job_id)))
    };
    CommandMessage::new(None, numbers.iter().copied().map(submit).collect())
}

/// From how many bytes on frames are sealed here: each part has one of its own.
const EVERY_PART: usize = 1;

fn first_epoch() -> EpochRecord {
    EpochRecord {
        epoch: Epoch(1),
        leader: "first".to_owned(),
        at: at(0),
        commands: Incarnation("commands/0".to_owned()),
        reports: Incarnation("reports".to_owned()),
    }
}

/// A log with the first leader's epoch, and who decides for it.
fn begun() -> (Log, Sequencer) {
    let record = first_epoch();
    let mut state = State::default();
    state.apply_epoch(FrameNumber(1), &record).unwrap();
    let payload: Bytes = serde_json::to_vec(&record).unwrap().into();
    let chain = Chain::START.extend(&payload);
    let sequencer = Sequencer::new(state, Positions::default(), chain, Rules::default())
        .with_frame_bytes(EVERY_PART);
    (vec![(1, subject::EPOCH.to_owned(), payload)], sequencer)
}

fn append(log: &mut Log, frames: Vec<SealedFrame>) {
    let frames = frames.into_iter().map(|f| (f.n.0, subject::FRAMES.to_owned(), f.payload));
    log.extend(frames);
}

fn input(seq: u64, message: CommandMessage) -> Input {
    Input::Commands { seq, tenant: "acme".parse().unwrap(), message }
}

/// What the first leader had written when it died: its epoch, and so many frames of one input.
fn first_term(frames: usize) -> Log {
    let (mut log, mut sequencer) = begun();
    sequencer.run(&input(1, commands()), at(1)).unwrap();
    let mut written = sequencer.take_sealed();
    assert_eq!(written.len(), 2);
    written.truncate(frames);
    append(&mut log, written);
    log
}

/// Takes over up to where the input streams are looked at again.
fn second_term(log: &mut Log, early: Attachment, accept_reset: Option<&str>) -> Takeover {
    second_term_with(log, early, accept_reset, Faults::default())
}

fn second_term_with(
    log: &mut Log,
    early: Attachment,
    accept_reset: Option<&str>,
    faults: Faults,
) -> Takeover {
    let accept_reset = accept_reset.map(str::to_owned);
    let mut takeover = Takeover::new("second".to_owned(), at(9), early, accept_reset, None, faults);
    assert_eq!(takeover.start(), TakeoverEffect::ReadEpoch);
    let newest: EpochRecord = serde_json::from_slice(&log[0].2).unwrap();
    let TakeoverEffect::AppendEpoch { record, expected: 1 } = takeover.on_epoch(Some((1, newest)))
    else {
        panic!("no epoch is begun")
    };
    let seq = log.len() as u64 + 1;
    log.push((seq, subject::EPOCH.to_owned(), serde_json::to_vec(&record).unwrap().into()));
    assert_eq!(takeover.on_epoch_appended(seq), TakeoverEffect::ReadLog { from: 1, to: seq });
    assert_eq!(takeover.on_log(log).unwrap(), Some(TakeoverEffect::Attach));
    takeover
}

fn lead(effect: Option<TakeoverEffect>) -> Ready {
    match effect {
        Some(TakeoverEffect::Lead(ready)) => *ready,
        other => panic!("does not lead: {other:?}"),
    }
}

fn begin(ready: Ready) -> Result<Leader, TermEnd> {
    let config = LeaderConfig {
        rules: Rules::default(),
        window: 4,
        frame_bytes: EVERY_PART,
        losses_max: LOSSES_MAX,
        worker_lease: Duration::from_secs(15),
        probing: None,
        scheduler: SchedulerConfig::default(),
        faults: Faults::default(),
    };
    let now = Now { at: at(9), wall: at(9), monotonic: Duration::ZERO };
    Leader::begin(ready, config, now)
}

fn ready(log: &mut Log, commands_last: u64, faults: Faults) -> Ready {
    let found = attachment("commands/0", commands_last);
    let mut takeover = second_term_with(log, found.clone(), None, faults);
    lead(takeover.on_attachment(found).unwrap())
}

/// Stores all that a leader writes; whatever it does beside is not done.
fn write_all(leader: &mut Leader, log: &mut Log) -> Result<(), TermEnd> {
    while let Some(effect) = leader.poll()? {
        if let Effect::Append { frame, .. } = effect {
            let n = frame.n;
            append(log, vec![frame]);
            leader.on_stored(n, log.len() as u64);
        }
    }
    Ok(())
}

fn now() -> Now {
    Now { at: at(9), wall: at(9), monotonic: Duration::ZERO }
}

/// Every message of a log, as whoever reads it finds it, and what it folds to.
fn read(log: &Log) -> (Vec<Frame>, State) {
    let (mut reader, mut state, mut frames) = (Reader::default(), State::default(), Vec::new());
    for (seq, subject, payload) in log {
        match reader.read(subject, payload).unwrap() {
            Record::Frame(frame) => {
                state.apply(&frame).unwrap();
                frames.push(*frame);
            }
            Record::Epoch(record) => state.apply_epoch(FrameNumber(*seq), &record).unwrap(),
        }
    }
    (frames, state)
}

/// The parts that led to something, in order.
fn parts(frames: &[Frame]) -> Vec<Cause> {
    let mut parts: Vec<_> = frames.iter().flat_map(|f| f.entries.iter().map(|e| e.by)).collect();
    parts.retain(|by| by.src == Source::Commands);
    parts.dedup();
    parts
}

#[test]
fn wherever_a_term_ends_the_next_one_goes_on_at_the_very_part() {
    let numbers: Vec<_> = (1..=5).collect();
    let message = submits(&numbers);
    let (_, mut whole) = begun();
    whole.run(&input(1, message.clone()), at(1)).unwrap();
    let written = whole.take_sealed();
    assert_eq!(written.len(), numbers.len());
    for cut in 0..=written.len() {
        let (mut log, _) = begun();
        append(&mut log, written[..cut].to_vec());
        let ready = ready(&mut log, 1, Faults::default());
        let expected = match cut {
            0 => Place::default(),
            5 => Place::after(1),
            part => Place { seq: 1, part: part as u32 },
        };
        assert_eq!((ready.pos.commands, ready.acked_pos().commands), (expected, expected));

        let mut leader = begin(ready).unwrap();
        assert_eq!(leader.next_command(), if cut == 5 { 2 } else { 1 });
        let payload = serde_json::to_vec(&message).unwrap();
        leader.on_input(Source::Commands, 1, "nox.cmd.acme", &payload, now()).unwrap();
        leader.end_turn(now()).unwrap();
        write_all(&mut leader, &mut log).unwrap();
        assert!(leader.is_settled());
        let (frames, state) = read(&log);
        let each_once: Vec<_> =
            (0..5).map(|part| Cause { src: Source::Commands, seq: 1, part }).collect();
        assert_eq!(parts(&frames), each_once, "cut after {cut}");
        assert_eq!(state, *leader.state());
        let own = frames.iter().filter(|frame| frame.epoch == Epoch(2));
        assert!(own.clone().all(|frame| frame.n > FrameNumber(1 + cut as u64)));
        assert_eq!(state.pos.commands, Place::after(1));
    }
}

#[test]
fn a_leader_that_drops_what_is_left_of_an_input_leaves_a_hole() {
    let mut log = first_term(1);
    let ready = ready(&mut log, 1, Faults { half_input_dropped: true, ..Faults::default() });
    assert_eq!(ready.pos.commands, Place::after(1));
}

/// A submit, and two cancels of no job, which lead to nothing: only a frame without entries says that
/// they are consumed.
fn ends_with_what_led_to_nothing() -> Log {
    let cancel = Command::Cancel(Cancel {
        job_id: format!("{:032x}", 99).parse::<JobId>().unwrap(),
        by: "ada".parse().unwrap(),
        admin: false,
    });
    let refused = CommandMessage::new(None, vec![cancel]);
    let (mut log, mut sequencer) = begun();
    for (seq, message) in (1..).zip([submits(&[7]), refused.clone(), refused]) {
        sequencer.run(&input(seq, message), at(seq)).unwrap();
    }
    sequencer.seal(at(4)).unwrap();
    append(&mut log, sequencer.take_sealed());
    assert_eq!(log.len(), 3);
    log
}

#[test]
fn a_frame_without_entries_says_where_to_go_on() {
    let mut log = ends_with_what_led_to_nothing();
    let ready = ready(&mut log, 4, Faults::default());
    assert_eq!(ready.pos.commands, Place::after(3));
    assert_eq!((ready.state.epoch, ready.state.n), (Epoch(2), FrameNumber(4)));
    assert_eq!(begin(ready).unwrap().next_command(), 4);
}

#[test]
fn a_leader_whose_positions_would_go_back_writes_nothing() {
    for (faults, seq) in [
        (Faults { empty_frames_ignored: true, ..Faults::default() }, 2),
        (Faults { consumed_input_repeated: true, ..Faults::default() }, 3),
    ] {
        let mut log = ends_with_what_led_to_nothing();
        let ready = ready(&mut log, 4, faults);
        let written = log.len();
        let end = begin(ready).and_then(|mut leader| write_all(&mut leader, &mut log));
        let place = |seq| Positions { commands: Place { seq, part: 0 }, ..Positions::default() };
        let refused = TermEnd::Broken(SequenceError::Apply(ApplyError::PositionsGoBack {
            n: FrameNumber(written as u64 + 1),
            before: place(4),
            found: place(seq),
        }));
        assert_eq!((end, log.len()), (Err(refused), written));
    }
}

#[test]
fn inputs_that_were_consumed_without_a_fact_and_are_gone_stop_everybody() {
    let mut log = ends_with_what_led_to_nothing();
    let mut takeover = second_term(&mut log, attachment("commands/0", 4), None);
    let end = takeover.on_attachment(attachment("commands/0", 2));
    assert!(matches!(end, Err(TakeoverError::Inputs { src: Source::Commands, .. })), "{end:?}");
}

#[test]
fn an_input_that_was_consumed_in_part_and_is_gone_stops_everybody() {
    for (last, stops) in [(1, false), (0, true)] {
        let mut log = first_term(1);
        let mut takeover = second_term(&mut log, attachment("commands/0", 1), None);
        let end = takeover.on_attachment(attachment("commands/0", last));
        let stopped = matches!(end, Err(TakeoverError::Inputs { src: Source::Commands, .. }));
        assert_eq!(stopped, stops, "{end:?}");
    }
}

/// The streams were looked at before the epoch record fenced the last leader out.
#[test]
fn inputs_that_the_last_leader_consumed_meanwhile_are_no_regression() {
    let mut log = first_term(usize::MAX);
    let mut takeover = second_term(&mut log, attachment("commands/0", 0), None);
    let ready = lead(takeover.on_attachment(attachment("commands/0", 1)).unwrap());
    assert_eq!(ready.pos.commands, Place::after(1));
}

#[test]
fn inputs_that_were_consumed_and_are_gone_stop_everybody() {
    let mut log = first_term(usize::MAX);
    let mut takeover = second_term(&mut log, attachment("commands/0", 1), None);
    let end = takeover.on_attachment(attachment("commands/0", 0));
    assert!(matches!(end, Err(TakeoverError::Inputs { src: Source::Commands, .. })), "{end:?}");

    let mut log = first_term(usize::MAX);
    let mut takeover = second_term(&mut log, attachment("commands/0", 1), None);
    let end = takeover.on_attachment(attachment("commands/1", 7));
    assert!(matches!(end, Err(TakeoverError::Inputs { src: Source::Commands, .. })), "{end:?}");
}

/// The new stream may well have a message of the same number, and it is another one.
#[test]
fn what_is_left_of_an_input_goes_with_the_stream_that_an_operator_gave_up() {
    let mut log = first_term(1);
    let mut takeover = second_term(&mut log, attachment("commands/1", 5), Some("ops"));
    let ready = lead(takeover.on_attachment(attachment("commands/1", 5)).unwrap());
    assert_eq!(ready.pos.commands, Place { seq: 1, part: 1 });
    assert_eq!(ready.acked_pos().commands, Place::default());
    assert!(matches!(&ready.resets[..], [Internal::ResetInputs { position: 0, .. }]));
    let mut leader = begin(ready).unwrap();
    assert_eq!(leader.next_command(), 1);
    write_all(&mut leader, &mut log).unwrap();
    let (_, state) = read(&log);
    assert_eq!(state.pos.commands, Place::after(0));
    assert_eq!(state.commands, Incarnation("commands/1".to_owned()));
}

/// An epoch record says nothing of its place in the log, so its sequence has to.
#[test]
fn a_message_that_is_missing_before_an_epoch_record_stops_the_fold() {
    let mut log = first_term(usize::MAX);
    let attached = attachment("commands/0", 1);
    let (begins, faults) = (at(9), Faults::default());
    let mut takeover = Takeover::new("second".to_owned(), begins, attached, None, None, faults);
    takeover.start();
    let newest: EpochRecord = serde_json::from_slice(&log[0].2).unwrap();
    let TakeoverEffect::AppendEpoch { record, .. } = takeover.on_epoch(Some((1, newest))) else {
        panic!("no epoch is begun")
    };
    let seq = log.len() as u64 + 1;
    log.push((seq, subject::EPOCH.to_owned(), serde_json::to_vec(&record).unwrap().into()));
    takeover.on_epoch_appended(seq);
    log.remove(log.len() - 2);
    let end = takeover.on_log(&log);
    assert!(matches!(end, Err(TakeoverError::Read(ReadError::Gap { .. }))), "{end:?}");
}

/// All sessions are to end before the stream is said to be another one; whoever dies in between
/// leaves the next one to find the same.
#[test]
fn a_reset_that_was_cut_off_is_done_by_whoever_is_told_again() {
    let (mut log, mut sequencer) = begun();
    let hello = Hello {
        origin: Default::default(),
        capacity: Capacity { slots: 1, cpu: 1, mem_mb: 1, gpu: 0 },
        modules: Vec::new(),
        labels: Default::default(),
    };
    for (seq, name) in [(5, "w1"), (6, "w2")] {
        let session = SessionId(format!("{seq:032x}").parse::<JobId>().unwrap().0);
        let reports = vec![Report::Hello(Box::new(hello.clone()))];
        let message = ReportMessage { session, reports };
        let joins = Input::Reports { seq, worker_id: name.parse().unwrap(), message };
        sequencer.run(&joins, at(1)).unwrap();
    }
    append(&mut log, sequencer.take_sealed());
    let (_, before) = read(&log);
    let reset = Internal::ResetInputs {
        src: Source::Reports,
        incarnation: Incarnation("reports/1".to_owned()),
        position: 0,
        by: "ops".to_owned(),
    };
    let gone = sequencer.run(&Input::Internal(reset.clone()), at(2)).unwrap().entries;
    assert_eq!(gone.len(), 3);
    // A frame with nothing but the first step.
    let chain = log.iter().fold(Chain::START, |chain, (.., payload)| chain.extend(payload));
    let first = Frame {
        n: before.n.next(),
        epoch: Epoch(1),
        at: at(2),
        rules: nox_core::RULES_VERSION,
        prev: chain.to_string(),
        pos: before.pos,
        inputs: vec![RawJson::of(&reset).unwrap()],
        askers: Vec::new(),
        asked: Vec::new(),
        entries: vec![gone[0].1.clone()],
    };
    let payload = serde_json::to_vec(&first).unwrap().into();
    log.push((first.n.0, subject::FRAMES.to_owned(), payload));

    let mut found = attachment("commands/0", 0);
    found.reports = Incarnation("reports/1".to_owned());
    let mut unasked = second_term(&mut log.clone(), found.clone(), None);
    let end = unasked.on_attachment(found.clone());
    assert!(matches!(end, Err(TakeoverError::Inputs { src: Source::Reports, .. })), "{end:?}");

    let mut takeover = second_term(&mut log, found.clone(), Some("ops"));
    let ready = lead(takeover.on_attachment(found).unwrap());
    assert_eq!(ready.state.workers.iter().count(), 1);
    // Of the stream that is there now nothing was read, so none of it may be removed.
    assert_eq!(ready.pos.reports, Place::after(6));
    assert_eq!(ready.acked_pos().reports, Place::default());
    let mut leader = begin(ready).unwrap();
    assert_eq!(leader.state().workers.iter().count(), 0);
    write_all(&mut leader, &mut log).unwrap();
    assert_eq!(read(&log).1.reports, Incarnation("reports/1".to_owned()));
}
