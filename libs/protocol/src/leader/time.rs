//! What a leader does by time alone: timers, leases, reasons.

use std::time::Duration;

use nox_contract::{JobId, Timestamp, WaitingCode, Work};
use nox_core::Internal;

use super::{Effect, Leader, Now, TermEnd, matching::LOOKS_MAX};
use crate::liveness::Verdict;

/// Most jobs whose instant has come that one input names.
const DUE_MAX: usize = 1_000;
/// Most reasons that one look brings up to date.
const REASONS_MAX: u32 = 500;
/// How often reasons are looked at; they are for people.
const REASONS_INTERVAL: Duration = Duration::from_millis(200);

impl Leader {
    /// The clocks as what is decided now goes by them.
    pub(super) fn in_log_time(&self, now: Now) -> Now {
        Now { at: self.sequencer.instant(now.at + self.ahead), ..now }
    }

    /// Does what is due by time. Follow with [`Self::end_turn`].
    pub fn tick(&mut self, now: Now) -> Result<(), TermEnd> {
        let now = self.in_log_time(now);
        let due = self.due(now);
        if !due.is_empty() {
            self.decide_internal(Internal::Timer { due }, now)?;
        }
        self.keep_schedules(now)?;
        let reports = self.sequencer.pos().reports.whole();
        for verdict in self.liveness.judge(self.sequencer.state(), reports, now.monotonic) {
            self.carry_out(verdict, now)?;
        }
        if self.look_at.is_some_and(|at| at <= now.at) {
            self.look_at = None;
            self.match_due = true;
        }
        let reasons_due =
            self.reasons_at.is_none_or(|at| now.monotonic.saturating_sub(at) >= REASONS_INTERVAL);
        if reasons_due && self.state().has_waiting() {
            self.reasons_at = Some(now.monotonic);
            self.match_due = true;
            self.match_queued(now)?;
            let behind = self.reasons_behind.take();
            let input =
                Internal::Reasons { reasons_max: REASONS_MAX, looks_max: LOOKS_MAX, behind };
            self.reasons_behind = self.decide_internal(input, now)?.behind;
        }
        Ok(())
    }

    fn carry_out(&mut self, verdict: Verdict, now: Now) -> Result<(), TermEnd> {
        match verdict {
            Verdict::Input(internal) => {
                self.decide_internal(internal, now)?;
            }
            Verdict::Resend { worker_id, session, above } => {
                self.resend(&worker_id, session, above);
            }
            Verdict::Abandon { worker_id, session, held } => {
                for held in held {
                    self.tell(worker_id.clone(), session, Work::Abandon(held));
                }
            }
            Verdict::Superseded { worker_id, session } => {
                self.tell(worker_id, session, Work::Superseded);
            }
            Verdict::Probe { worker_id, session, probe } => {
                self.probes.push_back(Effect::Probe { worker_id, session, probe });
            }
            Verdict::Registered { worker_id, session, above } => {
                self.tell_registered(worker_id, session, above);
            }
            Verdict::Joined { worker_id, session } => self.tell(worker_id, session, Work::Joined),
            Verdict::Refused { worker_id, session } => {
                let reason = format!(
                    "another executor named {worker_id}, with a data folder of its own, is at work; \
                     a name is taken over when its holder has left or was silent for its lease"
                );
                self.tell(worker_id, session, Work::Refused { reason });
            }
        }
        Ok(())
    }

    /// Jobs whose instant has come: `run_at` by the wall clock, a backoff by the log's own.
    fn due(&self, now: Now) -> Vec<JobId> {
        let latest = now.at.max(now.wall);
        let state = self.state();
        state
            .timers()
            .take_while(|(due_at, _)| *due_at <= latest)
            .filter(|(due_at, id)| *due_at <= self.clock(*id, now))
            .map(|(_, id)| id)
            .take(DUE_MAX)
            .collect()
    }

    /// The clock that a waiting job goes by.
    fn clock(&self, id: JobId, now: Now) -> Timestamp {
        match self.state().job(id).and_then(|job| job.job.waiting()) {
            Some(WaitingCode::Scheduled) => now.wall,
            _ => now.at,
        }
    }

    /// How long nothing is due, if nothing arrives: at most until the next look at reasons. Where
    /// the wall clock was set, a job behind the first may be due a little sooner.
    pub fn next_wake(&self, now: Now) -> Option<Duration> {
        let now = self.in_log_time(now);
        let state = self.state();
        // By its own clock: by the later of the two, a wait for the earlier would be no wait at all.
        let timer = state.timers().next().map(|(due_at, id)| due_at.since(self.clock(id, now)));
        let lease = self.liveness.next_wake().map(|at| at.saturating_sub(now.monotonic));
        let reasons = state.has_waiting().then_some(if self.is_match_due() {
            Duration::ZERO
        } else {
            REASONS_INTERVAL
        });
        let frame = (self.sequencer.needs_frame() && !self.seal_due).then(|| self.frame_wait(now));
        let ends = state.ends_due_at().filter(|_| !self.seal_due).map(|at| at.since(now.at));
        let start = self.look_at.map(|at| at.since(now.at));
        let schedules = self.schedules_wake(now);
        let losses = state.has_losses().then_some(Duration::ZERO);
        [timer, lease, reasons, frame, ends, start, schedules, losses].into_iter().flatten().min()
    }
}
