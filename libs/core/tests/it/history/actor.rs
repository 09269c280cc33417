//! Does the steps: a few tenants, users, modules and workers, and a leader that comes and goes.

use std::collections::BTreeMap;

use nox_contract::{
    Attempt, Cancel, Capacity, Command, Concurrency, DrainWorker, FrameNumber, HandBack, Hello,
    JobId, JobState, Limits, Manifest, Raise, RaisedResource, RawJson, Report, Resources,
    RetryPolicy, SchedulerConfig, SessionId, SetLimits, SetModule, Submit, SubmitDraft, TenantId,
    Token, WaitingCode, WorkerId, beat::Held, subject,
};
use nox_core::{Internal, Rules, State, worker::Assignment};

use super::steps::{Lie, Step, Submission, What};
use crate::{
    log::{Log, TOKEN_KEY, Violation, explaining, hold, placing},
    oracle,
    watch::REASONS,
    world::{
        Holding, NOON, crashed, failed, handed_back, id, job_id, keyed_job_id, manifest, origin,
        session_id, succeeded,
    },
};

/// The property that a session that is over has no say, whatever is not yet said of it.
const LATE: &str = "what a worker says after it was given up on changes nothing";
/// The property that a token is what a report is believed for.
pub const FORGERY: &str = "a report without the attempt's token changes nothing";

const TENANTS: [&str; 2] = ["acme", "other"];
const USERS: [&str; 3] = ["ada", "grace", "käthe / *"];
const MODULES: [&str; 3] = ["alpha", "beta", "gamma"];
const WORKERS: [&str; 3] = ["w-1", "w-2", "w-3"];

const SIZES: [Resources; 6] = [
    Resources { cpu: 1, mem_mb: 100, wall_time_s: 60, gpu: 0 },
    Resources { cpu: 2, mem_mb: 300, wall_time_s: 30, gpu: 0 },
    Resources { cpu: 1, mem_mb: 900, wall_time_s: 10, gpu: 1 },
    Resources { cpu: 1, mem_mb: 100, wall_time_s: 0, gpu: 0 },
    Resources { cpu: 0, mem_mb: 0, wall_time_s: 3_600, gpu: 0 },
    Resources { cpu: 40, mem_mb: 100, wall_time_s: 3_600, gpu: 0 },
];

const CAPACITIES: [Capacity; 4] = [
    Capacity { slots: 1, cpu: 4, mem_mb: 1_000, gpu: 0 },
    Capacity { slots: 3, cpu: 4, mem_mb: 1_000, gpu: 1 },
    Capacity { slots: 8, cpu: 2, mem_mb: 400, gpu: 2 },
    Capacity { slots: 0, cpu: 9, mem_mb: 9_000, gpu: 9 },
];

pub struct Actor {
    pub log: Log,
    jobs: u32,
    sessions: u32,
    /// Of reports that say that a worker takes no work, or work again.
    pauses: u64,
    /// Every submit that was sent, with its tenant.
    submits: Vec<(TenantId, Submit)>,
    reports: Vec<(WorkerId, SessionId, Report)>,
    old_sessions: BTreeMap<WorkerId, SessionId>,
}

impl Actor {
    pub fn new(rules: Rules) -> Result<Self, Violation> {
        let mut log = Log::new(id(NOON));
        log.rules = Rules { token_key: TOKEN_KEY, ..rules };
        log.epoch()?;
        log.internal(&Internal::Configure { config: configuration(0) })?;
        let mut actor = Self {
            log,
            jobs: 0,
            sessions: 0,
            pauses: 0,
            submits: Vec::new(),
            reports: Vec::new(),
            old_sessions: BTreeMap::new(),
        };
        // All modules are known from the beginning; who serves them comes and goes.
        actor.hello("w-1", CAPACITIES[1], &MODULES.map(manifest))?;
        Ok(actor)
    }

    pub fn step(&mut self, step: &Step) -> Result<(), Violation> {
        match step {
            Step::Pass { ms } => {
                self.log.now = self.log.now + std::time::Duration::from_millis(*ms);
            }
            Step::Submit(submission) => self.submit(submission)?,
            Step::SubmitAgain { pick, other } => self.submit_again(*pick, *other)?,
            Step::SubmitDraft { pick, by } => self.submit_draft(*pick, *by)?,
            Step::Cancel { pick, by, admin } => self.cancel(*pick, *by, *admin)?,
            Step::Limits { tenant, user, which } => self.limit(*tenant, *user, *which)?,
            Step::Drain { worker, drained } => {
                let worker_id = id(name(&WORKERS, *worker));
                let drain = DrainWorker { worker_id, drained: *drained, by: id("root") };
                self.log.command(&id(TENANTS[0]), &Command::DrainWorker(drain))?;
            }
            Step::Switch { module, enabled } => self.switch(name(&MODULES, *module), *enabled)?,
            Step::Hello { worker, again, capacity, modules, manifest } => {
                let worker = name(&WORKERS, *worker);
                let capacity = *pick(&CAPACITIES, *capacity);
                let served: Vec<_> = (0..)
                    .zip(MODULES)
                    .filter(|(bit, _)| modules & (1 << bit) != 0)
                    .map(|(_, name)| variant(name, *manifest))
                    .collect();
                if *again {
                    self.hello_again(worker, capacity, &served)?;
                } else {
                    self.hello(worker, capacity, &served)?;
                }
            }
            Step::Report { pick, what } => self.tell(*pick, *what)?,
            Step::Forgery { pick, what, lie } => self.lie(*pick, *what, *lie)?,
            Step::ReportAgain { pick } => self.tell_again(*pick)?,
            Step::Draining { worker } => self.of_session(*worker, Report::Draining)?,
            Step::Paused { worker } => {
                let (number, reason) = (self.pause(), "no process".to_owned());
                self.of_session(*worker, Report::Paused { number, reason })?;
            }
            Step::Resumed { worker } => {
                let number = self.pause();
                self.of_session(*worker, Report::Resumed { number })?;
            }
            Step::Bye { worker } => self.of_session(*worker, Report::Bye)?,
            Step::Silent { worker, old_session } => self.silent(*worker, *old_session)?,
            Step::Missing { worker, which } => self.missing(*worker, *which)?,
            Step::Losses { losses_max } => {
                self.log.internal(&Internal::Losses { losses_max: u32::from(*losses_max) })?;
            }
            Step::Late { pick, what } => self.tell_late(*pick, *what)?,
            Step::Timer => self.timer()?,
            Step::WrongTimer => self.wrong_timer()?,
            Step::Match { placements_max } => {
                self.log.internal(&placing(u32::from(*placements_max)))?;
            }
            Step::Reasons { reasons_max } => {
                self.log.internal(&explaining(u32::from(*reasons_max)))?;
            }
            Step::Settle => self.settle()?,
            Step::Configure { which } => {
                let config = configuration(*which);
                self.log.internal(&Internal::Configure { config })?;
            }
            Step::Takeover => self.log.epoch()?,
            Step::EmptyFrame => self.log.frame()?,
            Step::Gather { decisions } => self.log.gather(u32::from(*decisions))?,
            Step::Snapshot => self.log.snapshot()?,
        }
        Ok(())
    }

    fn pause(&mut self) -> u64 {
        self.pauses += 1;
        self.pauses
    }

    // --- users ---

    fn submit(&mut self, submission: &Submission) -> Result<(), Violation> {
        self.jobs += 1;
        let tenant: TenantId = id(name(&TENANTS, submission.tenant));
        let number = self.jobs;
        let job = if submission.keyed { keyed_job_id(number) } else { job_id(number) };
        let open: Vec<_> =
            self.log.state.jobs().filter(|(_, job)| job.owner.tenant == tenant).collect();
        let after = submission.after.iter().filter_map(|which| match which % 8 {
            // Whatever there was, and sometimes the job itself.
            0 if which.is_multiple_of(32) => Some(job),
            0 => {
                let back = self.submits.len().checked_sub(usize::from(*which) / 8)?;
                Some(self.submits.get(back)?.1.job_id)
            }
            _ => choose(&open, *which).map(|(job, _)| *job),
        });
        let submit = Submit {
            module_version: match submission.size % 32 {
                30 => Some("1".to_owned()),
                31 => Some("2".to_owned()),
                _ => None,
            },
            worker_labels: labels(submission.size / 2),
            job_id: job,
            user_id: id(name(&USERS, submission.user)),
            role: if submission.admin { "admin" } else { "user" }.to_owned(),
            module: id(name(&MODULES, submission.module)),
            inputs: RawJson::default(),
            requested_resources: *pick(&SIZES, submission.size),
            priority: submission.priority,
            run_at: submission.run_in_s.map(|s| self.log.now + secs(s)),
            after: after.collect(),
            fingerprint: submission.keyed.then(|| format!("of {}", self.jobs)),
            seen: self.log.last(),
            pending: submission.pending,
            task: None,
            metadata: None,
            concurrency: submission.key.map(|(key, limit)| {
                let key = format!("key {key}");
                Box::new(Concurrency { key, limit: limit.into() })
            }),
            draft: submission.draft,
            traceparent: None,
        };
        let said = self.log.command(&tenant, &Command::Submit(Box::new(submit.clone())))?;
        hold(said.answer.is_some(), "every submit is answered", || format!("{submit:?}"))?;
        self.submits.push((tenant, submit));
        Ok(())
    }

    fn limit(&mut self, tenant: u8, user: Option<u8>, which: u8) -> Result<(), Violation> {
        let user = user.map(|user| id(name(&USERS, user)));
        let account = user.as_ref().map_or("tenant".to_owned(), subject::user_account);
        let of = configuration(which / 2);
        let limits = (!which.is_multiple_of(4)).then(|| of.roles["user"]);
        let set = SetLimits { account, limits, by: id("root"), reason: "tried".to_owned() };
        self.log.command(&id(name(&TENANTS, tenant)), &Command::SetLimits(Box::new(set)))?;
        Ok(())
    }

    /// An honest gateway stamps a submit with a place at which the id was still unused.
    fn submit_again(&mut self, pick: u8, other: bool) -> Result<(), Violation> {
        let Some((tenant, submit)) = choose(&self.submits, pick).cloned() else { return Ok(()) };
        let fingerprint = if other { Some("another".to_owned()) } else { submit.fingerprint };
        let again = Submit { fingerprint, ..submit };
        let known = self.log.state.job(again.job_id).is_some()
            || self.log.state.ended(again.job_id).is_some();
        let said = self.log.command(&tenant, &Command::Submit(Box::new(again.clone())))?;
        hold(!known || said.entries.is_empty(), "a repeated submit changes nothing", || {
            format!("{again:?}: {said:?}")
        })
    }

    fn submit_draft(&mut self, pick: u8, by: u8) -> Result<(), Violation> {
        let drafts = self.submits.iter().filter(|(_, submit)| submit.draft);
        let Some((tenant, submit)) = choose(&drafts.collect::<Vec<_>>(), pick).copied().cloned()
        else {
            return Ok(());
        };
        let by = USERS.get(usize::from(by)).map_or(submit.user_id.clone(), |user| id(user));
        let of_asker = by == submit.user_id;
        let story = self.log.watch.stories.get(&submit.job_id);
        let may = of_asker && story.is_some_and(|story| story.draft && story.ended.is_none());
        let role = submit.role.clone();
        let command = Command::SubmitDraft(SubmitDraft { job_id: submit.job_id, by, role });
        let said = self.log.command(&tenant, &command)?;
        let submitted = said.names().contains(&"draft_submitted");
        hold(may || !submitted, "its owner alone submits a draft, once", || {
            format!("{command:?}: {said:?}")
        })
    }

    fn cancel(&mut self, pick: u8, by: u8, admin: bool) -> Result<(), Violation> {
        let Some((tenant, submit)) = choose(&self.submits, pick).cloned() else { return Ok(()) };
        let by = USERS.get(usize::from(by)).map_or(submit.user_id.clone(), |user| id(user));
        let may = admin || by == submit.user_id;
        let story = self.log.watch.stories.get(&submit.job_id);
        let open = story.is_some_and(|story| story.ended.is_none());
        let cancel = Cancel { job_id: submit.job_id, by, admin };
        let said = self.log.command(&tenant, &Command::Cancel(cancel.clone()))?;
        let canceled = said.names().contains(&"canceled");
        hold(canceled == (may && open), "who may cancel an open job does, nobody else", || {
            format!("{cancel:?}: {said:?}")
        })
    }

    fn switch(&mut self, module: &str, enabled: bool) -> Result<(), Violation> {
        let set = SetModule { module: id(module), enabled, by: id("root") };
        self.log.command(&id(TENANTS[0]), &Command::SetModule(set))?;
        Ok(())
    }

    // --- workers ---

    fn hello(
        &mut self,
        worker: &str,
        capacity: Capacity,
        modules: &[Manifest],
    ) -> Result<(), Violation> {
        self.sessions += 1;
        let (worker, session): (WorkerId, _) = (id(worker), session_id(self.sessions));
        if let Some(old) = self.log.state.workers.get(&worker) {
            self.old_sessions.insert(worker.clone(), old.session);
        }
        let modules = modules.to_vec();
        let labels = labels(worker.as_str().bytes().last().unwrap_or_default());
        let hello = Hello { origin: origin(session), capacity, modules, labels };
        let hello = Report::Hello(Box::new(hello));
        self.log.report(&worker, session, &hello)?;
        self.reports.push((worker, session, hello));
        Ok(())
    }

    fn hello_again(
        &mut self,
        worker: &str,
        capacity: Capacity,
        modules: &[Manifest],
    ) -> Result<(), Violation> {
        let worker: WorkerId = id(worker);
        let Some(session) = session_of(&self.log.state, &worker) else { return Ok(()) };
        let modules = modules.to_vec();
        let labels = labels(worker.as_str().bytes().last().unwrap_or_default());
        let hello = Hello { origin: origin(session), capacity, modules, labels };
        let said = self.log.report(&worker, session, &Report::Hello(Box::new(hello)))?;
        hold(said.entries.is_empty(), "a repeated hello changes nothing", || format!("{said:?}"))
    }

    /// What is held, as its holders were told.
    fn holdings(&self) -> Vec<(JobId, Holding)> {
        let workers = self.log.state.workers.iter();
        workers.flat_map(|(id, at)| told(id, at.session, &at.assignments)).collect()
    }

    /// What sessions that are over held and nobody has said of it that it is lost.
    fn departed(&self) -> Vec<(JobId, Holding)> {
        let departed = self.log.state.workers.departed();
        departed.flat_map(|of| told(&of.worker_id, of.session, &of.assignments)).collect()
    }

    fn tell_late(&mut self, pick: u8, what: What) -> Result<(), Violation> {
        let departed = self.departed();
        let Some((job, holding)) = choose(&departed, pick) else { return Ok(()) };
        let report = report_of(*job, holding, what);
        let mut sessions = vec![holding.session];
        // Nor in the session that its worker has by now.
        sessions.extend(session_of(&self.log.state, &holding.worker));
        for session in sessions {
            let said = self.log.report(&holding.worker, session, &report)?;
            hold(said.entries.is_empty(), LATE, || format!("{report:?}: {said:?}"))?;
        }
        Ok(())
    }

    fn tell(&mut self, pick: u8, what: What) -> Result<(), Violation> {
        let holdings = self.holdings();
        let Some((job, holding)) = choose(&holdings, pick) else { return Ok(()) };
        let report = report_of(*job, holding, what);
        let canceled = self.log.watch.stories[job].ended == Some(JobState::Canceled);
        let said = self.log.report(&holding.worker, holding.session, &report)?;
        self.reports.push((holding.worker.clone(), holding.session, report));
        let names = said.names();
        let over = ["succeeded", "attempt_failed", "attempt_lost", "stopped"];
        let freed = names.iter().any(|name| over.contains(name));
        let ends = match what {
            What::Started => false,
            What::Stopped { .. } => canceled,
            _ => true,
        };
        hold(freed == ends, "an attempt that ended is over", || format!("{what:?}: {said:?}"))
    }

    fn lie(&mut self, pick: u8, what: What, lie: Lie) -> Result<(), Violation> {
        let holdings = self.holdings();
        let Some((job, holding)) = choose(&holdings, pick) else { return Ok(()) };
        let (mut job, mut false_) = (*job, holding.clone());
        match lie {
            Lie::Token => {
                false_.token = Token::compute(&[0; 32], job, false_.attempt, FrameNumber(1));
            }
            Lie::Attempt => false_.attempt = Attempt(false_.attempt.0 + 1),
            Lie::Session => {
                let old = self.old_sessions.get(&false_.worker).copied();
                let other = old.filter(|old| *old != false_.session);
                false_.session = other.unwrap_or(session_id(900_000));
            }
            Lie::Worker => {
                let other = self.log.state.workers.iter().find(|(id, _)| **id != false_.worker);
                let Some((other, at)) = other else { return Ok(()) };
                (false_.worker, false_.session) = (other.clone(), at.session);
            }
            Lie::Job => {
                let Some((other, _)) = holdings.iter().find(|(other, _)| *other != job) else {
                    return Ok(());
                };
                job = *other;
            }
        }
        let report = report_of(job, &false_, what);
        let said = self.log.report(&false_.worker, false_.session, &report)?;
        hold(said.entries.is_empty(), FORGERY, || format!("{lie:?} {report:?}: {said:?}"))
    }

    fn tell_again(&mut self, pick: u8) -> Result<(), Violation> {
        let Some((worker, session, report)) = choose(&self.reports, pick).cloned() else {
            return Ok(());
        };
        let here = session_of(&self.log.state, &worker) == Some(session);
        let known = here || self.log.state.workers.is_past(session);
        // What an attempt's start and end may cause a second time, the watch knows: nothing.
        let said = self.log.report(&worker, session, &report)?;
        let quiet = !matches!(report, Report::Hello(_)) || !known || said.entries.is_empty();
        hold(quiet, "a session begins once", || format!("{said:?}"))
    }

    fn of_session(&mut self, worker: u8, report: Report) -> Result<(), Violation> {
        let worker: WorkerId = id(name(&WORKERS, worker));
        if let Some(session) = session_of(&self.log.state, &worker) {
            self.log.report(&worker, session, &report)?;
        }
        Ok(())
    }

    fn silent(&mut self, worker: u8, old_session: bool) -> Result<(), Violation> {
        let worker_id: WorkerId = id(name(&WORKERS, worker));
        let session = if old_session {
            self.old_sessions.get(&worker_id).copied()
        } else {
            session_of(&self.log.state, &worker_id)
        };
        let Some(session) = session else { return Ok(()) };
        let live = session_of(&self.log.state, &worker_id) == Some(session);
        let said = self.log.internal(&Internal::WorkerSilent { worker_id, session })?;
        hold(said.entries.is_empty() != live, "only a live session can be given up", || {
            format!("{said:?}")
        })
    }

    fn missing(&mut self, worker: u8, which: u8) -> Result<(), Violation> {
        let worker_id: WorkerId = id(name(&WORKERS, worker));
        let Some(at) = self.log.state.workers.get(&worker_id) else { return Ok(()) };
        let session = at.session;
        let missing: Vec<_> = (0..8)
            .zip(&at.assignments)
            .filter(|(bit, _)| which & (1 << bit) != 0)
            .map(|(_, (job, slot))| Held { job_id: *job, attempt: slot.attempt })
            .collect();
        let (jobs, lost) =
            (missing.len(), Internal::AttemptsMissing { worker_id, session, missing });
        let said = self.log.internal(&lost)?;
        let facts = said.names().into_iter().filter(|name| *name == "attempt_lost").count();
        hold(facts == jobs, "what is missing is lost", || format!("{lost:?}: {said:?}"))
    }

    // --- the leader ---

    fn timer(&mut self) -> Result<(), Violation> {
        let now = self.log.now;
        let timers = self.log.state.timers().take_while(|(at, _)| *at <= now);
        let due: Vec<_> = timers.map(|(_, id)| id).collect();
        let jobs = due.len();
        let said = self.log.internal(&Internal::Timer { due })?;
        hold(said.entries.len() == jobs, "whose instant has come moves on", || format!("{said:?}"))
    }

    fn wrong_timer(&mut self) -> Result<(), Violation> {
        let timed: Vec<_> = self.log.state.timers().map(|(_, id)| id).collect();
        let due: Vec<_> =
            (0..=self.jobs + 1).map(job_id).filter(|job| !timed.contains(job)).collect();
        let said = self.log.internal(&Internal::Timer { due })?;
        hold(said.entries.is_empty(), "a timer moves only who waits for it", || format!("{said:?}"))
    }

    /// Matches and explains until nothing follows, and compares the reasons with the oracle's.
    pub fn settle(&mut self) -> Result<(), Violation> {
        // Whoever waits for a job hears of its end with the frame.
        self.log.seal()?;
        while self.log.state.workers.has_departed() {
            self.log.internal(&Internal::Losses { losses_max: 9_000 })?;
        }
        // What starts too soon after others does so by the present instant.
        self.log.frame()?;
        while !self.log.internal(&placing(9_000))?.entries.is_empty() {}
        let queued = self.log.state.jobs().count();
        let said = self.log.internal(&explaining(9_000))?;
        let once = said.entries.len() <= queued;
        hold(once, "a reason is brought up to date once", || format!("{said:?}"))?;
        let reasons = oracle::reasons(&self.log.state);
        for (id, job) in self.log.state.jobs() {
            let story = &self.log.watch.stories[&id];
            let expected = match (&story.held_by, story.ended, self.log.watch.dependencies(id)) {
                _ if story.draft => None,
                (Some(_), None, _) if !story.started => Some(WaitingCode::Dispatching),
                (Some(_), ..) | (_, Some(_), _) => None,
                // Who waits for what never comes was failed by the match.
                (.., None) => None,
                (.., Some(false)) => Some(WaitingCode::Dependency),
                (.., Some(true)) => story.timer.or_else(|| reasons.get(&id).copied()),
            };
            hold(job.job.waiting() == expected, REASONS, || {
                format!("{id}: {:?}, not {expected:?}: {story:?}", job.job.waiting())
            })?;
        }
        Ok(())
    }

    /// With enough capacity and time everything ends.
    pub fn drain(&mut self) -> Result<(), Violation> {
        self.log.internal(&Internal::Configure { config: configuration(1) })?;
        for module in MODULES {
            self.switch(module, true)?;
        }
        let boundless = Capacity { slots: 1_000, cpu: 100_000, mem_mb: 1_000_000, gpu: 1_000 };
        self.hello("w-9", boundless, &MODULES.map(manifest))?;
        let second = |name| Manifest { version: "2".to_owned(), ..manifest(name) };
        self.hello("w-y", boundless, &MODULES.map(second))?;
        let drafts: Vec<_> = self.submits.iter().filter(|(_, submit)| submit.draft).collect();
        for (tenant, Submit { job_id, user_id, .. }) in
            drafts.into_iter().cloned().collect::<Vec<_>>()
        {
            let cancel = Cancel { job_id, by: user_id, admin: false };
            self.log.command(&tenant, &Command::Cancel(cancel))?;
        }
        let open = self.log.state.jobs().count();
        // A job that waits for the one before it takes a round; so may a retry.
        for _ in 0..2 * open + 2 {
            self.log.now = self.log.now + secs(60);
            self.settle()?;
            for (job, holding) in self.holdings() {
                let canceled = self.log.watch.stories[&job].ended == Some(JobState::Canceled);
                let what = if canceled {
                    What::Stopped { wall_ms: 0 }
                } else {
                    What::Succeeded { wall_ms: 1 }
                };
                let report = report_of(job, &holding, what);
                self.log.report(&holding.worker, holding.session, &report)?;
            }
            let next = self.log.state.timers().next().map(|(at, _)| at);
            if let Some(at) = next {
                self.log.now = self.log.now.max(at);
                self.timer()?;
            }
        }
        let left: Vec<_> = self.log.state.jobs().collect();
        hold(left.is_empty(), "with enough capacity and time everything ends", || {
            format!("{left:?}")
        })?;
        let open: Vec<_> =
            self.log.watch.stories.iter().filter(|(_, story)| story.ended.is_none()).collect();
        hold(open.is_empty(), "what is no longer there has ended", || format!("{open:?}"))?;
        let reserved = self.log.state.ledger.accounts().any(|account| {
            account.queued_jobs > 0
                || account.running_jobs > 0
                || account.periods.values().any(|balance| balance.reserved != 0)
        });
        hold(!reserved, "in the end nothing is reserved", || format!("{:?}", self.log.state.ledger))
    }
}

/// What `worker` was told to run in one session.
fn told(
    worker: &WorkerId,
    session: SessionId,
    assignments: &BTreeMap<JobId, Assignment>,
) -> Vec<(JobId, Holding)> {
    let holding = |(job, slot): (&JobId, &Assignment)| {
        let token = Token::compute(&TOKEN_KEY, *job, slot.attempt, slot.assigned_n);
        (*job, Holding { worker: worker.clone(), session, attempt: slot.attempt, token })
    };
    assignments.iter().map(holding).collect()
}

fn report_of(job: JobId, holding: &Holding, what: What) -> Report {
    let wall = u64::from;
    match what {
        What::Started => holding.started(job),
        What::Succeeded { wall_ms } => holding.ended(job, true, wall(wall_ms), succeeded()),
        What::Failed { wall_ms, retryable } => {
            let mut end = failed();
            if let nox_contract::AttemptEnd::Failed { retryable: may, .. } = &mut end {
                *may = retryable;
            }
            holding.ended(job, true, wall(wall_ms), end)
        }
        What::Crashed { wall_ms } => holding.ended(job, true, wall(wall_ms), crashed()),
        What::Unstarted => holding.ended(job, false, 0, crashed()),
        What::HandedBack { started, draining: true } => {
            holding.ended(job, started, 9, handed_back(HandBack::Draining))
        }
        What::HandedBack { started, draining: false } => {
            let reason = "no process".to_owned();
            holding.ended(job, started, 9, handed_back(HandBack::CannotRun { reason }))
        }
        What::Stopped { wall_ms } => holding.stopped(job, wall(wall_ms)),
    }
}

fn session_of(state: &State, worker: &WorkerId) -> Option<SessionId> {
    state.workers.get(worker).map(|at| at.session)
}

fn secs(seconds: u16) -> std::time::Duration {
    std::time::Duration::from_secs(seconds.into())
}

fn pick<T>(all: &[T], which: u8) -> &T {
    &all[usize::from(which) % all.len()]
}

fn name(all: &[&'static str], which: u8) -> &'static str {
    all[usize::from(which) % all.len()]
}

fn choose<T>(all: &[T], which: u8) -> Option<&T> {
    (!all.is_empty()).then(|| pick(all, which))
}

/// A module's manifest in one of several forms.
fn variant(name: &str, which: u8) -> Manifest {
    let running_max = [None, Some(1), Some(2)][usize::from(which) % 3];
    let attempts_max = [1, 3][usize::from(which / 3) % 2];
    let raise = Raise {
        after: "exit_status".to_owned(),
        resource: [RaisedResource::MemMb, RaisedResource::WallTimeS][usize::from(which / 2) % 2],
        factor: 2,
        max: 400,
    };
    let retry = RetryPolicy {
        attempts_max,
        backoff_ms: 1_000,
        backoff_ms_max: 4_000,
        on: Vec::new(),
        raise: if which.is_multiple_of(5) { vec![raise] } else { Vec::new() },
    };
    let version = ["1", "2"][usize::from(which % 11 == 10)].to_owned();
    let starts_per_minute = (which % 7 == 6).then_some(30);
    Manifest { version, running_max, starts_per_minute, retry, ..manifest(name) }
}

/// What a worker has by its number, or a job needs: some have or need something.
fn labels<L: FromIterator<String>>(which: u8) -> L {
    (which % 8 == 1).then(|| "zone:a".to_owned()).into_iter().collect()
}

/// Tight, roomy, and odd.
fn configuration(which: u8) -> SchedulerConfig {
    let roomy = Limits {
        cpu_seconds: 1_000_000,
        queued_jobs: 1_000,
        running_jobs: 1_000,
        cpu: 100,
        mem_mb: 100_000,
        drafts: 5,
        starts_per_minute: nox_contract::limits::UNLIMITED,
    };
    let tight = Limits {
        cpu_seconds: 600,
        queued_jobs: 8,
        running_jobs: 2,
        cpu: 8,
        mem_mb: 1_000,
        drafts: 1,
        starts_per_minute: 20,
    };
    let of = |user, admin, tenant, crashes_max, ageing_ms, remembered_s: u64| SchedulerConfig {
        roles: BTreeMap::from([("user".to_owned(), user), ("admin".to_owned(), admin)]),
        tenant,
        crashes_max,
        ageing_ms,
        keyed_remembered_ms: remembered_s * 1_000,
        keyed_remembered_max: 8,
        unkeyed_remembered_max: 8,
        refuse_unsatisfiable: crashes_max == 2,
    };
    let all = [
        of(tight, roomy, Limits { running_jobs: 4, queued_jobs: 14, ..roomy }, 3, 10_000, 900),
        of(roomy, roomy, roomy, 3, 60_000, 60),
        of(Limits { cpu_seconds: 200, queued_jobs: 3, ..tight }, tight, tight, 1, 0, 1),
        of(tight, roomy, Limits { cpu_seconds: 900, ..roomy }, 2, u64::MAX, 30),
    ];
    pick(&all, which).clone()
}
