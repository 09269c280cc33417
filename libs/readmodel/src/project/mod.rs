//! How an entry changes rows: rows and entries in, rows out. No I/O and no clock.
//!
//! A job moves by `nox_core`'s fold alone. What an entry cannot be folded into is parked; what cannot
//! follow at all stops the reader.

mod account;
mod budget;
mod changes;
mod job;
mod key;
mod needed;
mod registry;
mod schedule;
mod usage;
mod webhook;

use std::time::Duration;

use nox_contract::{Entity, Entry, Fact, FactOrUnknown, JobId, ProblemCode, Timestamp};
use nox_core::job::IllegalFact;

use crate::{
    batch::{EntryPlace, PlacedEntry},
    metrics::MetricKey,
    rows::{self, Parked, Rows},
    storable,
};
pub use changes::{Changes, Created, JobChange, ParkedEntry, ReservedResources, Stored, Violation};
use job::{Observed, freeze};
pub use needed::{Needed, needed};
pub use usage::AccountOf;

/// For so long the row of an ended job is there in any case: the least that `NOX_KEEP_DAYS` can be. Its key
/// makes another job only where a gateway saw no row, so one that does so earlier is a mistake of somebody's.
/// An id without a key makes no other job ever.
const KEPT_AT_LEAST: Duration = Duration::from_secs(24 * 60 * 60);

/// An entry that cannot follow those before it: log or code is broken, and the reader stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalEntry {
    #[error("{at}: {source}")]
    Fact { at: EntryPlace, source: IllegalFact },
    #[error("{at}: {fact} does not belong to {entity}")]
    Misplaced { at: EntryPlace, fact: &'static str, entity: &'static str },
    #[error("{at}: it has fields of several entities")]
    NoEntity { at: EntryPlace },
    #[error("{at}: {fact} finds no budget of that period on {account}")]
    NotGranted { at: EntryPlace, fact: &'static str, account: String },
    #[error("{at}: {fact} does not balance on {account}")]
    Unbalanced { at: EntryPlace, fact: &'static str, account: String },
    #[error("{at}: {fact} names another period than the job's reservation")]
    OtherPeriod { at: EntryPlace, fact: &'static str },
}

/// What to make of entries.
#[derive(Debug, Clone, Copy)]
pub enum Treatment<'a> {
    /// Fold them in.
    Fold,
    /// The same for entries of one job, of which alone something is asked: accounts stay as they are, and what
    /// cannot be folded is not kept.
    Alone,
    /// Postgres refused the rows: freeze the job where it stood, and let only the ledger move, so
    /// that the accounts stay right for everybody else.
    Freeze { detail: &'a str },
    /// It refused even that: keep the bytes and nothing else.
    KeepBytes { detail: &'a str },
}

/// Folds `entries` into `rows`, which stay as they are; [`Rows::absorb`] takes the changes over once
/// they are written. What happens to one thing several times is one change.
///
/// # Errors
/// An entry cannot follow. Nothing of the batch may be written.
pub fn project(
    rows: &Rows,
    entries: &[PlacedEntry<'_>],
    treatment: Treatment<'_>,
) -> Result<Changes, IllegalEntry> {
    let mut projection = Projection { rows, treatment, changes: Changes::default() };
    for placed in entries {
        projection.entry(*placed)?;
    }
    let mut changes = projection.changes;
    usage::count(rows, &mut changes);
    Ok(changes)
}

pub(crate) struct Projection<'a> {
    rows: &'a Rows,
    treatment: Treatment<'a>,
    changes: Changes,
}

/// An entry while it is being folded in.
pub(crate) struct Context<'a> {
    placed: PlacedEntry<'a>,
    entity: &'a Entity,
    /// The place of the fact at hand among all facts of the frame, counted from 0.
    part: u32,
    /// The job that the entry is about, where it exists.
    job: Option<JobChange>,
    /// Why the entry must be kept byte for byte.
    parked: Option<(Parked, String)>,
}

impl Context<'_> {
    fn misplaced(&self, fact: &Fact) -> IllegalEntry {
        let entity = match self.entity {
            Entity::Job { .. } => "a job",
            Entity::Account { .. } => "an account",
            Entity::Worker(_) => "a worker",
            Entity::Module(_) => "a module",
            Entity::Topic { .. } => "a topic",
            Entity::Key { .. } => "a key",
            Entity::Schedule { .. } => "a schedule",
            Entity::Webhook { .. } => "a webhook",
            Entity::Control => "the log",
        };
        IllegalEntry::Misplaced { at: self.placed.stands(), fact: fact.name(), entity }
    }

    fn park(&mut self, reason: Parked, detail: String) {
        self.parked.get_or_insert((reason, detail));
    }
}

impl Projection<'_> {
    fn entry(&mut self, placed: PlacedEntry<'_>) -> Result<(), IllegalEntry> {
        let entry = placed.entry;
        let entity = entry.entity().ok_or(IllegalEntry::NoEntity { at: placed.stands() })?;
        let part = placed.fact_first;
        let mut context = Context { placed, entity: &entity, part, job: None, parked: None };
        if let Entity::Job { job_id, .. } = &entity {
            context.job = self.open(*job_id, placed.at, begins(entry));
        }
        let before = Observed::of(context.job.as_ref());

        match self.treatment {
            Treatment::KeepBytes { detail } => {
                context.park(Parked::Refused, detail.to_owned());
                match (&mut context.job, entry.job_id) {
                    (Some(change), _) => change.freeze(Parked::Refused),
                    (None, id) => self.changes.rowless.extend(id),
                }
            }
            Treatment::Freeze { detail } => {
                freeze(&mut context, Parked::Refused, detail.to_owned());
                self.facts(&mut context)?;
            }
            Treatment::Fold if self.is_rowless(&context) => {
                context.park(Parked::Refused, "the job's first entry was refused".to_owned());
            }
            Treatment::Fold | Treatment::Alone => self.facts(&mut context)?,
        }
        self.observe(before, Observed::of(context.job.as_ref()), entry);
        self.close(context);
        Ok(())
    }

    fn is_rowless(&self, context: &Context<'_>) -> bool {
        context.job.is_none()
            && context.placed.entry.job_id.is_some_and(|id| self.rows.rowless.contains(&id))
    }

    fn facts(&mut self, context: &mut Context<'_>) -> Result<(), IllegalEntry> {
        let placed = context.placed;
        for (index, fact) in (0..).zip(&placed.entry.facts) {
            context.part = placed.fact_first + index;
            match fact {
                FactOrUnknown::Known(fact) => self.fact(context, fact)?,
                FactOrUnknown::Unknown(_) => {
                    let detail = format!("fact {index} is not known to this version");
                    freeze(context, Parked::UnknownFact, detail);
                }
            }
        }
        Ok(())
    }

    /// One arm for what each fact moves; a new fact asks here what to do.
    fn fact(&mut self, context: &mut Context<'_>, fact: &Fact) -> Result<(), IllegalEntry> {
        let storable = storable::check(fact);
        if let Err(reason) = &storable {
            context.park(Parked::Unstorable, format!("{} {reason}", fact.name()));
        }
        match fact {
            Fact::Submitted(_)
            | Fact::Drafted(_)
            | Fact::DraftSubmitted {}
            | Fact::Rejected(_)
            | Fact::Canceled { .. }
            | Fact::Waiting { .. }
            | Fact::Assigned { .. }
            | Fact::RetryScheduled { .. }
            | Fact::StopRequested { .. }
            | Fact::AttemptLost { .. }
            | Fact::Started { .. }
            | Fact::Progressed { .. }
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
            | Fact::WorkerOffered { .. }
            | Fact::WorkerDraining { .. }
            | Fact::WorkerDrained { .. }
            | Fact::WorkerUndrained { .. }
            | Fact::WorkerPaused { .. }
            | Fact::WorkerResumed { .. }
            | Fact::WorkerLeft { .. } => self.move_worker(context, fact, storable.is_ok()),
            Fact::ModuleDeclared { .. }
            | Fact::ModuleRegistered { .. }
            | Fact::ModuleSwitched { .. } => self.move_module(context, fact, storable.is_ok()),
            Fact::TopicRegistered { .. } | Fact::TopicRemoved {} => {
                self.move_topic(context, fact, storable.is_ok())
            }
            Fact::KeyCreated { .. } | Fact::KeyRevoked { .. } => {
                self.move_key(context, fact, storable.is_ok())
            }
            Fact::ScheduleSet { .. }
            | Fact::SchedulePaused { .. }
            | Fact::ScheduleResumed { .. }
            | Fact::SchedulePlanned { .. }
            | Fact::ScheduleOccurred { .. }
            | Fact::ScheduleTriggered { .. }
            | Fact::ScheduleDeleted { .. } => self.move_schedule(context, fact, storable.is_ok()),
            Fact::WebhookSet { .. }
            | Fact::WebhookRotated { .. }
            | Fact::WebhookTested { .. }
            | Fact::WebhookRedelivered { .. }
            | Fact::WebhookDisabled { .. }
            | Fact::WebhookDeleted { .. } => self.move_webhook(context, fact, storable.is_ok()),
            // These say what later decisions rest on, and where reading the inputs goes on; the
            // positions stand in every frame, and nobody reads the rest from rows.
            Fact::Configured { .. } | Fact::InputsReset { .. } => match context.entity {
                Entity::Control => Ok(()),
                _ => Err(context.misplaced(fact)),
            },
        }
    }

    /// Takes the job's change out of the batch's, or begins one. A row that was kept long enough by `at`
    /// is not there any more, whether it has been removed yet or not. Nor is one that need not have been
    /// there any more when the entry made a job of the same key: rows that are made again with more days
    /// must not stop there.
    fn open(&mut self, id: JobId, at: Timestamp, begins: bool) -> Option<JobChange> {
        let change = match self.changes.places.get(&id) {
            Some(place) => self.changes.jobs[*place].clone(),
            None => JobChange::of(self.rows.jobs.get(&id)?.clone()),
        };
        let is_followed =
            begins && id.is_keyed() && change.row.is_expired(Some(at - KEPT_AT_LEAST));
        if is_followed || change.row.is_expired(self.rows.keep.map(|keep| at - keep)) {
            self.changes.expired.push(id);
            return None;
        }
        Some(change)
    }

    /// Files what became of the entry's job, and the entry itself if it must be kept.
    fn close(&mut self, context: Context<'_>) {
        let Context { placed, job, mut parked, .. } = context;
        let rowless = placed.entry.job_id.is_some() && job.is_none();
        if let Some(mut change) = job {
            if placed.n > change.row.n {
                rows::push_frame(&mut change.row.frames, change.row.n, placed.n);
                change.row.n = placed.n;
            }
            if let (None, Some((reason, _))) = (change.row.parked, &parked) {
                change.row.parked = Some(*reason);
            }
            if let Some(reason) = change.row.parked.filter(|reason| reason.is_frozen()) {
                parked.get_or_insert_with(|| (reason, "follows a parked entry".to_owned()));
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
        if let Treatment::Alone = self.treatment {
            return;
        }
        *self.changes.metrics.entry(MetricKey::Parked { reason }).or_default() += 1;
        self.changes.parked.push(ParkedEntry {
            n: placed.n,
            place: placed.place,
            tenant: placed.entry.tenant.clone(),
            job_id: placed.entry.job_id,
            at: placed.at,
            rowless,
            reason,
            detail,
            payload: placed.raw(),
        });
    }
}

/// Whether the entry makes a job, whatever there was under its id. A stale copy of a submit makes one only
/// where there is none.
fn begins(entry: &Entry) -> bool {
    match entry.facts.first() {
        Some(FactOrUnknown::Known(Fact::Submitted(_) | Fact::Drafted(_))) => true,
        Some(FactOrUnknown::Known(Fact::Rejected(rejected))) => {
            rejected.refusal.code != ProblemCode::StaleStamp
        }
        _ => false,
    }
}
