//! Finds in the log with which inputs jobs were submitted. A frame has hundreds of jobs, which are handed
//! out one after the other: it is read once for all of them.

use std::collections::{BTreeMap, VecDeque};

use futures_util::{StreamExt, stream};
use nox_archive::Log;
use nox_contract::{Fact, Frame, FrameNumber, JobId, RawJson};

/// Bytes of inputs that are kept of the frames read last.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Frames read at a time.
const READS_MAX: usize = 4;

/// The inputs of the jobs that one frame submitted.
type Inputs = BTreeMap<JobId, RawJson>;

/// See the head of this file.
#[derive(Default)]
pub struct Submitted {
    frames: BTreeMap<FrameNumber, (usize, Inputs)>,
    /// Which of them was read first.
    order: VecDeque<FrameNumber>,
    bytes: usize,
}

impl Submitted {
    /// The inputs of jobs, by the frames that submitted them. What is not here is read, a few frames at a
    /// time; a job whose frame cannot be read is left out.
    pub async fn find(
        &mut self,
        log: &Log,
        wanted: &BTreeMap<FrameNumber, Vec<JobId>>,
    ) -> BTreeMap<JobId, RawJson> {
        let mut found = BTreeMap::new();
        let mut missing = Vec::new();
        for (n, jobs) in wanted {
            match self.frames.get(n) {
                Some((_, inputs)) => take(&mut found, inputs, jobs),
                None => missing.push(*n),
            }
        }
        let reads = missing.into_iter().map(|n| read(log.clone(), n));
        let mut reads = stream::iter(reads).buffered(READS_MAX);
        while let Some((n, inputs)) = reads.next().await {
            if let (Some(inputs), Some(jobs)) = (inputs, wanted.get(&n)) {
                take(&mut found, &inputs, jobs);
                self.keep(n, inputs);
            }
        }
        found
    }

    /// Keeps a frame's inputs, and forgets those of the frames that were read first where all together
    /// are too large.
    fn keep(&mut self, n: FrameNumber, inputs: Inputs) {
        let bytes = inputs.values().map(|inputs| inputs.get().len()).sum();
        self.bytes += bytes;
        self.frames.insert(n, (bytes, inputs));
        self.order.push_back(n);
        while self.bytes > KEPT_BYTES_MAX {
            let Some(first) = self.order.pop_front() else { return };
            if let Some((bytes, _)) = self.frames.remove(&first) {
                self.bytes -= bytes;
            }
        }
    }
}

fn take(found: &mut BTreeMap<JobId, RawJson>, inputs: &Inputs, jobs: &[JobId]) {
    found.extend(jobs.iter().filter_map(|job| Some((*job, inputs.get(job)?.clone()))));
}

async fn read(log: Log, n: FrameNumber) -> (FrameNumber, Option<Inputs>) {
    let inputs = match log.frame(n).await {
        Ok(Some(message)) => inputs_of(&message.payload),
        Ok(None) => {
            tracing::error!(n = n.0, "The log has no frame that queued jobs were submitted in");
            None
        }
        Err(error) => {
            tracing::warn!(%error, n = n.0, "Cannot read the inputs of jobs");
            None
        }
    };
    (n, inputs)
}

fn inputs_of(payload: &[u8]) -> Option<Inputs> {
    let frame: Frame = serde_json::from_slice(payload).ok()?;
    let submitted = frame.entries.iter().filter_map(|entry| {
        let inputs = entry.known_facts().find_map(|fact| match fact {
            Fact::Submitted(job) | Fact::Drafted(job) => Some(job.inputs.clone()),
            _ => None,
        })?;
        Some((entry.job_id?, inputs))
    });
    Some(submitted.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> JobId {
        format!("{number:032x}").parse().unwrap()
    }

    fn inputs(count: u128, bytes: usize) -> Inputs {
        let text = || RawJson::of(&"x".repeat(bytes)).unwrap();
        (0..count).map(|job| (id(job), text())).collect()
    }

    #[test]
    fn each_job_of_a_frame_has_its_own_inputs() {
        let entry = |job: u128, facts: &str| {
            format!(
                r#"{{"by":{{"src":"commands","seq":1,"part":0}},"tenant":"t","job_id":"{}","user_id":"ada","module":"m","facts":[{facts}]}}"#,
                id(job)
            )
        };
        let submitted = |inputs: &str| {
            format!(
                r#"{{"submitted":{{"module_version":"1","inputs":{inputs},"requested_resources":{{"cpu":1,"mem_mb":1,"wall_time_s":1}},"priority":5}}}}"#
            )
        };
        let entries = [
            entry(1, &submitted(r#"{"a": 1.50}"#)),
            entry(2, &submitted("{}")),
            entry(3, r#"{"canceled":{"by":"ada"}}"#),
        ];
        let frame = format!(
            r#"{{"n":7,"epoch":1,"at":"2026-11-21T22:01:02Z","rules":1,"prev":"b3:0","pos":{{"commands":{{"seq":2,"part":0}},"reports":{{"seq":0,"part":0}}}},"entries":[{}]}}"#,
            entries.join(",")
        );
        let inputs = inputs_of(frame.as_bytes()).unwrap();
        let mut found = BTreeMap::new();
        take(&mut found, &inputs, &[id(1), id(3), id(4)]);
        let found: Vec<_> = found.iter().map(|(id, inputs)| (*id, inputs.get())).collect();
        assert_eq!(found, [(id(1), r#"{"a": 1.50}"#)]);
        assert_eq!(inputs.len(), 2);
    }

    #[test]
    fn the_frames_read_first_make_room() {
        let mut submitted = Submitted::default();
        for n in 1..=5 {
            submitted.keep(FrameNumber(n), inputs(4, KEPT_BYTES_MAX / 16));
        }
        let kept: Vec<u64> = submitted.frames.keys().map(|n| n.0).collect();
        assert_eq!(kept, [3, 4, 5]);
        assert!(submitted.bytes <= KEPT_BYTES_MAX);
    }
}
