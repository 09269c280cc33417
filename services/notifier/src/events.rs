//! Makes events of frames.

use std::collections::VecDeque;

use anyhow::Context;
use nox_archive::Followed;
use nox_contract::{CloudEvent, FactOrUnknown, FactPlace, Frame, FrameHead, FrameNumber, subject};
use nox_streams::FeedEvent;

/// What an event has around its data, about; more makes one more allocation.
const ENVELOPE_BYTES: usize = 384;

/// What a message of the log leads to.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) events: VecDeque<FeedEvent>,
    /// Facts that this version does not know, and that are left out: what of them may be told is not known either.
    pub(crate) unknown: u64,
}

/// The events of a message of the log that are behind `after`, in order; none of the record of a term.
///
/// # Errors
/// It is no frame.
pub(crate) fn behind(
    after: FactPlace,
    message: &Followed<Option<FrameHead>>,
) -> anyhow::Result<Events> {
    let mut found = Events::default();
    if message.said.is_none() {
        return Ok(found);
    }
    let frame: Frame = serde_json::from_slice(&message.message.payload)
        .with_context(|| format!("frame {} cannot be read", message.n))?;
    for (entry, of) in (0..).zip(&frame.entries) {
        for (fact, known) in (0..).zip(&of.facts) {
            let place = FactPlace { n: frame.n, entry, fact };
            if place <= after {
                continue;
            }
            let FactOrUnknown::Known(known) = known else {
                tracing::warn!(%place, "Leaves out a fact of a newer version of Nox: update the notifier");
                found.unknown += 1;
                continue;
            };
            let event = CloudEvent::of(place, frame.at, of, known)
                .with_context(|| format!("the fact at {place} cannot be told"))?;
            let Some(event) = event else { continue };
            let mut payload = Vec::with_capacity(ENVELOPE_BYTES + event.data.get().len());
            serde_json::to_writer(&mut payload, &event)?;
            let (subject, payload) = (subject::feed(&event), payload.into());
            found.events.push_back(FeedEvent { subject, place, payload });
        }
    }
    Ok(found)
}

/// Behind everything in frame `n`.
pub(crate) fn end_of(n: FrameNumber) -> FactPlace {
    FactPlace { n, entry: u32::MAX, fact: u32::MAX }
}
