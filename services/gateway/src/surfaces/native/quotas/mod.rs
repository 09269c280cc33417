//! `/quotas`, `/quotas/my/…`, `/quotas/{user}`, `/tenants/{tenant}/quotas`: what accounts may, have and use, and how
//! that is changed.

mod account;
mod entries;
mod get;
mod ledger;
mod limits;
mod list;
mod reset;
mod set;
mod usage;
mod violations;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use nox_contract::{FrameNumber, Limits, ProblemCode, TenantId, UserId, subject};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    app::App,
    endpoint::{Answer, Endpoint},
    identity::auth::Caller,
    problem::ApiError,
    use_cases::quotas,
};

const OF_USER: &str = "/quotas/{user}";
const OF_TENANT: &str = "/tenants/{tenant}/quotas";

pub fn endpoints() -> Vec<Endpoint> {
    let mut endpoints =
        vec![limits::endpoint(), usage::endpoint(), ledger::endpoint(), violations::endpoint()];
    endpoints.push(list::endpoint());
    endpoints.extend(get::endpoints());
    endpoints.extend(entries::endpoints());
    endpoints.extend(set::endpoints());
    endpoints.extend(reset::endpoints());
    endpoints
}

/// The account that a path names.
struct Named {
    tenant: TenantId,
    account: String,
}

impl Named {
    fn user(caller: &Caller, user: &str) -> Result<Self, ApiError> {
        let user: UserId = user.parse().map_err(|_| quotas::no_such_account())?;
        Ok(Self { tenant: caller.tenant.clone(), account: subject::user_account(&user) })
    }

    fn tenant(tenant: &str) -> Result<Self, ApiError> {
        let tenant: TenantId = tenant.parse().map_err(|_| quotas::no_such_account())?;
        if tenant.is_system() {
            return Err(quotas::no_such_account());
        }
        Ok(Self { tenant, account: subject::TENANT_ACCOUNT.to_owned() })
    }

    /// Gives it these limits, or those of its role again, and tells what became of that.
    async fn change(
        self,
        app: &App,
        caller: &Caller,
        limits: Option<Limits>,
        reason: String,
    ) -> Result<Response, ApiError> {
        let Self { tenant, account } = self;
        let accepted = quotas::set(app, caller, (&tenant, account.clone()), limits, reason).await?;
        let status = if accepted.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
        let changed = Changed {
            account,
            n: accepted.as_ref().map(|accepted| accepted.n),
            pending: accepted.is_none(),
        };
        Ok((status, Json(changed)).into_response())
    }
}

/// What became of a change.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QuotasChanged")]
struct Changed {
    account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<FrameNumber>,
    /// Nobody has decided yet.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

fn changing(endpoint: Endpoint) -> Endpoint {
    endpoint
        .answer(Answer::json::<Changed>(200, "It is so now."))
        .answer(Answer::json::<Changed>(202, "It will be decided."))
        .problems(&[ProblemCode::AccountNotFound])
}
