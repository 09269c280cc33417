//! Following events: from a place in the log on, each once and in order, for as long as somebody looks.
//!
//! A viewer goes through the frames that concern what it listens to. The newest are with the hub; what has left
//! there it reads in the log itself: of a job those frames that its row names, else all from its place on. It goes
//! on with the hub where it has come to what is there, and passes nothing twice, for its own place alone says
//! what is next.

mod sees;

use std::sync::Arc;

use bytes::Bytes;
use nox_contract::{
    Entry, EpochRecord, EventFilter, EventType, Fact, FactOrUnknown, FactPlace, FrameNumber, JobId,
    JobState, ProblemCode,
};
use nox_readmodel::{JobRow, query::JOB_FRAMES_MAX};

use self::sees::Known;
use crate::{
    app::App,
    identity::auth::Caller,
    problem::{ApiError, FieldError},
    read::{
        bulk::EventViewer,
        hub::{
            Listener, Look, Topic,
            frame::{HubEntry, HubEvent, HubFrame},
        },
        required::Required,
    },
};

/// Events that are handed out at a time, in bytes; at least those of one entry.
const EVENTS_BYTES: usize = 64 * 1024;

/// Frames that are looked through at a time for something that is wanted.
const LOOKED_MAX: usize = 256;

/// What is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All that the viewer may see.
    All,
    /// One job, which it may see, to its end.
    Job(JobId),
}

/// What comes next.
pub enum Told {
    Events(Vec<Arc<HubEvent>>),
    /// Nothing, until there is [`news`](Following::news).
    Nothing,
    /// Nothing in as many frames as are looked through at a time; there are more.
    Looked,
    /// The job has ended, and everything was told.
    Over,
}

/// A viewer, and how far it is.
pub struct Following {
    caller: Caller,
    scope: Scope,
    wanted: EventFilter,
    listener: Listener,
    /// Everything up to here was told, or is not wanted.
    after: FactPlace,
    known: Known,
    end: JobEnd,
    _viewer: EventViewer,
}

/// Events that are handed out together.
#[derive(Default)]
struct Gathered {
    all: Vec<Arc<HubEvent>>,
    /// Of their JSON.
    bytes: usize,
}

/// Whether the job that is followed has come to its last event.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct JobEnd {
    is_canceled: bool,
    /// Where the last event stands that the job's row knows of.
    last: Option<FrameNumber>,
    is_over: bool,
}

/// Behind all facts of frame `n`.
fn behind(n: FrameNumber) -> FactPlace {
    FactPlace { n, entry: u32::MAX, fact: u32::MAX }
}

/// Behind all facts of an entry.
fn last_of(n: FrameNumber, entry: u32) -> FactPlace {
    FactPlace { n, entry, fact: u32::MAX }
}

impl Following {
    /// Begins behind `after`, or now.
    ///
    /// # Errors
    /// There is no room for one more viewer, or for one more of this user, no such place in the log (any more), or something is away.
    pub async fn begin(
        app: &App,
        caller: Caller,
        scope: Scope,
        wanted: EventFilter,
        after: Option<FactPlace>,
    ) -> Result<Self, ApiError> {
        let viewer = app.bulk.event_viewer((&caller.tenant, &caller.user))?;
        let topic = match scope {
            Scope::All => Topic::Tenant(caller.tenant.clone()),
            Scope::Job(id) => Topic::Job(caller.tenant.clone(), id),
        };
        let listener = app.hub.listen(topic).await?;
        let now = listener.newest();
        let mut following = Self {
            caller,
            scope,
            wanted,
            listener,
            after: after.unwrap_or(behind(now)),
            known: Known::default(),
            end: JobEnd::default(),
            _viewer: viewer,
        };
        if following.after.n > now {
            following.check_that_it_was_reached(app).await?;
        }
        match scope {
            Scope::Job(id) => following.find_end(app, id, now).await?,
            // Said before the answer begins.
            Scope::All => {
                if let Look::Gone(_) = following.listener.look(following.next()) {
                    following.read(app, following.next()).await?;
                }
            }
        }
        Ok(following)
    }

    async fn check_that_it_was_reached(&self, app: &App) -> Result<(), ApiError> {
        let (_, last) = app.bulk.log_now().await?;
        if self.after.n <= last {
            return Ok(());
        }
        let detail = format!("the log ends at frame {last}, and has not come to this place");
        Err(ApiError::invalid(vec![FieldError::new("?after", detail)]))
    }

    /// Finds out whether the job has ended by frame `now`, from rows that have taken that in.
    async fn find_end(&mut self, app: &App, id: JobId, now: FrameNumber) -> Result<(), ApiError> {
        let tenant = self.caller.tenant.clone();
        let read = || app.reader.job(&tenant, id);
        let row = app.barrier.read(&Required::frame(Some(now)), read).await?.value;
        let Some(row) = row.filter(|row| row.status.is_ended()) else { return Ok(()) };
        self.end.is_canceled = row.status == JobState::Canceled;
        let holds = self.end.is_canceled && self.still_holds(app, &row).await;
        self.end.last = (!holds).then_some(row.n);
        Ok(())
    }

    /// Whether a worker has yet to say that a canceled job has stopped: the newest entry says so. If that cannot
    /// be read, what is known is the end.
    async fn still_holds(&self, app: &App, row: &JobRow) -> bool {
        let Ok(Some(frame)) = self.read(app, row.n).await else { return false };
        let mut end = JobEnd { is_canceled: true, ..JobEnd::default() };
        let entries = frame.entries.iter().filter(|of| self.concerns(of));
        entries.filter_map(HubEntry::entry).for_each(|entry| end.hear(entry));
        !end.is_over
    }

    /// The frame that is next.
    fn next(&self) -> FrameNumber {
        let is_whole = self.after == behind(self.after.n);
        if is_whole { self.after.n.next() } else { FrameNumber(self.after.n.0.max(1)) }
    }

    /// Where a viewer may go on that has had everything so far.
    pub fn place(&self) -> FactPlace {
        self.after
    }

    /// What comes next, as far as it is there.
    ///
    /// # Errors
    /// It cannot be read now; whoever goes on from the last event misses nothing.
    pub async fn tell(&mut self, app: &App) -> Result<Told, ApiError> {
        let mut looked = 0;
        loop {
            if looked >= LOOKED_MAX {
                return Ok(Told::Looked);
            }
            let events = match self.listener.look(self.next()) {
                Look::Broken => {
                    let what = "the log is followed no further";
                    return Err(ApiError::new(ProblemCode::Unavailable, what));
                }
                Look::Here(frames, newest) => {
                    let mut events = Gathered::default();
                    looked += frames.len();
                    for frame in &frames {
                        self.gather(app, frame, &mut events).await?;
                        if events.bytes >= EVENTS_BYTES || self.end.is_over {
                            break;
                        }
                    }
                    if events.all.is_empty() && !self.end.is_over {
                        self.pass(newest);
                        if frames.is_empty() {
                            return Ok(self.nothing());
                        }
                        // Others have their turn between many frames.
                        tokio::task::yield_now().await;
                    }
                    events.all
                }
                Look::Gone(gone) => match self.scope {
                    Scope::All => {
                        let n = self.next();
                        looked += 1;
                        match self.read(app, n).await? {
                            Some(frame) => self.events(app, &frame).await?,
                            None => {
                                self.pass(n);
                                Vec::new()
                            }
                        }
                    }
                    Scope::Job(id) => self.of_rows(app, id, gone).await?,
                },
            };
            if !events.is_empty() {
                return Ok(Told::Events(events));
            }
            if self.end.is_over {
                return Ok(Told::Over);
            }
        }
    }

    fn nothing(&self) -> Told {
        let is_over = self.end.last.is_some_and(|last| self.after >= behind(last));
        if is_over { Told::Over } else { Told::Nothing }
    }

    /// Waits for something that concerns the viewer.
    pub async fn news(&mut self) {
        self.listener.news().await;
    }

    fn pass(&mut self, n: FrameNumber) {
        self.after = self.after.max(behind(n));
    }

    /// The next events of a job from those frames that its row names, once that is as new as what has left the hub.
    async fn of_rows(
        &mut self,
        app: &App,
        id: JobId,
        mut gone: FrameNumber,
    ) -> Result<Vec<Arc<HubEvent>>, ApiError> {
        let before = FrameNumber(self.next().0 - 1);
        let tenant = self.caller.tenant.clone();
        let read = || app.reader.job_frames(&tenant, id, before);
        let named = app.barrier.read(&Required::frame(Some(gone)), read).await?;
        let mut named = named.value.unwrap_or_default();
        if named.len() >= JOB_FRAMES_MAX {
            // The row may have forgotten some between.
            named = vec![self.next()];
            gone = self.next();
        }
        for n in named {
            let Some(frame) = self.read(app, n).await? else { continue };
            let events = self.events(app, &frame).await?;
            if !events.is_empty() || self.end.is_over {
                return Ok(events);
            }
        }
        self.pass(gone);
        Ok(Vec::new())
    }

    /// Frame `n` from the log; `None` of the record of a term.
    async fn read(&self, app: &App, n: FrameNumber) -> Result<Option<HubFrame>, ApiError> {
        let place = app.bulk.place().await?;
        let read = |payload: &[u8]| match HubFrame::read(n, &Bytes::copy_from_slice(payload)) {
            Ok(frame) => Ok(Some(frame)),
            Err(_) if serde_json::from_slice::<EpochRecord>(payload).is_ok() => Ok(None),
            Err(error) => Err(error),
        };
        let frame = app.bulk.frame_at(&place, self.listener.log(), n, read).await?;
        frame.map_err(|error| {
            ApiError::internal(anyhow::Error::new(error).context("a frame is not as it should be"))
        })
    }

    fn concerns(&self, of: &HubEntry) -> bool {
        match self.scope {
            Scope::All => sees::may_see(&self.caller, of),
            Scope::Job(id) => of.job_id == Some(id) && of.tenant == self.caller.tenant,
        }
    }

    async fn events(
        &mut self,
        app: &App,
        frame: &HubFrame,
    ) -> Result<Vec<Arc<HubEvent>>, ApiError> {
        let mut events = Gathered::default();
        self.gather(app, frame, &mut events).await?;
        Ok(events.all)
    }

    /// The next events of a frame, and the place behind them.
    async fn gather(
        &mut self,
        app: &App,
        frame: &HubFrame,
        events: &mut Gathered,
    ) -> Result<(), ApiError> {
        if self.wanted.asks_for_labels() {
            self.find_labels(app, frame).await?;
        }
        app.hub.in_turn(|| self.take(frame, events)).await
    }

    /// Finds out of which labels the jobs are that events of the frame may be of: a turn does not last for as long as
    /// rows take.
    async fn find_labels(&mut self, app: &App, frame: &HubFrame) -> Result<(), ApiError> {
        self.known.make_room();
        for (entry, of) in (0..).zip(&frame.entries) {
            if self.has_passed(frame.n, entry) || !self.concerns(of) {
                continue;
            }
            let Some(parsed) = of.entry() else { continue };
            for fact in parsed.known_facts() {
                self.known.hear(parsed, fact);
                if self.may_want(parsed, fact) {
                    self.known.find(app, frame.n, parsed).await?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: &HubFrame, events: &mut Gathered) -> Result<(), ApiError> {
        for (entry, of) in (0..).zip(&frame.entries) {
            if self.has_passed(frame.n, entry) || !self.concerns(of) {
                continue;
            }
            let Some(parsed) = of.entry() else { continue };
            for (fact, known) in (0..).zip(&parsed.facts) {
                let FactOrUnknown::Known(known) = known else { continue };
                let place = FactPlace { n: frame.n, entry, fact };
                if place <= self.after || !self.wants(parsed, known) {
                    continue;
                }
                let event = frame.event(entry, fact).map_err(ApiError::internal)?;
                events.bytes += event.map_or(0, |event| event.json.get().len());
                events.all.extend(event.cloned());
            }
            self.after = last_of(frame.n, entry);
            if let Scope::Job(_) = self.scope {
                self.end.hear(parsed);
            }
            if events.bytes >= EVENTS_BYTES || self.end.is_over {
                return Ok(());
            }
        }
        self.pass(frame.n);
        Ok(())
    }

    fn has_passed(&self, n: FrameNumber, entry: u32) -> bool {
        last_of(n, entry) <= self.after
    }

    /// Whether a fact is wanted, whatever labels its job has.
    fn may_want(&self, entry: &Entry, fact: &Fact) -> bool {
        let event_type = EventType::of(fact);
        event_type.is_some_and(|of| self.wanted.wants_type(of))
            && sees::sees(&self.caller, entry, fact)
    }

    fn wants(&self, entry: &Entry, fact: &Fact) -> bool {
        self.may_want(entry, fact) && self.wanted.wants(entry, fact, self.known.labels(entry))
    }
}

impl JobEnd {
    /// Whether an entry of the job is its last: the one that ends it; of one that is canceled while a worker has
    /// it, the one that says that it has stopped.
    fn hear(&mut self, entry: &Entry) {
        let mut stops = false;
        for fact in entry.known_facts() {
            match fact {
                Fact::Succeeded { .. } | Fact::Failed { .. } | Fact::Rejected(_) => {
                    self.is_over = true;
                }
                Fact::Canceled { .. } => (self.is_canceled, self.is_over) = (true, true),
                Fact::StopRequested { .. } => stops = true,
                Fact::Stopped { .. } | Fact::AttemptLost { .. } if self.is_canceled => {
                    self.is_over = true;
                }
                _ => {}
            }
        }
        if stops {
            self.is_over = false;
        }
    }
}
