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
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use nox_service::Clock;
use rustix::{
    io::Errno,
    process::{Pid, WaitOptions, getpid, set_child_subreaper, setsid, umask, wait},
    thread::set_no_new_privs,
};

use super::{
    Level, init,
    order::{Exit, KilledFor, Order, Word},
    processes::{ProcessId, children, descendants, kill_descendants},
    spawn::{close_what_is_inherited, exit, say, spawn_namespaces, spawn_program},
    watch::{Taken, look},
};

/// The name under which this program is a supervisor…
pub const SUPERVISOR: &str = "nox-supervisor";

/// …and its only argument, which any program that is none refuses.
pub const ARGUMENT: &str = "--nox-supervisor";

/// Between two looks for processes, when the last one found nobody new.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Between two looks at what an attempt takes: a machine survives what it can take meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Looks take at most one part in so many of the time, as long as they come this often.
const LOOK_SHARE: u32 = 20;
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(2);

/// Is the supervisor, or the first process of an attempt's namespaces, to the end of the process, if
/// this program was started as one. Every program that runs the executor calls this first.
pub fn supervise_if_asked() {
    let done = if std::env::args_os().eq([OsStr::new(SUPERVISOR), OsStr::new(ARGUMENT)]) {
        supervise()
    } else if init::is_asked() {
        init::run()
    } else {
        return;
    };
    std::process::exit(done.map_or(1, |()| 0));
}

fn supervise() -> io::Result<()> {
    close_what_is_inherited()?;
    let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut words = control.try_clone()?;
    let mut orders = BufReader::new(control);
    let mut line = String::new();
    orders.read_line(&mut line)?;

    let clock = Clock::system();
    let began = clock.monotonic();
    let order = serde_json::from_str::<Order>(&line)?;
    let attempt = Arc::new(Attempt { order, init: OnceLock::new(), killed_for: OnceLock::new() });
    // Before there is anything to kill: an attempt must not run unwatched.
    let ends_at = began.saturating_add(Duration::from_secs(attempt.order.limits.wall_seconds));
    let watch = Watch { orders, clock: clock.clone(), ends_at, attempt: attempt.clone() };
    let spawned = watch.begin().and_then(|()| attempt.begin());
    let mut running = match spawned {
        Ok(running) => running,
        Err(error) => {
            attempt.kill_the_rest();
            let (reason, errno) = (error.to_string(), error.raw_os_error());
            return say(&mut words, &Word::NotSpawned { reason, errno });
        }
    };
    // If the executor is gone, nobody listens, but the attempt must end all the same.
    let _ = say(&mut words, &Word::Spawned { init: running.init() });
    let (exit, mut survivors) = running.wait()?;
    let wall_us = u64::try_from((clock.monotonic() - began).as_micros()).unwrap_or(u64::MAX);
    survivors += attempt.kill_the_rest();
    let killed_for = attempt.killed_for.get().copied();
    say(&mut words, &Word::Ended { exit, wall_us, survivors, killed_for })
}

/// What this process supervises.
struct Attempt {
    order: Order,
    /// To the first process of its namespaces, if it has any.
    init: OnceLock<Mutex<UnixStream>>,
    killed_for: OnceLock<KilledFor>,
}

/// A program that was begun, by where it is.
enum Running {
    /// Among the descendants of this process.
    Descendants { program: Pid },
    /// In namespaces, whose first process says how it ended.
    Namespaces { init: Option<ProcessId>, words: BufReader<UnixStream> },
}

impl Attempt {
    /// Cuts this process off from whatever started it, and starts the program below it.
    fn begin(&self) -> io::Result<Running> {
        let Order { limits, confinement, .. } = &self.order;
        // Without a terminal, and out of reach of signals to the executor's group.
        setsid()?;
        set_child_subreaper(Some(getpid()))?;
        set_no_new_privs(true)?;
        umask(rustix::fs::Mode::from_raw_mode(0o077));
        if let Some(group) = &confinement.cgroup {
            group.make(limits).map_err(|e| io::Error::other(format!("no cgroup: {e}")))?;
        }
        limits.apply(confinement.cgroup.is_some())?;
        match confinement.level {
            Level::None | Level::Process => {
                let program = spawn_program(self.order.clone(), false)?;
                Ok(Running::Descendants { program })
            }
            Level::Isolated => self.begin_in_namespaces(),
        }
    }

    fn begin_in_namespaces(&self) -> io::Result<Running> {
        let (bubblewrap, control) = spawn_namespaces(self.order.clone())?;
        let mut orders = control.try_clone()?;
        let mut words = BufReader::new(control);
        say(&mut orders, &self.order)?;
        let _ = self.init.set(Mutex::new(orders));
        match next(&mut words)? {
            Some(Word::Spawned { .. }) => {}
            Some(Word::NotSpawned { reason, errno }) => {
                return Err(
                    errno.map_or_else(|| io::Error::other(reason), io::Error::from_raw_os_error)
                );
            }
            Some(Word::Ended { .. }) | None => {
                return Err(io::Error::other("its namespaces cannot be made"));
            }
        }
        let init = children(bubblewrap.as_raw_nonzero().get()).into_iter().find_map(ProcessId::of);
        // If there is none, the program has ended already, and so have they.
        Ok(Running::Namespaces { init, words })
    }

    /// Asks everything to end by itself.
    fn terminate(&self) {
        if let Some(init) = self.init.get() {
            let mut init = init.lock().unwrap_or_else(PoisonError::into_inner);
            // If it is gone, so is everybody else.
            let _ = init.write_all(&[0]);
        } else {
            let attempt = descendants(own_pid());
            attempt.into_iter().filter_map(ProcessId::of).for_each(ProcessId::terminate);
        }
    }

    /// Kills whoever is left, and waits a moment if all of them were killed before: dying takes time.
    fn kill_more(&self, killed: &mut BTreeSet<ProcessId>) {
        if let Some(group) = &self.order.confinement.cgroup {
            group.kill();
        }
        // Of namespaces, the first process is among them, and takes everybody else along.
        let mut found = kill_descendants(own_pid());
        if found.is_subset(killed) {
            thread::sleep(LOOK_AGAIN);
        }
        killed.append(&mut found);
    }

    /// Returns how many outlived the program, when there is no child left. What it was refused counts
    /// as why it ended.
    fn kill_the_rest(&self) -> usize {
        let refused = self.order.confinement.cgroup.as_ref().and_then(|group| {
            Taken { refused: group.refused().ok()?, ..Taken::default() }.exceeds(&self.order.limits)
        });
        if let Some(refused) = refused {
            let _ = self.killed_for.set(refused);
        }
        let mut survivors = BTreeSet::new();
        loop {
            loop {
                match wait(WaitOptions::NOHANG) {
                    Ok(Some(_)) | Err(Errno::INTR) => {}
                    Ok(None) => break,
                    // No child is left, and so nobody.
                    Err(_) => {
                        if let Some(group) = &self.order.confinement.cgroup {
                            group.kill_all();
                            group.remove();
                        }
                        return survivors.len();
                    }
                }
            }
            self.kill_more(&mut survivors);
        }
    }
}

impl Running {
    fn init(&self) -> Option<ProcessId> {
        match self {
            Self::Descendants { .. } => None,
            Self::Namespaces { init, .. } => *init,
        }
    }

    /// Waits until the program has ended; returns how, and how many of its processes that are known of
    /// outlived it.
    fn wait(&mut self) -> io::Result<(Exit, usize)> {
        let program = match self {
            Self::Descendants { program } => *program,
            Self::Namespaces { words, .. } => {
                return Ok(match next(words) {
                    Ok(Some(Word::Ended { exit, survivors, .. })) => (exit, survivors),
                    // It was killed, with all that were in there.
                    _ => (Exit::Signal(rustix::process::Signal::KILL.as_raw()), 0),
                });
            }
        };
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == program => return Ok((exit(status), 0)),
                // An orphan that came to its subreaper.
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The next word; `None` when nobody is there to say one.
fn next(words: &mut BufReader<UnixStream>) -> io::Result<Option<Word>> {
    let mut line = String::new();
    if words.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

/// What an attempt is watched by.
struct Watch {
    orders: BufReader<UnixStream>,
    clock: Clock,
    /// By the clock's monotonic time.
    ends_at: Duration,
    attempt: Arc<Attempt>,
}

impl Watch {
    /// Kills everything from when there is a reason to, which is noted.
    fn begin(mut self) -> io::Result<()> {
        let kill = move || {
            let reason = self.until_to_be_killed();
            let _ = self.attempt.killed_for.set(reason);
            let mut killed = BTreeSet::new();
            loop {
                self.attempt.kill_more(&mut killed);
            }
        };
        thread::Builder::new().spawn(kill).map(drop)
    }

    fn until_to_be_killed(&mut self) -> KilledFor {
        let mut pause = LOOK_EVERY;
        loop {
            let left = self.ends_at.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return KilledFor::WallTime;
            }
            if self.is_ordered_within(left.min(pause)) {
                return KilledFor::Order;
            }
            let began = self.clock.monotonic();
            if let Some(exceeded) = look(&self.attempt.order).exceeds(&self.attempt.order.limits) {
                return exceeded;
            }
            let took = self.clock.monotonic() - began;
            pause = (took * LOOK_SHARE).clamp(LOOK_EVERY, LOOK_AT_LEAST_EVERY);
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
                self.attempt.terminate();
                false
            }
            Err(error) => !waits.contains(&error.kind()),
        }
    }
}

fn own_pid() -> i32 {
    getpid().as_raw_nonzero().get()
}
