//! How an attempt fails that ran into one of its limits: a code for each, and a sentence that says what
//! to ask for.

use nox_contract::Resources;

use crate::{
    failure::{Failure, SIGSEGV},
    sandbox::{Exit, KilledFor, Limits},
};

const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

/// What a shell adds to the number of the signal that ended what it ran.
const SHELL_SIGNALS: i32 = 128;

const MIB: u64 = 1 << 20;

/// What an attempt was given.
#[derive(Debug, Clone, Copy)]
pub struct Given<'g> {
    pub resources: &'g Resources,
    pub limits: &'g Limits,
}

impl Given<'_> {
    /// The failure of what was ended for a limit; `asked` is that of what somebody asked for.
    pub fn killed_for(&self, reason: KilledFor, asked: Failure) -> Failure {
        let Self { resources, limits } = self;
        match reason {
            KilledFor::Order => asked,
            KilledFor::WallTime => Failure::wall_time(resources.wall_time_s),
            KilledFor::CpuTime => self.cpu_time(),
            KilledFor::Memory => Failure::limit(
                "oom",
                format!(
                    "it took more than its {} MiB of memory, shared memory and files in /dev/shm and \
                     /tmp included; if it needs more, ask for more `mem_mb`",
                    resources.mem_mb
                ),
            ),
            KilledFor::Processes => Failure::limit(
                "processes",
                format!(
                    "it had more than {} processes and threads at a time; if it needs more, the module \
                     must allow more `limits.processes_max`",
                    limits.processes
                ),
            ),
            KilledFor::Disk => Failure::limit(
                "disk",
                format!(
                    "its files took more than {} MiB together; if it needs more, the module must allow \
                     more `limits.disk_mb`",
                    limits.disk_bytes / MIB
                ),
            ),
            KilledFor::Files => Failure::limit(
                "files",
                format!(
                    "it made more than {} files and folders; if it needs more, the module must allow \
                     more `limits.files_max`",
                    limits.files
                ),
            ),
        }
    }

    fn cpu_time(&self) -> Failure {
        Failure::limit(
            "cpu_time",
            format!(
                "it was on processors for more than {} s, {} cores for {} s and some spare; ask for \
                 more `cpu` if it uses more cores, else for more `wall_time_s`",
                self.limits.cpu_seconds, self.resources.cpu, self.resources.wall_time_s
            ),
        )
    }

    fn file_size(&self) -> Failure {
        Failure::limit(
            "file_size",
            format!(
                "it wrote a file of more than {} MiB; if it needs larger ones, the module must allow \
                 more `limits.file_mb`",
                self.limits.file_bytes / MIB
            ),
        )
    }

    /// The failure of a program that ended otherwise than well: of a limit, where the signal or what it
    /// printed last says so.
    pub fn ended(&self, exit: Exit, stdout: &[u8], stderr: &[u8]) -> Failure {
        let said = |text: &str| contains(stderr, text) || contains(stdout, text);
        let signal = match exit {
            Exit::Signal(signal) => signal,
            Exit::Status(status) if said("Too many open files") => {
                let open_files = self.limits.open_files;
                return Failure::limit(
                    "open_files",
                    format!(
                        "exit status {status}; it had {open_files} files open at a time; if it needs \
                         more, the module must allow more `limits.open_files_max`"
                    ),
                );
            }
            Exit::Status(_) if said("Cannot fork") || said("fork: Resource temporarily") => {
                return self.killed_for(KilledFor::Processes, Failure::killed());
            }
            Exit::Status(_) if said("File too large") || said("File size limit exceeded") => {
                return self.file_size();
            }
            Exit::Status(status) => {
                return Failure::exit_status(
                    status,
                    &self.hint(status - SHELL_SIGNALS),
                    stdout,
                    stderr,
                );
            }
        };
        match signal {
            SIGXCPU => self.cpu_time(),
            SIGXFSZ => self.file_size(),
            signal => Failure::crashed(signal, &self.hint(signal), stdout, stderr),
        }
    }

    /// What else there is to say of a signal.
    fn hint(&self, signal: i32) -> String {
        if signal != SIGSEGV {
            return String::new();
        }
        match self.limits.stack_bytes {
            Some(bytes) => format!(
                "; its stack of {} MiB may have been too small: the module can allow more \
                 `limits.stack_mb`, or none for as much as the machine gives",
                bytes / MIB
            ),
            None => {
                "; its stack was as large as the machine gives, so it is either wrong, or needs \
                     more stack for its threads: see `OMP_STACKSIZE`"
                    .to_owned()
            }
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCES: Resources = Resources { cpu: 2, mem_mb: 64, wall_time_s: 20, gpu: 0 };

    fn limits(stack_bytes: Option<u64>) -> Limits {
        Limits {
            wall_seconds: 20,
            cpu_seconds: 50,
            memory_bytes: 64 << 20,
            disk_bytes: 1 << 30,
            file_bytes: 1 << 29,
            files: 1_000,
            open_files: 64,
            processes: 32,
            stack_bytes,
            shm_bytes: 1 << 20,
            tmp_bytes: 1 << 20,
        }
    }

    #[test]
    fn every_limit_has_its_own_code_and_says_what_to_ask_for() {
        let limits = limits(None);
        let given = Given { resources: &RESOURCES, limits: &limits };
        for (reason, code, ask) in [
            (KilledFor::WallTime, "wall_time", "`wall_time_s`"),
            (KilledFor::CpuTime, "cpu_time", "`cpu`"),
            (KilledFor::Memory, "oom", "`mem_mb`"),
            (KilledFor::Processes, "processes", "`limits.processes_max`"),
            (KilledFor::Disk, "disk", "`limits.disk_mb`"),
            (KilledFor::Files, "files", "`limits.files_max`"),
        ] {
            let failure = given.killed_for(reason, Failure::killed());
            assert_eq!(failure.error.code, code);
            assert!(failure.error.message.contains(ask), "{failure:?}");
            assert!(!failure.retryable, "{failure:?}");
        }
        assert_eq!(given.killed_for(KilledFor::Order, Failure::killed()), Failure::killed());
    }

    #[test]
    fn what_ended_a_program_is_told_by_its_signal_and_its_last_words() {
        let limits = limits(Some(8 << 20));
        let given = Given { resources: &RESOURCES, limits: &limits };
        for (exit, stderr, code, says, retryable) in [
            (Exit::Signal(24), "", "cpu_time", "`wall_time_s`", false),
            (Exit::Signal(25), "", "file_size", "`limits.file_mb`", false),
            (Exit::Status(1), "OSError: [Errno 27] File too large", "file_size", "512 MiB", false),
            (Exit::Status(2), "sh: 0: Cannot fork", "processes", "than 32", false),
            (Exit::Status(1), "x: Too many open files\n", "open_files", "64 files", false),
            (Exit::Signal(11), "", "crashed", "stack of 8 MiB may have been", false),
            (Exit::Status(139), "", "exit_status", "stack of 8 MiB may have been", true),
            (Exit::Signal(6), "", "crashed", "signal 6 (it ended itself", false),
            (Exit::Signal(9), "", "crashed", "signal 9 (killed)", true),
            (
                Exit::Status(3),
                "oops",
                "exit_status",
                "exit status 3; the end of stderr: oops",
                true,
            ),
        ] {
            let failure = given.ended(exit, b"", stderr.as_bytes());
            assert_eq!((&*failure.error.code, failure.retryable), (code, retryable), "{exit:?}");
            assert!(failure.error.message.contains(says), "{failure:?}");
        }
    }
}
