//! The executor's end of a supervisor: starts one, orders an attempt's program, hears how it went.

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
    order::{Order, Word},
    orphans::{expect_orphans, note_supervisor},
    processes::ProcessId,
    supervisor::{ARGUMENT, SUPERVISOR},
};

/// How long a word that is in the socket already may take to be read.
const HEARD_LATE: Duration = Duration::from_millis(100);

/// A supervisor. When this is dropped, it kills its attempt and ends.
#[derive(Debug)]
pub struct Supervised {
    /// Waited for in the background, and never killed: it has to outlive its attempt.
    child: Child,
    words: Lines<BufReader<OwnedReadHalf>>,
    orders: Option<OwnedWriteHalf>,
    pub id: ProcessId,
    /// What the attempt prints; taken by whoever reads it.
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
}

impl Supervised {
    /// Starts `program` as a supervisor, with nothing to do yet.
    pub fn start(program: &Path) -> io::Result<Self> {
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
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (words, orders) = UnixStream::from_std(ours)?.into_split();
        let words = BufReader::new(words).lines();
        Ok(Self { child, words, orders: Some(orders), id, stdout, stderr })
    }

    /// Orders the program to be run; the first word says whether it is.
    pub async fn order(&mut self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        match &mut self.orders {
            Some(orders) => orders.write_all(&line).await,
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Asks everything to end by itself.
    pub async fn terminate(&mut self) {
        if let Some(orders) = &mut self.orders {
            // If it is gone, so is what hears this.
            let _ = orders.write_all(&[0]).await;
        }
    }

    /// Whether somebody killed it: one that ends by itself before it has said anything does not work.
    pub async fn was_killed(&mut self) -> bool {
        let ended = timeout(HEARD_LATE, self.child.wait()).await;
        matches!(ended, Ok(Ok(status)) if status.code().is_none())
    }

    /// Orders everything to be killed; the last word comes when nothing is left.
    pub async fn kill(&mut self) {
        if let Some(mut orders) = self.orders.take() {
            // If it is gone, so is what hears this.
            let _ = orders.shutdown().await;
        }
    }

    /// The next word, if it comes `within` that time.
    pub async fn word_within(&mut self, within: Duration) -> Option<Word> {
        if let Ok(word) = timeout(within, self.word()).await {
            return word;
        }
        // Who was frozen meanwhile is told of the time before of what came in: that was in time.
        timeout(HEARD_LATE, self.word()).await.unwrap_or_default()
    }

    /// The next word; `None` when the supervisor is gone. Nothing is lost if this is dropped.
    pub async fn word(&mut self) -> Option<Word> {
        let line = self.words.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }
}
