//! How many jobs an account has of what its limits count.

use nox_contract::{TenantId, UserId};

use super::{Changes, Stored};
use crate::rows::{JobCounts, Rows, StoredJob};

/// Whose jobs: a user's, or all of the tenant's.
pub type AccountOf = (TenantId, Option<UserId>);

/// Adds up by how much the changes of jobs change the counts of their accounts. Once a batch, so that a job
/// that comes and goes within one costs nothing.
pub(super) fn count(rows: &Rows, changes: &mut Changes) {
    for change in &changes.jobs {
        let before = match change.stored {
            Stored::Not => JobCounts::default(),
            Stored::Live | Stored::Ended => {
                rows.jobs.get(&change.row.id).map(counts).unwrap_or_default()
            }
        };
        let difference = counts(&change.row) - before;
        if difference == JobCounts::default() {
            continue;
        }
        let StoredJob { tenant, user_id, .. } = &change.row;
        for user in [None, Some(user_id.clone())] {
            let sum = changes.usage.entry((tenant.clone(), user)).or_default();
            *sum = *sum + difference;
        }
    }
    changes.usage.retain(|_, difference| *difference != JobCounts::default());
}

/// What a job counts as, by its row: the same as in the scheduler's accounts.
fn counts(row: &StoredJob) -> JobCounts {
    JobCounts {
        queued_jobs: i64::from(!row.job.state().is_ended()),
        running_jobs: i64::from(row.held()),
    }
}
