//! The executor's own process, or the supervisor of one attempt.

use std::process::ExitCode;

fn main() -> ExitCode {
    nox_executor::supervise_if_asked();
    nox_executor::hide_secrets();
    nox_service::main("nox-executor", nox_executor::run)
}
