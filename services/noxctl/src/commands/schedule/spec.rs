//! What is submitted, and when.

use anyhow::Result;
use serde::Serialize;

use crate::{
    client::{Answer, Client, ClientError},
    commands::job::spec,
};

#[derive(clap::Args)]
pub struct ScheduleSpec {
    /// What it is for, in a few words.
    #[arg(long)]
    name: String,

    /// Minute, hour, day of the month, month and day of the week, or a word such as @daily.
    #[arg(long)]
    cron: String,

    /// As IANA names it; UTC, if not given.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,

    /// What becomes of an occurrence while the job of an earlier one has not ended: skip, allow or queue.
    #[arg(long)]
    overlap: Option<String>,

    /// How late an occurrence may still be submitted after a downtime, in seconds.
    #[arg(long, value_name = "SECONDS")]
    catch_up_s: Option<u32>,

    #[command(flatten)]
    job: spec::JobSpec,
}

/// As it is sent. What is not given is left out, and is the gateway's.
#[derive(Serialize)]
struct Body<'a> {
    name: &'a str,
    cron: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_up_s: Option<u32>,
    job: spec::Body<'a>,
}

impl ScheduleSpec {
    /// Hands it over to `send`.
    pub async fn send<F>(&self, client: &Client, send: impl FnOnce(String) -> F) -> Result<Answer>
    where
        F: Future<Output = Result<Answer, ClientError>>,
    {
        let body = Body {
            name: &self.name,
            cron: &self.cron,
            time_zone: self.time_zone.as_deref(),
            overlap: self.overlap.as_deref(),
            catch_up_s: self.catch_up_s,
            job: self.job.body(client).await?,
        };
        let answer = send(serde_json::to_string(&body)?).await;
        Ok(answer.map_err(|error| self.job.with_hint(error))?)
    }
}
