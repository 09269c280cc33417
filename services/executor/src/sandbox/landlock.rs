//! What of the files a thread may reach, by Landlock: the layer that needs no root and no namespaces.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// What the rules name; a kernel that has less of it does less, and one with the first version does
/// what counts.
const VERSION: ABI = ABI::V7;

/// Devices that are no more than files.
pub const DEVICES: [&str; 8] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];

/// What a thread may reach.
#[derive(Debug, Default)]
pub struct Reach<'r> {
    /// What is not there is left out, as everywhere here.
    pub read: Vec<PathBuf>,
    pub write: Vec<&'r Path>,
    /// TCP, to and from anywhere.
    pub tcp: bool,
}

/// Shuts the calling thread in, and all that it starts. No new privileges must be set. Returns the
/// version of Landlock that did it.
///
/// # Errors
/// The kernel has no Landlock, or it is switched off.
pub fn restrict(reach: &Reach<'_>) -> Result<u32, String> {
    let done = try_to(reach).map_err(|error| error.to_string())?;
    match (done.ruleset, done.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            Err("Landlock is switched off".to_owned())
        }
        (RulesetStatus::NotEnforced, _) => Err("the kernel has no Landlock".to_owned()),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok(effective_abi as u32),
        (_, _) => Ok(0),
    }
}

fn try_to(reach: &Reach<'_>) -> Result<RestrictionStatus, RulesetError> {
    let all = AccessFs::from_all(VERSION);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev | AccessFs::ReadDir;
    let mut rules = Ruleset::default().handle_access(all)?.scope(Scope::from_all(VERSION))?;
    if !reach.tcp {
        rules = rules.handle_access(AccessNet::from_all(VERSION))?;
    }
    rules
        .create()?
        .add_rules(path_beneath_rules(&reach.read, AccessFs::from_read(VERSION)))?
        .add_rules(path_beneath_rules(&reach.write, all))?
        .add_rules(path_beneath_rules(DEVICES, device))?
        .restrict_self()
}
