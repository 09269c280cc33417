use nox_core::Faults;

use super::*;
use crate::fixtures::Recording;

fn prove(recording: &Recording) -> Result<Proved, LedgerFault> {
    let mut proof = LedgerProof::default();
    proof.epoch(FrameNumber(1), &recording.epoch)?;
    recording.frames.iter().try_for_each(|frame| proof.frame(frame))?;
    proof.compare_all()?;
    Ok(proof.proved())
}

#[test]
fn entries_explain_every_balance() {
    let recording = Recording::story(Faults::default());
    let proved = prove(&recording).unwrap();
    let entries: usize = recording.frames.iter().map(|frame| frame.entries.len()).sum();
    assert_eq!(proved.entries, entries as u64);
    // The tenant and its one user.
    assert_eq!((proved.accounts, proved.balances), (2, 2));
}

/// Doctors each fact that `doctor` takes in its own copy of a log: every one has to be named by its place.
fn caught(doctor: impl Fn(&mut Fact) -> bool) {
    let whole = Recording::story(Faults::default());
    let mut doctored = 0;
    for f in 0..whole.frames.len() {
        for entry in 0..whole.frames[f].entries.len() {
            for fact in 0..whole.frames[f].entries[entry].facts.len() {
                let mut recording = Recording::story(Faults::default());
                let frame = &mut recording.frames[f];
                let FactOrUnknown::Known(of) = &mut frame.entries[entry].facts[fact] else {
                    continue;
                };
                if !doctor(of) {
                    continue;
                }
                doctored += 1;
                let n = frame.n;
                let found = prove(&recording).unwrap_err();
                assert_eq!((found.n, found.entry), (n, Some(entry)), "{found}");
                // What is missing shows when the entry ends.
                assert!(found.fact.is_none_or(|at| at >= fact), "{found}");
                assert_ne!(found.difference, 0, "{found}");
            }
        }
    }
    assert!(doctored >= 2, "{doctored}");
}

#[test]
fn a_doctored_entry_is_caught_and_named_by_its_place() {
    caught(|fact| match fact {
        Fact::Reserved { cpu_seconds, .. } => {
            *cpu_seconds += 1;
            true
        }
        _ => false,
    });
    caught(|fact| match fact {
        Fact::Settled { cpu_seconds, .. } => {
            *cpu_seconds -= 1;
            true
        }
        _ => false,
    });
    caught(|fact| match fact {
        Fact::Released { cpu_seconds, .. } => {
            *cpu_seconds -= 1;
            true
        }
        _ => false,
    });
    caught(|fact| match fact {
        Fact::Granted { cpu_seconds, .. } => {
            *cpu_seconds += 1;
            true
        }
        _ => false,
    });
}

#[test]
fn what_is_moved_from_used_to_free_is_caught_although_all_sums_agree() {
    let mut recording = Recording::story(Faults::default());
    let mut found = None;
    for frame in &mut recording.frames {
        for (at, entry) in frame.entries.iter_mut().enumerate() {
            for fact in &mut entry.facts {
                if let FactOrUnknown::Known(Fact::Settled { cpu_seconds, .. }) = fact {
                    *cpu_seconds -= 1;
                    found.get_or_insert((frame.n, at));
                }
                if let FactOrUnknown::Known(Fact::Released { cpu_seconds, .. }) = fact {
                    *cpu_seconds += 1;
                }
            }
        }
    }
    let (n, entry) = found.unwrap();
    let fault = prove(&recording).unwrap_err();
    assert_eq!((fault.n, fault.entry, fault.difference), (n, Some(entry), -1), "{fault}");
}
