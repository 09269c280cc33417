//! Everything that Nox needs, as separate processes on this machine: a broker, a database, and the
//! services. What was started ends with the test.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use nox_contract::{TenantId, UserId};
use nox_devkit::{NatsConfig, NatsOptions, NatsServer, Postgres, PostgresOptions, Sync, free_port};
use nox_streams::{Broker, ConnectOptions, Durability};
use serde_json::json;

use super::{
    client::{self, Client},
    modules,
    recorder::Recorder,
    service::{Kind, Service},
};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// From the start of the processes to the first module in the rows.
const UP_WITHIN: Duration = Duration::from_secs(90);

/// Keeps the folder of a test that went well, too.
const KEEP: &str = "NOX_TEST_KEEP";

/// Where the services' tokens come from.
pub const SECRET: &str = "a secret of thirty-two bytes at least, for tests";
/// Of the one user of a broker of several servers.
const NATS_PASSWORD: &str = "one-password-for-all-of-them";
/// What secrets of webhooks are computed from.
pub const WEBHOOK_KEY: &str = "0808080808080808080808080808080808080808080808080808080808080808";
pub const CLUSTER_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
/// The same, as it is used.
pub const TOKEN_KEY: [u8; 32] = [7; 32];

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Servers that are the broker together.
    pub brokers: usize,
    pub gateways: usize,
    pub schedulers: usize,
    pub executors: usize,
    pub sync: Sync,
    /// How long a silent leader is waited for, in whole seconds.
    pub lease_ms: u64,
    pub worker_lease_ms: u64,
    /// Attempts at a time on each executor.
    pub slots: u32,
    /// Tenants that have a subscriber of the feed each. The broker, of one server, is then as in production: each service
    /// is a user of its own, and may do what `nats/permissions.conf` says.
    pub subscribers: Vec<&'static str>,
    /// Where a broker of one server keeps everything; a folder of the system's own, if left out.
    pub nats_data: Option<PathBuf>,
    /// Further environment, by service.
    pub env: Vec<(Kind, &'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brokers: 1,
            gateways: 1,
            schedulers: 1,
            executors: 1,
            sync: Sync::Strict,
            lease_ms: 2_000,
            worker_lease_ms: 3_000,
            slots: 16,
            subscribers: Vec::new(),
            nats_data: None,
            env: Vec::new(),
        }
    }
}

impl Options {
    /// Adds to the environment of all services of a kind.
    pub fn env(mut self, kind: Kind, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((kind, name, value.into()));
        self
    }
}

/// A running system.
pub struct Cluster {
    // In the order in which they are to be dropped: services before servers.
    pub gateways: Vec<Service>,
    pub schedulers: Vec<Service>,
    pub executors: Vec<Service>,
    pub projector: Service,
    pub notifier: Service,
    /// The broker, or its first server.
    pub nats: NatsServer,
    /// Its other servers.
    pub nats_peers: Vec<NatsServer>,
    /// All of them, with user and password.
    pub nats_url: String,
    pub postgres: Postgres,
    pub database_url: String,
    pub recorder: Recorder,
    gateway_urls: Vec<String>,
    internal_errors: Arc<AtomicU64>,
    folder: Option<tempfile::TempDir>,
}

impl Cluster {
    /// Starts everything and waits until a job could be run.
    pub async fn start(options: Options) -> Result<Self> {
        let mut cluster = Self::servers(options).await?;
        cluster.start_services()?;
        cluster.wait_ready().await?;
        Ok(cluster)
    }

    /// Starts the servers alone; the services are described, and do not run.
    pub async fn servers(options: Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("nox-system-").tempdir()?;
        let root = folder.path();
        let mut postgres = PostgresOptions::new(root.join("postgres"));
        postgres.fast = true;
        let (nats, postgres) = tokio::join!(broker(&options, root), Postgres::start(postgres));
        let (mut nats, postgres) = (nats?, postgres?);
        let nats_url = match options.brokers {
            1 if options.subscribers.is_empty() => nats[0].url(),
            1 => user_url(&nats[0], "operator"),
            _ => joined(
                nats.iter()
                    .map(|server| format!("nats://nox:{NATS_PASSWORD}@{}", server.address())),
            ),
        };
        let monitor_urls = joined(nats.iter().map(NatsServer::monitor_url));
        let nats_peers = nats.split_off(1);
        let nats = nats.remove(0);
        let database_url = postgres.url();
        modules::write(&root.join("modules"), &root.join("truth"))?;

        let mut common = BTreeMap::from([
            ("NOX_NATS_URL".to_owned(), nats_url.clone()),
            ("NOX_NATS_MONITOR_URL".to_owned(), monitor_urls),
            ("NOX_JWT_SECRET".to_owned(), SECRET.to_owned()),
            ("NOX_CLUSTER_KEY".to_owned(), CLUSTER_KEY.to_owned()),
            ("NOX_LEASE_MS".to_owned(), options.lease_ms.to_string()),
            ("NOX_WORKER_LEASE_MS".to_owned(), options.worker_lease_ms.to_string()),
            ("NOX_BEAT_MS".to_owned(), "300".to_owned()),
            ("NOX_SLOTS".to_owned(), options.slots.to_string()),
            ("NOX_CPU".to_owned(), "64".to_owned()),
            ("NOX_MEM_MB".to_owned(), "65536".to_owned()),
            ("NOX_SANDBOX_ALLOW_NONE".to_owned(), "true".to_owned()),
            ("NOX_MODULES".to_owned(), path(root, "modules")),
            ("NOX_ARTIFACTS".to_owned(), path(root, "artifacts")),
            ("NOX_ARCHIVE".to_owned(), path(root, "archive")),
            ("NOX_DATA".to_owned(), path(root, "data")),
        ]);
        let sync = if options.sync == Sync::Strict { "strict" } else { "relaxed" };
        common.insert("NOX_SYNC".to_owned(), sync.to_owned());

        let describe = |kind: Kind, number: usize, own: &[(&str, String)]| {
            let mut env = common.clone();
            if !options.subscribers.is_empty() {
                env.insert("NOX_NATS_URL".to_owned(), user_url(&nats, kind.name()));
            }
            // Scheduler and executor do not know Postgres.
            if matches!(kind, Kind::Gateway | Kind::Projector | Kind::Notifier) {
                env.insert("NOX_DATABASE_URL".to_owned(), database_url.clone());
            }
            if matches!(kind, Kind::Gateway | Kind::Notifier) {
                env.insert("NOX_WEBHOOK_KEY".to_owned(), WEBHOOK_KEY.to_owned());
            }
            for (_, name, value) in options.env.iter().filter(|(of, ..)| *of == kind) {
                env.insert((*name).to_owned(), value.clone());
            }
            for (name, value) in own {
                env.insert((*name).to_owned(), value.clone());
            }
            let name = format!("{}-{number}", kind.name());
            Service::new(kind, &name, env, root)
        };
        let mut gateways = Vec::new();
        let mut gateway_urls = Vec::new();
        for number in 0..options.gateways {
            let addr = format!("127.0.0.1:{}", free_port(Ipv4Addr::LOCALHOST.into())?);
            gateway_urls.push(format!("http://{addr}"));
            gateways.push(describe(
                Kind::Gateway,
                number,
                &[
                    ("NOX_HTTP_ADDR", addr),
                    // What a user may ask for at most is tried by itself.
                    ("NOX_RATE_LIMIT_PER_S", "0".to_owned()),
                ],
            )?);
        }
        let schedulers = (0..options.schedulers)
            .map(|number| describe(Kind::Scheduler, number, &[]))
            .collect::<Result<Vec<_>>>()?;
        let executors = (0..options.executors)
            .map(|number| {
                let own = [("NOX_WORKER_ID", format!("executor-{number}"))];
                describe(Kind::Executor, number, &own)
            })
            .collect::<Result<Vec<_>>>()?;
        let projector = describe(Kind::Projector, 0, &[])?;
        let notifier = describe(Kind::Notifier, 0, &[])?;
        Ok(Self {
            gateways,
            schedulers,
            executors,
            projector,
            notifier,
            nats,
            nats_peers,
            nats_url,
            postgres,
            database_url,
            recorder: Recorder::start(),
            gateway_urls,
            internal_errors: Arc::default(),
            folder: Some(folder),
        })
    }

    /// Starts every service that does not run, the first scheduler before the others.
    pub fn start_services(&mut self) -> Result<()> {
        for service in self.services() {
            if !service.is_running() {
                service.start()?;
            }
        }
        Ok(())
    }

    /// The servers that are the broker.
    pub fn brokers(&mut self) -> impl Iterator<Item = &mut NatsServer> {
        std::iter::once(&mut self.nats).chain(&mut self.nats_peers)
    }

    pub fn services(&mut self) -> impl Iterator<Item = &mut Service> {
        self.schedulers
            .iter_mut()
            .chain(&mut self.executors)
            .chain([&mut self.projector, &mut self.notifier])
            .chain(&mut self.gateways)
    }

    /// Waits until every service is ready and every module is in the rows.
    pub async fn wait_ready(&mut self) -> Result<()> {
        for service in self.services() {
            service.wait_ready().await?;
        }
        let client = self.client("probe");
        until(UP_WITHIN, "modules", async || {
            let modules = client.get(0, "/modules").await;
            let names = modules.ok().map(|answer| answer.body["modules"].clone());
            let count = names.as_ref().and_then(|names| names.as_array()).map_or(0, Vec::len);
            Ok((count >= 3).then_some(()))
        })
        .await
    }

    /// A user of the default tenant.
    pub fn client(&self, user: &str) -> Client {
        self.client_with(json!({"sub": user, "role": "user"}))
    }

    /// Somebody with these claims.
    ///
    /// # Panics
    /// `sub` or `tenant` is no name.
    pub fn client_with(&self, claims: serde_json::Value) -> Client {
        let user: UserId = claims["sub"].as_str().unwrap_or("nobody").parse().expect("a user");
        let tenant = claims["tenant"].as_str().unwrap_or(TenantId::DEFAULT);
        let tenant: TenantId = tenant.parse().expect("a tenant");
        Client::new(
            self.gateway_urls.clone(),
            client::token(SECRET, claims),
            tenant,
            user,
            self.recorder.clone(),
            self.internal_errors.clone(),
        )
    }

    /// How often a gateway answered 500, which it never should.
    pub fn internal_errors(&self) -> u64 {
        self.internal_errors.load(Ordering::Relaxed)
    }

    /// A connection of the test's own.
    pub async fn broker(&self) -> Result<Broker> {
        let options = ConnectOptions {
            url: self.nats_url.clone(),
            service: "testkit",
            monitor_url: None,
            sync: Durability::Relaxed,
        };
        Ok(Broker::connect(options).await?)
    }

    /// Where jobs tell that they run.
    pub fn truth(&self) -> PathBuf {
        self.folder().join("truth")
    }

    /// Where everything of this system is.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("it is there until the end").path()
    }

    /// Which scheduler leads now, as they see it; `None` while none does.
    pub async fn leader(&self) -> Option<usize> {
        for (place, scheduler) in self.schedulers.iter().enumerate() {
            if scheduler.metric("nox_scheduler_leading").await == Some(1.0) {
                return Some(place);
            }
        }
        None
    }

    /// Waits until a scheduler leads.
    pub async fn wait_leader(&self, within: Duration) -> Result<usize> {
        until(within, "a leader", async || Ok(self.leader().await)).await
    }
}

impl Drop for Cluster {
    /// Tells where to look when a test fails, or when asked to, and keeps what is there.
    fn drop(&mut self) {
        if !std::thread::panicking() && std::env::var_os(KEEP).is_none() {
            return;
        }
        if let Some(folder) = self.folder.take() {
            eprintln!("kept for a look: {}", folder.keep().display());
        }
        for service in self.services() {
            eprintln!("{}", service.quote());
        }
    }
}

/// Starts the broker's servers; several know each other by routes.
async fn broker(options: &Options, root: &Path) -> Result<Vec<NatsServer>> {
    if options.brokers == 1 {
        let data = options.nats_data.clone().unwrap_or_else(|| root.join("nats"));
        let config = (!options.subscribers.is_empty()).then(|| {
            let config = NatsConfig::production(user_password);
            config.with_subscribers(&options.subscribers, user_password)
        });
        let nats = NatsOptions { sync: options.sync, config, ..NatsOptions::new(data) };
        return Ok(vec![NatsServer::start(nats).await?]);
    }
    let ports = (0..options.brokers)
        .map(|_| free_port(Ipv4Addr::LOCALHOST.into()))
        .collect::<Result<Vec<_>>>()?;
    let routes = joined(ports.iter().map(|port| format!("nats://127.0.0.1:{port}")));
    let servers = ports.iter().enumerate().map(|(number, port)| {
        let text = format!(
            "include ./server.conf\nserver_name: nats-{number}\n\
             authorization {{ user: nox, password: {NATS_PASSWORD} }}\n\
             cluster {{ name: nox, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}\n"
        );
        Ok(NatsServer::start(NatsOptions {
            sync: options.sync,
            config: Some(NatsConfig { text, variables: Vec::new() }),
            ..NatsOptions::new(root.join(format!("nats-{number}")))
        }))
    });
    try_join_all(servers.collect::<Result<Vec<_>>>()?).await
}

/// Where a user of a broker as in production finds it.
pub fn user_url(nats: &NatsServer, user: &str) -> String {
    format!("nats://{user}:{}@{}", user_password(user), nats.address())
}

/// The password of such a user.
pub fn user_password(user: &str) -> String {
    format!("of-{user}")
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}

fn path(root: &Path, name: &str) -> String {
    root.join(name).display().to_string()
}

/// Looks until there is something, or an error.
///
/// # Errors
/// There is nothing after `within`, or `look` failed.
pub async fn until<T>(
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await.with_context(|| format!("while waiting for {what}"))? {
            return Ok(found);
        }
        if began.elapsed() > within {
            bail!("waited {within:?} in vain for {what}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
