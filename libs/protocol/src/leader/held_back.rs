//! Answers and work wait here until the log has what they rest on.

use std::collections::{BTreeMap, VecDeque};

use nox_contract::{FrameNumber, SessionId, WorkNumber, WorkerId};

use super::{Dispatch, Effect};

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    /// What may leave once the log has the frame; the numbers never decrease.
    waiting: VecDeque<(FrameNumber, Effect)>,
    released: VecDeque<Effect>,
    /// The first work number of each worker that was not handed out yet, so that a resend does not
    /// overtake the log; and the session in which it counts, for numbers begin anew with each.
    undispatched: BTreeMap<WorkerId, (SessionId, WorkNumber)>,
}

impl HeldBack {
    pub fn push(&mut self, n: FrameNumber, effect: Effect) {
        self.waiting.push_back((n, effect));
    }

    /// A numbered piece of work.
    pub fn push_work(
        &mut self,
        n: FrameNumber,
        worker_id: &WorkerId,
        session: SessionId,
        number: WorkNumber,
        work: Dispatch,
    ) {
        let first = self.undispatched.entry(worker_id.clone()).or_insert((session, number));
        if first.0 != session {
            *first = (session, number);
        }
        self.push(n, Effect::Dispatch { worker_id: worker_id.clone(), session, work });
    }

    /// The first number of the worker's session that still waits for the log.
    pub fn first_undispatched(&self, worker: &WorkerId, session: SessionId) -> Option<WorkNumber> {
        self.undispatched.get(worker).filter(|(of, _)| *of == session).map(|(_, first)| *first)
    }

    /// The log has everything up to `acked`.
    pub fn release(&mut self, acked: FrameNumber) {
        while let Some((_, effect)) = self.waiting.pop_front_if(|(n, _)| *n <= acked) {
            if let Effect::Dispatch { worker_id, session, work } = &effect
                && let Some((of, next)) = self.undispatched.get_mut(worker_id)
                && of == session
            {
                *next = (*next).max(work.number().next());
            }
            self.released.push_back(effect);
        }
        if self.waiting.is_empty() {
            self.undispatched.clear();
        }
    }

    pub fn pop(&mut self) -> Option<Effect> {
        self.released.pop_front()
    }
}
