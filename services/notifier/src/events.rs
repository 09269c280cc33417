//! Makes events of frames.

use anyhow::{Context, bail};
use nox_archive::Followed;
use nox_contract::{CloudEvent, FactOrUnknown, FactPlace, Frame, FrameHead, FrameNumber, subject};
use nox_streams::FeedEvent;

/// The events of a message of the log that are behind `after`, in order; none of the record of a term.
///
/// # Errors
/// It is no frame, or has a fact that this version does not know: an event left out could never be put in
/// between later.
pub(crate) fn behind(
    after: FactPlace,
    message: &Followed<Option<FrameHead>>,
) -> anyhow::Result<Vec<FeedEvent>> {
    if message.said.is_none() {
        return Ok(Vec::new());
    }
    let frame: Frame = serde_json::from_slice(&message.message.payload)
        .with_context(|| format!("frame {} cannot be read", message.n))?;
    let mut events = Vec::new();
    for (entry, of) in (0..).zip(&frame.entries) {
        for (fact, known) in (0..).zip(&of.facts) {
            let place = FactPlace { n: frame.n, entry, fact };
            let FactOrUnknown::Known(known) = known else {
                bail!("the fact at {place} is of a newer version of Nox: update the notifier");
            };
            if place <= after {
                continue;
            }
            let event = CloudEvent::of(place, frame.at, of, known)
                .with_context(|| format!("the fact at {place} cannot be told"))?;
            let Some(event) = event else { continue };
            let payload = serde_json::to_vec(&event)?.into();
            events.push(FeedEvent { subject: subject::feed(&event), place, payload });
        }
    }
    Ok(events)
}

/// Behind everything in frame `n`.
pub(crate) fn end_of(n: FrameNumber) -> FactPlace {
    FactPlace { n, entry: u32::MAX, fact: u32::MAX }
}
