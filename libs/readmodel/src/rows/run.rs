//! Runs of the indexes by which lists are found.
//!
//! A run is what an index has in the order of lists: the jobs of one owner (a tenant, or one of its users) and
//! one module, those that are over for each status apart. Its number has 40 bits of the owner's hash, 22 of
//! the module's, and 2 of the status, so that an owner's runs stand side by side. Two owners or modules may
//! share a number; then a list reads rows of both, which is why it compares the names as well.

use nox_contract::{JobState, ModuleName, TenantId, UserId};

use super::StoredJob;

const STATUS_BITS: u32 = 2;
const MODULE_BITS: u32 = 22;
const OWNER_SHIFT: u32 = STATUS_BITS + MODULE_BITS;
const STATUS_MASK: i64 = (1 << STATUS_BITS) - 1;
const MODULE_MASK: u64 = (1 << MODULE_BITS) - 1;

/// Whose runs: a tenant's, or those of one of its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner(i64);

impl Owner {
    pub fn new(tenant: &TenantId, user: Option<&UserId>) -> Self {
        let hash = match user {
            Some(user) => hash(&[tenant.as_str(), user.as_str()]),
            None => hash(&[tenant.as_str()]),
        };
        Self((hash >> OWNER_SHIFT << OWNER_SHIFT).cast_signed())
    }

    /// The first and the last number that a run of it may have.
    pub(crate) fn bounds(self) -> (i64, i64) {
        (self.0, self.0 | ((1 << OWNER_SHIFT) - 1))
    }

    /// The run of a module's jobs of this status, or of those of which more is to come.
    pub fn run(self, module: &ModuleName, over: Option<JobState>) -> i64 {
        let module = (hash(&[module.as_str()]) & MODULE_MASK) << STATUS_BITS;
        self.0 | module.cast_signed() | status(over)
    }
}

/// The bits of a run's number that say the status, and which bits those are.
pub(crate) fn status_bits(over: JobState) -> (i64, i64) {
    (status(Some(over)), STATUS_MASK)
}

impl StoredJob {
    /// The run of the tenant's list that the row belongs to.
    pub(crate) fn tenant_run(&self) -> i64 {
        self.run(None)
    }

    /// The run of the user's list that the row belongs to.
    pub(crate) fn user_run(&self) -> i64 {
        self.run(Some(&self.user_id))
    }

    fn run(&self, user: Option<&UserId>) -> i64 {
        let over = self.is_over().then(|| self.job.state());
        Owner::new(&self.tenant, user).run(&self.module, over)
    }
}

fn status(over: Option<JobState>) -> i64 {
    match over {
        Some(JobState::Succeeded) => 1,
        Some(JobState::Failed) => 2,
        Some(JobState::Canceled) => 3,
        None | Some(JobState::Draft | JobState::Queued | JobState::Running) => 0,
    }
}

/// The first bits of a hash that is the same for ever: rows have it.
fn hash(names: &[&str]) -> u64 {
    // No name has what stands between them.
    let hash = blake3::hash(names.join("\0").as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_owners_runs_stand_side_by_side_and_apart() {
        let tenants = ["acme", "umbrella"].map(|name| TenantId::new(name).unwrap());
        let users = ["ada", "bob"].map(|name| UserId::new(name).unwrap());
        let modules = ["xtb", "orca", "noop"].map(|name| ModuleName::new(name).unwrap());
        let over =
            [None, Some(JobState::Succeeded), Some(JobState::Failed), Some(JobState::Canceled)];
        let mut seen = BTreeSet::new();
        for tenant in &tenants {
            for user in [None, Some(&users[0]), Some(&users[1])] {
                let owner = Owner::new(tenant, user);
                let (first, last) = owner.bounds();
                assert!(seen.range(first..=last).next().is_none(), "{tenant} {user:?}");
                for module in &modules {
                    for over in over {
                        let run = owner.run(module, over);
                        assert!((first..=last).contains(&run), "{tenant} {user:?} {module}");
                        assert!(seen.insert(run), "{tenant} {user:?} {module} {over:?}");
                        if let Some(over) = over {
                            let (bits, mask) = status_bits(over);
                            assert_eq!(run & mask, bits);
                        }
                    }
                }
            }
        }
    }

    /// Rows have it: another number for the same names needs a rebuild.
    #[test]
    fn the_number_of_a_run_stays_what_it_is() {
        let owner = Owner::new(&TenantId::new("acme").unwrap(), Some(&UserId::new("ada").unwrap()));
        let run = owner.run(&ModuleName::new("xtb").unwrap(), Some(JobState::Failed));
        assert_eq!(run, -1_072_456_125_985_244_942);
    }
}
