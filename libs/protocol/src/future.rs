//! A version that is still to come, for tests: it knows one fact more, `marked`, which changes nothing, and says it
//! in all that it decides of jobs of the highest priority. Its rules are the next ones, by which nobody of today decides
//! anything anew. To it nothing is parked.

use nox_contract::{Entry, Fact, FactOrUnknown, Frame, RawJson};
use nox_core::State;

/// The word that today's version does not know.
pub const WORD: &str = "marked";
/// As it stands in the log.
const MARKED: &str = r#"{"marked":{"by":"a version that is still to come"}}"#;
/// Jobs of which it says more.
const PRIORITY: u8 = 9;

/// Says the fact of the entry's job, if it is one of those.
pub(crate) fn mark(state: &State, entry: &mut Entry) {
    let Some(id) = entry.job_id else { return };
    let submitted = entry.known_facts().find_map(|fact| match fact {
        Fact::Submitted(submitted) => Some(submitted.priority),
        _ => None,
    });
    let priority = submitted.or_else(|| state.job(id).map(|job| job.job.priority));
    if priority == Some(PRIORITY)
        && let Ok(marked) = RawJson::parse(MARKED.to_owned())
    {
        entry.facts.push(FactOrUnknown::Unknown(marked));
    }
}

/// Leaves of a frame what today's version would have said.
pub fn know(frame: &mut Frame) {
    frame.entries.iter_mut().for_each(forget);
}

/// Likewise of an entry.
pub(crate) fn forget(entry: &mut Entry) {
    entry.facts.retain(|fact| !matches!(fact, FactOrUnknown::Unknown(raw) if raw.get() == MARKED));
}
