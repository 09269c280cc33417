//! `/quotas`, `/quotas/{user}`, `/tenants/{tenant}/quotas`: what accounts may, have and use, and how that is
//! changed.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use nox_contract::{
    FrameNumber, Limits, LimitsChange, ProblemCode, TenantId, Timestamp, UserId, subject,
};
use nox_readmodel::query::AccountRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::quotas::{UsageOf, usage_of};
use crate::{
    app::App,
    endpoint::{Access, Answer, Content, Endpoint, Method},
    extract::{self, Segment},
    http::{
        body::{read_json, read_nothing},
        memory::Account,
    },
    identity::auth::Caller,
    object,
    problem::{ApiError, FieldError},
    use_cases::quotas,
};

/// Accounts in a page that names no limit, and most in any.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// Largest body, in bytes: five numbers and a reason.
const BODY_BYTES_MAX: usize = 8 * 1024;

const OF_USER: &str = "/quotas/{user}";
const OF_TENANT: &str = "/tenants/{tenant}/quotas";

pub fn endpoints() -> Vec<Endpoint> {
    let list_named =
        ("list_quotas", "The accounts that the asker may see: for admins, all of the tenant.");
    let get_named = ("get_quotas", "What a user may, has and uses.");
    let put_named =
        ("set_quotas", "Gives a user these limits and this budget, whatever the role has.");
    let delete_named = ("reset_quotas", "Lets a user have what the role has again.");
    let get_tenant_named = ("get_tenant_quotas", "What a tenant may, has and uses.");
    let put_tenant_named = ("set_tenant_quotas", "Gives a tenant these limits and this budget.");
    let delete_tenant_named =
        ("reset_tenant_quotas", "Lets a tenant have what is configured for all again.");
    vec![
        Endpoint::new(Method::Get, "/quotas", Access::OWNER_OR_ADMIN, list_named, list)
            .query::<Asked>()
            .answer(Answer::json::<Listed>(200, "A page, by name.")),
        reading(Endpoint::new(Method::Get, OF_USER, Access::OWNER_OR_ADMIN, get_named, get)),
        changing(Endpoint::new(Method::Put, OF_USER, Access::ADMIN, put_named, put))
            .body(Content::json::<SetBody>()),
        changing(Endpoint::new(Method::Delete, OF_USER, Access::ADMIN, delete_named, delete))
            .query::<Why>(),
        reading(Endpoint::new(Method::Get, OF_TENANT, Access::ADMIN, get_tenant_named, get_tenant)),
        changing(Endpoint::new(
            Method::Put,
            OF_TENANT,
            Access::OPERATOR,
            put_tenant_named,
            put_tenant,
        ))
        .body(Content::json::<SetBody>()),
        changing(Endpoint::new(
            Method::Delete,
            OF_TENANT,
            Access::OPERATOR,
            delete_tenant_named,
            delete_tenant,
        ))
        .query::<Why>(),
    ]
}

fn reading(endpoint: Endpoint) -> Endpoint {
    endpoint
        .answer(Answer::json::<AccountView>(200, "The account."))
        .problems(&[ProblemCode::AccountNotFound])
}

fn changing(endpoint: Endpoint) -> Endpoint {
    endpoint
        .answer(Answer::json::<Changed>(200, "It is so now."))
        .answer(Answer::json::<Changed>(202, "It will be decided."))
        .problems(&[ProblemCode::AccountNotFound])
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Limits, all of them, and why.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SetQuotas")]
struct SetBody {
    limits: Limits,
    /// At most 1,024 bytes; kept in the log.
    reason: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Why {
    /// At most 1,024 bytes; kept in the log.
    reason: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QuotaAccounts")]
struct Listed {
    accounts: Vec<AccountView>,
    /// The cursor of the next page; null on the last.
    next: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QuotaAccount")]
struct AccountView {
    tenant: TenantId,
    /// `tenant` or `user/<id>`.
    account: String,
    /// Null of the tenant's own.
    user_id: Option<String>,
    /// The role that the limits come from, unless an admin set them; empty of a tenant.
    role: String,
    limits: Limits,
    /// What an admin changed last, if that is not overwritten by a role since.
    change: Option<LimitsChange>,
    set_at: Timestamp,
    /// The day that `usage` is of: its first instant.
    period: Timestamp,
    usage: Vec<UsageOf>,
    n: FrameNumber,
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

impl AccountView {
    fn new(tenant: TenantId, row: AccountRow, today: Timestamp) -> Self {
        Self {
            tenant,
            user_id: row.account.strip_prefix("user/").map(str::to_owned),
            usage: usage_of(&row, today),
            account: row.account,
            role: row.limits.role,
            limits: row.limits.limits,
            change: row.limits.change,
            set_at: row.limits.set_at,
            period: today,
            n: row.limits.n,
        }
    }
}

pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ApiError> {
    let Asked { limit, cursor } = extract::query(&uri)?;
    let limit = limit.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let detail = format!("must be from 1 to {LIMIT_MAX}");
        return Err(ApiError::invalid(vec![FieldError::new("?limit", detail)]));
    }
    if cursor.as_deref().is_some_and(|cursor| cursor.contains(char::is_control)) {
        return Err(ApiError::invalid(vec![FieldError::new("?cursor", "is no account")]));
    }
    let mut rows = quotas::list(&app, &caller, cursor.as_deref(), limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| last.account.clone());
    let today = app.runtime.clock.wall().start_of_day();
    let view = |row| AccountView::new(caller.tenant.clone(), row, today);
    let accounts = rows.into_iter().map(view).collect();
    Ok(Json(Listed { accounts, next }).into_response())
}

pub async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(user): Segment,
    uri: Uri,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    let user: UserId = user.parse().map_err(|_| quotas::no_such_account())?;
    let row = quotas::of_user(&app, &caller, &user).await?;
    Ok(shown(&app, caller.tenant, row))
}

pub async fn get_tenant(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(tenant): Segment,
    uri: Uri,
) -> Result<Response, ApiError> {
    extract::nothing(&uri)?;
    let tenant: TenantId = tenant.parse().map_err(|_| quotas::no_such_account())?;
    let row = quotas::of_tenant(&app, &caller, &tenant).await?;
    Ok(shown(&app, tenant, row))
}

fn shown(app: &App, tenant: TenantId, row: AccountRow) -> Response {
    let today = app.runtime.clock.wall().start_of_day();
    Json(AccountView::new(tenant, row, today)).into_response()
}

pub async fn put(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    Segment(user): Segment,
    request: Request,
) -> Result<Response, ApiError> {
    let name = user_account(&user)?;
    let SetBody { limits, reason } = set_body(&account, request).await?;
    change(&app, &caller, (&caller.tenant, name), Some(limits), reason).await
}

pub async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    Segment(user): Segment,
    request: Request,
) -> Result<Response, ApiError> {
    let name = user_account(&user)?;
    let reason = why(&account, request).await?;
    change(&app, &caller, (&caller.tenant, name), None, reason).await
}

pub async fn put_tenant(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    Segment(tenant): Segment,
    request: Request,
) -> Result<Response, ApiError> {
    let tenant = tenant_of(&tenant)?;
    let SetBody { limits, reason } = set_body(&account, request).await?;
    let name = subject::TENANT_ACCOUNT.to_owned();
    change(&app, &caller, (&tenant, name), Some(limits), reason).await
}

pub async fn delete_tenant(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(account): Extension<Account>,
    Segment(tenant): Segment,
    request: Request,
) -> Result<Response, ApiError> {
    let tenant = tenant_of(&tenant)?;
    let reason = why(&account, request).await?;
    change(&app, &caller, (&tenant, subject::TENANT_ACCOUNT.to_owned()), None, reason).await
}

fn user_account(user: &str) -> Result<String, ApiError> {
    let user: UserId = user.parse().map_err(|_| quotas::no_such_account())?;
    Ok(subject::user_account(&user))
}

fn tenant_of(tenant: &str) -> Result<TenantId, ApiError> {
    let tenant: TenantId = tenant.parse().map_err(|_| quotas::no_such_account())?;
    if tenant.is_system() { Err(quotas::no_such_account()) } else { Ok(tenant) }
}

async fn set_body(account: &Account, request: Request) -> Result<SetBody, ApiError> {
    extract::nothing(request.uri())?;
    let (head, body) = request.into_parts();
    let body = read_json(account, &head.headers, body, BODY_BYTES_MAX).await?;
    let set: SetBody = object::read(body.text())?;
    if set.limits.cpu_seconds < 0 {
        let error = FieldError::new("/limits/cpu_seconds", "must not be negative");
        return Err(ApiError::invalid(vec![error]));
    }
    Ok(set)
}

async fn why(account: &Account, request: Request) -> Result<String, ApiError> {
    let Why { reason } = extract::query(request.uri())?;
    let (head, body) = request.into_parts();
    read_nothing(account, &head.headers, body).await?;
    Ok(reason.unwrap_or_default())
}

async fn change(
    app: &App,
    caller: &Caller,
    (tenant, account): (&TenantId, String),
    limits: Option<Limits>,
    reason: String,
) -> Result<Response, ApiError> {
    let accepted = quotas::set(app, caller, (tenant, account.clone()), limits, reason).await?;
    let status = if accepted.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let changed = Changed {
        account,
        n: accepted.as_ref().map(|accepted| accepted.n),
        pending: accepted.is_none(),
    };
    Ok((status, Json(changed)).into_response())
}
