//! `noxctl demo`: a few jobs through all of Nox, and everything that came of them.

mod jobs;
mod show;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use nox_readmodel::Reader;
use nox_service::{Clock, Runtime, telemetry};

use crate::{
    client::Client,
    exit::Exit,
    home::Home,
    system::{Given, Options, Sync, System, modules_folder_with},
    target::{DEV_USER, grant},
    terminal::say,
};

/// Much longer than it takes; a demonstration that hangs has failed.
const DONE_WITHIN: Duration = Duration::from_secs(240);
/// Services and servers have limits of their own; this one is longer than all of them together.
const STOP_WITHIN: Duration = Duration::from_secs(45);
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);

#[derive(clap::Args)]
pub struct Args {
    /// Whether what is acknowledged survives a power cut.
    #[arg(long, env = "NOX_SYNC", value_enum, default_value_t = Sync::Strict)]
    sync: Sync,
}

/// What the demonstration works with.
struct Demo {
    client: Client,
    reader: Reader,
    clock: Clock,
}

pub async fn run(args: Args) -> Result<Exit> {
    // While it starts, what it waits for is worth a word.
    telemetry::init_with("error,noxctl=warn");
    modules_folder_with(&[jobs::HELLO, jobs::NAP])?;
    let folder = tempfile::Builder::new().prefix("nox-demo-").tempdir()?;
    let home = Home::open(folder.path())?;
    let runtime = Runtime::new();
    // A signal ends it early, which is no success.
    let mut done = false;
    let demonstration = async {
        let outcome = demonstrate(&args, &home, &runtime).await;
        done = matches!(outcome, Ok(true));
        runtime.stop.cancel();
        outcome.map(drop)
    };
    nox_service::supervise(&runtime, STOP_WITHIN, demonstration).await?;
    if !done {
        bail!("interrupted");
    }
    say!("\nAll as it should be.")?;
    Ok(Exit::Done)
}

/// Says whether it came to its end.
async fn demonstrate(args: &Args, home: &Home, runtime: &Runtime) -> Result<bool> {
    let clock = Clock::system();
    let begun = clock.monotonic();
    let options = Options {
        http_addr: ([127, 0, 0, 1], 0).into(),
        sync: args.sync,
        given: Given::default(),
        jwt_secret: None,
        throwaway: true,
    };
    let mut system = tokio::select! {
        system = System::start(home, &options, runtime) => system?,
        () = runtime.stop.cancelled() => return Ok(false),
    };
    let shown = async {
        system.ready().await?;
        let took = clock.monotonic().saturating_sub(begun).as_secs_f64();
        say!("Nox runs at {} after {took:.1} s ({}).", system.place.url, args.sync.as_str())?;
        let secret = system.jwt_secret.reveal();
        let token = grant(DEV_USER, false, TOKEN_LIFETIME)?.sign(secret, clock.wall())?;
        let demo = Demo {
            client: Client::new(&system.place.url, Some(token))?,
            reader: Reader::new(&system.place.database_url, 2)?,
            clock: clock.clone(),
        };
        demo.show().await
    };
    let shown = tokio::select! {
        shown = tokio::time::timeout(DONE_WITHIN, shown) => {
            shown.context("not done in time").and_then(|shown| shown).map(|()| true)
        }
        () = runtime.stop.cancelled() => Ok(false),
    };
    let stopped = system.stop().await;
    let done = shown?;
    stopped?;
    Ok(done)
}

impl Demo {
    async fn show(&self) -> Result<()> {
        self.hello().await?;
        self.water().await?;
        self.refused().await?;
        self.canceled().await
    }
}
