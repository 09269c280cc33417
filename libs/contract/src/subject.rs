//! The names of streams and subjects, in this one file.

use crate::{JobId, TenantId, UserId, WorkerId};

pub const COMMANDS: &str = "NOX_COMMANDS";
pub const REPORTS: &str = "NOX_REPORTS";
pub const EVENTS: &str = "NOX_EVENTS";
pub const READERS: &str = "NOX_READERS";
pub const BEATS: &str = "NOX_BEATS";
pub const LOGS: &str = "NOX_LOGS";
/// Key-value bucket of the scheduler's lease.
pub const LEASE: &str = "NOX_LEASE";
/// Object store of the scheduler's snapshots.
pub const SNAPSHOTS: &str = "NOX_SNAPSHOTS";

/// Who leads, and the fence against everybody who no longer does.
pub const EPOCH: &str = "nox.ctl.epoch";
/// The frames of the log. One subject for all of them: the broker remembers every subject for ever.
pub const FRAMES: &str = "nox.evt";

pub fn commands(tenant: &TenantId) -> String {
    format!("nox.cmd.{tenant}")
}

pub fn reports(worker: &WorkerId) -> String {
    format!("nox.rep.{worker}")
}

pub fn work(worker: &WorkerId) -> String {
    format!("nox.work.{worker}")
}

/// Where a reader of the log says how far it has come.
pub fn reader(name: &str) -> String {
    format!("nox.reader.{name}")
}

pub fn beat(worker: &WorkerId) -> String {
    format!("nox.beat.{worker}")
}

pub fn log(tenant: &TenantId, job: JobId) -> String {
    format!("nox.log.{tenant}.{job}")
}

/// The account of a user within its tenant.
pub fn user_account(user: &UserId) -> String {
    format!("user/{user}")
}

/// The tenant's own account.
pub const TENANT_ACCOUNT: &str = "tenant";

/// The last token of a subject of commands, reports, beats, work or readers: the tenant, the worker or the
/// reader.
pub fn last_token(subject: &str) -> &str {
    subject.rsplit('.').next().unwrap_or(subject)
}
