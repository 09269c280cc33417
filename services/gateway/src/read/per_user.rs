//! How often each user does something at a time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nox_contract::{TenantId, UserId};

type User = (TenantId, UserId);

/// Counts, and bounds each user's.
pub struct PerUser {
    most: usize,
    counts: Arc<Mutex<BTreeMap<User, usize>>>,
}

/// One time of a user's, for as long as it lasts.
pub struct OfUser {
    user: User,
    counts: Arc<Mutex<BTreeMap<User, usize>>>,
}

impl PerUser {
    pub fn new(most: usize) -> Self {
        Self { most, counts: Arc::default() }
    }

    /// Counts one more; `None` if that is too often.
    pub fn enter(&self, user: User) -> Option<OfUser> {
        let mut counts = lock(&self.counts);
        let count = counts.entry(user.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(OfUser { user, counts: self.counts.clone() })
    }
}

impl Drop for OfUser {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}

fn lock(counts: &Mutex<BTreeMap<User, usize>>) -> MutexGuard<'_, BTreeMap<User, usize>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_a_bound_of_its_own_and_nothing_is_kept_of_who_has_left() {
        let counts = PerUser::new(2);
        let user = |tenant: &str| (tenant.parse().unwrap(), "ada".parse().unwrap());
        let (first, _second) = (counts.enter(user("a")).unwrap(), counts.enter(user("a")).unwrap());
        assert!(counts.enter(user("a")).is_none());
        assert!(counts.enter(user("b")).is_some());
        drop(first);
        assert!(counts.enter(user("a")).is_some());
        assert_eq!(lock(&counts.counts).len(), 1);
    }
}
