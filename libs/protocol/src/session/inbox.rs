//! Which work has arrived: numbers without a gap, and what came out of order.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{Covers, WorkNumber, beat::Held};

use super::SessionFaults;

#[derive(Debug, Clone, Default)]
pub(super) struct Inbox {
    up_to: WorkNumber,
    /// Arrived, but something before it has not.
    above: BTreeSet<WorkNumber>,
    /// Stops whose start may still arrive, by the number of the stop: any start has a lower one.
    stopped_early: BTreeMap<WorkNumber, Held>,
}

impl Inbox {
    /// All work up to and including this number has arrived or was settled otherwise.
    pub(super) fn up_to(&self) -> WorkNumber {
        self.up_to
    }

    /// Counts work in; returns whether it is to be done, which is once.
    pub(super) fn receive(&mut self, number: WorkNumber, faults: &SessionFaults) -> bool {
        let is_new = number > self.up_to && self.above.insert(number);
        if faults.gaps_counted {
            self.up_to = self.up_to.max(number);
        }
        self.advance();
        is_new || faults.work_not_deduped
    }

    /// The scheduler has said what is still to come of a range of numbers.
    pub(super) fn cover(&mut self, covers: Covers) {
        if covers.after <= self.up_to && covers.up_to > self.up_to {
            self.up_to = covers.up_to;
            self.advance();
        }
    }

    /// The stop of an attempt that is not here has arrived.
    pub(super) fn stopped_early(&mut self, stop: WorkNumber, held: Held) {
        if stop > self.up_to {
            self.stopped_early.insert(stop, held);
        }
    }

    pub(super) fn was_stopped(&self, held: Held) -> bool {
        self.stopped_early.values().any(|stopped| *stopped == held)
    }

    fn advance(&mut self) {
        while let Some(first) = self.above.first().copied() {
            if first > self.up_to.next() {
                break;
            }
            self.up_to = self.up_to.max(first);
            self.above.pop_first();
        }
        // Whatever came before these stops has arrived or never will.
        while let Some(first) = self.stopped_early.first_entry() {
            if *first.key() > self.up_to {
                break;
            }
            first.remove();
        }
    }
}
