//! `nox-gateway`: serves the HTTP API.

use std::process::ExitCode;

fn main() -> ExitCode {
    nox_service::main("nox-gateway", nox_gateway::run)
}
