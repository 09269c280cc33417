//! What the measurements were made on.

use std::{fmt, fs, thread::available_parallelism};

use anyhow::Result;
use serde::Serialize;

/// The machine and the servers.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    cores: usize,
    processor: String,
    memory_mib: u64,
    kernel: String,
    nats_server: String,
    postgres: String,
}

pub fn describe() -> Result<Machine> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let field = |path, name: &str| {
        let text = read(path);
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
    };
    let memory = field("/proc/meminfo", "MemTotal");
    let kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    Ok(Machine {
        cores: available_parallelism()?.get(),
        processor: field("/proc/cpuinfo", "model name"),
        memory_mib: kib / 1024,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        nats_server: nox_devkit::tools::nats_server()?.version.to_string(),
        postgres: nox_devkit::tools::postgres()?.version.to_string(),
    })
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, processor, memory_mib, kernel, nats_server, postgres } = self;
        write!(
            f,
            "{cores} cores ({processor}), {memory_mib} MiB, Linux {kernel}; nats-server \
             {nats_server}, Postgres {postgres}; one replica, everything and the load on this machine"
        )
    }
}
