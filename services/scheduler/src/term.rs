//! Carries out what a leader decides, until the term ends.

use std::{fmt, time::Duration};

use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use nox_contract::{Beat, Source, WorkerId, subject};
use nox_protocol::{
    Faults, Leader, LeaderConfig, Now,
    appender::Pace,
    leader::{Effect, TermEnd},
    takeover::Ready,
};
use nox_service::{Runtime, crash_point};
use nox_streams::{Broker, ConsumeError, Durability, Guard, LogMessage, Message, PublishError};

use crate::{Config, dispatch::Outbox, metrics::Metrics, office::Office, snapshot::Snapshots};

/// Messages decided and not in the log, beyond which no inputs are read: enough to keep the
/// broker busy, few enough to keep a frozen leader's memory small.
const BACKLOG_MAX: usize = 20_000;
/// Most input messages in one group, so that answers do not wait for long.
const GROUP_MAX: usize = 256;
/// How often time alone is looked at, while inputs arrive all the time.
const TICK: Duration = Duration::from_millis(10);
/// Longest sleep, so that a forgotten wake-up does little harm.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// How long to wait before the tail is asked for again where nothing got into the log since it was
/// asked for last; doubled each time.
const TAIL_PAUSE: Duration = Duration::from_millis(100);
const TAIL_PAUSE_MAX: Duration = Duration::from_secs(1);
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

/// What the broker said to something that was sent.
enum Reply {
    Stored { tag: u64, seq: u64, sent: Duration },
    Unknown(PublishError),
    Tail { last: u64, records: Vec<(u64, bytes::Bytes)> },
    TailFailed(String),
}

type Chunk = Result<Vec<Message>, ConsumeError>;

/// Leads from what the takeover found.
pub async fn run(
    config: &Config,
    runtime: &Runtime,
    broker: &Broker,
    metrics: &Metrics,
    office: &Office,
    ready: Ready,
) -> anyhow::Result<End> {
    let leader_config = LeaderConfig {
        rules: nox_core::Rules { token_key: config.cluster_key.0, ..Default::default() },
        pace: match config.sync {
            Durability::Strict => Pace::Strict,
            Durability::Relaxed => Pace::Relaxed,
        },
        worker_lease: Duration::from_millis(config.worker_lease_ms),
        scheduler: config.limits.0.clone(),
        faults: Faults::default(),
    };
    let leader = match Leader::begin(ready, leader_config, now(runtime)) {
        Ok(leader) => leader,
        Err(end) => return term_end(end),
    };
    let state = leader.state();
    let mut commands = Box::pin(broker.consume(
        subject::COMMANDS,
        None,
        leader.next_command(),
        Some(state.commands.clone()),
    ));
    let mut reports = Box::pin(broker.consume(
        subject::REPORTS,
        None,
        leader.next_report(),
        Some(state.reports.clone()),
    ));
    let mut beats = Box::pin(broker.consume_new(subject::BEATS, None));
    let snapshots = Snapshots::new(config, state.n, runtime.clock.monotonic());
    let mut term = Term {
        runtime,
        broker,
        metrics,
        leader,
        replies: FuturesUnordered::new(),
        outbox: Outbox::default(),
        ticked: Duration::ZERO,
        patience: Patience::default(),
        unsure: false,
        snapshots,
        trimmed: runtime.clock.monotonic(),
        input_error: None,
    };

    loop {
        if let Err(end) = term.step() {
            return term_end(end);
        }
        let open = term.leader.backlog() < BACKLOG_MAX;
        let sleep = term.sleep();
        let outcome = tokio::select! {
            () = runtime.stop.cancelled() => return Ok(term.finish().await),
            () = office.lost() => return Ok(End::LeaseLost),
            Some(reply) = term.replies.next() => term.on_reply(reply),
            Some(chunk) = commands.next(), if open => {
                term.on_inputs(Source::Commands, chunk?, commands.as_mut())
            }
            Some(chunk) = reports.next(), if open => {
                term.on_inputs(Source::Reports, chunk?, reports.as_mut())
            }
            Some(chunk) = beats.next() => {
                term.on_beats(chunk?);
                Ok(())
            }
            () = tokio::time::sleep(sleep) => Ok(()),
        };
        if let Err(end) = outcome {
            return term_end(end);
        }
        if let Some(error) = term.input_error.take() {
            return Err(error.into());
        }
    }
}

/// A deposed leader may try again; a broken log may not.
fn term_end(end: TermEnd) -> anyhow::Result<End> {
    match end {
        TermEnd::Deposed(deposed @ nox_protocol::appender::Deposed::Foreign { .. }) => {
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
    replies: FuturesUnordered<BoxFuture<'static, Reply>>,
    outbox: Outbox,
    /// When time alone was looked at last.
    ticked: Duration,
    patience: Patience,
    /// An append had no clean acknowledgement, and none had one since.
    unsure: bool,
    snapshots: Snapshots,
    trimmed: Duration,
    /// Why an input stream cannot be read on, found behind messages that still count.
    input_error: Option<ConsumeError>,
}

impl Term<'_> {
    /// One turn: what is due by time, the end of the group, and everything that follows.
    fn step(&mut self) -> Result<(), TermEnd> {
        let now = now(self.runtime);
        if now.monotonic.saturating_sub(self.ticked) >= TICK {
            self.ticked = now.monotonic;
            self.leader.tick(now)?;
            self.snapshots.look(&self.leader, self.broker, now.monotonic);
            self.trim_inputs(now.monotonic);
        }
        self.leader.end_group(now)?;
        while let Some(effect) = self.leader.poll() {
            self.carry_out(effect);
        }
        self.outbox.flush(self.broker);
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

    fn on_inputs(
        &mut self,
        src: Source,
        first: Vec<Message>,
        mut stream: impl Stream<Item = Chunk> + Unpin,
    ) -> Result<(), TermEnd> {
        let mut group = first;
        // Whatever else has already arrived belongs to the same group.
        while group.len() < GROUP_MAX {
            match stream.next().now_or_never() {
                Some(Some(Ok(more))) => group.extend(more),
                Some(Some(Err(error))) => {
                    self.input_error = Some(error);
                    break;
                }
                _ => break,
            }
        }
        let label = if src == Source::Commands { "commands" } else { "reports" };
        self.metrics.inputs.with_label_values(&[label]).inc_by(group.len() as u64);
        for message in group {
            let at = now(self.runtime);
            self.leader.on_input(src, message.seq, &message.subject, &message.payload, at)?;
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
            Reply::Stored { tag, seq, sent } => {
                let took = self.runtime.clock.monotonic().saturating_sub(sent);
                self.metrics.append_seconds.observe(took.as_secs_f64());
                self.unsure = false;
                self.leader.on_stored(tag, seq);
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
            Effect::Append { tag, guard, messages } => {
                crash_point("scheduler.before_append");
                self.metrics.events.inc_by(messages.len() as u64);
                let sent = self.runtime.clock.monotonic();
                let (Some(epoch_seq), Some(last_seq)) = (guard.epoch_seq, guard.last_seq) else {
                    unreachable!("only negative controls append without a guard");
                };
                let guard = Guard { epoch_seq, last_seq };
                let mut messages: Vec<_> = messages
                    .into_iter()
                    .map(|m| LogMessage { subject: m.subject, facts: m.facts, payload: m.payload })
                    .collect();
                let stored = move |outcome| match outcome {
                    Ok(seq) => Reply::Stored { tag, seq, sent },
                    Err(error) => Reply::Unknown(error),
                };
                // Called now, so that the order of effects is the order on the wire.
                let reply = match (messages.len(), messages.pop()) {
                    (1, Some(message)) => self.broker.append(message, guard).map(stored).boxed(),
                    (_, last) => {
                        messages.extend(last);
                        self.broker.append_batch(messages, guard).map(stored).boxed()
                    }
                };
                self.replies.push(reply);
                crash_point("scheduler.after_append");
            }
            Effect::ReadTail { from } => {
                let (broker, pause) = (self.broker.clone(), self.patience.before(from));
                self.replies.push(read_tail(broker, from, pause).boxed());
            }
            Effect::Answer { reply_to, message } => self.broker.answer(reply_to, &message),
            Effect::Dispatch { worker_id, session, work } => {
                crash_point("scheduler.before_dispatch");
                self.outbox.push(self.broker, worker_id, session, work);
            }
            Effect::Redeliver { worker_id, session, covers, work } => {
                Outbox::redeliver(self.broker, worker_id, session, covers, work);
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
        for (stream, consumed) in
            [(subject::COMMANDS, pos.commands), (subject::REPORTS, pos.reports)]
        {
            let broker = self.broker.clone();
            tokio::spawn(async move {
                match broker.trim(stream, consumed).await {
                    Ok(0) => {}
                    Ok(count) => tracing::info!(stream, count, "Removed consumed inputs"),
                    Err(error) => tracing::warn!(stream, %error, "Cannot make room"),
                }
            });
        }
    }

    /// Gets what was decided into the log, within a bound, and hands it out.
    async fn finish(&mut self) -> End {
        let last_group = self.leader.finish(now(self.runtime));
        if last_group.and_then(|()| self.step()).is_err() {
            return End::Stopped;
        }
        let drained = async {
            while self.leader.backlog() > 0 {
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

/// How long to wait before the tail is read: a broker that refuses everything, because it is full
/// for example, is not to be asked as fast as it can say no.
#[derive(Debug, Default)]
struct Patience {
    from: u64,
    pause: Duration,
}

impl Patience {
    /// The tail is to be read from `from`, which is behind everything that is known to be stored.
    fn before(&mut self, from: u64) -> Duration {
        self.pause = if from == self.from {
            (self.pause * 2).clamp(TAIL_PAUSE, TAIL_PAUSE_MAX)
        } else {
            Duration::ZERO
        };
        self.from = from;
        self.pause
    }
}

/// The end of the log, from its leader.
async fn read_tail(broker: Broker, from: u64, pause: Duration) -> Reply {
    tokio::time::sleep(pause).await;
    let tail = async {
        let last = broker.last_sequence(subject::EVENTS).await?;
        let records = if last < from { Vec::new() } else { broker.read_log(from).await? };
        Ok::<_, nox_streams::Error>((last, records))
    };
    match tail.await {
        Ok((last, records)) => {
            // What was written between the two questions counts as well.
            let last = records.last().map_or(last, |record| record.seq.max(last));
            let records = records.into_iter().map(|r| (r.seq, r.payload)).collect();
            Reply::Tail { last, records }
        }
        Err(error) => Reply::TailFailed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_takes_nothing_is_asked_ever_more_slowly_until_it_does() {
        let mut patience = Patience::default();
        let pauses: Vec<_> = (0..6).map(|_| patience.before(7).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1_000]);
        assert_eq!(patience.before(8), Duration::ZERO);
        assert_eq!(patience.before(8), TAIL_PAUSE);
    }
}
