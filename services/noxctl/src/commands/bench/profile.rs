//! Where processors spend their time, by function: `perf` over the processes that are measured.

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::processes::{self, Named};
use crate::terminal::note;

/// Samples a second and processor, not in step with what happens every millisecond.
const SAMPLES_PER_SECOND: &str = "499";
/// Functions that are shown of each process.
const FUNCTIONS_MAX: usize = 12;
/// Until `perf` has attached itself to all threads.
const ATTACHED_WITHIN: Duration = Duration::from_millis(500);
const FILE: &str = "perf.data";

/// `perf` while it runs.
pub struct Recording {
    perf: Child,
    folder: TempDir,
    /// The name of each process and descendant.
    names: BTreeMap<u32, &'static str>,
}

/// Begins to record `processes` and their descendants; `None`, with a note, where there is no `perf`.
pub async fn record(processes: &[Named]) -> Result<Option<Recording>> {
    if !Command::new("perf")
        .arg("version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
    {
        note!("no profile: there is no `perf` (Debian: linux-perf)");
        return Ok(None);
    }
    let this = std::process::id();
    let mut names = BTreeMap::new();
    for (name, pid) in processes {
        let family = if *pid == this { vec![this] } else { processes::family(*pid)? };
        names.extend(family.into_iter().map(|pid| (pid, *name)));
    }
    let pids: Vec<String> = names.keys().map(u32::to_string).collect();
    let folder = tempfile::tempdir()?;
    let perf = Command::new("perf")
        // The kernel's clock: virtual machines often lend no counters.
        .args(["record", "--quiet", "--event=cpu-clock", "--freq", SAMPLES_PER_SECOND])
        .arg("--output")
        .arg(folder.path().join(FILE))
        .args(["--pid", &pids.join(",")])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run perf")?;
    tokio::time::sleep(ATTACHED_WITHIN).await;
    Ok(Some(Recording { perf, folder, names }))
}

impl Recording {
    /// Ends, and says which functions of each process took most time by themselves.
    pub async fn summary(mut self) -> Result<String> {
        if let Some(pid) = i32::try_from(self.perf.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::INT)?;
        }
        self.perf.wait()?;
        let script = tokio::process::Command::new("perf")
            .args(["script", "--fields", "pid,ip,sym,dso", "--input"])
            .arg(self.folder.path().join(FILE))
            .stdin(Stdio::null())
            .output()
            .await?;
        ensure!(
            script.status.success(),
            "perf script: {}",
            String::from_utf8_lossy(&script.stderr)
        );
        Ok(summary(&String::from_utf8_lossy(&script.stdout), &self.names))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // Where the measurement failed; it has ended otherwise.
        let _ = self.perf.kill();
        let _ = self.perf.wait();
    }
}

/// Counts the samples, a line each: process, address, function, file in parentheses. What a process has
/// begun after the recording did is counted under the name `(begun later)`.
fn summary(script: &str, names: &BTreeMap<u32, &'static str>) -> String {
    let mut counts: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    let mut samples = 0;
    for line in script.lines() {
        let Some((pid, rest)) = line.trim().split_once(char::is_whitespace) else { continue };
        let Some((_, function)) = rest.trim().split_once(char::is_whitespace) else { continue };
        let name =
            pid.parse().ok().and_then(|pid: u32| names.get(&pid)).unwrap_or(&"(begun later)");
        *counts.entry(name).or_default().entry(short(function.trim())).or_default() += 1;
        samples += 1;
    }
    let mut lines =
        vec![format!("{samples} samples; share of each process, then of its functions")];
    for (name, functions) in counts {
        let total: usize = functions.values().sum();
        lines.push(format!("{name}: {:.1} % of all", percent(total, samples)));
        let mut functions: Vec<_> = functions.into_iter().collect();
        functions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (function, count) in functions.into_iter().take(FUNCTIONS_MAX) {
            lines.push(format!("  {:5.1} %  {function}", percent(count, total)));
        }
    }
    lines.join("\n")
}

/// Without the folders of the file.
fn short(function: &str) -> String {
    match function.rsplit_once(" (") {
        Some((function, file)) => {
            let name = file.rsplit_once('/').map_or(file, |(_, name)| name);
            format!("{function} ({name}")
        }
        None => function.to_owned(),
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_stand_under_their_process_the_hottest_first() {
        let script = "  7  ffff1 cold (/x)\n  7  ffff2 hot::<A, B> (/x)\n  7  ffff2 hot::<A, B> (/x)\n  9  ff a (/y/z)\n";
        let shown = summary(script, &BTreeMap::from([(7, "scheduler")]));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "4 samples; share of each process, then of its functions",
                "(begun later): 25.0 % of all",
                "  100.0 %  a (z)",
                "scheduler: 75.0 % of all",
                "   66.7 %  hot::<A, B> (x)",
                "   33.3 %  cold (x)",
            ]
        );
    }
}
