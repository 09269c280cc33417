//! Which rules decide a frame: those that it was written under.
//!
//! A version of the rules is what `decide` makes of state and input. Whoever changes that for inputs which a log may
//! hold raises [`nox_core::RULES_VERSION`], keeps what decided before beside the new one, and adds it here: old logs
//! are then still proved by the rules that their leaders went by. How facts are folded is not versioned: there is
//! one fold for all of them, which takes facts of every version.

use nox_contract::{Command, Report, SessionId, TenantId, Timestamp, WorkerId};
use nox_core::{Decision, Internal, Rules, State, decide};

/// The decider of one version.
#[derive(Debug, Clone, Copy)]
pub struct Decider {
    pub version: u32,
    pub(super) command: fn(&State, &Rules, &TenantId, &Command, Timestamp) -> Decision,
    pub(super) report: fn(&State, &Rules, &WorkerId, SessionId, &Report, Timestamp) -> Decision,
    pub(super) internal: fn(&State, &Rules, &Internal, u32, Timestamp) -> Option<Decision>,
}

/// All that are known, the oldest first; the last is the one that leaders go by.
pub const DECIDERS: &[Decider] = &[Decider {
    version: 1,
    command: decide::command,
    report: decide::report,
    internal: decide::internal,
}];

/// The decider of `version`; `None` if this code does not know it.
pub fn of(version: u32) -> Option<&'static Decider> {
    DECIDERS.iter().find(|decider| decider.version == version)
}

/// The versions that are known, for people.
pub(super) fn known() -> String {
    let versions: Vec<_> = DECIDERS.iter().map(|of| of.version.to_string()).collect();
    versions.join(", ")
}
