//! How an event changes rows: rows and events in, rows out. No I/O and no clock.
//!
//! A job moves by `nox_core`'s fold alone. What an event cannot be folded into is parked; what cannot
//! follow at all stops the reader.

mod account;
mod budget;
mod changes;
mod job;
mod needed;
mod registry;

use nox_contract::{Entity, Event, EventNumber, Fact, FactOrUnknown, JobId};
use nox_core::job::IllegalFact;
use nox_protocol::Record;

use crate::{
    batch::Entry,
    metrics::MetricKey,
    rows::{self, Parked, Rows},
    storable,
};
pub use changes::{Changes, Created, JobChange, ParkedEvent, ReservedResources, Violation};
use job::{Observed, freeze};
pub use needed::{Needed, needed};

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

pub(crate) struct Projection<'a> {
    rows: &'a Rows,
    treatment: Treatment<'a>,
    changes: Changes,
}

/// An event while it is being folded in.
pub(crate) struct Context<'a> {
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
                match (&mut context.job, event.job_id) {
                    (Some(change), _) => change.freeze(Parked::Refused),
                    (None, id) => self.changes.rowless.extend(id),
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
            Fact::WorkerJoined { .. }
            | Fact::WorkerDraining { .. }
            | Fact::WorkerPaused { .. }
            | Fact::WorkerResumed { .. }
            | Fact::WorkerLeft { .. } => self.move_worker(context, fact, storable.is_ok()),
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
}
