//! Users of the machine that attempts run as where the executor is root: one for each, so that none
//! reaches another, its folder or its processes, even by a way out of its namespaces; and so that the kernel
//! counts its processes, where nothing else does.

use std::{
    collections::BTreeSet,
    fmt, io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

/// A range of user ids that nobody else has, with the groups of the same numbers: `first-last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    first: u32,
    last: u32,
}

impl Default for Range {
    /// A part of what systemd's list of user ids names as unused.
    fn default() -> Self {
        Self { first: 1_900_000_000, last: 1_900_065_535 }
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (first, last) = text.split_once('-')?;
            Some(Self { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? })
        };
        let is_right = |range: &Self| 1_000 <= range.first && range.first <= range.last;
        parse()
            .filter(|range| is_right(range) && range.last < u32::MAX)
            .ok_or_else(|| "must be two user ids from 1000 on, as in 200000-265535".to_owned())
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// The range, and who of it is in use.
#[derive(Debug)]
pub struct Users {
    range: Range,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    users: BTreeSet<u32>,
    next: u32,
}

/// A user for as long as this is held.
#[derive(Debug)]
pub struct User {
    pub id: u32,
    users: Arc<Users>,
    /// Where there are no such locks, ranges of their own keep executors apart.
    _lock: Option<UnixListener>,
}

/// Takes a user for this process, against all other executors of the machine: a name that only one socket
/// can have, and that is free again when this is dropped or its process ends.
pub fn lock(user: u32) -> io::Result<UnixListener> {
    let name = format!("nox-sandbox-user-{user}");
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

impl Users {
    /// `seed` says where in the range to begin, so that two executors of a machine seldom meet.
    pub fn new(range: Range, seed: u128) -> Arc<Self> {
        let count = u128::from(range.last - range.first) + 1;
        let next = u32::try_from(seed % count).unwrap_or_default();
        Arc::new(Self { range, used: Mutex::new(Used { next, ..Used::default() }) })
    }

    /// One that nobody has at present, the one that was free for longest; `None` if all are in use.
    pub fn take(self: &Arc<Self>) -> Option<User> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let count = u64::from(self.range.last - self.range.first) + 1;
        for _ in 0..count {
            let id = self.range.first + used.next;
            used.next = u32::try_from((u64::from(used.next) + 1) % count).unwrap_or_default();
            if used.users.contains(&id) {
                continue;
            }
            let lock = match lock(id) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => continue,
                lock => lock.ok(),
            };
            used.users.insert(id);
            return Some(User { id, users: self.clone(), _lock: lock });
        }
        None
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut used = self.users.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.users.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_a_user_twice_and_one_that_is_free_again_waits_its_turn() {
        let users = Users::new("2000-2002".parse().unwrap(), 2);
        let mut held: Vec<User> = (0..3).map(|_| users.take().unwrap()).collect();
        let ids: Vec<u32> = held.iter().map(|user| user.id).collect();
        assert_eq!(ids, [2002, 2000, 2001]);
        assert!(users.take().is_none());
        held.remove(1);
        assert_eq!(users.take().unwrap().id, 2000);
    }

    #[test]
    fn two_executors_do_not_share_a_user() {
        let [one, other] = [0, 0].map(|seed| Users::new("3000-3001".parse().unwrap(), seed));
        let first = one.take().unwrap();
        assert!(lock(first.id).is_err());
        assert_eq!((first.id, other.take().unwrap().id), (3000, 3001));
        drop(first);
        assert!(lock(3000).is_ok());
    }

    #[test]
    fn a_range_is_of_users_that_are_nobody() {
        assert_eq!("200000-265535".parse::<Range>().unwrap().to_string(), "200000-265535");
        for wrong in ["", "5", "0-10", "999-2000", "2000-1999", "1-x", "2000-4294967295"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }
}
