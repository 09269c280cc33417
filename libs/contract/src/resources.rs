//! What a job asks for and what a worker has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one job asks for, and is given while it runs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Resources {
    /// Cores.
    pub cpu: u32,
    /// Memory in MiB.
    pub mem_mb: u32,
    /// Longest run of one attempt, in seconds; the executor ends it then.
    pub wall_time_s: u32,
    /// Devices.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpu: u32,
}

impl Resources {
    /// What a submit of this size reserves from the budget: cores times the longest run. The
    /// largest request is worth more than can be counted, and no budget holds that.
    pub fn cpu_seconds(&self) -> i64 {
        i64::from(self.cpu).saturating_mul(i64::from(self.wall_time_s))
    }
}

/// What a worker offers, or what of it is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    /// Attempts at a time.
    pub slots: u32,
    pub cpu: u32,
    /// Memory in MiB.
    pub mem_mb: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpu: u32,
}

impl Capacity {
    /// Whether `asked` fits beside what is already `used`.
    pub fn fits(&self, used: &Self, asked: &Resources) -> bool {
        used.slots < self.slots
            && u64::from(used.cpu) + u64::from(asked.cpu) <= u64::from(self.cpu)
            && u64::from(used.mem_mb) + u64::from(asked.mem_mb) <= u64::from(self.mem_mb)
            && u64::from(used.gpu) + u64::from(asked.gpu) <= u64::from(self.gpu)
    }

    /// Counts one attempt of `asked` in.
    pub fn take(&mut self, asked: &Resources) {
        self.slots += 1;
        self.cpu += asked.cpu;
        self.mem_mb += asked.mem_mb;
        self.gpu += asked.gpu;
    }

    /// Counts one attempt of `asked` out again.
    pub fn give_back(&mut self, asked: &Resources) {
        self.slots -= 1;
        self.cpu -= asked.cpu;
        self.mem_mb -= asked.mem_mb;
        self.gpu -= asked.gpu;
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}
