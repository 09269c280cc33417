//! Carries out what a leader decides, until the term ends.

use std::{fmt, time::Duration};

use futures_util::{FutureExt, StreamExt};
use nox_archive::Log;
use nox_contract::{Beat, FrameNumber, Source, WorkerId, subject};
use nox_core::parking::Parking;
use nox_protocol::{
    Faults, Leader, LeaderConfig, Now, Term,
    appender::Deposed,
    leader::{Effect, TermEnd},
    liveness::Probing,
    takeover::Ready,
    term::{self, InputMessage, Io, Pace},
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
    probes::{Absence, Probes, Reconnections},
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
    let Scheduler { config, runtime, broker, .. } = scheduler;
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
        losses_max: nox_protocol::leader::LOSSES_MAX,
        worker_lease: Duration::from_millis(config.worker_lease_ms),
        probing: config.worker_probes.then(Probing::default),
        scheduler: config.limits.0.clone(),
        faults: Faults { future: config.is_future(), ..Faults::default() },
    };
    let mut term = match Term::begin(ready, leader_config, Pace::default(), now(runtime)) {
        Ok(term) => term,
        Err(end) => return term_end(end),
    };
    let leader = term.leader();
    let state = leader.state();
    let (next, found) = (leader.next_command(), Some(state.commands.clone()));
    let commands = broker.consume(subject::COMMANDS, None, next, found);
    let (next, found) = (leader.next_report(), Some(state.reports.clone()));
    let reports = broker.consume(subject::REPORTS, None, next, found);
    let mut commands = Inputs::new(Source::Commands, commands);
    let mut reports = Inputs::new(Source::Reports, reports);
    let mut beats = Box::pin(broker.consume_new(subject::BEATS, None));
    tell_parked(scheduler, &term.leader().state().parking);
    let mut services = Services::new(scheduler, log, term.leader().acked());

    loop {
        if let Err(end) = services.turn(&mut term) {
            return term_end(end);
        }
        let open = term.takes_inputs();
        let sleep = term.sleep(now(runtime));
        let woken = tokio::select! {
            () = runtime.stop.cancelled() => return Ok(services.finish(term).await),
            () = lease.lost() => return Ok(End::LeaseLost),
            Some(reply) = services.replies.next() => services.on_reply(&mut term, reply),
            ready = commands.ready(), if open => {
                ready?;
                Ok(())
            }
            ready = reports.ready(), if open => {
                ready?;
                Ok(())
            }
            Some(chunk) = beats.next() => {
                services.on_beats(&mut term, chunk?);
                Ok(())
            }
            absence = services.probes.next() => {
                services.on_absence(&mut term, &absence);
                Ok(())
            }
            () = services.reconnections.next() => {
                term.on_reconnected(now(runtime));
                Ok(())
            }
            () = tokio::time::sleep(sleep) => Ok(()),
        };
        // Ends first: they make room for what is submitted.
        let turn = woken.and_then(|()| match open {
            true => services
                .on_inputs(&mut term, &mut reports)
                .and_then(|()| services.on_inputs(&mut term, &mut commands)),
            false => Ok(()),
        });
        if let Err(end) = turn {
            return term_end(end);
        }
    }
}

/// Says what is parked. It stays as it is for the term: no leader writes facts that it does not know.
fn tell_parked(scheduler: &Scheduler, parking: &Parking) {
    let Scheduler { metrics, runtime, .. } = scheduler;
    let mut words = Vec::new();
    for (kind, count) in parking.counts() {
        let gauge = if kind == "job" {
            &metrics.jobs_parked
        } else {
            &metrics.others_parked.with_label_values(&[kind])
        };
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        words.extend(
            (count > 0).then(|| format!("{count} {kind}{}", if count > 1 { "s" } else { "" })),
        );
    }
    let Some(since) = parking.since() else { return };
    let words = words.join(", ");
    tracing::warn!(
        since = since.0,
        parked = words,
        "Facts of a newer version are not known: parks what they are about"
    );
    let note = format!(
        "{words} since frame {since}: a newer version led, and takes them up when it leads again"
    );
    runtime.readiness.note("scheduler.parked", note);
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

/// Broker, clock, and what goes on beside a term.
struct Services<'t> {
    runtime: &'t Runtime,
    broker: &'t Broker,
    log: &'t Log,
    metrics: &'t Metrics,
    replies: Replies,
    outbox: Outbox,
    probes: Probes,
    reconnections: Reconnections,
    /// An append had no clean acknowledgement, and none had one since.
    unsure: bool,
    snapshots: Snapshots,
    archiving: Archiving,
    trimmed: Duration,
}

impl<'t> Services<'t> {
    fn new(scheduler: &'t Scheduler, log: &'t Log, end: FrameNumber) -> Self {
        let Scheduler { config, runtime, broker, metrics, .. } = scheduler;
        let now = runtime.clock.monotonic();
        Self {
            runtime,
            broker,
            log,
            metrics,
            replies: Replies::default(),
            outbox: Outbox::start(broker.clone(), log.clone()),
            probes: Probes::new(broker.clone()),
            reconnections: Reconnections::of(broker),
            unsure: false,
            snapshots: Snapshots::new(config, now),
            archiving: Archiving::start(scheduler, log, end),
            trimmed: now,
        }
    }

    fn turn(&mut self, term: &mut Term) -> Result<(), TermEnd> {
        let now = now(self.runtime);
        if self.snapshots.wants_fold(&self.archiving, now.monotonic) {
            term.want_fold();
        }
        if term.turn(now, self)? {
            self.trim_inputs(term.leader(), now.monotonic);
        }
        Ok(())
    }

    /// Decides the share that a stream has of this turn.
    fn on_inputs(&mut self, term: &mut Term, inputs: &mut Inputs) -> Result<(), TermEnd> {
        let share = inputs.share();
        if share.is_empty() {
            return Ok(());
        }
        let label = if inputs.src == Source::Commands { "commands" } else { "reports" };
        self.metrics.inputs.with_label_values(&[label]).inc_by(share.len() as u64);
        let share = share.into_iter().map(|Message { seq, subject, payload }| InputMessage {
            seq,
            subject,
            payload,
        });
        term.on_inputs(inputs.src, share, || now(self.runtime))?;
        crash_point("scheduler.after_decide");
        Ok(())
    }

    fn on_beats(&self, term: &mut Term, beats: Vec<Message>) {
        for message in beats {
            let worker = subject::last_token(&message.subject).parse::<WorkerId>();
            let beat = serde_json::from_slice::<Beat>(&message.payload);
            match (worker, beat) {
                (Ok(worker), Ok(beat)) => term.on_beat(worker, beat, now(self.runtime)),
                _ => tracing::warn!(subject = message.subject, "Cannot read a beat"),
            }
        }
    }

    fn on_absence(&self, term: &mut Term, absence: &Absence) {
        let Absence { worker_id, session, probe, reports } = absence;
        self.metrics.absences.inc();
        tracing::debug!(worker.id = %worker_id, %session, "Nobody listens for a worker's work");
        term.on_absent(worker_id, *session, *probe, *reports, now(self.runtime));
    }

    fn on_reply(&mut self, term: &mut Term, reply: Reply) -> Result<(), TermEnd> {
        term.on_reply(self.heard(reply))?;
        while let Some(Some(reply)) = self.replies.next().now_or_never() {
            term.on_reply(self.heard(reply))?;
        }
        crash_point("scheduler.after_ack");
        Ok(())
    }

    /// What a reply means, noted for people.
    fn heard(&mut self, reply: Reply) -> term::Reply {
        match reply {
            Reply::Stored { n, seq, sent } => {
                let took = self.runtime.clock.monotonic().saturating_sub(sent);
                self.metrics.append_seconds.observe(took.as_secs_f64());
                self.unsure = false;
                term::Reply::Stored { n, seq }
            }
            Reply::Unknown(error) => {
                // All that was in flight fails for one reason: the first is enough for people.
                if !std::mem::replace(&mut self.unsure, true) {
                    tracing::warn!(%error, "Append without an acknowledgement; looks at the tail");
                }
                self.metrics.unknown_outcomes.inc();
                term::Reply::Unknown
            }
            Reply::Tail { last, records } => term::Reply::Tail { last, records },
            Reply::TailFailed(reason) => {
                tracing::warn!(reason, "Cannot read the log's tail yet");
                term::Reply::TailFailed
            }
        }
    }

    /// Makes room for new inputs, as far as the log has what followed from the old ones.
    fn trim_inputs(&mut self, leader: &Leader, now: Duration) {
        if now.saturating_sub(self.trimmed) < TRIM_INTERVAL {
            return;
        }
        let pos = leader.acked_pos();
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
    async fn finish(mut self, mut term: Term) -> End {
        term.finish(now(self.runtime));
        if self.turn(&mut term).is_err() {
            return End::Stopped;
        }
        let drained = async {
            while !term.leader().is_settled() {
                let Some(reply) = self.replies.next().await else { return };
                let told = self.on_reply(&mut term, reply);
                if told.and_then(|()| self.turn(&mut term)).is_err() {
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

impl Io for Services<'_> {
    type End = TermEnd;

    fn carry_out(&mut self, effect: Effect) -> Result<(), TermEnd> {
        match effect {
            Effect::Append { guard, frame } => {
                crash_point("scheduler.before_append");
                let (Some(epoch_seq), Some(last_seq)) = (guard.epoch_seq, guard.last_seq) else {
                    unreachable!("only negative controls append without a guard");
                };
                self.metrics.frames.inc();
                self.metrics.entries.inc_by(frame.entries as u64);
                self.snapshots.count(frame.entries);
                self.archiving.sent(frame.n, &frame.payload);
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
            Effect::Probe { worker_id, session, probe } => {
                self.probes.ask(worker_id, session, probe);
            }
        }
        Ok(())
    }

    fn end_turn(&mut self, leader: &Leader) -> Result<(), TermEnd> {
        self.outbox.flush();
        self.archiving.acked(leader.acked());
        let now = self.runtime.clock.monotonic();
        self.snapshots.look(leader, &self.archiving, self.log, now);
        self.metrics.backlog.set(leader.backlog() as i64);
        Ok(())
    }
}
