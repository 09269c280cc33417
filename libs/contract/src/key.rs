//! API keys for machines.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Timestamp, UserId};

/// A key as the log knows it: what it lets its holder do, and nothing that could be shown to prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKey {
    /// For people.
    pub name: String,
    /// Whom it acts as.
    pub user_id: UserId,
    pub role: String,
    /// What its holder may do; everything that the role may, if there are none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub scopes: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// BLAKE3 of the secret, as 64 hex digits. The secret has 244 bits of chance, so nothing slower is needed.
    pub hash: String,
}
