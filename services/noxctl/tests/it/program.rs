//! Runs `noxctl` and looks at what it does.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// `noxctl` without anything that the shell around the tests has set for it.
pub fn noxctl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_noxctl"));
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("NOX_") && name != "NOX_TOOLS" || name.ends_with("_URL") {
            command.env_remove(variable);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// What a command that has ended left.
#[derive(Debug)]
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let status = output.status.code().unwrap_or(-1);
        Self { status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    /// The standard output of a command that ended with `status`.
    #[track_caller]
    pub fn with(self, status: i32) -> String {
        assert_eq!(self.status, status, "{self:?}");
        self.stdout
    }

    /// The standard output as JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.with(0)).unwrap()
    }
}

/// Runs `command` to its end.
pub fn run(mut command: Command) -> Ended {
    command.output().unwrap().into()
}
