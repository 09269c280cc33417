//! Stays with a job until it has ended.

use std::time::Duration;

use anyhow::Result;
use nox_contract::{FrameNumber, JobId};
use nox_service::Clock;
use nox_streams::LogText;
use serde_json::value::RawValue;

use crate::{
    client::{Client, ClientError},
    exit::Exit,
    output::Output,
    terminal::note,
    views::{Events, Job, LogChunk, Logs},
};

/// Between two looks: short at first, for short jobs; then so that nobody is a burden.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(25);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(500);

/// How long a gateway that does not answer is asked again: it may be restarting.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The command that follows how a job stands, and nothing that it has printed.
pub const WATCH: &str = "watch";

/// What a command is told that prints what comes of a job bit by bit.
#[derive(clap::Args)]
pub struct Args {
    id: JobId,

    /// Stay until the job has ended.
    #[arg(short, long)]
    follow: bool,

    /// Only what came after this place, as an earlier command named it.
    #[arg(long, default_value_t = 0)]
    after: u64,
}

impl Args {
    /// Prints what is there of `what`, and all that comes until the job has ended if that is asked for.
    /// `print` prints what came after a place, 0 for the beginning, and returns where to go on.
    pub async fn print(
        self,
        client: &Client,
        output: Output,
        what: &'static str,
        print: impl AsyncFn(&Client, JobId, u64, Output) -> Result<u64>,
    ) -> Result<Exit> {
        let mut after = self.after;
        let output = if self.follow { output.streaming() } else { output };
        if self.follow {
            Follow::new(client, self.id)
                .resumed_by(what)
                .until_ended(None, None, async |_, _, place| {
                    after = print(client, self.id, after, output).await?;
                    *place = after;
                    Ok(())
                })
                .await?;
        }
        print(client, self.id, after, output).await?;
        Ok(Exit::Done)
    }
}

/// A job that is looked at again and again.
pub struct Follow<'a> {
    client: &'a Client,
    id: JobId,
    clock: Clock,
    /// Whether the gateway has answered before.
    heard: bool,
    /// Since it last answered.
    silent_since: Option<Duration>,
    pause: Duration,
    /// Whether the token was renewed since all went well.
    renewed: bool,
    /// What of the job is followed: `noxctl job <this> --follow` goes on with it.
    what: &'static str,
}

impl<'a> Follow<'a> {
    pub fn new(client: &'a Client, id: JobId) -> Self {
        let clock = Clock::system();
        let pause = LOOK_AGAIN_MIN;
        let (heard, silent_since, renewed) = (false, None, false);
        Self { client, id, clock, heard, silent_since, pause, renewed, what: "logs" }
    }

    /// The same where something else than what the job prints is followed.
    pub fn resumed_by(self, what: &'static str) -> Self {
        Self { what, ..self }
    }

    /// The same for a job that the gateway has just taken in.
    pub fn admitted(client: &'a Client, id: JobId) -> Self {
        Self { heard: true, ..Self::new(client, id) }
    }

    /// The job as it is now, with frame `n` in it; `None` if that is not known right now.
    ///
    /// # Errors
    /// There is no such job, or the gateway has been silent for too long. One that never answered is
    /// not waited for: it is not there, or the address is wrong.
    pub async fn look(&mut self, n: Option<FrameNumber>) -> Result<Option<Job>, ClientError> {
        let query = n.map(|n| format!("?n={n}")).unwrap_or_default();
        let error = match self.client.read(&format!("/jobs/{}{query}", self.id)).await {
            Ok(job) => {
                self.heard = true;
                self.silent_since = None;
                return Ok(Some(job));
            }
            Err(error) => error,
        };
        let passes = match &error {
            ClientError::Refused(problem) => matches!(problem.status, 429 | 503),
            ClientError::Unreachable { .. } => self.heard,
            _ => false,
        };
        let now = self.clock.monotonic();
        let since = *self.silent_since.get_or_insert_with(|| {
            if passes {
                note!("{error}\n  asked again for {} s", TIMEOUT.as_secs());
            }
            now
        });
        if passes && now.saturating_sub(since) < TIMEOUT { Ok(None) } else { Err(error) }
    }

    /// Whether the token had ended, and another one was had. Once: whoever hands out tokens that have
    /// ended would be asked for ever.
    fn goes_on_after(&mut self, error: &ClientError) -> Result<bool> {
        if self.renewed || !self.client.renews_token(error)? {
            return Ok(false);
        }
        note!("the token has ended; {} is followed with a fresh one", self.id);
        self.renewed = true;
        Ok(true)
    }

    /// Waits a little; a little longer each time.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 3 / 2).min(LOOK_AGAIN_MAX);
    }

    /// Looks until the job has ended, and tells `see` each time how it stands, and whether otherwise
    /// than before; `see` notes the place up to which it has seen what is followed. Ends when `timeout`
    /// is over, with the job as it was seen last, if it was; also while the gateway is silent.
    ///
    /// # Errors
    /// As [`look`](Self::look) and `see`; then says that the job goes on, and how to follow it again.
    pub async fn until_ended(
        self,
        n: Option<FrameNumber>,
        timeout: Option<Duration>,
        see: impl AsyncFnMut(&Job, bool, &mut u64) -> Result<()>,
    ) -> Result<Option<Job>> {
        let (id, what, heard) = (self.id, self.what, self.heard);
        let mut seen = Seen { job: None, place: 0 };
        let ended = self.look_until_ended(n, timeout, &mut seen, see).await;
        let after = if seen.place > 0 { format!(" --after {}", seen.place) } else { String::new() };
        match &seen.job {
            _ if !ended.as_ref().is_err_and(is_of_the_gateway) => {}
            Some(job) if job.state.is_ended() && what == WATCH => {}
            Some(job) if job.state.is_ended() => {
                note!("{id} has ended; `noxctl job {what}{after} {id}` shows the rest");
            }
            // Of one that nobody has heard of, nothing can be said.
            None if !heard => {}
            // What has no places is followed by itself.
            Some(_) | None if what == WATCH => {
                note!(
                    "{id} goes on without this command; `noxctl job watch {id}` follows it again"
                );
            }
            Some(_) | None => note!(
                "{id} goes on without this command; `noxctl job {what} --follow{after} {id}` \
                 follows it again"
            ),
        }
        ended.map(|()| seen.job)
    }

    async fn look_until_ended(
        mut self,
        n: Option<FrameNumber>,
        timeout: Option<Duration>,
        seen: &mut Seen,
        mut see: impl AsyncFnMut(&Job, bool, &mut u64) -> Result<()>,
    ) -> Result<()> {
        let begun = self.clock.monotonic();
        let left = |clock: &Clock| {
            let gone = clock.monotonic().saturating_sub(begun);
            timeout.map_or(Duration::MAX, |timeout| timeout.saturating_sub(gone))
        };
        let mut n = n;
        loop {
            let within = left(&self.clock);
            let looked = tokio::time::timeout(within, self.look(n)).await.unwrap_or(Ok(None));
            let looked = match looked {
                Err(error) if self.goes_on_after(&error)? => continue,
                looked => looked?,
            };
            if let Some(job) = looked {
                n = None;
                let changed = seen.job.as_ref().map(Job::standing) != Some(job.standing());
                if changed {
                    self.pause = LOOK_AGAIN_MIN;
                }
                // It may ask the gateway, too.
                let seeing = see(&job, changed, &mut seen.place);
                let saw = tokio::time::timeout(left(&self.clock), seeing).await.unwrap_or(Ok(()));
                if let Err(error) = &saw
                    && let Some(error) = error.downcast_ref()
                    && self.goes_on_after(error)?
                {
                    // It has printed nothing of this turn, and does the next time.
                    continue;
                }
                self.renewed = false;
                let ended = job.state.is_ended();
                seen.job = Some(job);
                saw?;
                if ended {
                    return Ok(());
                }
            }
            let left = left(&self.clock);
            if left.is_zero() {
                return Ok(());
            }
            // An error says that it is late now, which the next turn sees.
            let _ = tokio::time::timeout(left, self.pause()).await;
        }
    }
}

/// How far a job was seen.
struct Seen {
    job: Option<Job>,
    /// Up to where what is followed was printed.
    place: u64,
}

/// Whether it is the gateway's, rather than of whoever reads what is printed.
fn is_of_the_gateway(error: &anyhow::Error) -> bool {
    error.is::<ClientError>()
}

/// All that a job has printed after chunk `after`, and where to go on.
pub async fn logs(
    client: &Client,
    id: JobId,
    mut after: u64,
) -> Result<(Vec<Box<RawValue>>, u64), ClientError> {
    let mut chunks = Vec::new();
    loop {
        let page: Logs = client.read(&format!("/jobs/{id}/logs?after={after}")).await?;
        after = page.next.unwrap_or(after);
        if page.chunks.is_empty() {
            return Ok((chunks, after));
        }
        chunks.extend(page.chunks);
    }
}

/// What the job printed in the raw `chunks`, byte for byte, with a line where something is missing.
pub fn printed(chunks: &[Box<RawValue>], shown: &mut LogText) -> Result<Vec<u8>, ClientError> {
    let unreadable = |error: &dyn std::fmt::Display| ClientError::Unreadable(error.to_string());
    let mut all = Vec::new();
    for chunk in chunks {
        let chunk: LogChunk = serde_json::from_str(chunk.get()).map_err(|e| unreadable(&e))?;
        let (missing, stream) = (chunk.missing, chunk.stream.clone());
        let bytes = chunk.bytes().map_err(|e| unreadable(&e))?;
        all.extend(shown.with_gap(missing, &stream, &bytes));
    }
    Ok(all)
}

/// All entries of a job in the frames after `after`, and the number of the last frame.
pub async fn events(
    client: &Client,
    id: JobId,
    mut after: u64,
) -> Result<(Events, u64), ClientError> {
    let mut all = Events { events: Vec::new(), next: None };
    loop {
        let page: Events = client.read(&format!("/jobs/{id}/events?after={after}")).await?;
        after = page.next.unwrap_or(after);
        if page.events.is_empty() {
            return Ok((all, after));
        }
        all.events.extend(page.events);
    }
}
