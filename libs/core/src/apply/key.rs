//! Facts of an API key.

use nox_contract::{Entry, Fact, KeyId, TenantId};

use super::{ApplyError, misplaced};
use crate::{api_keys::Key, state::State};

impl State {
    pub(super) fn apply_key(
        &mut self,
        entry: &Entry,
        tenant: &TenantId,
        id: KeyId,
    ) -> Result<(), ApplyError> {
        let (n, at) = (self.n, self.at);
        for fact in entry.known_facts() {
            match fact {
                Fact::KeyCreated { by, key } => {
                    let expires_at = key.expires_at;
                    let key = Key { tenant: tenant.clone(), by: by.clone(), expires_at };
                    if self.api_keys.insert(id, key).is_some() {
                        return Err(misplaced(n, fact, "a key that is there"));
                    }
                }
                Fact::KeyRevoked { .. } => {
                    let missing = ApplyError::Missing { n, fact: fact.name(), what: "key" };
                    self.api_keys.remove(&id).ok_or(missing)?;
                    self.gone.insert(id.0.as_u128(), at);
                }
                other => return Err(misplaced(n, other, "a key")),
            }
        }
        Ok(())
    }
}
