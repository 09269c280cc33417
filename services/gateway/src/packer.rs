//! Which commands go into which message: those that arrive while the last one is on its way.
//!
//! A write to stable storage costs the same for one command as for hundreds. So the first goes at
//! once, and while its message is in in_flight the others gather for the next.

use std::collections::{HashMap, VecDeque};

use nox_contract::TenantId;

/// Most commands in a message; beyond this the share of each in the write is nothing any more, and
/// the scheduler should not be busy with one message for long.
pub const COMMANDS_MAX: usize = 500;

/// Most bytes of commands in a message; well below what a message may have.
pub const BYTES_MAX: usize = 512 * 1024;

/// Full messages of a tenant that may be in in_flight at a time. Messages that are not full wait for
/// the one before.
const IN_FLIGHT_MAX: usize = 4;

/// Gathers items of tenants and says which of them to send together.
#[derive(Debug)]
pub struct Packer<T> {
    queues: HashMap<TenantId, Queue<T>>,
    /// Tenants for whom something has changed since they were last looked at.
    changed: VecDeque<TenantId>,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<(usize, T)>,
    bytes: usize,
    in_flight: usize,
}

impl<T> Default for Packer<T> {
    fn default() -> Self {
        Self { queues: HashMap::new(), changed: VecDeque::new() }
    }
}

impl<T> Packer<T> {
    /// Takes an item of `bytes` in.
    pub fn push(&mut self, tenant: TenantId, bytes: usize, item: T) {
        let queue = self.queues.entry(tenant.clone()).or_insert_with(|| Queue {
            waiting: VecDeque::new(),
            bytes: 0,
            in_flight: 0,
        });
        queue.waiting.push_back((bytes, item));
        queue.bytes += bytes;
        self.changed.push_back(tenant);
    }

    /// A message of `tenant` is no longer in in_flight.
    pub fn landed(&mut self, tenant: TenantId) {
        if let Some(queue) = self.queues.get_mut(&tenant) {
            queue.in_flight = queue.in_flight.saturating_sub(1);
            self.changed.push_back(tenant);
        }
    }

    /// The next message to send now, in in_flight from here on; `None` if all wait.
    pub fn take(&mut self) -> Option<(TenantId, Vec<T>)> {
        while let Some(tenant) = self.changed.pop_front() {
            let Some(queue) = self.queues.get_mut(&tenant) else { continue };
            if queue.waiting.is_empty() && queue.in_flight == 0 {
                self.queues.remove(&tenant);
                continue;
            }
            if !queue.may_send() {
                continue;
            }
            let items = queue.cut();
            queue.in_flight += 1;
            self.changed.push_back(tenant.clone());
            return Some((tenant, items));
        }
        None
    }
}

impl<T> Queue<T> {
    fn may_send(&self) -> bool {
        let full = self.waiting.len() >= COMMANDS_MAX || self.bytes >= BYTES_MAX;
        let limit = if full { IN_FLIGHT_MAX } else { 1 };
        !self.waiting.is_empty() && self.in_flight < limit
    }

    /// At least one item, and as many more as fit.
    fn cut(&mut self) -> Vec<T> {
        let mut bytes = 0;
        let mut items = Vec::new();
        while let Some((size, _)) = self.waiting.front() {
            if !items.is_empty() && (items.len() == COMMANDS_MAX || bytes + size > BYTES_MAX) {
                break;
            }
            let Some((size, item)) = self.waiting.pop_front() else { break };
            bytes += size;
            items.push(item);
        }
        self.bytes -= bytes;
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    fn pushed(packer: &mut Packer<usize>, items: std::ops::Range<usize>, bytes: usize) {
        for item in items {
            packer.push(tenant("a"), bytes, item);
        }
    }

    #[test]
    fn the_first_goes_at_once_and_the_rest_gather_behind_it() {
        let mut packer = Packer::default();
        pushed(&mut packer, 0..1, 100);
        assert_eq!(packer.take(), Some((tenant("a"), vec![0])));

        pushed(&mut packer, 1..4, 100);
        assert_eq!(packer.take(), None);

        packer.landed(tenant("a"));
        assert_eq!(packer.take(), Some((tenant("a"), vec![1, 2, 3])));
        assert_eq!(packer.take(), None);
    }

    #[test]
    fn tenants_never_share_a_message_and_never_wait_for_each_other() {
        let mut packer = Packer::default();
        packer.push(tenant("a"), 1, 1);
        packer.push(tenant("b"), 1, 2);
        packer.push(tenant("a"), 1, 3);
        let first = packer.take().unwrap();
        let second = packer.take().unwrap();
        assert_eq!((first.1, second.1), (vec![1, 3], vec![2]));
        assert_eq!(packer.take(), None);
    }

    #[test]
    fn full_messages_do_not_wait_for_each_other_up_to_a_bound() {
        let mut packer = Packer::default();
        pushed(&mut packer, 0..COMMANDS_MAX * 6 + 1, 1);
        let mut taken = Vec::new();
        while let Some((_, items)) = packer.take() {
            assert_eq!(items.len(), COMMANDS_MAX);
            taken.extend(items);
        }
        assert_eq!(taken.len(), COMMANDS_MAX * IN_FLIGHT_MAX);

        for _ in 0..3 {
            packer.landed(tenant("a"));
            while let Some((_, items)) = packer.take() {
                taken.extend(items);
            }
        }
        // The last one is not full: it waits until nothing else is in in_flight.
        assert_eq!(taken.len(), COMMANDS_MAX * 6);
        for _ in 0..3 {
            assert_eq!(packer.take(), None);
            packer.landed(tenant("a"));
        }
        taken.extend(packer.take().unwrap().1);
        assert!(taken.into_iter().eq(0..COMMANDS_MAX * 6 + 1));
    }

    #[test]
    fn a_message_is_bounded_by_bytes_but_holds_at_least_one() {
        let mut packer = Packer::default();
        pushed(&mut packer, 0..1, BYTES_MAX * 2);
        assert_eq!(packer.take().unwrap().1, vec![0]);
        packer.landed(tenant("a"));

        pushed(&mut packer, 1..4, BYTES_MAX / 2);
        assert_eq!(packer.take().unwrap().1, vec![1, 2]);
    }

    #[test]
    fn tenants_that_have_gone_quiet_are_forgotten() {
        let mut packer = Packer::default();
        pushed(&mut packer, 0..1, 1);
        packer.take().unwrap();
        packer.landed(tenant("a"));
        assert_eq!(packer.take(), None);
        assert!(packer.queues.is_empty());
    }
}
