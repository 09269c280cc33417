//! One nats-server with JetStream, on the settings of `nats/server.conf`.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
// Errors of these name the file.
use fs_err::os::unix::fs::OpenOptionsExt;
use fs_err::{self as fs, File, OpenOptions};
use rustix::fs::FlockOperation;
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::ports::free_port;
use crate::process::{POLL, Process};
use crate::tools;

const BASE_CONFIG: &str = include_str!("../../../nats/server.conf");
const PERMISSIONS: &str = include_str!("../../../nats/permissions.conf");
const SUBSCRIBER: &str = include_str!("../../../nats/subscriber.conf");
/// The users in it.
const USERS: [&str; 6] = ["gateway", "scheduler", "executor", "projector", "notifier", "operator"];

/// A store of five million subjects takes 45 s to open after a crash.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The server syncs and closes its stores in this time; it loses nothing when killed after it.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// For a question to a server on the same machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What the server's memory is held to, unless the environment says otherwise: beyond half of it Go would
/// collect late what is cached of the last seconds' writes. Enough for 20,000 jobs a second.
const MEMORY: &str = "512MiB";
/// In [`POLL`]s: for a server whose starter has just died to follow it.
const LOCK_POLLS_MAX: u32 = 400;
/// While the server is down, any connection on this machine may be given its port for a moment.
const PORT_TRIES: u32 = 100;

/// What an acknowledged write has survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// A power cut: every acknowledged write is on the disk.
    #[default]
    Strict,
    /// The end of the server process. A power cut takes up to two minutes of writes.
    Relaxed,
}

/// How to start a [`NatsServer`].
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// The server's own folder; made when absent. It keeps streams, configuration, log and password.
    pub data: PathBuf,
    pub sync: Sync,
    /// The client port; `None` takes a free one and keeps it over restarts.
    pub port: Option<u16>,
    /// The monitoring port; `None` as above.
    pub monitor_port: Option<u16>,
    /// How long opening the store may take; 60 s unless set.
    pub ready_within: Duration,
    /// What stands around `nats/server.conf`; unless set, one user with a password.
    pub config: Option<NatsConfig>,
}

/// A configuration of one's own.
#[derive(Clone, Debug)]
pub struct NatsConfig {
    /// It is to begin with `include ./server.conf`.
    pub text: String,
    /// Names and values of the variables in it, beside those of `nats/server.conf`.
    pub variables: Vec<(String, String)>,
}

impl NatsConfig {
    /// That of production, `nats/permissions.conf`, with the password of each user.
    pub fn production(password: impl Fn(&str) -> String) -> Self {
        let variable = |user: &str| format!("NOX_NATS_{}_PASSWORD", user.to_uppercase());
        Self {
            text: format!("include ./server.conf\n{PERMISSIONS}"),
            variables: USERS.iter().map(|user| (variable(user), password(user))).collect(),
        }
    }
}

impl NatsConfig {
    /// The same with a subscriber of the feed of each of `tenants`, as `nats/subscriber.conf` has it.
    pub fn with_subscribers(mut self, tenants: &[&str], password: impl Fn(&str) -> String) -> Self {
        let end = self.text.rfind('}').unwrap_or(self.text.len());
        let mut accounts = String::new();
        for tenant in tenants {
            let upper = tenant.to_uppercase();
            accounts += &SUBSCRIBER.replace("acme", tenant).replace("ACME", &upper);
            self.variables.push((format!("NOX_NATS_{upper}_PASSWORD"), password(tenant)));
        }
        self.text.insert_str(end, &accounts);
        self
    }
}

impl NatsOptions {
    /// Strict, on free ports.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            sync: Sync::Strict,
            port: None,
            monitor_port: None,
            ready_within: READY_WITHIN,
            config: None,
        }
    }
}

/// A nats-server on 127.0.0.1. Dropping it kills it.
pub struct NatsServer {
    program: PathBuf,
    options: NatsOptions,
    password: String,
    lock: File,
    ports: Ports,
    /// `None` while it is stopped or killed.
    process: Option<Process>,
}

#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    monitor: u16,
}

impl NatsServer {
    /// Starts the server and waits until JetStream answers.
    ///
    /// Clients need the password in [`url`](Self::url): other users of this machine reach the port
    /// too, and whoever may publish may have commands run.
    ///
    /// # Errors
    /// No server program was found, the folder cannot be written or is in use, a given port is
    /// taken, or the server was not ready in time; the message quotes its log.
    pub async fn start(mut options: NatsOptions) -> Result<Self> {
        let program = tools::nats_server()?.path;
        options.data = std::path::absolute(&options.data)?;
        for folder in [&options.data, &options.data.join("ports")] {
            fs::create_dir_all(folder)?;
        }
        let lock = lock(&options.data.join("lock")).await?;
        let password = password(&options.data.join("password"))?;
        write_config(&options, &password)?;

        let (process, ports) = launch(&program, &options, &lock).await?;
        Ok(Self { program, options, password, lock, ports, process: Some(process) })
    }

    /// Where clients connect, user and password included. With a configuration of one's own there is
    /// no such user.
    pub fn url(&self) -> String {
        format!("nats://nox:{}@{}", self.password, self.address())
    }

    /// The address and port for clients.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.client)
    }

    /// The root of `/healthz`, `/varz`, `/jsz` and the like.
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.monitor)
    }

    /// The running server's process, `None` while it is stopped or killed.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// What the server says of itself at `path`, such as `/varz`.
    ///
    /// # Errors
    /// It does not answer within 5 s, or not with JSON and status 200.
    pub async fn monitor(&self, path: &str) -> Result<Value> {
        monitor(self.ports.monitor, path).await
    }

    /// Stops it in order; after 10 s by force. Does nothing while it is stopped.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop(Signal::TERM, STOP_WITHIN).await;
        }
    }

    /// Stops it if it runs, and starts it on the same ports with the same data.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await;
        let options = NatsOptions {
            port: Some(self.ports.client),
            monitor_port: Some(self.ports.monitor),
            ..self.options.clone()
        };
        let mut tries = 0;
        let (process, ports) = loop {
            match launch(&self.program, &options, &self.lock).await {
                Err(error) if tries < PORT_TRIES && port_is_taken(&error) => {
                    tries += 1;
                    tokio::time::sleep(10 * POLL).await;
                }
                launched => break launched?,
            }
        };
        self.ports = ports;
        self.process = Some(process);
        Ok(())
    }

    /// `kill -9`: what was written stays, what was not is gone.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Stops it in its tracks, connections open, until [`thaw`](Self::thaw).
    pub fn freeze(&mut self) {
        if let Some(process) = &mut self.process {
            process.freeze();
        }
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal(Signal::CONT);
        }
    }
}

async fn launch(program: &Path, options: &NatsOptions, lock: &File) -> Result<(Process, Ports)> {
    let address = |port: Option<u16>| {
        let ip = Ipv4Addr::LOCALHOST;
        let port = port.map_or_else(|| free_port(ip.into()), Ok)?;
        anyhow::Ok(format!("{ip}:{port}"))
    };
    let data = &options.data;
    let mut command = Command::new(program);
    command
        // The ports file is named after it.
        .arg0("nats-server")
        .arg("--config")
        .arg(data.join("nox.conf"))
        .arg("--ports_file_dir")
        .arg(data.join("ports"))
        .env("NOX_NATS_LISTEN", address(options.port)?)
        .env("NOX_NATS_MONITOR", address(options.monitor_port)?)
        .env("NOX_NATS_STORE", quoted(data)?)
        .env(
            "NOX_NATS_SYNC",
            match options.sync {
                Sync::Strict => "always",
                Sync::Relaxed => "2m",
            },
        )
        // More than the streams reserve; on a small disk admission stops by free space.
        .env("NOX_NATS_FILE_MAX", "1TB")
        .envs(options.config.iter().flat_map(|config| config.variables.iter().cloned()));
    if std::env::var_os("GOMEMLIMIT").is_none() {
        command.env("GOMEMLIMIT", MEMORY);
    }
    // The lock goes with the server, in case it outlives us. The store needs no goodbye, and a frozen
    // server hears no other signal.
    let lock = Some(lock.try_clone()?.into());
    let mut process = Process::spawn(command, &data.join("server.log"), Signal::KILL, lock)?;

    let ready = tokio::time::timeout(options.ready_within, ready(&mut process, data)).await;
    match ready {
        Ok(Ok(ports)) => Ok((process, ports)),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            bail!("nats-server not ready after {:?}:\n{}", options.ready_within, process.said())
        }
    }
}

/// Waits until JetStream is open, or the process has ended.
async fn ready(process: &mut Process, data: &Path) -> Result<Ports> {
    let ports_file = data.join(format!("ports/nats-server_{}.ports", process.pid()));
    loop {
        if let Some(status) = process.ended()? {
            bail!("nats-server ended with {status}:\n{}", process.said());
        }
        // The file may be half written: then it is read again.
        let ports = fs::read(&ports_file).ok().and_then(|text| ports_in(&text));
        if let Some(ports) = ports
            && monitor(ports.monitor, "/healthz?js-enabled-only=true").await.is_ok()
        {
            // The server leaves it behind when it is killed, and another may get its pid.
            fs::remove_file(&ports_file)?;
            return Ok(ports);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn ports_in(text: &[u8]) -> Option<Ports> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let port = |kind: &str| value[kind][0].as_str()?.rsplit_once(':')?.1.parse().ok();
    Some(Ports { client: port("nats")?, monitor: port("monitoring")? })
}

/// One GET by hand, which saves this crate an HTTP client; HTTP/1.0 has neither chunks nor reuse.
async fn monitor(port: u16, path: &str) -> Result<Value> {
    let answer = tokio::time::timeout(ANSWER_WITHIN, async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    });
    let answer = answer.await.with_context(|| format!("no answer to {path}"))??;
    let (head, body) = answer.split_once("\r\n\r\n").context("not an HTTP answer")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    ensure!(status == "200", "{path} answered {status}: {body}");
    Ok(serde_json::from_str(body)?)
}

/// The base as it is, and what stands around it.
fn write_config(options: &NatsOptions, password: &str) -> Result<()> {
    fs::write(options.data.join("server.conf"), BASE_CONFIG)?;
    let config = match &options.config {
        Some(config) => config.text.clone(),
        None => format!(
            "include ./server.conf\nauthorization {{ user: nox, password: \"{password}\" }}\n"
        ),
    };
    let mut file = private(&options.data.join("nox.conf"))?;
    file.set_len(0)?;
    file.write_all(config.as_bytes())?;
    Ok(())
}

/// Makes sure that the folder has one server: two would write over each other, and neither looks.
async fn lock(path: &Path) -> Result<File> {
    let file = private(path)?;
    for _ in 0..LOCK_POLLS_MAX {
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(file);
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("another nats-server has locked {}", path.display())
}

/// The password of this folder: made once, so that a client's URL stays good.
fn password(path: &Path) -> Result<String> {
    if let Ok(known) = fs::read_to_string(path)
        && !known.is_empty()
    {
        return Ok(known);
    }
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    // The letter keeps the server from reading digits and an `e` as a number.
    let password = format!("p{:032x}", u128::from_ne_bytes(bytes));
    private(path)?.write_all(password.as_bytes())?;
    Ok(password)
}

/// Opens a file that its owner alone may read.
fn private(path: &Path) -> Result<File> {
    Ok(OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?)
}

/// The server parses a variable's value as configuration, where spaces and `#` mean something.
fn quoted(path: &Path) -> Result<String> {
    let path = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    ensure!(!path.contains(['"', '\\', '\n']), "{path:?} cannot stand in a server configuration");
    Ok(format!("\"{path}\""))
}

fn port_is_taken(error: &anyhow::Error) -> bool {
    error.to_string().contains("address already in use")
}
