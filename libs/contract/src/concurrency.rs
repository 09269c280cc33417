//! How many jobs of one key run at a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest key, in bytes.
pub const CONCURRENCY_KEY_BYTES_MAX: usize = 128;
/// Largest limit of a key.
pub const CONCURRENCY_LIMIT_MAX: u32 = 10_000;

/// While a job runs, no more than its `limit` of jobs with its `key` run in its tenant, itself included:
/// of several limits, the least of those that run and of the one that is to start counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Concurrency {
    /// At most [`CONCURRENCY_KEY_BYTES_MAX`].
    pub key: String,
    /// 1 to [`CONCURRENCY_LIMIT_MAX`].
    pub limit: u32,
}

/// Whether this can be a key.
///
/// # Errors
/// The rule that it breaks.
pub fn check_concurrency_key(key: &str) -> Result<(), String> {
    if (1..=CONCURRENCY_KEY_BYTES_MAX).contains(&key.len()) && !key.contains(char::is_control) {
        return Ok(());
    }
    Err(format!("must have 1 to {CONCURRENCY_KEY_BYTES_MAX} bytes and no control characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded() {
        for key in ["a", "db: é", &"a".repeat(128)] {
            assert!(check_concurrency_key(key).is_ok(), "{key}");
        }
        for key in ["", "\0", "a\n", &"a".repeat(129)] {
            assert!(check_concurrency_key(key).is_err(), "{key}");
        }
    }
}
