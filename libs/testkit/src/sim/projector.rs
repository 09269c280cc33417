//! A projector process and its database: the real reader, the real fold of jobs, and a checkpoint
//! that moves by compare-and-set in the transaction of the rows.

use std::collections::BTreeMap;

use nox_contract::{Chain, Entity, Frame, FrameNumber, JobId};
use nox_core::job::Job;
use nox_protocol::{Reader, Record};

use super::{
    broker::Subscription,
    faults::Fault,
    wire::{Happening, MS, Micros, Party, Wire},
};

/// Postgres: a transaction happens or does not.
#[derive(Debug, Clone, Default)]
pub struct Store {
    /// The checkpoint.
    place: Reader,
    pub jobs: BTreeMap<JobId, Job>,
    /// Commits so far, and by which projector the last one was.
    pub by: Option<usize>,
}

impl Store {
    pub fn n(&self) -> FrameNumber {
        self.place.n()
    }

    pub fn chain(&self) -> Chain {
        self.place.chain()
    }
}

/// What is read and not yet committed.
struct Batch {
    base: Reader,
    reader: Reader,
    frames: Vec<Frame>,
}

pub struct Projector {
    pub id: usize,
    pub life: u64,
    pub frozen_until: Micros,
    position: Option<Reader>,
    batch: Option<Batch>,
    attached: u64,
    pub stopped: Option<String>,
}

impl Projector {
    pub fn new(id: usize) -> Self {
        Self {
            id,
            life: 0,
            frozen_until: 0,
            position: None,
            batch: None,
            attached: 0,
            stopped: None,
        }
    }

    fn party(&self) -> Party {
        Party::Projector(self.id)
    }

    pub fn die(&mut self, wire: &mut Wire) {
        if self.stopped.is_some() {
            return;
        }
        wire.note(format_args!("projector-{} dies", self.id));
        self.life += 1;
        self.position = None;
        self.batch = None;
        wire.broker.readers.remove(&self.id);
        let at = wire.now + wire.between(10, 2_000) * MS;
        wire.schedule(at, self.party(), self.life, Happening::Start);
    }

    fn stop(&mut self, why: String, wire: &mut Wire) {
        wire.note(format_args!("projector-{} stops: {why}", self.id));
        if !wire.disaster_struck {
            wire.oracle.fail(format!("projector-{} stopped, and nothing was lost: {why}", self.id));
        }
        self.life += 1;
        wire.broker.readers.remove(&self.id);
        self.stopped = Some(why);
    }

    pub fn on(&mut self, happening: &Happening, wire: &mut Wire) {
        match happening {
            Happening::Start => {
                let at = wire.now + wire.between(1, 20) * MS;
                wire.schedule(at, self.party(), self.life, Happening::Loaded);
            }
            Happening::Loaded => {
                self.position = Some(wire.store.place);
                self.attached = wire.connection(self.party()).wrapping_sub(1);
                let subscription =
                    Subscription { life: self.life, term: 0, told: [true; 2], beat_at: 0 };
                wire.broker.readers.insert(self.id, subscription);
                wire.schedule(wire.now, self.party(), self.life, Happening::Fetch);
            }
            Happening::Fetch => self.fetch(wire),
            Happening::Commit => self.commit(wire),
            _ => {}
        }
    }

    fn fetch(&mut self, wire: &mut Wire) {
        if let Some(reader) = wire.broker.readers.get_mut(&self.id) {
            reader.told[0] = false;
        }
        if self.batch.is_some() {
            return;
        }
        let Some(position) = self.position else { return };
        if !wire.is_connected(self.party()) {
            let at = wire.now + 50 * MS;
            return wire.schedule(at, self.party(), self.life, Happening::Fetch);
        }
        let connection = wire.connection(self.party());
        if self.attached != connection {
            let last = wire.broker.log_last();
            if let Err(error) =
                nox_protocol::reader::check_position("log", "log", position.n().0, last)
            {
                return self.stop(error.to_string(), wire);
            }
            self.attached = connection;
        }
        let max = wire.between(1, 60) as usize;
        let Some(records) = wire.read_joined(position.n().0 + 1, max) else { return };
        if records.is_empty() {
            return;
        }
        let (mut reader, mut frames) = (position, Vec::new());
        for (_, subject, payload) in records {
            match reader.read(&subject, &payload) {
                Ok(Record::Frame(frame)) => frames.push(*frame),
                Ok(Record::Epoch(_)) => {}
                Err(error) => return self.stop(error.to_string(), wire),
            }
        }
        self.batch = Some(Batch { base: position, reader, frames });
        let at = wire.now + wire.between(1, 30) * MS;
        wire.schedule(at, self.party(), self.life, Happening::Commit);
    }

    fn commit(&mut self, wire: &mut Wire) {
        let Some(batch) = self.batch.take() else { return };
        if wire.strikes(Fault::ProjectorCrash) {
            return self.die(wire);
        }
        if wire.store.place != batch.base {
            // Another projector is alive; it was started again, or two were by mistake.
            wire.note(format_args!("projector-{} finds another one alive", self.id));
            if wire.store.by == Some(self.id) {
                wire.oracle.fail("the checkpoint moved under its only projector".to_owned());
            }
            return self.die(wire);
        }
        let rows = match rows(&batch.frames, &wire.store) {
            Ok(rows) => rows,
            Err(why) => return self.stop(why, wire),
        };
        wire.store.place = batch.reader;
        wire.store.by = Some(self.id);
        wire.oracle.on_projected(batch.reader.n(), &rows);
        wire.store.jobs.extend(rows);
        wire.note(format_args!("projector-{} commits up to {}", self.id, batch.reader.n()));
        if wire.strikes(Fault::ProjectorCrash) {
            return self.die(wire);
        }
        self.position = Some(batch.reader);
        wire.schedule(wire.now, self.party(), self.life, Happening::Fetch);
    }
}

/// The rows that frames change, as the transaction that holds the checkpoint finds them.
fn rows(frames: &[Frame], store: &Store) -> Result<BTreeMap<JobId, Job>, String> {
    let mut rows: BTreeMap<JobId, Job> = BTreeMap::new();
    let entries = frames.iter().flat_map(|frame| frame.entries.iter().map(move |e| (frame, e)));
    for (frame, entry) in entries {
        let Some(Entity::Job { job_id, .. }) = entry.entity() else { continue };
        let mut job = rows.get(&job_id).or_else(|| store.jobs.get(&job_id)).cloned();
        for fact in entry.known_facts() {
            match &mut job {
                Some(job) => job.apply(fact, frame.at).map_err(|error| error.to_string())?,
                None => {
                    let created = Job::create(fact, frame.n, frame.at);
                    job = Some(created.map_err(|error| error.to_string())?);
                }
            }
        }
        rows.extend(job.map(|job| (job_id, job)));
    }
    Ok(rows)
}
