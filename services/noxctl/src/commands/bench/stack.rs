//! All of Nox as it is run for real: servers and services, each a process.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nox_devkit::Program;
use nox_service::Clock;
use tempfile::TempDir;

use super::{MODULE, cpu::Named};
use crate::{
    client::Client,
    home::{ARCHIVE, Home},
    system::{self, Given, Options, Servers, Sync},
    target::{DEV_ADMIN, grant},
    terminal::note,
};

/// What the process that makes the load is called; it is this one.
pub const LOAD: &str = "(load and measuring)";

/// The services' names, and those of their programs, which lie beside this one.
const SERVICES: [(&str, &str); 4] = [
    ("gateway", "nox-gateway"),
    ("scheduler", "nox-scheduler"),
    ("executor", "nox-executor"),
    ("projector", "nox-projector"),
];

/// How long the services may take with an empty log.
const READY_WITHIN: Duration = Duration::from_secs(120);

const TOKEN_LIFETIME: Duration = Duration::from_secs(7_200);
/// Between two looks at a service that may have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Processes in a folder that goes with them.
pub struct Stack {
    services: Vec<(&'static str, Program)>,
    servers: Servers,
    /// An administrator, whose limits are out of the way.
    pub client: Client,
    pub database_url: String,
    _home: Home,
    _folder: TempDir,
}

impl Stack {
    /// Starts everything, and does not wait for the services.
    pub async fn start(sync: Sync, slots: u32) -> Result<Self> {
        let modules = text(&system::modules_folder_with(&[MODULE])?)?;
        let folder = tempfile::Builder::new().prefix("nox-bench-").tempdir()?;
        let home = Home::open(folder.path())?;
        let http_addr = system::pick(([127, 0, 0, 1], 0).into(), None)?;
        // Postgres is durable either way; `sync` is about the log.
        let options = Options {
            http_addr,
            sync,
            given: Given::default(),
            jwt_secret: None,
            throwaway: false,
        };
        let servers = Servers::start(&home, &options).await?;

        let identity = &home.identity;
        let environment = [
            ("NOX_HTTP_ADDR", http_addr.to_string()),
            ("NOX_NATS_URL", servers.urls.nats.clone()),
            ("NOX_NATS_MONITOR_URL", servers.urls.nats_monitor.clone()),
            ("NOX_DATABASE_URL", servers.urls.database.clone()),
            ("NOX_SYNC", sync.as_str().to_owned()),
            ("NOX_CLUSTER_KEY", identity.cluster_key.clone()),
            ("NOX_JWT_SECRET", identity.jwt_secret.clone()),
            ("NOX_WORKER_ID", identity.worker_id.clone()),
            ("NOX_SLOTS", slots.to_string()),
            // Slots alone are to bound what runs at a time.
            ("NOX_CPU", slots.to_string()),
            ("NOX_MEM_MB", slots.saturating_mul(1_024).to_string()),
            ("NOX_MODULES", modules),
            ("NOX_ARTIFACTS", text(&home.folder().join("artifacts"))?),
            ("NOX_ARCHIVE", text(&home.folder().join(ARCHIVE))?),
            ("NOX_DATA", text(home.folder())?),
            ("NOX_LOG", "warn".to_owned()),
        ];
        let mut services = Vec::new();
        for (name, program) in SERVICES {
            let mut command = Command::new(beside_this(program)?);
            // What the shell has set for a system of its own must not reach this one.
            for (variable, _) in env::vars_os() {
                if variable.to_string_lossy().starts_with("NOX_") {
                    command.env_remove(variable);
                }
            }
            command.envs(environment.iter().map(|(name, value)| (name, value)));
            let log = home.folder().join(format!("{name}.log"));
            services.push((name, Program::start(command, &log)?));
        }
        let token = grant(DEV_ADMIN, true, TOKEN_LIFETIME)?
            .sign(&identity.jwt_secret, Clock::system().wall())?;
        let client = Client::new(&system::url(http_addr), Some(token))?;
        let database_url = servers.urls.database.clone();
        Ok(Self { services, servers, client, database_url, _home: home, _folder: folder })
    }

    /// Waits until jobs of `module` can be run.
    ///
    /// # Errors
    /// A service ended, or it takes too long.
    pub async fn ready(&mut self, module: &str) -> Result<()> {
        let Self { services, client, .. } = self;
        let client = &*client;
        let ended = async {
            loop {
                for (name, program) in services.iter_mut() {
                    if let Some(status) = program.ended()? {
                        bail!("the {name} ended with {status}:\n{}", program.said());
                    }
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let ready = async {
            system::serving(client).await;
            system::declared(client, &[module]).await;
        };
        tokio::select! {
            ended = ended => ended,
            ready = tokio::time::timeout(READY_WITHIN, ready) => match ready {
                Ok(()) => Ok(()),
                Err(_) => {
                    let missing = system::missing(client).await;
                    bail!("cannot run {module} after {READY_WITHIN:?}: {missing}")
                }
            },
        }
    }

    /// Every process, this one last.
    pub fn processes(&self) -> Vec<Named> {
        let services = self.services.iter().map(|(name, program)| (*name, program.pid()));
        let own = (LOAD, std::process::id());
        services.chain(self.servers.processes()).chain([own]).collect()
    }

    /// Prints what the services said last, for a measurement that failed.
    pub fn quote_logs(&self) {
        for (name, program) in &self.services {
            let said = program.said();
            if !said.is_empty() {
                note!("the {name} said:\n{said}");
            }
        }
    }

    /// Stops services, then servers.
    pub async fn stop(self) {
        let stops = self.services.into_iter().map(|(_, program)| program.stop());
        futures_util::future::join_all(stops).await;
        self.servers.stop().await;
    }
}

/// A program in the folder of this one.
fn beside_this(name: &str) -> Result<PathBuf> {
    let path = env::current_exe()?.with_file_name(name);
    if !path.is_file() {
        bail!("{} is not built; `make bench` builds it", path.display());
    }
    Ok(path)
}

fn text(path: &Path) -> Result<String> {
    let path = std::path::absolute(path)?;
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(text.to_owned())
}
