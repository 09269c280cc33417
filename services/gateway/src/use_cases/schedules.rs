//! Schedules: jobs that are submitted again and again.

use std::time::Duration;

use nox_calendar::{Calendar, NoCalendar};
use nox_contract::{
    Accepted, Command, DeleteSchedule, JobId, JobTemplate, Metadata, Overlap, PauseSchedule,
    ProblemCode, Resources, ScheduleId, ScheduleSpec, SetSchedule, Timestamp, TriggerSchedule,
};
use nox_readmodel::{query::ScheduleRow, rows::StoredSchedule};
use nox_service::ids;

use super::{
    decided::decided,
    job_request::{AskedResources, JobRequest},
    look_over::look_over,
};
use crate::{
    app::App,
    identity::auth::{ADMIN, Caller},
    problem::{ApiError, FieldError, Moved},
    read::{barrier::Sources, required::Required},
};

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// How late an occurrence may be submitted at most, in seconds: a week.
pub const CATCH_UP_S_MAX: u32 = 7 * 24 * 3_600;

/// How long an answer waits for the leader's word of when a schedule is due next, which follows that it was set
/// within milliseconds.
const PLAN_WAIT: Duration = Duration::from_secs(2);
/// How often the view is looked at meanwhile.
const PLAN_PAUSE: Duration = Duration::from_millis(10);

/// A schedule as its owner wants it.
pub struct Wanted {
    pub name: String,
    pub cron: String,
    pub time_zone: String,
    pub overlap: Overlap,
    pub catch_up_s: u32,
    pub job: JobRequest,
    /// Where the job's body has what stands elsewhere in its inputs.
    pub moved: Vec<Moved>,
}

/// A schedule that was changed.
pub struct Changed {
    pub id: ScheduleId,
    /// `None` while nobody has decided.
    pub accepted: Option<Accepted>,
    pub next_due_at: Option<Timestamp>,
}

/// Makes a schedule, or replaces the one of this id.
pub async fn set(
    app: &App,
    caller: &Caller,
    replaced: Option<ScheduleId>,
    wanted: Wanted,
) -> Result<Changed, ApiError> {
    let known = match replaced {
        Some(id) => Some(find(app, caller, id).await?.1),
        None => None,
    };
    let spec = checked(app, caller, known.as_ref(), wanted).await?;
    let id = replaced.unwrap_or_else(|| ScheduleId(ids::unique()));
    let set = SetSchedule {
        schedule_id: id,
        new: replaced.is_none(),
        spec: spec.clone(),
        by: caller.user.clone(),
        role: caller.role().to_owned(),
        key_id: caller.key_id,
        admin: caller.admin,
    };
    let command = Command::SetSchedule(Box::new(set));
    let accepted = decided(app, &caller.tenant, &command).await?;
    let paused = known.is_some_and(|known| known.paused.is_some());
    let next_due_at = match &accepted {
        Some(_) if !paused => planned(app, caller, id, &spec).await,
        _ => None,
    };
    Ok(Changed { id, accepted, next_due_at })
}

async fn checked(
    app: &App,
    caller: &Caller,
    known: Option<&StoredSchedule>,
    wanted: Wanted,
) -> Result<ScheduleSpec, ApiError> {
    let errors = wanted.errors(app.runtime.clock.wall());
    if !errors.is_empty() {
        return Err(ApiError::invalid(errors));
    }
    let Wanted { name, cron, time_zone, overlap, catch_up_s, job, moved } = wanted;
    let requested_resources = judge(app, caller, known, &job)
        .await
        .map_err(|error| error.placed(&moved).within("/job"))?;
    let Metadata { labels, release_id, retry_of: _ } = job.metadata;
    let job = JobTemplate {
        module: job.module,
        // One that names no version gets the one that is present when it is submitted.
        module_version: job.module_version,
        worker_labels: job.worker_labels,
        inputs: job.inputs,
        requested_resources,
        priority: job.priority,
        labels,
        release_id,
        concurrency: job.concurrency,
    };
    Ok(ScheduleSpec { name, cron, time_zone, overlap, catch_up_s, job })
}

impl Wanted {
    /// All that is wrong with it but for what its module says.
    fn errors(&self, now: Timestamp) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut wrong = |pointer: &str, detail: &str| errors.push(FieldError::new(pointer, detail));
        let Self { name, cron, time_zone, catch_up_s, job, .. } = self;
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || name.contains(char::is_control) {
            let rule = format!("must have 1 to {NAME_BYTES_MAX} bytes, without control characters");
            wrong("/name", &rule);
        }
        if *catch_up_s > CATCH_UP_S_MAX {
            wrong("/catch_up_s", &format!("must be from 0 to {CATCH_UP_S_MAX}"));
        }
        let when = "cannot be here: the schedule says when its jobs are submitted";
        if job.run_at.is_some() {
            wrong("/job/run_at", when);
        }
        if !job.after.is_empty() {
            wrong("/job/after", when);
        }
        if job.draft {
            wrong("/job/draft", "cannot be true here: a schedule's jobs are to run");
        }
        match Calendar::new(cron, time_zone) {
            Err(error @ NoCalendar::TimeZone) => wrong("/time_zone", &error.to_string()),
            Err(error @ NoCalendar::Cron(_)) => wrong("/cron", &error.to_string()),
            Ok(calendar) if calendar.next(now).is_none() => wrong("/cron", "is never due"),
            Ok(_) => {}
        }
        errors
    }
}

/// Judges a schedule's job as a submit would be judged, of whoever asks as far as it is about what may be run, and
/// of its owner, whose job it is: of its uploads, for one. Says which resources it has.
async fn judge(
    app: &App,
    caller: &Caller,
    known: Option<&StoredSchedule>,
    job: &JobRequest,
) -> Result<Resources, ApiError> {
    app.command_roles.check(caller, &job.module)?;
    let of_other = known.filter(|known| known.owner != caller.user).map(owner);
    let submitter = of_other.as_ref().unwrap_or(caller);
    app.command_roles.check(submitter, &job.module)?;
    Ok(look_over(app, submitter, job).await?.resources)
}

/// Whom a schedule's jobs are of.
fn owner(schedule: &StoredSchedule) -> Caller {
    Caller {
        tenant: schedule.tenant.clone(),
        user: schedule.owner.clone(),
        admin: schedule.role == ADMIN,
        key_id: None,
        token_id: None,
        scopes: Vec::new(),
        expires_at: None,
    }
}

/// When a schedule is due next that was just set or resumed: the leader's word, or what it will say if that takes
/// long. It is set, so nothing that fails here is its asker's to hear.
async fn planned(
    app: &App,
    caller: &Caller,
    id: ScheduleId,
    spec: &ScheduleSpec,
) -> Option<Timestamp> {
    let word = async {
        loop {
            let read = || app.reader.schedule(&caller.tenant, id);
            match app.barrier.read(&Required::default(), read).await.ok()?.value {
                Some((_, schedule)) if schedule.planned => return schedule.next_due_at,
                Some((_, schedule)) if schedule.paused.is_some() => return None,
                Some(_) => tokio::time::sleep(PLAN_PAUSE).await,
                // Somebody deleted it meanwhile.
                None => return None,
            }
        }
    };
    match tokio::time::timeout(PLAN_WAIT, word).await {
        Ok(next_due_at) => next_due_at,
        Err(_) => next_times(spec, app.runtime.clock.wall(), 1).pop(),
    }
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

/// When a schedule is due next, at most so often, as the time zones of this gateway have it.
pub fn next_times(spec: &ScheduleSpec, now: Timestamp, count: usize) -> Vec<Timestamp> {
    let calendar = Calendar::new(&spec.cron, &spec.time_zone).ok();
    let mut due = now;
    let next = std::iter::from_fn(|| {
        due = calendar.as_ref()?.next(due)?;
        Some(due)
    });
    next.take(count).collect()
}

/// The schedule submits nothing for now.
pub async fn pause(app: &App, caller: &Caller, id: ScheduleId) -> Result<Changed, ApiError> {
    let accepted = switch(app, caller, id, true).await?;
    Ok(Changed { id, accepted, next_due_at: None })
}

/// The schedule goes on.
pub async fn resume(app: &App, caller: &Caller, id: ScheduleId) -> Result<Changed, ApiError> {
    let (_, schedule) = find(app, caller, id).await?;
    let accepted = switch(app, caller, id, false).await?;
    let next_due_at = match &accepted {
        Some(_) => planned(app, caller, id, &schedule.spec).await,
        None => None,
    };
    Ok(Changed { id, accepted, next_due_at })
}

async fn switch(
    app: &App,
    caller: &Caller,
    schedule_id: ScheduleId,
    paused: bool,
) -> Result<Option<Accepted>, ApiError> {
    let (by, key_id, admin) = (caller.user.clone(), caller.key_id, caller.admin);
    let pause = PauseSchedule { schedule_id, paused, by, key_id, admin };
    decided(app, &caller.tenant, &Command::PauseSchedule(pause)).await
}

/// The schedule is no more; its jobs go on.
pub async fn delete(app: &App, caller: &Caller, id: ScheduleId) -> Result<Changed, ApiError> {
    let (by, admin) = (caller.user.clone(), caller.admin);
    let delete = DeleteSchedule { schedule_id: id, by, admin };
    let accepted = decided(app, &caller.tenant, &Command::DeleteSchedule(delete)).await?;
    Ok(Changed { id, accepted, next_due_at: None })
}

/// Submits the schedule's job at once, if a submit of the same job would be taken in.
pub async fn trigger(
    app: &App,
    caller: &Caller,
    schedule_id: ScheduleId,
) -> Result<(JobId, Option<Accepted>), ApiError> {
    let (_, schedule) = find(app, caller, schedule_id).await?;
    let job = request(&schedule.spec.job);
    // What is wrong stands in no body of this request.
    let judged = judge(app, caller, Some(&schedule), &job).await;
    judged.map_err(ApiError::placeless)?;
    let (job_id, seen) = (ids::job_id(), app.log_end.recent().await?);
    let trigger = TriggerSchedule {
        schedule_id,
        job_id,
        seen,
        module: job.module,
        by: caller.user.clone(),
        role: caller.role().to_owned(),
        admin: caller.admin,
    };
    let accepted = decided(app, &caller.tenant, &Command::TriggerSchedule(trigger)).await?;
    Ok((job_id, accepted))
}

/// A schedule's job as if it were asked for.
fn request(job: &JobTemplate) -> JobRequest {
    let Resources { cpu, mem_mb, wall_time_s, gpu } = job.requested_resources;
    JobRequest {
        module_version: job.module_version.clone(),
        worker_labels: job.worker_labels.clone(),
        resources: AskedResources {
            cpu: Some(cpu),
            mem_mb: Some(mem_mb),
            wall_time_s: Some(wall_time_s),
            gpu: Some(gpu),
        },
        priority: job.priority,
        metadata: job.metadata(),
        concurrency: job.concurrency.clone(),
        // Nobody compares it with another request.
        ..JobRequest::new(job.module.clone(), job.inputs.clone(), job.inputs.clone())
    }
}

pub fn no_such_schedule() -> ApiError {
    ApiError::new(ProblemCode::ScheduleNotFound, "there is no such schedule of yours")
}
