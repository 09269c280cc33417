//! Workers: what they offer and which attempts they were given.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use nox_contract::{
    Attempt, Blame, Capacity, Claimant, FrameNumber, JobId, LostReason, ModuleName, Origin,
    RequestId, Resources, SessionId, Timestamp, TopicName, WorkNumber, WorkerId,
};
use serde::{Deserialize, Serialize};

use crate::state::Needs;

/// A worker in its present session. It is forgotten when the session ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    pub session: SessionId,
    pub origin: Origin,
    pub capacity: Capacity,
    pub used: Capacity,
    /// What it serves, in which versions.
    pub modules: BTreeMap<ModuleName, BTreeSet<String>>,
    pub labels: BTreeSet<String>,
    /// It claims its work, and is given none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
    /// The number of the newest change of what it offers.
    #[serde(default)]
    pub offers: u64,
    /// Is to stop, and takes no more work.
    pub draining: bool,
    /// An operator took it out of service; see [`Workers::is_drained`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drained: bool,
    /// See [`crate::parking`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
    /// Cannot run attempts, and takes no work for now.
    pub paused: bool,
    /// The number of the report that said so last, or that it takes work again.
    pub pauses: u64,
    /// The job that runs alone here: nothing else is assigned as long as it does.
    pub isolated: Option<JobId>,
    /// The number of the next piece of work of this session.
    pub next_work: WorkNumber,
    /// Slots in use: an entry leaves only by a fact that says nothing of the attempt runs any more.
    pub assignments: BTreeMap<JobId, Assignment>,
    /// Attempts that a newer version gave it of jobs that are parked here. A known fact of their end frees them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aside: BTreeMap<JobId, AsideSlot>,
}

impl Worker {
    /// Whether it takes work, if it has room.
    pub fn takes_work(&self) -> bool {
        !self.draining && !self.paused && !self.drained && !self.parked
    }

    /// Whether it is one that a job of `module` could be given to, whatever it does now.
    pub fn serves(&self, module: &ModuleName, needs: &Needs) -> bool {
        self.modules.get(module).is_some_and(|versions| versions.contains(&needs.version))
            && needs.labels.is_subset(&self.labels)
    }
}

/// A slot that an attempt of a parked job has, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsideSlot {
    /// `None` if it is not known what it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// It has to be alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub isolated: bool,
}

impl AsideSlot {
    /// Whether nothing may run beside it: of what one does not know, one cannot tell what there is room for.
    pub fn is_alone(&self) -> bool {
        self.isolated || self.resources.is_none()
    }
}

/// What a worker claims tasks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub claimant: Claimant,
    pub topics: BTreeSet<TopicName>,
}

impl Claims {
    /// As the labels of a worker name them.
    pub(crate) fn new(claimant: Claimant, labels: &[String]) -> Self {
        let topics = labels.iter().filter_map(|label| label.parse().ok()).collect();
        Self { claimant, topics }
    }
}

/// A slot in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub attempt: Attempt,
    pub work: WorkNumber,
    /// The event that assigned it; part of the token.
    pub assigned_n: FrameNumber,
    pub resources: Resources,
    pub started: bool,
    /// When its progress was last kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progressed_at: Option<Timestamp>,
    /// The request that claimed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// The piece of work that told the worker to stop it.
    pub stop: Option<WorkNumber>,
}

/// A session that is over while attempts of it are not yet said to be lost: they are, a bounded number a
/// turn, and hold their accounts and modules until then. Nobody can report of them any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departed {
    pub worker_id: WorkerId,
    pub session: SessionId,
    /// Why they are lost, and what that says of their jobs; of all alike.
    pub reason: LostReason,
    pub blame: Blame,
    pub assignments: BTreeMap<JobId, Assignment>,
}

/// All live workers, and who of them serves which module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workers {
    by_id: BTreeMap<WorkerId, Worker>,
    /// None without attempts; the first to go is the first.
    departed: VecDeque<Departed>,
    /// Sessions that ended lately, and the order in which they did: a `hello` of theirs that was
    /// long on its way must neither begin them again nor end their successor.
    past: BTreeSet<SessionId>,
    past_order: VecDeque<(Timestamp, SessionId)>,
    /// Names that an operator took out of service, whether a worker of that name is there or not.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    drained: BTreeSet<WorkerId>,
    #[serde(skip)]
    serving: BTreeMap<ModuleName, BTreeSet<WorkerId>>,
}

impl Workers {
    pub fn get(&self, worker: &WorkerId) -> Option<&Worker> {
        self.by_id.get(worker)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        self.by_id.iter()
    }

    pub(crate) fn get_mut(&mut self, worker: &WorkerId) -> Option<&mut Worker> {
        self.by_id.get_mut(worker)
    }

    /// Sessions that are over while attempts of theirs are not yet said to be lost, the oldest first.
    pub fn departed(&self) -> impl Iterator<Item = &Departed> {
        self.departed.iter()
    }

    /// Whether attempts of sessions that are over are still to be said to be lost.
    pub fn has_departed(&self) -> bool {
        !self.departed.is_empty()
    }

    /// The live worker that holds an attempt of `job`.
    pub(crate) fn holder(&self, worker: &WorkerId, job: JobId) -> Option<&Worker> {
        self.get(worker).filter(|worker| worker.assignments.contains_key(&job))
    }

    /// Takes the attempt of `job` from whoever holds it as `worker`, in this session or an earlier one, if
    /// anybody does.
    pub(crate) fn free_slot(&mut self, worker: &WorkerId, job: JobId) -> Option<Assignment> {
        if let Some(live) = self.by_id.get_mut(worker)
            && let Some(slot) = live.assignments.remove(&job)
        {
            live.isolated.take_if(|isolated| *isolated == job);
            live.used.give_back(&slot.resources);
            return Some(slot);
        }
        let holds = |of: &Departed| of.worker_id == *worker && of.assignments.contains_key(&job);
        let place = self.departed.iter().position(holds)?;
        let slot = self.departed[place].assignments.remove(&job);
        if self.departed[place].assignments.is_empty() {
            self.departed.remove(place);
        }
        slot
    }

    /// Whether the session is known to have ended.
    pub fn is_past(&self, session: SessionId) -> bool {
        self.past.contains(&session)
    }

    /// Forgets past sessions, from the oldest on, as long as `is_old` says so of their end.
    pub(crate) fn forget_past(&mut self, is_old: impl Fn(Timestamp) -> bool) {
        while let Some((_, session)) =
            self.past_order.pop_front_if(|(ended_at, _)| is_old(*ended_at))
        {
            self.past.remove(&session);
        }
    }

    /// Whether an operator took whoever bears this name out of service.
    pub fn is_drained(&self, worker: &WorkerId) -> bool {
        self.drained.contains(worker)
    }

    /// How many names are out of service.
    pub fn drained_count(&self) -> usize {
        self.drained.len()
    }

    /// Takes whoever bears this name out of service, or puts it back.
    pub(crate) fn drain(&mut self, id: &WorkerId, drained: bool) {
        if drained {
            self.drained.insert(id.clone());
        } else {
            self.drained.remove(id);
        }
        if let Some(worker) = self.by_id.get_mut(id) {
            worker.drained = drained;
        }
    }

    /// Nobody of this name may be there.
    pub(crate) fn join(&mut self, id: WorkerId, mut worker: Worker) {
        worker.drained = self.is_drained(&id);
        worker.modules.keys().for_each(|module| self.serve(&id, module.clone()));
        self.by_id.insert(id, worker);
    }

    /// What a worker that is there offers is this from now on.
    pub(crate) fn offer(&mut self, id: &WorkerId, change: impl FnOnce(&mut Worker)) {
        let Some(worker) = self.by_id.get_mut(id) else { return };
        let before: Vec<_> = worker.modules.keys().cloned().collect();
        change(worker);
        let after: Vec<_> = worker.modules.keys().cloned().collect();
        before.iter().for_each(|module| self.serve_no_more(id, module));
        after.into_iter().for_each(|module| self.serve(id, module));
    }

    fn serve(&mut self, id: &WorkerId, module: ModuleName) {
        self.serving.entry(module).or_default().insert(id.clone());
    }

    fn serve_no_more(&mut self, id: &WorkerId, module: &ModuleName) {
        if let Some(ids) = self.serving.get_mut(module) {
            ids.remove(id);
            if ids.is_empty() {
                self.serving.remove(module);
            }
        }
    }

    /// The session is over; what it holds is lost like this.
    pub(crate) fn leave(
        &mut self,
        id: &WorkerId,
        (reason, blame): (LostReason, Blame),
        at: Timestamp,
    ) {
        let Some(worker) = self.by_id.remove(id) else { return };
        if worker.claims.is_some() {
            // Those that claim their work come and go under ever new names.
            self.drained.remove(id);
        }
        let Worker { session, assignments, .. } = worker;
        if !assignments.is_empty() {
            let worker_id = id.clone();
            self.departed.push_back(Departed { worker_id, session, reason, blame, assignments });
        }
        self.past.insert(worker.session);
        self.past_order.push_back((at, worker.session));
        worker.modules.keys().for_each(|module| self.serve_no_more(id, module));
    }

    /// Rebuilds what is not stored in a snapshot.
    pub(crate) fn reindex(&mut self) {
        self.serving.clear();
        for (id, worker) in &self.by_id {
            for module in worker.modules.keys() {
                self.serving.entry(module.clone()).or_default().insert(id.clone());
            }
        }
    }

    /// Attempts that the workers which take work could run beside those that they do.
    pub fn free_slots(&self) -> u64 {
        self.by_id
            .values()
            .filter(|worker| worker.takes_work())
            .map(|worker| u64::from(worker.capacity.slots.saturating_sub(worker.used.slots)))
            .sum()
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many workers serve `module`, those that take no work included.
    pub fn serving_count(&self, module: &ModuleName) -> u32 {
        self.serving.get(module).map_or(0, |ids| u32::try_from(ids.len()).unwrap_or(u32::MAX))
    }

    /// Workers that serve `module` as it is needed and take work, if they have room.
    pub fn serving(
        &self,
        module: &ModuleName,
        needs: &Needs,
    ) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        self.declaring(module, needs).filter(|(_, worker)| worker.takes_work())
    }

    /// Workers that serve `module` as it is needed, those that take no work for now included.
    pub fn declaring(
        &self,
        module: &ModuleName,
        needs: &Needs,
    ) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        self.live(module).filter(|(_, worker)| !worker.draining && worker.serves(module, needs))
    }

    /// Whether a worker that is not to stop serves this version of `module`.
    pub fn serve_version(&self, module: &ModuleName, version: &str) -> bool {
        let is_it =
            |worker: &Worker| worker.modules.get(module).is_some_and(|of| of.contains(version));
        self.live(module).any(|(_, worker)| !worker.draining && is_it(worker))
    }

    fn live(&self, module: &ModuleName) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        let ids = self.serving.get(module).into_iter().flatten();
        ids.filter_map(|id| self.by_id.get_key_value(id))
    }
}
