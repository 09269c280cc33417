//! Which workers are alive and what they hold, judged on the leader's monotonic clock alone.

mod probes;

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{Beat, Origin, SessionId, WorkNumber, WorkerId, beat::Held};
use nox_core::{Internal, State, worker::Worker};

use self::probes::Probes;
pub use self::probes::{Probe, Probing};
use crate::faults::Faults;

/// A leader that did not look for this part of a lease, and this long, was away itself.
const AWAY_PART: u32 = 4;
const AWAY_MIN: Duration = Duration::from_secs(1);

/// How long after a worker was first found silent it is looked at again. A leader that stood still for
/// a moment has beats before it that it did not read yet.
const SECOND_LOOK: Duration = Duration::from_millis(5);

/// Most beats that are kept of workers that the log does not know: anybody may beat under any name.
const STRANGERS_MAX: usize = 64;

/// Most attempts that one beat gives up, so that they fit into one event; the next beat gives up
/// the others.
const MISSING_MAX: usize = 1_000;

/// What follows from beats, or from their absence.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// To be decided, and recorded.
    Input(Internal),
    /// Work above this number did not arrive.
    Resend { worker_id: WorkerId, session: SessionId, above: WorkNumber },
    /// The worker holds attempts that the log does not give it, and did so a beat ago.
    Abandon { worker_id: WorkerId, session: SessionId, held: Vec<Held> },
    /// The worker believes in a session that the log has given up.
    Superseded { worker_id: WorkerId, session: SessionId },
    /// The broker is to be asked whether anybody listens for the worker's work.
    Probe { worker_id: WorkerId, session: SessionId, probe: Probe },
    /// The worker has yet to hear that the log has taken its session on.
    Joined { worker_id: WorkerId, session: SessionId },
    /// The worker takes registered modules, and has not heard of those above this number.
    Registered { worker_id: WorkerId, session: SessionId, above: u64 },
    /// The worker's session was not taken on, for another one of its name lives; or another process of
    /// its own instance was taken on in its place while it lives, and it must not take that back.
    Refused { worker_id: WorkerId, session: SessionId },
}

#[derive(Debug, Clone)]
struct Watch {
    session: SessionId,
    /// Silent for longer, it is given up.
    lease: Duration,
    /// It claims its work: what it holds it has heard of by its own request.
    claims: bool,
    /// When the worker was last heard of, or began its fresh term.
    heard: Duration,
    /// When it was first found silent since.
    silent_at: Option<Duration>,
    /// What it had received, and what was to be received, at the last beat.
    received: WorkNumber,
    expected: WorkNumber,
    /// What the worker held at the last beat that the log does not give it.
    stray: Vec<Held>,
    /// What was asked about it; `None` of one that does not listen for work.
    probes: Option<Probes>,
}

impl Watch {
    fn on_heard(&mut self, now: Duration) {
        self.heard = now;
        self.silent_at = None;
        if let Some(probes) = &mut self.probes {
            probes.on_heard();
        }
    }
}

/// See the head of this file. All instants are spans since the leader's process began.
#[derive(Debug, Clone)]
pub struct Liveness {
    lease: Duration,
    judge_early: bool,
    /// How it asks after workers that it does not hear of; `None` where leases alone decide.
    probing: Option<Probing>,
    absent_at_once: bool,
    reconnects_ignored: bool,
    /// When it looked last; a leader looks all the time, unless its process was stopped.
    looked: Duration,
    watches: BTreeMap<WorkerId, Watch>,
    /// No worker that claims its work runs out of its lease before: they may be many, and are looked at when
    /// one of them may have.
    claimants_due: Duration,
    /// Beats that wait until the reports they refer to are consumed; the newest of each worker, and the
    /// newest under its name of another session: that must not keep the worker from being heard.
    unjudged: BTreeMap<(WorkerId, bool), Beat>,
    /// The same of names that no worker has: a few.
    strangers: BTreeMap<WorkerId, Beat>,
}

impl Liveness {
    /// Begins a term: every worker that the log knows gets one fresh lease, whatever it did before.
    pub fn new(state: &State, lease: Duration, judge_early: bool, now: Duration) -> Self {
        let mut liveness = Self {
            lease,
            judge_early,
            probing: None,
            absent_at_once: false,
            reconnects_ignored: false,
            looked: now,
            watches: BTreeMap::new(),
            claimants_due: Duration::ZERO,
            unjudged: BTreeMap::new(),
            strangers: BTreeMap::new(),
        };
        liveness.follow(state, now);
        liveness
    }

    /// Asks after workers that it does not hear of, if `probing` says how.
    pub fn with_probing(mut self, probing: Option<Probing>, faults: &Faults) -> Self {
        self.probing = probing;
        self.absent_at_once = faults.absent_at_once;
        self.reconnects_ignored = faults.reconnects_ignored;
        self
    }

    /// Watches the sessions that the log knows, and only these.
    fn follow(&mut self, state: &State, now: Duration) {
        let watched = self.watches.iter().map(|(id, watch)| (id, watch.session));
        if watched.eq(state.workers.iter().map(|(id, worker)| (id, worker.session))) {
            return;
        }
        self.watches.retain(|id, watch| {
            state.workers.get(id).is_some_and(|worker| worker.session == watch.session)
        });
        let lease = self.lease;
        for (id, worker) in state.workers.iter() {
            let own = worker.claims.as_ref().map(|of| Duration::from_millis(of.claimant.lease_ms));
            self.watches.entry(id.clone()).or_insert_with(|| Watch {
                session: worker.session,
                lease: own.unwrap_or(lease),
                claims: own.is_some(),
                heard: now,
                silent_at: None,
                received: WorkNumber(0),
                // As if everything had been handed out long ago: the first beat is answered with
                // what did not arrive.
                expected: worker.next_work,
                stray: Vec::new(),
                probes: own.is_none().then(Probes::default),
            });
        }
        self.unjudged.retain(|(id, _), _| self.watches.contains_key(id));
        self.claimants_due = self.first_claimant_due();
    }

    fn first_claimant_due(&self) -> Duration {
        let claimants = self.watches.values().filter(|watch| watch.claims);
        claimants.map(|watch| watch.heard + watch.lease).min().unwrap_or(Duration::MAX)
    }

    pub fn on_beat(&mut self, worker_id: WorkerId, beat: Beat, now: Duration) {
        let Some(watch) = self.watches.get_mut(&worker_id) else {
            return self.on_strange_beat(worker_id, beat);
        };
        let known = watch.session == beat.session;
        if known {
            watch.on_heard(now);
        }
        self.unjudged.insert((worker_id, known), beat);
    }

    /// Of too many, the one goes whose reports are the furthest away: it would be judged last.
    fn on_strange_beat(&mut self, worker_id: WorkerId, beat: Beat) {
        self.strangers.insert(worker_id, beat);
        if self.strangers.len() > STRANGERS_MAX {
            let last = self.strangers.iter().max_by_key(|(_, beat)| beat.reports_up_to);
            if let Some(last) = last.map(|(id, _)| id.clone()) {
                self.strangers.remove(&last);
            }
        }
    }

    /// To a question about a session, the broker said that nobody listened; by then, `reports` was the last
    /// report that was stored.
    pub fn on_absent(
        &mut self,
        worker_id: &WorkerId,
        session: SessionId,
        probe: Probe,
        reports: u64,
        now: Duration,
    ) {
        let watch = self.watches.get_mut(worker_id).filter(|watch| watch.session == session);
        if let Some(probes) = watch.and_then(|watch| watch.probes.as_mut()) {
            probes.on_absent(probe, reports, now);
        }
    }

    /// The leader's own connection was lost and is there again, or what it is connected to is not what it was.
    /// Workers may need longer to be back: each gets a fresh lease, and has to be heard of before its absence
    /// counts.
    pub fn on_reconnected(&mut self, now: Duration) {
        if self.reconnects_ignored {
            return;
        }
        for watch in self.watches.values_mut() {
            watch.heard = now;
        }
        self.ask_anew();
    }

    /// Nothing that was asked or answered before counts any more.
    fn ask_anew(&mut self) {
        let probes = self.watches.values_mut().filter_map(|watch| watch.probes.as_mut());
        probes.for_each(Probes::begin_anew);
    }

    /// Silence that nobody listened to proves nothing: time in which this leader was away itself
    /// does not count.
    fn forgive(&mut self, now: Duration) {
        let away = now.saturating_sub(std::mem::replace(&mut self.looked, now));
        if self.probing.is_some_and(|probing| away > probing.unreachable_after) {
            // What stopped this leader may have stopped everybody.
            self.ask_anew();
        }
        if away > AWAY_MIN.max(self.lease / AWAY_PART) {
            for watch in self.watches.values_mut() {
                watch.heard = (watch.heard + away).min(now);
            }
        }
    }

    /// When the next worker runs out of its lease, or is to be asked after.
    pub fn next_wake(&self) -> Option<Duration> {
        let wake = |watch: &Watch| {
            let asks = self.probing.as_ref().zip(watch.probes.as_ref());
            let probe = asks.and_then(|(probing, probes)| probes.next(probing, watch.heard));
            probe.map_or(watch.heard + watch.lease, |at| at.min(watch.heard + watch.lease))
        };
        let of_executors = self.watches.values().filter(|watch| !watch.claims).map(wake).min();
        let of_claimants = Some(self.claimants_due).filter(|due| *due < Duration::MAX);
        of_executors.into_iter().chain(of_claimants).min()
    }

    /// Judges the beats whose reports are consumed up to `reports`, and the silent workers.
    pub fn judge(&mut self, state: &State, reports: u64, now: Duration) -> Vec<Verdict> {
        self.forgive(now);
        self.follow(state, now);
        let mut verdicts = Vec::new();
        let judge_early = self.judge_early;
        let is_ready = |beat: &mut Beat| {
            // Of a session that is known to be over, no report can change anything.
            beat.reports_up_to <= reports || state.workers.is_past(beat.session) || judge_early
        };
        let mut ready: Vec<(WorkerId, Beat)> =
            self.strangers.extract_if(.., |_, beat| is_ready(beat)).collect();
        let of_known = self.unjudged.extract_if(.., |_, beat| is_ready(beat));
        ready.extend(of_known.map(|((worker_id, _), beat)| (worker_id, beat)));
        for (worker_id, beat) in ready {
            self.judge_beat(state, worker_id, &beat, now, &mut verdicts);
        }
        let claimants_are_due = self.claimants_due <= now;
        for (worker_id, watch) in &mut self.watches {
            if watch.claims && !claimants_are_due {
                continue;
            }
            if state.parking.worker(worker_id).is_some() {
                // Nobody knows what became of it, so nothing is concluded from its silence.
                watch.on_heard(now);
                continue;
            }
            if let Some((probing, probes)) = self.probing.zip(watch.probes.as_mut()) {
                let span = probing.unreachable_after;
                let span = if self.absent_at_once { Duration::ZERO } else { span };
                if probes.is_unreachable(span, reports) {
                    // As final as below.
                    verdicts.push(Verdict::Input(Internal::WorkerSilent {
                        worker_id: worker_id.clone(),
                        session: watch.session,
                    }));
                    continue;
                }
                if probes.next(&probing, watch.heard).is_some_and(|at| at <= now) {
                    verdicts.push(Verdict::Probe {
                        worker_id: worker_id.clone(),
                        session: watch.session,
                        probe: probes.ask(now),
                    });
                }
            }
            if now.saturating_sub(watch.heard) <= watch.lease {
                watch.silent_at = None;
            // Final as soon as it is said: it is decided and applied in this turn, and a beat that arrives while
            // its frame is on the way cannot take it back, for nothing is ever rolled back in memory. Nor need
            // it: the worker hears that its session is over, begins another one, and the tokens of what it
            // held are void by then.
            } else if now.saturating_sub(*watch.silent_at.get_or_insert(now)) >= SECOND_LOOK {
                verdicts.push(Verdict::Input(Internal::WorkerSilent {
                    worker_id: worker_id.clone(),
                    session: watch.session,
                }));
            }
        }
        if claimants_are_due {
            self.claimants_due = self.first_claimant_due();
        }
        verdicts
    }

    fn judge_beat(
        &mut self,
        state: &State,
        worker_id: WorkerId,
        beat: &Beat,
        now: Duration,
        verdicts: &mut Vec<Verdict>,
    ) {
        let session = beat.session;
        if state.parking.worker(&worker_id).is_some() {
            return;
        }
        let worker = state.workers.get(&worker_id).filter(|worker| worker.session == session);
        let (Some(worker), Some(watch)) = (worker, self.watches.get_mut(&worker_id)) else {
            // Before its first report is acknowledged a session is nobody's to supersede.
            if beat.reports_up_to > 0 {
                let refused = state.workers.get(&worker_id).is_some_and(|holder| {
                    // Its `hello` is consumed, and the log holds on to the worker that it has.
                    let not_taken_on = !state.workers.is_past(session) && !beat.joined;
                    not_taken_on || beat.origin.is_some_and(|origin| is_copy(holder, origin))
                });
                verdicts.push(if refused {
                    Verdict::Refused { worker_id, session }
                } else {
                    Verdict::Superseded { worker_id, session }
                });
            }
            return;
        };
        watch.on_heard(now);
        if watch.claims {
            return;
        }
        if !beat.joined {
            verdicts.push(Verdict::Joined { worker_id: worker_id.clone(), session });
        }
        if let Some(above) = beat.registered_up_to.filter(|up_to| *up_to < state.registrations) {
            let worker_id = worker_id.clone();
            verdicts.push(Verdict::Registered { worker_id, session, above });
        }
        let is_parked = |held: &Held| state.parking.job(held.job_id).is_some();
        let missing: Vec<Held> = worker
            .assignments
            .iter()
            .filter(|(_, slot)| slot.work <= beat.received_up_to)
            .map(|(job_id, slot)| Held { job_id: *job_id, attempt: slot.attempt })
            .filter(|slot| !beat.held.contains(slot) && !is_parked(slot))
            .take(MISSING_MAX)
            .collect();
        if !missing.is_empty() {
            let worker_id = worker_id.clone();
            let input = Internal::AttemptsMissing { worker_id, session, missing };
            verdicts.push(Verdict::Input(input));
        }
        let (stray, since_last): (Vec<Held>, Vec<Held>) = beat
            .held
            .iter()
            .filter(|held| {
                let slot = worker.assignments.get(&held.job_id);
                !is_parked(held) && slot.is_none_or(|slot| slot.attempt != held.attempt)
            })
            .partition(|held| watch.stray.contains(held));
        if !stray.is_empty() {
            let (worker_id, held) = (worker_id.clone(), stray.clone());
            verdicts.push(Verdict::Abandon { worker_id, session, held });
        }
        // An end that is in the log before its worker hears so looks alike for one beat.
        watch.stray = stray.into_iter().chain(since_last).collect();
        // What was on its way at the last beat already, and still has not arrived, is lost.
        let above = beat.received_up_to;
        if above.next() < watch.expected && above == watch.received {
            verdicts.push(Verdict::Resend { worker_id, session, above });
        }
        watch.received = above;
        watch.expected = worker.next_work;
    }
}

/// Whether `holder` is another process of the worker that `origin` is one of, while that lives, too.
fn is_copy(holder: &Worker, origin: Origin) -> bool {
    holder.origin.instance == origin.instance && holder.origin.process != origin.process
}

#[cfg(test)]
mod tests;
