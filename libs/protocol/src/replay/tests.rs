use nox_contract::{Fact, FactOrUnknown};
use nox_core::{Faults, RULES_VERSION};

use super::*;
use crate::fixtures::{Recording, TOKEN_KEY};

fn replay(recording: &Recording, faults: Faults) -> (Replay, Result<(), ReplayError>) {
    let mut replay = Replay::new(Rules { token_key: TOKEN_KEY, faults });
    replay.epoch(FrameNumber(1), &recording.epoch).unwrap();
    let mut frames = recording.frames.iter();
    let decided = frames.try_for_each(|frame| replay.frame(frame, &recording.inputs, &mut ()));
    (replay, decided)
}

/// Where a record that is not what it should be is found to be so.
fn divergence(recording: &Recording, faults: Faults) -> Divergence {
    match replay(recording, faults).1 {
        Err(ReplayError::Divergence(divergence)) => *divergence,
        other => panic!("{other:?}"),
    }
}

fn facts(recording: &Recording) -> u64 {
    let entries = recording.frames.iter().flat_map(|frame| &frame.entries);
    entries.map(|entry| entry.facts.len() as u64).sum()
}

/// The place of a fact in a recording: of its frame there, its entry and in that.
fn place_of(recording: &Recording, wanted: impl Fn(&Fact) -> bool) -> (usize, usize, usize) {
    for (f, frame) in recording.frames.iter().enumerate() {
        for (e, entry) in frame.entries.iter().enumerate() {
            for (place, fact) in entry.facts.iter().enumerate() {
                if matches!(fact, FactOrUnknown::Known(fact) if wanted(fact)) {
                    return (f, e, place);
                }
            }
        }
    }
    panic!("no such fact")
}

#[test]
fn every_fact_of_a_record_follows_again() {
    let recording = Recording::story(Faults::default());
    let (replay, decided) = replay(&recording, Faults::default());
    decided.unwrap();
    assert_eq!(replay.state(), recording.state());
    let counts = replay.counts();
    assert_eq!((counts.facts, counts.taken_facts), (facts(&recording), 0));
    assert_eq!(counts.frames, recording.frames.len() as u64);
    // Two refused cancels and a forged report.
    assert_eq!((counts.silent, counts.gone_up_to), (3, FrameNumber(0)));
}

#[test]
fn a_core_with_one_planted_change_is_caught_where_it_decides_otherwise() {
    let recording = Recording::story(Faults::default());
    // It would believe the forged report, in the frame that says that the attempt has begun.
    let found = divergence(&recording, Faults { token_unchecked: true, ..Faults::default() });
    let (f, entry, _) = place_of(&recording, |fact| matches!(fact, Fact::Started { .. }));
    assert_eq!((found.n, found.entry), (recording.frames[f].n, Some(entry)));
    assert!(found.expected.contains("Succeeded"), "{found}");
}

#[test]
fn a_record_of_a_core_with_one_planted_change_is_caught_at_the_same_place() {
    let planted = Faults { token_unchecked: true, ..Faults::default() };
    let recording = Recording::story(planted);
    assert!(replay(&recording, planted).1.is_ok());
    let found = divergence(&recording, Faults::default());
    let (f, entry, _) = place_of(&recording, |fact| matches!(fact, Fact::Succeeded { .. }));
    assert_eq!((found.n, found.entry), (recording.frames[f].n, Some(entry)));
    assert_eq!(found.expected, "nothing");
}

#[test]
fn a_doctored_fact_is_named_by_its_place() {
    let mut recording = Recording::story(Faults::default());
    let (f, entry, fact) = place_of(&recording, |fact| matches!(fact, Fact::Settled { .. }));
    let frame = &mut recording.frames[f];
    let FactOrUnknown::Known(Fact::Settled { cpu_seconds, .. }) =
        &mut frame.entries[entry].facts[fact]
    else {
        panic!("no fact")
    };
    *cpu_seconds -= 1;
    let n = frame.n;
    let found = divergence(&recording, Faults::default());
    assert_eq!((found.n, found.entry, found.fact), (n, Some(entry), Some(fact)));
    assert!(found.expected.contains("\"cpu_seconds\":2"), "{found}");
    assert!(found.found.contains("\"cpu_seconds\":1"), "{found}");
}

#[test]
fn an_entry_that_names_another_owner_is_caught_and_one_that_names_none_is_old() {
    let mut recording = Recording::story(Faults::default());
    let (f, entry, _) = place_of(&recording, |fact| matches!(fact, Fact::KeyCreated { .. }));
    let owner = &mut recording.frames[f].entries[entry].user_id;
    assert_eq!(owner.replace("bob".parse().unwrap()), Some("ada".parse().unwrap()));
    let n = recording.frames[f].n;
    let found = divergence(&recording, Faults::default());
    assert_eq!((found.n, found.entry), (n, Some(entry)));
    recording.frames[f].entries[entry].user_id = None;
    assert!(replay(&recording, Faults::default()).1.is_ok());
}

#[test]
fn an_entry_that_is_missing_and_one_that_is_invented_are_caught() {
    let whole = Recording::story(Faults::default());
    for f in 0..whole.frames.len() {
        for entry in 0..whole.frames[f].entries.len() {
            let mut recording = Recording::story(Faults::default());
            recording.frames[f].entries.remove(entry);
            assert_eq!(divergence(&recording, Faults::default()).n, whole.frames[f].n);

            let mut recording = Recording::story(Faults::default());
            let twice = recording.frames[f].entries[entry].clone();
            recording.frames[f].entries.insert(entry + 1, twice);
            assert_eq!(divergence(&recording, Faults::default()).n, whole.frames[f].n);
        }
    }
}

#[test]
fn what_follows_from_messages_that_are_gone_is_taken_as_it_is_recorded() {
    let mut recording = Recording::story(Faults::default());
    let of_streams = |frame: &Frame| {
        let entries = frame.entries.iter();
        let told = entries.filter(|e| matches!(e.by.src, Source::Commands | Source::Reports));
        told.map(|entry| entry.facts.len() as u64).sum::<u64>()
    };
    // All commands, and the reports of the first two frames.
    let gone = of_streams(&recording.frames[0]) + of_streams(&recording.frames[1]);
    recording.inputs.forget_before(Source::Commands, 2);
    recording.inputs.forget_before(Source::Reports, 3);
    let (replay, decided) = replay(&recording, Faults::default());
    decided.unwrap();
    let counts = replay.counts();
    assert_eq!((counts.taken_facts, counts.facts), (gone, facts(&recording) - gone));
    assert_eq!(counts.gone_up_to, recording.frames[1].n);
    assert_eq!(replay.state(), recording.state());

    // What the match decided is still compared.
    let (f, entry, fact) = place_of(&recording, |fact| matches!(fact, Fact::Assigned { .. }));
    assert_eq!(f, 0);
    recording.frames[f].entries[entry].facts[fact] =
        Fact::Waiting { code: nox_contract::WaitingCode::Resources }.into();
    assert_eq!(divergence(&recording, Faults::default()).entry, Some(entry));
}

#[test]
fn a_frame_of_rules_that_nobody_knows_is_refused_by_its_version() {
    let mut recording = Recording::story(Faults::default());
    recording.frames[1].rules = RULES_VERSION + 1;
    let n = recording.frames[1].n;
    let (replay, decided) = replay(&recording, Faults::default());
    let error = decided.unwrap_err();
    assert_eq!(error, ReplayError::UnknownRules { n, rules: RULES_VERSION + 1 });
    assert!(error.to_string().contains("version 2 of the rules"), "{error}");
    assert_eq!(replay.state().n, recording.frames[0].n, "nothing of it is folded");
}

#[test]
fn leaders_go_by_the_newest_rules_and_all_before_are_kept() {
    let versions: Vec<_> = rules::DECIDERS.iter().map(|decider| decider.version).collect();
    assert_eq!(versions, (1..=RULES_VERSION).collect::<Vec<_>>());
}
