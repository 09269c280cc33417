//! Which commands go into which message: those that arrive while the last one is on its way.
//!
//! A write to stable storage costs the same for one command as for hundreds. So the first goes at
//! once, and while its message is in flight the others gather for the next.

use std::{
    collections::{HashMap, VecDeque},
    ops::{AddAssign, SubAssign},
};

use nox_contract::TenantId;

/// Most commands in a message; beyond this the share of each in the write is nothing any more, and
/// the scheduler should not be busy with one message for long.
pub const COMMANDS_MAX: usize = 500;

/// Most bytes of commands in a message; well below what a message may have.
pub const BYTES_MAX: usize = 512 * 1024;

/// Full messages of a tenant that may be in flight at a time. Messages that are not full wait for
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
    waiting: VecDeque<(Load, T)>,
    load: Load,
    in_flight: usize,
}

/// What something adds to a message.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub commands: usize,
    pub bytes: usize,
}

impl AddAssign for Load {
    fn add_assign(&mut self, more: Self) {
        self.commands += more.commands;
        self.bytes += more.bytes;
    }
}

impl SubAssign for Load {
    fn sub_assign(&mut self, less: Self) {
        self.commands -= less.commands;
        self.bytes -= less.bytes;
    }
}

impl<T> Default for Packer<T> {
    fn default() -> Self {
        Self { queues: HashMap::new(), changed: VecDeque::new() }
    }
}

impl<T> Packer<T> {
    /// Takes an item in, which stays whole.
    pub fn push(&mut self, tenant: TenantId, load: Load, item: T) {
        let queue = self.queues.entry(tenant.clone()).or_insert_with(|| Queue {
            waiting: VecDeque::new(),
            load: Load::default(),
            in_flight: 0,
        });
        queue.waiting.push_back((load, item));
        queue.load += load;
        self.changed.push_back(tenant);
    }

    /// A message of `tenant` is no longer in flight.
    pub fn landed(&mut self, tenant: TenantId) {
        if let Some(queue) = self.queues.get_mut(&tenant) {
            queue.in_flight = queue.in_flight.saturating_sub(1);
            self.changed.push_back(tenant);
        }
    }

    /// The next message to send now, in flight from here on; `None` if all wait.
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
        let full = self.load.commands >= COMMANDS_MAX || self.load.bytes >= BYTES_MAX;
        let limit = if full { IN_FLIGHT_MAX } else { 1 };
        !self.waiting.is_empty() && self.in_flight < limit
    }

    /// At least one item, and as many more as fit.
    fn cut(&mut self) -> Vec<T> {
        let mut cut = Load::default();
        let mut items = Vec::new();
        while let Some((load, item)) = self.waiting.pop_front_if(|(load, _)| {
            items.is_empty()
                || cut.commands + load.commands <= COMMANDS_MAX
                    && cut.bytes + load.bytes <= BYTES_MAX
        }) {
            cut += load;
            items.push(item);
        }
        self.load -= cut;
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
            packer.push(tenant("a"), Load { commands: 1, bytes }, item);
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
        for (name, item) in [("a", 1), ("b", 2), ("a", 3)] {
            packer.push(tenant(name), Load { commands: 1, bytes: 1 }, item);
        }
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
        // The last one is not full: it waits until nothing else is in flight.
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
    fn an_item_of_many_commands_stays_whole() {
        let mut packer = Packer::default();
        for (item, commands) in [COMMANDS_MAX, 300, 300, 200, 1].into_iter().enumerate() {
            packer.push(tenant("a"), Load { commands, bytes: commands }, item);
        }
        let mut taken = || packer.take().map(|(_, items)| items);
        assert_eq!([taken(), taken(), taken()], [Some(vec![0]), Some(vec![1]), Some(vec![2, 3])]);
        // One command alone is no full message.
        assert_eq!(taken(), None);
        packer.landed(tenant("a"));
        assert_eq!(packer.take(), None);
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
