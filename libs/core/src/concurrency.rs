//! Jobs that hold a slot, by their concurrency keys.

use std::collections::BTreeMap;

use nox_contract::{Concurrency, TenantId};

/// How many hold a slot of each key, by the limit that each came with. Derived from the jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    by_tenant: BTreeMap<TenantId, BTreeMap<String, BTreeMap<u32, u32>>>,
}

/// Jobs of one key, and the least of their limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holders {
    pub count: u32,
    pub least: u32,
}

impl Default for Holders {
    fn default() -> Self {
        Self { count: 0, least: u32::MAX }
    }
}

impl Holders {
    /// Counts one more in.
    pub fn take(&mut self, limit: u32) {
        self.count += 1;
        self.least = self.least.min(limit);
    }

    /// Whether one more with this limit keeps to all of them.
    pub fn has_room(self, limit: u32) -> bool {
        self.count < self.least.min(limit)
    }
}

impl Keys {
    pub fn holders(&self, tenant: &TenantId, key: &str) -> Holders {
        let limits = self.by_tenant.get(tenant).and_then(|keys| keys.get(key));
        limits.map_or_else(Holders::default, of)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TenantId, &str, Holders)> {
        self.by_tenant.iter().flat_map(|(tenant, keys)| {
            keys.iter().map(move |(key, limits)| (tenant, &**key, of(limits)))
        })
    }

    pub(crate) fn take(&mut self, tenant: &TenantId, concurrency: &Concurrency) {
        let keys = self.by_tenant.entry(tenant.clone()).or_default();
        let limits = keys.entry(concurrency.key.clone()).or_default();
        *limits.entry(concurrency.limit).or_default() += 1;
    }

    pub(crate) fn give_back(&mut self, tenant: &TenantId, concurrency: &Concurrency) {
        let Some(keys) = self.by_tenant.get_mut(tenant) else { return };
        let Some(limits) = keys.get_mut(&concurrency.key) else { return };
        if let Some(count) = limits.get_mut(&concurrency.limit) {
            *count -= 1;
            if *count == 0 {
                limits.remove(&concurrency.limit);
            }
        }
        if limits.is_empty() {
            keys.remove(&concurrency.key);
        }
        if keys.is_empty() {
            self.by_tenant.remove(tenant);
        }
    }
}

fn of(limits: &BTreeMap<u32, u32>) -> Holders {
    let least = limits.first_key_value().map_or(u32::MAX, |(least, _)| *least);
    Holders { count: limits.values().sum(), least }
}
