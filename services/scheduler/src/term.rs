//! Carries out what a leader decides, until the term ends.

use std::{fmt, time::Duration};

use futures_util::{FutureExt, StreamExt};
use nox_archive::Log;
use nox_contract::{Beat, Source, WorkerId, subject};
use nox_protocol::{
    Faults, Leader, LeaderConfig, Now,
    appender::Deposed,
    leader::{Effect, TermEnd},
    takeover::Ready,
};
use nox_service::{Runtime, crash_point};
use nox_streams::{Broker, Error, Guard, Message};

use crate::{
    Scheduler,
    archive::Archiving,
    dispatch::Outbox,
    held_lease::HeldLease,
    inputs::Inputs,
    metrics::Metrics,
    replies::{Replies, Reply},
    snapshot::Snapshots,
};

/// Most frames in flight where one server keeps the log, whether or not it syncs each of them: while one
/// is written the next is on its way, and what is decided meanwhile shares a frame. More would only be
/// smaller frames.
const WINDOW: usize = 4;
/// The same where several do: the broker refuses a frame while another one that names the same epoch
/// is in flight.
const WINDOW_REPLICATED: usize = 1;
/// Frames that may be decided beyond the window before inputs are left unread: enough that there is one
/// to send whenever there is room, few enough to keep a frozen leader's memory small.
const AHEAD_MAX: usize = 4;
/// How often time alone is looked at, while inputs arrive all the time.
const TICK: Duration = Duration::from_millis(10);
/// Longest sleep, so that a forgotten wake-up does little harm.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// How often the input streams are looked at for room.
const TRIM_INTERVAL: Duration = Duration::from_secs(10);

/// How a term ended, where somebody else, or this process again, may lead on.
#[derive(Debug)]
pub enum End {
    Stopped,
    LeaseLost,
    Deposed(String),
    Unavailable(String),
}

impl End {
    /// For metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::LeaseLost => "lease_lost",
            Self::Deposed(_) => "deposed",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped | Self::LeaseLost => f.write_str(self.reason()),
            Self::Deposed(detail) | Self::Unavailable(detail) => f.write_str(detail),
        }
    }
}

/// Leads from what the takeover found.
pub async fn run(
    scheduler: &Scheduler,
    log: &Log,
    lease: &HeldLease,
    ready: Ready,
) -> anyhow::Result<End> {
    let Scheduler { config, runtime, broker, metrics, .. } = scheduler;
    let window = match broker.replicas(subject::EVENTS).await {
        Ok(1) => WINDOW,
        Ok(_) => WINDOW_REPLICATED,
        Err(Error::Unavailable(reason)) => return Ok(End::Unavailable(reason)),
        Err(error) => return Err(error.into()),
    };
    let leader_config = LeaderConfig {
        rules: nox_core::Rules { token_key: config.cluster_key.0, ..Default::default() },
        window,
        frame_bytes: nox_protocol::sequencer::FRAME_BYTES_FULL,
        worker_lease: Duration::from_millis(config.worker_lease_ms),
        scheduler: config.limits.0.clone(),
        faults: Faults::default(),
    };
    let leader = match Leader::begin(ready, leader_config, now(runtime)) {
        Ok(leader) => leader,
        Err(end) => return term_end(end),
    };
    let state = leader.state();
    let (next, found) = (leader.next_command(), Some(state.commands.clone()));
    let commands = broker.consume(subject::COMMANDS, None, next, found);
    let (next, found) = (leader.next_report(), Some(state.reports.clone()));
    let reports = broker.consume(subject::REPORTS, None, next, found);
    let mut commands = Inputs::new(Source::Commands, commands);
    let mut reports = Inputs::new(Source::Reports, reports);
    let mut beats = Box::pin(broker.consume_new(subject::BEATS, None));
    let snapshots = Snapshots::new(config, runtime.clock.monotonic());
    let mut term = Term {
        runtime,
        broker,
        metrics,
        leader,
        replies: Replies::default(),
        outbox: Outbox::start(broker.clone(), log.clone()),
        ticked: Duration::ZERO,
        unsure: false,
        snapshots,
        archiving: Archiving::start(scheduler),
        trimmed: runtime.clock.monotonic(),
    };

    loop {
        if let Err(end) = term.step() {
            return term_end(end);
        }
        let open = term.leader.backlog() < window + AHEAD_MAX;
        let sleep = term.sleep();
        let woken = tokio::select! {
            () = runtime.stop.cancelled() => return Ok(term.finish().await),
            () = lease.lost() => return Ok(End::LeaseLost),
            Some(reply) = term.replies.next() => term.on_reply(reply),
            ready = commands.ready(), if open => {
                ready?;
                Ok(())
            }
            ready = reports.ready(), if open => {
                ready?;
                Ok(())
            }
            Some(chunk) = beats.next() => {
                term.on_beats(chunk?);
                Ok(())
            }
            () = tokio::time::sleep(sleep) => Ok(()),
        };
        // Ends first: they make room for what is submitted.
        let turn = woken.and_then(|()| match open {
            true => term.on_inputs(&mut reports).and_then(|()| term.on_inputs(&mut commands)),
            false => Ok(()),
        });
        if let Err(end) = turn {
            return term_end(end);
        }
    }
}

/// A deposed leader may try again; a broken log may not.
fn term_end(end: TermEnd) -> anyhow::Result<End> {
    match end {
        TermEnd::Deposed(deposed @ Deposed::Foreign { .. }) => {
            Ok(End::Deposed(deposed.to_string()))
        }
        other => Err(anyhow::Error::new(other).context("log_regressed or broken")),
    }
}

fn now(runtime: &Runtime) -> Now {
    Now {
        at: runtime.clock.now(),
        wall: runtime.clock.wall(),
        monotonic: runtime.clock.monotonic(),
    }
}

struct Term<'t> {
    runtime: &'t Runtime,
    broker: &'t Broker,
    metrics: &'t Metrics,
    leader: Leader,
    replies: Replies,
    outbox: Outbox,
    /// When time alone was looked at last.
    ticked: Duration,
    /// An append had no clean acknowledgement, and none had one since.
    unsure: bool,
    snapshots: Snapshots,
    archiving: Archiving,
    trimmed: Duration,
}

impl Term<'_> {
    /// Ends a turn: what is due by time, and everything that follows from what was decided.
    fn step(&mut self) -> Result<(), TermEnd> {
        let now = now(self.runtime);
        if now.monotonic.saturating_sub(self.ticked) >= TICK {
            self.ticked = now.monotonic;
            self.leader.tick(now)?;
            self.trim_inputs(now.monotonic);
        }
        self.leader.end_turn(now)?;
        while let Some(effect) = self.leader.poll()? {
            self.carry_out(effect);
        }
        self.outbox.flush();
        self.archiving.acked(self.leader.acked());
        self.snapshots.look(&self.leader, &self.archiving, self.broker, now.monotonic);
        self.metrics.backlog.set(self.leader.backlog() as i64);
        Ok(())
    }

    /// How long nothing is to be done, unless something arrives. What is due by time is looked at
    /// once a tick; to wake up before it would be to spin.
    fn sleep(&self) -> Duration {
        let now = now(self.runtime);
        let wake = self.leader.next_wake(now).unwrap_or(SLEEP_MAX).min(SLEEP_MAX);
        wake.max(TICK.saturating_sub(now.monotonic.saturating_sub(self.ticked)))
    }

    /// Decides the share that a stream has of this turn.
    fn on_inputs(&mut self, inputs: &mut Inputs) -> Result<(), TermEnd> {
        let share = inputs.share();
        if share.is_empty() {
            return Ok(());
        }
        let label = if inputs.src == Source::Commands { "commands" } else { "reports" };
        self.metrics.inputs.with_label_values(&[label]).inc_by(share.len() as u64);
        for message in share {
            let at = now(self.runtime);
            self.leader.on_input(
                inputs.src,
                message.seq,
                &message.subject,
                &message.payload,
                at,
            )?;
        }
        crash_point("scheduler.after_decide");
        Ok(())
    }

    fn on_beats(&mut self, beats: Vec<Message>) {
        for message in beats {
            let worker = subject::last_token(&message.subject).parse::<WorkerId>();
            let beat = serde_json::from_slice::<Beat>(&message.payload);
            match (worker, beat) {
                (Ok(worker), Ok(beat)) => self.leader.on_beat(worker, beat, now(self.runtime)),
                _ => tracing::warn!(subject = message.subject, "Cannot read a beat"),
            }
        }
        // Judge it in this turn.
        self.ticked = Duration::ZERO;
    }

    fn on_reply(&mut self, reply: Reply) -> Result<(), TermEnd> {
        self.take_reply(reply)?;
        while let Some(Some(reply)) = self.replies.next().now_or_never() {
            self.take_reply(reply)?;
        }
        crash_point("scheduler.after_ack");
        Ok(())
    }

    fn take_reply(&mut self, reply: Reply) -> Result<(), TermEnd> {
        match reply {
            Reply::Stored { n, seq, sent } => {
                let took = self.runtime.clock.monotonic().saturating_sub(sent);
                self.metrics.append_seconds.observe(took.as_secs_f64());
                self.unsure = false;
                self.leader.on_stored(n, seq);
            }
            Reply::Unknown(error) => {
                // All that was in flight fails for one reason: the first is enough for people.
                if !std::mem::replace(&mut self.unsure, true) {
                    tracing::warn!(%error, "Append without an acknowledgement; looks at the tail");
                }
                self.metrics.unknown_outcomes.inc();
                self.leader.on_unknown();
            }
            Reply::Tail { last, records } => self.leader.on_tail(last, &records)?,
            Reply::TailFailed(reason) => {
                tracing::warn!(reason, "Cannot read the log's tail yet");
                self.leader.on_tail_failed();
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Append { guard, frame } => {
                crash_point("scheduler.before_append");
                let (Some(epoch_seq), Some(last_seq)) = (guard.epoch_seq, guard.last_seq) else {
                    unreachable!("only negative controls append without a guard");
                };
                self.metrics.frames.inc();
                self.metrics.entries.inc_by(frame.entries as u64);
                self.snapshots.count(frame.entries);
                let (n, sent) = (frame.n, self.runtime.clock.monotonic());
                // Called now, so that the order of effects is the order on the wire.
                let stored = self.broker.append(frame, Guard { epoch_seq, last_seq });
                self.replies.expect(n, sent, stored);
                crash_point("scheduler.after_append");
            }
            Effect::ReadTail { from } => self.replies.read_tail(self.broker, from),
            Effect::Answer { reply_to, message } => self.broker.answer(reply_to, &message),
            Effect::Dispatch { worker_id, session, work } => {
                crash_point("scheduler.before_dispatch");
                self.outbox.push(worker_id, session, work);
            }
            Effect::Redeliver { worker_id, session, covers, work } => {
                self.outbox.redeliver(worker_id, session, covers, work);
            }
        }
    }

    /// Makes room for new inputs, as far as the log has what followed from the old ones.
    fn trim_inputs(&mut self, now: Duration) {
        if now.saturating_sub(self.trimmed) < TRIM_INTERVAL {
            return;
        }
        let pos = self.leader.acked_pos();
        self.trimmed = now;
        for (stream, place) in [(subject::COMMANDS, pos.commands), (subject::REPORTS, pos.reports)]
        {
            let broker = self.broker.clone();
            tokio::spawn(async move {
                match broker.trim(stream, place.whole()).await {
                    Ok(0) => {}
                    Ok(count) => tracing::info!(stream, count, "Removed consumed inputs"),
                    Err(error) => tracing::warn!(stream, %error, "Cannot make room"),
                }
            });
        }
    }

    /// Gets what was decided into the log, within a bound, and hands it out.
    async fn finish(&mut self) -> End {
        self.leader.finish(now(self.runtime));
        if self.step().is_err() {
            return End::Stopped;
        }
        let drained = async {
            while !self.leader.is_settled() {
                let Some(reply) = self.replies.next().await else { return };
                if self.on_reply(reply).and_then(|()| self.step()).is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(nox_service::GRACE / 2, drained).await.is_err() {
            tracing::warn!("Stops with decisions that are not in the log; they are made again");
        }
        self.broker.flush().await;
        End::Stopped
    }
}
