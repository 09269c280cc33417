//! Who else was there when the job came: numbers alone, for others' jobs are nobody's to know.

use std::collections::BTreeMap;

use nox_contract::{FrameNumber, JobState, ModuleName, Timestamp, WorkerId};
use nox_protocol::Fold;
use serde::{Deserialize, Serialize};

/// The queue and the workers at a place in the log.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// The place: the last message before the job's first frame.
    pub n: FrameNumber,
    pub at: Timestamp,
    /// Jobs that waited, by the reason.
    pub waiting: BTreeMap<String, u64>,
    pub running: u64,
    /// Those of the job's module among them, waiting and running.
    pub of_module: u64,
    pub workers: Vec<WorkerThen>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerThen {
    pub id: WorkerId,
    pub slots: u32,
    pub used: u32,
    pub takes_work: bool,
}

impl Queue {
    pub fn of(fold: &Fold, module: Option<&ModuleName>) -> Self {
        let state = fold.state();
        let mut queue = Self { n: state.n, at: state.at, ..Self::default() };
        for (_, active) in state.jobs() {
            match (active.job.state(), active.job.waiting()) {
                (JobState::Queued, Some(code)) => {
                    *queue.waiting.entry(code.as_str().to_owned()).or_default() += 1;
                }
                (JobState::Running | JobState::Queued, _) => queue.running += 1,
                _ => continue,
            }
            queue.of_module += u64::from(Some(&active.owner.module) == module);
        }
        let workers = state.workers.iter().map(|(id, worker)| WorkerThen {
            id: id.clone(),
            slots: worker.capacity.slots,
            used: worker.used.slots,
            takes_work: worker.takes_work(),
        });
        queue.workers = workers.collect();
        queue
    }

    /// What and how many, as a table shows it.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |of: String, value: String| vec![of, value];
        let waiting = self.waiting.iter();
        let waiting =
            waiting.map(|(code, count)| row(format!("waiting: {code}"), count.to_string()));
        let mut rows: Vec<_> = waiting.collect();
        rows.push(row("running".to_owned(), self.running.to_string()));
        rows.push(row("of its module".to_owned(), self.of_module.to_string()));
        rows.extend(self.workers.iter().map(|WorkerThen { id, slots, used, takes_work }| {
            let takes = if *takes_work { "" } else { ", takes no work" };
            row(format!("worker {id}"), format!("{used} of {slots} slots{takes}"))
        }));
        rows
    }
}
