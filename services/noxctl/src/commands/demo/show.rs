//! How the demonstration shows what it found.

use std::{io, time::Duration};

use anyhow::{Context, Result, bail};
use nox_contract::{JobId, RawJson, TenantId, Timestamp};

use super::Demo;
use crate::{output, terminal::say};

/// Lines of a log that are shown; a calculation prints hundreds.
const LINES_MAX: usize = 12;

/// Longest value of a column that is shown, in characters.
const VALUE_CHARS_MAX: usize = 400;

/// How long the row may be behind the log.
const ROW_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Prints a table for people, whatever standard output is: it is no data for programs.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    output::aligned(head, rows).iter().try_for_each(|line| say!("  {line}"))
}

/// Prints the beginning of a text.
pub fn excerpt(text: &str) -> io::Result<()> {
    let lines: Vec<&str> = text.lines().collect();
    for line in lines.iter().take(LINES_MAX) {
        say!("  | {line}")?;
    }
    if lines.len() > LINES_MAX {
        say!("  | … and {} lines more", lines.len() - LINES_MAX)?;
    }
    Ok(())
}

impl Demo {
    /// Prints the job's row, read from Postgres itself, as soon as frame `n` is in it.
    pub async fn row(&self, tenant: &TenantId, id: JobId, n: u64) -> Result<()> {
        let begun = self.clock.monotonic();
        let row = loop {
            let row = self.reader.job(tenant, id).await.context("cannot read Postgres")?;
            if let Some(row) = row.value.filter(|row| row.n.0 >= n) {
                break row;
            }
            if self.clock.monotonic().saturating_sub(begun) > ROW_WITHIN {
                bail!("the row of job {id} does not get to frame {n}");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        let json = |json: &Option<RawJson>| json.as_ref().map(|json| json.get().to_owned());
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let columns = [
            ("id", Some(row.id.to_string())),
            ("tenant", Some(row.tenant.to_string())),
            ("user_id", Some(row.user_id.to_string())),
            ("module", Some(row.module.to_string())),
            ("status", Some(row.status.to_string())),
            ("attempt", Some(row.attempt.to_string())),
            ("inputs", json(&row.inputs)),
            ("outputs", json(&row.outputs)),
            ("requested_resources", Some(serde_json::to_string(&row.requested_resources)?)),
            ("reserved_resources", Some(serde_json::to_string(&row.reserved_resources)?)),
            ("created_at", time(Some(row.created_at))),
            ("started_at", time(row.started_at)),
            ("ended_at", time(row.ended_at)),
            ("error", row.error.map(|error| error.message)),
            ("worker_id", row.worker_id.map(|worker| worker.to_string())),
            ("n", Some(row.n.to_string())),
        ];
        let rows: Vec<_> = columns
            .into_iter()
            .map(|(name, value)| {
                vec![name.to_owned(), value.map_or_else(|| "null".to_owned(), |v| cut(&v))]
            })
            .collect();
        Ok(table(&["column", "value"], &rows)?)
    }
}

fn cut(value: &str) -> String {
    if value.chars().count() <= VALUE_CHARS_MAX {
        return value.to_owned();
    }
    format!("{}…", value.chars().take(VALUE_CHARS_MAX).collect::<String>())
}
