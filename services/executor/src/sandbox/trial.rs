//! Trials of what this machine has to shut attempts in with.

use std::{
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::thread::set_no_new_privs;
use tokio::time::timeout;

use super::{
    Level,
    bubblewrap::REPLACED,
    landlock::{self, Reach},
    order::{Exit, Order},
    seccomp::{self, Calls},
    supervised::{Known, NotSpawned, Printed, Sandbox, Usage},
};

/// How long a trial may take, on a machine that is very busy.
const TRIAL_WAIT: Duration = Duration::from_secs(10);

/// What is said of one that takes longer.
const TOO_LONG: &str = "a trial takes too long";

/// Runs what is ordered, which is to end well.
pub async fn try_order(supervisor: &Path, order: &Order) -> Result<(), String> {
    let mut errors = None;
    let run = async {
        let read = |printed: Printed| errors = printed.stderr;
        let sandbox = Sandbox::spawn(supervisor, order, |_| Ok(()), read).await;
        let usage = sandbox.map_err(|error| match error {
            NotSpawned::Refused { reason, .. } => reason,
            error => format!("a trial failed: {error:?}"),
        });
        Ok::<_, String>(usage?.usage().await)
    };
    let outcome = timeout(TRIAL_WAIT, run).await.unwrap_or(Err(TOO_LONG.to_owned()));
    let mut reason = match outcome {
        Ok(Usage {
            known: Some(Known { exit: Exit::Status(0), killed_for: None, .. }), ..
        }) => {
            return Ok(());
        }
        Ok(usage) => format!("a trial failed: {usage:?}"),
        Err(reason) => reason,
    };
    if let Some(errors) = &mut errors {
        let mut said = String::new();
        let read = tokio::io::AsyncReadExt::read_to_string(errors, &mut said);
        let _ = timeout(TRIAL_WAIT, read).await;
        if !said.trim().is_empty() {
            reason = format!("{reason}: {}", said.trim());
        }
    }
    Err(reason)
}

/// Shuts a thread in by Landlock, and sees that it is.
pub fn try_landlock() -> Result<String, String> {
    on_a_thread(landlock_here)
}

/// The same with seccomp.
pub fn try_seccomp() -> Result<String, String> {
    on_a_thread(seccomp_here)
}

/// Does it on a thread, which is all that it holds for.
fn on_a_thread(work: fn() -> Result<String, String>) -> Result<String, String> {
    let thread = thread::Builder::new().spawn(move || {
        set_no_new_privs(true).map_err(|error| error.to_string())?;
        work()
    });
    let thread = thread.map_err(|error| error.to_string())?;
    thread.join().unwrap_or(Err("a thread failed".to_owned()))
}

/// The first version of Landlock that refuses signals to who is shut in otherwise.
const SIGNALS_FROM: u32 = 6;

fn landlock_here() -> Result<String, String> {
    let version = landlock::restrict(&Reach::default())?;
    match std::fs::read_dir("/usr") {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let signals = match version {
                ..SIGNALS_FROM => ": signals to others of the same user are not refused",
                _ => "",
            };
            Ok(format!("version {version}{signals}"))
        }
        _ => Err("it does not restrict anything".to_owned()),
    }
}

fn seccomp_here() -> Result<String, String> {
    seccomp::apply(Calls { level: Level::Process, network: false, counted: false })?;
    match std::net::UdpSocket::bind("127.0.0.1:0") {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok("works".to_owned()),
        _ => Err("it does not refuse anything".to_owned()),
    }
}

/// Whether it is said of a machine that has no more to give for the moment, or is too busy.
pub fn is_transient(reason: &str) -> bool {
    const WANTS: [&str; 6] = [
        REPLACED,
        TOO_LONG,
        "No space left on device",
        "Resource temporarily unavailable",
        "Cannot allocate memory",
        "Too many open files",
    ];
    WANTS.iter().any(|want| reason.contains(want))
}

/// Where `bwrap` is, by the folders of PATH if it is a name alone.
pub fn find(program: &Path) -> Result<PathBuf, String> {
    crate::modules::find_program(program).ok_or_else(|| {
        format!(
            "bubblewrap is not installed: there is no program {} (`make setup`, or set NOX_BWRAP)",
            program.display()
        )
    })
}
