//! Which worker would take a job now, or why none does.

use std::collections::{BTreeMap, VecDeque};

use nox_contract::{
    Attempt, Capacity, Concurrency, Fact, ModuleName, Resources, TenantId, Timestamp, UserId,
    WaitingCode, WorkNumber, WorkerId,
};

use super::{Faults, Rules};
use crate::{
    concurrency::Holders,
    ledger::Account,
    pace::Pace,
    queue::{ClassKey, Head},
    share::{Served, Share},
    state::{Needs, State},
    turn::Turn,
    worker::Worker,
};

/// What one match has given away and no fact says yet.
#[derive(Debug)]
pub(super) struct Given<'s> {
    at: Timestamp,
    faults: Faults,
    loads: BTreeMap<&'s WorkerId, Load>,
    of_modules: BTreeMap<&'s ModuleName, u32>,
    of_tenants: BTreeMap<&'s TenantId, u32>,
    of_users: BTreeMap<(&'s TenantId, &'s UserId), OfUser>,
    served: Served,
    of_keys: BTreeMap<(&'s TenantId, &'s str), Holders>,
    /// A negative control, see [`super::Faults::drained_workers_given_work`].
    drained_too: bool,
}

/// What a user was given, and what its share is with that.
#[derive(Debug)]
struct OfUser {
    jobs: u32,
    share: Share,
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
    /// Nothing, at this instant.
    pub fn new(state: &State, rules: &Rules, at: Timestamp) -> Self {
        Self {
            at,
            faults: rules.faults,
            loads: BTreeMap::new(),
            of_modules: BTreeMap::new(),
            of_tenants: BTreeMap::new(),
            of_users: BTreeMap::new(),
            served: state.ledger.served(),
            of_keys: BTreeMap::new(),
            drained_too: rules.faults.drained_workers_given_work,
        }
    }

    /// The share of a user that was given something.
    pub fn share_of(&self, tenant: &'s TenantId, user: &'s UserId) -> Option<&Share> {
        self.of_users.get(&(tenant, user)).map(|of| &of.share)
    }

    fn load(&self, id: &WorkerId, worker: &Worker) -> Load {
        if let Some(load) = self.loads.get(id) {
            return *load;
        }
        let mut load = Load {
            used: worker.used,
            next_work: worker.next_work,
            isolated: worker.isolated.is_some(),
        };
        // A job that was assigned again where it was before it was parked is counted there.
        let aside = worker.aside.iter().filter(|_| !self.faults.parked_company_ignored);
        for (job, slot) in aside {
            load.isolated |= slot.is_alone();
            if !worker.assignments.contains_key(job) {
                match &slot.resources {
                    Some(resources) => load.used.take(resources),
                    None => load.used.slots += 1,
                }
            }
        }
        load
    }

    /// Workers that a job may be given to, if they have room.
    fn serving(
        &self,
        state: &'s State,
        module: &ModuleName,
        needs: &Needs,
    ) -> impl Iterator<Item = (&'s WorkerId, &'s Worker)> {
        let drained_too = self.drained_too;
        let takes = move |worker: &Worker| {
            worker.takes_work() || (drained_too && worker.drained && !worker.paused)
        };
        state.workers.declaring(module, needs).filter(move |(_, worker)| takes(worker))
    }

    /// Counts in that a job of this kind goes to `place`.
    pub fn take(&mut self, state: &State, kind: &'s Head, place: Place<'s>) {
        let Head { module, key, .. } = kind;
        let mut load = self.load(place.worker_id, place.worker);
        load.used.take(&key.resources);
        load.next_work = load.next_work.next();
        load.isolated = key.isolated;
        self.loads.insert(place.worker_id, load);
        *self.of_modules.entry(module).or_default() += 1;
        *self.of_tenants.entry(&key.tenant).or_default() += 1;
        let (tenant, user) = (&key.tenant, &key.user_id);
        let of_user = self.of_users.entry((tenant, user)).or_insert_with(|| {
            let account = state.ledger.user(tenant, user);
            OfUser { jobs: 0, share: account.map(|of| of.share.clone()).unwrap_or_default() }
        });
        of_user.jobs += 1;
        of_user.share.serve(&mut self.served, key.priority, key.resources.cpu, self.at);
        if let Some(of) = &key.needs.concurrency {
            self.of_keys.entry((&key.tenant, &of.key)).or_default().take(of.limit);
        }
    }

    /// Whether one more with this key keeps to the limits of all that hold a slot.
    fn has_room(&self, state: &State, tenant: &TenantId, of: &Concurrency) -> bool {
        let given = self.of_keys.get(&(tenant, &*of.key)).copied().unwrap_or_default();
        let held = state.keys.holders(tenant, &of.key);
        let all = Holders { count: held.count + given.count, least: held.least.min(given.least) };
        if self.faults.key_of_others_ignored {
            return all.count < of.limit;
        }
        all.has_room(of.limit)
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
    if !known.enabled || state.parking.module(module).is_some() {
        return Err(WaitingCode::Paused);
    }
    if given.serving(state, module, &key.needs).next().is_none() {
        let mut declaring = state.workers.declaring(module, &key.needs);
        let is_drained = declaring.any(|(_, worker)| worker.drained && !worker.paused);
        return Err(if is_drained { WaitingCode::Drained } else { WaitingCode::NoWorker });
    }
    if is_full(state, given, module) {
        return Err(WaitingCode::Concurrency);
    }
    let of_key = key.needs.concurrency.as_ref();
    if of_key.is_some_and(|of| !given.has_room(state, &key.tenant, of)) {
        return Err(WaitingCode::Concurrency);
    }
    for (account, more) in accounts(state, given, key) {
        if account.running_jobs + more >= account.limits.running_jobs {
            return Err(WaitingCode::Quota);
        }
    }
    if !given.faults.pace_unchecked && starts(state, given, module, key).any(|start| !start.may()) {
        return Err(WaitingCode::Rate);
    }
    let place = given
        .serving(state, module, &key.needs)
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

/// Whether as many attempts of `module` hold a slot as may.
pub(super) fn is_full(state: &State, given: &Given<'_>, module: &ModuleName) -> bool {
    state.modules.get(module).is_some_and(|known| {
        let running = known.running + given.of_modules.get(module).copied().unwrap_or(0);
        known.versions.present.running_max.is_some_and(|max| running >= max)
    })
}

/// The accounts of a job's user and tenant, and how many more attempts each was given.
fn accounts<'s>(
    state: &'s State,
    given: &Given<'_>,
    key: &ClassKey,
) -> impl Iterator<Item = (&'s Account, u32)> + use<'s> {
    let (tenant, user) = (&key.tenant, &key.user_id);
    let of_user = given.of_users.get(&(tenant, user)).map_or(0, |of| of.jobs);
    let of_tenant = given.of_tenants.get(tenant).copied().unwrap_or(0);
    let user = state.ledger.user(tenant, user).map(|account| (account, of_user));
    let tenant = state.ledger.tenant(tenant).map(|account| (account, of_tenant));
    user.into_iter().chain(tenant)
}

/// A rate that a start has to keep to.
#[derive(Clone, Copy)]
struct Start {
    pace: Pace,
    per_minute: u32,
    given: u32,
    at: Timestamp,
}

impl Start {
    fn may(self) -> bool {
        self.pace.admits(self.per_minute, self.at, self.given)
    }

    fn next(self) -> Option<Timestamp> {
        self.pace.next_start(self.per_minute, self.at, self.given)
    }
}

/// The rates that a start of a job like this has to keep to: that of its module first.
fn starts<'s>(
    state: &'s State,
    given: &Given<'_>,
    module: &ModuleName,
    key: &ClassKey,
) -> impl Iterator<Item = Start> + use<'s> {
    let of_module = state.modules.get(module).and_then(|known| {
        let per_minute = known.versions.present.starts_per_minute?;
        Some((known.pace, per_minute, given.of_modules.get(module).copied().unwrap_or(0)))
    });
    let of_accounts = accounts(state, given, key)
        .map(|(account, given)| (account.pace, account.limits.starts_per_minute, given));
    let at = given.at;
    let all = of_module.into_iter().chain(of_accounts);
    all.map(move |(pace, per_minute, given)| Start { pace, per_minute, given, at })
}

/// Whether it is `module` alone that another start comes too soon for.
pub(super) fn is_module_throttled(
    state: &State,
    given: &Given<'_>,
    module: &ModuleName,
    key: &ClassKey,
) -> bool {
    let of_module = state
        .modules
        .get(module)
        .is_some_and(|known| known.versions.present.starts_per_minute.is_some());
    of_module && starts(state, given, module, key).next().is_some_and(|start| !start.may())
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
    let load = |id: &WorkerId, worker: &Worker| given.load(id, worker).used.slots;
    serving
        .min_by_key(|(id, worker)| (holds_parked(state, worker), load(id, worker), *id))
        .map(|(id, _)| id)
}

/// Whether a worker has something that does not end as long as this version leads.
fn holds_parked(state: &State, worker: &Worker) -> bool {
    let mut held = worker.assignments.keys();
    !state.parking.is_empty()
        && (!worker.aside.is_empty() || held.any(|id| state.parking.job(*id).is_some()))
}

/// A look at the queue: what it has given away, and what it cost.
pub(super) struct Look<'s> {
    pub state: &'s State,
    pub given: Given<'s>,
    /// How many jobs were looked at, and how many workers were asked for a place for them.
    pub cost: u32,
    /// When the first of those may start that start too soon after others.
    pub look_at: Option<Timestamp>,
}

impl<'s> Look<'s> {
    pub fn new(state: &'s State, rules: &Rules, at: Timestamp) -> Self {
        Self { state, given: Given::new(state, rules, at), cost: 0, look_at: None }
    }

    /// As [`place`], for the first of this kind.
    pub fn place(
        &mut self,
        kind: &Head,
        kept: Option<&WorkerId>,
    ) -> Result<Place<'s>, WaitingCode> {
        self.cost = self.cost.saturating_add(self.state.workers.serving_count(&kind.module));
        let place = place(self.state, &self.given, &kind.module, &kind.key, kept);
        if let Err(WaitingCode::Rate) = place {
            let late = starts(self.state, &self.given, &kind.module, &kind.key)
                .filter(|start| !start.may())
                .filter_map(Start::next)
                .max();
            self.look_at = [self.look_at, late].into_iter().flatten().min();
        }
        place
    }
}

/// Jobs that have to be alone and have no worker to be so, the first of each kind, in their order.
pub(super) struct Suspects<'s> {
    waiting: VecDeque<(Turn, &'s Head)>,
}

impl<'s> Suspects<'s> {
    /// None yet.
    pub fn none() -> Self {
        Self { waiting: VecDeque::new() }
    }

    /// All whose turn is not behind `turn`; all, if it is `None`.
    pub fn up_to(state: &'s State, turn: Option<Turn>) -> Self {
        Self { waiting: state.queue.isolated_up_to(turn).into() }
    }

    /// One that is behind all others.
    pub fn push(&mut self, turn: Turn, kind: &'s Head) {
        self.waiting.push_back((turn, kind));
    }

    /// The worker that is kept for the first whom nothing but others' company holds back: without it,
    /// short jobs that come all the time would keep a suspect waiting for ever.
    pub fn keep(&mut self, look: &mut Look<'s>) -> Option<Kept<'s>> {
        let mut next = 0;
        while let Some((turn, kind)) = self.waiting.get(next).copied() {
            match look.place(kind, None) {
                Err(WaitingCode::Isolation) => {
                    let worker = to_be_emptied(look.state, &look.given, &kind.module, &kind.key)?;
                    let state = look.state;
                    if !state.workers.get(worker).is_some_and(|of| holds_parked(state, of)) {
                        return Some(Kept { worker, ahead: turn });
                    }
                    // It would not get empty, and nobody would get it.
                    next += 1;
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
    ahead: Turn,
}

impl<'s> Kept<'s> {
    /// The worker that is kept from a job whose turn is `turn`.
    pub fn from(kept: Option<Self>, turn: Turn) -> Option<&'s WorkerId> {
        kept.filter(|kept| kept.ahead < turn).map(|kept| kept.worker)
    }
}

/// Whether nobody waits for anything that `worker` does, so that giving it work now passes nobody
/// over.
pub(super) fn is_unasked_for(state: &State, worker: &Worker) -> bool {
    !worker.modules.keys().any(|module| state.queue.is_waited_for(module))
}
