//! What a worker is, and what it does before its first session.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use futures_util::StreamExt;
use nox_contract::{Hello, RegisteredModule, WorkerId, subject};
use nox_protocol::session::Session;
use nox_service::{Runtime, ids};
use nox_store::Artifacts;
use nox_streams::{Broker, Heard};
use tokio::sync::watch;

use crate::{
    LOGS_WAIT,
    attempt::Runner,
    event_loop::{self, EventLoop},
    instance,
    log_writer::Logs,
    metrics::Metrics,
    modules::Modules,
    offers::{Marks, Offered, Sources},
    progress::Reporter,
    recovery,
    registered::Catalogue,
    sandbox::{Leftovers, host::Host},
};

/// Everything that a worker's run needs.
pub struct Worker {
    pub worker_id: WorkerId,
    pub beat: Duration,
    /// How long attempts may go on after the order to stop.
    pub stop_grace: Duration,
    pub supervisor: PathBuf,
    pub host: Arc<Host>,
    pub data: PathBuf,
    pub artifacts: Arc<Artifacts>,
    pub modules: Modules,
    /// Where what it offers comes from.
    pub sources: Sources,
    /// How that was before it was read.
    pub seen: Marks,
    /// What was registered, as far as it was told in this session.
    pub registered: watch::Sender<Catalogue>,
    pub hello: Hello,
    pub broker: Broker,
    pub logs: Logs,
    pub runtime: Runtime,
    pub metrics: Metrics,
}

impl Worker {
    /// Works until stopped, beginning with what is to be said of an earlier process.
    pub async fn run(self, leftovers: Leftovers) -> anyhow::Result<()> {
        let mut work = self.broker.hear(subject::work(&self.worker_id));
        let stop = self.runtime.stop.clone();
        tokio::select! {
            begun = self.begin(&mut work, leftovers) => begun?,
            () = stop.cancelled() => return Ok(()),
        }
        EventLoop::new(self).run(work).await
    }

    /// All that comes before a session's `hello`.
    async fn begin(&self, work: &mut Heard, leftovers: Leftovers) -> anyhow::Result<()> {
        // The first chunk says that nothing which is sent from now on is missed.
        work.next().await.context("cannot receive work")?;
        let (broker, clock) = (&self.broker, &self.runtime.clock);
        let stopping = instance::stopping(&self.data);
        recovery::report(broker, &self.worker_id, clock, &leftovers, stopping).await;
        instance::forget_stopping(&self.data);
        leftovers.remove();
        Ok(())
    }

    /// What it offers is this from now on, in this session and later ones. Attempts of modules that it does not
    /// offer any more may be on their way, and are run.
    pub fn offer(&mut self, offered: Offered, session: &mut Session) {
        crate::note_modules(&self.runtime, &offered.modules);
        let stops = event_loop::stops_within(self.stop_grace, &offered.modules);
        self.runtime.allow_grace(stops + LOGS_WAIT);
        self.hello.capacity = offered.capacity;
        self.hello.modules = offered.declared();
        self.modules.replace(offered.modules);
        let Hello { capacity, modules, labels, .. } = self.hello.clone();
        session.offer(capacity, modules, labels);
    }

    /// These were registered, and are offered if they are taken.
    pub fn learn(&self, modules: Vec<RegisteredModule>) {
        tracing::info!(modules = modules.len(), "Modules were registered");
        self.registered.send_modify(|catalogue| catalogue.extend(modules));
    }

    /// A session is told anew what is registered: the log may be another one.
    pub fn forget_registered(&mut self) {
        // Where none was told, there is nothing to offer anew.
        self.registered.send_if_modified(|catalogue| !std::mem::take(catalogue).is_empty());
        self.modules.forget_registered();
        self.hello.modules = self.modules.declared();
    }

    /// Why another process has this one's place, although this one was taken on and lives. If it took
    /// that back, the two would throw each other out for ever.
    pub fn replaced(&self) -> String {
        format!(
            "another executor named {} has taken this one's place, and is the same to the log: the \
             data folder {} was copied while this executor lives, or its lock does not hold on this \
             file system; each executor needs a name and a data folder of its own",
            self.worker_id,
            self.data.display(),
        )
    }

    /// A session that has yet to say `hello`, and what its attempts are run with. How far these are goes to
    /// `progress`.
    pub fn new_session(&self, progress: Reporter) -> (Session, Arc<Runner>) {
        self.metrics.sessions.inc();
        let id = ids::session_id();
        let runner = Runner {
            progress: Some(progress),
            session: id,
            supervisor: self.supervisor.clone(),
            host: self.host.clone(),
            data: self.data.clone(),
            artifacts: self.artifacts.clone(),
            logs: self.logs.clone(),
            clock: self.runtime.clock.clone(),
            metrics: self.metrics.clone(),
        };
        let session = Session::new(id, self.hello.clone());
        let takes_any = self.sources.policy.takes_any();
        let session = if takes_any { session.taking_registered() } else { session };
        (session, Arc::new(runner))
    }
}
