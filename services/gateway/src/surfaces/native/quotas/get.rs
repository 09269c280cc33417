//! `GET /quotas/{user}`, `GET /tenants/{tenant}/quotas`: what one account may, has and uses.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use nox_contract::{ProblemCode, TenantId, UserId};
use nox_readmodel::query::AccountRow;

use super::{OF_TENANT, OF_USER, account::AccountView};
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{self, Reading, Segment},
    problem::ApiError,
    use_cases::quotas,
};

pub fn endpoints() -> Vec<Endpoint> {
    let user_named = ("get_quotas", "What a user may, has and uses.");
    let tenant_named = ("get_tenant_quotas", "What a tenant may, has and uses.");
    let all = [
        Endpoint::new(Method::Get, OF_USER, Access::OWNER_OR_ADMIN, user_named, of_user),
        Endpoint::new(Method::Get, OF_TENANT, Access::ADMIN, tenant_named, of_tenant),
    ];
    let described = |endpoint: Endpoint| {
        endpoint
            .answer(Answer::json::<AccountView>(200, "The account."))
            .problems(&[ProblemCode::AccountNotFound])
    };
    all.map(described).into()
}

async fn of_user(Segment(user): Segment, request: Reading) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, .. } = request;
    extract::nothing(&uri)?;
    let user: UserId = user.parse().map_err(|_| quotas::no_such_account())?;
    let row = quotas::of_user(&app, &caller, &user).await?;
    Ok(shown(&app, caller.tenant, row))
}

async fn of_tenant(Segment(tenant): Segment, request: Reading) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, .. } = request;
    extract::nothing(&uri)?;
    let tenant: TenantId = tenant.parse().map_err(|_| quotas::no_such_account())?;
    let row = quotas::of_tenant(&app, &caller, &tenant).await?;
    Ok(shown(&app, tenant, row))
}

fn shown(app: &App, tenant: TenantId, row: AccountRow) -> Response {
    let today = app.runtime.clock.wall().start_of_day();
    Json(AccountView::new(tenant, row, today)).into_response()
}
