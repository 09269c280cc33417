//! Runs an attempt's program under a supervisor until nothing of it is alive.

use std::{io, path::Path, time::Duration};

use nox_contract::StartWork;
use nox_service::{Clock, crash_point};
use tokio::{
    io::AsyncRead,
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    contain::{Exceeded, Exit, Order, Word},
    failure::Failure,
    folder::Folder,
    leftovers::end_by_force,
    logs::{self, Chunk},
    manifest::{Manifest, Source, Stream},
    metrics::Metrics,
    supervised::Supervised,
};

/// How long a supervisor may take to say that the program runs, on a machine that is very busy.
const SPAWN_WAIT: Duration = Duration::from_secs(10);

/// How long a supervisor may take to kill its attempt before the executor does it.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// How long a program's output is read after nothing of it is alive: somebody else may hold the pipe.
const OUTPUT_WAIT: Duration = Duration::from_secs(1);

/// What a program is run with.
pub struct Program<'p> {
    pub start: &'p StartWork,
    pub manifest: &'p Manifest,
    pub folder: &'p Folder,
    pub supervisor: &'p Path,
    pub stop: &'p CancellationToken,
    pub logs: &'p mpsc::Sender<Chunk>,
    pub clock: &'p Clock,
    pub metrics: &'p Metrics,
}

/// A program that ran, for so long, and the ends of what it printed.
pub struct Ran {
    /// How it ended by itself, or why it was ended.
    pub exit: Result<Exit, Failure>,
    pub wall: Duration,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// How a program came to its end.
struct Ended {
    exit: Result<Exit, Failure>,
    /// `None` if only its supervisor knew.
    wall: Option<Duration>,
    survivors: usize,
}

impl Program<'_> {
    /// Runs it; calls `spawned` when it runs. An error means that it never did.
    pub async fn run(&self, order: &Order, spawned: impl FnOnce()) -> Result<Ran, Failure> {
        let machine = |error: io::Error| Failure::spawn(format!("cannot start it: {error}"));
        crash_point("executor.before_spawn");
        let before = self.clock.monotonic();
        let mut supervised = Supervised::start(self.supervisor).map_err(machine)?;
        self.folder.supervised_by(supervised.id).map_err(machine)?;
        let mut output = self.read_output(&mut supervised);
        supervised.order(order).await.map_err(machine)?;
        match timeout(SPAWN_WAIT, supervised.word()).await.unwrap_or_default() {
            Some(Word::Spawned) => {}
            Some(Word::NotSpawned { reason }) => return Err(Failure::spawn(reason)),
            Some(Word::Ended { .. }) | None => {
                self.end_for_certain(&supervised).await;
                return Err(Failure::supervisor_gone());
            }
        }
        let began = self.clock.monotonic();
        self.metrics.spawned(began - before);
        spawned();
        crash_point("executor.after_spawn");

        let Ended { exit, wall, survivors } = self.until_ended(&mut supervised).await;
        let wall = wall.unwrap_or_else(|| self.clock.monotonic() - began);
        self.metrics.survivors(survivors);
        let printed = timeout(OUTPUT_WAIT, &mut output).await;
        output.abort();
        let (stdout, stderr) =
            printed.unwrap_or_else(|_| Ok(Default::default())).unwrap_or_default();
        Ok(Ran { exit, wall, stdout, stderr })
    }

    async fn until_ended(&self, supervised: &mut Supervised) -> Ended {
        let wall_time = self.start.resources.wall_time_s;
        let failure = tokio::select! {
            word = supervised.word() => return self.ended(word, supervised).await,
            () = sleep(Duration::from_secs(u64::from(wall_time))) => Failure::wall_time(wall_time),
            () = self.stop.cancelled() => Failure::killed(),
        };
        supervised.kill().await;
        let word = timeout(KILL_WAIT, supervised.word()).await.unwrap_or_default();
        Ended { exit: Err(failure), ..self.ended(word, supervised).await }
    }

    async fn ended(&self, word: Option<Word>, supervised: &Supervised) -> Ended {
        if let Some(Word::Ended { exit, wall_us, survivors, exceeded }) = word {
            let exit = match exceeded {
                None => Ok(exit),
                Some(Exceeded::Memory) => Err(Failure::limit("memory")),
                Some(Exceeded::Processes) => Err(Failure::limit("processes")),
            };
            return Ended { exit, wall: Some(Duration::from_micros(wall_us)), survivors };
        }
        let survivors = self.end_for_certain(supervised).await;
        Ended { exit: Err(Failure::supervisor_gone()), wall: None, survivors }
    }

    /// Ends an attempt whose supervisor does not: it is dead, or stopped.
    async fn end_for_certain(&self, supervised: &Supervised) -> usize {
        let (id, mark) = (supervised.id, self.folder.mark());
        tracing::warn!(supervisor = id.pid, "A supervisor failed; ending its attempt without it");
        let ending = tokio::task::spawn_blocking(move || end_by_force(Some(id), &mark));
        ending.await.unwrap_or_default()
    }

    /// Reads what the attempt prints, in the background: the ends of stdout and stderr.
    fn read_output(&self, supervised: &mut Supervised) -> JoinHandle<(Vec<u8>, Vec<u8>)> {
        let is_wanted = |stream| {
            self.manifest.file.result.iter().any(|rule| rule.source == Source::Stream(stream))
        };
        let wanted = (is_wanted(Stream::Stdout), is_wanted(Stream::Stderr));
        let (stdout, stderr) = (supervised.stdout.take(), supervised.stderr.take());
        let (start, logs) = (self.start.clone(), self.logs.clone());
        tokio::spawn(async move {
            tokio::join!(
                read(&start, Stream::Stdout, stdout, wanted.0, &logs),
                read(&start, Stream::Stderr, stderr, wanted.1, &logs),
            )
        })
    }
}

async fn read(
    start: &StartWork,
    stream: Stream,
    source: Option<impl AsyncRead>,
    wanted: bool,
    logs: &mpsc::Sender<Chunk>,
) -> Vec<u8> {
    match source {
        Some(source) => logs::capture(start, stream, source, wanted, logs).await,
        None => Vec::new(),
    }
}
