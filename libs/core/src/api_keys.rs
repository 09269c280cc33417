//! API keys: who made which. What proves one is looked at by gateways alone.

use std::collections::BTreeMap;

use nox_contract::{KeyId, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub tenant: TenantId,
    /// Who made it.
    pub by: UserId,
    /// Never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// All keys that were not revoked, those that have run out included.
pub type ApiKeys = BTreeMap<KeyId, Key>;

/// Ids of keys and schedules that are no more: a copy of the command that made one, long on its way, must not
/// make it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone(BTreeMap<u128, Timestamp>);

impl Gone {
    pub fn contains(&self, id: u128) -> bool {
        self.0.contains_key(&id)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn insert(&mut self, id: u128, at: Timestamp) {
        self.0.insert(id, at);
    }

    /// Forgets those of which `is_old` says so.
    pub(crate) fn forget(&mut self, is_old: impl Fn(Timestamp) -> bool) {
        self.0.retain(|_, at| !is_old(*at));
    }
}
