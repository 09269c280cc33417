//! What all connections share: places, and memory. No address may have all of it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus::IntGauge;

/// So much of something, in all and for each address. Clones share it.
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

struct Shared {
    max: usize,
    address_max: usize,
    used: Mutex<Used>,
    /// Shows what is used in all.
    gauge: IntGauge,
}

#[derive(Default)]
struct Used {
    total: usize,
    /// Only addresses that use something are in here.
    by_address: HashMap<Address, usize>,
}

/// Who shares: one address, or for IPv6 the network that one customer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

/// Bits of an IPv6 address that name the customer's network.
const NETWORK_BITS: u32 = 64;

/// There is no more, in all or for this address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

/// What was taken of a budget; given back when it is dropped.
pub struct Hold {
    budget: Budget,
    address: Address,
    amount: usize,
}

impl Budget {
    /// A budget of `max`, of which one address may have `address_percent` per cent, but always
    /// something.
    pub fn new(max: usize, address_percent: u8, gauge: IntGauge) -> Self {
        let share = max / 100 * usize::from(address_percent)
            + max % 100 * usize::from(address_percent) / 100;
        Self(Arc::new(Shared { max, address_max: share.max(1), used: Mutex::default(), gauge }))
    }

    /// Takes `amount` for `address`, if there is as much.
    pub fn take(&self, address: Address, amount: usize) -> Result<Hold, Exhausted> {
        let mut hold = Hold { budget: self.clone(), address, amount: 0 };
        hold.grow(amount)?;
        Ok(hold)
    }

    /// Takes `amount` for an address that speaks for many, if there is as much in all.
    pub fn take_for_many(&self, address: Address, amount: usize) -> Result<Hold, Exhausted> {
        let mut used = self.lock();
        if used.total.checked_add(amount).is_none_or(|sum| sum > self.0.max) {
            return Err(Exhausted);
        }
        used.add(address, amount, &self.0.gauge);
        drop(used);
        Ok(Hold { budget: self.clone(), address, amount })
    }

    /// Takes `amount` for `address`, even beyond the budget: nobody else gets anything until it fits.
    pub fn take_anyway(&self, address: Address, amount: usize) -> Hold {
        self.lock().add(address, amount, &self.0.gauge);
        Hold { budget: self.clone(), address, amount }
    }

    /// What is in there stays whole if a holder panics: sums are changed together.
    fn lock(&self) -> MutexGuard<'_, Used> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn of(&self, address: Address) -> usize {
        self.by_address.get(&address).copied().unwrap_or_default()
    }

    fn add(&mut self, address: Address, amount: usize, gauge: &IntGauge) {
        if amount > 0 {
            self.total += amount;
            *self.by_address.entry(address).or_default() += amount;
            gauge.set(i64::try_from(self.total).unwrap_or(i64::MAX));
        }
    }

    fn give_back(&mut self, address: Address, amount: usize, gauge: &IntGauge) {
        let left = self.of(address).saturating_sub(amount);
        if left == 0 {
            self.by_address.remove(&address);
        } else {
            self.by_address.insert(address, left);
        }
        self.total = self.total.saturating_sub(amount);
        gauge.set(i64::try_from(self.total).unwrap_or(i64::MAX));
    }
}

impl Hold {
    /// Takes `more` as well, if there is as much.
    pub fn grow(&mut self, more: usize) -> Result<(), Exhausted> {
        let Shared { max, address_max, gauge, .. } = &*self.budget.0;
        let mut used = self.budget.lock();
        let fits = |used: usize, max: usize| used.checked_add(more).is_some_and(|sum| sum <= max);
        if !fits(used.total, *max) || !fits(used.of(self.address), *address_max) {
            return Err(Exhausted);
        }
        used.add(self.address, more, gauge);
        self.amount += more;
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.budget.lock().give_back(self.address, self.amount, &self.budget.0.gauge);
    }
}

impl Address {
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V6(ip) => {
                let network = ip.to_bits() >> NETWORK_BITS << NETWORK_BITS;
                Self(Ipv6Addr::from_bits(network).into())
            }
            v4 => Self(v4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::of(text.parse().unwrap())
    }

    fn budget(max: usize, percent: u8) -> (Budget, IntGauge) {
        let gauge = IntGauge::new("used", "Used.").unwrap();
        (Budget::new(max, percent, gauge.clone()), gauge)
    }

    #[test]
    fn no_address_has_more_than_its_share_and_all_together_no_more_than_there_is() {
        let (budget, gauge) = budget(1_000, 25);
        let mut first = budget.take(address("10.0.0.1"), 200).unwrap();
        assert!(budget.take(address("10.0.0.1"), 51).is_err());
        assert!(first.grow(51).is_err() && first.grow(50).is_ok());
        let others: Vec<_> =
            (2..5).map(|i| budget.take(address(&format!("10.0.0.{i}")), 250).unwrap()).collect();
        assert!(budget.take(address("10.0.0.9"), 1).is_err());
        assert_eq!(gauge.get(), 1_000);
        drop(others);
        drop(first);
        assert_eq!(gauge.get(), 0);
        assert!(budget.lock().by_address.is_empty());
        assert!(budget.take(address("10.0.0.1"), 250).is_ok());
    }

    #[test]
    fn whoever_speaks_for_many_has_more_than_one_share_and_no_more_than_there_is() {
        let (budget, gauge) = budget(100, 10);
        let proxy = address("10.0.0.1");
        let held: Vec<_> = (0..9).map(|_| budget.take_for_many(proxy, 10).unwrap()).collect();
        let other = budget.take(address("10.0.0.2"), 10).unwrap();
        assert!(budget.take_for_many(proxy, 1).is_err() && budget.take(proxy, 1).is_err());
        drop((held, other));
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn what_is_taken_anyway_keeps_others_out_until_it_fits() {
        let (budget, _) = budget(100, 100);
        let over = budget.take_anyway(address("10.0.0.1"), 150);
        assert!(budget.take(address("10.0.0.2"), 1).is_err());
        drop(over);
        assert!(budget.take(address("10.0.0.2"), 100).is_ok());
    }

    #[test]
    fn a_share_is_never_nothing_and_never_overflows() {
        let (small, _) = budget(2, 1);
        assert!(small.take(address("10.0.0.1"), 1).is_ok());
        let (all, _) = budget(usize::MAX, 100);
        let _held = all.take(address("10.0.0.1"), usize::MAX - 1).unwrap();
        assert!(all.take(address("10.0.0.1"), 2).is_err());
    }

    #[test]
    fn an_address_is_one_however_it_is_reached() {
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_ne!(address("10.0.0.1"), address("10.0.0.2"));
    }
}
