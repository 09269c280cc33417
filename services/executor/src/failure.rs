//! How an attempt fails: one function for each way, so that the codes stand in one place.

use nox_contract::{AttemptEnd, HandBack, JobError};

/// Longest message of an error, in bytes; it travels with every other report.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// How much of the ends of stdout and stderr a message quotes, in bytes. Engines say what went wrong
/// on either, and on stderr often more.
const STDOUT_BYTES: usize = 1024;
const STDERR_BYTES: usize = 2 * 1024;

/// Signals by which a program ends that did something wrong, and does it again when it is run again:
/// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
const COMES_AGAIN: [i32; 7] = [4, 5, 6, 7, 8, SIGSEGV, 31];

pub const SIGSEGV: i32 = 11;

/// The code of what was ended because somebody asked for that.
pub const KILLED: &str = "killed";

/// An attempt that was no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub error: JobError,
    /// Another attempt may go better.
    pub retryable: bool,
    /// Nobody knows how it ended: it is tried again whatever its module says.
    pub crashed: bool,
    /// This machine could not run it: it is another's to run, and no failure of the job.
    pub handed_back: bool,
}

impl Failure {
    fn new(code: &str, message: impl Into<String>) -> Self {
        let message = clean(&message.into());
        let error = JobError { code: code.to_owned(), message, exit_status: None };
        Self { error, retryable: false, crashed: false, handed_back: false }
    }

    fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// The same, said to be of an attempt whose log has lost so many bytes.
    pub fn with_log_bytes_lost(mut self, bytes: u64) -> Self {
        if bytes > 0 {
            let lost = format!("; {bytes} bytes of its log are lost");
            let message = &mut self.error.message;
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX - lost.len()));
            message.push_str(&lost);
        }
        self
    }

    /// The same with what the program said last.
    pub fn quoting(mut self, stdout: &[u8], stderr: &[u8]) -> Self {
        self.error.message = clean(&with_ends(self.error.message, stdout, stderr));
        self
    }

    /// The same, said in a sentence first; `retry` says whether another attempt may go better.
    pub fn explained(mut self, sentence: &str, retry: bool) -> Self {
        self.error.message = clean(&format!("{sentence}; {}", self.error.message));
        self.retryable &= retry;
        self
    }

    /// The inputs cannot be put into the command line or the files.
    pub fn input_invalid(message: impl Into<String>) -> Self {
        Self::new("input_invalid", message)
    }

    /// Nothing was run, for want of something that any attempt needs.
    pub fn cannot_run(message: impl Into<String>) -> Self {
        Self { handed_back: true, ..Self::new("spawn", message) }
    }

    /// Nothing was run: there is something wrong with this module or job here.
    pub fn spawn(message: impl Into<String>) -> Self {
        Self::new("spawn", message).retryable()
    }

    /// The program itself says that it failed.
    pub fn exit_status(status: i32, hint: &str, stdout: &[u8], stderr: &[u8]) -> Self {
        let message = with_ends(format!("exit status {status}{hint}"), stdout, stderr);
        let mut failure = Self::new("exit_status", message);
        failure.error.exit_status = Some(status);
        failure.retryable()
    }

    /// A signal ended the program: a failure like another, for it is the program's own. What the
    /// program did to itself it would do again, and so it is not tried again.
    pub fn crashed(signal: i32, hint: &str, stdout: &[u8], stderr: &[u8]) -> Self {
        let message = format!("ended by signal {signal}{}{hint}", signal_name(signal));
        let failure = Self::new("crashed", with_ends(message, stdout, stderr));
        if COMES_AGAIN.contains(&signal) { failure } else { failure.retryable() }
    }

    /// The program took more than it may, or tried to; `advice` says what to ask for.
    pub fn limit(code: &str, advice: impl Into<String>) -> Self {
        Self::new(code, advice)
    }

    /// Somebody killed the supervisor, and so nobody knows how the program ended.
    pub fn supervisor_gone() -> Self {
        let failure = Self::new("crashed", "the attempt's supervisor was killed");
        Self { crashed: true, ..failure.retryable() }
    }

    /// A defect of this executor's ended it, wherever it stood.
    pub fn defect() -> Self {
        Self { crashed: true, ..Self::new("crashed", "the executor failed").retryable() }
    }

    /// It ran for longer than it asked for.
    pub fn wall_time(seconds: u32) -> Self {
        Self::new(
            "wall_time",
            format!(
                "ended after the {seconds} s that it asked for; if it needs longer, ask for more \
                 `wall_time_s`"
            ),
        )
    }

    /// It was ended because somebody asked for that.
    pub fn killed() -> Self {
        Self::new(KILLED, "ended on request")
    }

    /// It ended well and did not write what it promises.
    pub fn output_missing(message: impl Into<String>) -> Self {
        Self::new("output_missing", message)
    }

    /// It ended well, but what it wrote is not what it promises.
    pub fn output_invalid(message: impl Into<String>) -> Self {
        Self::new("output_invalid", message)
    }

    /// Its files could not be kept.
    pub fn artifacts(message: impl Into<String>) -> Self {
        Self::new("artifact_store", message).retryable()
    }

    /// What a builtin was asked to do.
    pub fn on_request(crashed: bool) -> Self {
        let (code, status) = if crashed { ("crashed", None) } else { ("exit_status", Some(1)) };
        let mut failure = Self::new(code, "the inputs ask for it").retryable();
        failure.error.exit_status = status;
        Self { crashed, ..failure }
    }
}

impl From<Failure> for AttemptEnd {
    fn from(failure: Failure) -> Self {
        let Failure { error, retryable, crashed, handed_back } = failure;
        if handed_back {
            return Self::HandedBack(HandBack::CannotRun { reason: error.message });
        }
        Self::Failed { error, retryable, crashed }
    }
}

/// What a signal says to whoever knows no numbers.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (illegal instruction)",
        6 => " (it ended itself: abort)",
        7 => " (bus error)",
        8 => " (arithmetic error)",
        9 => " (killed)",
        SIGSEGV => " (invalid memory access)",
        15 => " (terminated)",
        31 => " (forbidden system call)",
        _ => "",
    }
}

/// Adds what a program said last, on stdout first: there are the reasons, on stderr what followed.
fn with_ends(mut message: String, stdout: &[u8], stderr: &[u8]) -> String {
    for (name, bytes, most) in [("stdout", stdout, STDOUT_BYTES), ("stderr", stderr, STDERR_BYTES)]
    {
        let end = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(most)..]);
        if !end.trim().is_empty() {
            message += &format!("; the end of {name}: {}", end.trim());
        }
    }
    message
}

/// What a program printed must not become more than text: no control characters but line breaks, and
/// no more than fits.
fn clean(message: &str) -> String {
    let mut clean = String::with_capacity(message.len().min(MESSAGE_BYTES_MAX));
    for c in message.chars() {
        if clean.len() + c.len_utf8() > MESSAGE_BYTES_MAX {
            break;
        }
        clean.push(if c.is_control() && c != '\n' { ' ' } else { c });
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_printed_is_only_text_in_its_error() {
        let failure = Failure::exit_status(3, "", b" \n", b"\x1b[31mred\0\xff\r\nline\n\n");
        let message = "exit status 3; the end of stderr:  [31mred \u{fffd} \nline";
        assert_eq!(failure.error.message, message);
        assert_eq!(failure.error.exit_status, Some(3));
        let long = Failure::output_invalid("€".repeat(9_999));
        assert!(long.error.message.len() <= MESSAGE_BYTES_MAX);
        let long = long.with_log_bytes_lost(7);
        assert!(long.error.message.len() <= MESSAGE_BYTES_MAX);
        assert!(long.error.message.ends_with("€; 7 bytes of its log are lost"));
    }
}
