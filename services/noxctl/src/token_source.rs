//! Where a command's token comes from, and comes from again when it has ended.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};
use nox_service::Secret;

/// Longest token; a file that is something else should not be sent to anybody.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Where a token is had.
#[derive(Clone)]
pub enum TokenSource {
    /// It is what it is; when it ends, there is no other.
    Fixed(Secret),
    File(PathBuf),
    /// A line of shell that prints it.
    Command(String),
    /// Signed with the secret of the development system in this folder.
    Own {
        folder: PathBuf,
        user: &'static str,
        admin: bool,
    },
}

impl TokenSource {
    /// A token as it is there now.
    ///
    /// # Errors
    /// There is none, or the command failed.
    pub fn fetch(&self) -> Result<String> {
        let token = match self {
            Self::Fixed(token) => return Ok(token.reveal().to_owned()),
            Self::Own { folder, user, admin } => {
                return crate::target::own_token(folder, user, *admin);
            }
            Self::File(path) => fs_err::read_to_string(path)?,
            Self::Command(line) => printed_by(line)?,
        };
        let token = token.trim();
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
            bail!("{} has {} bytes, which is no token", self.name(), token.len());
        }
        Ok(token.to_owned())
    }

    /// Whether another one may be had when this one has ended.
    pub fn is_renewable(&self) -> bool {
        !matches!(self, Self::Fixed(_))
    }

    fn name(&self) -> String {
        match self {
            Self::File(path) => format!("the token file {}", path.display()),
            _ => "what the token command printed".to_owned(),
        }
    }
}

/// What a line of shell prints. It may ask for a password: it has our terminal and our standard error.
fn printed_by(line: &str) -> Result<String> {
    let run = Command::new("sh").args(["-c", line]).stderr(std::process::Stdio::inherit()).output();
    let output = run.context("cannot run the token command")?;
    if !output.status.success() {
        bail!("the token command failed ({})", output.status);
    }
    String::from_utf8(output.stdout).context("the token command printed no text")
}
