//! What must hold of the log: its chain and numbers, its inputs one after the other and each whole,
//! and that every fact is what the decider says of the input that it names.

use std::collections::VecDeque;

use nox_contract::{
    Blame, EpochRecord, Event, Fact, FactOrUnknown, Incarnation, JobId, JobState, LostReason,
    Outcome, Positions, Source, Timestamp, WaitingCode, WorkNumber, WorkerId, beat::Held,
};
use nox_core::{Decision, Internal, decide, job::Job};
use nox_protocol::{
    Record,
    sequencer::{Input, Unfinished},
    takeover::decode_input,
};

use super::{Assigned, CHECK_EVERY, Joined, Oracle, Trail};
use crate::sim::broker::Broker;

impl Oracle {
    /// A message has reached the log.
    pub fn on_log(&mut self, broker: &Broker, seq: u64, subject: &str, payload: &[u8]) {
        if let Err(why) = self.take(broker, seq, subject, payload) {
            self.fail(format!("log at {seq}: {why}"));
        }
    }

    /// Folds a log that has lost its end, from its beginning.
    pub fn fold_again(&mut self, broker: &Broker) {
        self.log_lost = true;
        self.reader = nox_protocol::Reader::default();
        self.epoch = nox_contract::Epoch(0);
        self.at = Timestamp::default();
        self.pos = Positions::default();
        self.state = nox_core::State::default();
        self.open.clear();
        self.trails.clear();
        self.assigned.clear();
        self.sessions.clear();
        self.losing = (None, 0);
        for (seq, subject, payload) in broker.read_log(1, usize::MAX) {
            self.on_log(broker, seq, &subject, &payload);
        }
    }

    fn take(
        &mut self,
        broker: &Broker,
        seq: u64,
        subject: &str,
        payload: &[u8],
    ) -> Result<(), String> {
        let record = self.reader.read(subject, payload).map_err(|e| e.to_string())?;
        let n = self.reader.n();
        if n.0 != seq {
            return Err(format!("its number is {n}"));
        }
        match record {
            Record::Epoch(record) => {
                self.stats.epochs += 1;
                if record.epoch <= self.epoch {
                    return Err(format!("epoch {} after epoch {}", record.epoch, self.epoch));
                }
                self.epoch = record.epoch;
                self.at = self.at.max(record.at);
                if self.open.is_empty() {
                    self.state.apply_epoch(n, &record).map_err(|e| e.to_string())?;
                } else {
                    self.open.push_back(Unfinished::Epoch(n, record));
                }
                Ok(())
            }
            Record::Event(event) => {
                self.stats.events += 1;
                self.check_order(&event)?;
                self.check_facts(broker, &event)?;
                let last = event.input.last;
                self.open.push_back(Unfinished::Event(event));
                if last { self.complete(broker) } else { Ok(()) }
            }
        }
    }

    /// Terms, times, positions, and inputs as contiguous groups.
    fn check_order(&mut self, event: &Event) -> Result<(), String> {
        if event.epoch != self.epoch {
            return Err(format!("written in epoch {} after {} began", event.epoch, self.epoch));
        }
        if event.at < self.at {
            return Err("time runs backwards".to_owned());
        }
        self.at = event.at;
        let input = &event.input;
        let consumed = position(&event.pos, input.src);
        let reset = input.src == Source::Operator;
        let regressed =
            event.pos.commands < self.pos.commands || event.pos.reports < self.pos.reports;
        if regressed && !reset {
            return Err(format!("positions go back from {:?} to {:?}", self.pos, event.pos));
        }
        match (consumed, input.last) {
            (Some(consumed), true) if consumed != input.seq => {
                return Err(format!("the last event of {input:?} stands at {consumed}"));
            }
            (Some(consumed), false) if consumed >= input.seq => {
                return Err(format!("{input:?} goes on, but stands at {consumed}"));
            }
            _ => {}
        }
        match self.open.iter().rev().find_map(|record| match record {
            Unfinished::Event(event) => Some(&event.input),
            Unfinished::Epoch(..) => None,
        }) {
            // An operator gave up the stream that an incomplete input came from.
            Some(open) if reset && open.src != input.src => {
                for record in std::mem::take(&mut self.open) {
                    match record {
                        Unfinished::Event(event) => self.state.apply(&event),
                        Unfinished::Epoch(n, record) => self.state.apply_epoch(n, &record),
                    }
                    .map_err(|e| e.to_string())?;
                }
            }
            Some(open) => {
                let same = open.src == input.src && open.seq == input.seq;
                if !same || input.part < open.part || input.body.is_some() {
                    return Err(format!("{input:?} within {open:?}"));
                }
            }
            None => match position(&self.pos, input.src) {
                Some(consumed) if input.seq <= consumed => {
                    return Err(format!("{input:?} again, after {consumed}"));
                }
                None if input.seq != event.n.0 || input.body.is_none() => {
                    return Err(format!("{input:?} is in no stream, and not whole"));
                }
                _ => {}
            },
        }
        self.pos = event.pos;
        let proved = self.pos_of_epoch.entry(event.epoch).or_default();
        *proved = event.pos;
        Ok(())
    }

    /// What one fact says, against what was said and done before.
    fn check_facts(&mut self, broker: &Broker, event: &Event) -> Result<(), String> {
        if event.input.src == Source::Reports
            && broker
                .input(Source::Reports)
                .get_of(&self.state.reports, event.input.seq)
                .is_some_and(|stored| stored.forged)
        {
            return Err("a forged report was believed".to_owned());
        }
        for fact in &event.facts {
            let FactOrUnknown::Known(fact) = fact else {
                return Err("a fact that nobody knows".to_owned());
            };
            if let Some(worker) = &event.worker_id {
                self.check_worker_fact(worker, event, fact)?;
            }
            if let Some(job) = event.job_id {
                self.check_job_fact(job, event, fact).map_err(|why| format!("{job}: {why}"))?;
            }
        }
        Ok(())
    }

    fn check_worker_fact(
        &mut self,
        worker: &WorkerId,
        event: &Event,
        fact: &Fact,
    ) -> Result<(), String> {
        match fact {
            Fact::WorkerJoined { session, origin, .. } => {
                let of_worker = self.assigned.values().filter(|a| a.worker == *worker);
                if let Some(left) = of_worker.clone().find(|a| !a.over) {
                    return Err(format!("{worker} joins while {left:?} is open"));
                }
                let joined = Joined { next_work: WorkNumber(1), draining: false, over: false };
                let earlier = self.state.workers.get(worker);
                if earlier.is_some_and(|earlier| earlier.origin.instance != origin.instance) {
                    return Err(format!("{worker} takes the place of one of its name that lives"));
                }
                if let Some(earlier) = earlier
                    && let Some(earlier) = self.sessions.get_mut(&earlier.session)
                {
                    earlier.over = true;
                }
                if self.sessions.insert(*session, joined).is_some() {
                    return Err(format!("session {session} joins again"));
                }
            }
            Fact::WorkerDraining { session } => {
                if let Some(joined) = self.sessions.get_mut(session) {
                    joined.draining = true;
                }
            }
            Fact::WorkerLeft { session, lost } => {
                match self.sessions.get_mut(session) {
                    Some(joined) if !joined.over => joined.over = true,
                    _ => return Err(format!("session {session} leaves, and was not there")),
                }
                let silence = self.silence(session, event.at);
                // An operator who gives up a stream gives up whoever spoke in it.
                if *lost
                    && event.input.src != Source::Operator
                    && self.living.contains(session)
                    && silence.is_some_and(|span| span < self.silence_min)
                {
                    return Err(format!("{worker} is given up as silent, and was not"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check_job_fact(&mut self, id: JobId, event: &Event, fact: &Fact) -> Result<(), String> {
        match self.trails.get_mut(&id) {
            None => {
                let job = Job::create(fact, event.n, event.at).map_err(|e| e.to_string())?;
                let inputs = match fact {
                    Fact::Submitted(submitted) => submitted.inputs.clone(),
                    Fact::Rejected(rejected) => rejected.inputs.clone(),
                    _ => return Err(format!("{} of no job", fact.name())),
                };
                self.stats.jobs += 1;
                let versions = vec![(event.n, job)];
                let admitted = matches!(fact, Fact::Submitted(_));
                self.trails
                    .insert(id, Trail { inputs, admitted, succeeded: 0, charged: 0, versions });
            }
            Some(trail) => {
                let (n, mut job) = match trail.versions.last() {
                    Some((n, job)) => (*n, job.clone()),
                    None => return Err("a job without a beginning".to_owned()),
                };
                let early = job.due_at.filter(|due_at| *due_at > event.at);
                let moves = matches!(fact, Fact::Assigned { .. } | Fact::Waiting { .. });
                if moves && job.waiting() == Some(WaitingCode::Backoff) && early.is_some() {
                    return Err(format!("{} before it is due at {early:?}", fact.name()));
                }
                job.apply(fact, event.at).map_err(|e| e.to_string())?;
                if n == event.n {
                    trail.versions.pop();
                }
                trail.versions.push((event.n, job));
            }
        }
        self.check_attempt_fact(id, event, fact)
    }

    fn check_attempt_fact(
        &mut self,
        job_id: JobId,
        event: &Event,
        fact: &Fact,
    ) -> Result<(), String> {
        match fact {
            Fact::Assigned { worker_id, session, attempt, work } => {
                let joined = self.sessions.get_mut(session).filter(|joined| !joined.over);
                let Some(joined) = joined else {
                    return Err(format!("assigned to session {session}, which is not there"));
                };
                if joined.next_work != *work {
                    return Err(format!("work {work} of {session}, expected {}", joined.next_work));
                }
                joined.next_work = work.next();
                let trail = self.trails.get(&job_id).and_then(|trail| trail.versions.last());
                let assigned = Assigned {
                    n: event.n,
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
                self.check_blame(event, Held { job_id, attempt: *attempt }, *reason, *blame)?;
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
                let crashes_max = self.state.config.as_ref().map_or(0, |c| c.crashes_max);
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
    fn check_blame(
        &mut self,
        event: &Event,
        held: Held,
        reason: LostReason,
        blame: Blame,
    ) -> Result<(), String> {
        let input = Some((event.input.src, event.input.seq));
        if self.losing.0 != input {
            self.losing = (input, 0);
        }
        let Held { job_id, attempt } = held;
        let lost = self.open_attempt(job_id, attempt)?.clone();
        let beside = self.assigned.values().filter(|a| a.session == lost.session && !a.over);
        let company = beside.count() as u32 + self.losing.1;
        self.losing.1 += 1;
        let joined = self.sessions.get(&lost.session);
        let draining = joined.is_some_and(|joined| joined.draining);
        let silent = reason == LostReason::WorkerSilent;
        let ended = reason == LostReason::NewSession && event.input.src == Source::Reports;
        let sudden = !draining && (silent || ended);
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

    fn open_attempt(
        &mut self,
        job_id: JobId,
        attempt: nox_contract::Attempt,
    ) -> Result<&mut Assigned, String> {
        self.assigned
            .get_mut(&Held { job_id, attempt })
            .filter(|assigned| !assigned.over)
            .ok_or_else(|| format!("attempt {attempt} of {job_id} is over, or never was"))
    }

    /// An input is whole: decides it again, and what was consumed before it without a fact.
    fn complete(&mut self, broker: &Broker) -> Result<(), String> {
        let records = std::mem::take(&mut self.open);
        let Some(Unfinished::Event(first)) = records.front() else { return Ok(()) };
        let (first, before) = (first.clone(), self.state.pos);
        if records.iter().any(|record| matches!(record, Unfinished::Epoch(..))) {
            self.stats.completed_by_another += 1;
        }
        let reset = first.known_facts().any(|fact| matches!(fact, Fact::InputsReset { .. }));
        if !reset {
            for src in [Source::Commands, Source::Reports] {
                let from = position(&before, src).unwrap_or(0) + 1;
                let to = match position(&self.pos, src).unwrap_or(0) {
                    own if src == first.input.src => own - 1,
                    other => other,
                };
                for seq in from..=to {
                    self.check_factless(broker, src, seq)?;
                }
            }
        }
        self.decide_again(broker, &first, records)?;
        self.completed += 1;
        if self.completed.is_multiple_of(CHECK_EVERY) {
            self.state.check()?;
        }
        Ok(())
    }

    fn incarnation(&self, src: Source) -> Incarnation {
        match src {
            Source::Commands => self.state.commands.clone(),
            _ => self.state.reports.clone(),
        }
    }

    fn input(&self, broker: &Broker, src: Source, seq: u64) -> Result<Option<Input>, String> {
        let stored = broker.input(src).get_of(&self.incarnation(src), seq);
        let stored = stored.ok_or_else(|| format!("{src:?} has no message {seq}"))?;
        Ok(decode_input(src, seq, &stored.subject, &stored.payload))
    }

    /// An input was consumed and nothing followed: rightly?
    fn check_factless(&mut self, broker: &Broker, src: Source, seq: u64) -> Result<(), String> {
        let Some(input) = self.input(broker, src, seq)? else { return Ok(()) };
        let mut part = 0;
        while let Some(decision) = self.decide(&input, part, self.state.at) {
            if !decision.drafts.is_empty() {
                return Err(format!("{src:?} {seq}/{part} was consumed without its facts"));
            }
            self.note_refusal(&input, part, &decision);
            part += 1;
        }
        Ok(())
    }

    fn note_refusal(&mut self, input: &Input, part: u32, decision: &Decision) {
        if let (Input::Commands { seq, .. }, Some(Outcome::Refused(_))) = (input, &decision.answer)
        {
            self.stats.refused += 1;
            self.refused.insert((self.state.commands.clone(), *seq, part));
        }
    }

    fn decide(&self, input: &Input, part: u32, at: Timestamp) -> Option<Decision> {
        match input {
            Input::Commands { tenant, message, .. } => {
                let command = message.commands.get(part as usize)?;
                Some(decide::command(&self.state, tenant, command, at))
            }
            Input::Reports { worker_id, message, .. } => {
                let report = message.reports.get(part as usize)?;
                let session = message.session;
                Some(decide::report(&self.state, &self.rules, worker_id, session, report, at))
            }
            Input::Internal(internal) => decide::internal(&self.state, &self.rules, internal, part),
        }
    }

    fn decide_again(
        &mut self,
        broker: &Broker,
        first: &Event,
        mut records: VecDeque<Unfinished>,
    ) -> Result<(), String> {
        let (src, seq) = (first.input.src, first.input.seq);
        let input = match src {
            Source::Commands | Source::Reports => self
                .input(broker, src, seq)?
                .ok_or_else(|| format!("{src:?} {seq} cannot be read, but led to facts"))?,
            _ => {
                let body = first.input.body.as_ref().map_or("null", |body| body.get());
                let internal: Internal = serde_json::from_str(body).map_err(|e| e.to_string())?;
                Input::Internal(internal)
            }
        };
        let at = first.at;
        let mut part = 0;
        while let Some(decision) = self.decide(&input, part, at) {
            self.note_refusal(&input, part, &decision);
            for draft in decision.drafts {
                let Some(Unfinished::Event(event)) = records.pop_front() else {
                    return Err(format!("{src:?} {seq}/{part} leads to more: {draft:?}"));
                };
                let facts: Vec<FactOrUnknown> = draft.facts.into_iter().map(Into::into).collect();
                if event.input.part != part
                    || event.entity() != Some(draft.entity.clone())
                    || event.facts != facts
                {
                    return Err(format!("{src:?} {seq}/{part} leads to {facts:?}, not {event:?}"));
                }
                self.state.apply(&event).map_err(|e| e.to_string())?;
                self.apply_epochs(&mut records)?;
            }
            part += 1;
        }
        match records.pop_front() {
            Some(more) => Err(format!("{src:?} {seq} does not lead to {more:?}")),
            None => Ok(()),
        }
    }

    fn apply_epochs(&mut self, records: &mut VecDeque<Unfinished>) -> Result<(), String> {
        while let Some(Unfinished::Epoch(n, record)) = records.front() {
            let record: &EpochRecord = record;
            self.state.apply_epoch(*n, record).map_err(|e| e.to_string())?;
            records.pop_front();
        }
        Ok(())
    }
}

/// How far a stream of inputs is consumed; `None` for what is in no stream.
fn position(pos: &Positions, src: Source) -> Option<u64> {
    match src {
        Source::Commands => Some(pos.commands),
        Source::Reports => Some(pos.reports),
        _ => None,
    }
}
