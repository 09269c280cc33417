use std::process::ExitCode;

fn main() -> ExitCode {
    nox_service::main("nox-notifier", nox_notifier::run)
}
