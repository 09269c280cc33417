use std::process::ExitCode;

fn main() -> ExitCode {
    nox_service::main("nox-projector", nox_projector::run)
}
