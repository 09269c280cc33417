//! Why a job stands where it stands: since when, what is in its way, and how it came to that.

use nox_contract::{
    Capacity, JobId, JobState, Resources, TenantId, Timestamp, UserId, WaitingCode, subject,
};
use nox_readmodel::{AsOf, JobRow, Past, query::BlockingRow};

use super::{past::history, then};
use crate::{app::App, identity::auth::Caller, problem::ApiError, read::required::Required};

/// Most jobs that are named as being in the way, and that are counted ahead.
pub const NAMED_MAX: usize = 100;
pub const AHEAD_MAX: usize = 1_000;

pub struct Why {
    pub past: Past,
    /// Of a job that waits, or waited then.
    pub obstacle: Option<Obstacle>,
    /// The end of the spans that are still open.
    pub until: Timestamp,
}

/// What a job waits for.
#[derive(Default)]
pub struct Obstacle {
    /// Those of them that the asker may see, at most [`NAMED_MAX`].
    pub jobs: Vec<BlockingRow>,
    /// How many there are beside these, as far as that is known.
    pub others: usize,
    pub limit: Option<Limit>,
    /// What is asked for, and the most that a worker has of each.
    pub resources: Option<(Resources, Option<Capacity>)>,
    /// Jobs of the same owner and module before it, at most [`AHEAD_MAX`].
    pub ahead: Option<usize>,
}

/// What may not be more, whose that is, and how much of it is taken, where it is counted.
pub struct Limit {
    pub name: &'static str,
    pub of: String,
    pub most: u64,
    pub used: Option<u64>,
}

/// Why the job of `row` stands where it stands, or stood then.
pub async fn why(
    app: &App,
    caller: &Caller,
    row: &JobRow,
    as_of: Option<AsOf>,
) -> Result<Why, ApiError> {
    let past = history(app, row, as_of).await?;
    let now = app.runtime.clock.wall();
    let last = past.standings.last().map_or(row.created_at, |standing| standing.from);
    let until = match as_of {
        None => now,
        Some(AsOf::Instant(at)) => at.min(now),
        Some(AsOf::Frame(_)) => last,
    };
    let obstacle = match (as_of, past.row.waiting_code) {
        (None, Some(code)) => Some(obstacle(app, caller, &past, code).await?),
        (Some(_), Some(_)) => {
            let (fold, caller, id) = (then::state(app, as_of).await?, caller.clone(), row.id);
            then::told(fold, move |fold| then::obstacle(fold, &caller, id)).await?
        }
        (_, None) => None,
    };
    Ok(Why { past, obstacle, until: until.max(last) })
}

async fn obstacle(
    app: &App,
    caller: &Caller,
    Past { row, followed, .. }: &Past,
    code: WaitingCode,
) -> Result<Obstacle, ApiError> {
    let mut found = match code {
        WaitingCode::Dependency => dependencies(app, caller, row, followed).await?,
        WaitingCode::Concurrency => concurrency(app, caller, row).await?,
        WaitingCode::Quota => quota(app, caller, row).await?,
        WaitingCode::Resources | WaitingCode::Unsatisfiable => {
            let asked = row.reserved_resources.map_or(row.requested_resources, Resources::from);
            let read = || app.reader.largest_worker(&row.module);
            let largest = app.barrier.read(&Required::default(), read).await?.value;
            Obstacle { resources: Some((asked, largest)), ..Obstacle::default() }
        }
        _ => Obstacle::default(),
    };
    if is_in_turn(code) {
        let read = || app.reader.queued_ahead(row, AHEAD_MAX);
        found.ahead = Some(app.barrier.read(&Required::default(), read).await?.value);
    }
    Ok(found)
}

/// Whether others are served first while this is the reason.
pub(super) fn is_in_turn(code: WaitingCode) -> bool {
    matches!(
        code,
        WaitingCode::Priority
            | WaitingCode::Concurrency
            | WaitingCode::Quota
            | WaitingCode::Rate
            | WaitingCode::Resources
            | WaitingCode::Claim
    )
}

/// The jobs that it follows and that have not succeeded.
async fn dependencies(
    app: &App,
    caller: &Caller,
    row: &JobRow,
    followed: &[JobId],
) -> Result<Obstacle, ApiError> {
    let read = || app.reader.jobs_named(&row.tenant, followed);
    let named = app.barrier.read(&Required::default(), read).await?.value;
    let open = named.into_iter().filter(|job| job.status != JobState::Succeeded).collect();
    Ok(seen(caller, &row.tenant, open))
}

/// Those that have the slots of its key; without one, its module has a limit, and whose jobs have its slots
/// is nobody's to know.
async fn concurrency(app: &App, caller: &Caller, row: &JobRow) -> Result<Obstacle, ApiError> {
    if let Some(of) = &row.concurrency {
        let read = || app.reader.holders_of_key(&row.tenant, &of.key, NAMED_MAX + 1);
        let (holders, least) = app.barrier.read(&Required::default(), read).await?.value;
        if let Some(least) = least {
            let most = u64::from(of.limit.min(least));
            // Some may have been handed out and not have started.
            let used = Some(holders.len() as u64).filter(|used| *used >= most);
            let limit = Limit { name: "concurrency", of: of.key.clone(), most, used };
            return Ok(Obstacle { limit: Some(limit), ..seen(caller, &row.tenant, holders) });
        }
    }
    let read = || app.reader.module(&row.module);
    let module = app.barrier.read(&Required::default(), read).await?.value;
    let most = module.and_then(|module| module.versions.present.running_max);
    let limit = most.map(|most| Limit {
        name: "running_max",
        of: row.module.to_string(),
        most: most.into(),
        used: Some(most.into()),
    });
    Ok(Obstacle { limit, ..Obstacle::default() })
}

/// The owner's jobs that run, or where it may run more, those of its tenant.
async fn quota(app: &App, caller: &Caller, row: &JobRow) -> Result<Obstacle, ApiError> {
    let own = subject::user_account(&row.user_id);
    for name in [own.as_str(), subject::TENANT_ACCOUNT] {
        let read = || app.reader.account(&row.tenant, name);
        let Some(account) = app.barrier.read(&Required::default(), read).await?.value else {
            continue;
        };
        let most = u64::from(account.limits.limits.running_jobs);
        let used = u64::try_from(account.counts.running_jobs).unwrap_or_default();
        if used < most {
            continue;
        }
        let limit = Limit { name: "running_jobs", of: account.account, most, used: Some(used) };
        let user = (name != subject::TENANT_ACCOUNT).then_some(&row.user_id);
        let read = || app.reader.running_first(&row.tenant, user, NAMED_MAX + 1);
        let running = app.barrier.read(&Required::default(), read).await?.value;
        return Ok(Obstacle { limit: Some(limit), ..seen(caller, &row.tenant, running) });
    }
    Ok(Obstacle::default())
}

/// Jobs that the asker may see are named, others counted.
pub(super) fn seen(caller: &Caller, tenant: &TenantId, jobs: Vec<BlockingRow>) -> Obstacle {
    let may_see = |user: &UserId| caller.sees_jobs_of(tenant, user);
    let all = jobs.len();
    let jobs: Vec<_> =
        jobs.into_iter().filter(|job| may_see(&job.user_id)).take(NAMED_MAX).collect();
    Obstacle { others: all - jobs.len(), jobs, ..Obstacle::default() }
}
