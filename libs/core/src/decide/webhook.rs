//! Webhooks: set, rotated, tested, sent again, switched off, deleted.
//!
//! One that an API key made or changed is bound to that key, as schedules are: it is switched off when the key is
//! revoked, and the notifier says so when the key has run out. So a key that leaked leaves nobody behind who listens.

use std::time::Duration;

use nox_contract::{
    DeleteWebhook, DisableReason, DisableWebhook, Entity, Fact, KeyId, ProblemCode,
    RedeliverWebhook, Refusal, RotateWebhook, SetWebhook, TenantId, TestWebhook, Timestamp, UserId,
    WebhookId, webhook::OVERLAP_S_MAX,
};

use super::{Decision, Draft, Rules};
use crate::{state::State, webhooks::Webhook};

/// Most webhooks of one user, and of a tenant: each is looked at for every event, and is in every snapshot.
pub const WEBHOOKS_OF_USER_MAX: usize = 20;
pub const WEBHOOKS_OF_TENANT_MAX: usize = 200;

/// Most webhooks that are switched off in one step of a revocation.
const DISABLED_OF_STEP_MAX: usize = 100;

pub(super) fn set(state: &State, rules: &Rules, tenant: &TenantId, set: &SetWebhook) -> Decision {
    let id = set.webhook_id;
    if set.spec.of_tenant && !set.admin {
        let detail = "only an admin sends all of a tenant";
        return Decision::refused(Refusal::new(ProblemCode::Forbidden, detail));
    }
    let known = state.webhooks.get(&id);
    let is_repeated = set.new && known.is_some();
    if !is_repeated && is_refused(state, rules, tenant, set.key_id) {
        let detail = "the API key is worth nothing any more";
        return Decision::refused(Refusal::new(ProblemCode::Unauthenticated, detail));
    }
    let owner = match known {
        Some(webhook) if set.new => {
            let same = webhook.tenant == *tenant && webhook.owner == set.by;
            return if same { Decision::unchanged(state.n) } else { not_found(id) };
        }
        Some(_) => match of(state, tenant, id, (&set.by, set.admin)) {
            Some(webhook) => {
                let same = webhook.spec == set.spec && webhook.key_id == set.key_id;
                if same && webhook.disabled.is_none() {
                    return Decision::unchanged(state.n);
                }
                webhook.owner.clone()
            }
            None => return not_found(id),
        },
        None if !set.new => return not_found(id),
        None if state.gone.contains(id.0.as_u128()) && !rules.faults.what_is_gone_comes_again => {
            return not_found(id);
        }
        None => match too_many(state, tenant, &set.by) {
            Some(refusal) => return Decision::refused(refusal),
            None => set.by.clone(),
        },
    };
    if set.spec.of_tenant && owner != set.by {
        let detail = "whoever owns it would be sent more than they may see";
        return Decision::refused(Refusal::new(ProblemCode::Forbidden, detail));
    }
    let expires_at = set.key_id.and_then(|id| state.api_keys.get(&id)?.expires_at);
    let (spec, by, key_id) = (Box::new(set.spec.clone()), set.by.clone(), set.key_id);
    said(tenant, id, Fact::WebhookSet { spec, owner, by, key_id, expires_at })
}

/// Whether it is asked for by a key that is worth nothing any more, for a gateway believes a key for some seconds.
fn is_refused(state: &State, rules: &Rules, tenant: &TenantId, key_id: Option<KeyId>) -> bool {
    let Some(key_id) = key_id.filter(|_| !rules.faults.webhooks_outlive_keys) else {
        return false;
    };
    state.api_keys.get(&key_id).is_none_or(|key| key.tenant != *tenant)
}

fn too_many(state: &State, tenant: &TenantId, user: &UserId) -> Option<Refusal> {
    let of_tenant = state.webhooks.values().filter(|webhook| webhook.tenant == *tenant);
    let (all, own) = of_tenant
        .fold((0, 0), |(all, own), webhook| (all + 1, own + usize::from(webhook.owner == *user)));
    (own >= WEBHOOKS_OF_USER_MAX || all >= WEBHOOKS_OF_TENANT_MAX).then(|| {
        let detail = format!(
            "{own} webhooks of {user}, {all} of the tenant; {WEBHOOKS_OF_USER_MAX} and \
             {WEBHOOKS_OF_TENANT_MAX} are the most"
        );
        Refusal::new(ProblemCode::TooMany, detail)
    })
}

pub(super) fn rotate(
    state: &State,
    tenant: &TenantId,
    rotate: &RotateWebhook,
    now: Timestamp,
) -> Decision {
    let id = rotate.webhook_id;
    let Some(webhook) = of(state, tenant, id, (&rotate.by, rotate.admin)) else {
        return not_found(id);
    };
    if webhook.rotation == rotate.rotation {
        return Decision::unchanged(state.n);
    }
    if Some(rotate.rotation) != webhook.rotation.checked_add(1) {
        let detail = "the webhook's secret was rotated meanwhile";
        return Decision::refused(Refusal::new(ProblemCode::StaleStamp, detail));
    }
    let overlap = Duration::from_secs(rotate.overlap_s.min(OVERLAP_S_MAX).into());
    let (rotation, by) = (rotate.rotation, rotate.by.clone());
    said(tenant, id, Fact::WebhookRotated { rotation, previous_until: now + overlap, by })
}

pub(super) fn test(state: &State, tenant: &TenantId, test: &TestWebhook) -> Decision {
    let (delivery_id, by) = (test.delivery_id, test.by.clone());
    let fact = Fact::WebhookTested { delivery_id, by };
    sent(state, tenant, test.webhook_id, (&test.by, test.admin), fact)
}

pub(super) fn redeliver(state: &State, tenant: &TenantId, again: &RedeliverWebhook) -> Decision {
    let (delivery_id, by) = (again.delivery_id, again.by.clone());
    let fact = Fact::WebhookRedelivered { delivery_id, by };
    sent(state, tenant, again.webhook_id, (&again.by, again.admin), fact)
}

/// What only one that is on can send.
fn sent(
    state: &State,
    tenant: &TenantId,
    id: WebhookId,
    by: (&UserId, bool),
    fact: Fact,
) -> Decision {
    let Some(webhook) = of(state, tenant, id, by) else { return not_found(id) };
    if !webhook.is_on() {
        let detail = "the webhook is switched off: switch it on first";
        return Decision::refused(Refusal::new(ProblemCode::WebhookDisabled, detail));
    }
    said(tenant, id, fact)
}

pub(super) fn delete(state: &State, tenant: &TenantId, delete: &DeleteWebhook) -> Decision {
    let id = delete.webhook_id;
    if of(state, tenant, id, (&delete.by, delete.admin)).is_none() {
        return not_found(id);
    }
    said(tenant, id, Fact::WebhookDeleted { by: delete.by.clone() })
}

/// The notifier found out that nobody is to be sent anything there. It speaks for no tenant, and so for all.
pub(super) fn disable(state: &State, tenant: &TenantId, disable: &DisableWebhook) -> Decision {
    let id = disable.webhook_id;
    let Some(webhook) = state.webhooks.get(&id).filter(|_| tenant.is_system()) else {
        return not_found(id);
    };
    if !webhook.is_on() || webhook.set_in != disable.set_in {
        return Decision::unchanged(state.n);
    }
    said(&webhook.tenant, id, Fact::WebhookDisabled { reason: disable.reason })
}

/// Webhooks that are bound to a key which is revoked, so many in a step.
pub(super) fn bound_to(state: &State, rules: &Rules, key_id: KeyId) -> Vec<Draft> {
    let is_bound = |webhook: &Webhook| webhook.key_id == Some(key_id) && webhook.is_on();
    let bound = state.webhooks.iter().filter(|(_, webhook)| is_bound(webhook));
    bound
        .filter(|_| !rules.faults.webhooks_outlive_keys)
        .take(DISABLED_OF_STEP_MAX)
        .map(|(id, webhook)| {
            let facts = vec![Fact::WebhookDisabled { reason: DisableReason::KeyRevoked }];
            Draft { entity: entity(&webhook.tenant, *id), facts }
        })
        .collect()
}

/// The webhook, if it is one of the tenant's that the asker may touch.
fn of<'s>(
    state: &'s State,
    tenant: &TenantId,
    id: WebhookId,
    (by, admin): (&UserId, bool),
) -> Option<&'s Webhook> {
    let may = |of: &&Webhook| of.tenant == *tenant && (admin || of.owner == *by);
    state.webhooks.get(&id).filter(may)
}

fn said(tenant: &TenantId, id: WebhookId, fact: Fact) -> Decision {
    Decision::of(entity(tenant, id), vec![fact]).accepted(None, None)
}

fn entity(tenant: &TenantId, webhook_id: WebhookId) -> Entity {
    Entity::Webhook { tenant: tenant.clone(), webhook_id }
}

fn not_found(id: WebhookId) -> Decision {
    let detail = format!("there is no webhook {id} of yours");
    Decision::refused(Refusal::new(ProblemCode::WebhookNotFound, detail))
}
