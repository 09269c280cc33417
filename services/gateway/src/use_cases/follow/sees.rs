//! Which events somebody may see: of each thing, those who may see the thing at its own address.

use std::collections::BTreeMap;

use nox_contract::{Entry, Fact, FrameNumber, JobId, Viewer};

use crate::{
    app::App,
    identity::auth::Caller,
    problem::ApiError,
    read::{hub::frame::HubEntry, required::Required},
};

/// Jobs whose labels a viewer remembers; with more, all are forgotten before the next frame.
const KNOWN_MAX: usize = 4_096;

/// What a viewer has found out of jobs that events name by their ids alone.
#[derive(Default)]
pub struct Known {
    labels: BTreeMap<JobId, BTreeMap<String, String>>,
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
    /// Forgets what there is too much of. What one frame says beyond that stays until the next.
    pub fn make_room(&mut self) {
        if self.labels.len() >= KNOWN_MAX {
            self.labels.clear();
        }
    }

    /// Remembers what a fact says of what others name by its id.
    pub fn hear(&mut self, entry: &Entry, fact: &Fact) {
        let Some(id) = entry.job_id else { return };
        let metadata = match fact {
            Fact::Submitted(submitted) | Fact::Drafted(submitted) => &submitted.metadata,
            Fact::Rejected(rejected) => &rejected.metadata,
            _ => return,
        };
        let labels = metadata.as_ref().map(|of| of.labels.clone());
        self.labels.insert(id, labels.unwrap_or_default());
    }

    /// Finds out the labels of the job that `entry` is of, unless they are known.
    pub async fn find(&mut self, app: &App, n: FrameNumber, entry: &Entry) -> Result<(), ApiError> {
        let Some(id) = entry.job_id.filter(|id| !self.labels.contains_key(id)) else {
            return Ok(());
        };
        let read = || app.reader.job(&entry.tenant, id);
        let row = app.barrier.read(&Required::frame(Some(n)), read).await?.value;
        self.labels.insert(id, row.map(|row| row.metadata.labels).unwrap_or_default());
        Ok(())
    }

    /// The labels of the job that `entry` is of; none, if it is of no job or they were not asked for.
    pub fn labels(&self, entry: &Entry) -> &BTreeMap<String, String> {
        const NONE: &BTreeMap<String, String> = &BTreeMap::new();
        entry.job_id.and_then(|id| self.labels.get(&id)).unwrap_or(NONE)
    }
}
