//! Budgets and limits, and the scheduler's configuration as the log records it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UserId;

/// What a tenant or a user may have. All integers; a missing limit would be a hole, so none is
/// optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// The budget of a UTC day, in core seconds.
    pub cpu_seconds: i64,
    /// Jobs that are admitted and not ended.
    pub queued_jobs: u32,
    /// Attempts at a time.
    pub running_jobs: u32,
    /// Cores in the largest request of one job.
    pub cpu: u32,
    /// MiB in the largest request of one job.
    pub mem_mb: u32,
    /// Jobs that are kept as drafts.
    pub drafts: u32,
    /// Attempts that are handed out in a minute, spread evenly; [`UNLIMITED`] where nothing holds them up.
    pub starts_per_minute: u32,
}

/// As many as there may be.
pub const UNLIMITED: u32 = u32::MAX;

/// An admin's word on the limits of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitsChange {
    pub by: UserId,
    /// In the admin's words, at most [`LIMITS_REASON_BYTES_MAX`].
    pub reason: String,
    /// They are those of the account's role again, and follow it from now on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reset: bool,
}

/// Longest reason of a change of limits, in bytes.
pub const LIMITS_REASON_BYTES_MAX: usize = 1024;

/// The limits that users get by their role, by the role's name.
pub type RoleLimits = BTreeMap<String, Limits>;

/// What the decider is told by configuration; recorded as a fact, so that a replay decides alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SchedulerConfig {
    pub roles: RoleLimits,
    /// For every tenant.
    pub tenant: Limits,
    /// Crashes of started attempts after which a job is failed with the evidence.
    pub crashes_max: u32,
    /// Milliseconds of waiting that are worth one step of priority.
    pub ageing_ms: u64,
    /// Milliseconds for which a job with an idempotency key is remembered after its end, at least, unless
    /// there are more than `keyed_remembered_max`.
    pub keyed_remembered_ms: u64,
    /// Most jobs with an idempotency key that are remembered after their end, about.
    pub keyed_remembered_max: u32,
    /// Most jobs without a key that are remembered after their end, about; none for longer than those
    /// with one.
    pub unkeyed_remembered_max: u32,
    /// Refuse a job that none of the workers which serve its module could hold, instead of having it wait for
    /// another worker.
    #[serde(default, skip_serializing_if = "is_false")]
    pub refuse_unsatisfiable: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        let user = Limits {
            cpu_seconds: 200_000,
            queued_jobs: 1_000,
            running_jobs: 256,
            cpu: 64,
            mem_mb: 262_144,
            drafts: 100,
            starts_per_minute: UNLIMITED,
        };
        let admin = Limits {
            cpu_seconds: 1_000_000_000,
            queued_jobs: 1_000_000,
            running_jobs: 100_000,
            cpu: 1_024,
            mem_mb: 4_194_304,
            drafts: 100_000,
            starts_per_minute: UNLIMITED,
        };
        Self {
            roles: BTreeMap::from([("user".to_owned(), user), ("admin".to_owned(), admin)]),
            tenant: Limits { cpu_seconds: 10_000_000_000, queued_jobs: 2_000_000, ..admin },
            crashes_max: 3,
            ageing_ms: 60_000,
            // Much longer than any gateway repeats a submit.
            keyed_remembered_ms: 15 * 60 * 1_000,
            // 30 MB, and in every snapshot. At a thousand jobs a second that span; at five thousand still
            // minutes, and more than gateways hold of what nobody decides.
            keyed_remembered_max: 1_000_000,
            // Those who may be repeated or waited for come within seconds of their end.
            unkeyed_remembered_max: 100_000,
            refuse_unsatisfiable: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_begins_with_room_for_an_afternoon_of_trying() {
        let config = SchedulerConfig::default();
        let user = config.roles["user"];
        assert!(user.queued_jobs >= 100 && user.cpu_seconds >= 100_000, "{user:?}");
        // A user's own room is worth nothing where the tenant has less.
        let tenant = config.tenant;
        assert!(tenant.queued_jobs >= user.queued_jobs && tenant.cpu_seconds >= user.cpu_seconds);
    }
}
