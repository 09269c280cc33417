//! How a service's process begins and ends.

use std::{net::SocketAddr, pin::Pin, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, CommandFactory, FromArgMatches, Parser};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Runtime, admin, telemetry};

/// How long the work in hand may take after the first signal; what is not done by then is
/// delivered or asked for again.
pub const GRACE: Duration = Duration::from_secs(10);

/// A service at work. In a box it is compiled in its own crate, else in each program that waits for it.
pub type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A service's command line: its own configuration, and what every service has.
#[derive(Parser)]
struct Cli<C: Args> {
    #[command(flatten)]
    config: C,
    /// Where to serve /metrics, /livez and /readyz; port 0 takes a free one, and without an address
    /// they are not served.
    #[arg(long, env = "NOX_ADMIN_ADDR")]
    admin_addr: Option<SocketAddr>,
}

/// Runs the service `name` from the command line and environment to the end of the process.
///
/// `NOX_ADMIN_ADDR` is read here: a service's own configuration doesn't have it.
pub fn main<C>(name: &'static str, run: fn(C, Runtime) -> Running) -> ExitCode
where
    C: Args + Send + 'static,
{
    let matches = Cli::<C>::command().name(name).version(env!("CARGO_PKG_VERSION")).get_matches();
    let cli = Cli::<C>::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    telemetry::init();
    let threads = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(threads) => threads,
        Err(error) => {
            tracing::error!(%error, "Cannot start");
            return ExitCode::FAILURE;
        }
    };
    let serve = async move {
        let runtime = Runtime::new();
        if let Some(addr) = cli.admin_addr {
            admin::serve(addr, runtime.clone()).await?;
        }
        tracing::info!(service = name, version = env!("CARGO_PKG_VERSION"), "Starts");
        supervise(&runtime, Duration::ZERO, run(cli.config, runtime.clone())).await
    };
    // As a task it runs on the threads that its connections wake; this one would have to be woken besides.
    let outcome = match threads.block_on(threads.spawn(serve)) {
        Ok(outcome) => outcome,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    // What still runs in the background was given its time.
    threads.shutdown_background();
    match outcome {
        Ok(()) => {
            tracing::info!(service = name, "Stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(service = name, error = format!("{error:#}"), "Failed");
            ExitCode::FAILURE
        }
    }
}

/// Drives `service` until it ends. The first SIGINT or SIGTERM cancels `runtime.stop` and leaves it
/// the time that [`Runtime::grace`] says, and `beyond`; a second one ends it now. A service that ends unasked has failed.
pub async fn supervise(
    runtime: &Runtime,
    beyond: Duration,
    service: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut service = std::pin::pin!(service);

    tokio::select! {
        outcome = &mut service => {
            outcome?;
            if !runtime.stop.is_cancelled() {
                bail!("the service ended without having been asked to");
            }
            return Ok(());
        }
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = runtime.stop.cancelled() => {}
    }
    tracing::info!("Stops: finishes what is in hand");
    runtime.stop.cancel();
    let grace = runtime.grace() + beyond;
    tokio::select! {
        outcome = &mut service => outcome,
        _ = interrupt.recv() => bail!("a second signal cut the shutdown off"),
        _ = terminate.recv() => bail!("a second signal cut the shutdown off"),
        () = tokio::time::sleep(grace) => bail!("the shutdown took longer than {grace:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_that_ends_unasked_has_failed() {
        let outcome = supervise(&Runtime::new(), Duration::ZERO, async { Ok(()) }).await;
        assert!(outcome.is_err());
    }

    #[tokio::test]
    async fn a_service_that_was_asked_to_stop_may_finish() {
        let runtime = Runtime::new();
        let stop = runtime.stop.clone();
        runtime.stop.cancel();
        let outcome = supervise(&runtime, Duration::ZERO, async move {
            stop.cancelled().await;
            tokio::task::yield_now().await;
            Ok(())
        });
        assert!(outcome.await.is_ok());
    }

    #[tokio::test]
    async fn a_shutdown_has_an_end_which_a_service_can_put_off() {
        tokio::time::pause();
        let runtime = Runtime::new();
        runtime.stop.cancel();
        let began = tokio::time::Instant::now();
        let never = std::future::pending;
        let outcome = supervise(&runtime, Duration::ZERO, never()).await;
        assert!(outcome.unwrap_err().to_string().contains("longer"));
        assert_eq!(began.elapsed().as_secs(), GRACE.as_secs());

        runtime.allow_grace(3 * GRACE);
        runtime.allow_grace(GRACE);
        let began = tokio::time::Instant::now();
        supervise(&runtime, Duration::ZERO, never()).await.unwrap_err();
        assert_eq!(began.elapsed().as_secs(), 3 * GRACE.as_secs());
    }
}
