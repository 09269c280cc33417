//! The gateway: HTTP in, commands out, answers and rows back.
//!
//! Reads:  Postgres, NOX_EVENTS and its archive (the frames that a job has entries in, and while somebody follows
//!         events, all that come), NOX_LOGS, the artifact store, the scheduler's answers
//! Writes: NOX_COMMANDS, NOX_BEATS (of workers that speak HTTP), uploads
//! Keeps:  nothing; a restarted gateway knows all that it needs

mod app;
mod commands;
mod config;
mod endpoint;
mod extract;
mod http;
mod identity;
mod instance;
mod joblib_settings;
mod metrics;
mod object;
mod problem;
mod read;
mod request_id;
mod routes;
mod surfaces;
mod uploads;
mod use_cases;
mod watch;
mod webhook_settings;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use nox_archive::Archive;
use nox_readmodel::Reader;
use nox_service::{Running, Runtime, Secret};
use nox_store::Artifacts;
use nox_streams::{Broker, ConnectOptions, Durability};
use tokio::net::TcpListener;

use crate::{
    app::App,
    commands::{Commands, admission::Admission, beats::Beaten, undecided::Undecided},
    http::{budget::Budget, server},
    identity::{
        jwt::{self, Verifier},
        key_source::PublishedKeys,
        keys::Keys,
        proxies::Proxies,
        rate::RateLimits,
    },
    metrics::{Metrics, jobs::JobMetrics},
    read::{
        barrier::Barrier, bulk::Bulk, ends::Ends, hub::Hub, kept::Kept, log_end::LogEnd,
        log_news::LogNews, log_places::LogPlaces, modules::Modules, named_jobs::NamedJobs,
        states::States, tallies::Tallies,
    },
    surfaces::native::health,
    uploads::UploadStore,
    use_cases::tasks::sweeper,
    webhook_settings::WebhookSettings,
};
pub use crate::{
    config::{Config, HttpLimits, RateSettings, UploadLimits},
    identity::{command_roles::CommandRoles, key_source::KeySource},
    instance::{InstanceColor, InstanceName, InstanceSettings},
    joblib_settings::JoblibSettings,
};

/// Connections to Postgres; reads are short, and more would only queue there.
const DATABASE_CONNECTIONS_MAX: u32 = 16;

/// A gateway that listens and does not serve yet.
pub struct Gateway {
    app: Arc<App>,
    limits: HttpLimits,
    listener: TcpListener,
    addr: SocketAddr,
    /// Told whether the broker writes.
    unwell: Box<dyn Fn(Result<(), String>) + Send + Sync>,
}

/// Serves the API until `runtime.stop`.
pub fn run(config: Config, runtime: Runtime) -> Running {
    Box::pin(until_stopped(config, runtime))
}

async fn until_stopped(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    Gateway::bind(config, runtime).await?.serve().await;
    Ok(())
}

impl Gateway {
    /// Checks the configuration, takes the address, connects to the broker and names the database,
    /// which may be away.
    pub async fn bind(config: Config, runtime: Runtime) -> anyhow::Result<Self> {
        let rules = jwt::Rules {
            lifetime_s_max: config.jwt_lifetime_max_s,
            issuer: config.jwt_issuer,
            audience: config.jwt_audience,
        };
        let published = match config.jwt_jwks {
            None => None,
            Some(source) => {
                let every = Duration::from_secs(config.jwt_jwks_every_s);
                Some(PublishedKeys::open(source, every, &runtime).await?)
            }
        };
        let secret = config.jwt_secret.as_ref().map(Secret::reveal);
        let verifier = Verifier::new(secret, published, rules)?;
        let reader = Reader::new(config.database_url.reveal(), DATABASE_CONNECTIONS_MAX)
            .context("the database cannot be named")?;
        let listener = server::listen(config.http_addr)
            .with_context(|| format!("cannot listen on {}", config.http_addr))?;
        let addr = listener.local_addr()?;
        let options = ConnectOptions {
            url: config.nats_url.reveal().to_owned(),
            service: "gateway",
            monitor_url: config.nats_monitor_url,
            sync: config.sync,
        };
        let archive = config.archive.as_deref().map(Archive::open).transpose()?;
        let artifacts = Artifacts::open(&config.artifacts, config.sync == Durability::Strict)?;
        let uploads = UploadStore::new(artifacts.uploads(), config.uploads);
        let broker = Broker::connect(options.clone()).await?;
        let bulk = Arc::new(Bulk::new(Broker::connect(options).await?, archive));
        let unwell = runtime.part(
            "gateway.broker",
            "nox_gateway_broker_unwell",
            "1 while the broker takes no writes, as with a full disk",
        )?;

        let metrics = Arc::new(Metrics::new(&runtime.registry)?);
        let barrier = Barrier::start(reader.clone(), &broker);
        let named_jobs = NamedJobs::new(reader.clone());
        let modules = Modules::new(reader.clone(), barrier.clone(), runtime.clock.clone());
        let commands = Commands::start(broker.clone(), metrics.clone());
        let hub = Hub::new(bulk.clone(), metrics.frames_followed.clone());
        let log_news = LogNews::new(bulk.clone());
        let undecided = Undecided::new(bulk.clone());
        let log_end = LogEnd::new(barrier.clone(), runtime.clock.clone());
        let job_metrics =
            JobMetrics::new(reader.clone(), runtime.clock.clone(), config.metrics_users_max);
        let ends = Ends::start(reader.clone(), barrier.clone());
        let keys = Keys::new(reader.clone(), runtime.clock.clone());
        let app = Arc::new(App {
            runtime,
            broker,
            bulk,
            hub,
            log_places: LogPlaces::default(),
            log_news,
            states: States::default(),
            tallies: Tallies::default(),
            kept_stats: Kept::default(),
            kept_system: Kept::default(),
            artifacts,
            uploads,
            reader,
            barrier,
            named_jobs,
            commands,
            undecided,
            log_end,
            modules,
            admission: Admission::default(),
            command_roles: config.command_roles,
            verifier,
            rates: config.rate.allowed().map(RateLimits::new),
            keys,
            proxies: Proxies::new(config.trusted_proxies),
            webhooks: WebhookSettings { key: config.webhook_key, rules: config.webhooks.rules() },
            instance: config.instance,
            metrics,
            job_metrics,
            joblib: config.joblib,
            ends,
            beaten: Beaten::default(),
        });
        Ok(Self { app, limits: config.http, listener, addr, unwell: Box::new(unwell) })
    }

    /// The address that was taken, with the port where the configuration says 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until the runtime's `stop`.
    pub async fn serve(self) {
        let Self { app, limits, listener, addr, unwell } = self;
        tracing::info!(%addr, "Gateway listens");
        app.runtime.readiness.note("http_addr", addr.to_string());
        health::tell_operators(&app);
        let watch = tokio::spawn(watch::run(app.clone()));
        let disk = tokio::spawn(app.broker.clone().watch_health(unwell));
        let sweeper = tokio::spawn(sweeper::run(app.clone()));
        let keys = tokio::spawn({
            let app = app.clone();
            async move { app.verifier.watch_keys().await }
        });
        let stop = app.runtime.stop.clone();
        let broker = app.broker.clone();
        let service = server::Service {
            router: routes::router(app.clone()),
            full: routes::full(app.clone()),
            places: Budget::new(
                server::affordable(limits.connections_max),
                limits.address_percent,
                app.metrics.connections.clone(),
            ),
            memory: Budget::new(
                limits.memory_mb.saturating_mul(1024 * 1024),
                limits.address_percent,
                app.metrics.memory_bytes.clone(),
            ),
            proxies: app.proxies.clone(),
        };
        server::serve(listener, service, stop).await;
        broker.flush().await;
        watch.abort();
        disk.abort();
        sweeper.abort();
        keys.abort();
    }
}
