//! Attempts without servers, for whoever writes a manifest: `noxctl module test`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use nox_contract::{Attempt, AttemptEnd, FrameNumber, RawJson, StartWork, Token, WorkNumber};
use nox_service::{Clock, ids};
use nox_store::Artifacts;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    attempt::Runner,
    log_writer::Logs,
    manifest::ManifestError,
    metrics::Metrics,
    modules::{Engine, Module, Modules},
    sandbox::host::{Asking, Host, Settings},
};

/// Runs attempts in a folder, one after the other.
pub struct Local {
    runner: Runner,
    _drain: AbortOnDropHandle<()>,
}

impl Local {
    /// `supervisor` is a program that calls [`crate::supervise_if_asked`] first.
    pub async fn in_folder(folder: &Path, supervisor: PathBuf) -> anyhow::Result<Self> {
        let kept = folder.join("artifacts");
        let kept = kept.to_str().context("the folder's name is no text")?;
        let metrics = Metrics::register(&prometheus::Registry::new())?;
        let logs = Logs::new(metrics.clone());
        let data = folder.join("data");
        std::fs::create_dir_all(&data)?;
        let data = data.canonicalize()?;
        let asking = Asking {
            supervisor: &supervisor,
            data: &data,
            artifacts: Path::new(kept),
            instance: ids::unique().as_u128(),
        };
        let host = Host::probe(&Settings::default(), asking).await?;
        let runner = Runner {
            progress: None,
            session: ids::session_id(),
            supervisor,
            host: Arc::new(host),
            data,
            artifacts: Arc::new(Artifacts::create(kept, false)?),
            logs: logs.clone(),
            clock: Clock::system(),
            metrics,
        };
        let drain = AbortOnDropHandle::new(tokio::spawn(drain(logs)));
        Ok(Self { runner, _drain: drain })
    }

    /// Reads a module's folder.
    ///
    /// # Errors
    /// Its manifest is wrong, or it cannot be run here.
    pub fn read(&self, folder: &Path) -> Result<Module, ManifestError> {
        Modules::read_one(folder, &self.runner.host)
    }

    /// Runs a module once with its own resources, to the end.
    pub async fn run(&self, module: &Module, inputs: RawJson) -> anyhow::Result<AttemptEnd> {
        let Engine::Program(program) = &module.engine else {
            anyhow::bail!("a builtin has nothing to test");
        };
        let declared = &module.manifest.declared;
        let (job_id, attempt) = (ids::job_id(), Attempt(1));
        let start = StartWork {
            number: WorkNumber(1),
            job_id,
            attempt,
            token: Token::compute(&[0; 32], job_id, attempt, FrameNumber(1)),
            tenant: "local".parse()?,
            user_id: "local".parse()?,
            module: declared.name.clone(),
            module_version: declared.version.clone(),
            inputs,
            resources: declared.resources,
            traceparent: None,
        };
        let stop = CancellationToken::new();
        Ok(self.runner.run(&start, &module.manifest, program, stop, || ()).await.end)
    }
}

/// Stands in for the broker.
async fn drain(logs: Logs) {
    loop {
        while let Some(sent) = logs.next_piece() {
            logs.stored(&sent, Clock::system().monotonic());
        }
        logs.more().await;
    }
}
