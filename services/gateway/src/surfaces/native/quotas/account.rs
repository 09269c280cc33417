//! An account as it is shown to those who may see it.

use nox_contract::{FrameNumber, Limits, LimitsChange, TenantId, Timestamp};
use nox_readmodel::query::AccountRow;
use schemars::JsonSchema;
use serde::Serialize;

use super::usage::{UsageOf, usage_of, usage_then};
use crate::use_cases::then::accounts::AccountThen;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "QuotaAccount")]
pub struct AccountView {
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
    /// Null of the past, as `change` is.
    set_at: Option<Timestamp>,
    /// The day that `usage` is of: its first instant.
    period: Timestamp,
    usage: Vec<UsageOf>,
    /// The frame that set them; of the past, the last frame that was taken in.
    n: FrameNumber,
}

impl AccountView {
    pub fn new(tenant: TenantId, row: AccountRow, today: Timestamp) -> Self {
        Self {
            tenant,
            user_id: row.account.strip_prefix("user/").map(str::to_owned),
            usage: usage_of(&row, today),
            account: row.account,
            role: row.limits.role,
            limits: row.limits.limits,
            change: row.limits.change,
            set_at: Some(row.limits.set_at),
            period: today,
            n: row.limits.n,
        }
    }

    /// As it was behind frame `n`, on the day that begins with `today`.
    pub fn then(then: AccountThen, n: FrameNumber, today: Timestamp) -> Self {
        Self {
            tenant: then.tenant.clone(),
            user_id: then.account.strip_prefix("user/").map(str::to_owned),
            usage: usage_then(&then, today),
            account: then.account,
            role: then.role,
            limits: then.limits,
            change: None,
            set_at: None,
            period: today,
            n,
        }
    }
}
