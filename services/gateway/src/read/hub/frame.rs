//! A frame as it is kept for viewers: whose its entries are, and each entry parsed, and its events written, when the
//! first watches it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use nox_contract::{
    CloudEvent, Entry, EventType, FactOrUnknown, FactPlace, FrameNumber, JobId, RawJson, TenantId,
    Timestamp, UserId,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A frame that was looked over once, for all who watch.
pub struct HubFrame {
    pub n: FrameNumber,
    pub at: Timestamp,
    pub entries: Vec<HubEntry>,
    /// Of its payload.
    pub bytes: usize,
}

/// An entry of which it is known whose it is.
pub struct HubEntry {
    pub tenant: TenantId,
    pub job_id: Option<JobId>,
    /// Of a job, schedule or key.
    pub user_id: Option<UserId>,
    text: Bytes,
    parsed: OnceLock<Option<Arc<Entry>>>,
    /// One place for each fact, empty where it is no event.
    events: OnceLock<Vec<Option<Arc<HubEvent>>>>,
}

/// An event as all are told it who may see it.
pub struct HubEvent {
    pub id: FactPlace,
    pub event_type: EventType,
    /// The CloudEvent, in one line.
    pub json: RawJson,
}

#[derive(Deserialize)]
struct Raw<'f> {
    at: Timestamp,
    #[serde(borrow)]
    entries: Vec<&'f RawValue>,
}

/// Unknown members are passed over, so that little more than these is read.
#[derive(Deserialize)]
struct Owner {
    tenant: TenantId,
    job_id: Option<JobId>,
    user_id: Option<UserId>,
}

impl HubFrame {
    /// Looks a frame over.
    ///
    /// # Errors
    /// It is none.
    pub fn read(n: FrameNumber, payload: &Bytes) -> serde_json::Result<Self> {
        let raw: Raw<'_> = serde_json::from_slice(payload)?;
        let entries = raw.entries.iter().map(|entry| {
            let Owner { tenant, job_id, user_id } = serde_json::from_str(entry.get())?;
            let text = payload.slice_ref(entry.get().as_bytes());
            Ok(HubEntry {
                tenant,
                job_id,
                user_id,
                text,
                parsed: OnceLock::new(),
                events: OnceLock::new(),
            })
        });
        let entries = entries.collect::<serde_json::Result<_>>()?;
        Ok(Self { n, at: raw.at, entries, bytes: payload.len() })
    }

    /// The event of a fact, written at most once; `None` if it is none.
    ///
    /// # Errors
    /// Of JSON: none that a fact read from the log has.
    pub fn event(&self, entry: u32, fact: u32) -> serde_json::Result<Option<&Arc<HubEvent>>> {
        let Some(of) = self.entries.get(entry as usize) else { return Ok(None) };
        let events = match of.events.get() {
            Some(events) => events,
            None => {
                let written = self.write(entry, of)?;
                of.events.get_or_init(|| written)
            }
        };
        Ok(events.get(fact as usize).and_then(Option::as_ref))
    }

    fn write(&self, entry: u32, of: &HubEntry) -> serde_json::Result<Vec<Option<Arc<HubEvent>>>> {
        let Some(parsed) = of.entry() else { return Ok(Vec::new()) };
        let events = (0..).zip(&parsed.facts).map(|(fact, known)| {
            // Facts of a newer version have no type here yet.
            let FactOrUnknown::Known(known) = known else { return Ok(None) };
            let id = FactPlace { n: self.n, entry, fact };
            let event = CloudEvent::of(id, self.at, parsed, known)?;
            event.as_ref().map(HubEvent::new).transpose()
        });
        events.collect()
    }
}

impl HubEvent {
    fn new(event: &CloudEvent) -> serde_json::Result<Arc<Self>> {
        // What users sent passes as it is; outside of its strings, JSON may have line breaks.
        let line = serde_json::to_string(event)?.replace(['\n', '\r'], " ");
        let json = RawJson::parse(line)?;
        Ok(Arc::new(Self { id: event.id, event_type: event.event_type, json }))
    }
}

impl HubEntry {
    /// The entry, parsed at most once; `None` if it is none, which whoever projects the log will say.
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        let parse = || match serde_json::from_slice(&self.text) {
            Ok(entry) => Some(Arc::new(entry)),
            Err(error) => {
                tracing::warn!(%error, "An entry of the log cannot be read");
                None
            }
        };
        self.parsed.get_or_init(parse).as_ref()
    }

    #[cfg(test)]
    pub fn is_parsed(&self) -> bool {
        self.parsed.get().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = r#"{"n":7,"epoch":1,"at":"2026-11-28T12:00:00Z","rules":1,"prev":"b3:0","pos":{},"entries":[
        {"by":{"src":"timer","seq":0,"part":0},"tenant":"acme","job_id":"00000000-0000-0000-0000-000000000001",
         "user_id":"ada","module":"m","facts":[{"teleported":{"to":"mars"}},{"started":{"worker_id":"w","attempt":1,"elapsed_ms":3}}]}]}"#;

    #[test]
    fn an_event_is_written_once_for_all_who_are_told_it() {
        let frame = HubFrame::read(FrameNumber(7), &Bytes::from_static(FRAME.as_bytes())).unwrap();
        let told = || frame.event(0, 1).unwrap().expect("an event").clone();
        let first = told();
        assert!(Arc::ptr_eq(&first, &told()));
        assert_eq!(first.id.to_string(), "7-0-1");
        let data: serde_json::Value = serde_json::from_str(first.json.get()).unwrap();
        assert_eq!((&data["id"], &data["source"]), (&"7-0-1".into(), &"/nox/acme".into()));
        assert!(!first.json.get().contains('\n'));
        assert!(frame.event(0, 0).unwrap().is_none(), "it is not known here");
        assert!(frame.event(0, 2).unwrap().is_none() && frame.event(1, 0).unwrap().is_none());
    }
}
