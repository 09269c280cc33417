//! Trying the levels: at the start, again where one may not work for the moment, and for whoever measures.

use std::{path::Path, time::Duration};

use rustix::process::getuid;

use super::{ALL_IN_USE, Asking, Host, Layer};
use crate::sandbox::{
    Level,
    limits::Limits,
    order::Order,
    trial::{is_transient, try_order},
    users::User,
};

/// The folder beneath the executor's data folder in which the trial is run.
const TRIAL: &str = "trial";

/// Between trials of a machine that has no more to give for the moment.
const TRIAL_WAITS: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// What is run there: it fails unless it is the owner of its folder, and may write there.
const TRIAL_SCRIPT: &str = "test -O . && : > trial && rm trial";

impl Host {
    /// Runs a program that writes to its own folder, with all that the level has; where the executor is
    /// root, as another user and without a cgroup at `process`.
    pub(super) async fn try_level(
        &self,
        level: Level,
        needed: &[Layer],
        asking: Asking<'_>,
    ) -> Result<(), String> {
        let missing = needed.iter().find(|layer| self.layers[layer].is_err());
        if let Some(layer) = missing {
            return Err(format!("not tried without {layer}"));
        }
        let mut waits = TRIAL_WAITS.into_iter();
        loop {
            // With a cgroup, `process` needs nothing that could be missing.
            let without_cgroup = level == Level::Process;
            let tried = self.try_once(level, asking.supervisor, asking.data, without_cgroup).await;
            let Err(reason) = tried else { return Ok(()) };
            // What it is found to lack here, it lacks until the next start.
            let Some(wait) = waits.next().filter(|_| is_transient(&reason)) else {
                return Err(reason);
            };
            tracing::warn!(%level, reason, "A sandbox cannot be tried yet");
            tokio::time::sleep(wait).await;
        }
    }

    /// Tries once more each level that was found to be there: it may not work at present.
    ///
    /// # Errors
    /// Which does not, and why.
    pub async fn try_again(&self, supervisor: &Path, data: &Path) -> Result<(), String> {
        for level in [Level::Process, Level::Isolated] {
            if self.has(level).is_ok() {
                let tried = self.try_once(level, supervisor, data, false).await;
                tried.map_err(|reason| format!("the sandbox level `{level}`: {reason}"))?;
            }
        }
        Ok(())
    }

    async fn try_once(
        &self,
        level: Level,
        supervisor: &Path,
        data: &Path,
        without_cgroup: bool,
    ) -> Result<(), String> {
        let script = ["/bin/sh", "-c", TRIAL_SCRIPT];
        let (order, _user) = self.trial(level, data, &script, without_cgroup)?;
        try_order(supervisor, &order).await
    }

    /// An order to run a program at a level, in a folder of its own below `data`, and what must be held
    /// meanwhile; where there is a cgroup, with or `without` it.
    ///
    /// # Errors
    /// The folder cannot be had, or all users are in use.
    pub(crate) fn trial(
        &self,
        level: Level,
        data: &Path,
        command: &[&str],
        without_cgroup: bool,
    ) -> Result<(Order, Option<User>), String> {
        let has_user = without_cgroup || self.has_user(level);
        let user = match &self.users {
            Some(users) if has_user => Some(users.take().ok_or(ALL_IN_USE)?),
            _ => None,
        };
        let name = format!("{TRIAL}-{level}");
        let folder = data.join(&name);
        let owner = user.as_ref().map_or_else(|| getuid().as_raw(), |user| user.id);
        let made = std::fs::create_dir_all(&folder)
            .and_then(|()| std::os::unix::fs::chown(&folder, Some(owner), None));
        made.map_err(|error| format!("{}: {error}", folder.display()))?;
        let (program, args) = command.split_first().ok_or("there is no program")?;
        let mut confinement = self.confinement(level, &name, user.as_ref())?;
        confinement.faults.clear();
        if without_cgroup {
            confinement.cgroup = None;
        }
        let order = Order {
            program: program.into(),
            args: args.iter().map(|argument| (*argument).to_owned()).collect(),
            env: Vec::new(),
            folder,
            begin_in: None,
            limits: Limits::of_a_trial(),
            confinement,
        };
        Ok((order, user))
    }
}
