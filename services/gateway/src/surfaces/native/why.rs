//! `GET /jobs/{id}/why`: why a job waits or waited, since when, and what is in its way.

use std::{collections::BTreeMap, time::Duration};

use axum::response::Response;
use nox_contract::{
    Attempt, FrameNumber, JobId, JobState, ModuleName, ProblemCode, Resources, Timestamp,
    WaitingCode, WorkerId, subject::TENANT_ACCOUNT,
};
use nox_readmodel::{JobRow, Parked, Standing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{as_of, kind::Kind, view::message};
use crate::{
    endpoint::{Access, Answer, ETAG, Endpoint, IF_NONE_MATCH, MIN_N, Method},
    extract::{self, Reading, Segment, min_n},
    http::etag,
    problem::ApiError,
    use_cases::{
        find::find,
        why::{AHEAD_MAX, Limit, NAMED_MAX, Obstacle, Why, why},
    },
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The number of a frame, or an instant: why it stood as it stood then.
    as_of: Option<String>,
    n: Option<u64>,
}

pub fn endpoint() -> Endpoint {
    let (id, summary) = ("explain_job", "Why a job waits or waited, and what is in its way.");
    Endpoint::new(Method::Get, "/jobs/{id}/why", Access::OWNER_OR_ADMIN, (id, summary), explain)
        .query::<Asked>()
        .headers([MIN_N, IF_NONE_MATCH])
        .answer(Answer::json::<WhyView>(200, "What is known of it.").headers([ETAG]))
        .answer(Answer::empty(304, "It is as the asker has it.").headers([ETAG]))
        .problems(&[ProblemCode::InvalidId, ProblemCode::JobNotFound])
}

/// Why a job stands where it stands.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Why")]
struct WhyView {
    id: JobId,
    job_id: JobId,
    state: JobState,
    status: &'static str,
    /// Why it does not run, while it is queued.
    code: Option<WaitingCode>,
    /// Since when it stands as it does.
    since: Timestamp,
    /// Why its row does not tell all, where it does not: `unknown_fact` of a job that a newer version of Nox led on,
    /// and that stands still until that leads again.
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<&'static str>,
    /// All of it in a sentence, for people.
    reason: String,
    /// What is in its way, or was then; `null` where nothing is.
    blocked_by: Option<BlockedBy>,
    /// How long it waited for what, the longest first.
    waited: Vec<Waited>,
    /// How long its attempts ran, in seconds.
    ran_s: f64,
    /// Where it stood, from its beginning on.
    history: Vec<Stood>,
    /// The newest frame with an entry of the job that this tells.
    n: FrameNumber,
}

/// What is in a job's way, as far as the asker may know.
#[derive(Default, Serialize, JsonSchema)]
struct BlockedBy {
    /// Jobs that have to end or to succeed first; at most 100.
    jobs: Vec<BlockingJob>,
    /// How many there are beside these, as far as they are counted.
    others: usize,
    /// What may not be more, and how much of it is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<LimitView>,
    /// What it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<Resources>,
    /// The most that a worker has of each, if there is a worker that serves the module.
    #[serde(skip_serializing_if = "Option::is_none")]
    largest: Option<Largest>,
    /// Jobs of the same owner and module that are queued before it, counted up to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<usize>,
    /// When it may go on, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// The module that has to be switched on, or to be served in this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<ModuleName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    module_version: Option<String>,
    /// The worker that has been told and has to start it.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_id: Option<WorkerId>,
}

#[derive(Serialize, JsonSchema)]
struct BlockingJob {
    job_id: JobId,
    state: JobState,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BlockingLimit")]
struct LimitView {
    /// `running_jobs` of an account, `running_max` of a module, or `concurrency` of a key.
    name: &'static str,
    /// The account, module or key.
    of: String,
    most: u64,
    /// Where it is counted.
    used: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LargestWorker")]
struct Largest {
    cpu: u32,
    mem_mb: u32,
    gpu: u32,
}

#[derive(Serialize, JsonSchema)]
struct Waited {
    code: WaitingCode,
    seconds: f64,
}

/// Where a job stood for a while.
#[derive(Serialize, JsonSchema)]
struct Stood {
    state: JobState,
    code: Option<WaitingCode>,
    attempt: Attempt,
    from: Timestamp,
    /// `null` of the last.
    to: Option<Timestamp>,
    /// Up to now, or to the instant that was asked for, of one that lasts; none of what a job ended as.
    seconds: Option<f64>,
    /// The frame that says so.
    n: FrameNumber,
}

async fn explain(Segment(id): Segment, request: Reading) -> Result<Response, ApiError> {
    let Reading { app, caller, uri, headers } = request;
    let id = extract::job_id(&id)?;
    let Asked { as_of, n } = extract::query(&uri)?;
    let as_of = as_of.as_deref().map(as_of::read).transpose()?;
    let min_n = min_n(n, &headers)?;
    let found = find(&app, &caller, id, as_of::required(min_n, as_of)).await;
    let row = found.map_err(|error| as_of::placed(error, min_n, as_of))?;
    let why = why(&app, &caller, &row, as_of).await?;
    etag::json(&headers, &WhyView::of(why))
}

impl WhyView {
    fn of(why: Why) -> Self {
        let Why { past, obstacle, until } = why;
        let row = &past.row;
        let kind = Kind::of(&row.module, row.inputs.as_ref());
        let spans = Spans::of(&past.standings, until);
        let blocked_by = obstacle.map(|obstacle| BlockedBy::of(row, obstacle));
        Self {
            id: row.id,
            job_id: row.id,
            state: row.status,
            status: kind.word(row.status),
            code: row.waiting_code,
            since: past.standings.last().map_or(row.created_at, |standing| standing.from),
            parked: row.parked.map(Parked::as_str),
            reason: sentence(row, kind, &past.standings, &spans, blocked_by.as_ref(), until),
            blocked_by,
            waited: spans.waited.iter().map(|(code, span)| waited(*code, *span)).collect(),
            ran_s: spans.ran.unwrap_or_default().as_secs_f64(),
            history: history(&past.standings, until),
            n: row.n,
        }
    }
}

impl BlockedBy {
    fn of(row: &JobRow, obstacle: Obstacle) -> Self {
        let Obstacle { jobs, others, limit, resources, ahead } = obstacle;
        let code = row.waiting_code;
        let is = |codes: &[WaitingCode]| code.is_some_and(|code| codes.contains(&code));
        let of_module = [WaitingCode::NoWorker, WaitingCode::Drained, WaitingCode::Paused];
        let limit = limit.map(|Limit { name, of, most, used }| LimitView { name, of, most, used });
        let largest = resources.and_then(|(_, largest)| largest);
        Self {
            jobs: jobs
                .into_iter()
                .map(|job| BlockingJob { job_id: job.id, state: job.status })
                .collect(),
            others,
            limit,
            asked: resources.map(|(asked, _)| asked),
            largest: largest.map(|of| Largest { cpu: of.cpu, mem_mb: of.mem_mb, gpu: of.gpu }),
            ahead,
            until: row.due_at,
            module: is(&of_module).then(|| row.module.clone()),
            module_version: row.module_version.clone().filter(|_| is(&of_module)),
            worker_id: row.worker_id.clone().filter(|_| is(&[WaitingCode::Dispatching])),
        }
    }

    /// In a few words, behind the reason.
    fn words(&self) -> Option<String> {
        let mut words = Vec::new();
        if let Some(LimitView { name, of, most, used }) = &self.limit {
            let used = used.map_or_else(String::new, |used| format!("{used} of "));
            words.push(format!("{name} of {of}: {used}{most}"));
        }
        if let (Some(asked), Some(largest)) = (&self.asked, &self.largest) {
            let each = [
                ("cpu", asked.cpu, largest.cpu),
                ("mem_mb", asked.mem_mb, largest.mem_mb),
                ("gpu", asked.gpu, largest.gpu),
            ];
            let short = each.iter().filter(|(_, asked, _)| *asked > 0);
            let short =
                short.map(|(name, asked, most)| format!("{name} {asked} of at most {most}"));
            words.push(format!("it asks for {}", short.collect::<Vec<_>>().join(", ")));
        }
        let named = self.jobs.iter().take(NAMED_IN_WORDS);
        let named: Vec<_> =
            named.map(|job| format!("job {} is {}", job.job_id, job.state)).collect();
        let more = self.jobs.len().saturating_sub(NAMED_IN_WORDS) + self.others;
        if !named.is_empty() {
            words.push(named.join(", "));
        }
        match (more, named.is_empty()) {
            (0, _) => {}
            (more, true) => words.push(format!("{more} jobs of others")),
            (more, false) => words.push(format!("{more} more")),
        }
        match self.ahead {
            None | Some(0) => {}
            Some(AHEAD_MAX) => {
                words.push(format!("{AHEAD_MAX} or more of its owner's jobs are ahead"));
            }
            Some(1) => words.push("one of its owner's jobs is ahead".to_owned()),
            Some(ahead) => words.push(format!("{ahead} of its owner's jobs are ahead")),
        }
        if let Some(until) = self.until {
            words.push(format!("not before {until}"));
        }
        if let (Some(module), Some(version)) = (&self.module, &self.module_version) {
            words.push(format!("{module} {version}"));
        }
        words.extend(self.worker_id.as_ref().map(|worker| format!("the worker is {worker}")));
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// Jobs that a sentence names.
const NAMED_IN_WORDS: usize = 3;
const _: () = assert!(NAMED_IN_WORDS < NAMED_MAX);

/// How long it was what, in all.
#[derive(Default)]
struct Spans {
    /// The longest first.
    waited: Vec<(WaitingCode, Duration)>,
    /// `None` if it never did.
    ran: Option<Duration>,
    was_draft: Duration,
}

impl Spans {
    fn of(standings: &[Standing], until: Timestamp) -> Self {
        let mut spans = Self::default();
        let mut waited: BTreeMap<WaitingCode, Duration> = BTreeMap::new();
        for (standing, to) in lasting(standings) {
            let span = to.unwrap_or(until).since(standing.from);
            if let Some(code) = standing.waiting {
                *waited.entry(code).or_default() += span;
            } else if standing.state == JobState::Running {
                *spans.ran.get_or_insert_default() += span;
            } else if standing.state == JobState::Draft {
                spans.was_draft += span;
            }
        }
        // What passed at once is in the history.
        spans.waited = waited.into_iter().filter(|(_, span)| !span.is_zero()).collect();
        spans.waited.sort_by_key(|(_, span)| std::cmp::Reverse(*span));
        spans
    }
}

/// Each with its end, where another one follows.
fn lasting(standings: &[Standing]) -> impl Iterator<Item = (&Standing, Option<Timestamp>)> {
    let ends = standings.iter().skip(1).map(|next| Some(next.from)).chain([None]);
    standings.iter().zip(ends)
}

fn history(standings: &[Standing], until: Timestamp) -> Vec<Stood> {
    let stood = lasting(standings).map(|(standing, to)| Stood {
        state: standing.state,
        code: standing.waiting,
        attempt: standing.attempt,
        from: standing.from,
        to,
        seconds: (!standing.state.is_ended())
            .then(|| to.unwrap_or(until).since(standing.from).as_secs_f64()),
        n: standing.n,
    });
    stood.collect()
}

fn waited(code: WaitingCode, span: Duration) -> Waited {
    Waited { code, seconds: span.as_secs_f64() }
}

fn sentence(
    row: &JobRow,
    kind: Kind,
    standings: &[Standing],
    spans: &Spans,
    blocked_by: Option<&BlockedBy>,
    until: Timestamp,
) -> String {
    if row.parked == Some(Parked::UnknownFact) {
        return "It is parked: a newer version of Nox led, and this one does not know what became of it. It goes on when \
                that version leads again; rows that are made anew by that version tell it."
            .to_owned();
    }
    let last = standings.last().map_or(row.created_at, |standing| standing.from);
    let lasts = words(until.since(last));
    match (row.status, row.waiting_code) {
        (JobState::Draft, _) => "It is a draft: its owner has not submitted it.".to_owned(),
        (JobState::Queued, Some(code)) => {
            let detail = blocked_by.and_then(BlockedBy::words);
            let detail = detail.map_or_else(String::new, |detail| format!(" ({detail})"));
            let before = spans.waited.iter().filter(|(of, _)| *of != code);
            let before = waits(before, " Before that, it waited ");
            let of_tenant =
                |of: &BlockedBy| of.limit.as_ref().is_some_and(|of| of.of == TENANT_ACCOUNT);
            let why = match code {
                WaitingCode::Quota if blocked_by.is_some_and(of_tenant) => {
                    "as many jobs of the tenant run as its limits allow at a time"
                }
                _ => message(code, kind),
            };
            let code = code.as_str();
            format!("It has waited {lasts} for {code}: {why}{detail}.{before}")
        }
        (JobState::Queued, None) => "Its last attempt has just ended.".to_owned(),
        (JobState::Running, _) => {
            let worker = row.worker_id.as_ref().map_or("a worker", |worker| worker.as_str());
            let waited = waits(spans.waited.iter(), " It had waited ");
            format!("Attempt {} has run for {lasts} on {worker}.{waited}", row.attempt)
        }
        (state, _) => {
            let took = words(last.since(row.created_at));
            let why = match &row.error {
                Some(error) if state != JobState::Succeeded => {
                    format!(" ({}: {})", error.code, error.message.trim_end_matches('.'))
                }
                _ => String::new(),
            };
            let waited = waits(spans.waited.iter(), " It waited ");
            let ran = match spans.ran {
                None => " It never ran.".to_owned(),
                Some(ran) if row.attempt > Attempt(1) => {
                    format!(" It ran for {} in {} attempts.", words(ran), row.attempt)
                }
                Some(ran) => format!(" It ran for {}.", words(ran)),
            };
            let drafted = match spans.was_draft {
                Duration::ZERO => String::new(),
                span => format!(" It was a draft for {}.", words(span)),
            };
            format!("It {} after {took}{why}.{drafted}{waited}{ran}", became(state))
        }
    }
}

fn became(state: JobState) -> &'static str {
    match state {
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Canceled => "was canceled",
        JobState::Draft | JobState::Queued | JobState::Running => "has not ended",
    }
}

/// How long it waited for what, as a sentence that begins so; nothing if it never did.
fn waits<'a>(waited: impl Iterator<Item = &'a (WaitingCode, Duration)>, beginning: &str) -> String {
    let each: Vec<_> =
        waited.map(|(code, span)| format!("{} for {}", words(*span), code.as_str())).collect();
    if each.is_empty() { String::new() } else { format!("{beginning}{}.", each.join(", ")) }
}

/// A span in its two largest units.
fn words(span: Duration) -> String {
    let (seconds, millis) = (span.as_secs(), span.subsec_millis());
    match seconds {
        0 => format!("{millis} ms"),
        1..10 => format!("{seconds}.{} s", millis / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}
