use std::time::Duration;

use nox_contract::{Cancel, Command, Frame, Incarnation, Requested, Submit, subject};

use super::*;
use crate::{Reader, Record, fixtures};

fn at(second: u64) -> Timestamp {
    "2026-11-21T22:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_secs(second)
}

fn sequencer(frame_bytes: usize) -> Sequencer {
    let pos = Positions::default();
    Sequencer::new(State::default(), pos, Chain::START, Rules::default())
        .with_frame_bytes(frame_bytes)
}

/// A message of so many submits that are refused and promised, each with so many bytes of inputs.
fn submits(seq: u64, count: u64, bytes: usize) -> Input {
    let submit = |number: u64| {
        let job_id = format!("{:032x}", (seq << 16) + number).parse().unwrap();
        let inputs = RawJson::of(&"x".repeat(bytes)).unwrap();
        Command::Submit(Box::new(Submit { inputs, ..fixtures::submit(job_id) }))
    };
    let message = CommandMessage::new(None, (0..count).map(submit).collect());
    Input::Commands { seq, tenant: "acme".parse().unwrap(), message }
}

/// Reads frames as everybody does who reads the log, and folds them.
fn read(frames: &[SealedFrame]) -> (Vec<Frame>, State) {
    let (mut reader, mut state) = (Reader::default(), State::default());
    let read = frames.iter().map(|sealed| {
        let Record::Frame(frame) = reader.read(subject::FRAMES, &sealed.payload).unwrap() else {
            panic!("no frame")
        };
        assert_eq!((frame.n, frame.pos), (sealed.n, sealed.pos));
        state.apply(&frame).unwrap();
        *frame
    });
    (read.collect(), state)
}

#[test]
fn what_several_inputs_lead_to_shares_a_frame() {
    let mut sequencer = sequencer(FRAME_BYTES_FULL);
    for seq in 1..=3 {
        let decided = sequencer.run(&submits(seq, 2, 9), at(seq)).unwrap();
        assert!(decided.entries.iter().all(|(n, _)| *n == FrameNumber(1)));
        assert!(sequencer.fold().is_none() && sequencer.take_sealed().is_empty());
    }
    sequencer.seal(at(9)).unwrap();
    let (frames, state) = read(&sequencer.take_sealed());
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].at, at(1), "all of it is true from one instant on");
    assert_eq!(frames[0].pos.commands, Place::after(3));
    let (folded, chain) = sequencer.fold().unwrap();
    assert_eq!(*folded, state);
    assert_ne!(chain, Chain::START);
}

#[test]
fn what_leads_to_nothing_is_decided_at_the_instant_of_the_frame_that_covers_it() {
    let mut sequencer = sequencer(FRAME_BYTES_FULL);
    let nobodys = Cancel { job_id: Default::default(), by: "ada".parse().unwrap(), admin: false };
    let message = CommandMessage::new(None, vec![Command::Cancel(nobodys)]);
    let refused = Input::Commands { seq: 1, tenant: "acme".parse().unwrap(), message };
    assert!(sequencer.run(&refused, at(1)).unwrap().entries.is_empty());
    sequencer.run(&submits(2, 1, 9), at(5)).unwrap();
    sequencer.seal(at(6)).unwrap();
    // The next frame is not held to that instant.
    sequencer.run(&submits(3, 1, 9), at(7)).unwrap();
    sequencer.seal(at(8)).unwrap();
    let (frames, _) = read(&sequencer.take_sealed());
    assert_eq!(frames.iter().map(|frame| frame.at).collect::<Vec<_>>(), [at(1), at(7)]);
}

#[test]
fn a_full_frame_is_sealed_and_the_rest_stands_in_the_next() {
    const INPUTS_BYTES: usize = 16_000;
    let mut sequencer = sequencer(FRAME_BYTES_FULL);
    let decided = sequencer.run(&submits(1, 40, INPUTS_BYTES), at(1)).unwrap();
    assert!(sequencer.has_open_frame());
    sequencer.seal(at(1)).unwrap();
    let sealed = sequencer.take_sealed();
    let (frames, state) = read(&sealed);
    assert_eq!(sequencer.fold().map(|(folded, _)| folded), Some(&state));
    assert_eq!(frames.len(), 3, "40 times 16 kB");
    for (frame, sealed) in frames.iter().zip(&sealed).take(2) {
        let bytes = sealed.payload.len();
        assert!((FRAME_BYTES_FULL - 2_000..FRAME_BYTES_FULL + 2 * INPUTS_BYTES).contains(&bytes));
        let last = frame.entries.last().unwrap().by;
        assert_eq!(frame.pos.commands, Place { seq: 1, part: last.part + 1 });
    }
    assert_eq!(frames[2].pos.commands, Place::after(1));
    // In the order of their parts, each once, and where they were said to stand.
    let entries: Vec<_> = frames
        .iter()
        .flat_map(|frame| frame.entries.iter().map(|entry| (frame.n, entry.clone())))
        .collect();
    assert_eq!(entries, decided.entries);
    let parts: Vec<_> = entries.iter().map(|(_, entry)| entry.by.part).collect();
    assert!(parts.is_sorted() && parts.last() == Some(&39));
}

#[test]
fn no_frame_is_larger_than_the_broker_takes() {
    let mut sequencer = sequencer(usize::MAX);
    for seq in 1..=3 {
        sequencer.run(&submits(seq, 40, 16_000), at(seq)).unwrap();
    }
    sequencer.seal(at(4)).unwrap();
    let sealed = sequencer.take_sealed();
    assert!(sealed.iter().all(|frame| frame.payload.len() <= FRAME_BYTES_MAX));
    assert_eq!(read(&sealed).0.len(), 2);
}

#[test]
fn inputs_in_no_stream_stand_in_each_frame_that_tells_of_them() {
    let mut sequencer = sequencer(1);
    let configured = Internal::Configure { config: Default::default() };
    sequencer.run(&Input::Internal(configured.clone()), at(1)).unwrap();
    let reset = Internal::ResetInputs {
        src: Source::Commands,
        incarnation: Incarnation("commands/1".to_owned()),
        position: 7,
        by: "ops".to_owned(),
    };
    sequencer.run(&Input::Internal(reset.clone()), at(1)).unwrap();
    sequencer.seal(at(1)).unwrap();
    let (frames, _) = read(&sequencer.take_sealed());
    let embedded: Vec<Internal> = frames
        .iter()
        .flat_map(|frame| &frame.inputs)
        .map(|input| serde_json::from_str(input.get()).unwrap())
        .collect();
    assert_eq!(embedded, [configured, reset]);
    for frame in &frames {
        assert!(frame.entries.iter().all(|entry| entry.by.seq < frame.inputs.len() as u64));
    }
    assert_eq!(frames.last().unwrap().pos.commands, Place::after(7));
}

#[test]
fn an_input_that_is_delivered_again_leads_to_nothing() {
    let mut sequencer = sequencer(1);
    let input = submits(1, 3, 9);
    sequencer.run(&input, at(1)).unwrap();
    let before = sequencer.pos();
    assert!(sequencer.run(&input, at(2)).unwrap().entries.is_empty());
    assert_eq!((sequencer.pos(), before.commands), (before, Place::after(1)));
}

#[test]
fn a_frame_without_entries_says_how_far_the_inputs_are_consumed() {
    let mut sequencer = sequencer(FRAME_BYTES_FULL);
    sequencer.run(&submits(1, 0, 0), at(1)).unwrap();
    assert!(sequencer.needs_frame() && !sequencer.has_open_frame());
    sequencer.seal(at(2)).unwrap();
    let (frames, _) = read(&sequencer.take_sealed());
    assert_eq!((frames[0].entries.len(), frames[0].pos.commands), (0, Place::after(1)));
    assert!(!sequencer.needs_frame());
}

fn asker(tenant: &str) -> Asker {
    Asker {
        tenant: tenant.parse().unwrap(),
        user_id: "ada".parse().unwrap(),
        role: "user".to_owned(),
        token_id: Some("t1".to_owned()),
        key_id: None,
        from: Some("192.0.2.7".to_owned()),
    }
}

fn requested(commands: u32, asker: Option<u32>, name: &str) -> Requested {
    let request_id = Some(name.to_owned());
    Requested { commands, asker, request_id, reason: None }
}

#[test]
fn a_frame_says_once_who_asked_and_which_request_for_all_that_it_led_to() {
    let submit = |number| Command::Submit(Box::new(fixtures::submit(fixtures::job(number))));
    let cancel = Command::Cancel(Cancel {
        job_id: fixtures::job(99),
        by: "ada".parse().unwrap(),
        admin: false,
    });
    let commands: Vec<_> = (0..3)
        .map(submit)
        .chain([cancel.clone(), cancel.clone()])
        .chain((3..5).map(submit))
        .chain([cancel])
        .collect();
    let mut message = CommandMessage::new(None, commands);
    message.askers = vec![asker("acme"), asker("other")];
    message.requests = vec![
        requested(3, Some(0), "bulk"),
        requested(2, Some(0), "refused"),
        requested(1, None, "its own"),
        requested(1, Some(1), "of another tenant"),
        requested(1, Some(0), "again"),
    ];
    let mut sequencer = sequencer(FRAME_BYTES_FULL);
    let tenant = "acme".parse().unwrap();
    sequencer.run(&Input::Commands { seq: 7, tenant, message }, at(1)).unwrap();
    sequencer.seal(at(1)).unwrap();
    let [sealed] = &sequencer.take_sealed()[..] else { panic!("one frame") };
    let frame: Frame = serde_json::from_slice(&sealed.payload).unwrap();
    assert_eq!(frame.entries.len(), sealed.entries);
    assert_eq!(frame.askers, [asker("acme")]);
    let asked: Vec<_> = frame.asked.iter().map(|of| (of.part, of.parts)).collect();
    // Alike refusals are told once.
    assert_eq!(asked, [(0, 3), (3, 2)]);
    assert!(frame.asked[0].refused.is_empty());
    let [refused] = &frame.asked[1].refused[..] else { panic!("{:?}", frame.asked[1]) };
    assert_eq!((refused.part, refused.command.as_str()), (3, "cancel"));
    assert_eq!(refused.code, "job_not_found");
    for entry in &frame.entries {
        let of: Vec<_> = frame
            .asked
            .iter()
            .filter(|of| of.covers(entry.by.seq, entry.by.part))
            .filter_map(|of| of.request_id.as_deref())
            .collect();
        assert_eq!(of, if entry.by.part < 3 { vec!["bulk"] } else { Vec::new() });
    }
}

#[test]
fn refusals_stand_in_a_frame_without_entries_and_no_loop_of_them_makes_it_large() {
    let mut sequencer = sequencer(FRAME_BYTES_FULL);
    for seq in 1..200 {
        let cancel = Cancel { job_id: fixtures::job(99), by: "ada".parse().unwrap(), admin: false };
        let mut message = CommandMessage::new(None, vec![Command::Cancel(cancel)]);
        let from = Some(format!("192.0.2.{}", seq % 100));
        message.askers = vec![Asker { from, ..asker("acme") }];
        message.requests = vec![requested(1, Some(0), "refused")];
        let tenant = "acme".parse().unwrap();
        sequencer.run(&Input::Commands { seq, tenant, message }, at(1)).unwrap();
    }
    assert!(sequencer.needs_frame() && !sequencer.has_open_frame());
    sequencer.seal(at(1)).unwrap();
    let sealed = sequencer.take_sealed();
    let frame: Frame = serde_json::from_slice(&sealed[0].payload).unwrap();
    assert_eq!((frame.entries.len(), frame.asked.len()), (0, 16));
    sequencer.seal(at(1)).unwrap();
    let frame: Frame = serde_json::from_slice(&sequencer.take_sealed()[0].payload).unwrap();
    assert!(frame.asked.is_empty() && frame.askers.is_empty());
}
