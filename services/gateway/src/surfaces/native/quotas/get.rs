//! `GET /quotas/{user}`, `GET /tenants/{tenant}/quotas`: what one account may, has and uses.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use nox_contract::{ProblemCode, TenantId, UserId};
use nox_protocol::Fold;
use nox_readmodel::{AsOf, query::AccountRow};

use super::{OF_TENANT, OF_USER, account::AccountView};
use crate::{
    app::App,
    endpoint::{Access, Answer, Endpoint, Method},
    extract::{Reading, Segment},
    problem::ApiError,
    surfaces::native::as_of::{self, AskedOf},
    use_cases::{
        quotas,
        then::accounts::{self, AccountThen},
    },
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
            .query::<AskedOf>()
            .answer(Answer::json::<AccountView>(200, "The account."))
            .problems(&[ProblemCode::AccountNotFound])
    };
    all.map(described).into()
}

async fn of_user(Segment(user): Segment, request: Reading) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, .. } = request;
    let user: UserId = user.parse().map_err(|_| quotas::no_such_account())?;
    let (as_of, fold) = as_of::state(&app, &uri).await?;
    if let Some(fold) = fold {
        return Ok(shown_then(accounts::of_user(&fold, &caller, &user)?, as_of, &fold));
    }
    let row = quotas::of_user(&app, &caller, &user).await?;
    Ok(shown(&app, caller.tenant, row))
}

async fn of_tenant(Segment(tenant): Segment, request: Reading) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, .. } = request;
    let tenant: TenantId = tenant.parse().map_err(|_| quotas::no_such_account())?;
    let (as_of, fold) = as_of::state(&app, &uri).await?;
    if let Some(fold) = fold {
        return Ok(shown_then(accounts::of_tenant(&fold, &caller, &tenant)?, as_of, &fold));
    }
    let row = quotas::of_tenant(&app, &caller, &tenant).await?;
    Ok(shown(&app, tenant, row))
}

fn shown_then(then: AccountThen, as_of: Option<AsOf>, fold: &Fold) -> Response {
    let today = as_of::day(as_of, fold);
    Json(AccountView::then(then, fold.n(), today)).into_response()
}

fn shown(app: &App, tenant: TenantId, row: AccountRow) -> Response {
    let today = app.runtime.clock.wall().start_of_day();
    Json(AccountView::new(tenant, row, today)).into_response()
}
