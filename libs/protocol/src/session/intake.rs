//! Whether new work is taken: not by a worker that is about to leave, nor while its machine can run none.

use nox_contract::{AttemptEnd, HandBack, Report, Timestamp, Usage, beat::Held};

use super::{Over, Phase, Session};

impl Session {
    /// Takes no more work: what runs goes on, what was not begun is handed back.
    pub fn drain(&mut self) {
        if self.draining || self.over != Over::No {
            return;
        }
        self.draining = true;
        // First, so that nothing that is handed back comes here again.
        self.outbox.owe(Report::Draining, Timestamp::default());
        self.hand_back_waiting(&HandBack::Draining);
    }

    /// Takes no work for now, because this machine cannot run any: what runs goes on, what was not
    /// begun is handed back.
    pub fn pause(&mut self, reason: String) {
        if self.paused.is_some() || self.draining || self.over != Over::No {
            return;
        }
        self.paused = Some(reason.clone());
        self.pauses += 1;
        let report = Report::Paused { number: self.pauses, reason: reason.clone() };
        self.outbox.owe(report, Timestamp::default());
        self.hand_back_waiting(&HandBack::CannotRun { reason });
    }

    /// Takes work again.
    pub fn resume(&mut self) {
        if self.paused.take().is_some() && self.over == Over::No {
            self.pauses += 1;
            self.outbox.owe(Report::Resumed { number: self.pauses }, Timestamp::default());
        }
    }

    /// Why it takes no work at present.
    pub fn paused(&self) -> Option<&str> {
        self.paused.as_deref()
    }

    /// Says goodbye. Nothing runs any more; what is still held is lost.
    pub fn leave(&mut self) {
        if self.over != Over::No {
            return;
        }
        self.held.clear();
        self.starts_due.clear();
        self.outbox.owe(Report::Bye, Timestamp::default());
    }

    /// Why new work is not begun, where it is not.
    pub(super) fn hands_back(&self) -> Option<HandBack> {
        let reason = || Some(HandBack::CannotRun { reason: self.paused.clone()? });
        if self.draining { Some(HandBack::Draining) } else { reason() }
    }

    /// Hands back what the driver was not told to run.
    pub(super) fn hand_back_waiting(&mut self, why: &HandBack) {
        self.orders.retain(|order| order.run().is_none());
        let waiting: Vec<Held> = self
            .held
            .iter()
            .filter(|(_, attempt)| attempt.phase == Phase::Waiting)
            .map(|(held, _)| *held)
            .collect();
        for held in waiting {
            let end = AttemptEnd::HandedBack(why.clone());
            self.on_ended(held, Usage::default(), end, Timestamp::default());
        }
    }
}
