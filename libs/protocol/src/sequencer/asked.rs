//! Who asked for what stands in a frame: each asker once, each request once, whatever it led to.

use std::sync::Arc;

use nox_contract::{
    Asked, Asker, Command, CommandMessage, RefusedCommand, TenantId,
    asker::{ASKED_BYTES_MAX, REFUSED_MAX},
};
use serde::Serialize;

/// The requests of a message, while its commands are decided one after the other.
#[derive(Debug)]
pub(super) struct Requests<'m> {
    tenant: &'m TenantId,
    message: &'m CommandMessage,
    /// The next request, and the part that it begins with.
    next: usize,
    begins: u32,
    /// The one that the present part is of.
    present: Option<Arc<(Asker, Asked)>>,
    ends: u32,
}

impl<'m> Requests<'m> {
    pub(super) fn new(tenant: &'m TenantId, message: &'m CommandMessage) -> Self {
        Self { tenant, message, next: 0, begins: 0, present: None, ends: 0 }
    }

    /// The request that asked for a part of message `seq`; parts come in their order. One that says more than there
    /// is room for, or speaks for another tenant, is nobody's.
    pub(super) fn of(&mut self, seq: u64, part: u32) -> Option<Arc<(Asker, Asked)>> {
        while part >= self.ends {
            let request = self.message.requests.get(self.next)?;
            let place = request.asker.and_then(|place| usize::try_from(place).ok());
            let asker = place.and_then(|place| self.message.askers.get(place));
            let asked = Asked {
                seq,
                part: self.begins,
                parts: request.commands,
                asker: 0,
                request_id: request.request_id.clone(),
                reason: request.reason.clone(),
                refused: Vec::new(),
            };
            self.present = asker
                .filter(|asker| asker.tenant == *self.tenant)
                .map(|asker| (asker.clone(), asked))
                .filter(|both| bytes(both) <= ASKED_BYTES_MAX)
                .map(Arc::new);
            self.next += 1;
            self.begins = self.begins.saturating_add(request.commands);
            self.ends = self.begins;
        }
        self.present.clone()
    }
}

/// Of a frame that is not sealed yet, which may have no entries.
#[derive(Debug, Clone, Default)]
pub(super) struct AskedInFrame {
    pub(super) askers: Vec<Asker>,
    pub(super) asked: Vec<Asked>,
    bytes: usize,
    refused: usize,
}

impl AskedInFrame {
    /// About as many bytes as it takes in the frame.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes that a request led to something.
    pub(super) fn note(&mut self, (asker, asked): &(Asker, Asked)) -> &mut Asked {
        let known = |of: &Asked| (of.seq, of.part) == (asked.seq, asked.part);
        // Parts come in their order.
        if !self.asked.last().is_some_and(known) {
            let place = self.askers.iter().rposition(|of| of == asker).unwrap_or_else(|| {
                self.bytes += bytes(asker);
                self.askers.push(asker.clone());
                self.askers.len() - 1
            });
            self.bytes += bytes(asked);
            let asker = u32::try_from(place).unwrap_or(u32::MAX);
            self.asked.push(Asked { asker, ..asked.clone() });
        }
        let last = self.asked.len() - 1;
        &mut self.asked[last]
    }

    /// Notes that a command of a request was refused without a fact. Of alike ones the first is told, and few in a
    /// frame: who asks in a loop for what is refused does not fill the log.
    pub(super) fn note_refused(
        &mut self,
        request: &(Asker, Asked),
        part: u32,
        command: &Command,
        code: &str,
    ) {
        let Some((name, object)) = command.audited() else { return };
        let alike = |of: &Asked| {
            self.askers.get(of.asker as usize) == Some(&request.0)
                && of.refused.iter().any(|of| of.command == name && of.code == code)
        };
        if self.refused == REFUSED_MAX || self.asked.iter().any(alike) {
            return;
        }
        let (command, code) = (name.to_owned(), code.to_owned());
        let refused = RefusedCommand { part, command, object: Some(object), code };
        self.refused += 1;
        self.bytes += bytes(&refused);
        self.note(request).refused.push(refused);
    }
}

/// Its text's length, and what separates it from the next.
fn bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(ASKED_BYTES_MAX + 1, |text| text.len() + 1)
}
