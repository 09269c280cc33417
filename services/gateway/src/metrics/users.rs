//! Whose jobs are counted under their own names: the most active ones, for a series each costs whoever
//! keeps them, for ever. All others are counted together.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{ModuleName, TenantId, UserId};
use nox_readmodel::metrics::Submitted;

/// The name that all others are counted under. Whoever is called so is counted there as well.
pub const OTHER: &str = "other";

/// Most bytes of all lines of named users together, with which a scrape stays below 5 MB.
const BYTES_MAX: usize = 4_000_000;

/// A line without its names, and the number at its end.
const LINE_BYTES: usize = 80;

/// By how much more somebody else has to do before they take a name: an eighth. Two who do the same would
/// take turns else.
const HEAD_START: u64 = 8;

/// A user id says who it is within a tenant only.
type User = (TenantId, UserId);

/// The users that are named, and what keeps the sum of the others from ever falling, which Prometheus
/// would take for a restart.
pub struct NamedUsers {
    /// Most of them; 0 names nobody.
    max: usize,
    named: BTreeSet<User>,
    /// What stays with the others of those who got a name since, and what they never had of those who
    /// lost theirs.
    shifts: BTreeMap<(User, ModuleName), i64>,
}

impl NamedUsers {
    pub fn new(max: usize) -> Self {
        Self { max, named: BTreeSet::new(), shifts: BTreeMap::new() }
    }

    /// Names those who submitted the most jobs by `now`; `before` is what was counted last, if anything was.
    pub fn rank(&mut self, before: Option<&[Submitted]>, now: &[Submitted]) {
        let named = self.most_active(now);
        for entry in before.unwrap_or_default() {
            let user = (entry.tenant.clone(), entry.user_id.clone());
            let count = i64::try_from(entry.count).unwrap_or(i64::MAX);
            let shift = match (self.named.contains(&user), named.contains(&user)) {
                (false, true) => count,
                (true, false) => -count,
                _ => continue,
            };
            *self.shifts.entry((user, entry.module.clone())).or_default() += shift;
        }
        self.named = named;
    }

    fn most_active(&self, submitted: &[Submitted]) -> BTreeSet<User> {
        let mut users: BTreeMap<(&TenantId, &UserId), (u64, usize)> = BTreeMap::new();
        for Submitted { tenant, user_id, module, count } in submitted {
            let (jobs, bytes) = users.entry((tenant, user_id)).or_default();
            *jobs = jobs.saturating_add(*count);
            // Quotation marks and backslashes are written as two.
            *bytes += LINE_BYTES + module.as_str().len() + 2 * user_id.as_str().len();
        }
        let mut order: Vec<_> = users
            .into_iter()
            .map(|((tenant, user), (jobs, bytes))| {
                let user = (tenant.clone(), user.clone());
                let ahead = if self.named.contains(&user) { jobs / HEAD_START } else { 0 };
                (jobs.saturating_add(ahead), user, bytes)
            })
            .collect();
        order.sort_unstable_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        let mut room = BYTES_MAX;
        let fits = |(_, user, bytes): (u64, User, usize)| {
            room = room.checked_sub(bytes)?;
            Some(user)
        };
        order.into_iter().take(self.max).map_while(fits).collect()
    }

    /// The jobs submitted by module and name, as far as the asker may see who it is.
    pub fn counted<'s>(
        &'s self,
        submitted: &'s [Submitted],
        visible: impl Fn(&TenantId, &UserId) -> bool,
    ) -> BTreeMap<(&'s str, &'s str), u64> {
        let mut counted = BTreeMap::new();
        let mut others: BTreeMap<&str, i64> = BTreeMap::new();
        for entry in submitted {
            let user = (entry.tenant.clone(), entry.user_id.clone());
            if self.named.contains(&user) && visible(&entry.tenant, &entry.user_id) {
                // The promised labels name no tenant.
                let name = (entry.module.as_str(), entry.user_id.as_str());
                *counted.entry(name).or_insert(0) += entry.count;
            } else {
                let count = i64::try_from(entry.count).unwrap_or(i64::MAX);
                *others.entry(entry.module.as_str()).or_default() += count;
            }
        }
        for (((tenant, user), module), shift) in &self.shifts {
            if visible(tenant, user) {
                *others.entry(module.as_str()).or_default() += shift;
            }
        }
        for (module, count) in others {
            let count = u64::try_from(count).unwrap_or_default();
            *counted.entry((module, OTHER)).or_insert(0) += count;
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submitted(counts: &[(&str, u64)]) -> Vec<Submitted> {
        let entry = |(user, count): &(&str, u64)| Submitted {
            tenant: "default".parse().unwrap(),
            user_id: user.parse().unwrap(),
            module: "noop".parse().unwrap(),
            count: *count,
        };
        counts.iter().map(entry).collect()
    }

    fn counted(users: &NamedUsers, submitted: &[Submitted]) -> Vec<(String, u64)> {
        let counted = users.counted(submitted, |_, _| true);
        counted.into_iter().map(|((_, user), count)| (user.to_owned(), count)).collect()
    }

    fn pairs(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
        pairs.iter().map(|(user, count)| ((*user).to_owned(), *count)).collect()
    }

    #[test]
    fn the_most_active_are_named_and_the_rest_is_counted_together() {
        let now = submitted(&[("a", 1), ("b", 9), ("c", 5), ("d", 5), ("other", 2)]);
        let mut users = NamedUsers::new(2);
        users.rank(None, &now);
        assert_eq!(counted(&users, &now), pairs(&[("b", 9), ("c", 5), ("other", 8)]));
        // An asker who may see nobody sees nobody, and all jobs.
        let hidden = users.counted(&now, |_, _| false);
        assert_eq!(hidden, BTreeMap::from([(("noop", OTHER), 22)]));

        let mut nobody = NamedUsers::new(0);
        nobody.rank(None, &now);
        assert_eq!(counted(&nobody, &now), pairs(&[("other", 22)]));
    }

    #[test]
    fn what_is_counted_together_never_falls_whoever_gets_or_loses_a_name() {
        let (mut users, mut control) = (NamedUsers::new(2), NamedUsers::new(2));
        let mut before: Option<Vec<Submitted>> = None;
        let (mut others, mut of_control, mut falls) = (0, 0, 0);
        let mut named = BTreeSet::new();
        let other_of = |counted: &[(String, u64)]| {
            counted.iter().find(|(user, _)| user == OTHER).map_or(0, |(_, count)| *count)
        };
        for round in 0..60_u64 {
            // Each has a time in which they do the most; the last one comes late.
            let jobs = |user: u64| {
                (0..=round).map(|r| if r / 12 == user { 50 * (user + 1) } else { 1 }).sum()
            };
            let mut counts = vec![("a", jobs(0)), ("b", jobs(1)), ("c", jobs(2)), ("d", jobs(3))];
            if round > 40 {
                counts.push(("e", (round - 40) * 150));
            }
            let now = submitted(&counts);
            users.rank(before.as_deref(), &now);
            let counted_now = counted(&users, &now);
            named.extend(counted_now.iter().map(|(user, _)| user.clone()).filter(|u| u != OTHER));
            let other = other_of(&counted_now);
            // Nor does it jump: at most as many as all of them submitted meanwhile.
            assert!((others..=others + 400).contains(&other), "{round}: {others} to {other}");
            others = other;

            // As it would be without what stays.
            control.rank(before.as_deref(), &now);
            control.shifts.clear();
            let other = other_of(&counted(&control, &now));
            falls += u32::from(other < of_control);
            of_control = other;
            before = Some(now);
        }
        assert_eq!(named.len(), 5, "{named:?}");
        assert!(falls > 0);
    }

    #[test]
    fn two_who_do_the_same_take_no_turns() {
        let mut users = NamedUsers::new(1);
        let first = submitted(&[("a", 100), ("b", 99)]);
        users.rank(None, &first);
        let second = submitted(&[("a", 100), ("b", 101)]);
        users.rank(Some(&first), &second);
        assert_eq!(counted(&users, &second)[0].0, "a");
        let third = submitted(&[("a", 100), ("b", 200)]);
        users.rank(Some(&second), &third);
        assert_eq!(counted(&users, &third)[0].0, "b");
    }

    #[test]
    fn long_names_leave_room_for_fewer() {
        let long = |i: u64| format!("{i:0>256}");
        let names: Vec<_> = (0..20_000).map(long).collect();
        let counts: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let now = submitted(&counts);
        let mut users = NamedUsers::new(20_000);
        users.rank(None, &now);
        let named = counted(&users, &now).len();
        assert!((5_000..10_000).contains(&named), "{named}");
    }
}
