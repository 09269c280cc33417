//! What a batch makes of rows, and how the copy in memory takes it over.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nox_contract::{
    Concurrency, Fact, FrameNumber, JobId, KeyId, Metadata, ModuleName, RawJson, Refusal,
    Resources, ScheduleId, Task, TenantId, Timestamp, TopicName, UserId, WebhookId, WorkerId,
};
use nox_core::ledger::Balance;
use serde::{Deserialize, Serialize};

use super::AccountOf;
use crate::{
    metrics::MetricKey,
    rows::{
        BalanceKey, JobCounts, Parked, Rows, StoredJob, StoredKey, StoredLimits, StoredModule,
        StoredSchedule, StoredTopic, StoredWebhook, StoredWorker,
    },
};

/// Rows to be written, and nothing about how.
#[derive(Debug, Default)]
pub struct Changes {
    /// Jobs whose rows had been kept long enough, and which begin anew. Removed before all else.
    pub expired: Vec<JobId>,
    /// In the order in which the batch first touched them.
    pub jobs: Vec<JobChange>,
    pub(super) places: HashMap<JobId, usize>,
    pub balances: BTreeMap<BalanceKey, (Balance, FrameNumber)>,
    pub limits: BTreeMap<(TenantId, String), StoredLimits>,
    /// Differences.
    pub usage: BTreeMap<AccountOf, JobCounts>,
    pub violations: Vec<Violation>,
    pub modules: BTreeMap<ModuleName, StoredModule>,
    pub workers: BTreeMap<WorkerId, StoredWorker>,
    /// Claimed their work, and have gone: they are many, and nothing of them is asked for any more.
    pub gone: BTreeSet<WorkerId>,
    /// `None` of those that are removed.
    pub topics: BTreeMap<(TenantId, TopicName), Option<StoredTopic>>,
    /// `None` of those that were revoked.
    pub keys: BTreeMap<KeyId, Option<StoredKey>>,
    /// `None` of those that were deleted.
    pub schedules: BTreeMap<ScheduleId, Option<StoredSchedule>>,
    /// `None` of those that were deleted.
    pub webhooks: BTreeMap<WebhookId, Option<StoredWebhook>>,
    /// Differences.
    pub metrics: BTreeMap<MetricKey, i64>,
    pub parked: Vec<ParkedEntry>,
    pub rowless: Vec<JobId>,
}

#[derive(Debug, Clone)]
pub struct JobChange {
    pub row: StoredJob,
    pub stored: Stored,
    /// What only a new row is given.
    pub created: Created,
    pub outputs: Option<RawJson>,
}

/// Where a job's row was before the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// There was none.
    Not,
    Live,
    Ended,
}

#[derive(Debug, Clone, Default)]
pub struct Created {
    pub inputs: Option<RawJson>,
    pub fingerprint: Option<String>,
    pub module_version: Option<String>,
    pub worker_labels: BTreeSet<String>,
    pub task: Option<Task>,
    pub metadata: Option<Box<Metadata>>,
    pub concurrency: Option<Box<Concurrency>>,
}

/// What is set aside for a job: what an attempt is given, and all that was reserved of the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedResources {
    pub cpu: u32,
    pub mem_mb: u32,
    pub wall_time_s: u32,
    #[serde(default)]
    pub gpu: u32,
    /// Of the budget.
    pub cpu_seconds: i64,
}

/// A refusal that the log recorded.
#[derive(Debug, Clone)]
pub struct Violation {
    pub n: FrameNumber,
    /// Which of all facts of the frame, counted from 0.
    pub part: u32,
    pub tenant: TenantId,
    pub account: String,
    pub user_id: UserId,
    pub job_id: JobId,
    pub module: ModuleName,
    pub refusal: Refusal,
    pub at: Timestamp,
}

/// An entry that rows could not take in.
#[derive(Debug, Clone)]
pub struct ParkedEntry {
    pub n: FrameNumber,
    /// Among the frame's entries, counted from 0.
    pub place: u32,
    pub tenant: TenantId,
    pub job_id: Option<JobId>,
    /// When its frame was decided.
    pub at: Timestamp,
    /// The job has no row, and nothing else tells that it is known.
    pub rowless: bool,
    pub reason: Parked,
    pub detail: String,
    /// The entry byte for byte.
    pub payload: bytes::Bytes,
}

impl JobChange {
    pub(super) fn new(row: StoredJob) -> Self {
        Self { row, stored: Stored::Not, created: Created::default(), outputs: None }
    }

    /// Of a job that has this row.
    pub(super) fn of(row: StoredJob) -> Self {
        let stored = if row.is_over() { Stored::Ended } else { Stored::Live };
        Self { stored, ..Self::new(row) }
    }

    /// Leaves the row as it is from now on.
    pub(super) fn freeze(&mut self, reason: Parked) {
        if !self.row.is_frozen() {
            self.row.parked = Some(reason);
        }
    }

    /// Takes over what only passes through.
    pub(super) fn carry(&mut self, fact: &Fact) {
        if let Fact::Submitted(submitted) | Fact::Drafted(submitted) = fact {
            self.created = Created {
                inputs: Some(submitted.inputs.clone()),
                fingerprint: submitted.fingerprint.clone(),
                module_version: Some(&submitted.module_version)
                    .filter(|version| !version.is_empty())
                    .cloned(),
                worker_labels: submitted.worker_labels.clone(),
                task: submitted.task.as_deref().cloned(),
                metadata: submitted.metadata.clone(),
                concurrency: submitted.concurrency.clone(),
            };
        }
        if let Fact::Rejected(rejected) = fact {
            self.created = Created {
                inputs: Some(rejected.inputs.clone()),
                fingerprint: rejected.fingerprint.clone(),
                task: rejected.task.as_deref().cloned(),
                metadata: rejected.metadata.clone(),
                ..Created::default()
            };
        }
        if let Fact::Succeeded { outputs, .. } = fact {
            self.outputs = Some(outputs.clone());
        }
    }
}

impl From<ReservedResources> for Resources {
    fn from(reserved: ReservedResources) -> Self {
        let ReservedResources { cpu, mem_mb, wall_time_s, gpu, .. } = reserved;
        Self { cpu, mem_mb, wall_time_s, gpu }
    }
}

impl ReservedResources {
    pub fn new(resources: Resources, cpu_seconds: i64) -> Self {
        let Resources { cpu, mem_mb, wall_time_s, gpu } = resources;
        Self { cpu, mem_mb, wall_time_s, gpu, cpu_seconds }
    }
}

/// Jobs in memory above which all are dropped: some hundred MB. They are loaded again when needed.
const JOBS_CACHED_MAX: usize = 400_000;
/// Balances in memory above which all are dropped.
const BALANCES_CACHED_MAX: usize = 100_000;

impl Rows {
    /// Takes over what was committed, and drops what is not expected to be needed again.
    pub fn absorb(&mut self, changes: Changes) {
        if self.jobs.len() > JOBS_CACHED_MAX {
            self.jobs.clear();
        }
        if self.balances.len() > BALANCES_CACHED_MAX {
            self.balances.clear();
        }
        for change in changes.jobs {
            if change.row.is_over() {
                self.jobs.remove(&change.row.id);
            } else {
                self.jobs.insert(change.row.id, change.row);
            }
        }
        self.rowless.extend(changes.rowless);
        self.balances
            .extend(changes.balances.into_iter().map(|(key, (balance, _))| (key, balance)));
        self.modules.extend(changes.modules);
        for (id, schedule) in changes.schedules {
            match schedule {
                Some(schedule) => self.schedules.insert(id, schedule),
                None => self.schedules.remove(&id),
            };
        }
        for (id, webhook) in changes.webhooks {
            match webhook {
                Some(webhook) => self.webhooks.insert(id, webhook),
                None => self.webhooks.remove(&id),
            };
        }
        self.workers.extend(changes.workers);
        self.workers.retain(|id, _| !changes.gone.contains(id));
    }
}
