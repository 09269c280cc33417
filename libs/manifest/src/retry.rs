//! When a failed attempt is followed by another, and with what.

use nox_contract::{Raise, RaisedResource, RetryPolicy};
use serde::Deserialize;

/// `[retry]`. See [`RetryPolicy`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetryTable {
    attempts_max: u32,
    backoff_ms: u64,
    backoff_ms_max: u64,
    on: Vec<String>,
    raise: Vec<RaiseTable>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RaiseTable {
    after: String,
    resource: RaisedResource,
    #[serde(default = "twice")]
    factor: u32,
    max: u32,
}

fn twice() -> u32 {
    2
}

/// The largest factor: more than that is a guess and no policy.
const FACTOR_MAX: u32 = 16;

impl Default for RetryTable {
    fn default() -> Self {
        let RetryPolicy { attempts_max, backoff_ms, backoff_ms_max, .. } = RetryPolicy::default();
        Self { attempts_max, backoff_ms, backoff_ms_max, on: Vec::new(), raise: Vec::new() }
    }
}

impl RetryTable {
    /// What it says, or why it cannot be right.
    pub fn policy(&self) -> Result<RetryPolicy, String> {
        let Self { attempts_max, backoff_ms, backoff_ms_max, .. } = *self;
        if attempts_max == 0 {
            return Err("`attempts_max` must be at least 1".to_owned());
        }
        let raise = self.raise.iter().map(RaiseTable::raise).collect::<Result<Vec<_>, _>>()?;
        if attempts_max == 1 && (!raise.is_empty() || !self.on.is_empty()) {
            return Err("`on` and `raise` need `attempts_max` of 2 or more".to_owned());
        }
        Ok(RetryPolicy { attempts_max, backoff_ms, backoff_ms_max, on: self.on.clone(), raise })
    }
}

impl RaiseTable {
    fn raise(&self) -> Result<Raise, String> {
        let Self { after, resource, factor, max } = self;
        if !(2..=FACTOR_MAX).contains(factor) {
            return Err(format!("`factor` must be 2 to {FACTOR_MAX}"));
        }
        if *max == 0 {
            return Err("`max` must be at least 1".to_owned());
        }
        Ok(Raise { after: after.clone(), resource: *resource, factor: *factor, max: *max })
    }
}
