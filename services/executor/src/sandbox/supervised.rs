//! The executor's end of a supervisor: has one run an attempt's program, hears how it went, and ends it
//! where its supervisor does not.

use std::{
    io,
    os::{fd::OwnedFd, unix::net},
    path::Path,
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

use super::{
    leftovers::{Holders, end_by_force},
    order::{Exit, KilledFor, Order, Word},
    orphans::{expect_orphans, note_supervisor},
    processes::ProcessId,
    supervisor::{ARGUMENT, SUPERVISOR},
};

/// How long a supervisor may take to say that the program runs, on a machine that is very busy.
const SPAWN_WAIT: Duration = Duration::from_secs(10);

/// How long a supervisor may take to kill its attempt before the executor does it.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// How long a word that is in the socket already may take to be read.
const HEARD_LATE: Duration = Duration::from_millis(100);

/// An attempt that runs, shut in under its supervisor. When this is dropped, that kills it and ends.
#[derive(Debug)]
pub struct Sandbox {
    /// Waited for in the background, and never killed: it has to outlive its attempt.
    child: Child,
    words: Lines<BufReader<OwnedReadHalf>>,
    orders: Option<OwnedWriteHalf>,
    holders: Holders,
    /// What is in the environment of all its processes, unless they took it out.
    mark: Option<String>,
}

/// What an attempt prints.
#[derive(Debug)]
pub struct Printed {
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
}

/// Why nothing was run.
#[derive(Debug)]
pub enum NotSpawned {
    /// There is no supervisor, or nothing could be noted of it.
    NoSupervisor(io::Error),
    /// The supervisor could not; `errno` is the system's word for it, if it had one.
    Refused { reason: String, errno: Option<i32> },
    /// The supervisor said nothing; of one that was killed, its attempt may have done that.
    Silent { was_killed: bool },
}

/// What an attempt came to, of which nothing is alive any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// What its supervisor says of it; nothing, where that is gone.
    pub known: Option<Known>,
    /// Processes that had to be killed after the program's own end.
    pub survivors: usize,
}

/// What only a supervisor knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub exit: Exit,
    /// From the program's start to its end.
    pub wall: Duration,
    pub killed_for: Option<KilledFor>,
}

impl Sandbox {
    /// Has `program`, a supervisor, run what is ordered. What it is found by is noted with `note`, before
    /// anything runs and once more when there is more to note; whatever it prints has to be read by
    /// whom `read` gives it to.
    ///
    /// # Errors
    /// Nothing runs; nothing of it is left.
    pub async fn spawn(
        program: &Path,
        order: &Order,
        note: impl Fn(&Holders) -> io::Result<()>,
        read: impl FnOnce(Printed),
    ) -> Result<Self, NotSpawned> {
        let mut sandbox = Self::start(program, order, read).map_err(NotSpawned::NoSupervisor)?;
        note(&sandbox.holders).map_err(NotSpawned::NoSupervisor)?;
        let word = match sandbox.order(order).await {
            Ok(()) => sandbox.word_within(SPAWN_WAIT).await,
            Err(_) => None,
        };
        match word {
            Some(Word::Spawned { init }) => {
                if init.is_some() {
                    sandbox.holders.init = init;
                    // If that fails, the group, the supervisor and the marks are left to find it by.
                    let _ = note(&sandbox.holders);
                }
                Ok(sandbox)
            }
            Some(Word::NotSpawned { reason, errno }) => Err(NotSpawned::Refused { reason, errno }),
            Some(Word::Ended { .. }) | None => {
                // One that ends by itself before it has said anything does not work.
                let ended = timeout(HEARD_LATE, sandbox.child.wait()).await;
                let was_killed = matches!(ended, Ok(Ok(status)) if status.code().is_none());
                sandbox.end_by_force().await;
                Err(NotSpawned::Silent { was_killed })
            }
        }
    }

    /// What it came to, when nothing of it is alive. Nothing is lost if this is dropped before.
    pub async fn usage(&mut self) -> Usage {
        let word = self.word().await;
        self.used(word).await
    }

    /// Ends all of it: asks it to end by itself first, if there is a grace for that.
    pub async fn kill_all(&mut self, grace: Duration) -> Usage {
        if !grace.is_zero()
            && let Some(orders) = &mut self.orders
        {
            // If it is gone, so is what hears this.
            let _ = orders.write_all(&[0]).await;
            if let Ok(usage) = timeout(grace, self.usage()).await {
                return usage;
            }
        }
        if let Some(mut orders) = self.orders.take() {
            let _ = orders.shutdown().await;
        }
        let word = self.word_within(KILL_WAIT).await;
        self.used(word).await
    }

    /// Starts a supervisor, with nothing to do yet.
    fn start(program: &Path, order: &Order, read: impl FnOnce(Printed)) -> io::Result<Self> {
        let (ours, theirs) = net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        expect_orphans()?;
        let mut child = Command::new(program)
            .arg0(SUPERVISOR)
            .arg(ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let id = child.id().and_then(|pid| ProcessId::of(i32::try_from(pid).ok()?));
        let id = id.ok_or_else(|| io::Error::other("the supervisor ended at once"))?;
        note_supervisor(id);
        read(Printed { stdout: child.stdout.take(), stderr: child.stderr.take() });
        let (words, orders) = UnixStream::from_std(ours)?.into_split();
        let words = BufReader::new(words).lines();
        let holders = Holders {
            supervisor: Some(id),
            init: None,
            cgroup: order.confinement.cgroup.clone(),
            user: order.confinement.user,
        };
        let mut entries = order.env.iter().rev();
        let mark = entries.find(|(name, _)| name == crate::folder::MARK);
        let mark = mark.map(|(name, value)| format!("{name}={value}"));
        Ok(Self { child, words, orders: Some(orders), holders, mark })
    }

    async fn order(&mut self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        match &mut self.orders {
            Some(orders) => orders.write_all(&line).await,
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// The next word, if it comes `within` that time.
    async fn word_within(&mut self, within: Duration) -> Option<Word> {
        if let Ok(word) = timeout(within, self.word()).await {
            return word;
        }
        // Who was frozen meanwhile is told of the time before of what came in: that was in time.
        timeout(HEARD_LATE, self.word()).await.unwrap_or_default()
    }

    /// The next word; `None` when the supervisor is gone. Nothing is lost if this is dropped.
    async fn word(&mut self) -> Option<Word> {
        let line = self.words.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    async fn used(&mut self, word: Option<Word>) -> Usage {
        if let Some(Word::Ended { exit, wall_us, survivors, killed_for }) = word {
            let wall = Duration::from_micros(wall_us);
            return Usage { known: Some(Known { exit, wall, killed_for }), survivors };
        }
        Usage { known: None, survivors: self.end_by_force().await }
    }

    /// Ends an attempt whose supervisor does not: it is dead, or stopped.
    async fn end_by_force(&self) -> usize {
        let (holders, mark) = (self.holders.clone(), self.mark.clone());
        tracing::warn!(?holders, "A supervisor failed; ending its attempt without it");
        let ending = tokio::task::spawn_blocking(move || end_by_force(&holders, mark.as_deref()));
        ending.await.unwrap_or_default()
    }
}
