//! `/keys`: API keys for machines.

mod create;
mod list;
mod revoke;

use nox_contract::{ApiKey, KeyId, Timestamp, UserId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::endpoint::Endpoint;

pub fn endpoints() -> Vec<Endpoint> {
    vec![create::endpoint(), list::endpoint(), revoke::endpoint()]
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyView")]
struct KeyView {
    id: KeyId,
    name: String,
    /// Whom it acts as.
    user_id: UserId,
    role: String,
    /// Everything that the role may, if there are none.
    scopes: Vec<String>,
    expires_at: Option<Timestamp>,
    created_by: UserId,
    /// Null while nobody has decided.
    created_at: Option<Timestamp>,
}

impl KeyView {
    fn new(id: KeyId, key: ApiKey, created_by: UserId, created_at: Option<Timestamp>) -> Self {
        let ApiKey { name, user_id, role, scopes, expires_at, .. } = key;
        let scopes = scopes.into_iter().collect();
        Self { id, name, user_id, role, scopes, expires_at, created_by, created_at }
    }
}
