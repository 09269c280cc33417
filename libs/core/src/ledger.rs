//! Budgets and counts of tenants and users. At every prefix of the log, free + reserved + used =
//! granted in each account and period.

use std::collections::BTreeMap;

use nox_contract::{Fact, Limits, ProblemCode, TenantId, Timestamp, UserId, subject};
use serde::{Deserialize, Serialize};

use crate::{
    pace::Pace,
    share::{Served, Share},
};

/// Core seconds of one account in one period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    pub granted: i64,
    /// May be negative after the budget of a running period was cut.
    pub free: i64,
    pub reserved: i64,
    pub used: i64,
    /// Used beyond the reservations; outside the sum, since no budget paid it.
    pub overrun: i64,
}

impl Balance {
    pub fn is_balanced(&self) -> bool {
        self.free + self.reserved + self.used == self.granted && self.reserved >= 0
    }

    /// The balance after `fact`; one that moves no core seconds leaves it as it is. `None` if it
    /// does not have what is moved.
    pub fn after(mut self, fact: &Fact) -> Option<Self> {
        if let Fact::Granted { cpu_seconds, .. } = fact {
            self.free = self.free.checked_add(cpu_seconds.checked_sub(self.granted)?)?;
            self.granted = *cpu_seconds;
        }
        if let Fact::Reserved { cpu_seconds, .. } = fact {
            self.free = self.free.checked_sub(*cpu_seconds)?;
            self.reserved = self.reserved.checked_add(*cpu_seconds)?;
        }
        if let Fact::Settled { cpu_seconds, overrun, .. } = fact {
            self.reserved = self.reserved.checked_sub(*cpu_seconds)?;
            self.used = self.used.checked_add(*cpu_seconds)?;
            self.overrun = add_overrun(self.overrun, *overrun);
        }
        if let Fact::Released { cpu_seconds, .. } = fact {
            self.reserved = self.reserved.checked_sub(*cpu_seconds)?;
            self.free = self.free.checked_add(*cpu_seconds)?;
        }
        (self.is_balanced() && self.used >= 0).then_some(self)
    }
}

/// Adds up what was used beyond reservations: the one figure that workers can make as large as
/// they like, so it stops at what can be counted.
pub fn add_overrun(sum: i64, overrun: i64) -> i64 {
    sum.saturating_add(overrun)
}

/// What a tenant or a user has and holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The role that the limits come from; empty for a tenant.
    pub role: String,
    pub limits: Limits,
    /// An admin set them: no role's replace them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fixed: bool,
    /// By the period's first instant. A period goes when a later one began and nothing is reserved
    /// in it.
    pub periods: BTreeMap<Timestamp, Balance>,
    /// Jobs admitted and not ended.
    pub queued_jobs: u32,
    /// Jobs that are not submitted yet.
    #[serde(default)]
    pub drafts: u32,
    /// Attempts that hold a slot.
    pub running_jobs: u32,
    /// How far its starts have come, where there is a limit.
    #[serde(default, skip_serializing_if = "Pace::is_unused")]
    pub pace: Pace,
    /// Of a user; a tenant has none.
    #[serde(default)]
    pub share: Share,
    /// When a violation of each kind was last recorded.
    pub violated_at: BTreeMap<ProblemCode, Timestamp>,
}

impl Account {
    fn new(role: &str, limits: Limits) -> Self {
        Self {
            role: role.to_owned(),
            limits,
            fixed: false,
            periods: BTreeMap::new(),
            queued_jobs: 0,
            drafts: 0,
            running_jobs: 0,
            pace: Pace::default(),
            share: Share::default(),
            violated_at: BTreeMap::new(),
        }
    }

    /// Begins a period, or changes the budget of one that runs.
    pub(crate) fn grant(&mut self, period: Timestamp, fact: &Fact) -> Option<()> {
        let balance = self.periods.entry(period).or_default();
        *balance = balance.after(fact)?;
        let newest = self.periods.keys().next_back().copied().unwrap_or(period);
        self.periods.retain(|start, balance| *start == newest || balance.reserved != 0);
        Some(())
    }
}

/// A tenant's account and those of its users.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantAccounts {
    pub account: Option<Account>,
    pub users: BTreeMap<UserId, Account>,
}

/// All accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    pub tenants: BTreeMap<TenantId, TenantAccounts>,
    /// Where users stand who take turns.
    #[serde(default)]
    served: Served,
}

/// A movement that an account cannot make.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ledger has no {what} for {tenant}/{user}")]
pub struct LedgerError {
    what: &'static str,
    tenant: TenantId,
    user: UserId,
}

impl Ledger {
    pub fn tenant(&self, tenant: &TenantId) -> Option<&Account> {
        self.tenants.get(tenant)?.account.as_ref()
    }

    pub fn user(&self, tenant: &TenantId, user: &UserId) -> Option<&Account> {
        self.tenants.get(tenant)?.users.get(user)
    }

    /// Takes the copies of these names that the accounts have: one for millions of jobs.
    pub(crate) fn share_names(&self, tenant: &mut TenantId, user: &mut UserId) {
        let Some((name, accounts)) = self.tenants.get_key_value(tenant) else { return };
        *tenant = name.clone();
        if let Some((name, _)) = accounts.users.get_key_value(user) {
            *user = name.clone();
        }
    }

    /// The account that the log calls `tenant` or `user/<id>`.
    pub fn account(&self, tenant: &TenantId, name: &str) -> Option<&Account> {
        if name == subject::TENANT_ACCOUNT {
            return self.tenant(tenant);
        }
        self.user(tenant, &user_of(name)?)
    }

    /// The same, to change it.
    pub(crate) fn account_mut(&mut self, tenant: &TenantId, name: &str) -> Option<&mut Account> {
        let accounts = self.tenants.get_mut(tenant)?;
        if name == subject::TENANT_ACCOUNT {
            return accounts.account.as_mut();
        }
        accounts.users.get_mut(&user_of(name)?)
    }

    /// Opens an account or changes its limits; `None` if `name` names no account.
    pub(crate) fn set_limits(
        &mut self,
        tenant: &TenantId,
        name: &str,
        (role, limits, fixed): (&str, Limits, bool),
    ) -> Option<()> {
        let accounts = self.tenants.entry(tenant.clone()).or_default();
        let account = if name == subject::TENANT_ACCOUNT {
            accounts.account.get_or_insert_with(|| Account::new(role, limits))
        } else {
            let user = user_of(name)?;
            accounts.users.entry(user).or_insert_with(|| Account::new(role, limits))
        };
        account.role = role.to_owned();
        account.limits = limits;
        account.fixed = fixed;
        Some(())
    }

    /// Changes the user's account and its tenant's alike: what moves in one moves in the other.
    pub(crate) fn on_both(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        mut change: impl FnMut(&mut Account),
    ) -> Result<(), LedgerError> {
        let missing = |what| LedgerError { what, tenant: tenant.clone(), user: user.clone() };
        let accounts = self.tenants.get_mut(tenant).ok_or_else(|| missing("tenant"))?;
        let of_tenant = accounts.account.as_mut().ok_or_else(|| missing("tenant account"))?;
        let of_user = accounts.users.get_mut(user).ok_or_else(|| missing("user account"))?;
        change(of_tenant);
        change(of_user);
        Ok(())
    }

    /// Where users stand who take turns.
    pub(crate) fn served(&self) -> Served {
        self.served
    }

    /// Changes what a user holds and has used.
    pub(crate) fn on_share(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        change: impl FnOnce(&mut Share, &mut Served),
    ) {
        let accounts = self.tenants.get_mut(tenant);
        if let Some(account) = accounts.and_then(|accounts| accounts.users.get_mut(user)) {
            change(&mut account.share, &mut self.served);
        }
    }

    /// Moves core seconds in both accounts' balances of `period`.
    pub(crate) fn shift(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        period: Timestamp,
        fact: &Fact,
    ) -> Result<(), LedgerError> {
        let mut missing = None;
        self.on_both(tenant, user, |account| match account.periods.get_mut(&period) {
            Some(balance) => match balance.after(fact) {
                Some(moved) => *balance = moved,
                None => missing = Some("core seconds to move"),
            },
            None => missing = Some("period"),
        })?;
        match missing {
            None => Ok(()),
            Some(what) => Err(LedgerError { what, tenant: tenant.clone(), user: user.clone() }),
        }
    }

    /// Whether both accounts have what [`Self::shift`] would move.
    pub(crate) fn can_shift(
        &self,
        tenant: &TenantId,
        user: &UserId,
        period: Timestamp,
        fact: &Fact,
    ) -> bool {
        let can = |account: Option<&Account>| {
            let balance = account.and_then(|account| account.periods.get(&period));
            balance.is_some_and(|balance| balance.after(fact).is_some())
        };
        can(self.tenant(tenant)) && can(self.user(tenant, user))
    }

    /// Every account, for checks.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.tenants.values().flat_map(|t| t.account.iter().chain(t.users.values()))
    }
}

/// The user whose account the log calls so; `None` of a tenant's.
pub(crate) fn user_of(account: &str) -> Option<UserId> {
    UserId::new(account.strip_prefix("user/")?).ok()
}
