//! All of Nox in this process: the services as tasks, the servers as children.

mod address;
mod configuration;
pub mod engines;
pub mod holder;
pub mod modules;
mod ready;
mod servers;

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use nox_service::{Runtime, Secret};
use tokio::task::JoinSet;

pub use address::{pick, url};
pub use modules::folder_with as modules_folder_with;
pub use ready::{declared, missing, serving};
pub use servers::{Given, Servers, Sync, Urls};

use crate::{
    client::Client,
    home::{Home, Place},
    system::configuration::Configuration,
};

/// How long the rows may take to show the modules once all parts are ready: a moment. Nobody can run
/// one before, and nothing else has to wait for them.
const MODULES_WITHIN: Duration = Duration::from_secs(10);

/// The services, each with the name that a failure is reported under.
type Services = JoinSet<(&'static str, Result<()>)>;

/// How to start a [`System`].
#[derive(Debug, Clone)]
pub struct Options {
    pub http_addr: SocketAddr,
    pub sync: Sync,
    pub given: Given,
    /// What tokens are signed with; the secret of the folder, if not given.
    pub jwt_secret: Option<Secret>,
    /// Whether the folder goes when the system does, so that nothing in it has to last.
    pub throwaway: bool,
}

/// A development system that runs.
pub struct System {
    runtime: Runtime,
    services: Services,
    servers: Servers,
    pub place: Place,
    /// What tokens are signed with.
    pub jwt_secret: Secret,
}

impl System {
    /// Starts servers and services in the folder `home`, and does not wait for the services.
    ///
    /// # Errors
    /// An address is taken, or a server does not start.
    pub async fn start(home: &Home, options: &Options, runtime: &Runtime) -> Result<Self> {
        let http_addr = pick(options.http_addr, home.before.as_ref())?;
        let own_secret = || Secret::new(&home.identity.jwt_secret);
        let jwt_secret = options.jwt_secret.clone().unwrap_or_else(own_secret);
        let servers = Servers::start(home, options).await?;
        let place = Place {
            url: url(http_addr),
            nats_url: servers.urls.nats.clone(),
            nats_monitor_url: servers.urls.nats_monitor.clone(),
            database_url: servers.urls.database.clone(),
            jwt_secret: options.jwt_secret.as_ref().map(|secret| secret.reveal().to_owned()),
        };
        home.announce(&place)?;
        let configuration = Configuration {
            http_addr,
            urls: &servers.urls,
            sync: options.sync,
            identity: &home.identity,
            jwt_secret: &jwt_secret,
            folder: home.folder(),
        };
        let services = start_services(&configuration, runtime)?;
        Ok(Self { runtime: runtime.clone(), services, servers, place, jwt_secret })
    }

    /// Waits until requests are served and the modules of the executor can be run, whichever these
    /// are; returns their names.
    ///
    /// # Errors
    /// A service ended.
    pub async fn ready(&mut self) -> Result<Vec<String>> {
        let client = Client::new(&self.place.url, None)?;
        let readiness = &self.runtime.readiness;
        let ready = async {
            serving(&client).await;
            let notes = readiness.snapshot().notes;
            let names = notes.get(nox_executor::MODULES_NOTE).cloned().unwrap_or_default();
            let modules: Vec<&str> = names.split_whitespace().collect();
            if tokio::time::timeout(MODULES_WITHIN, declared(&client, &modules)).await.is_err() {
                tracing::warn!(names, "Ready, but not all modules can be run yet");
            }
            modules.into_iter().map(str::to_owned).collect()
        };
        tokio::select! {
            ended = ended_unasked(&mut self.services, &self.runtime) => Err(ended),
            modules = ready => Ok(modules),
        }
    }

    /// Serves until the runtime is to stop.
    ///
    /// # Errors
    /// A service ended by itself.
    pub async fn run(&mut self) -> Result<()> {
        run(&mut self.services, &self.runtime).await
    }

    /// Stops the services, then the servers; nothing is left when this returns.
    ///
    /// # Errors
    /// A service could not end well; everything is stopped all the same.
    pub async fn stop(mut self) -> Result<()> {
        self.runtime.stop.cancel();
        let mut outcome = Ok(());
        let all = async {
            while let Some(joined) = self.services.join_next().await {
                if let Err(error) = named(joined) {
                    tracing::error!(error = format!("{error:#}"), "A service did not end well");
                    outcome = Err(error);
                }
            }
        };
        let grace = self.runtime.grace();
        let late = tokio::time::timeout(grace, all).await.is_err();
        self.services.shutdown().await;
        self.servers.stop().await;
        if late {
            bail!("services had not stopped after {grace:?}");
        }
        outcome
    }
}

fn start_services(configuration: &Configuration<'_>, runtime: &Runtime) -> Result<Services> {
    let mut services = Services::new();
    let (gateway, scheduler) = (configuration.gateway()?, configuration.scheduler()?);
    let (executor, projector) = (configuration.executor()?, configuration.projector()?);
    let notifier = configuration.notifier()?;
    let own = || runtime.clone();
    services.spawn(named_as("gateway", nox_gateway::run(gateway, own())));
    services.spawn(named_as("scheduler", nox_scheduler::run(scheduler, own())));
    services.spawn(named_as("executor", nox_executor::run(executor, own())));
    services.spawn(named_as("projector", nox_projector::run(projector, own())));
    services.spawn(named_as("notifier", nox_notifier::run(notifier, own())));
    Ok(services)
}

async fn named_as(
    name: &'static str,
    service: impl Future<Output = Result<()>>,
) -> (&'static str, Result<()>) {
    (name, service.await)
}

/// Waits until the runtime is to stop, or for a service to end before that.
async fn run(services: &mut Services, runtime: &Runtime) -> Result<()> {
    tokio::select! {
        () = runtime.stop.cancelled() => Ok(()),
        ended = ended_unasked(services, runtime) => Err(ended),
    }
}

/// Waits for the first service to end by itself, which none should.
///
/// A service sees the runtime's `stop` at the same time as whoever waits here does, and may have ended
/// before that one is woken. So one that ends well after `stop` is nothing to report, and this waits
/// on: the caller waits for `stop` beside it.
async fn ended_unasked(services: &mut Services, runtime: &Runtime) -> anyhow::Error {
    match services.join_next().await.map(named) {
        Some(Err(error)) => error,
        Some(Ok(_)) | None if runtime.stop.is_cancelled() => std::future::pending().await,
        Some(Ok(name)) => anyhow!("the {name} ended without having been asked to"),
        None => anyhow!("all services have ended"),
    }
}

fn named(
    joined: Result<(&'static str, Result<()>), tokio::task::JoinError>,
) -> Result<&'static str> {
    let (name, outcome) = joined.context("a service panicked")?;
    outcome.with_context(|| format!("the {name} failed"))?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(outcome: Result<()>) -> Services {
        let mut services = Services::new();
        services.spawn(named_as("gateway", async { outcome }));
        services
    }

    #[tokio::test]
    async fn a_service_that_ends_after_the_stop_was_asked_to() {
        // Which of two sides that are both ready is taken, is a matter of chance.
        for _ in 0..64 {
            let runtime = Runtime::new();
            let mut services = service(Ok(()));
            runtime.stop.cancel();
            // It runs to its end here, so that both sides are ready when they are looked at.
            tokio::task::yield_now().await;
            run(&mut services, &runtime).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_service_that_ends_by_itself_or_fails_is_named() {
        let runtime = Runtime::new();
        let unasked = run(&mut service(Ok(())), &runtime).await.unwrap_err().to_string();
        assert!(unasked.contains("gateway") && unasked.contains("asked"), "{unasked}");
        let failed = run(&mut service(Err(anyhow!("broken"))), &runtime).await.unwrap_err();
        assert_eq!(format!("{failed:#}"), "the gateway failed: broken");
    }
}
