//! Servers, a gateway, a scheduler, and a client to ask with.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use nox_devkit::{NatsOptions, NatsServer, Postgres, PostgresOptions, Sync};
use nox_gateway::{
    CommandRoles, Config, Gateway, HttpLimits, InstanceSettings, RateSettings, UploadLimits,
};
use nox_service::{Clock, Runtime, Secret};
use nox_streams::{Broker, ConnectOptions, Durability};
use reqwest::{Client, Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::stub_scheduler::StubScheduler;

const SECRET: &str = "a secret of at least 32 bytes for tests";

/// Who a provider says it is, and whom it speaks to.
pub const ISSUER: &str = "https://id.example";
pub const AUDIENCE: &str = "nox";

/// Longer than anything takes that does not hang.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Tests are one address.
const ROOMY: HttpLimits =
    HttpLimits { connections_max: 4_096, memory_mb: 256, address_percent: 100 };

/// What tests tell a gateway in different ways.
struct Told<'t> {
    http: HttpLimits,
    archive: Option<&'t Path>,
    command_roles: &'t str,
    jwks: Option<&'t Path>,
    rate: RateSettings,
}

impl Default for Told<'_> {
    fn default() -> Self {
        Self {
            http: ROOMY,
            archive: None,
            command_roles: "",
            jwks: None,
            rate: RateSettings::UNLIMITED,
        }
    }
}

pub struct System {
    pub addr: SocketAddr,
    pub scheduler: StubScheduler,
    pub broker: Broker,
    pub nats: NatsServer,
    pub postgres: Postgres,
    pub runtime: Runtime,
    pub gateway: JoinHandle<()>,
    client: Client,
    /// Removed at the end, after the servers that write to it.
    folder: TempDir,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e} in {}", self.text))
    }

    /// The body, after a check of the status.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// Checks that this is a whole problem document of `code`.
    pub fn expect_problem(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("/v1/problems/{}", code.replace('_', "-")));
        assert_eq!(self.headers["content-type"], "application/problem+json");
        for member in ["title", "detail", "error", "message", "request_id"] {
            assert!(body[member].is_string(), "{member} is missing in {body}");
        }
        assert_eq!(body["request_id"], self.headers["x-request-id"].to_str().unwrap());
        body
    }
}

impl System {
    /// All of it, with the module `xtb_hello`.
    pub async fn start() -> Self {
        Self::start_with(ROOMY).await
    }

    /// All of it, with limits on what clients may have.
    pub async fn start_with(http: HttpLimits) -> Self {
        let system = Self::start_bare(http).await;
        let schema = json!({
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
        });
        system.scheduler.declare_module("xtb_hello", schema).await;
        system.scheduler.declare_module("noop", json!(true)).await;
        system
    }

    /// All of it, without a module.
    async fn start_bare(http: HttpLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nats =
            NatsOptions { sync: Sync::Relaxed, ..NatsOptions::new(folder.path().join("nats")) };
        let postgres =
            PostgresOptions { fast: true, ..PostgresOptions::new(folder.path().join("postgres")) };
        let (nats, postgres) = tokio::join!(NatsServer::start(nats), Postgres::start(postgres));
        let (nats, postgres) = (nats.unwrap(), postgres.unwrap());
        let broker = Broker::connect(ConnectOptions {
            url: nats.url(),
            service: "test",
            monitor_url: Some(nats.monitor_url()),
            sync: Durability::Relaxed,
        });
        let broker = broker.await.unwrap();
        broker.declare().await.unwrap();
        let scheduler = StubScheduler::start(broker.clone(), &postgres.url()).await;

        let runtime = Runtime::new();
        let database = postgres.url();
        let archive = folder.path().join("archive");
        let (nats_url, store) = (nats.url(), folder.path().join("artifacts"));
        let told = Told { http, archive: Some(&archive), ..Told::default() };
        let (addr, gateway) =
            start_gateway(nats_url, &nats, &database, &runtime, told, &store).await;
        let client = Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap();
        let system =
            Self { addr, scheduler, broker, nats, postgres, runtime, gateway, client, folder };
        system.until_ready().await;
        system
    }

    /// A second gateway on the same servers.
    pub async fn another_gateway(&self) -> (SocketAddr, Runtime) {
        self.another_gateway_at(self.nats.url()).await
    }

    /// As above, which finds the broker at `nats_url`.
    pub async fn another_gateway_at(&self, nats_url: String) -> (SocketAddr, Runtime) {
        self.another_gateway_told(nats_url, Told::default()).await
    }

    /// From now on the methods reach another gateway, where raw commands are for these roles.
    pub async fn commands_for(&mut self, roles: &'static str) {
        let told = Told { command_roles: roles, ..Told::default() };
        (self.addr, self.runtime) = self.another_gateway_told(self.nats.url(), told).await;
        self.until_ready().await;
    }

    /// From now on the methods reach another gateway, which takes tokens that the keys in this file verify.
    pub async fn keys_in(&mut self, jwks: &Path) {
        let told = Told { jwks: Some(jwks), ..Told::default() };
        (self.addr, self.runtime) = self.another_gateway_told(self.nats.url(), told).await;
        self.until_ready().await;
    }

    /// From now on the methods reach another gateway, where a user may make so many requests.
    pub async fn limited_to(&mut self, rate: RateSettings) {
        let told = Told { rate, ..Told::default() };
        (self.addr, self.runtime) = self.another_gateway_told(self.nats.url(), told).await;
        self.until_ready().await;
    }

    async fn another_gateway_told(
        &self,
        nats_url: String,
        told: Told<'_>,
    ) -> (SocketAddr, Runtime) {
        let runtime = Runtime::new();
        let (database, store) = (self.postgres.url(), self.store());
        let (addr, _) =
            start_gateway(nats_url, &self.nats, &database, &runtime, told, &store).await;
        (addr, runtime)
    }

    /// From now on the methods reach another gateway, which reads rows there.
    pub async fn read_from(&mut self, database_url: &str) {
        self.runtime = Runtime::new();
        let (nats, runtime, store) = (&self.nats, &self.runtime, self.store());
        (self.addr, self.gateway) =
            start_gateway(nats.url(), nats, database_url, runtime, Told::default(), &store).await;
    }

    /// Where the gateway that was started with the system looks for the archive.
    pub fn archive(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    /// Where the gateways look for artifacts.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("artifacts")
    }

    /// Takes a stream away, and makes a new one.
    pub async fn replace(&self, stream: &str) {
        let url = self.nats.url();
        let (user, address) = url.strip_prefix("nats://").unwrap().split_once('@').unwrap();
        let (user, pass) = user.split_once(':').unwrap();
        let connect = json!({"user": user, "pass": pass, "verbose": false});
        let mut connection = std::net::TcpStream::connect(address).unwrap();
        let delete = format!("PUB $JS.API.STREAM.DELETE.{stream} 0\r\n\r\n");
        write!(connection, "CONNECT {connect}\r\n{delete}PING\r\n").unwrap();
        let mut answer = String::new();
        let mut lines = BufReader::new(connection);
        while !answer.ends_with("PONG\r\n") {
            assert_ne!(lines.read_line(&mut answer).unwrap(), 0, "{answer}");
        }
        until(async || self.broker.incarnation(stream).await.is_err()).await;
        until(async || self.broker.declare().await.is_ok()).await;
    }

    pub async fn until_ready(&self) {
        until(async || self.get("/readyz", "").await.status == StatusCode::OK).await;
    }

    pub fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("http://{}{path}", self.addr));
        if token.is_empty() { request } else { request.bearer_auth(token) }
    }

    pub async fn get(&self, path: &str, token: &str) -> Reply {
        send(self.request(Method::GET, path, token)).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        send(self.request(Method::POST, path, token).json(body)).await
    }

    /// Submits a job and returns its id and the number to read it by.
    pub async fn put(&self, path: &str, token: &str, body: &Value) -> Reply {
        send(self.request(Method::PUT, path, token).json(body)).await
    }

    pub async fn delete(&self, path: &str, token: &str) -> Reply {
        send(self.request(Method::DELETE, path, token)).await
    }

    pub async fn submit(&self, token: &str, module: &str) -> (String, u64) {
        let body = json!({"module": module, "inputs": {"text": "hello"}});
        let body = self.post("/jobs", token, &body).await.expect(202);
        (body["job_id"].as_str().unwrap().to_owned(), body["n"].as_u64().unwrap())
    }
}

async fn start_gateway(
    nats_url: String,
    nats: &NatsServer,
    database_url: &str,
    runtime: &Runtime,
    told: Told<'_>,
    store: &Path,
) -> (SocketAddr, JoinHandle<()>) {
    let Told { http, archive, command_roles, jwks, rate } = told;
    let provider = |name: &str| jwks.map(|_| name.to_owned());
    let config = Config {
        http_addr: "127.0.0.1:0".parse().unwrap(),
        http,
        trusted_proxies: Vec::new(),
        rate,
        command_roles: command_roles.parse::<CommandRoles>().unwrap(),
        nats_url: Secret::new(nats_url),
        nats_monitor_url: Some(nats.monitor_url()),
        database_url: Secret::new(database_url),
        archive: archive.map(|folder| folder.to_str().unwrap().to_owned()),
        artifacts: store.to_str().unwrap().to_owned(),
        uploads: UploadLimits { bytes_max: 64 << 20, quota_bytes: 96 << 20, days: 7 },
        joblib: Default::default(),
        jwt_secret: Some(Secret::new(SECRET)),
        jwt_jwks: jwks.map(|path| path.to_str().unwrap().parse().unwrap()),
        jwt_jwks_every_s: 60,
        jwt_lifetime_max_s: 86_400,
        jwt_issuer: provider(ISSUER),
        jwt_audience: provider(AUDIENCE),
        webhook_key: Some("0b".repeat(32).parse().unwrap()),
        instance: InstanceSettings {
            name: Some("Bench 7".parse().unwrap()),
            color: Some("#00AA55".parse().unwrap()),
        },
        webhooks: nox_egress::WebhookRules::default(),
        metrics_users_max: 1_000,
        sync: Durability::Relaxed,
    };
    let gateway = Gateway::bind(config, runtime.clone()).await.unwrap();
    (gateway.addr(), tokio::spawn(gateway.serve()))
}

pub async fn send(request: RequestBuilder) -> Reply {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    Reply { status, headers, text: response.text().await.unwrap() }
}

/// A token of the default tenant.
pub fn token(user: &str, role: &str) -> String {
    sign(&json!({"sub": user, "role": role, "exp": in_an_hour()}))
}

pub fn tenant_token(tenant: &str, user: &str, role: &str) -> String {
    sign(&json!({"sub": user, "role": role, "tenant": tenant, "exp": in_an_hour()}))
}

pub fn sign(claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

pub fn in_an_hour() -> i64 {
    Clock::system().wall().as_micros() / 1_000_000 + 3_600
}

/// Waits until `condition` holds.
pub async fn until(condition: impl AsyncFn() -> bool) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, holds).await.expect("in time");
}

/// The most memory that this process has had, in bytes; from now on, if that is asked for.
pub fn peak_memory(reset: bool) -> u64 {
    if reset {
        let mut file = std::fs::File::options().write(true).open("/proc/self/clear_refs").unwrap();
        file.write_all(b"5").unwrap();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
