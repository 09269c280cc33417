//! Inputs of jobs that were submitted lately, so that most dispatches need not read the log.

use std::collections::{BTreeMap, VecDeque};

use nox_contract::{JobId, RawJson};

/// Bytes that are spent on it: as many jobs as run within some seconds. What is not here is read from the log,
/// hundreds of jobs at a time, and a long queue need not take memory for what it will want much later.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// What one job's inputs cost beside themselves, in bytes.
const OVERHEAD_BYTES: usize = 128;

/// Gaps in the order of these jobs, beyond as many as there are jobs, that are not yet closed; so
/// that closing them costs little for each job.
const GAPS_MAX: usize = 1_024;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct HotInputs {
    pub(super) by_job: BTreeMap<JobId, RawJson>,
    order: VecDeque<JobId>,
    bytes: usize,
}

impl HotInputs {
    pub fn insert(&mut self, job: JobId, inputs: RawJson) {
        self.bytes += inputs.get().len() + OVERHEAD_BYTES;
        self.by_job.insert(job, inputs);
        self.order.push_back(job);
        // Whoever was handed out meanwhile leaves a gap behind whoever waits for long.
        if self.order.len() > 2 * self.by_job.len() + GAPS_MAX {
            self.order.retain(|id| self.by_job.contains_key(id));
        }
        while self.bytes > BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.take(oldest);
        }
    }

    pub fn take(&mut self, job: JobId) -> Option<RawJson> {
        let inputs = self.by_job.remove(&job)?;
        self.bytes -= inputs.get().len() + OVERHEAD_BYTES;
        Some(inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_bounded_whoever_waits_for_long() {
        let job = |number| format!("00000000-0000-0000-0000-{number:012}").parse().unwrap();
        let mut hot = HotInputs::default();
        hot.insert(job(0), RawJson::default());
        for number in 1..100_000 {
            hot.insert(job(number), RawJson::default());
            hot.take(job(number));
        }
        assert!(hot.order.len() < 3_000, "{} are remembered", hot.order.len());
        assert_eq!(hot.take(job(0)), Some(RawJson::default()));
        assert_eq!((hot.bytes, hot.by_job.len()), (0, 0));
    }
}
