//! Which events somebody may see: of each thing, those who may see the thing at its own address.

use std::collections::BTreeMap;

use nox_contract::{Entry, Fact, FrameNumber, JobId, Viewer};

use crate::{
    app::App,
    identity::auth::Caller,
    problem::ApiError,
    read::{hub::frame::HubEntry, required::Required},
};

/// Most jobs whose labels a viewer remembers; beyond that all are forgotten.
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
    /// Remembers what a fact says of what others name by its id.
    pub fn hear(&mut self, entry: &Entry, fact: &Fact) {
        let Some(id) = entry.job_id else { return };
        let metadata = match fact {
            Fact::Submitted(submitted) | Fact::Drafted(submitted) => &submitted.metadata,
            Fact::Rejected(rejected) => &rejected.metadata,
            _ => return,
        };
        make_room(&mut self.labels);
        let labels = metadata.as_ref().map(|of| of.labels.clone());
        self.labels.insert(id, labels.unwrap_or_default());
    }

    /// The labels of the job that `entry` is of; none, if it is of no job.
    pub async fn labels(
        &mut self,
        app: &App,
        n: FrameNumber,
        entry: &Entry,
    ) -> Result<&BTreeMap<String, String>, ApiError> {
        const NONE: &BTreeMap<String, String> = &BTreeMap::new();
        let Some(id) = entry.job_id else { return Ok(NONE) };
        if !self.labels.contains_key(&id) {
            let read = || app.reader.job(&entry.tenant, id);
            let row = app.barrier.read(&Required::frame(Some(n)), read).await?.value;
            let labels = row.map(|row| row.metadata.labels).unwrap_or_default();
            make_room(&mut self.labels);
            self.labels.insert(id, labels);
        }
        Ok(self.labels.get(&id).unwrap_or(NONE))
    }
}

fn make_room<K: Ord, V>(known: &mut BTreeMap<K, V>) {
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
}
