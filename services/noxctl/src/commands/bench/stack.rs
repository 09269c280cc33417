//! All of Nox as it is run for real: servers and services, each a process.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use nox_devkit::Program;
use nox_service::Clock;
use tempfile::TempDir;

use super::{disk::Disk, processes::Named};
use crate::{
    client::Client,
    home::Home,
    system::{self, Given, Options, Servers, Sync},
    target::{DEV_ADMIN, grant},
    terminal::note,
};

/// What the process that makes the load is called; it is this one.
pub const CLIENT: &str = "client";

/// What is run: nothing, by the executor itself.
pub const NOOP: &str = "noop";
/// What is run: nothing, by a process of its own.
pub const TRUE: &str = "true";
const TRUE_MANIFEST: &str = r#"
name = "true"
version = "1.0.0"
title = "Nothing, by a process"
sandbox = "process"
input_schema = "inputs.json"

[run]
program = "true"

[resources]
cpu = 1
mem_mb = 1
wall_time_s = 60
"#;

/// The services, and their programs, which lie beside this one.
const SERVICES: [(&str, &str); 5] = [
    (GATEWAY, "nox-gateway"),
    (SCHEDULER, "nox-scheduler"),
    (EXECUTOR, "nox-executor"),
    (PROJECTOR, "nox-projector"),
    (NOTIFIER, "nox-notifier"),
];
pub const GATEWAY: &str = "gateway";
pub const SCHEDULER: &str = "scheduler";
pub const EXECUTOR: &str = "executor";
pub const PROJECTOR: &str = "projector";
pub const NOTIFIER: &str = "notifier";

/// How long the services may take to begin, with a long log, too.
const READY_WITHIN: Duration = Duration::from_secs(300);

/// Longer than any measurement.
const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);
/// Between two looks at a service.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How to start a [`Stack`].
#[derive(Debug, Clone)]
pub struct StackOptions {
    pub sync: Sync,
    pub slots: u32,
    /// The size of the log's stream, as `1GiB`; that of production, if left out.
    pub log_bytes: Option<String>,
    /// What becomes of events: `kept`, `live` or `off`.
    pub feed: &'static str,
    /// Whether the executor is to write down when each attempt starts.
    pub starts: bool,
}

/// Processes in a folder that goes with them.
pub struct Stack {
    services: Vec<Service>,
    servers: Servers,
    /// An administrator, whose limits are out of the way.
    pub client: Client,
    pub database_url: String,
    environment: Vec<(&'static str, String)>,
    home: Home,
    _folder: TempDir,
}

struct Service {
    name: &'static str,
    program: PathBuf,
    admin: SocketAddr,
    /// Of this service alone.
    environment: Vec<(&'static str, String)>,
    /// `None` while it is stopped.
    process: Option<Program>,
}

impl Stack {
    /// Starts everything, and waits until jobs can be run.
    ///
    /// # Errors
    /// A service ended, or it takes too long.
    pub async fn start(options: &StackOptions) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("nox-bench-").tempdir()?;
        let home = Home::open(folder.path())?;
        let modules = write_modules(&home.folder().join("modules"))?;
        let http_addr = free_address()?;
        // Postgres is durable either way; `sync` is about the log.
        let sync = options.sync;
        let server_options = Options {
            http_addr,
            sync,
            given: Given::default(),
            jwt_secret: None,
            throwaway: false,
        };
        let servers = Servers::start(&home, &server_options).await?;

        let (identity, slots) = (&home.identity, options.slots);
        let mut environment = vec![
            ("NOX_HTTP_ADDR", http_addr.to_string()),
            // The load comes from one user, and is to be all that can be taken in.
            ("NOX_RATE_LIMIT_PER_S", "0".to_owned()),
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
            ("NOX_MODULES", text(&modules)?),
            ("NOX_ARTIFACTS", text(&home.folder().join("artifacts"))?),
            ("NOX_ARCHIVE", text(&home.folder().join("archive"))?),
            ("NOX_DATA", text(home.folder())?),
            ("NOX_FEED", options.feed.to_owned()),
            ("NOX_LOG", "warn".to_owned()),
            ("NOX_LOG_FORMAT", "json".to_owned()),
        ];
        environment.extend(options.log_bytes.clone().map(|bytes| ("NOX_LOG_BYTES", bytes)));
        fs::create_dir_all(home.folder().join("archive"))?;

        let mut services = Vec::new();
        for (name, program) in SERVICES {
            let admin = free_address()?;
            let mut own = vec![("NOX_ADMIN_ADDR", admin.to_string())];
            if name == EXECUTOR && options.starts {
                own.push(("NOX_LOG", super::starts::FILTER.to_owned()));
            }
            let program = beside_this(program)?;
            services.push(Service { name, program, admin, environment: own, process: None });
        }
        let token = grant(DEV_ADMIN, true, TOKEN_LIFETIME)?
            .sign(&identity.jwt_secret, Clock::system().wall())?;
        let client = Client::new(&system::url(http_addr), Some(token))?;
        let database_url = servers.urls.database.clone();
        let mut stack =
            Self { services, servers, client, database_url, environment, home, _folder: folder };
        for (name, _) in SERVICES {
            stack.begin(name)?;
        }
        if let Err(error) = stack.ready().await {
            stack.quote_logs();
            return Err(error);
        }
        Ok(stack)
    }

    /// Starts a service, and does not wait until it is ready.
    pub fn begin(&mut self, name: &str) -> Result<()> {
        let log = self.log_of(name);
        let environment = self.environment.clone();
        let service = self.service(name)?;
        let mut command = Command::new(&service.program);
        without_nox(&mut command);
        command.envs(environment).envs(service.environment.iter().cloned());
        service.process = Some(Program::start(command, &log)?);
        Ok(())
    }

    /// Stops a service as an operator would.
    pub async fn end(&mut self, name: &str) -> Result<()> {
        if let Some(process) = self.service(name)?.process.take() {
            process.stop().await;
        }
        Ok(())
    }

    /// Stops the broker and starts it on the same data; returns when it answers.
    pub async fn restart_broker(&mut self) -> Result<()> {
        self.servers.restart_nats().await
    }

    /// Waits until one service says that it is ready.
    ///
    /// # Errors
    /// It ended, or it takes too long.
    pub async fn service_ready(&mut self, name: &str) -> Result<()> {
        let service = self.service(name)?;
        let admin = Client::new(&format!("http://{}", service.admin), None)?;
        let ready = async {
            while admin.get("/readyz").await.is_err() {
                if let Some(process) = &mut service.process
                    && let Some(status) = process.ended()?
                {
                    bail!("the {name} ended with {status}:\n{}", process.said());
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Ok(())
        };
        tokio::time::timeout(READY_WITHIN, ready)
            .await
            .with_context(|| format!("the {name} is not ready after {READY_WITHIN:?}"))?
    }

    /// One number that a service counts, the sum over all labels.
    pub async fn counted(&self, name: &str, metric: &str) -> Result<f64> {
        let service = self.services.iter().find(|service| service.name == name);
        let service = service.with_context(|| format!("no service {name}"))?;
        let admin = Client::new(&format!("http://{}", service.admin), None)?;
        Ok(sum_of(&admin.get("/metrics").await?.body, metric))
    }

    /// What the broker says that a stream may hold and holds, in bytes.
    pub async fn stream(&self, name: &str) -> Result<(i64, u64)> {
        let all = self.servers.monitor("/jsz?streams=true&config=true").await?;
        let accounts = all["account_details"].as_array().into_iter().flatten();
        let mut streams =
            accounts.filter_map(|account| account["stream_detail"].as_array()).flatten();
        let stream = streams.find(|stream| stream["name"] == name);
        let stream = stream.with_context(|| format!("the broker has no stream {name}"))?;
        let max = stream["config"]["max_bytes"].as_i64().unwrap_or(-1);
        Ok((max, stream["state"]["bytes"].as_u64().unwrap_or_default()))
    }

    /// A command of this program against this system.
    pub fn noxctl(&self, words: &[&str]) -> Result<tokio::process::Command> {
        let mut command = Command::new(env::current_exe()?);
        without_nox(&mut command);
        command.args(words).envs(self.environment.iter().cloned());
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        Ok(command)
    }

    /// Waits until jobs can be run.
    pub async fn ready(&mut self) -> Result<()> {
        for (name, _) in SERVICES {
            self.service_ready(name).await?;
        }
        let ready = async {
            system::serving(&self.client).await;
            system::declared(&self.client, &[NOOP, TRUE]).await;
        };
        if tokio::time::timeout(READY_WITHIN, ready).await.is_err() {
            let missing = system::missing(&self.client).await;
            bail!("cannot run jobs after {READY_WITHIN:?}: {missing}");
        }
        Ok(())
    }

    /// Every process, this one last.
    pub fn processes(&self) -> Vec<Named> {
        let services = self.services.iter().filter_map(|service| {
            Some((service.name, service.process.as_ref().map(Program::pid)?))
        });
        let own = (CLIENT, std::process::id());
        services.chain(self.servers.processes()).chain([own]).collect()
    }

    pub fn disk(&self) -> Result<Disk> {
        Disk::of(self.home.folder())
    }

    /// What a service writes: lines of JSON.
    pub fn log_of(&self, name: &str) -> PathBuf {
        self.home.folder().join(format!("{name}.log"))
    }

    /// Prints what the services said last, for a measurement that failed.
    pub fn quote_logs(&self) {
        for service in &self.services {
            let said = service.process.as_ref().map(Program::said).unwrap_or_default();
            if !said.is_empty() {
                note!("the {} said:\n{said}", service.name);
            }
        }
    }

    /// Stops services, then servers.
    pub async fn stop(self) {
        let processes = self.services.into_iter().filter_map(|service| service.process);
        futures_util::future::join_all(processes.map(Program::stop)).await;
        self.servers.stop().await;
    }

    fn service(&mut self, name: &str) -> Result<&mut Service> {
        let mut services = self.services.iter_mut();
        services.find(|service| service.name == name).with_context(|| format!("no service {name}"))
    }
}

/// The modules that are measured, in a folder of their own.
fn write_modules(folder: &Path) -> Result<PathBuf> {
    let noop = system::modules_folder_with(&[NOOP])?.join(NOOP);
    for name in [NOOP, TRUE] {
        fs::create_dir_all(folder.join(name))?;
        fs::copy(noop.join("inputs.json"), folder.join(name).join("inputs.json"))?;
    }
    fs::copy(noop.join("module.toml"), folder.join(NOOP).join("module.toml"))?;
    fs::write(folder.join(TRUE).join("module.toml"), TRUE_MANIFEST)?;
    Ok(folder.to_owned())
}

/// What the shell has set for a system of its own must not reach this one.
fn without_nox(command: &mut Command) {
    for (variable, _) in env::vars_os() {
        if variable.to_string_lossy().starts_with("NOX_") {
            command.env_remove(variable);
        }
    }
}

fn free_address() -> Result<SocketAddr> {
    system::pick(([127, 0, 0, 1], 0).into(), None)
}

/// Of all lines of Prometheus' text format that are of this metric.
fn sum_of(text: &str, metric: &str) -> f64 {
    let values = text.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let bare = name.split_once('{').map_or(name, |(bare, _)| bare);
        (bare == metric).then(|| value.parse::<f64>().ok())?
    });
    values.sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_the_sum_over_its_labels_and_of_no_other_metric() {
        let text = "# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3\na_total 7\nb 1\n";
        assert_eq!(sum_of(text, "a"), 5.0);
        assert_eq!(sum_of(text, "a_total"), 7.0);
    }
}
