//! Which events somebody may see: of each thing, those who may see the thing at its own address.

use std::collections::BTreeMap;

use nox_contract::{Entry, Fact, FrameNumber, Viewer, event::KnownLabels};

use crate::{
    app::App,
    identity::auth::Caller,
    problem::ApiError,
    read::{hub::frame::HubEntry, required::Required},
};

/// Most jobs whose labels a viewer remembers from one frame to the next.
const KNOWN_MAX: usize = 4_096;

/// What a viewer has found out of jobs that events name by their ids alone.
pub struct Known(KnownLabels);

impl Default for Known {
    fn default() -> Self {
        Self(KnownLabels::new(KNOWN_MAX))
    }
}

/// Whether `caller` may be shown anything of the entry, before more of it is read.
pub fn may_see(caller: &Caller, of: &HubEntry) -> bool {
    if of.tenant.is_system() {
        return true;
    }
    let own = of.job_id.is_none() || caller.admin || of.user_id.as_ref() == Some(&caller.user);
    of.tenant == caller.tenant && own
}

/// Whether `caller` may see a fact of `entry`.
pub fn sees(caller: &Caller, entry: &Entry, fact: &Fact) -> bool {
    let viewer = Viewer { tenant: &caller.tenant, user: &caller.user, admin: caller.admin };
    viewer.sees(entry, fact)
}

impl Known {
    /// Before a frame, of which all then stays known.
    pub fn make_room(&mut self) {
        self.0.make_room();
    }

    /// Remembers what a fact says of what others name by its id.
    pub fn hear(&mut self, entry: &Entry, fact: &Fact) {
        self.0.hear(entry, fact);
    }

    /// Finds out the labels of the job that `entry` is of, unless they are known.
    pub async fn find(&mut self, app: &App, n: FrameNumber, entry: &Entry) -> Result<(), ApiError> {
        let Some(id) = entry.job_id.filter(|id| self.0.get(Some(*id)).is_none()) else {
            return Ok(());
        };
        let read = || app.reader.job(&entry.tenant, id);
        let row = app.barrier.read(&Required::frame(Some(n)), read).await?.value;
        self.0.insert(id, row.map(|row| row.metadata.labels).unwrap_or_default());
        Ok(())
    }

    /// The labels of the job that `entry` is of; none, if it is of no job or they were not asked for.
    pub fn labels(&self, entry: &Entry) -> &BTreeMap<String, String> {
        const NONE: &BTreeMap<String, String> = &BTreeMap::new();
        self.0.get(entry.job_id).unwrap_or(NONE)
    }
}
