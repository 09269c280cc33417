//! What would become of a job if it were submitted now: judged as a submit is, and recorded nowhere.

use nox_contract::{JobState, Submit, TenantId, UserId, subject};
use nox_core::admission::{self, Used};
use nox_readmodel::{Filter, query::AccountRow};

use crate::{app::App, identity::auth::Caller, problem::ApiError, read::required::Required};

/// Judges whether the accounts of a job that was looked over have room for it, as far as rows tell; says whether they
/// know the limits of both. Those of a user that never submitted anything are not known yet: its first submit brings
/// its role's into force.
///
/// # Errors
/// An account has no room.
pub async fn check_limits(app: &App, caller: &Caller, submit: &Submit) -> Result<bool, ApiError> {
    let mut are_known = true;
    let own = subject::user_account(&caller.user);
    for (name, user) in [(own.as_str(), Some(&caller.user)), (subject::TENANT_ACCOUNT, None)] {
        let read = || app.reader.account(&caller.tenant, name);
        let Some(account) = app.barrier.read(&Required::default(), read).await?.value else {
            are_known = false;
            continue;
        };
        check(app, (&caller.tenant, user), &account, submit).await?;
    }
    Ok(are_known)
}

async fn check(
    app: &App,
    (tenant, user): (&TenantId, Option<&UserId>),
    account: &AccountRow,
    submit: &Submit,
) -> Result<(), ApiError> {
    let now = app.runtime.clock.wall();
    let limits = &account.limits.limits;
    if submit.draft {
        let max = limits.drafts as usize;
        let drafts = Filter {
            user: user.cloned(),
            status: Some(JobState::Draft),
            ..Filter::of(tenant.clone(), max)
        };
        let read = || app.reader.job_ids(&drafts, max);
        let (found, _) = app.barrier.read(&Required::default(), read).await?.value;
        let drafts = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let used = Used { drafts, ..Used::default() };
        return Ok(admission::check_draft(&account.account, limits, &used).map_err(|of| *of)?);
    }
    let of_day = account.balance.filter(|of| of.period == now.start_of_day());
    let used = Used {
        queued_jobs: u32::try_from(account.counts.queued_jobs).unwrap_or_default(),
        drafts: 0,
        balance: of_day.map(|of| of.balance).unwrap_or_default(),
    };
    let asked = &submit.requested_resources;
    Ok(admission::check(&account.account, limits, &used, asked, now).map_err(|of| *of)?)
}
