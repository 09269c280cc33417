//! The supervisor: a process between the executor and each attempt's program, which leaves nothing
//! of the attempt alive.
//!
//! It is the executor's own program under another name, so that nothing else has to be installed. It
//! is a subreaper: whatever the attempt's processes do, double forks and `setsid` included, all of
//! them stay its descendants. When it has no child left, the attempt is over, and only then does it
//! say so. Its standard input is a socket to the executor: a byte on it asks everything to end, and
//! when it closes, because the attempt is to end now or because the executor is gone, everything is
//! killed.
//!
//! All limits of an attempt are held here and by the kernel, so that they hold while the executor is
//! frozen, too, and while nobody reads what the attempt prints.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read, Write},
    os::{
        fd::AsFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use nox_service::Clock;
use rustix::{
    io::Errno,
    process::{
        Pid, Resource, Rlimit, WaitOptions, WaitStatus, getpid, getrlimit, set_child_subreaper,
        setrlimit, setsid, umask, wait,
    },
    thread::set_no_new_privs,
};
use serde::{Deserialize, Serialize};

use crate::processes::{ProcessId, descendants, kill_descendants, memory, memory_bound};

/// The name under which this program is a supervisor…
pub const SUPERVISOR: &str = "nox-supervisor";

/// …and its only argument, which any program that is none refuses.
pub const ARGUMENT: &str = "--nox-supervisor";

/// Between two looks for processes, when the last one found nobody new.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Open files of a process; more than engines need, and far from what would starve the machine.
const FILES_MAX: u64 = 4096;

/// Between two looks at what an attempt takes: a machine survives what it can take meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Processes of an attempt at a time: far more than engines start, far fewer than a machine has.
const PROCESSES_MAX: usize = 1024;

/// What the executor asks for, in one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// The folder to begin in.
    pub folder: PathBuf,
    pub limits: Limits,
}

/// Bounds of each single process, that of memory also of all together; the time is the attempt's.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Limits {
    /// Seconds from the start of the program to the end of everything. The clock does not run while
    /// the machine sleeps (`CLOCK_MONOTONIC`, not `CLOCK_BOOTTIME`), for neither does the attempt.
    pub wall_seconds: u64,
    /// Seconds on a processor.
    pub cpu_seconds: u64,
    /// Bytes of private memory; of all together, bytes of private and shared memory in use.
    pub memory_bytes: u64,
    /// Bytes of a file that it writes.
    pub file_bytes: u64,
}

/// What the supervisor says, each a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The program runs.
    Spawned,
    /// It could not be run, and nothing was; `errno` is the system's word for it, if it had one.
    NotSpawned { reason: String, errno: Option<i32> },
    /// It has ended after so many microseconds, and nothing that it began is alive.
    Ended { exit: Exit, wall_us: u64, survivors: usize, killed_for: Option<KilledFor> },
}

/// Why an attempt was ended that had not ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KilledFor {
    /// The executor asked for it, or is gone.
    Order,
    WallTime,
    /// All its processes together took too much of it.
    Memory,
    Processes,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    Status(i32),
    Signal(i32),
}

/// Is the supervisor, to the end of the process, if this program was started as one. Every program
/// that runs the executor calls this first.
pub fn supervise_if_asked() {
    if std::env::args_os().eq([OsStr::new(SUPERVISOR), OsStr::new(ARGUMENT)]) {
        std::process::exit(supervise().map_or(1, |()| 0));
    }
}

fn supervise() -> io::Result<()> {
    let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut words = control.try_clone()?;
    let mut orders = BufReader::new(control);
    let mut line = String::new();
    orders.read_line(&mut line)?;

    let clock = Clock::system();
    let began = clock.monotonic();
    let killed_for = Arc::new(OnceLock::new());
    let program = serde_json::from_str::<Order>(&line).map_err(io::Error::from).and_then(|order| {
        // Before there is anything to kill: an attempt must not run unwatched.
        let ends_at = began.saturating_add(Duration::from_secs(order.limits.wall_seconds));
        watch(Watch { orders, clock: clock.clone(), ends_at, limits: order.limits }, &killed_for)?;
        begin(&order)
    });
    let program = match program {
        Ok(program) => program,
        Err(error) => {
            let (reason, errno) = (error.to_string(), error.raw_os_error());
            return say(&mut words, &Word::NotSpawned { reason, errno });
        }
    };
    // If the executor is gone, nobody listens, but the attempt must end all the same.
    let _ = say(&mut words, &Word::Spawned);
    let exit = wait_for(program)?;
    let wall_us = u64::try_from((clock.monotonic() - began).as_micros()).unwrap_or(u64::MAX);
    let survivors = kill_the_rest();
    let killed_for = killed_for.get().copied();
    say(&mut words, &Word::Ended { exit, wall_us, survivors, killed_for })
}

/// What an attempt is watched by.
struct Watch {
    orders: BufReader<UnixStream>,
    clock: Clock,
    /// By the clock's monotonic time.
    ends_at: Duration,
    limits: Limits,
}

/// Kills everything from when there is a reason to, which is noted in `killed_for`.
fn watch(mut watch: Watch, killed_for: &Arc<OnceLock<KilledFor>>) -> io::Result<()> {
    let killed_for = killed_for.clone();
    let kill = move || {
        let _ = killed_for.set(watch.until_to_be_killed());
        let mut killed = BTreeSet::new();
        loop {
            kill_more(&mut killed);
        }
    };
    thread::Builder::new().spawn(kill).map(drop)
}

impl Watch {
    fn until_to_be_killed(&mut self) -> KilledFor {
        loop {
            let left = self.ends_at.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return KilledFor::WallTime;
            }
            if self.is_ordered_within(left.min(LOOK_EVERY)) {
                return KilledFor::Order;
            }
            if let Some(exceeded) = look(self.limits) {
                return exceeded;
            }
        }
    }

    /// Whether the socket closes. A byte on it asks everything to end; nothing else is ever sent after
    /// the order.
    fn is_ordered_within(&mut self, wait: Duration) -> bool {
        // A wait with an end is interrupted where this process was stopped and goes on.
        let waits = [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted];
        let read = self
            .orders
            .get_ref()
            .set_read_timeout(Some(wait))
            .and_then(|()| self.orders.read(&mut [0]));
        match read {
            Ok(0) => true,
            Ok(_) => {
                let attempt = descendants(own_pid());
                attempt.into_iter().filter_map(ProcessId::of).for_each(ProcessId::terminate);
                false
            }
            Err(error) => !waits.contains(&error.kind()),
        }
    }
}

fn look(limits: Limits) -> Option<KilledFor> {
    let pids = descendants(own_pid());
    if pids.len() > PROCESSES_MAX {
        return Some(KilledFor::Processes);
    }
    let is_too_much = |bytes| bytes > limits.memory_bytes;
    (is_too_much(memory_bound(&pids)) && is_too_much(memory(&pids))).then_some(KilledFor::Memory)
}

/// Cuts this process off from whatever started it, and starts the program below it.
fn begin(order: &Order) -> io::Result<Pid> {
    // Without a terminal, and out of reach of signals to the executor's group.
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    set_no_new_privs(true)?;
    umask(rustix::fs::Mode::from_raw_mode(0o077));
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, FILES_MAX)?;
    limit(Resource::Cpu, order.limits.cpu_seconds)?;
    limit(Resource::Data, order.limits.memory_bytes)?;
    limit(Resource::Fsize, order.limits.file_bytes)?;
    let child = Command::new(&order.program)
        .args(&order.args)
        .env_clear()
        .envs(order.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&order.folder)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()?;
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("the program has an impossible number"))
}

/// Lowers a limit of this process and all that it starts; never raises one.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |hard| hard.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

fn wait_for(program: Pid) -> io::Result<Exit> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => return Ok(exit(status)),
            // An orphan that came to its subreaper.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn exit(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Exit::Status(status),
        (None, Some(signal)) => Exit::Signal(signal),
        // `wait` was not asked for any other change.
        (None, None) => Exit::Status(-1),
    }
}

/// Returns how many outlived the program, when there is no child left.
fn kill_the_rest() -> usize {
    let mut survivors = BTreeSet::new();
    loop {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break,
                // No child is left, and so nobody.
                Err(_) => return survivors.len(),
            }
        }
        kill_more(&mut survivors);
    }
}

/// Kills whoever is left, and waits a moment if all of them were killed before: dying takes time.
fn kill_more(killed: &mut BTreeSet<ProcessId>) {
    let mut found = kill_descendants(own_pid());
    if found.is_subset(killed) {
        thread::sleep(LOOK_AGAIN);
    }
    killed.append(&mut found);
}

fn own_pid() -> i32 {
    getpid().as_raw_nonzero().get()
}

fn say(words: &mut UnixStream, word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    words.write_all(&line)
}
