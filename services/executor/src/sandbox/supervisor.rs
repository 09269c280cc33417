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
    ffi::OsStr,
    io::{self, BufRead, BufReader, Read},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use nox_service::Clock;
use rustix::{
    fs::{Gid, Uid, fchown},
    io::Errno,
    process::{Pid, WaitOptions, getpid, set_child_subreaper, setsid, umask, wait},
    thread::set_no_new_privs,
};

use super::{
    Level,
    fault::Fault,
    hold::Hold,
    init,
    order::{Exit, KilledFor, Order, Word},
    processes::{ProcessId, children},
    spawn::{close_what_is_inherited, exit, say, spawn_namespaces, spawn_program},
    watch::{Taken, look},
};

/// The name under which this program is a supervisor…
pub const SUPERVISOR: &str = "nox-supervisor";

/// …and its only argument, which any program that is none refuses.
pub const ARGUMENT: &str = "--nox-supervisor";

/// Between two kills of what is to be gone.
const KILL_AGAIN: Duration = Duration::from_millis(2);

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
    let attempt = Arc::new(Attempt { order, hold: OnceLock::new(), killed_for: OnceLock::new() });
    // Before there is anything to kill: an attempt must not run unwatched.
    let ends_at = began.saturating_add(Duration::from_secs(attempt.order.limits.wall_seconds));
    let watch = Watch { orders, clock: clock.clone(), ends_at, attempt: attempt.clone() };
    let spawned = watch.begin().and_then(|()| attempt.spawn());
    let mut running = match spawned {
        Ok(running) => running,
        Err(error) => {
            attempt.kill_all();
            let (reason, errno) = (error.to_string(), error.raw_os_error());
            return say(&mut words, &Word::NotSpawned { reason, errno });
        }
    };
    // If the executor is gone, nobody listens, but the attempt must end all the same.
    let _ = say(&mut words, &Word::Spawned { init: running.init() });
    let (exit, mut survivors) = running.wait()?;
    let wall_us = u64::try_from((clock.monotonic() - began).as_micros()).unwrap_or(u64::MAX);
    survivors += attempt.kill_all();
    let killed_for = attempt.killed_for.get().copied();
    say(&mut words, &Word::Ended { exit, wall_us, survivors, killed_for })
}

/// What this process supervises.
struct Attempt {
    order: Order,
    /// From when there is anything to hold.
    hold: OnceLock<Hold>,
    killed_for: OnceLock<KilledFor>,
}

/// A program that was begun.
enum Running {
    /// By this process.
    Here { program: Pid },
    /// In namespaces, whose first process says how it ended.
    Namespaces { init: Option<ProcessId>, words: BufReader<UnixStream> },
}

impl Attempt {
    /// Cuts this process off from whatever started it, and starts the program below it.
    fn spawn(&self) -> io::Result<Running> {
        let Order { limits, confinement, .. } = &self.order;
        // Without a terminal, and out of reach of signals to the executor's group.
        setsid()?;
        set_child_subreaper(Some(getpid()))?;
        if confinement.has(Fault::NoNewPrivs) {
            set_no_new_privs(true)?;
        }
        umask(rustix::fs::Mode::from_raw_mode(0o077));
        if let Some(group) = &confinement.cgroup {
            group.make(limits).map_err(|e| io::Error::other(format!("no cgroup: {e}")))?;
        }
        if confinement.has(Fault::Rlimits) {
            limits.apply(confinement.cgroup.is_some())?;
        }
        if let Some(user) = confinement.user {
            give_outputs_to(user)?;
        }
        if confinement.level == Level::Isolated && confinement.has(Fault::Namespaces) {
            return self.spawn_in_namespaces();
        }
        let _ = self.hold.set(Hold::of(confinement));
        Ok(Running::Here { program: spawn_program(self.order.clone(), false)? })
    }

    fn spawn_in_namespaces(&self) -> io::Result<Running> {
        let (bubblewrap, control) = spawn_namespaces(self.order.clone())?;
        let mut orders = control.try_clone()?;
        let cgroup = self.order.confinement.cgroup.clone();
        let init = control.try_clone()?;
        let _ = self.hold.set(Hold::Namespaces { bubblewrap, init, cgroup });
        let mut words = BufReader::new(control);
        // Whether it has heard that or not: what it says next counts, or that it says nothing.
        let _ = say(&mut orders, &self.order);
        match next(&mut words).ok().flatten() {
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

    /// What it takes at present.
    fn usage(&self) -> Taken {
        self.hold.get().map(|hold| look(&self.order, hold)).unwrap_or_default()
    }

    /// Kills whoever is left. Returns how many outlived the program, when there is no child left. What
    /// it was refused counts as why it ended.
    fn kill_all(&self) -> usize {
        let group = self.order.confinement.cgroup.as_ref();
        let refused = group.and_then(|group| {
            Taken { refused: group.refused().ok()?, ..Taken::default() }.exceeds(&self.order.limits)
        });
        if let Some(refused) = refused {
            let _ = self.killed_for.set(refused);
        }
        let survivors = self.hold.get().map_or(0, Hold::kill_all);
        if let Some(group) = group {
            group.kill_all();
            group.remove();
        }
        survivors
    }
}

/// What it prints goes to the executor's pipes, which are root's: a program that opens them by their
/// names, as in `> /dev/stderr`, would be refused.
fn give_outputs_to(user: u32) -> io::Result<()> {
    for output in [io::stdout().as_fd(), io::stderr().as_fd()] {
        fchown(output, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)))?;
    }
    Ok(())
}

impl Running {
    fn init(&self) -> Option<ProcessId> {
        match self {
            Self::Here { .. } => None,
            Self::Namespaces { init, .. } => *init,
        }
    }

    /// Waits until the program has ended; returns how, and how many of its processes that are known of
    /// outlived it.
    fn wait(&mut self) -> io::Result<(Exit, usize)> {
        let program = match self {
            Self::Here { program } => *program,
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
            loop {
                // Again, for what was about to be begun may be there only now.
                if let Some(hold) = self.attempt.hold.get() {
                    hold.kill();
                }
                thread::sleep(KILL_AGAIN);
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
            if let Some(exceeded) = self.attempt.usage().exceeds(&self.attempt.order.limits) {
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
                if let Some(hold) = self.attempt.hold.get() {
                    hold.terminate();
                }
                false
            }
            Err(error) => !waits.contains(&error.kind()),
        }
    }
}
