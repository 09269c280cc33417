//! A program of ours as a child: a service that is measured or tried out by itself.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use crate::process::Process;

/// A service finishes what it has in hand in 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// A running program. Dropping it kills it, and so does the end of this process.
pub struct Program(Process);

impl Program {
    /// Runs `command`, whose paths must be absolute, with its output appended to the file `log`.
    ///
    /// # Errors
    /// The log cannot be written, or the program cannot be run.
    pub fn start(command: Command, log: &Path) -> Result<Self> {
        Ok(Self(Process::spawn(command, log, Signal::KILL, None)?))
    }

    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.0.ended()
    }

    /// The last lines that it wrote.
    pub fn said(&self) -> String {
        self.0.said()
    }

    /// `kill -9`; it has ended when this returns.
    pub fn kill9(&mut self) {
        self.0.kill();
    }

    /// Stops it in its tracks, connections open, until [`thaw`](Self::thaw).
    pub fn freeze(&mut self) {
        self.0.freeze();
    }

    /// Lets it go on after [`freeze`](Self::freeze), or after it stopped by itself.
    pub fn thaw(&mut self) {
        self.0.signal(Signal::CONT);
    }

    /// Stops it and all that it started in their tracks, until [`thaw_all`](Self::thaw_all).
    pub fn freeze_all(&mut self) {
        self.0.freeze_all();
    }

    pub fn thaw_all(&mut self) {
        self.0.thaw_all();
    }

    /// Asks it to stop; after 15 s it is killed.
    pub async fn stop(self) {
        self.0.stop(Signal::TERM, STOP_WITHIN).await;
    }
}
