//! Questions whether workers still listen, and the connection of the leader that asks them.

use std::collections::BTreeMap;

use nox_contract::{SessionId, WorkerId};
use nox_protocol::{
    Now, Term,
    liveness::{Probe, Probing},
};

use super::wire::{Party, Reply, Wire};

/// How workers are asked after, as slowly as they beat.
pub fn probing(scale: u64) -> Probing {
    let scale = u32::try_from(scale).unwrap_or(u32::MAX);
    let Probing { interval, unreachable_after } = Probing::default();
    Probing { interval: interval * scale, unreachable_after: unreachable_after * scale }
}

/// What a term has asked.
pub struct Questions {
    party: Party,
    /// The connection that the leader was told of.
    connection: u64,
    open: BTreeMap<u64, (WorkerId, SessionId, Probe)>,
    last: u64,
}

impl Questions {
    pub fn new(party: Party, wire: &mut Wire) -> Self {
        let connection = wire.connection(party);
        Self { party, connection, open: BTreeMap::new(), last: 0 }
    }

    /// The number of a new question.
    pub fn add(&mut self, worker: WorkerId, session: SessionId, probe: Probe) -> u64 {
        self.last += 1;
        self.open.insert(self.last, (worker, session, probe));
        self.last
    }

    /// What the broker says to a question; to those before it, it says nothing any more.
    pub fn on_reply(&mut self, number: u64, reply: &Reply, term: &mut Term, now: Now) {
        let later = self.open.split_off(&(number + 1));
        let asked = std::mem::replace(&mut self.open, later).remove(&number);
        if let (Reply::Nobody { reports }, Some((worker, session, probe))) = (reply, asked) {
            term.on_absent(&worker, session, probe, *reports, now);
        }
    }

    /// Tells the leader where its connection was lost and is there again.
    pub fn look_at_connection(&mut self, term: &mut Term, now: Now, wire: &mut Wire) {
        let connection = wire.connection(self.party);
        if self.connection != connection && wire.is_connected(self.party) {
            self.connection = connection;
            term.on_reconnected(now);
        }
    }
}
