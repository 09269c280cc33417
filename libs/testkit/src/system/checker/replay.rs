//! What `noxctl ledger verify` and `noxctl replay verify` say of the log.

use nox_protocol::{LedgerProof, Reader, Record, Replay, replay::Recorded};

use super::{LogEntry, Rule, Verdict};

/// Proves the ledger, and decides every frame again if the inputs are there. A log that cannot be read to its end was
/// spoken of before.
pub(super) fn check(
    log: &[LogEntry],
    inputs: Option<&(Recorded, [u8; 32])>,
    verdict: &mut Verdict,
) {
    let mut proof = Some(LedgerProof::default());
    let mut replay = inputs.map(|(recorded, key)| (Replay::by_key(*key), recorded));
    let mut reader = Reader::default();
    for entry in log {
        let Ok(record) = reader.read(&entry.subject, &entry.payload) else { break };
        verdict.reading = Some(reader.n());
        if let Some(of) = &mut proof {
            let proved = match &record {
                Record::Epoch(record) => of.epoch(reader.n(), record),
                Record::Frame(frame) => of.frame(frame),
            };
            if let Err(fault) = proved {
                verdict.violated(Rule::LedgerExplained, fault.to_string());
                proof = None;
            }
        }
        if let Some((of, recorded)) = &mut replay {
            let decided = match &record {
                Record::Epoch(record) => of.epoch(reader.n(), record),
                Record::Frame(frame) => of.frame(frame, *recorded, &mut ()),
            };
            verdict.counts.facts_compared = of.counts().facts;
            verdict.counts.facts_taken = of.counts().taken_facts;
            if let Err(error) = decided {
                verdict.violated(Rule::FollowsAgain, error.to_string());
                replay = None;
            }
        }
    }
    if let Some(Err(fault)) = proof.map(|proof| proof.compare_all()) {
        verdict.violated(Rule::LedgerExplained, fault.to_string());
    }
    verdict.reading = None;
}
