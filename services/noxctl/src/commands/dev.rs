//! `noxctl dev`: all of Nox on this machine.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use nox_contract::COMMAND_MODULE;
use nox_service::{Clock, Runtime, Secret, telemetry};
use serde_json::json;

use crate::{
    exit::Exit,
    home::Home,
    system::{Given, Options, Sync, System},
    target::{DEV_ADMIN, DEV_USER, Target, grant},
    terminal::say,
};

/// What people see unless NOX_LOG says otherwise. That parts are not ready while they start is no
/// news.
const LOG_DEFAULT: &str = "warn,nox_service::readiness=error";

/// Services and servers have limits of their own; this one is longer than all of them together.
const STOP_WITHIN: Duration = Duration::from_secs(45);

/// Whose inputs are known here; a folder of other modules need not have it.
const SAMPLE_MODULE: &str = "xtb_hello";

/// As long as the gateway takes tokens to be good.
const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);

#[derive(clap::Args)]
pub struct Args {
    /// Where to serve the API; port 0 takes a free one, and keeps it for the next time.
    #[arg(long, env = "NOX_HTTP_ADDR", default_value = "127.0.0.1:8081")]
    http_addr: SocketAddr,

    /// Whether what is acknowledged survives a power cut.
    #[arg(long, env = "NOX_SYNC", value_enum, default_value_t = Sync::Strict)]
    sync: Sync,

    /// What tokens of users are signed with, at least 32 bytes; a secret of the data folder's own, if
    /// not given.
    #[arg(long, env = "NOX_JWT_SECRET", hide_env_values = true)]
    jwt_secret: Option<Secret>,

    /// When ready, print one line of JSON for programs instead of what is for people.
    #[arg(long)]
    headless: bool,

    #[command(flatten)]
    given: Given,
}

pub async fn run(args: Args, target: &Target) -> Result<Exit> {
    telemetry::init_with(LOG_DEFAULT);
    let home = Home::open(&target.folder())?;
    let runtime = Runtime::new();
    nox_service::supervise(&runtime, STOP_WITHIN, serve(&args, &home, &runtime)).await?;
    Ok(Exit::Done)
}

async fn serve(args: &Args, home: &Home, runtime: &Runtime) -> Result<()> {
    let options = Options {
        http_addr: args.http_addr,
        sync: args.sync,
        given: args.given.clone().or_usual(),
        jwt_secret: args.jwt_secret.clone().filter(|secret| !secret.reveal().is_empty()),
        throwaway: false,
    };
    // Whoever has enough before all runs does not wait for it: dropped servers are killed.
    let mut system = tokio::select! {
        system = System::start(home, &options, runtime) => system?,
        () = runtime.stop.cancelled() => return Ok(()),
    };
    let served = async {
        let modules = tokio::select! {
            modules = system.ready() => modules?,
            () = runtime.stop.cancelled() => return Ok(()),
        };
        announce(args, home, &system, &modules)?;
        system.run().await
    };
    let served = served.await;
    let stopped = system.stop().await;
    served.and(stopped)
}

fn announce(args: &Args, home: &Home, system: &System, modules: &[String]) -> Result<()> {
    let now = Clock::system().wall();
    let secret = system.jwt_secret.reveal();
    let token = grant(DEV_USER, false, TOKEN_LIFETIME)?.sign(secret, now)?;
    let admin = grant(DEV_ADMIN, true, TOKEN_LIFETIME)?.sign(secret, now)?;
    let (url, folder) = (&system.place.url, home.folder().display());
    if args.headless {
        let line = json!({
            "url": url,
            "data": folder.to_string(),
            "durability": args.sync.as_str(),
            "token": token,
            "admin_token": admin,
        });
        return Ok(say!("{line}")?);
    }
    let sync = args.sync.as_str();
    let noxctl = std::env::args().next().unwrap_or_else(|| "noxctl".to_owned());
    let has = |module: &str| modules.iter().any(|name| name == module);
    let mut jobs = String::new();
    if has(SAMPLE_MODULE) {
        jobs += &sample_job(url, &noxctl);
    }
    if has(COMMAND_MODULE) {
        jobs += &sample_command(url);
    }
    say!(
        "\
Nox is ready at {url}; its data is in {folder} ({sync}).
Ctrl-C stops everything; the data stays.

The console, for a browser; the link signs its user in:

  {url}/ui/#token={token}

A user's token, good for a day, and commands to try in another shell:

  export NOX_TOKEN={token}

  curl -fsS {url}/health
  curl -fsS {url}/modules
{jobs}  {noxctl} module list
  {noxctl} job list

An administrator's token; `{noxctl} token` makes others:

  {admin}
"
    )?;
    Ok(())
}

fn sample_job(url: &str, noxctl: &str) -> String {
    format!(
        "  curl -fsS {url}/jobs -H \"Authorization: Bearer $NOX_TOKEN\" \\
    -H 'Content-Type: application/json' \\
    -d '{{\"module\":\"{SAMPLE_MODULE}\",\"inputs\":{{\"text\":\"hello\"}}}}'
  {noxctl} job run {SAMPLE_MODULE} -p text=hello
"
    )
}

fn sample_command(url: &str) -> String {
    format!(
        "  curl -fsS {url}/jobs -H \"Authorization: Bearer $NOX_TOKEN\" \\
    -H 'Content-Type: application/json' \\
    -d '{{\"command\":\"echo hello from $(uname)\"}}'
"
    )
}
