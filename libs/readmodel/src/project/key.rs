//! What facts make of API keys.

use nox_contract::{Entity, Fact};

use super::{Context, IllegalEntry, Projection};
use crate::rows::StoredKey;

impl Projection<'_> {
    pub(super) fn move_key(
        &mut self,
        context: &Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEntry> {
        let Entity::Key { tenant, key_id } = context.entity else {
            return Err(context.misplaced(fact));
        };
        let row = match fact {
            Fact::KeyCreated { key, by } if storable => Some(StoredKey {
                tenant: tenant.clone(),
                key: (**key).clone(),
                by: by.clone(),
                created_at: context.placed.at,
                n: context.placed.n,
            }),
            _ => None,
        };
        self.changes.keys.insert(*key_id, row);
        Ok(())
    }
}
