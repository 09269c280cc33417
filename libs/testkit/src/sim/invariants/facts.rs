//! What must hold of each fact, against what was said and done before.

use nox_contract::{
    Attempt, Blame, Entry, Fact, FactOrUnknown, JobId, JobState, LostReason, Occurrence,
    PauseReason, ScheduleId, Source, TenantId, WaitingCode, WorkNumber, WorkerId, beat::Held,
};
use nox_core::{State, job::Job};

use super::{Assigned, Joined, Left, Oracle, Trail};
use crate::sim::broker::Broker;

impl Oracle {
    /// What one entry says, against what was said and done before; `state` is the fold of all that.
    pub(super) fn check_facts(
        &mut self,
        broker: &Broker,
        state: &State,
        entry: &Entry,
    ) -> Result<(), String> {
        let reports = broker.input(Source::Reports);
        if entry.by.src == Source::Reports
            && reports.get_of(&state.reports, entry.by.seq).is_some_and(|stored| stored.forged)
        {
            return Err("a forged report was believed".to_owned());
        }
        for fact in &entry.facts {
            let FactOrUnknown::Known(fact) = fact else {
                return Err("a fact that nobody knows".to_owned());
            };
            if let Some(account) = &entry.account {
                check_account_fact(state, &entry.tenant, account, fact)?;
            }
            if let Some(worker) = &entry.worker_id {
                self.check_worker_fact(state, worker, entry, fact)?;
            }
            if let Some(key) = entry.key_id {
                self.book.on_key_fact(key, fact)?;
            }
            if let Some(schedule) = entry.schedule_id {
                self.check_schedule_fact(schedule, fact)
                    .map_err(|why| format!("schedule {schedule}: {why}"))?;
            }
            if let Some(job) = entry.job_id {
                self.check_job_fact(state, job, fact).map_err(|why| format!("{job}: {why}"))?;
            }
        }
        Ok(())
    }

    fn check_schedule_fact(&mut self, id: ScheduleId, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::ScheduleOccurred { outcome: Occurrence::Submitted { .. }, .. } => {
                self.stats.occurred += 1;
            }
            Fact::ScheduleOccurred {
                outcome: Occurrence::Skipped | Occurrence::Queued, ..
            } => self.stats.held_back += 1,
            Fact::SchedulePaused { reason, .. } if *reason != PauseReason::Asked => {
                self.stats.keyless += 1;
            }
            _ => {}
        }
        let trails = &self.trails;
        self.book.on_schedule_fact(id, fact, |job| {
            let newest = trails.get(job).and_then(|trail| trail.versions.last());
            newest.is_some_and(|(_, job)| !job.state().is_ended())
        })
    }

    fn check_worker_fact(
        &mut self,
        state: &State,
        worker: &WorkerId,
        entry: &Entry,
        fact: &Fact,
    ) -> Result<(), String> {
        match fact {
            Fact::WorkerJoined { session, origin, .. } => {
                if let Some(earlier) = state.workers.get(worker) {
                    return Err(format!("{worker} joins while {} lasts", earlier.session));
                }
                // Whoever joins in place of another one has it leave first, by the same word.
                let earlier = self.left_last.get(worker).and_then(|of| self.sessions.get(of));
                let replaced = earlier.filter(|of| of.left.is_some_and(|left| left.by == entry.by));
                if replaced.is_some_and(|of| of.instance != origin.instance) {
                    return Err(format!("{worker} takes the place of one of its name that lives"));
                }
                let joined = Joined {
                    instance: origin.instance,
                    next_work: WorkNumber(1),
                    draining: false,
                    left: None,
                };
                if self.sessions.insert(*session, joined).is_some() {
                    return Err(format!("session {session} joins again"));
                }
            }
            Fact::WorkerDraining { session } => {
                if let Some(joined) = self.sessions.get_mut(session) {
                    joined.draining = true;
                }
            }
            Fact::WorkerLeft { session, lost, .. } => {
                let held = self.assigned.values().filter(|a| a.session == *session && !a.over);
                let left = Left { by: entry.by, company: held.count() };
                match self.sessions.get_mut(session) {
                    Some(joined) if !joined.is_over() => joined.left = Some(left),
                    _ => return Err(format!("session {session} leaves, and was not there")),
                }
                self.left_last.insert(worker.clone(), *session);
                let silence = self.silence(session, state.at);
                if *lost
                    && entry.by.src == Source::Detector
                    && self.living.contains(session)
                    && silence.is_some_and(|span| span < self.silence_min)
                    && !self.was_absent(state.at)
                {
                    return Err(format!("{worker} is given up as silent, and was not"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check_job_fact(&mut self, state: &State, id: JobId, fact: &Fact) -> Result<(), String> {
        match self.trails.get_mut(&id) {
            None => {
                let job = Job::create(fact, state.n, state.at).map_err(|e| e.to_string())?;
                let inputs = match fact {
                    Fact::Submitted(job) | Fact::Drafted(job) => job.inputs.clone(),
                    Fact::Rejected(rejected) => rejected.inputs.clone(),
                    _ => return Err(format!("{} of no job", fact.name())),
                };
                self.stats.jobs += 1;
                let versions = vec![(state.n, job)];
                let admitted = !matches!(fact, Fact::Rejected(_));
                self.trails
                    .insert(id, Trail { inputs, admitted, succeeded: 0, charged: 0, versions });
            }
            Some(trail) => {
                let (last, mut job) = match trail.versions.last() {
                    Some((n, job)) => (*n, job.clone()),
                    None => return Err("a job without a beginning".to_owned()),
                };
                let early = job.due_at.filter(|due_at| *due_at > state.at);
                let moves = matches!(fact, Fact::Assigned { .. } | Fact::Waiting { .. });
                if moves && job.waiting() == Some(WaitingCode::Backoff) && early.is_some() {
                    return Err(format!("{} before it is due at {early:?}", fact.name()));
                }
                let begins =
                    matches!(fact, Fact::Submitted(_) | Fact::Drafted(_) | Fact::Rejected(_));
                if self.log_lost && begins && job.state().is_ended() {
                    // A stamp from before the log lost its end names a frame that is another one now: what
                    // ended and is forgotten may come again.
                    let again = Job::create(fact, state.n, state.at);
                    job = again.map_err(|e| e.to_string())?;
                } else {
                    job.apply(fact, state.at).map_err(|e| e.to_string())?;
                }
                if last == state.n {
                    trail.versions.pop();
                }
                trail.versions.push((state.n, job));
            }
        }
        self.check_attempt_fact(state, id, fact)
    }

    fn check_attempt_fact(
        &mut self,
        state: &State,
        job_id: JobId,
        fact: &Fact,
    ) -> Result<(), String> {
        if let Fact::Started { attempt, .. }
        | Fact::AttemptFailed { attempt, .. }
        | Fact::Stopped { attempt, .. }
        | Fact::StopRequested { attempt, .. }
        | Fact::Succeeded { attempt, .. } = fact
        {
            let session = self.open_attempt(job_id, *attempt)?.session;
            if self.sessions.get(&session).is_none_or(Joined::is_over) {
                return Err(format!("{} by {session}, which is over", fact.name()));
            }
        }
        match fact {
            Fact::Assigned { worker_id, session, attempt, work, .. } => {
                let joined = self.sessions.get_mut(session).filter(|joined| !joined.is_over());
                let Some(joined) = joined else {
                    return Err(format!("assigned to session {session}, which is not there"));
                };
                if state.workers.is_drained(worker_id) {
                    return Err(format!("assigned to {worker_id}, which is out of service"));
                }
                if joined.next_work != *work {
                    return Err(format!("work {work} of {session}, expected {}", joined.next_work));
                }
                joined.next_work = work.next();
                let trail = self.trails.get(&job_id).and_then(|trail| trail.versions.last());
                let assigned = Assigned {
                    n: state.n,
                    isolated: trail.is_some_and(|(_, job)| job.is_isolated()),
                    worker: worker_id.clone(),
                    session: *session,
                    started: false,
                    over: false,
                };
                let held = Held { job_id, attempt: *attempt };
                if self.assigned.insert(held, assigned).is_some() {
                    return Err(format!("{held:?} is assigned again"));
                }
            }
            Fact::StopRequested { worker_id, work, attempt, .. } => {
                let held = Held { job_id, attempt: *attempt };
                let Some(assigned) = self.assigned.get(&held) else {
                    return Err(format!("{held:?} is to stop at {worker_id}, which has it not"));
                };
                let joined = self.sessions.get_mut(&assigned.session);
                let Some(joined) = joined.filter(|joined| joined.next_work == *work) else {
                    return Err(format!("work {work} out of order"));
                };
                joined.next_work = work.next();
            }
            Fact::Started { attempt, .. } => {
                self.open_attempt(job_id, *attempt)?.started = true;
            }
            Fact::AttemptLost { attempt, reason, blame, .. } => {
                self.stats.lost += 1;
                self.check_blame(Held { job_id, attempt: *attempt }, *reason, *blame)?;
                let assigned = self.open_attempt(job_id, *attempt)?;
                assigned.over = true;
                let (worker, session) = (assigned.worker.clone(), assigned.session);
                let held = Held { job_id, attempt: *attempt };
                let truth = self.truths.get(&(session, held));
                // What a worker said may be gone with the stream that it said it in.
                let gone = self.reports_lost && truth.is_some_and(|truth| truth.ended);
                // The start of a job that was canceled meanwhile is let lie.
                let canceled = self
                    .trails
                    .get(&job_id)
                    .and_then(|trail| trail.versions.last())
                    .is_some_and(|(_, job)| job.state() == JobState::Canceled);
                if *reason == LostReason::NotHeld
                    && self.living.contains(&session)
                    && (truth.is_some() || !canceled)
                    && !gone
                    && !self.log_lost
                {
                    return Err(format!("{held:?} is lost, but {worker} lives: {truth:?}"));
                }
            }
            Fact::AttemptFailed { attempt, crashed, .. } => {
                let assigned = self.open_attempt(job_id, *attempt)?;
                assigned.over = true;
                if *crashed && !assigned.started {
                    return Err("an attempt that never started counts as a crash".to_owned());
                }
                if let Some(trail) = self.trails.get_mut(&job_id).filter(|_| *crashed) {
                    trail.charged += 1;
                }
            }
            Fact::Stopped { attempt, .. } => {
                let assigned = self.open_attempt(job_id, *attempt)?;
                assigned.over = true;
                let key = (assigned.session, Held { job_id, attempt: *attempt });
                if self.truths.get(&key).is_some_and(|truth| !truth.ended) && !self.log_lost {
                    return Err(format!("{key:?} is said to have stopped, and runs"));
                }
            }
            Fact::Succeeded { attempt, .. } => {
                self.stats.succeeded += 1;
                let assigned = self.open_attempt(job_id, *attempt)?;
                assigned.over = true;
                let key = (assigned.session, Held { job_id, attempt: *attempt });
                if self.truths.get(&key).is_none_or(|t| !t.succeeded) && !self.log_lost {
                    return Err(format!("{key:?} succeeded, which never did"));
                }
                if let Some(trail) = self.trails.get_mut(&job_id) {
                    trail.succeeded += 1;
                    if trail.succeeded > 1 {
                        return Err(format!("job {job_id} succeeds again"));
                    }
                }
            }
            Fact::Failed { error } => {
                self.stats.failed += 1;
                let charged = self.trails.get(&job_id).map_or(0, |trail| trail.charged);
                let crashes_max = state.config.as_ref().map_or(0, |c| c.crashes_max);
                if error.message.contains("attempts crashed") && charged < crashes_max {
                    return Err(format!("parked for crashes, and {charged} were its own"));
                }
            }
            Fact::Canceled { .. } => self.stats.canceled += 1,
            _ => {}
        }
        Ok(())
    }

    /// Only what is known to have run alone on a worker whose process ended without being told to, and
    /// what runs in isolation, is charged; what else was there is suspected, and a planned stop charges
    /// nobody.
    fn check_blame(&mut self, held: Held, reason: LostReason, blame: Blame) -> Result<(), String> {
        let Held { job_id, attempt } = held;
        let lost = self.open_attempt(job_id, attempt)?.clone();
        let joined = self.sessions.get(&lost.session);
        let draining = joined.is_some_and(|joined| joined.draining);
        let left = joined.and_then(|joined| joined.left);
        let company = left.map_or(0, |left| left.company);
        let silent = reason == LostReason::WorkerSilent;
        let ended = reason == LostReason::NewSession
            && left.is_some_and(|left| left.by.src == Source::Reports);
        let sudden = left.is_some() && !draining && (silent || ended);
        let proven = ended && lost.started && company == 1;
        let legal = match blame {
            // A process that begins another session has ended what it ran by itself.
            Blame::Nobody => !silent,
            Blame::Suspected => sudden && !proven && !lost.isolated,
            Blame::Crashed => sudden && (proven || lost.isolated),
        };
        if !legal {
            return Err(format!("{blame:?}, {reason:?}, draining {draining}, {company}: {lost:?}"));
        }
        match blame {
            Blame::Nobody => self.stats.excused += u64::from(lost.started),
            Blame::Suspected => self.stats.suspected += 1,
            Blame::Crashed => self.stats.crashed += 1,
        }
        if let Some(trail) = self.trails.get_mut(&job_id).filter(|_| blame == Blame::Crashed) {
            trail.charged += 1;
        }
        Ok(())
    }

    fn open_attempt(&mut self, job_id: JobId, attempt: Attempt) -> Result<&mut Assigned, String> {
        self.assigned
            .get_mut(&Held { job_id, attempt })
            .filter(|assigned| !assigned.over)
            .ok_or_else(|| format!("attempt {attempt} of {job_id} is over, or never was"))
    }
}

fn check_account_fact(
    state: &State,
    tenant: &TenantId,
    account: &str,
    fact: &Fact,
) -> Result<(), String> {
    let fixed = state.ledger.account(tenant, account).is_some_and(|of| of.fixed);
    match fact {
        Fact::LimitsSet { change: None, .. } if fixed => {
            Err(format!("a role overwrites what an admin set for {account}"))
        }
        _ => Ok(()),
    }
}
