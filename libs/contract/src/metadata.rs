//! What a submitter says of a job for people and programs to find it by. Nothing is decided by it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::JobId;

/// Most labels of a job.
pub const LABELS_MAX: usize = 16;
/// Longest name of a label, in bytes.
pub const LABEL_NAME_BYTES_MAX: usize = 63;
/// Longest value of a label, in bytes.
pub const LABEL_VALUE_BYTES_MAX: usize = 256;
/// Longest name of a release, in bytes.
pub const RELEASE_ID_BYTES_MAX: usize = 128;

/// See the head of this file. A job that has none of it carries none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// At most [`LABELS_MAX`], each as [`check_label_name`] and [`check_label_value`] allow.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What it was made for, in the asker's words; at most [`RELEASE_ID_BYTES_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_id: Option<String>,
    /// The job of the same tenant that it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<JobId>,
}

impl Metadata {
    /// As it travels: nothing, where it says nothing.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// Whether this can be the name of a label: ASCII letters, digits, `.`, `_`, `-` and `/`, the first of them a
/// letter or digit, so that it can stand in URLs, filters and shells as it is.
///
/// # Errors
/// The rule that it breaks.
pub fn check_label_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let begins = name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if begins && name.len() <= LABEL_NAME_BYTES_MAX && name.bytes().all(plain) {
        return Ok(());
    }
    Err(format!(
        "must be 1 to {LABEL_NAME_BYTES_MAX} ASCII letters, digits, `.`, `_`, `-` and `/`, the first a letter or digit"
    ))
}

/// Whether this can be the value of a label; it may be empty.
///
/// # Errors
/// The rule that it breaks.
pub fn check_label_value(value: &str) -> Result<(), String> {
    if value.len() <= LABEL_VALUE_BYTES_MAX && !value.contains(char::is_control) {
        return Ok(());
    }
    Err(format!("must have at most {LABEL_VALUE_BYTES_MAX} bytes and no control characters"))
}

/// Whether this can name a release.
///
/// # Errors
/// The rule that it breaks.
pub fn check_release_id(id: &str) -> Result<(), String> {
    if (1..=RELEASE_ID_BYTES_MAX).contains(&id.len()) && !id.contains(char::is_control) {
        return Ok(());
    }
    Err(format!("must have 1 to {RELEASE_ID_BYTES_MAX} bytes and no control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_releases_are_bounded() {
        for name in ["a", "team", "9/x", "app.kubernetes.io/name", &"a".repeat(63)] {
            assert!(check_label_name(name).is_ok(), "{name}");
        }
        for name in ["", "-a", "/a", "a b", "ä", "a\n", &"a".repeat(64)] {
            assert!(check_label_name(name).is_err(), "{name}");
        }
        for value in ["", "18446744073709551617", "é ü", &"a".repeat(256)] {
            assert!(check_label_value(value).is_ok(), "{value}");
        }
        for value in ["\0", "a\nb", "\u{85}", &"a".repeat(257), &"é".repeat(129)] {
            assert!(check_label_value(value).is_err(), "{value}");
        }
        assert!(check_release_id("2026.11").is_ok() && check_release_id(&"a".repeat(128)).is_ok());
        for id in ["", "\t", &"a".repeat(129)] {
            assert!(check_release_id(id).is_err(), "{id}");
        }
    }

    #[test]
    fn what_says_nothing_is_not_carried() {
        assert_eq!(Metadata::default().boxed(), None);
        let release_id = Some("1".to_owned());
        assert!(Metadata { release_id, ..Metadata::default() }.boxed().is_some());
    }
}
