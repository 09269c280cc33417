//! The first process of an attempt's namespaces: it starts the program, waits for whoever has no other
//! parent, and says how the program ended. When it ends, the kernel ends everybody else in there.
//!
//! It is the executor's own program once more, under no limit of Landlock or seccomp itself: those are
//! of the thread that starts the program, and so nothing in there can signal or trace this process.

use std::{
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader, Read},
    os::{fd::AsFd, unix::net::UnixStream},
    thread,
};

use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, kill_process_group, set_dumpable_behavior, wait,
};

use super::{
    order::{Order, Word},
    spawn::{exit, say, spawn_program},
};

/// The only argument of a program that is to be this.
pub const ARGUMENT: &str = "--nox-init";

/// Whether this program was started as the first process of namespaces.
pub fn is_asked() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().as_deref() == Some(OsStr::new(ARGUMENT)) && arguments.next().is_none()
}

/// Does what this process is there for.
pub fn run() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut words = control.try_clone()?;
    let mut orders = BufReader::new(control);
    let mut line = String::new();
    orders.read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    // Before the program may take all the threads that there are.
    thread::Builder::new().spawn(move || hear(orders))?;
    let program = match spawn_program(order, true) {
        Ok(program) => program,
        Err(error) => {
            let (reason, errno) = (error.to_string(), error.raw_os_error());
            return say(&mut words, &Word::NotSpawned { reason, errno });
        }
    };
    say(&mut words, &Word::Spawned { init: None })?;
    let exit = loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => break exit(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    let survivors = others();
    say(&mut words, &Word::Ended { exit, wall_us: 0, survivors, killed_for: None })
}

/// Each byte asks everybody to end; when the socket closes, they do.
fn hear(mut orders: BufReader<UnixStream>) {
    while orders.read(&mut [0]).is_ok_and(|count| count > 0) {
        // The group of process 1 stands for everybody but process 1: `kill(-1)`.
        let _ = kill_process_group(Pid::INIT, Signal::TERM);
    }
    std::process::exit(1);
}

/// Who is left beside this process.
fn others() -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != 1).count()
}
