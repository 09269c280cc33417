//! Watches a log: keeps books of its own from the facts alone, and says what is not as it must be.

use std::collections::{BTreeMap, BTreeSet};

use nox_contract::{
    Blame, Fact, JobId, JobState, Limits, LostReason, ModuleName, ProblemCode, Resources, Source,
    TenantId, Timestamp, UserId, WaitingCode, WorkerId, subject,
};
use nox_core::{State, job::SUSPICIONS_MAX};

use crate::{
    log::{Placed, Violation, hold},
    oracle,
};

/// The property that only what may have caused a loss is charged or suspected.
pub const LOSSES: &str =
    "a loss is a crash of what is known to have caused it, and no one's if it was planned";
/// The property that a job goes where it may, and when it may.
pub const HOSTS: &str = "a job goes where there is room for it";
/// The property that users take turns.
pub const TURNS: &str = "a match places who is next";
/// The property that no submit runs twice.
pub const MADE_ONCE: &str = "a job is made once";
/// The property that the ledger moves as the facts say.
pub const NOTHING_LEFT: &str = "nothing stays reserved for a job that is over";

/// The property that an admin's limits are no role's to change.
pub const FIXED: &str = "limits that an admin set stay until an admin changes them";
/// The property that what a job waits for is what holds it back.
pub const REASONS: &str = "a reason is the right one";
/// The property that a drained worker gets empty.
pub const DRAINED: &str = "a worker that was taken out of service is given nothing";

/// What the facts say of one job.
#[derive(Debug, Clone)]
pub struct Story {
    pub tenant: TenantId,
    pub user_id: UserId,
    pub module: ModuleName,
    pub asked: Resources,
    /// What its next attempt, or the present one, is given, and what of that was reserved.
    pub given: Resources,
    paid_for: i64,
    period: Option<Timestamp>,
    pub after: Vec<JobId>,
    /// It waits for an instant.
    pub timer: Option<WaitingCode>,
    pub attempts: u32,
    pub started: bool,
    pub held_by: Option<WorkerId>,
    /// The session that held it is over, and it is not yet said to be lost.
    gone: Option<Gone>,
    pub crashes: u32,
    pub suspicions: u32,
    pub ended: Option<JobState>,
    pub draft: bool,
    pub waiting: WaitingCode,
    reserved: i64,
    /// Counted as far as can be counted.
    core_ms: u64,
    settled: i128,
}

impl Story {
    fn ran(&mut self, wall_ms: u64) {
        let core_ms = u128::from(wall_ms) * u128::from(self.asked.cpu) + u128::from(self.core_ms);
        self.core_ms = u64::try_from(core_ms).unwrap_or(u64::MAX);
    }
}

/// What a session that is over left of an attempt.
#[derive(Debug, Clone, Copy)]
struct Gone {
    /// How many attempts it held.
    company: usize,
    /// It was to stop.
    draining: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    granted: i64,
    free: i64,
    reserved: i64,
    used: i64,
    overrun: i64,
}

#[derive(Debug, Clone, Default)]
pub struct Watch {
    pub stories: BTreeMap<JobId, Story>,
    accounts: BTreeMap<(TenantId, String), BTreeMap<Timestamp, Sums>>,
    violations: BTreeMap<(TenantId, String, ProblemCode), Timestamp>,
    next_work: BTreeMap<WorkerId, u64>,
    draining: BTreeSet<WorkerId>,
    /// Names that were taken out of service.
    drained: BTreeSet<WorkerId>,
    /// Limits that an admin set.
    fixed: BTreeMap<(TenantId, String), Limits>,
    at: Timestamp,
}

impl Watch {
    /// The instant has come that a job waits for, if it waits for one: its dependencies come first.
    pub fn fire(&mut self, id: JobId) {
        if let Some(story) = self.stories.get_mut(&id)
            && story.timer == Some(story.waiting)
        {
            story.timer = None;
        }
    }

    /// Whether all jobs succeeded that have to come first; `None` if one never will.
    pub fn dependencies(&self, id: JobId) -> Option<bool> {
        let mut ready = true;
        for dependency in &self.stories.get(&id)?.after {
            match self.stories.get(dependency).and_then(|story| story.ended) {
                Some(JobState::Succeeded) => {}
                Some(_) => return None,
                None => ready = false,
            }
        }
        Some(ready)
    }

    pub fn observe(
        &mut self,
        before: &State,
        entry: &Placed,
        after: &State,
    ) -> Result<(), Violation> {
        hold(entry.at >= self.at, "time never runs backwards", || format!("{entry:?}"))?;
        self.at = entry.at;
        for fact in entry.known_facts() {
            match (entry.job_id, &entry.account, &entry.worker_id) {
                (Some(id), ..) => self.of_job(before, after, entry, id, fact)?,
                (_, Some(account), _) => self.of_account(entry, account, fact)?,
                (.., Some(worker)) => self.of_worker(worker, fact)?,
                _ => {}
            }
        }
        if let Some(story) = entry.job_id.and_then(|id| self.stories.get(&id)) {
            let over = story.ended.is_some() && story.held_by.is_none();
            hold(!over || story.reserved == 0, NOTHING_LEFT, || format!("{entry:?}"))?;
            let paid = story.ended.is_some()
                || (story.draft && story.paid_for == 0)
                || story.paid_for == story.given.cpu_seconds();
            hold(paid, "what is given is reserved", || format!("{story:?}: {entry:?}"))?;
            // How long an attempt of a canceled job ran is in no fact. And who reserved nothing has
            // nothing to settle from.
            let measured = story.ended != Some(JobState::Canceled) && story.asked.cpu_seconds() > 0;
            let used = i128::from(story.core_ms.div_ceil(1_000));
            hold(!over || !measured || story.settled == used, "what was used is settled", || {
                format!("{story:?}: {entry:?}")
            })?;
            let crashes_max = before.config.as_ref().map_or(3, |config| config.crashes_max);
            let crashed = entry.known_facts().any(|fact| {
                matches!(
                    fact,
                    Fact::AttemptFailed { crashed: true, .. }
                        | Fact::AttemptLost { blame: Blame::Crashed, .. }
                )
            });
            hold(
                !crashed || story.ended.is_some() || story.crashes < crashes_max,
                "a job that crashed too often is ended",
                || format!("{entry:?}"),
            )?;
        }
        self.compare(after, entry)
    }

    fn of_job(
        &mut self,
        before: &State,
        after: &State,
        entry: &Placed,
        id: JobId,
        fact: &Fact,
    ) -> Result<(), Violation> {
        let has_ended = |story: &Story| story.ended.is_some() && story.held_by.is_none();
        if let Fact::Rejected(rejected) = fact
            && rejected.refusal.code == ProblemCode::StaleStamp
            && self.stories.get(&id).is_some_and(has_ended)
        {
            // A promised repetition of what the decider had forgotten.
            return Ok(());
        }
        if matches!(fact, Fact::Submitted(_) | Fact::Drafted(_) | Fact::Rejected(_)) {
            hold(!self.stories.contains_key(&id), MADE_ONCE, || format!("{entry:?}"))?;
            self.stories.insert(id, begin(entry, fact));
            return Ok(());
        }
        let ready = self.dependencies(id);
        if let Fact::AttemptLost { reason, blame, .. } = fact {
            self.check_loss(entry, id, *reason, *blame)?;
        }
        let told = || format!("{fact:?} of {entry:?}");
        let Some(story) = self.stories.get_mut(&id) else {
            return hold(false, "a job begins with its submission", told);
        };
        let named = entry.user_id.as_ref() == Some(&story.user_id)
            && entry.module.as_ref() == Some(&story.module)
            && entry.tenant == story.tenant;
        hold(named, "a job keeps its tenant, user and module", told)?;
        let open = story.ended.is_none();
        let free = story.held_by.is_none();
        let by_its_holder = matches!(
            fact,
            Fact::Started { .. }
                | Fact::AttemptFailed { .. }
                | Fact::Succeeded { .. }
                | Fact::StopRequested { .. }
                | Fact::Stopped { .. }
        );
        let has_say = !by_its_holder || story.gone.is_none();
        hold(has_say, "a session that is over has no say", told)?;
        let submits = matches!(fact, Fact::DraftSubmitted {} | Fact::Canceled { .. });
        hold(!story.draft || submits, "nothing happens to a draft before it is submitted", told)?;
        match fact {
            Fact::DraftSubmitted {} => {
                hold(open && story.draft, "only a draft is submitted, and once", told)?;
                story.draft = false;
            }
            Fact::Waiting { code } => {
                hold(open && free, "only a queued job waits", told)?;
                hold(*code != story.waiting, "a reason is written only when it changes", told)?;
                story.waiting = *code;
            }
            Fact::Assigned { worker_id, session, attempt, work, .. } => {
                hold(open && free, "only a queued job is assigned", told)?;
                hold(attempt.0 == story.attempts + 1, "attempts are counted gaplessly", told)?;
                let early = story.timer.is_some() || ready != Some(true);
                hold(!early, "no job runs before its time", told)?;
                let next = self.next_work.entry(worker_id.clone()).or_insert(1);
                hold(work.0 == *next, "work is numbered gaplessly within a session", told)?;
                *next += 1;
                let worker = before.workers.get(worker_id);
                let same = worker.is_some_and(|worker| worker.session == *session);
                hold(same, "work goes to a live session", told)?;
                hold(!self.drained.contains(worker_id), DRAINED, told)?;
                place_is_good(before, after, entry, id, worker_id)?;
                story.held_by = Some(worker_id.clone());
                story.attempts = attempt.0;
                story.started = false;
                story.waiting = WaitingCode::Dispatching;
            }
            Fact::Started { worker_id, attempt, .. } => {
                let legal = open
                    && !story.started
                    && story.held_by.as_ref() == Some(worker_id)
                    && attempt.0 == story.attempts;
                hold(legal, "an attempt starts once, where it was assigned", told)?;
                story.started = true;
            }
            Fact::AttemptFailed { attempt, crashed, wall_ms, .. } => {
                let legal = open && !free && attempt.0 == story.attempts;
                hold(legal, "an attempt ends once", told)?;
                story.held_by = None;
                story.crashes += u32::from(*crashed);
                hold(!*crashed || story.started, "what never started does not crash", told)?;
                story.ran(*wall_ms);
            }
            Fact::AttemptLost { worker_id, attempt, blame, .. } => {
                let legal =
                    story.held_by.as_ref() == Some(worker_id) && attempt.0 == story.attempts;
                hold(legal, "an attempt ends once", told)?;
                story.held_by = None;
                story.gone = None;
                if open {
                    story.crashes += u32::from(*blame == Blame::Crashed);
                    story.suspicions += u32::from(*blame == Blame::Suspected);
                    story.waiting = WaitingCode::Priority;
                }
            }
            Fact::RetryScheduled { attempt, due_at, resources } => {
                if let Some(raised) = resources {
                    let given = story.given;
                    let more = raised.mem_mb >= given.mem_mb
                        && raised.wall_time_s >= given.wall_time_s
                        && *raised != given;
                    hold(more, "what is raised is more", told)?;
                    story.given = *raised;
                }
                hold(open && free, "only a queued job is tried again", told)?;
                hold(attempt.0 == story.attempts + 1, "attempts are counted gaplessly", told)?;
                hold(*due_at >= entry.at, "a retry is in the future", told)?;
                story.timer = Some(WaitingCode::Backoff);
                story.waiting = WaitingCode::Backoff;
            }
            Fact::Succeeded { attempt, wall_ms, .. } => {
                let legal = open && story.started && !free && attempt.0 == story.attempts;
                hold(legal, "a job succeeds at most once, in an attempt that runs", told)?;
                story.held_by = None;
                story.ended = Some(JobState::Succeeded);
                story.ran(*wall_ms);
            }
            Fact::Failed { .. } => {
                hold(open && free, "a job fails once, when nothing of it runs", told)?;
                story.ended = Some(JobState::Failed);
            }
            Fact::Canceled { .. } => {
                hold(open, "a job is canceled once", told)?;
                story.ended = Some(JobState::Canceled);
            }
            Fact::StopRequested { worker_id, work, .. } => {
                let legal = story.ended == Some(JobState::Canceled)
                    && story.held_by.as_ref() == Some(worker_id);
                hold(legal, "only a canceled job is stopped", told)?;
                let next = self.next_work.entry(worker_id.clone()).or_insert(1);
                hold(work.0 == *next, "work is numbered gaplessly within a session", told)?;
                *next += 1;
            }
            Fact::Stopped { worker_id, attempt } => {
                let legal = story.ended == Some(JobState::Canceled)
                    && story.held_by.as_ref() == Some(worker_id)
                    && attempt.0 == story.attempts;
                hold(legal, "only a canceled job is stopped", told)?;
                story.held_by = None;
            }
            Fact::Reserved { period, cpu_seconds } => {
                // What is given later is paid for from the day that the job was submitted on.
                let since = *story.period.get_or_insert(entry.at.start_of_day());
                hold(*period == since, "a day is a period", told)?;
                let more = story.given.cpu_seconds() - story.paid_for;
                hold(*cpu_seconds == more, "what is given is reserved", told)?;
                story.paid_for += cpu_seconds;
                story.reserved += cpu_seconds;
                self.shift(entry, *period, |sums| {
                    sums.free -= cpu_seconds;
                    sums.reserved += cpu_seconds;
                });
                for sums in self.both(entry, *period) {
                    hold(sums.free >= 0, "nobody is admitted beyond the budget", told)?;
                }
            }
            Fact::Settled { period, cpu_seconds, overrun } => {
                let whole = *overrun == 0 || *cpu_seconds == story.reserved;
                hold(whole && *overrun >= 0, "an overrun is what the reservation lacks", told)?;
                story.settled += i128::from(*cpu_seconds) + i128::from(*overrun);
                story.reserved -= cpu_seconds;
                self.shift(entry, *period, |sums| {
                    sums.reserved -= cpu_seconds;
                    sums.used += cpu_seconds;
                    sums.overrun = sums.overrun.saturating_add(*overrun);
                });
            }
            Fact::Released { period, cpu_seconds } => {
                hold(*cpu_seconds > 0, "a release frees something", told)?;
                story.reserved -= cpu_seconds;
                self.shift(entry, *period, |sums| {
                    sums.reserved -= cpu_seconds;
                    sums.free += cpu_seconds;
                });
            }
            Fact::Progressed { attempt, .. } => {
                hold(open && !free, "only what a worker has gets on", told)?;
                hold(attempt.0 == story.attempts, "progress is of the newest attempt", told)?;
            }
            _ => hold(false, "a fact stands with what it is about", told)?,
        }
        Ok(())
    }

    fn of_account(&mut self, entry: &Placed, name: &str, fact: &Fact) -> Result<(), Violation> {
        let account = self.accounts.entry((entry.tenant.clone(), name.to_owned())).or_default();
        match fact {
            Fact::LimitsSet { limits, change, .. } => {
                let key = (entry.tenant.clone(), name.to_owned());
                match change {
                    Some(change) if !change.reset => {
                        self.fixed.insert(key, *limits);
                    }
                    Some(_) => {
                        self.fixed.remove(&key);
                    }
                    None => hold(!self.fixed.contains_key(&key), FIXED, || format!("{entry:?}"))?,
                }
            }
            Fact::Granted { period, cpu_seconds } => {
                let sums = account.entry(*period).or_default();
                sums.free += cpu_seconds - sums.granted;
                sums.granted = *cpu_seconds;
            }
            Fact::QuotaViolated { refusal, .. } => {
                let key = (entry.tenant.clone(), name.to_owned(), refusal.code);
                let last = self.violations.insert(key, entry.at);
                let rare = last.is_none_or(|last| entry.at.since(last).as_secs() >= 1);
                hold(rare, "a violation is recorded at most once a second", || {
                    format!("{entry:?}")
                })?;
            }
            _ => hold(false, "a fact stands with what it is about", || format!("{entry:?}"))?,
        }
        Ok(())
    }

    /// Whether whoever is charged with a loss, or suspected, may have caused it.
    fn check_loss(
        &self,
        entry: &Placed,
        id: JobId,
        reason: LostReason,
        blame: Blame,
    ) -> Result<(), Violation> {
        let sudden = matches!(reason, LostReason::WorkerSilent | LostReason::NewSession);
        let story = self.stories.get(&id);
        let gone = story.and_then(|story| story.gone);
        hold(!sudden || gone.is_some(), "a session that lives keeps what it has", || {
            format!("{entry:?}")
        })?;
        let started = story.is_some_and(|story| story.started);
        let isolated = story.is_some_and(|story| story.suspicions >= SUSPICIONS_MAX);
        let unplanned = sudden && !gone.is_some_and(|gone| gone.draining);
        let alone = gone.is_some_and(|gone| gone.company == 1);
        let proven = started && alone && reason == LostReason::NewSession;
        let right = match blame {
            Blame::Crashed => unplanned && (proven || isolated),
            Blame::Suspected => unplanned && !proven && !isolated,
            // A worker that begins anew by itself has the same reason as one that was begun anew.
            Blame::Nobody => !unplanned || reason == LostReason::NewSession,
        };
        hold(right, LOSSES, || format!("{gone:?}: {entry:?}"))
    }

    fn of_worker(&mut self, worker: &WorkerId, fact: &Fact) -> Result<(), Violation> {
        let held =
            |story: &&mut Story| story.held_by.as_ref() == Some(worker) && story.gone.is_none();
        match fact {
            Fact::WorkerDraining { .. } => {
                self.draining.insert(worker.clone());
            }
            Fact::WorkerDrained { .. } => {
                self.drained.insert(worker.clone());
            }
            Fact::WorkerUndrained { .. } => {
                self.drained.remove(worker);
            }
            Fact::WorkerLeft { .. } => {
                let draining = self.draining.remove(worker);
                let mut held: Vec<_> = self.stories.values_mut().filter(held).collect();
                let company = held.len();
                for story in &mut held {
                    story.gone = Some(Gone { company, draining });
                }
                self.next_work.remove(worker);
            }
            Fact::WorkerJoined { .. } => {
                let left = self.stories.values_mut().find(held).is_none();
                hold(left, "a session begins with nothing", || format!("{worker}: {fact:?}"))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn shift(&mut self, entry: &Placed, period: Timestamp, change: impl Fn(&mut Sums)) {
        for account in account_names(entry) {
            let account = self.accounts.entry((entry.tenant.clone(), account)).or_default();
            change(account.entry(period).or_default());
        }
    }

    fn both(&self, entry: &Placed, period: Timestamp) -> Vec<Sums> {
        account_names(entry)
            .into_iter()
            .filter_map(|name| self.accounts.get(&(entry.tenant.clone(), name))?.get(&period))
            .copied()
            .collect()
    }

    /// Whether the state's books are these books.
    fn compare(&self, state: &State, entry: &Placed) -> Result<(), Violation> {
        for ((tenant, name), periods) in &self.accounts {
            let account = match name.strip_prefix("user/") {
                Some(user) => state.ledger.user(tenant, &user.parse().expect("a user")),
                None => state.ledger.tenant(tenant),
            };
            let told = || format!("{tenant}/{name}: {periods:?}, {account:?} after {entry:?}");
            let Some(account) = account else {
                return hold(false, "the ledger is what the facts say", told);
            };
            for (period, sums) in periods {
                let sound = sums.free + sums.reserved + sums.used == sums.granted;
                hold(sound, "free + reserved + used = granted", told)?;
                let kept = account.periods.get(period).map(|balance| Sums {
                    granted: balance.granted,
                    free: balance.free,
                    reserved: balance.reserved,
                    used: balance.used,
                    overrun: balance.overrun,
                });
                let same = kept.map_or(sums.reserved == 0, |kept| kept == *sums);
                hold(same, "the ledger is what the facts say", told)?;
            }
            let fixed = self.fixed.get(&(tenant.clone(), name.clone()));
            let same = fixed.is_none_or(|fixed| *fixed == account.limits);
            hold(same, FIXED, told)?;
            let running = match name.strip_prefix("user/") {
                Some(user) => {
                    oracle::running_of_user(state, tenant, &user.parse().expect("a user"))
                }
                None => oracle::running_of_tenant(state, tenant),
            };
            hold(account.running_jobs == running, "running jobs are counted", told)?;
            let mine = |story: &&Story| {
                story.tenant == *tenant
                    && name.strip_prefix("user/").is_none_or(|user| story.user_id.as_str() == user)
            };
            let drafts = self.stories.values().filter(mine);
            let drafts = drafts.filter(|story| story.draft && story.ended.is_none()).count();
            hold(account.drafts as usize == drafts, "drafts are counted", told)?;
        }
        for (name, module) in &state.modules {
            let running = oracle::running_of_module(state, name);
            hold(module.running == running, "running jobs are counted", || {
                format!("{name}: {}, not {running} after {entry:?}", module.running)
            })?;
        }
        for (id, worker) in state.workers.iter() {
            let (used, has) = (oracle::used(state, id), worker.capacity);
            let fits = used.slots <= has.slots
                && used.cpu <= has.cpu
                && used.mem_mb <= has.mem_mb
                && used.gpu <= has.gpu;
            // Whoever claims its work knows how much it can do.
            let fits = fits || worker.claims.is_some();
            hold(fits && used == worker.used, "no worker holds more than it has", || {
                format!("{id}: {worker:?} after {entry:?}")
            })?;
        }
        for (id, job) in state.jobs() {
            let story = self.stories.get(&id);
            let same = story.is_some_and(|story| {
                story.held_by.as_ref() == job.job.worker_id()
                    && story.ended == Some(job.job.state()).filter(|state| state.is_ended())
                    && story.attempts == job.job.attempt.0
                    && (story.crashes, story.suspicions) == (job.job.crashes, job.job.suspicions)
                    && job.job.waiting().is_none_or(|code| code == story.waiting)
            });
            hold(same, "the state says of a job what its facts do", || {
                format!("{story:?}, {job:?} after {entry:?}")
            })?;
        }
        Ok(())
    }
}

fn begin(entry: &Placed, fact: &Fact) -> Story {
    let (asked, after, run_at, ended) = match fact {
        Fact::Submitted(submitted) | Fact::Drafted(submitted) => {
            let s = &**submitted;
            (s.requested_resources, s.after.clone(), s.run_at, None)
        }
        Fact::Rejected(rejected) => {
            (rejected.requested_resources, Vec::new(), None, Some(JobState::Failed))
        }
        other => unreachable!("{other:?} begins no job"),
    };
    Story {
        tenant: entry.tenant.clone(),
        user_id: entry.user_id.clone().expect("a job's entry names its user"),
        module: entry.module.clone().expect("a job's entry names its module"),
        asked,
        given: asked,
        paid_for: 0,
        period: None,
        after,
        timer: run_at.map(|_| WaitingCode::Scheduled),
        attempts: 0,
        started: false,
        held_by: None,
        gone: None,
        crashes: 0,
        suspicions: 0,
        ended,
        draft: matches!(fact, Fact::Drafted(_)),
        waiting: WaitingCode::Priority,
        reserved: 0,
        core_ms: 0,
        settled: 0,
    }
}

fn account_names(entry: &Placed) -> [String; 2] {
    let user = entry.user_id.as_ref().expect("a job's entry names its user");
    [subject::TENANT_ACCOUNT.to_owned(), subject::user_account(user)]
}

/// Whether a job goes where it may, and nobody was passed over.
fn place_is_good(
    before: &State,
    after: &State,
    entry: &Placed,
    id: JobId,
    worker: &WorkerId,
) -> Result<(), Violation> {
    let told = || format!("{entry:?}");
    // A new job may go where an equal one that was there before could have gone.
    if let Some(job) = before.job(id).or_else(|| after.job(id)) {
        if let Some(topic) = &job.needs.topic {
            let claims = before.workers.get(worker).and_then(|worker| worker.claims.as_ref());
            let registered = claims.is_some_and(|claims| {
                claims.claimant.tenant == job.owner.tenant && claims.topics.contains(topic)
            });
            hold(registered, "a task goes to a worker of its topic", told)?;
            let passed_over = oracle::older_tasks(before, worker, id).next();
            return hold(passed_over.is_none(), "the oldest task goes first", told);
        }
        let hosts = match entry.by.src {
            Source::Match => oracle::hosts_of_match(before, id),
            _ => oracle::hosts(before, job).unwrap_or_default(),
        };
        let free = |worker: &nox_core::worker::Worker| worker.capacity.slots - worker.used.slots;
        let chosen = hosts.iter().find(|(host, _)| *host == worker);
        let Some((_, chosen)) = chosen else {
            return hold(false, HOSTS, told);
        };
        let emptiest = hosts.iter().all(|(_, host)| free(host) <= free(chosen));
        hold(emptiest, "a job goes to the emptiest worker", told)?;
    }
    match entry.by.src {
        Source::Match => {
            let next = oracle::next(before);
            hold(next == Some(id), TURNS, || format!("{next:?}: {entry:?}"))
        }
        _ => {
            let other = oracle::passed_over(before, worker, id);
            hold(other.is_none(), "who comes later passes nobody over", || {
                format!("{other:?}: {entry:?}")
            })
        }
    }
}
