//! What accounts may have, have and use.

use nox_contract::{
    Accepted, Command, LIMITS_REASON_BYTES_MAX, Limits, ProblemCode, SetLimits, TenantId, UserId,
    subject,
};
use nox_readmodel::{
    Cursor, Filter, Page,
    query::{AccountRow, LedgerRow, ViolationPlace, ViolationRow},
};

use super::decided::decided;
use crate::{
    app::App,
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    read::{barrier::Sources, required::Required},
};

/// The account of the caller; none before its first submit.
pub async fn own(app: &App, caller: &Caller) -> Result<Option<AccountRow>, ApiError> {
    let account = subject::user_account(&caller.user);
    let read = || app.reader.account(&caller.tenant, &account);
    Ok(app.barrier.read(&Required::default(), read).await?.value)
}

/// The account of a user of the caller's tenant, for itself and for admins.
pub async fn of_user(app: &App, caller: &Caller, user: &UserId) -> Result<AccountRow, ApiError> {
    if !caller.sees_jobs_of(&caller.tenant, user) {
        return Err(no_such_account());
    }
    find(app, &caller.tenant, &subject::user_account(user)).await
}

/// The account of a tenant, for its admins and for operators.
pub async fn of_tenant(
    app: &App,
    caller: &Caller,
    tenant: &TenantId,
) -> Result<AccountRow, ApiError> {
    if *tenant != caller.tenant && caller.require_operator().is_err() {
        return Err(no_such_account());
    }
    find(app, tenant, subject::TENANT_ACCOUNT).await
}

async fn find(app: &App, tenant: &TenantId, account: &str) -> Result<AccountRow, ApiError> {
    let read = || app.reader.account(tenant, account);
    let found = app.barrier.find(Required::default(), Sources::Commands, read).await?;
    found.value.ok_or_else(no_such_account)
}

/// Accounts that the caller may see, by name, those behind `after`: for admins all of the tenant.
pub async fn list(
    app: &App,
    caller: &Caller,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<AccountRow>, ApiError> {
    if !caller.admin {
        let own = own(app, caller).await?;
        let unseen = |row: &AccountRow| after.is_none_or(|after| *row.account > *after);
        return Ok(own.into_iter().filter(unseen).collect());
    }
    let read = || app.reader.accounts(&caller.tenant, after, limit);
    Ok(app.barrier.read(&Required::default(), read).await?.value)
}

/// The lines of the ledger of the caller's jobs, newest job first.
pub async fn ledger(
    app: &App,
    caller: &Caller,
    before: Option<Cursor>,
    limit: usize,
) -> Result<Page<LedgerRow>, ApiError> {
    let user = Some(caller.user.clone());
    let filter = Filter { user, before, ..Filter::of(caller.tenant.clone(), limit) };
    let read = || app.reader.ledger(&filter);
    Ok(app.barrier.read(&Required::default(), read).await?.value)
}

/// What the caller was refused, newest first.
pub async fn violations(
    app: &App,
    caller: &Caller,
    before: Option<ViolationPlace>,
    limit: usize,
) -> Result<Vec<ViolationRow>, ApiError> {
    let read = || app.reader.violations(&caller.tenant, Some(&caller.user), before, limit);
    Ok(app.barrier.read(&Required::default(), read).await?.value)
}

/// Gives an account of a tenant these limits, or those of its role again; `None` while nobody has decided.
pub async fn set(
    app: &App,
    caller: &Caller,
    (tenant, account): (&TenantId, String),
    limits: Option<Limits>,
    reason: String,
) -> Result<Option<Accepted>, ApiError> {
    if *tenant == caller.tenant && account != subject::TENANT_ACCOUNT {
        caller.require_admin()?;
    } else {
        caller.require_operator()?;
    }
    if reason.len() > LIMITS_REASON_BYTES_MAX || reason.contains(char::is_control) {
        let detail = format!(
            "must have at most {LIMITS_REASON_BYTES_MAX} bytes, without control characters"
        );
        return Err(ApiError::invalid(vec![FieldError::new("/reason", detail)]));
    }
    let set = SetLimits { account, limits, by: caller.user.clone(), reason };
    decided(app, tenant, &Command::SetLimits(Box::new(set))).await
}

pub fn no_such_account() -> ApiError {
    ApiError::new(ProblemCode::AccountNotFound, "there is no such account")
}
