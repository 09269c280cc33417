//! An account as it is shown to those who may see it.

use nox_contract::{FrameNumber, Limits, LimitsChange, TenantId, Timestamp};
use nox_readmodel::query::AccountRow;
use schemars::JsonSchema;
use serde::Serialize;

use super::usage::{UsageOf, usage_of};

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
    set_at: Timestamp,
    /// The day that `usage` is of: its first instant.
    period: Timestamp,
    usage: Vec<UsageOf>,
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
            set_at: row.limits.set_at,
            period: today,
            n: row.limits.n,
        }
    }
}
