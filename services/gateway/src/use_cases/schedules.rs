//! Schedules: jobs that are submitted again and again.

use nox_calendar::Calendar;
use nox_contract::{
    Accepted, Command, DeleteSchedule, JobId, JobTemplate, Metadata, Overlap, PauseSchedule,
    ProblemCode, ScheduleId, ScheduleSpec, SetSchedule, Timestamp, TriggerSchedule,
};
use nox_readmodel::query::ScheduleRow;
use nox_service::ids;

use super::{
    decided::decided,
    job_request::JobRequest,
    submit::{Prepared, prepare},
};
use crate::{
    app::App,
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    read::{barrier::Sources, required::Required},
};

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// How late an occurrence may be submitted at most, in seconds: a week.
pub const CATCH_UP_S_MAX: u32 = 7 * 24 * 3_600;

/// A schedule as its owner wants it.
pub struct Wanted {
    pub name: String,
    pub cron: String,
    pub time_zone: String,
    pub overlap: Overlap,
    pub catch_up_s: u32,
    pub job: JobRequest,
}

/// Makes a schedule, or replaces the one of this id.
pub async fn set(
    app: &App,
    caller: &Caller,
    replaced: Option<ScheduleId>,
    wanted: Wanted,
) -> Result<(ScheduleId, Option<Accepted>), ApiError> {
    let spec = checked(app, caller, wanted).await?;
    if let Some(id) = replaced {
        find(app, caller, id).await?;
    }
    let schedule_id = replaced.unwrap_or_else(|| ScheduleId(ids::unique()));
    let set = SetSchedule {
        schedule_id,
        new: replaced.is_none(),
        spec,
        by: caller.user.clone(),
        role: caller.role().to_owned(),
        admin: caller.admin,
    };
    let command = Command::SetSchedule(Box::new(set));
    Ok((schedule_id, decided(app, &caller.tenant, &command).await?))
}

async fn checked(app: &App, caller: &Caller, wanted: Wanted) -> Result<ScheduleSpec, ApiError> {
    let Wanted { name, cron, time_zone, overlap, catch_up_s, job } = wanted;
    let mut errors = Vec::new();
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || name.contains(char::is_control) {
        let detail = format!("must have 1 to {NAME_BYTES_MAX} bytes, without control characters");
        errors.push(FieldError::new("/name", detail));
    }
    if catch_up_s > CATCH_UP_S_MAX {
        let detail = format!("must be from 0 to {CATCH_UP_S_MAX}");
        errors.push(FieldError::new("/catch_up_s", detail));
    }
    if job.run_at.is_some() || !job.after.is_empty() {
        let detail = "cannot have run_at or after: the schedule says when it is submitted";
        errors.push(FieldError::new("/job", detail));
    }
    // What a template does not keep yet must not be passed over.
    if job.metadata != Metadata::default() || job.concurrency.is_some() || job.draft {
        let detail =
            "cannot have labels, release_id, concurrency or draft: schedules do not keep them";
        errors.push(FieldError::new("/job", detail));
    }
    match Calendar::new(&cron, &time_zone) {
        Err(error) => {
            let of_zone = error == nox_calendar::NoCalendar::TimeZone;
            let pointer = if of_zone { "/time_zone" } else { "/cron" };
            errors.push(FieldError::new(pointer, error.to_string()));
        }
        Ok(calendar) if calendar.next(app.runtime.clock.wall()).is_none() => {
            errors.push(FieldError::new("/cron", "is never due"));
        }
        Ok(_) => {}
    }
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    let Prepared::New(submit) = prepare(app, caller, &job, None, None).await? else {
        return Err(ApiError::internal(anyhow::anyhow!("a job without a key is known already")));
    };
    let job = JobTemplate {
        module: job.module,
        // One that names no version gets the one that is present when it is submitted.
        module_version: job.module_version,
        worker_labels: job.worker_labels,
        inputs: submit.inputs,
        requested_resources: submit.requested_resources,
        priority: job.priority,
    };
    Ok(ScheduleSpec { name, cron, time_zone, overlap, catch_up_s, job })
}

/// A schedule that the caller may see.
pub async fn find(app: &App, caller: &Caller, id: ScheduleId) -> Result<ScheduleRow, ApiError> {
    let read = || async move {
        let found = app.reader.schedule(&caller.tenant, id).await?;
        Ok(found.map(|row| {
            row.filter(|(_, schedule)| caller.sees_jobs_of(&schedule.tenant, &schedule.owner))
        }))
    };
    let found = app.barrier.find(Required::default(), Sources::Commands, read).await?;
    found.value.ok_or_else(no_such_schedule)
}

/// Schedules that the caller may see; for admins, all of the tenant.
pub async fn list(
    app: &App,
    caller: &Caller,
    after: Option<ScheduleId>,
    limit: usize,
) -> Result<Vec<ScheduleRow>, ApiError> {
    let user = (!caller.admin).then_some(&caller.user);
    let read = || app.reader.schedules(&caller.tenant, user, after, limit);
    Ok(app.barrier.read(&Required::default(), read).await?.value)
}

/// When a schedule is due next, at most so often, as the time zones of this gateway have it; never while it is
/// paused.
pub fn next_times((_, schedule): &ScheduleRow, now: Timestamp, count: usize) -> Vec<Timestamp> {
    let calendar = Calendar::new(&schedule.spec.cron, &schedule.spec.time_zone).ok();
    let calendar = calendar.filter(|_| !schedule.paused);
    let mut due = now;
    let next = std::iter::from_fn(|| {
        due = calendar.as_ref()?.next(due)?;
        Some(due)
    });
    next.take(count).collect()
}

pub async fn pause(
    app: &App,
    caller: &Caller,
    schedule_id: ScheduleId,
    paused: bool,
) -> Result<Option<Accepted>, ApiError> {
    let (by, admin) = (caller.user.clone(), caller.admin);
    let pause = PauseSchedule { schedule_id, paused, by, admin };
    decided(app, &caller.tenant, &Command::PauseSchedule(pause)).await
}

pub async fn delete(
    app: &App,
    caller: &Caller,
    schedule_id: ScheduleId,
) -> Result<Option<Accepted>, ApiError> {
    let delete = DeleteSchedule { schedule_id, by: caller.user.clone(), admin: caller.admin };
    decided(app, &caller.tenant, &Command::DeleteSchedule(delete)).await
}

/// Submits the schedule's job at once.
pub async fn trigger(
    app: &App,
    caller: &Caller,
    schedule_id: ScheduleId,
) -> Result<(JobId, Option<Accepted>), ApiError> {
    let (job_id, seen) = (ids::job_id(), app.log_end.recent().await?);
    let (by, admin) = (caller.user.clone(), caller.admin);
    let trigger = TriggerSchedule { schedule_id, job_id, seen, by, admin };
    let accepted = decided(app, &caller.tenant, &Command::TriggerSchedule(trigger)).await?;
    Ok((job_id, accepted))
}

pub fn no_such_schedule() -> ApiError {
    ApiError::new(ProblemCode::ScheduleNotFound, "there is no such schedule of yours")
}
