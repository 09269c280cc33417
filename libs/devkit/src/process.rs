//! One server process: spawned so that it ends when we do, signalled by its pid, reaped always.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// Short against a server's start (70 ms), long against a look at its state.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// What a message quotes of a server's log; a fatal line and its context fit.
const QUOTED_LINES_MAX: usize = 12;

pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// Where this run's part of the log begins.
    log_start: u64,
}

impl Process {
    /// Runs `command` with its output appended to `log`.
    ///
    /// Should this process die without a word, Linux sends the child `orphaned`; other systems
    /// leave it running. `inherit` is a descriptor the child may use under the same number.
    pub(crate) fn spawn(
        mut command: Command,
        log: &Path,
        orphaned: Signal,
        inherit: Option<OwnedFd>,
    ) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let log_start = out.metadata()?.len();
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            // Neither a folder that the server's user may not enter, nor one that could not be
            // unmounted while the server runs.
            .current_dir("/");
        prepare(&mut command, orphaned, inherit);
        let child = spawn_for_good(command).with_context(|| format!("cannot run {name}"))?;
        Ok(Self { child, log: log.to_owned(), log_start })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, or `None` while it runs.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for the end at most `within`; whoever is not done by then is killed.
    pub(crate) async fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(within, async {
            loop {
                if let Some(status) = self.ended()? {
                    return anyhow::Ok(status);
                }
                tokio::time::sleep(POLL).await;
            }
        });
        match ended.await {
            Ok(status) => status,
            Err(_) => {
                self.kill();
                bail!("not done after {within:?}, killed: {}", self.said())
            }
        }
    }

    /// Asks with `signal`, and kills when nothing came of it `within` the time.
    pub(crate) async fn stop(mut self, signal: Signal, within: Duration) {
        self.signal(signal);
        // A frozen process takes no signal but this one and SIGKILL.
        self.signal(Signal::CONT);
        if let Err(error) = self.wait(within).await {
            tracing::warn!(process.pid = self.pid(), %error, "A server did not stop when asked");
        }
    }

    /// Sends a signal, unless the process has ended: its pid might be somebody else's by now.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if matches!(self.child.try_wait(), Ok(None)) {
            send(Pid::from_child(&self.child), signal);
        }
    }

    /// SIGSTOP, and no thread of it runs any more when this returns.
    pub(crate) fn freeze(&mut self) {
        self.signal(Signal::STOP);
        let news = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        // It fails only for a process that has ended, which does not run either.
        let _ = rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), news);
    }

    /// The same for all that it started; first itself, so that it starts no more.
    pub(crate) fn freeze_all(&mut self) {
        self.freeze();
        descendants(self.pid()).into_iter().for_each(|pid| send(pid, Signal::STOP));
    }

    /// Lets all of it go on.
    pub(crate) fn thaw_all(&mut self) {
        descendants(self.pid()).into_iter().for_each(|pid| send(pid, Signal::CONT));
        self.signal(Signal::CONT);
    }

    /// SIGKILL, and the end has come when this returns.
    pub(crate) fn kill(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The last lines this run wrote.
    pub(crate) fn said(&self) -> String {
        let text = self.log_of_run().unwrap_or_else(|error| format!("no log: {error}"));
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(QUOTED_LINES_MAX)..].join("\n")
    }

    fn log_of_run(&self) -> io::Result<String> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.log_start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal; a process that is gone is no error.
pub(crate) fn send(pid: Pid, signal: Signal) {
    if let Err(error) = rustix::process::kill_process(pid, signal) {
        tracing::debug!(process.pid = %pid, %error, "A signal found no process");
    }
}

/// The processes `pid` has started and that still run; none where there is no /proc.
pub(crate) fn children(pid: u32) -> Vec<Pid> {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
        .collect()
}

/// The processes that `pid` has started by any of its threads, and those that these have; none where there is
/// no /proc.
fn descendants(pid: u32) -> Vec<Pid> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_thread = |thread: std::fs::DirEntry| {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    for child in threads.flat_map(of_thread) {
        found.extend(Pid::from_raw(child));
        found.extend(u32::try_from(child).ok().into_iter().flat_map(descendants));
    }
    found
}

#[expect(unsafe_code, reason = "only the child itself can ask for a signal at its parent's death")]
fn prepare(command: &mut Command, orphaned: Signal, inherit: Option<OwnedFd>) {
    let parent = rustix::process::getpid();
    let in_child = move || {
        if let Some(descriptor) = &inherit {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty())?;
        }
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(orphaned))?;
        #[cfg(not(target_os = "linux"))]
        let _ = orphaned;
        // A parent that died before the line above sends nothing any more.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes three
    // plain system calls through rustix; it takes no lock and does not allocate.
    unsafe {
        command.pre_exec(in_child);
    }
}

/// Forks on one thread that never ends.
///
/// Linux sends the death signal when the *thread* that forked ends: a server started by a test's
/// thread or by a runtime's idle worker would end with it.
fn spawn_for_good(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static ORDERS: OnceLock<mpsc::Sender<Order>> = OnceLock::new();

    let orders = ORDERS.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in inbox {
                // Whoever gave the order waits for the reply.
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let (reply, child) = mpsc::channel();
    // A failed order drops `reply`, which the next line reports.
    let _ = orders.send((command, reply));
    child.recv().map_err(|_| io::Error::other("the spawning thread is gone"))?
}
