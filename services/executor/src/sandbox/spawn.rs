//! Starting an attempt's program on a thread that is shut in.

use std::{
    fs,
    io::{self, Write},
    os::unix::{net::UnixStream, process::CommandExt},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

use rustix::process::{Pid, Resource, WaitStatus};
use serde::Serialize;

use super::{
    bubblewrap,
    cgroup::{Cgroup, Inside},
    confine::confine,
    fault::Fault,
    limits::limit,
    order::{Confinement, Exit, Order},
    processes::tasks_of_user,
};

/// Processes and threads of the user of namespaces beyond the attempt's own: those of the first
/// process. The same of a user of its own, so that a look finds one too many and says so.
const PROCESSES_SPARE: u64 = 8;

/// Starts the program itself; `in_namespaces` says that this process is the first of its own.
///
/// The thread that is shut in with it is gone afterwards: the program may signal who is shut in alike.
pub fn spawn_program(order: Order, in_namespaces: bool) -> io::Result<Pid> {
    if order.confinement.cgroup.is_none() && order.confinement.has(Fault::Rlimits) {
        // The kernel counts a user's processes in their namespace, and root's not at all.
        let is_alone = in_namespaces || order.confinement.user.is_some();
        let others = if is_alone { PROCESSES_SPARE } else { tasks_of_user() };
        limit(Resource::Nproc, order.limits.processes.saturating_add(others))?;
    }
    let thread = thread::Builder::new().spawn(move || {
        let _inside = if in_namespaces { None } else { enter_group(&order.confinement)? };
        let mut command = Command::new(&order.program);
        command
            .args(&order.args)
            .env_clear()
            .envs(order.env.iter().map(|(name, value)| (name, value)))
            .current_dir(order.begin_in.as_ref().unwrap_or(&order.folder))
            .stdin(Stdio::null())
            .process_group(0);
        confine(&order)?;
        pid(&command.spawn()?)
    })?;
    thread.join().unwrap_or_else(|_| Err(failed()))
}

/// Starts the namespaces; their first process waits for an order on the socket.
pub fn spawn_namespaces(order: Order) -> io::Result<(Pid, UnixStream)> {
    on_a_lasting_thread(move || {
        let namespaces = order.confinement.namespaces.as_ref();
        let namespaces = namespaces.ok_or_else(|| io::Error::other("no namespaces are ordered"))?;
        let _inside = enter_group(&order.confinement)?;
        let (child, init) = bubblewrap::start(&order, namespaces)?;
        Ok((pid(&child)?, init))
    })
}

/// Moves the calling thread to the attempt's group, if it has one, until the answer is dropped.
fn enter_group(confinement: &Confinement) -> io::Result<Option<Inside>> {
    let group = confinement.cgroup.as_ref().filter(|_| confinement.has(Fault::Cgroup));
    group.map(Cgroup::enter).transpose()
}

/// Does it on a thread that is there until this process ends: what it starts may be told to end with
/// its parent, and that is the thread.
fn on_a_lasting_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (done, outcome) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        // Somebody waits for it.
        let _ = done.send(work());
        loop {
            thread::park();
        }
    })?;
    outcome.recv().map_err(|_| failed())?
}

fn failed() -> io::Error {
    io::Error::other("the thread that starts programs failed")
}

fn pid(child: &Child) -> io::Result<Pid> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other("the program has an impossible number"))
}

pub fn exit(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Exit::Status(status),
        (None, Some(signal)) => Exit::Signal(signal),
        // `wait` was not asked for any other change.
        (None, None) => Exit::Status(-1),
    }
}

/// Closes, for all that this process starts, what it has open beside its standard streams: whoever
/// started the executor may have left something open in it.
#[expect(unsafe_code, reason = "no safe function takes descriptors that nobody here has opened")]
pub fn close_what_is_inherited() -> io::Result<()> {
    let entries: Vec<_> = fs::read_dir("/proc/self/fd")?.collect::<io::Result<_>>()?;
    let numbers = entries.iter().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for number in numbers.filter(|number: &i32| *number > 2) {
        // SAFETY: it sets a flag that has an effect only when another program is begun, and fails on a
        // number that is none.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// Writes a line of JSON.
pub fn say(words: &mut UnixStream, word: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    words.write_all(&line)
}
