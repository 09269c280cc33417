//! The loop: carries out what the session decides, and tells it what happened.

mod attempts;
mod readiness;
mod reports;

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use futures_util::StreamExt;
use nox_contract::{WorkMessage, beat::Held, subject};
use nox_protocol::session::{Effect, Session};
use nox_service::Backoff;
use nox_streams::{Heard, Link};
use tokio::{
    sync::{mpsc, watch},
    time::{Interval, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use self::{
    attempts::Event,
    reports::{LOOK_EVERY, Looking, Publishing},
};
use crate::{
    attempt::Runner,
    instance,
    modules::Modules,
    offers,
    probe::backoff,
    progress::{Reporter, Told},
    worker::Worker,
};

/// How long killing what still runs may take, after the time that its module gives it to end.
const KILL_WAIT: Duration = Duration::from_secs(2);

/// How long the last reports may take to be stored.
const LEAVE_WAIT: Duration = Duration::from_secs(1);

/// Of what a service is given to stop, what everything else takes.
const SPARE: Duration = Duration::from_secs(1);

/// How long an executor takes to stop at most, whose attempts may go on for `stop_grace`.
pub fn stops_within(stop_grace: Duration, modules: &Modules) -> Duration {
    stop_grace + ends_within(modules) + KILL_WAIT + LEAVE_WAIT + SPARE
}

/// The longest time that a module gives its attempts to end.
fn ends_within(modules: &Modules) -> Duration {
    let grace = modules.iter().map(|module| module.manifest.file.stop_grace_s).max();
    Duration::from_secs(grace.unwrap_or_default().into())
}

/// Events of attempts taken at a time.
const EVENTS_MAX: usize = 1_000;

/// How far the worker's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// What runs may end.
    Draining,
    /// What still runs is being ended, and handed back.
    Killing,
    /// The last reports are on their way.
    Leaving,
}

/// A look whether attempts can be run.
type Probing = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A worker at work.
pub struct EventLoop {
    worker: Worker,
    session: Session,
    runner: Arc<Runner>,
    /// How to stop what runs.
    running: BTreeMap<Held, CancellationToken>,
    events: mpsc::UnboundedSender<Event>,
    heard: mpsc::UnboundedReceiver<Event>,
    /// How far attempts are.
    progress: Reporter,
    told: mpsc::UnboundedReceiver<Told>,
    publishing: Option<Publishing>,
    looking: Option<Looking>,
    next_look: Interval,
    link: watch::Receiver<Link>,
    /// The session is over; the next begins when nothing of this one runs.
    begin_again: bool,
    /// Another worker, or a copy of this one, has its name: it ends when nothing runs.
    given_up: Option<String>,
    /// Why no attempt can be run at present, while that is looked at.
    unfit: Option<String>,
    probing: Option<Probing>,
    backoff: Backoff,
    phase: Phase,
    /// What readiness was last told: whether reports are stored.
    ready: bool,
}

impl EventLoop {
    pub fn new(worker: Worker) -> Self {
        let (progress, told) = mpsc::unbounded_channel();
        let (session, runner) = worker.new_session(progress.clone());
        let (events, heard) = mpsc::unbounded_channel();
        let link = worker.broker.link();
        Self {
            worker,
            session,
            runner,
            running: BTreeMap::new(),
            events,
            heard,
            progress,
            told,
            publishing: None,
            looking: None,
            next_look: interval(LOOK_EVERY),
            link,
            begin_again: false,
            given_up: None,
            unfit: None,
            probing: None,
            backoff: backoff(),
            phase: Phase::Serving,
            ready: false,
        }
    }

    /// Works until stopped.
    pub async fn run(mut self, mut work: Heard) -> anyhow::Result<()> {
        let stop = self.worker.runtime.stop.clone();
        let mut beat = interval(self.worker.beat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deadline = Box::pin(sleep(Duration::MAX));
        let mut events = Vec::new();
        let (sources, seen) = (self.worker.sources.clone(), self.worker.seen.clone());
        let mut offers = offers::watch(sources, seen, self.worker.registered.subscribe());
        loop {
            self.act();
            if let Some(wait) = self.next_phase() {
                deadline.set(sleep(wait));
                continue;
            }
            if self.phase == Phase::Leaving && self.session.is_idle() {
                return Ok(());
            }
            if let Some(reason) = self.given_up.take_if(|_| self.running.is_empty()) {
                bail!(reason);
            }
            let wake = self.until_wake();
            tokio::select! {
                chunk = work.next() => {
                    self.on_work(&chunk.context("the work ended")?);
                }
                (id, outcome) = outcome(&mut self.publishing) => self.on_published(id, outcome),
                (position, seen) = outcome(&mut self.looking) => self.on_look(position, seen),
                probed = outcome(&mut self.probing) => self.on_probed(probed),
                _ = self.next_look.tick(), if self.looking.is_none() => self.look(),
                // After every reconnect.
                Ok(()) = self.link.changed() => self.next_look.reset_immediately(),
                _ = self.heard.recv_many(&mut events, EVENTS_MAX) => {
                    events.drain(..).for_each(|event| self.on_event(event));
                }
                Some(offered) = offers.recv(), if self.phase == Phase::Serving => {
                    self.worker.offer(offered, &mut self.session);
                }
                Some(Told { of, progress }) = self.told.recv() => {
                    self.session.on_progressed(of, progress, self.worker.runtime.clock.now());
                }
                () = sleep(wake) => {}
                _ = beat.tick() => self.show(),
                () = stop.cancelled(), if self.phase == Phase::Serving => {
                    self.phase = Phase::Draining;
                    self.drain();
                    deadline.set(sleep(self.worker.stop_grace));
                }
                () = &mut deadline, if self.phase != Phase::Serving => match self.phase {
                    Phase::Serving | Phase::Draining => {
                        self.phase = Phase::Killing;
                        self.running.values().for_each(CancellationToken::cancel);
                        deadline.set(sleep(ends_within(&self.worker.modules) + KILL_WAIT));
                    }
                    Phase::Killing => bail!("{} attempts could not be killed", self.running.len()),
                    Phase::Leaving => {
                        // The scheduler will find out by itself, only later.
                        tracing::warn!("The last reports could not be stored");
                        return Ok(());
                    }
                },
            }
        }
    }

    fn drain(&mut self) {
        if let Err(error) = instance::note_stopping(&self.worker.data, self.session.id()) {
            tracing::warn!(%error, "Cannot note that this is a planned stop");
        }
        self.session.drain();
        self.worker.runtime.readiness.set("executor", Err("stops"));
    }

    /// Goes on with the end, if it is time; returns how long the new phase may take.
    fn next_phase(&mut self) -> Option<Duration> {
        let ending = matches!(self.phase, Phase::Draining | Phase::Killing);
        if !ending || !self.running.is_empty() {
            return None;
        }
        self.phase = Phase::Leaving;
        self.session.leave();
        Some(LEAVE_WAIT)
    }

    /// Carries out everything that is due; some of it is over at once, and makes more due.
    fn act(&mut self) {
        // What is published before would be in nobody knows which stream.
        while self.session.is_attached() {
            let now = self.worker.runtime.clock.now();
            let effects = self.session.due(now);
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                match effect {
                    Effect::Run(start) => self.start(start),
                    Effect::Kill(held) => {
                        if let Some(stop) = self.running.get(&held) {
                            stop.cancel();
                        }
                    }
                    Effect::Publish { id, message } => self.publish(id, &message),
                    Effect::Learn(modules) => {
                        self.worker.learn(modules);
                        // There may be more of them.
                        self.show();
                    }
                    Effect::NewSession => {
                        tracing::warn!(session = %self.session.id(), "Session was given up");
                        self.set_ready(Err("has no session"));
                        (self.publishing, self.looking) = (None, None);
                        self.begin_again = true;
                    }
                    Effect::GiveUp { reason } => {
                        let copied = self.session.is_joined();
                        let reason = if copied { self.worker.replaced() } else { reason };
                        tracing::error!(session = %self.session.id(), reason, "Gives up");
                        self.set_ready(Err(&reason));
                        (self.publishing, self.looking) = (None, None);
                        self.given_up = Some(reason);
                    }
                }
            }
        }
        if self.begin_again && self.running.is_empty() && self.phase == Phase::Serving {
            self.begin_again = false;
            self.worker.forget_registered();
            (self.session, self.runner) = self.worker.new_session(self.progress.clone());
            if let Some(reason) = &self.unfit {
                self.session.pause(reason.clone());
            }
            self.next_look.reset_immediately();
        }
    }

    fn on_work(&mut self, chunk: &[Bytes]) {
        // It listens anew, and what was sent meanwhile is lost: the sooner that is noticed, the
        // sooner it is sent again.
        if chunk.is_empty() {
            self.show();
        }
        let was_joined = self.session.is_joined();
        for message in chunk {
            match serde_json::from_slice::<WorkMessage>(message) {
                Ok(message) => self.session.on_work(message),
                // A gap in the numbers, which the scheduler is asked to fill.
                Err(error) => tracing::error!(%error, "Work cannot be read"),
            }
        }
        // So that the leader has heard of it: an earlier beat may have come before there was one.
        if self.session.is_joined() && !was_joined {
            self.show();
        }
        self.show_ready();
    }

    /// Gives a heartbeat.
    fn show(&mut self) {
        if !self.session.is_introduced() || self.begin_again {
            return;
        }
        let beat = self.session.beat();
        self.worker.metrics.held.set(i64::try_from(beat.held.len()).unwrap_or(i64::MAX));
        self.worker.metrics.running.set(i64::try_from(self.running.len()).unwrap_or(i64::MAX));
        match serde_json::to_vec(&beat) {
            Ok(beat) => {
                let subject = subject::beat(&self.worker.worker_id);
                self.worker.broker.publish_unacked(subject, beat.into());
            }
            Err(error) => tracing::error!(%error, "A heartbeat cannot be written"),
        }
    }

    fn until_wake(&self) -> Duration {
        let now = self.worker.runtime.clock.now();
        self.session.next_wake().map_or(Duration::MAX, |wake| wake.since(now))
    }
}

/// The outcome of what was begun; never, if nothing was.
async fn outcome<T>(begun: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match begun {
        Some(begun) => begun.await,
        None => std::future::pending().await,
    }
}
