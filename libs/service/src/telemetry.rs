//! Logs, on standard error: standard output belongs to what a command was asked for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// `tracing` directives.
const FILTER: &str = "NOX_LOG";
/// Those of a service that is told nothing.
const FILTER_DEFAULT: &str = "info";
/// `pretty` or `json`; if unset, pretty for a terminal and JSON lines for everything else.
const FORMAT: &str = "NOX_LOG_FORMAT";

/// Starts logging as `NOX_LOG` and `NOX_LOG_FORMAT` say. Later calls in a process change nothing.
pub fn init() {
    init_with(FILTER_DEFAULT);
}

/// As [`init`], with `filter` where `NOX_LOG` is unset: a command that people type says less.
pub fn init_with(filter: &str) {
    let filter = std::env::var(FILTER).unwrap_or_else(|_| filter.to_owned());
    let format = std::env::var(FORMAT).unwrap_or_default();
    let terminal = std::io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        // It would be told by a macro that panics, on the same full disk: no service ends for its log.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    let pretty = match format.as_str() {
        "pretty" => true,
        "json" => false,
        _ => terminal,
    };
    // An error says that this process logs already.
    let _ = if pretty { logs.try_init() } else { logs.json().flatten_event(true).try_init() };
}
