//! How an event changes rows: rows and events in, rows out. No I/O and no clock.
//!
//! A job moves by `nox_core`'s fold alone. What an event cannot be folded into is parked; what cannot
//! follow at all stops the reader.

use std::collections::{BTreeMap, HashMap};

use nox_contract::{
    Entity, Event, EventNumber, Fact, FactOrUnknown, JobId, JobState, ModuleName, RawJson, Refusal,
    Resources, TenantId, Timestamp, UserId, WorkerId, subject,
};
use nox_core::{
    job::{IllegalFact, Job},
    ledger::Balance,
};
use nox_protocol::Record;
use serde::{Deserialize, Serialize};

use crate::{
    batch::Entry,
    metrics::{self, MetricKey},
    rows::{
        self, BalanceKey, JobLedger, Parked, Rows, StoredJob, StoredLimits, StoredModule,
        StoredWorker, WorkerState,
    },
    storable,
};

/// An event that cannot follow those before it: log or code is broken, and the reader stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalEvent {
    #[error("event {n}: {source}")]
    Fact { n: EventNumber, source: IllegalFact },
    #[error("event {n}: {fact} does not belong on {subject}")]
    Misplaced { n: EventNumber, fact: &'static str, subject: String },
    #[error("event {n} has fields of several entities")]
    NoEntity { n: EventNumber },
    #[error("event {n}: {fact} finds no budget of that period on {account}")]
    NotGranted { n: EventNumber, fact: &'static str, account: String },
    #[error("event {n}: {fact} does not balance on {account}")]
    Unbalanced { n: EventNumber, fact: &'static str, account: String },
    #[error("event {n}: {fact} names another period than the job's reservation")]
    OtherPeriod { n: EventNumber, fact: &'static str },
}

/// Rows to be written, and nothing about how.
#[derive(Debug, Default)]
pub struct Changes {
    /// In the order in which the batch first touched them.
    pub jobs: Vec<JobChange>,
    places: HashMap<JobId, usize>,
    pub balances: BTreeMap<BalanceKey, (Balance, EventNumber)>,
    pub limits: BTreeMap<(TenantId, String), StoredLimits>,
    pub violations: Vec<Violation>,
    pub modules: BTreeMap<ModuleName, StoredModule>,
    pub workers: BTreeMap<WorkerId, StoredWorker>,
    /// Differences.
    pub metrics: BTreeMap<MetricKey, i64>,
    pub parked: Vec<ParkedEvent>,
    pub rowless: Vec<JobId>,
}

#[derive(Debug, Clone)]
pub struct JobChange {
    pub row: StoredJob,
    /// What only a new row is given; `None` if there is a row already.
    pub created: Option<Created>,
    pub reserved_resources: Option<ReservedResources>,
    pub outputs: Option<RawJson>,
}

#[derive(Debug, Clone, Default)]
pub struct Created {
    pub inputs: Option<RawJson>,
    pub fingerprint: Option<String>,
}

/// What was set aside for a job at its submit.
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
    pub n: EventNumber,
    /// Which fact of the event, counted from 0.
    pub part: usize,
    pub tenant: TenantId,
    pub account: String,
    pub user_id: UserId,
    pub job_id: JobId,
    pub module: ModuleName,
    pub refusal: Refusal,
    pub at: Timestamp,
}

/// An event that rows could not take in.
#[derive(Debug, Clone)]
pub struct ParkedEvent {
    pub n: EventNumber,
    pub subject: String,
    pub tenant: TenantId,
    pub job_id: Option<JobId>,
    pub reason: Parked,
    pub detail: String,
    pub payload: bytes::Bytes,
}

/// What to make of events.
#[derive(Debug, Clone, Copy)]
pub enum Treatment<'a> {
    /// Fold them in.
    Fold,
    /// Postgres refused the rows: freeze the job where it stood, and let only the ledger move, so
    /// that the accounts stay right for everybody else.
    Freeze { detail: &'a str },
    /// It refused even that: keep the bytes and nothing else.
    KeepBytes { detail: &'a str },
}

/// Rows that are not in memory and that the fold will look at.
#[derive(Debug, Default)]
pub struct Needed {
    pub jobs: Vec<JobId>,
    pub balances: Vec<BalanceKey>,
}

/// Says which rows to load before [`project`].
///
/// A job that begins here is taken for new, unless `distrust`: then all rows are asked for, so that
/// an event which makes a job twice meets the first one.
pub fn needed(rows: &Rows, entries: &[Entry], distrust: bool) -> Needed {
    let mut jobs: HashMap<JobId, bool> = HashMap::new();
    let mut balances: std::collections::BTreeSet<BalanceKey> = Default::default();
    for entry in entries {
        let Record::Event(event) = &entry.record else { continue };
        if let Some(id) = event.job_id
            && !rows.jobs.contains_key(&id)
        {
            let begins = matches!(
                event.facts.first(),
                Some(FactOrUnknown::Known(Fact::Submitted(_) | Fact::Rejected(_)))
            );
            jobs.entry(id).or_insert(distrust || !begins);
        }
        for key in event.known_facts().filter_map(period).flat_map(|period| {
            accounts(event).into_iter().flatten().map(move |account| BalanceKey {
                tenant: event.tenant.clone(),
                account,
                period,
            })
        }) {
            if !rows.balances.contains_key(&key) {
                balances.insert(key);
            }
        }
    }
    let jobs = jobs.into_iter().filter_map(|(id, load)| load.then_some(id)).collect();
    Needed { jobs, balances: balances.into_iter().collect() }
}

/// The period whose balances a fact moves.
fn period(fact: &Fact) -> Option<Timestamp> {
    if let Fact::Reserved { period, .. }
    | Fact::Settled { period, .. }
    | Fact::Released { period, .. }
    | Fact::Granted { period, .. } = fact
    {
        return Some(*period);
    }
    None
}

/// The accounts that the facts of an event move: its own, or those of its job's user and tenant.
fn accounts(event: &Event) -> [Option<String>; 2] {
    match (&event.account, &event.user_id) {
        (Some(account), _) => [Some(account.clone()), None],
        (None, Some(user)) => {
            [Some(subject::user_account(user)), Some(subject::TENANT_ACCOUNT.to_owned())]
        }
        (None, None) => [None, None],
    }
}

/// Folds `entries` into `rows`, which stay as they are; [`Rows::absorb`] takes the changes over once
/// they are committed.
///
/// # Errors
/// An event cannot follow. Nothing of the batch may be written.
pub fn project(
    rows: &Rows,
    entries: &[Entry],
    treatment: Treatment<'_>,
) -> Result<Changes, IllegalEvent> {
    let mut projection = Projection { rows, treatment, changes: Changes::default() };
    for entry in entries {
        match &entry.record {
            Record::Event(event) => projection.event(entry, event)?,
            // A term begins; no row tells of it.
            Record::Epoch(_) => {}
        }
    }
    Ok(projection.changes)
}

struct Projection<'a> {
    rows: &'a Rows,
    treatment: Treatment<'a>,
    changes: Changes,
}

/// An event while it is being folded in.
struct Context<'a> {
    entry: &'a Entry,
    event: &'a Event,
    entity: &'a Entity,
    part: usize,
    /// The job that the event is about, where it exists.
    job: Option<JobChange>,
    /// Why the event must be kept byte for byte.
    parked: Option<(Parked, String)>,
}

impl Context<'_> {
    fn misplaced(&self, fact: &Fact) -> IllegalEvent {
        IllegalEvent::Misplaced {
            n: self.entry.n,
            fact: fact.name(),
            subject: self.entry.message.subject.clone(),
        }
    }

    fn park(&mut self, reason: Parked, detail: String) {
        self.parked.get_or_insert((reason, detail));
    }
}

impl Projection<'_> {
    fn event(&mut self, entry: &Entry, event: &Event) -> Result<(), IllegalEvent> {
        let entity = event.entity().ok_or(IllegalEvent::NoEntity { n: entry.n })?;
        let mut context =
            Context { entry, event, entity: &entity, part: 0, job: None, parked: None };
        if let Entity::Job { job_id, .. } = &entity {
            context.job = self.open(*job_id);
        }
        let before = Observed::of(context.job.as_ref());

        match self.treatment {
            Treatment::KeepBytes { detail } => {
                context.park(Parked::Refused, detail.to_owned());
                if let (Entity::Job { job_id, .. }, None) = (&entity, &context.job) {
                    self.changes.rowless.push(*job_id);
                }
            }
            Treatment::Freeze { detail } => {
                freeze(&mut context, Parked::Refused, detail.to_owned());
                self.facts(&mut context)?;
            }
            Treatment::Fold if self.is_rowless(&context) => {
                context.park(Parked::Refused, "the job's first event was refused".to_owned());
            }
            Treatment::Fold => self.facts(&mut context)?,
        }
        self.observe(before, Observed::of(context.job.as_ref()), event);
        self.close(context);
        Ok(())
    }

    fn is_rowless(&self, context: &Context<'_>) -> bool {
        context.job.is_none()
            && context.event.job_id.is_some_and(|id| self.rows.rowless.contains(&id))
    }

    fn facts(&mut self, context: &mut Context<'_>) -> Result<(), IllegalEvent> {
        let event = context.event;
        for (part, fact) in event.facts.iter().enumerate() {
            context.part = part;
            match fact {
                FactOrUnknown::Known(fact) => self.fact(context, fact)?,
                FactOrUnknown::Unknown(_) => {
                    let detail = format!("fact {part} is not known to this version");
                    freeze(context, Parked::UnknownFact, detail);
                }
            }
        }
        Ok(())
    }

    /// One arm for what each fact moves; a new fact asks here what to do.
    fn fact(&mut self, context: &mut Context<'_>, fact: &Fact) -> Result<(), IllegalEvent> {
        let storable = storable::check(fact);
        if let Err(reason) = &storable {
            context.park(Parked::Unstorable, format!("{} {reason}", fact.name()));
        }
        match fact {
            Fact::Submitted(_)
            | Fact::Rejected(_)
            | Fact::Canceled { .. }
            | Fact::Waiting { .. }
            | Fact::Assigned { .. }
            | Fact::RetryScheduled { .. }
            | Fact::StopRequested { .. }
            | Fact::AttemptLost { .. }
            | Fact::Started { .. }
            | Fact::AttemptFailed { .. }
            | Fact::Stopped { .. }
            | Fact::Succeeded { .. }
            | Fact::Failed { .. } => self.move_job(context, fact, storable.is_ok()),
            Fact::Reserved { .. } | Fact::Settled { .. } | Fact::Released { .. } => {
                self.move_budget(context, fact)
            }
            Fact::LimitsSet { .. } | Fact::Granted { .. } | Fact::QuotaViolated { .. } => {
                self.move_account(context, fact, storable.is_ok())
            }
            Fact::WorkerJoined { .. } | Fact::WorkerDraining { .. } | Fact::WorkerLeft { .. } => {
                self.move_worker(context, fact, storable.is_ok())
            }
            Fact::ModuleDeclared { .. } | Fact::ModuleSwitched { .. } => {
                self.move_module(context, fact, storable.is_ok())
            }
            // These say what later decisions rest on, and where reading the inputs goes on; the
            // positions stand in every event, and nobody reads the rest from rows.
            Fact::Configured { .. } | Fact::Mark | Fact::InputsReset { .. } => match context.entity
            {
                Entity::Control => Ok(()),
                _ => Err(context.misplaced(fact)),
            },
        }
    }

    fn move_job(
        &mut self,
        context: &mut Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEvent> {
        let Entity::Job { tenant, job_id, user_id, module } = context.entity else {
            return Err(context.misplaced(fact));
        };
        let n = context.entry.n;
        let illegal = |source| IllegalEvent::Fact { n, source };
        if context.job.as_ref().is_some_and(|change| change.row.is_frozen()) {
            return Ok(());
        }
        let change = match &mut context.job {
            Some(change) => {
                change.row.job.apply(fact, context.event.at).map_err(illegal)?;
                change
            }
            none => {
                let job = Job::create(fact, n, context.event.at).map_err(illegal)?;
                let row = rows::shell(
                    *job_id,
                    tenant.clone(),
                    user_id.clone(),
                    module.clone(),
                    n,
                    context.event.at,
                );
                none.insert(JobChange::new(StoredJob { job, ..row }))
            }
        };
        if let Fact::Submitted(_) = fact {
            let key = MetricKey::Submitted {
                tenant: tenant.clone(),
                user_id: user_id.clone(),
                module: module.clone(),
            };
            *self.changes.metrics.entry(key).or_default() += 1;
        }
        if storable {
            change.carry(fact);
        }
        if let Some(worker) = change.row.job.worker_id() {
            change.row.worker_id = Some(worker.clone());
        }
        Ok(())
    }

    /// Moves core seconds in the job's entry, its user's account and its tenant's alike.
    fn move_budget(&mut self, context: &mut Context<'_>, fact: &Fact) -> Result<(), IllegalEvent> {
        let (Entity::Job { .. }, Some(period), Some(change)) =
            (context.entity, period(fact), context.job.as_mut())
        else {
            return Err(context.misplaced(fact));
        };
        let moved = self.moved_budget(context.event, &change.row, fact, period);
        let (entry, balances) = match moved {
            Ok(moved) => moved,
            // What it follows may be the very fact that is not known here.
            Err(_) if change.row.is_frozen() => return Ok(()),
            Err(error) => return Err(error),
        };
        change.row.ledger = entry;
        if let Fact::Reserved { .. } = fact {
            let resources = change.row.job.requested_resources;
            change.reserved_resources = Some(ReservedResources::new(resources, entry.reservation));
        }
        self.changes.balances.extend(balances);
        Ok(())
    }

    /// The job's entry and the two balances after `fact`.
    #[expect(clippy::type_complexity, reason = "one caller, and all of it is one movement")]
    fn moved_budget(
        &self,
        event: &Event,
        row: &StoredJob,
        fact: &Fact,
        period: Timestamp,
    ) -> Result<(JobLedger, Vec<(BalanceKey, (Balance, EventNumber))>), IllegalEvent> {
        let (n, fact_name) = (event.n, fact.name());
        let unbalanced = |account| IllegalEvent::Unbalanced { n, fact: fact_name, account };
        if row.ledger.period.is_some_and(|of_job| of_job != period) {
            return Err(IllegalEvent::OtherPeriod { n, fact: fact_name });
        }
        let entry = move_entry(JobLedger { period: Some(period), ..row.ledger }, fact)
            .ok_or_else(|| unbalanced(format!("job {}", row.id)))?;
        let mut balances = Vec::with_capacity(2);
        for account in accounts(event).into_iter().flatten() {
            let key = BalanceKey { tenant: event.tenant.clone(), account, period };
            let Some(balance) = self.balance(&key) else {
                let account = key.account;
                return Err(IllegalEvent::NotGranted { n, fact: fact_name, account });
            };
            let moved =
                move_balance(balance, fact).ok_or_else(|| unbalanced(key.account.clone()))?;
            balances.push((key, (moved, n)));
        }
        Ok((entry, balances))
    }

    fn move_account(
        &mut self,
        context: &Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEvent> {
        let Entity::Account { tenant, account } = context.entity else {
            return Err(context.misplaced(fact));
        };
        let n = context.entry.n;
        if !storable || storable::text(account).is_err() {
            return Ok(());
        }
        if let Fact::LimitsSet { role, limits } = fact {
            let limits = StoredLimits { role: role.clone(), limits: *limits, n };
            self.changes.limits.insert((tenant.clone(), account.clone()), limits);
        }
        if let Fact::Granted { period, cpu_seconds } = fact {
            let key =
                BalanceKey { tenant: tenant.clone(), account: account.clone(), period: *period };
            let mut balance = self.balance(&key).unwrap_or_default();
            balance.free = cpu_seconds
                .checked_sub(balance.granted)
                .and_then(|more| balance.free.checked_add(more))
                .ok_or_else(|| IllegalEvent::Unbalanced {
                    n,
                    fact: fact.name(),
                    account: account.clone(),
                })?;
            balance.granted = *cpu_seconds;
            self.changes.balances.insert(key, (balance, n));
        }
        if let Fact::QuotaViolated { job_id, user_id, module, refusal } = fact {
            self.changes.violations.push(Violation {
                n,
                part: context.part,
                tenant: tenant.clone(),
                account: account.clone(),
                user_id: user_id.clone(),
                job_id: *job_id,
                module: module.clone(),
                refusal: (**refusal).clone(),
                at: context.event.at,
            });
            let key = MetricKey::Violations { code: refusal.code };
            *self.changes.metrics.entry(key).or_default() += 1;
        }
        Ok(())
    }

    fn move_worker(
        &mut self,
        context: &Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEvent> {
        let Entity::Worker(id) = context.entity else {
            return Err(context.misplaced(fact));
        };
        let n = context.entry.n;
        if let (Fact::WorkerJoined { session, capacity, modules, labels }, true) = (fact, storable)
        {
            let worker = StoredWorker {
                session: *session,
                state: WorkerState::Joined,
                capacity: *capacity,
                modules: modules.clone(),
                labels: labels.clone(),
                joined_at: context.event.at,
                left_at: None,
                n,
            };
            self.changes.workers.insert(id.clone(), worker);
        }
        // There is no row if what the worker said when it joined could not be stored.
        let known = self.changes.workers.get(id).or_else(|| self.rows.workers.get(id));
        let Some(mut worker) = known.cloned() else { return Ok(()) };
        if let Fact::WorkerDraining { .. } = fact {
            worker.state = WorkerState::Draining;
        }
        if let Fact::WorkerLeft { lost, .. } = fact {
            worker.state = if *lost { WorkerState::Lost } else { WorkerState::Left };
            worker.left_at = Some(context.event.at);
        }
        worker.n = n;
        self.changes.workers.insert(id.clone(), worker);
        Ok(())
    }

    fn move_module(
        &mut self,
        context: &Context<'_>,
        fact: &Fact,
        storable: bool,
    ) -> Result<(), IllegalEvent> {
        let Entity::Module(name) = context.entity else {
            return Err(context.misplaced(fact));
        };
        let n = context.entry.n;
        if let (Fact::ModuleDeclared { manifest, enabled }, true) = (fact, storable) {
            let module = StoredModule { manifest: (**manifest).clone(), enabled: *enabled, n };
            self.changes.modules.insert(name.clone(), module);
        }
        if let Fact::ModuleSwitched { enabled, .. } = fact {
            // There is no row if its manifest could not be stored.
            let known = self.changes.modules.get(name).or_else(|| self.rows.modules.get(name));
            let Some(module) = known.cloned() else { return Ok(()) };
            self.changes
                .modules
                .insert(name.clone(), StoredModule { enabled: *enabled, n, ..module });
        }
        Ok(())
    }

    fn balance(&self, key: &BalanceKey) -> Option<Balance> {
        let changed = self.changes.balances.get(key).map(|(balance, _)| *balance);
        changed.or_else(|| self.rows.balances.get(key).copied())
    }

    /// Takes the job's change out of the batch's, or begins one.
    fn open(&mut self, id: JobId) -> Option<JobChange> {
        if let Some(place) = self.changes.places.get(&id) {
            return Some(self.changes.jobs[*place].clone());
        }
        let row = self.rows.jobs.get(&id)?;
        Some(JobChange { row: row.clone(), created: None, reserved_resources: None, outputs: None })
    }

    /// Files what became of the event's job, and the event itself if it must be kept.
    fn close(&mut self, context: Context<'_>) {
        let Context { entry, event, job, mut parked, .. } = context;
        if let Some(mut change) = job {
            if entry.n > change.row.n {
                rows::push_event(&mut change.row.events, change.row.n, entry.n);
                change.row.n = entry.n;
            }
            if let (None, Some((reason, _))) = (change.row.parked, &parked) {
                change.row.parked = Some(*reason);
            }
            if let Some(reason) = change.row.parked.filter(|reason| reason.is_frozen()) {
                parked.get_or_insert_with(|| (reason, "follows a parked event".to_owned()));
            }
            match self.changes.places.get(&change.row.id) {
                Some(place) => self.changes.jobs[*place] = change,
                None => {
                    self.changes.places.insert(change.row.id, self.changes.jobs.len());
                    self.changes.jobs.push(change);
                }
            }
        }
        let Some((reason, detail)) = parked else { return };
        *self.changes.metrics.entry(MetricKey::Parked { reason }).or_default() += 1;
        self.changes.parked.push(ParkedEvent {
            n: entry.n,
            subject: entry.message.subject.clone(),
            tenant: event.tenant.clone(),
            job_id: event.job_id,
            reason,
            detail,
            payload: entry.message.payload.clone(),
        });
    }

    /// Counts what the event made of its job.
    fn observe(&mut self, before: Observed, after: Observed, event: &Event) {
        let Some(module) = &event.module else { return };
        let metrics = &mut self.changes.metrics;
        let difference = i64::from(after.running) - i64::from(before.running);
        if difference != 0 {
            *metrics.entry(MetricKey::Running { module: module.clone() }).or_default() +=
                difference;
        }
        if after.failed && !before.failed {
            *metrics.entry(MetricKey::Failures { module: module.clone() }).or_default() += 1;
        }
        if let (None, Some((started_at, ended_at))) = (before.finished, after.finished) {
            let (bucket, micros) = metrics::duration(started_at, ended_at);
            let bucket = MetricKey::DurationBucket { module: module.clone(), bucket };
            *metrics.entry(bucket).or_default() += 1;
            let sum = MetricKey::DurationMicros { module: module.clone() };
            *metrics.entry(sum).or_default() += micros;
        }
    }
}

/// Stops folding the event's job, and keeps the event. Other things have no life cycle to lose: what
/// is known of the event still counts for them.
fn freeze(context: &mut Context<'_>, reason: Parked, detail: String) {
    context.parked = Some((reason, detail));
    let Entity::Job { tenant, job_id, user_id, module } = context.entity else { return };
    let at = context.event.at;
    let change = context.job.get_or_insert_with(|| {
        let (tenant, user_id) = (tenant.clone(), user_id.clone());
        JobChange::new(rows::shell(*job_id, tenant, user_id, module.clone(), context.entry.n, at))
    });
    if !change.row.is_frozen() {
        change.row.parked = Some(reason);
    }
}

/// What metrics see of a job.
#[derive(Clone, Copy, Default)]
struct Observed {
    running: bool,
    failed: bool,
    /// Start and end, once it succeeded or failed.
    finished: Option<(Timestamp, Timestamp)>,
}

impl Observed {
    fn of(change: Option<&JobChange>) -> Self {
        let Some(change) = change else { return Self::default() };
        let job = &change.row.job;
        let state = job.state();
        let counts = matches!(state, JobState::Succeeded | JobState::Failed);
        Self {
            // Nobody knows whether a frozen job still runs.
            running: state == JobState::Running && !change.row.is_frozen(),
            failed: state == JobState::Failed,
            finished: job.started_at.zip(job.ended_at).filter(|_| counts),
        }
    }
}

impl JobChange {
    fn new(row: StoredJob) -> Self {
        let created = Some(Created::default());
        Self { row, created, reserved_resources: None, outputs: None }
    }

    /// Takes over what only passes through.
    fn carry(&mut self, fact: &Fact) {
        if let Fact::Submitted(submitted) = fact {
            self.created = Some(Created {
                inputs: Some(submitted.inputs.clone()),
                fingerprint: submitted.fingerprint.clone(),
            });
        }
        if let Fact::Rejected(rejected) = fact {
            self.created = Some(Created {
                inputs: Some(rejected.inputs.clone()),
                fingerprint: rejected.fingerprint.clone(),
            });
        }
        if let Fact::Succeeded { outputs, .. } = fact {
            self.outputs = Some(outputs.clone());
        }
    }
}

impl ReservedResources {
    fn new(resources: Resources, cpu_seconds: i64) -> Self {
        let Resources { cpu, mem_mb, wall_time_s, gpu } = resources;
        Self { cpu, mem_mb, wall_time_s, gpu, cpu_seconds }
    }
}

/// Moves a job's entry; `None` if it does not have what is moved.
fn move_entry(mut entry: JobLedger, fact: &Fact) -> Option<JobLedger> {
    if let Fact::Reserved { cpu_seconds, .. } = fact {
        entry.reservation = entry.reservation.checked_add(*cpu_seconds)?;
        entry.reserved = entry.reserved.checked_add(*cpu_seconds)?;
    }
    if let Fact::Settled { cpu_seconds, overrun, .. } = fact {
        entry.reserved = entry.reserved.checked_sub(*cpu_seconds)?;
        entry.used = entry.used.checked_add(*cpu_seconds)?;
        entry.overrun = entry.overrun.checked_add(*overrun)?;
    }
    if let Fact::Released { cpu_seconds, .. } = fact {
        entry.reserved = entry.reserved.checked_sub(*cpu_seconds)?;
    }
    (entry.reserved >= 0 && entry.used >= 0 && entry.overrun >= 0).then_some(entry)
}

/// Moves an account's balance; `None` if it does not have what is moved.
fn move_balance(mut balance: Balance, fact: &Fact) -> Option<Balance> {
    if let Fact::Reserved { cpu_seconds, .. } = fact {
        balance.free = balance.free.checked_sub(*cpu_seconds)?;
        balance.reserved = balance.reserved.checked_add(*cpu_seconds)?;
    }
    if let Fact::Settled { cpu_seconds, overrun, .. } = fact {
        balance.reserved = balance.reserved.checked_sub(*cpu_seconds)?;
        balance.used = balance.used.checked_add(*cpu_seconds)?;
        balance.overrun = balance.overrun.checked_add(*overrun)?;
    }
    if let Fact::Released { cpu_seconds, .. } = fact {
        balance.reserved = balance.reserved.checked_sub(*cpu_seconds)?;
        balance.free = balance.free.checked_add(*cpu_seconds)?;
    }
    (balance.is_balanced() && balance.used >= 0).then_some(balance)
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
        self.workers.extend(changes.workers);
    }
}
