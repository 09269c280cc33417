//! Connections that have a place: what each is doing, and which one has to go when another comes for
//! which there is none.
//!
//! No address may keep others out. An address that has fewer places than another gets one of that
//! other's, and of these the one that goes is the one with which nothing has happened for longest: it
//! rests between two requests, or its peer takes in no answer.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use crate::http::budget::Address;

/// Most requests that are answered without a pause in between. A client that waits for its answers has
/// a pause before each request; one that does not could keep its place with a single message.
const AHEAD_MAX: usize = 100;

/// All connections that have a place. Clones are one.
#[derive(Clone, Default)]
pub struct Connections(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Orders what happens, on all connections.
    clock: Arc<AtomicU64>,
    /// Only addresses that have a connection are in here.
    by_address: Mutex<HashMap<Address, Vec<Entry>>>,
}

struct Entry {
    id: u64,
    activity: Arc<Activity>,
    gone: CancellationToken,
}

/// A connection's place among the others, given up when it is dropped.
pub struct Member {
    connections: Connections,
    address: Address,
    id: u64,
    pub activity: Arc<Activity>,
    /// Another came, and this connection has to go.
    pub gone: CancellationToken,
}

/// What a connection is doing.
#[derive(Default)]
pub struct Activity {
    clock: Arc<AtomicU64>,
    /// When it last began to wait for its peer, or to do something for it.
    changed: AtomicU64,
    is_busy: AtomicBool,
    /// Requests since it last waited for its peer.
    ahead: AtomicUsize,
    /// Its peer takes in answers too slowly.
    is_slow: AtomicBool,
}

impl Connections {
    /// Counts a connection from `address`.
    pub fn enter(&self, address: Address) -> Member {
        let clock = self.0.clock.clone();
        let id = clock.fetch_add(1, Ordering::Relaxed);
        let activity = Arc::new(Activity { clock, changed: id.into(), ..Activity::default() });
        let gone = CancellationToken::new();
        let entry = Entry { id, activity: activity.clone(), gone: gone.clone() };
        self.lock().entry(address).or_default().push(entry);
        Member { connections: self.clone(), address, id, activity, gone }
    }

    /// Sends away a connection of the address that has most, if `address` still has fewer with one
    /// more; says whether there was one.
    pub fn make_room_for(&self, address: Address) -> bool {
        let mut by_address = self.lock();
        let own = by_address.get(&address).map_or(0, Vec::len);
        let Some((&most, entries)) = by_address.iter_mut().max_by_key(|(_, entries)| entries.len())
        else {
            return false;
        };
        if entries.len() <= own + 1 {
            return false;
        }
        let longest = entries.iter().enumerate().min_by_key(|(_, entry)| entry.activity.changed());
        let Some((place, _)) = longest else { return false };
        entries.swap_remove(place).gone.cancel();
        if entries.is_empty() {
            by_address.remove(&most);
        }
        true
    }

    fn leave(&self, address: Address, id: u64) {
        let mut by_address = self.lock();
        if let Some(entries) = by_address.get_mut(&address) {
            entries.retain(|entry| entry.id != id);
            if entries.is_empty() {
                by_address.remove(&address);
            }
        }
    }

    /// What is in there stays whole if a holder panics.
    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Vec<Entry>>> {
        self.0.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.connections.leave(self.address, self.id);
    }
}

impl Activity {
    /// There is nothing to read from its peer.
    pub fn waits(&self) {
        if self.is_busy.swap(false, Ordering::Relaxed) {
            self.tick();
        }
    }

    /// Its peer has sent something; says whether it was waited for.
    pub fn reads(&self) -> bool {
        let waited = !self.is_busy.swap(true, Ordering::Relaxed);
        if waited {
            self.ahead.store(0, Ordering::Relaxed);
            self.tick();
        }
        waited
    }

    /// Its peer takes in answers too slowly.
    pub fn slows(&self) {
        self.is_slow.store(true, Ordering::Relaxed);
    }

    /// A request is answered; says whether that is the last one on this connection.
    pub fn answers(&self) -> bool {
        let ahead = self.ahead.fetch_add(1, Ordering::Relaxed) + 1;
        ahead >= AHEAD_MAX || self.is_slow.load(Ordering::Relaxed)
    }

    fn tick(&self) {
        self.changed.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    fn changed(&self) -> u64 {
        self.changed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Address {
        Address::of([10, 0, 0, last].into())
    }

    #[test]
    fn whoever_has_none_gets_a_place_of_those_who_have_most() {
        let connections = Connections::default();
        let many: Vec<_> = (0..4).map(|_| connections.enter(address(1))).collect();
        let few: Vec<_> = (0..2).map(|_| connections.enter(address(2))).collect();
        let gone = |members: &[Member]| -> Vec<bool> {
            members.iter().map(|member| member.gone.is_cancelled()).collect()
        };
        // The second and the first do something, and so does the third, which then waits.
        for place in [1, 0, 2] {
            assert!(many[place].activity.reads());
        }
        many[2].activity.waits();
        assert!(connections.make_room_for(address(3)));
        let newcomer = connections.enter(address(3));
        assert_eq!(gone(&many), [false, false, false, true]);
        assert!(connections.make_room_for(address(3)));
        let another = connections.enter(address(3));
        assert_eq!(gone(&many), [false, true, false, true]);
        // All have two now.
        assert!(!connections.make_room_for(address(3)));
        assert!(!connections.make_room_for(address(2)));
        assert_eq!(gone(&few), [false, false]);
        drop((newcomer, another, many, few));
        assert!(connections.lock().is_empty());
        assert!(!connections.make_room_for(address(1)));
    }

    #[test]
    fn only_who_does_not_wait_for_answers_or_takes_them_in_too_slowly_is_ended() {
        let activity = Activity::default();
        for _ in 0..10 * AHEAD_MAX {
            assert!(activity.reads());
            assert!(!activity.reads(), "the rest of the same request");
            assert!(!activity.answers());
            activity.waits();
        }
        activity.reads();
        let ended = (1..=AHEAD_MAX).map(|_| activity.answers()).filter(|last| *last).count();
        assert_eq!(ended, 1);
        activity.waits();
        activity.reads();
        assert!(!activity.answers());
        activity.slows();
        assert!(activity.answers());
    }
}
