//! Budgets and limits: at the door, and changed by admins.

use std::time::Duration;

use nox_contract::{
    Entity, Fact, LIMITS_REASON_BYTES_MAX, Limits, LimitsChange, ProblemCode, Refusal, Resources,
    SetLimits, TenantId, Timestamp, UserId, subject,
};

use super::{Decision, Draft, Rules, report::cut};
use crate::{
    admission::{self, Used, refusal},
    ledger::{Account, user_of},
    state::State,
};

/// Who asks for what.
pub(super) struct Asker<'a> {
    pub user: &'a UserId,
    pub role: &'a str,
    pub resources: &'a Resources,
    pub beside: Beside,
}

/// What is submitted together with a job, before it, or with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Beside {
    pub queued_jobs: u32,
    pub drafts: u32,
    /// Core seconds that they reserve.
    pub cpu_seconds: i64,
}

/// Violations of one kind by one account are recorded at most once in this span, so that a loop of
/// refused requests cannot fill the log.
const VIOLATIONS_COALESCED: Duration = Duration::from_secs(1);

/// Facts that bring the accounts up to date: limits when first seen and when changed, and the
/// budget of a new period.
pub(super) fn opening(
    state: &State,
    rules: &Rules,
    tenant: &TenantId,
    user: &UserId,
    role: &str,
    now: Timestamp,
) -> Vec<Draft> {
    let config = state.in_force();
    let of_role = limits_of(state, role);
    let accounts = [
        (None, state.ledger.tenant(tenant), "", config.tenant),
        (Some(user), state.ledger.user(tenant, user), role, of_role),
    ];
    let period = now.start_of_day();
    accounts
        .into_iter()
        .filter_map(|(user, account, role, limits)| {
            let mut facts = Vec::new();
            let account = account.filter(|a| !(a.fixed && rules.faults.fixed_limits_follow_role));
            let in_force = in_force(account, limits);
            if account.is_none_or(|a| !a.fixed && (a.limits != limits || a.role != role)) {
                facts.push(Fact::LimitsSet { role: role.to_owned(), limits, change: None });
            }
            facts.extend(granted(account, &in_force, period));
            (!facts.is_empty()).then(|| {
                let account = account_name(user);
                Draft { entity: Entity::Account { tenant: tenant.clone(), account }, facts }
            })
        })
        .collect()
}

/// What the account may: what an admin gave it, else what its role or the configuration does.
fn in_force(account: Option<&Account>, configured: Limits) -> Limits {
    account.filter(|account| account.fixed).map_or(configured, |account| account.limits)
}

/// The budget of `period`, where the account has another one or none yet.
fn granted(account: Option<&Account>, limits: &Limits, period: Timestamp) -> Option<Fact> {
    let granted = account.and_then(|account| account.periods.get(&period)).map(|b| b.granted);
    let cpu_seconds = limits.cpu_seconds;
    (granted != Some(cpu_seconds)).then_some(Fact::Granted { period, cpu_seconds })
}

/// An admin changes what an account may, or lets it follow its role again. In force at once: what waits for
/// it is looked at again, and what runs beyond it runs on.
pub(super) fn set(state: &State, tenant: &TenantId, set: &SetLimits, now: Timestamp) -> Decision {
    let user = user_of(&set.account);
    if user.is_none() && set.account != subject::TENANT_ACCOUNT {
        let detail = format!("{} names no account", set.account);
        return Decision::refused(Refusal::new(ProblemCode::InvalidRequest, detail));
    }
    let account = state.ledger.account(tenant, &set.account);
    let role = account.map_or("", |account| &account.role);
    let limits = match (set.limits, user) {
        (Some(limits), _) if limits.cpu_seconds < 0 => {
            let detail = "cpu_seconds must not be negative";
            return Decision::refused(Refusal::new(ProblemCode::InvalidRequest, detail));
        }
        (Some(limits), _) => limits,
        (None, Some(_)) => limits_of(state, role),
        (None, None) => state.in_force().tenant,
    };
    let reset = set.limits.is_none();
    let same = |account: &Account| account.fixed != reset && (reset || account.limits == limits);
    if account.map_or(reset, same) {
        return Decision::unchanged(state.n);
    }
    let change = LimitsChange {
        by: set.by.clone(),
        reason: cut(&set.reason, LIMITS_REASON_BYTES_MAX),
        reset,
    };
    let change = Some(Box::new(change));
    let mut facts = vec![Fact::LimitsSet { role: role.to_owned(), limits, change }];
    facts.extend(granted(account, &limits, now.start_of_day()));
    let account = Entity::Account { tenant: tenant.clone(), account: set.account.clone() };
    Decision::of(account, facts).accepted(None, None)
}

/// The name of a user's account, or of the tenant's.
fn account_name(user: Option<&UserId>) -> String {
    user.map_or_else(|| subject::TENANT_ACCOUNT.to_owned(), subject::user_account)
}

/// The limits of a role; those of `user` for a role that the configuration does not name.
fn limits_of(state: &State, role: &str) -> Limits {
    let config = state.in_force();
    let roles = &config.roles;
    roles.get(role).or_else(|| roles.get("user")).copied().unwrap_or(config.tenant)
}

/// Whether the request fits the limits of its tenant and user. Looks at the accounts as
/// [`opening`] leaves them.
pub(super) fn admit(
    state: &State,
    tenant: &TenantId,
    asker: &Asker<'_>,
    now: Timestamp,
) -> Result<(), Box<Refusal>> {
    for (user, account, limits) in accounts(state, tenant, asker.user, asker.role) {
        let used = used(account, asker, now);
        admission::check(&account_name(user), &limits, &used, asker.resources, now)?;
    }
    Ok(())
}

/// Whether there may be one more draft. It costs nothing until it is submitted.
pub(super) fn admit_draft(
    state: &State,
    tenant: &TenantId,
    asker: &Asker<'_>,
    now: Timestamp,
) -> Result<(), Box<Refusal>> {
    for (user, account, limits) in accounts(state, tenant, asker.user, asker.role) {
        admission::check_draft(&account_name(user), &limits, &used(account, asker, now))?;
    }
    Ok(())
}

/// What an account has, with what is submitted before the job.
fn used(account: Option<&Account>, Asker { beside, .. }: &Asker<'_>, now: Timestamp) -> Used {
    let of_day = |account: &Account| account.periods.get(&now.start_of_day()).copied();
    let mut balance = account.and_then(of_day).unwrap_or_default();
    balance.free = balance.free.saturating_sub(beside.cpu_seconds);
    Used {
        queued_jobs: account.map_or(0, |account| account.queued_jobs) + beside.queued_jobs,
        drafts: account.map_or(0, |account| account.drafts) + beside.drafts,
        balance,
    }
}

/// Whether jobs that are admitted all or none could ever fit the limits of their tenant and user together, whatever
/// else there is of theirs.
pub(super) fn admit_together(
    state: &State,
    tenant: &TenantId,
    (user, role): (&UserId, &str),
    all: Beside,
) -> Result<(), Box<Refusal>> {
    for (user, _, limits) in accounts(state, tenant, user, role) {
        for (quota, asked, limit) in [
            ("queued_jobs", all.queued_jobs.into(), limits.queued_jobs.into()),
            ("drafts", all.drafts.into(), limits.drafts.into()),
            ("cpu_seconds", all.cpu_seconds, limits.cpu_seconds),
        ] {
            if asked > limit {
                let code = ProblemCode::RequestTooLarge;
                let of = (0, limit);
                return Err(Box::new(refusal(&account_name(user), code, quota, of, asked)));
            }
        }
    }
    Ok(())
}

/// Records the violation of a quota, if that is what a refusal of the job is, at most once a second for each
/// account and code.
pub(super) fn record(
    state: &State,
    job: &Entity,
    refusal: &Refusal,
    drafts: &mut Vec<Draft>,
    now: Timestamp,
) {
    let Entity::Job { tenant, job_id, user_id, module } = job else { return };
    let Some(account) = &refusal.account else { return };
    let known = if account == subject::TENANT_ACCOUNT {
        state.ledger.tenant(tenant)
    } else {
        state.ledger.user(tenant, user_id)
    };
    let recent = known
        .and_then(|known| known.violated_at.get(&refusal.code))
        .is_some_and(|at| now.since(*at) < VIOLATIONS_COALESCED);
    if recent {
        return;
    }
    let fact = Fact::QuotaViolated {
        job_id: *job_id,
        user_id: user_id.clone(),
        module: module.clone(),
        refusal: Box::new(refusal.clone()),
    };
    let account = Entity::Account { tenant: tenant.clone(), account: account.clone() };
    match drafts.iter_mut().find(|draft| draft.entity == account) {
        Some(draft) => draft.facts.push(fact),
        None => drafts.push(Draft { entity: account, facts: vec![fact] }),
    }
}

/// The accounts of a user, with the limits that are to be in force.
fn accounts<'s>(
    state: &'s State,
    tenant: &TenantId,
    user: &'s UserId,
    role: &str,
) -> [(Option<&'s UserId>, Option<&'s Account>, Limits); 2] {
    let of_user = state.ledger.user(tenant, user);
    let of_tenant = state.ledger.tenant(tenant);
    [
        (Some(user), of_user, in_force(of_user, limits_of(state, role))),
        (None, of_tenant, in_force(of_tenant, state.in_force().tenant)),
    ]
}
