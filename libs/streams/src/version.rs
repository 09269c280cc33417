//! Reads and compares versions of the server.

use std::{cmp::Ordering, fmt};

/// A version as semantic versioning orders it: a pre-release comes before its release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    numbers: [u64; 3],
    /// `RC.3` of `2.15.1-RC.3`.
    pre: Option<String>,
}

impl Version {
    pub(crate) const fn release(major: u64, minor: u64, patch: u64) -> Self {
        Self { numbers: [major, minor, patch], pre: None }
    }

    /// Reads `2.15.1`, `v2.15.1`, `2.16.0-dev` or `2.15.1-RC.3+build`; `None` if it is none of these.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(version, _build)| version);
        let (numbers, pre) = match text.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre.to_owned())),
            None => (text, None),
        };
        let mut parts = numbers.split('.').map(str::parse);
        let numbers = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
        parts.next().is_none().then_some(Self { numbers, pre })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (&self.pre, &other.pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => a.cmp(b),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        self.pre.iter().try_for_each(|pre| write!(f, "-{pre}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers_and_a_pre_release_comes_before_its_release() {
        let least = Version::release(2, 15, 1);
        let at_least = |text| Version::parse(text).unwrap() >= least;
        for new_enough in ["2.15.1", "v2.15.2", "2.16.0-dev", "2.15.2-RC.1", "3.0.0", "2.15.1+b7"] {
            assert!(at_least(new_enough), "{new_enough}");
        }
        for too_old in ["2.15.0", "2.9.10", "2.10.25", "2.15.1-RC.3", "2.15.0-dev", "1.99.99"] {
            assert!(!at_least(too_old), "{too_old}");
        }
    }

    #[test]
    fn what_is_no_version_is_not_read_as_one() {
        for text in ["", "2.15", "2.15.x", "2.15.1.4", "latest", "2.-1.0"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_version_is_shown_as_it_was_read() {
        assert_eq!(Version::parse("v2.16.0-dev+a1").unwrap().to_string(), "2.16.0-dev");
    }
}
