//! Jobs that ended, as far as they are remembered, so that no submit runs twice.
//!
//! What is forgotten leaves a mark behind, and a submit that may repeat something up to the mark is
//! stale. How long jobs are remembered decides how often a submit is stale in vain, and nothing else.
//! Jobs with an idempotency key may come again at any time, and are remembered for a span; of the others
//! only copies of one request can, and within seconds. The number of both is bounded, so that memory does
//! not grow with speed, that of the others closely.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use nox_contract::{FrameNumber, JobId, JobState, SchedulerConfig, TenantId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// Into so many parts the span, or the number, of what is remembered is divided; one part is forgotten
/// at a time.
const PARTS: u32 = 8;

/// A tenant, as far as an id that somebody names is to be known as another's: a gateway that looks nothing
/// up would have to be unlucky besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
struct TenantTag([u8; 4]);

/// Tells a request from another one under the same id: a hash of who asks and of the text that the submit
/// names. It notices mistakes of one user, who alone can make this id, so that 64 bits are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Request([u8; 8]);

impl Request {
    pub fn new(tenant: &TenantId, user: &UserId, fingerprint: Option<&str>) -> Self {
        let mut text = Vec::with_capacity(256);
        for field in [tenant.as_str(), user.as_str(), fingerprint.unwrap_or_default()] {
            text.extend_from_slice(&(field.len() as u64).to_be_bytes());
            text.extend_from_slice(field.as_bytes());
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&blake3::hash(&text).as_bytes()[..8]);
        Self(bytes)
    }
}

impl TenantTag {
    fn of(tenant: &TenantId) -> Self {
        let hash = blake3::hash(tenant.as_str().as_bytes());
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&hash.as_bytes()[..4]);
        Self(bytes)
    }
}

impl From<u32> for TenantTag {
    fn from(number: u32) -> Self {
        Self(number.to_be_bytes())
    }
}

impl From<TenantTag> for u32 {
    fn from(tag: TenantTag) -> Self {
        Self::from_be_bytes(tag.0)
    }
}

impl From<u64> for Request {
    fn from(number: u64) -> Self {
        Self(number.to_be_bytes())
    }
}

impl From<Request> for u64 {
    fn from(request: Request) -> Self {
        Self::from_be_bytes(request.0)
    }
}

/// What is remembered of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedJob {
    tenant: TenantTag,
    pub request: Request,
    pub state: JobState,
}

impl EndedJob {
    pub fn new(tenant: &TenantId, request: Request, state: JobState) -> Self {
        Self { tenant: TenantTag::of(tenant), request, state }
    }

    pub fn is_of(&self, tenant: &TenantId) -> bool {
        self.tenant == TenantTag::of(tenant)
    }
}

/// See the head of this file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    keyed: Memory,
    unkeyed: Memory,
}

impl Ended {
    pub fn get(&self, job: JobId) -> Option<EndedJob> {
        let memory = if job.is_keyed() { &self.keyed } else { &self.unkeyed };
        // Of a job that has just been made, its id alone says that most parts do not have it.
        let mut parts = memory.parts.iter().rev().filter(|part| job <= part.newest.job);
        parts.find_map(|part| part.jobs.get(job))
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        [&self.keyed, &self.unkeyed]
            .into_iter()
            .flat_map(|of| &of.parts)
            .map(|p| p.jobs.len())
            .sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `job`, which is neither open nor remembered, may be one that ran and is forgotten. `seen`
    /// is a place in the log up to which nothing had made it.
    ///
    /// Without a key the id itself says when it was made, by some gateway's clock: a forgotten job is
    /// neither newer than the newest one by that, nor submitted behind the mark in the log. Both have to
    /// allow it, so that a submit which waited for long is not stale for those that were made after it.
    pub fn may_be_forgotten(&self, job: JobId, seen: FrameNumber) -> bool {
        if job.is_keyed() {
            seen < self.keyed.forgotten.submitted_n
        } else {
            seen < self.unkeyed.forgotten.submitted_n && job <= self.unkeyed.forgotten.job
        }
    }

    /// A job that was submitted in frame `submitted_n` has ended at `at`.
    pub(crate) fn insert(
        &mut self,
        job: JobId,
        ended: EndedJob,
        submitted_n: FrameNumber,
        at: Timestamp,
    ) {
        let memory = if job.is_keyed() { &mut self.keyed } else { &mut self.unkeyed };
        if memory.parts.is_empty() {
            memory.parts.push_back(Arc::new(Part::begin(at)));
        }
        let Some(part) = memory.parts.back_mut().map(Arc::make_mut) else { return };
        part.newest.submitted_n = part.newest.submitted_n.max(submitted_n);
        part.newest.job = part.newest.job.max(job);
        part.last_end = at;
        part.jobs.insert(job, ended);
    }

    /// Forgets who ended long ago, counted from the begin of the term at the earliest, so that what was
    /// submitted while nobody led still finds them.
    pub(crate) fn forget(&mut self, at: Timestamp, epoch_at: Timestamp, config: &SchedulerConfig) {
        let span = Duration::from_millis(config.keyed_remembered_ms);
        let of_part = |max: u32| usize::try_from(max / PARTS).unwrap_or(usize::MAX).max(1);
        self.keyed.forget(at, epoch_at, span, of_part(config.keyed_remembered_max));
        self.unkeyed.forget(at, epoch_at, span, of_part(config.unkeyed_remembered_max));
    }
}

/// Those with a key, or those without.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// Oldest first; who ends now is remembered in the last one, which alone changes.
    parts: VecDeque<Arc<Part>>,
    /// The newest of those that are forgotten.
    forgotten: Newest,
}

impl Memory {
    /// Begins another part when the last one spans enough, or has `jobs_max`, and forgets parts that are
    /// older than `span`, or more than are needed for all the jobs that may be remembered.
    fn forget(&mut self, at: Timestamp, epoch_at: Timestamp, span: Duration, jobs_max: usize) {
        let is_full =
            |part: &Part| at.since(part.begun) >= span / PARTS || part.jobs.len() >= jobs_max;
        if let Some(part) = self.parts.back_mut().filter(|part| !part.jobs.is_empty())
            && is_full(part)
        {
            Arc::make_mut(part).jobs.pack();
            self.parts.push_back(Arc::new(Part::begin(at)));
        }
        let too_many = |parts: usize| parts > PARTS as usize + 1;
        while let Some(part) = self.parts.front()
            && (too_many(self.parts.len()) || at.since(part.last_end.max(epoch_at)) >= span)
            && let Some(part) = self.parts.pop_front()
        {
            self.forgotten.submitted_n = self.forgotten.submitted_n.max(part.newest.submitted_n);
            self.forgotten.job = self.forgotten.job.max(part.newest.job);
        }
    }
}

/// By the log, and by the ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    submitted_n: FrameNumber,
    job: JobId,
}

/// Who ended within some span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    begun: Timestamp,
    last_end: Timestamp,
    newest: Newest,
    jobs: Jobs,
}

impl Part {
    fn begin(at: Timestamp) -> Self {
        Self { begun: at, last_end: at, newest: Newest::default(), jobs: Jobs::default() }
    }
}

/// Jobs by their ids, in about 30 bytes each: most in one sorted array, the last ones in a map.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Jobs {
    packed: Vec<(JobId, EndedJob)>,
    last: BTreeMap<JobId, EndedJob>,
}

impl Jobs {
    /// From so many on, and an eighth of those that are packed, the last ones are packed as well.
    const LAST_MAX: usize = 1_024;

    fn get(&self, job: JobId) -> Option<EndedJob> {
        let packed = || {
            let place = self.packed.binary_search_by_key(&job, |(id, _)| *id).ok()?;
            Some(self.packed[place].1)
        };
        self.last.get(&job).copied().or_else(packed)
    }

    fn len(&self) -> usize {
        self.packed.len() + self.last.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(&mut self, job: JobId, ended: EndedJob) {
        self.last.insert(job, ended);
        if self.last.len() >= Self::LAST_MAX + self.packed.len() / 8 {
            self.pack();
        }
    }

    fn pack(&mut self) {
        self.packed.reserve_exact(self.last.len());
        self.packed.extend(std::mem::take(&mut self.last));
        // Two sorted runs, which a stable sort merges.
        self.packed.sort_by_key(|(id, _)| *id);
    }
}
