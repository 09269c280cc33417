use std::process::ExitCode;

fn main() -> ExitCode {
    nox_service::main("nox-scheduler", nox_scheduler::run)
}
