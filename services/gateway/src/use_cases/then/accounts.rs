//! What accounts might, had and used.

use nox_contract::{Limits, TenantId, Timestamp, UserId, subject};
use nox_protocol::Fold;
use nox_readmodel::rows::{Balance, JobCounts};

use crate::{identity::auth::Caller, problem::ApiError, use_cases::quotas::no_such_account};

/// An account as it was.
#[derive(Debug, PartialEq)]
pub struct AccountThen {
    pub tenant: TenantId,
    pub account: String,
    pub role: String,
    pub limits: Limits,
    /// Of the newest day on which something was submitted: its first instant, and what was granted and used.
    pub balance: Option<(Timestamp, Balance)>,
    pub counts: JobCounts,
}

/// The caller's own; none before its first submit.
pub fn own(fold: &Fold, caller: &Caller) -> Option<AccountThen> {
    find(fold, &caller.tenant, &subject::user_account(&caller.user))
}

/// That of a user of the caller's tenant, for itself and for admins.
pub fn of_user(fold: &Fold, caller: &Caller, user: &UserId) -> Result<AccountThen, ApiError> {
    if !caller.sees_jobs_of(&caller.tenant, user) {
        return Err(no_such_account());
    }
    let found = find(fold, &caller.tenant, &subject::user_account(user));
    found.ok_or_else(no_such_account)
}

/// That of a tenant, for its admins and for operators.
pub fn of_tenant(fold: &Fold, caller: &Caller, tenant: &TenantId) -> Result<AccountThen, ApiError> {
    if *tenant != caller.tenant && caller.require_operator().is_err() {
        return Err(no_such_account());
    }
    find(fold, tenant, subject::TENANT_ACCOUNT).ok_or_else(no_such_account)
}

fn find(fold: &Fold, tenant: &TenantId, name: &str) -> Option<AccountThen> {
    let account = fold.state().ledger.account(tenant, name)?;
    Some(AccountThen {
        tenant: tenant.clone(),
        account: name.to_owned(),
        role: account.role.clone(),
        limits: account.limits,
        balance: account.periods.last_key_value().map(|(period, balance)| (*period, *balance)),
        counts: JobCounts {
            queued_jobs: account.queued_jobs.into(),
            running_jobs: account.running_jobs.into(),
        },
    })
}
