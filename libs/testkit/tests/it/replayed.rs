//! Logs that runs leave behind, decided again from their first message to their last.

use std::time::Duration;

use nox_contract::{Fact, FrameNumber};
use nox_core::{Faults, RULES_VERSION, Rules};
use nox_protocol::{
    LedgerProof, Reader, Record, Replay,
    ledger_proof::Proved,
    replay::{Counts, ReplayError},
};
use nox_service::Clock;
use nox_testkit::sim::{Kept, Options, TOKEN_KEY, kept, run_and_keep};

/// Runs whose logs are decided again.
const RUNS: u64 = 40;

/// What a run left behind under each version of the rules; kept for ever, as the rules are. Each was written by
/// `sim --seed N --steps M --keep FILE` of its time.
const OF_VERSIONS: &[(u32, &str)] = &[(1, include_str!("../../logs/rules-1.jsonl"))];

fn replay(kept: &[Kept], faults: Faults) -> (Counts, Result<(), ReplayError>) {
    let inputs = kept::inputs(kept);
    let (mut reader, mut replay) =
        (Reader::default(), Replay::new(Rules { token_key: TOKEN_KEY, faults }));
    let decided = kept::log(kept).try_for_each(|message| {
        match reader.read(&message.subject, message.payload.as_bytes()).unwrap() {
            Record::Epoch(record) => replay.epoch(reader.n(), &record),
            Record::Frame(frame) => replay.frame(&frame, &inputs, &mut ()),
        }
    });
    (replay.counts(), decided)
}

fn prove(kept: &[Kept]) -> Proved {
    let (mut reader, mut proof) = (Reader::default(), LedgerProof::default());
    for message in kept::log(kept) {
        match reader.read(&message.subject, message.payload.as_bytes()).unwrap() {
            Record::Epoch(record) => proof.epoch(reader.n(), &record).unwrap(),
            Record::Frame(frame) => proof.frame(&frame).unwrap(),
        }
    }
    proof.compare_all().unwrap();
    proof.proved()
}

/// The first place where the end of a worker also settles or gives back what a job had reserved.
fn settled_with_a_loss(kept: &[Kept]) -> Option<(FrameNumber, usize)> {
    let mut reader = Reader::default();
    kept::log(kept).find_map(|message| {
        let record = reader.read(&message.subject, message.payload.as_bytes()).unwrap();
        let Record::Frame(frame) = record else { return None };
        let entry = frame.entries.iter().position(|entry| {
            let lost = |fact: &Fact| matches!(fact, Fact::AttemptLost { .. });
            let moved = |fact: &Fact| matches!(fact, Fact::Settled { .. } | Fact::Released { .. });
            entry.known_facts().any(lost) && entry.known_facts().any(moved)
        });
        entry.map(|entry| (frame.n, entry))
    })
}

#[test]
fn every_log_of_the_simulation_follows_again_and_a_planted_change_is_caught_in_its_place() {
    let clock = Clock::system();
    let (mut facts, mut prefixes, mut silent, mut caught) = (0, 0, 0, 0);
    let (mut deciding, mut proving) = (Duration::ZERO, Duration::ZERO);
    let planted = Faults { reservation_kept_on_loss: true, ..Faults::default() };
    for seed in 0..RUNS {
        let (_, kept) = run_and_keep(&Options::seed(seed));
        if kept.is_empty() {
            continue;
        }
        let begun = clock.monotonic();
        let (counts, decided) = replay(&kept, Faults::default());
        deciding += clock.monotonic() - begun;
        assert_eq!(decided, Ok(()), "sim --seed {seed}");
        assert_eq!((counts.taken_facts, counts.gone_up_to), (0, FrameNumber(0)));
        let begun = clock.monotonic();
        prefixes += prove(&kept).entries;
        proving += clock.monotonic() - begun;
        facts += counts.facts;
        silent += counts.silent;
        match (settled_with_a_loss(&kept), replay(&kept, planted).1) {
            (Some((n, entry)), Err(ReplayError::Divergence(found))) => {
                assert_eq!((found.n, found.entry), (n, Some(entry)), "sim --seed {seed}: {found}");
                caught += 1;
            }
            (None, Ok(())) => {}
            (place, decided) => panic!("sim --seed {seed}: {place:?}, {decided:?}"),
        }
    }
    let rate = |span: Duration| facts as f64 / span.as_secs_f64();
    println!(
        "{facts} facts and {silent} silent parts follow again, {:.0} facts/s; the ledger holds at {prefixes} \
         prefixes, {:.0} facts/s; a planted change was caught in {caught} logs",
        rate(deciding),
        rate(proving)
    );
    assert!(facts > 10_000 && silent > 100 && caught >= 3, "{facts} {silent} {caught}");
}

#[test]
fn the_stored_log_of_each_version_of_the_rules_follows_again() {
    let versions: Vec<_> = OF_VERSIONS.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, (1..=RULES_VERSION).collect::<Vec<_>>(), "keep a log of each version");
    for (version, log) in OF_VERSIONS {
        let kept: Vec<Kept> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut reader = Reader::default();
        for message in kept::log(&kept) {
            let record = reader.read(&message.subject, message.payload.as_bytes()).unwrap();
            if let Record::Frame(frame) = record {
                assert_eq!(frame.rules, *version);
            }
        }
        let (counts, decided) = replay(&kept, Faults::default());
        assert_eq!(decided, Ok(()), "version {version}");
        assert!(counts.facts > 100 && counts.taken_facts == 0, "{counts:?}");
        assert_eq!(prove(&kept).entries, counts.entries);
    }
}
