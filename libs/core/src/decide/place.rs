//! Which worker would take a job now, or why none does.

use std::collections::{BTreeMap, VecDeque};

use nox_contract::{
    Attempt, Capacity, Fact, ModuleName, Resources, TenantId, UserId, WaitingCode, WorkNumber,
    WorkerId,
};

use crate::{
    queue::{ClassKey, Head, Rank},
    state::{Needs, State},
    worker::Worker,
};

/// What one match has given away and no fact says yet.
#[derive(Debug, Default)]
pub(super) struct Given<'s> {
    loads: BTreeMap<&'s WorkerId, Load>,
    of_modules: BTreeMap<&'s ModuleName, u32>,
    of_tenants: BTreeMap<&'s TenantId, u32>,
    of_users: BTreeMap<(&'s TenantId, &'s UserId), u32>,
}

/// What a worker has to do.
#[derive(Debug, Clone, Copy)]
struct Load {
    used: Capacity,
    next_work: WorkNumber,
    /// Runs a job that has to be alone.
    isolated: bool,
}

/// Where a job can run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'s> {
    pub worker_id: &'s WorkerId,
    pub worker: &'s Worker,
    work: WorkNumber,
}

impl<'s> Place<'s> {
    /// The fact that gives the worker an attempt.
    pub fn assign(&self, attempt: Attempt) -> Fact {
        Fact::Assigned {
            worker_id: self.worker_id.clone(),
            session: self.worker.session,
            attempt,
            work: self.work,
            request: None,
        }
    }
}

impl<'s> Given<'s> {
    fn load(&self, id: &WorkerId, worker: &Worker) -> Load {
        self.loads.get(id).copied().unwrap_or(Load {
            used: worker.used,
            next_work: worker.next_work,
            isolated: worker.isolated.is_some(),
        })
    }

    /// Counts in that a job of this kind goes to `place`.
    pub fn take(&mut self, kind: &'s Head, place: Place<'s>) {
        let Head { module, key, .. } = kind;
        let mut load = self.load(place.worker_id, place.worker);
        load.used.take(&key.resources);
        load.next_work = load.next_work.next();
        load.isolated = key.isolated;
        self.loads.insert(place.worker_id, load);
        *self.of_modules.entry(module).or_default() += 1;
        *self.of_tenants.entry(&key.tenant).or_default() += 1;
        *self.of_users.entry((&key.tenant, &key.user_id)).or_default() += 1;
    }
}

/// The worker that would take a job like this, which nobody but `kept` is not to be given, or why none
/// does. The order of the checks is the order in which their removal helps: what concerns everybody comes
/// first.
pub(super) fn place<'s>(
    state: &'s State,
    given: &Given<'s>,
    module: &ModuleName,
    key: &ClassKey,
    kept: Option<&WorkerId>,
) -> Result<Place<'s>, WaitingCode> {
    let known = state.modules.get(module).ok_or(WaitingCode::NoWorker)?;
    if !known.enabled {
        return Err(WaitingCode::Paused);
    }
    if state.workers.serving(module, &key.needs).next().is_none() {
        return Err(WaitingCode::NoWorker);
    }
    let running = known.running + given.of_modules.get(module).copied().unwrap_or(0);
    if known.versions.present.running_max.is_some_and(|max| running >= max) {
        return Err(WaitingCode::Concurrency);
    }
    let (tenant, user) = (&key.tenant, &key.user_id);
    for (account, more) in [
        (state.ledger.user(tenant, user), given.of_users.get(&(tenant, user))),
        (state.ledger.tenant(tenant), given.of_tenants.get(tenant)),
    ] {
        let Some(account) = account else { continue };
        if account.running_jobs + more.copied().unwrap_or(0) >= account.limits.running_jobs {
            return Err(WaitingCode::Quota);
        }
    }
    let place = state
        .workers
        .serving(module, &key.needs)
        .filter(|(id, _)| kept != Some(*id))
        .map(|(id, worker)| (id, worker, given.load(id, worker)))
        .filter(|(_, worker, load)| has_place(worker, load, key))
        // The emptiest, so that load spreads; the name settles a tie, so that a replay agrees.
        .max_by_key(|(id, worker, load)| {
            (worker.capacity.slots.saturating_sub(load.used.slots), std::cmp::Reverse(*id))
        });
    match place {
        Some((worker_id, worker, load)) => Ok(Place { worker_id, worker, work: load.next_work }),
        None if to_be_emptied(state, given, module, key).is_some() => Err(WaitingCode::Isolation),
        None if !could_hold(state, module, &key.needs, &key.resources) => {
            Err(WaitingCode::Unsatisfiable)
        }
        None => Err(WaitingCode::Resources),
    }
}

/// Whether a worker has room for a job like this, and for its company.
fn has_place(worker: &Worker, load: &Load, key: &ClassKey) -> bool {
    let alone = !load.isolated && (!key.isolated || load.used.slots == 0);
    alone && worker.capacity.fits(&load.used, &key.resources)
}

/// Whether any worker that serves `module` could hold an attempt of `asked` if it ran nothing else. One that
/// takes no work for now counts.
pub(super) fn could_hold(
    state: &State,
    module: &ModuleName,
    needs: &Needs,
    asked: &Resources,
) -> bool {
    state
        .workers
        .declaring(module, needs)
        .any(|(_, worker)| worker.capacity.fits(&Capacity::default(), asked))
}

/// Whether a job that asks for `more` finds no place where one that asks for `less` found none.
pub(super) fn asks_no_less(more: &Resources, less: &Resources) -> bool {
    more.cpu >= less.cpu && more.mem_mb >= less.mem_mb && more.gpu >= less.gpu
}

/// The worker that a job which has to be alone waits for, if it is one: the one with the least to do.
fn to_be_emptied<'s>(
    state: &'s State,
    given: &Given<'s>,
    module: &ModuleName,
    key: &ClassKey,
) -> Option<&'s WorkerId> {
    let could = |worker: &Worker| worker.capacity.fits(&Capacity::default(), &key.resources);
    let serving = state.workers.serving(module, &key.needs);
    let serving = serving.filter(|(_, worker)| key.isolated && could(worker));
    serving.min_by_key(|(id, worker)| (given.load(id, worker).used.slots, *id)).map(|(id, _)| id)
}

/// A look at the queue: what it has given away, and what it cost.
pub(super) struct Look<'s> {
    pub state: &'s State,
    pub given: Given<'s>,
    /// How many jobs were looked at, and how many workers were asked for a place for them.
    pub cost: u32,
}

impl<'s> Look<'s> {
    pub fn new(state: &'s State) -> Self {
        Self { state, given: Given::default(), cost: 0 }
    }

    /// As [`place`], for the first of this kind.
    pub fn place(
        &mut self,
        kind: &Head,
        kept: Option<&WorkerId>,
    ) -> Result<Place<'s>, WaitingCode> {
        self.cost = self.cost.saturating_add(self.state.workers.serving_count(&kind.module));
        place(self.state, &self.given, &kind.module, &kind.key, kept)
    }
}

/// Jobs that have to be alone and have no worker to be so, the first of each kind, in their order.
pub(super) struct Suspects<'s> {
    waiting: VecDeque<(Rank, &'s Head)>,
}

impl<'s> Suspects<'s> {
    /// All whose place in the queue is not behind `rank`.
    pub fn up_to(state: &'s State, rank: Option<Rank>) -> Self {
        let waiting = rank.into_iter().flat_map(|rank| state.queue.isolated_up_to(rank)).collect();
        Self { waiting }
    }

    /// One that is behind all others.
    pub fn push(&mut self, rank: Rank, kind: &'s Head) {
        self.waiting.push_back((rank, kind));
    }

    /// The worker that is kept for the first whom nothing but others' company holds back: without it,
    /// short jobs that come all the time would keep a suspect waiting for ever.
    pub fn keep(&mut self, look: &mut Look<'s>) -> Option<Kept<'s>> {
        let mut next = 0;
        while let Some((rank, kind)) = self.waiting.get(next).copied() {
            match look.place(kind, None) {
                Err(WaitingCode::Isolation) => {
                    let worker = to_be_emptied(look.state, &look.given, &kind.module, &kind.key)?;
                    return Some(Kept { worker, ahead: rank });
                }
                // Until somebody else is given its place.
                Ok(_) => next += 1,
                // Nothing that is given away changes that.
                Err(_) => {
                    self.waiting.remove(next);
                }
            }
        }
        None
    }
}

/// A worker that nobody behind a job's place is given, so that it gets empty for that job.
#[derive(Clone, Copy)]
pub(super) struct Kept<'s> {
    worker: &'s WorkerId,
    ahead: Rank,
}

impl<'s> Kept<'s> {
    /// The worker that is kept from a job of `rank`.
    pub fn from(kept: Option<Self>, rank: Rank) -> Option<&'s WorkerId> {
        kept.filter(|kept| kept.ahead < rank).map(|kept| kept.worker)
    }
}

/// Whether nobody waits for anything that `worker` does, so that giving it work now passes nobody
/// over.
pub(super) fn is_unasked_for(state: &State, worker: &Worker) -> bool {
    !worker.modules.keys().any(|module| state.queue.is_waited_for(module))
}
