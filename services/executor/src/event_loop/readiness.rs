//! Whether work is taken: not before the log has taken the session on, nor while this machine cannot
//! run attempts. That is tried again and again until it can.

use tokio::time::sleep;

use super::{EventLoop, Phase};
use crate::probe::probe;

impl EventLoop {
    /// Takes no more work until attempts can be run again. First, so that what is handed back goes
    /// elsewhere.
    pub(super) fn pause(&mut self, reason: String) {
        if self.unfit.is_some() {
            return;
        }
        tracing::error!(reason, "Cannot run attempts; takes no work until it can");
        self.unfit = Some(reason.clone());
        self.session.pause(reason);
        self.show_ready();
        self.probe();
    }

    fn probe(&mut self) {
        let (supervisor, data) = (self.worker.supervisor.clone(), self.worker.data.clone());
        let (host, wait) = (self.worker.host.clone(), self.backoff.pause());
        self.probing = Some(Box::pin(async move {
            sleep(wait).await;
            probe(&supervisor, &data, &host).await
        }));
    }

    pub(super) fn on_probed(&mut self, probed: anyhow::Result<()>) {
        self.probing = None;
        match probed {
            Ok(()) => {
                tracing::info!("Attempts can be run again");
                self.unfit = None;
                self.session.resume();
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "Still cannot run attempts");
                self.unfit = Some(error);
                self.probe();
            }
        }
        self.show_ready();
    }

    /// Ready is who takes work: the log has taken the session on, and attempts can be run.
    pub(super) fn show_ready(&mut self) {
        if self.begin_again || self.given_up.is_some() || !self.session.is_introduced() {
            return;
        }
        if let Some(reason) = &self.unfit {
            let reason = format!("cannot run attempts: {reason}");
            self.set_ready(Err(&reason));
        } else if self.session.is_joined() {
            self.set_ready(Ok(()));
        } else {
            self.set_ready(Err("waits to be taken on by the scheduler"));
        }
    }

    pub(super) fn set_ready(&mut self, state: Result<(), &str>) {
        self.ready = state.is_ok();
        // A worker that ends has said so already.
        if self.phase == Phase::Serving {
            self.worker.runtime.readiness.set("executor", state);
        }
    }
}
