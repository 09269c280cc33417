//! Schedules: set, paused, deleted, triggered.
//!
//! One that an API key made or changed is bound to that key, so that a key which leaked leaves nothing behind: it
//! is paused when the key is revoked or has run out. Whoever changes it later, or lets it go on after that, binds
//! it to what they show themselves; a person's token binds it to nothing.

use nox_contract::{
    DeleteSchedule, Entity, Fact, KeyId, Outcome, PauseReason, PauseSchedule, ProblemCode, Refusal,
    ScheduleId, SetSchedule, TenantId, Timestamp, TriggerSchedule, UserId,
};

use super::{
    Decision, Draft, Rules,
    occurrence::{Submission, submission},
    submit,
};
use crate::{schedules::Schedule, state::State};

/// Most schedules of one user, and of a tenant: each is in every snapshot, with what it submits.
pub const SCHEDULES_OF_USER_MAX: usize = 100;
pub const SCHEDULES_OF_TENANT_MAX: usize = 1_000;

pub(super) fn set(state: &State, rules: &Rules, tenant: &TenantId, set: &SetSchedule) -> Decision {
    let id = set.schedule_id;
    let entity = Entity::Schedule { tenant: tenant.clone(), schedule_id: id };
    let known = state.schedules.get(id);
    let is_repeated = set.new && known.is_some();
    if !is_repeated && is_refused(state, rules, tenant, set.key_id) {
        return refused_key();
    }
    let (owner, role) = match known {
        Some(schedule) if set.new => {
            let same = schedule.tenant == *tenant && schedule.owner == set.by;
            return if same { Decision::unchanged(state.n) } else { not_found(id) };
        }
        Some(_) => match of(state, tenant, id, (&set.by, set.admin)) {
            Some(schedule) => {
                // Whoever may do less than when it was made must not submit by it what they may not.
                let role = if schedule.owner == set.by { &set.role } else { &schedule.role };
                let same = schedule.spec == set.spec && schedule.key_id == set.key_id;
                if same && schedule.role == *role {
                    return Decision::unchanged(state.n);
                }
                (schedule.owner.clone(), role.clone())
            }
            None => return not_found(id),
        },
        None if !set.new => return not_found(id),
        None if state.gone.contains(id.0.as_u128()) && !rules.faults.what_is_gone_comes_again => {
            return not_found(id);
        }
        None => {
            if let Some(refusal) = too_many(state, tenant, &set.by) {
                return Decision::refused(refusal);
            }
            (set.by.clone(), set.role.clone())
        }
    };
    let (spec, by, key_id) = (Box::new(set.spec.clone()), set.by.clone(), set.key_id);
    let fact = Fact::ScheduleSet { spec, owner, role, by, key_id };
    Decision::of(entity, vec![fact]).accepted(None, None)
}

fn too_many(state: &State, tenant: &TenantId, user: &UserId) -> Option<Refusal> {
    let of_tenant = state.schedules.iter().filter(|(_, schedule)| schedule.tenant == *tenant);
    let (all, own) = of_tenant.fold((0, 0), |(all, own), (_, schedule)| {
        (all + 1, own + usize::from(schedule.owner == *user))
    });
    (own >= SCHEDULES_OF_USER_MAX || all >= SCHEDULES_OF_TENANT_MAX).then(|| {
        let detail = format!(
            "{own} schedules of {user}, {all} of the tenant; {SCHEDULES_OF_USER_MAX} and \
             {SCHEDULES_OF_TENANT_MAX} are the most"
        );
        Refusal::new(ProblemCode::TooMany, detail)
    })
}

pub(super) fn pause(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    pause: &PauseSchedule,
    now: Timestamp,
) -> Decision {
    let id = pause.schedule_id;
    let Some(schedule) = of(state, tenant, id, (&pause.by, pause.admin)) else {
        return not_found(id);
    };
    if schedule.is_paused() == pause.paused {
        return Decision::unchanged(state.n);
    }
    let by = pause.by.clone();
    let fact = if pause.paused {
        Fact::SchedulePaused { by: Some(by), reason: PauseReason::Asked }
    } else if is_refused(state, rules, tenant, pause.key_id) {
        return refused_key();
    } else {
        let is_void = schedule.paused != Some(PauseReason::Asked)
            || void(state, rules, schedule, now).is_some();
        let key_id = if is_void { pause.key_id } else { schedule.key_id };
        Fact::ScheduleResumed { by, key_id }
    };
    Decision::of(entity(id, schedule), vec![fact]).accepted(None, None)
}

/// Why a schedule is not to go on: what it is bound to is worth nothing at the instant `wall`.
pub(super) fn void(
    state: &State,
    rules: &Rules,
    schedule: &Schedule,
    wall: Timestamp,
) -> Option<PauseReason> {
    let key_id = schedule.key_id.filter(|_| !rules.faults.schedules_outlive_keys)?;
    let Some(key) = state.api_keys.get(&key_id) else { return Some(PauseReason::KeyRevoked) };
    key.expires_at.is_some_and(|at| at <= wall).then_some(PauseReason::KeyExpired)
}

/// Whether what is asked for is asked for by a key that is worth nothing any more, for a gateway believes a key
/// for some seconds.
fn is_refused(state: &State, rules: &Rules, tenant: &TenantId, key_id: Option<KeyId>) -> bool {
    let Some(key_id) = key_id.filter(|_| !rules.faults.schedules_outlive_keys) else {
        return false;
    };
    state.api_keys.get(&key_id).is_none_or(|key| key.tenant != *tenant)
}

pub(super) fn delete(state: &State, tenant: &TenantId, delete: &DeleteSchedule) -> Decision {
    let id = delete.schedule_id;
    let Some(schedule) = of(state, tenant, id, (&delete.by, delete.admin)) else {
        return not_found(id);
    };
    let fact = Fact::ScheduleDeleted { by: delete.by.clone() };
    Decision::of(entity(id, schedule), vec![fact]).accepted(None, None)
}

pub(super) fn trigger(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    trigger: &TriggerSchedule,
    now: Timestamp,
) -> Decision {
    let id = trigger.schedule_id;
    let Some(schedule) = of(state, tenant, id, (&trigger.by, trigger.admin)) else {
        return not_found(id);
    };
    if schedule.spec.job.module != trigger.module {
        let detail = "the schedule was changed meanwhile";
        return Decision::refused(Refusal::new(ProblemCode::StaleStamp, detail));
    }
    let role = if schedule.owner == trigger.by { &trigger.role } else { &schedule.role };
    let (job_id, seen) = (trigger.job_id, trigger.seen);
    let submit = submission(id, schedule, Submission { job_id, role, seen });
    let mut decision = submit::decide(state, rules, tenant, &submit, now);
    if matches!(&decision.answer, Some(Outcome::Accepted(accepted)) if !accepted.repeated) {
        let fact = Fact::ScheduleTriggered { job_id: trigger.job_id, by: trigger.by.clone() };
        decision.drafts.push(Draft { entity: entity(id, schedule), facts: vec![fact] });
    }
    decision
}

fn refused_key() -> Decision {
    let detail = "the API key is worth nothing any more";
    Decision::refused(Refusal::new(ProblemCode::Unauthenticated, detail))
}

/// The schedule, if it is one of the tenant's that the asker may touch.
fn of<'s>(
    state: &'s State,
    tenant: &TenantId,
    id: ScheduleId,
    (by, admin): (&UserId, bool),
) -> Option<&'s Schedule> {
    let may = |of: &&Schedule| of.tenant == *tenant && (admin || of.owner == *by);
    state.schedules.get(id).filter(may)
}

pub(super) fn entity(id: ScheduleId, schedule: &Schedule) -> Entity {
    Entity::Schedule { tenant: schedule.tenant.clone(), schedule_id: id }
}

fn not_found(id: ScheduleId) -> Decision {
    let detail = format!("there is no schedule {id} of yours");
    Decision::refused(Refusal::new(ProblemCode::ScheduleNotFound, detail))
}
