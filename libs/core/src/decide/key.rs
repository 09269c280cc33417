//! API keys: made and revoked.

use nox_contract::{
    CreateKey, Entity, Fact, KeyId, PauseReason, ProblemCode, Refusal, RevokeKey, TenantId,
};

use super::{Decision, Draft, Rules, schedule, webhook};
use crate::{schedules::Schedule, state::State};

/// Most keys that one user made and that were not revoked, and most of a tenant: each is in every snapshot.
pub const KEYS_OF_USER_MAX: usize = 100;
pub const KEYS_OF_TENANT_MAX: usize = 10_000;

/// Most schedules that are paused in one step of a revocation: names are long, and a frame is bounded.
const PAUSED_OF_STEP_MAX: usize = 100;

/// What the key lets its holder do is the gateway's to judge, which alone knows what its maker may.
pub(super) fn create(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    create: &CreateKey,
) -> Decision {
    let id = create.key_id;
    if let Some(key) = state.api_keys.get(&id) {
        let same = key.tenant == *tenant && key.by == create.by;
        return if same { Decision::unchanged(state.n) } else { not_found(id) };
    }
    if state.gone.contains(id.0.as_u128()) && !rules.faults.what_is_gone_comes_again {
        return not_found(id);
    }
    let of_tenant = state.api_keys.values().filter(|key| key.tenant == *tenant);
    let (all, own) =
        of_tenant.fold((0, 0), |(all, own), key| (all + 1, own + usize::from(key.by == create.by)));
    if own >= KEYS_OF_USER_MAX || all >= KEYS_OF_TENANT_MAX {
        let detail = format!(
            "{own} keys of {}, {all} of the tenant; {KEYS_OF_USER_MAX} and {KEYS_OF_TENANT_MAX} are the most",
            create.by
        );
        return Decision::refused(Refusal::new(ProblemCode::TooMany, detail));
    }
    let fact = Fact::KeyCreated { key: Box::new(create.key.clone()), by: create.by.clone() };
    Decision::of(Entity::Key { tenant: tenant.clone(), key_id: id }, vec![fact])
        .accepted(None, None)
}

/// What the key may not do any more, schedules and webhooks that are bound to it may neither: they are paused and
/// switched off first, so many in each step.
pub(super) fn revoke(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    revoke: &RevokeKey,
) -> Decision {
    let id = revoke.key_id;
    let known = state.api_keys.get(&id).filter(|key| key.tenant == *tenant);
    if known.is_none_or(|key| !revoke.admin && key.by != revoke.by) {
        return not_found(id);
    }
    let is_bound = |schedule: &Schedule| schedule.key_id == Some(id) && !schedule.is_paused();
    let bound = state.schedules.iter().filter(|(_, schedule)| is_bound(schedule));
    let pauses: Vec<_> = bound
        .filter(|_| !rules.faults.schedules_outlive_keys)
        .take(PAUSED_OF_STEP_MAX)
        .map(|(id, schedule)| {
            let (by, reason) = (Some(revoke.by.clone()), PauseReason::KeyRevoked);
            let facts = vec![Fact::SchedulePaused { by, reason }];
            Draft { entity: schedule::entity(id, schedule), facts }
        })
        .collect();
    if !pauses.is_empty() {
        return Decision::step(pauses);
    }
    let disabled = webhook::bound_to(state, rules, id);
    if !disabled.is_empty() {
        return Decision::step(disabled);
    }
    let fact = Fact::KeyRevoked { by: revoke.by.clone() };
    Decision::of(Entity::Key { tenant: tenant.clone(), key_id: id }, vec![fact])
        .accepted(None, None)
}

fn not_found(id: KeyId) -> Decision {
    let detail = format!("there is no key {id} of yours");
    Decision::refused(Refusal::new(ProblemCode::KeyNotFound, detail))
}
