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
    landlock::{self, Reach},
    order::{Exit, Order, Word},
    seccomp::{self, Calls},
    supervised::Supervised,
};

/// How long a trial may take, on a machine that is very busy.
const TRIAL_WAIT: Duration = Duration::from_secs(10);

/// Runs what is ordered, which is to end well.
pub async fn try_order(supervisor: &Path, order: &Order) -> Result<(), String> {
    let mut supervised = Supervised::start(supervisor).map_err(|error| error.to_string())?;
    let mut errors = supervised.stderr.take();
    let words = async {
        supervised.order(order).await.map_err(|error| error.to_string())?;
        loop {
            match supervised.word().await {
                Some(Word::Spawned { .. }) => {}
                Some(Word::Ended { exit: Exit::Status(0), .. }) => return Ok(()),
                Some(Word::NotSpawned { reason, .. }) => return Err(reason),
                word => return Err(format!("a trial failed: {word:?}")),
            }
        }
    };
    let outcome = timeout(TRIAL_WAIT, words).await.unwrap_or(Err("a trial takes too long".into()));
    let Err(mut reason) = outcome else { return Ok(()) };
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

fn landlock_here() -> Result<String, String> {
    let version = landlock::restrict(&Reach::default())?;
    match std::fs::read_dir("/usr") {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Ok(format!("version {version}"))
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

/// Where `bwrap` is, by the folders of PATH if it is a name alone.
pub fn find(program: &Path) -> Result<PathBuf, String> {
    crate::modules::find_program(program).ok_or_else(|| {
        format!(
            "bubblewrap is not installed: there is no program {} (`make setup`, or set NOX_BWRAP)",
            program.display()
        )
    })
}
