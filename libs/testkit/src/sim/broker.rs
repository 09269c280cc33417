//! The broker: streams, guards and what a crash leaves of them. It knows nothing of time; how
//! messages reach it, or fail to, is for `wire`.

use std::collections::BTreeMap;

use bytes::Bytes;
use nox_contract::{Chain, EpochRecord, FrameHead, Incarnation, Source, WorkerId, subject};
use nox_protocol::{appender::Guard, takeover::Attachment};

use super::archive::Archive;

/// A message of a stream.
#[derive(Debug, Clone)]
pub struct Stored {
    pub subject: String,
    pub payload: Bytes,
    /// Sent by somebody who does not hold what it speaks of.
    pub forged: bool,
}

/// NOX_COMMANDS or NOX_REPORTS.
#[derive(Debug)]
pub struct InputStream {
    name: &'static str,
    /// Which of its lives this is.
    life: usize,
    /// The messages of every life; the last is the present one.
    lives: Vec<Vec<Stored>>,
    /// What was rolled back, for whoever checks what became of it before.
    lost: BTreeMap<u64, Stored>,
}

impl InputStream {
    fn new(name: &'static str) -> Self {
        Self { name, life: 0, lives: vec![Vec::new()], lost: BTreeMap::new() }
    }

    pub fn incarnation(&self) -> Incarnation {
        Incarnation(format!("{}/{}", self.name, self.life))
    }

    pub fn last(&self) -> u64 {
        self.lives[self.life].len() as u64
    }

    pub fn get(&self, seq: u64) -> Option<&Stored> {
        self.lives[self.life].get(index(seq)?)
    }

    /// A message of any life, for whoever checks what became of it.
    pub fn get_of(&self, incarnation: &Incarnation, seq: u64) -> Option<&Stored> {
        let life: usize = incarnation.0.rsplit('/').next()?.parse().ok()?;
        let lost = self.lost.get(&seq).filter(|_| life == self.life);
        lost.or_else(|| self.lives.get(life)?.get(index(seq)?))
    }

    fn push(&mut self, message: Stored) -> u64 {
        self.lives[self.life].push(message);
        self.last()
    }

    pub fn recreate(&mut self) {
        self.lives.push(Vec::new());
        self.life += 1;
    }

    pub fn roll_back(&mut self, last: u64) {
        let lost = self.lives[self.life].split_off(last as usize);
        self.lost.extend((last + 1..).zip(lost));
    }
}

fn index(seq: u64) -> Option<usize> {
    usize::try_from(seq).ok()?.checked_sub(1)
}

/// Who is told of what arrives.
#[derive(Debug, Clone, Copy)]
pub struct Subscription {
    pub life: u64,
    pub term: u64,
    /// Whether it was told already and has not come yet; of each input stream.
    pub told: [bool; 2],
    /// Beats reach one reader in order.
    pub beat_at: u64,
}

/// A fold of the log that somebody kept.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub n: u64,
    pub chain: Chain,
    pub state: String,
}

#[derive(Debug)]
pub struct Broker {
    pub up: bool,
    /// Whoever was connected before the last restart has to look whether all is as it was.
    pub restarts: u64,
    pub commands: InputStream,
    pub reports: InputStream,
    /// Until when the log takes nothing.
    pub full_until: u64,
    /// All that was ever written.
    log: Vec<Stored>,
    /// What the log's stream has of it: from this message on, and the records of epochs before.
    log_first: u64,
    pub archive: Archive,
    epochs: Vec<(u64, EpochRecord)>,
    pub snapshots: Vec<Snapshot>,
    /// Who may try to lead, and until when.
    pub lease: Option<(usize, u64)>,
    /// Terms that read inputs and beats, by scheduler.
    pub terms: BTreeMap<usize, Subscription>,
    /// Executors that receive work, by worker; and which life of theirs.
    pub workers: BTreeMap<(WorkerId, usize), u64>,
    /// Projectors that read the log.
    pub readers: BTreeMap<usize, Subscription>,
}

impl Broker {
    pub fn new() -> Self {
        Self {
            up: true,
            restarts: 0,
            commands: InputStream::new("commands"),
            reports: InputStream::new("reports"),
            full_until: 0,
            log: Vec::new(),
            log_first: 1,
            archive: Archive::default(),
            epochs: Vec::new(),
            snapshots: Vec::new(),
            lease: None,
            terms: BTreeMap::new(),
            workers: BTreeMap::new(),
            readers: BTreeMap::new(),
        }
    }

    pub fn input(&self, src: Source) -> &InputStream {
        match src {
            Source::Commands => &self.commands,
            _ => &self.reports,
        }
    }

    pub fn input_mut(&mut self, src: Source) -> &mut InputStream {
        match src {
            Source::Commands => &mut self.commands,
            _ => &mut self.reports,
        }
    }

    pub fn store_input(&mut self, src: Source, message: Stored) -> u64 {
        self.input_mut(src).push(message)
    }

    pub fn attachment(&self) -> Attachment {
        Attachment {
            commands: self.commands.incarnation(),
            commands_last: self.commands.last(),
            reports: self.reports.incarnation(),
            reports_last: self.reports.last(),
        }
    }

    // --- the log of facts ---

    pub fn log_last(&self) -> u64 {
        self.log.len() as u64
    }

    pub fn log_first(&self) -> u64 {
        self.log_first
    }

    pub fn cut_log(&mut self, before: u64) {
        self.log_first = self.log_first.max(before);
    }

    /// The log from `from` on, at most `max` messages, as stream and archive have it; or the number of the
    /// first that neither has.
    pub fn read_joined(&self, from: u64, max: usize) -> Result<Vec<(u64, String, Bytes)>, u64> {
        let read = self.read_log(from, max).into_iter().map(|(seq, subject, payload)| {
            if seq >= self.log_first || subject == subject::EPOCH {
                return Ok((seq, subject, payload));
            }
            let kept = self.archive.message(seq).ok_or(seq)?;
            Ok((seq, kept.subject.clone(), kept.payload.clone()))
        });
        read.collect()
    }

    /// The log from `from` on, at most `max` messages, as it was written.
    pub fn read_log(&self, from: u64, max: usize) -> Vec<(u64, String, Bytes)> {
        (from.max(1)..)
            .zip(self.log.iter().skip(from.saturating_sub(1) as usize).take(max))
            .map(|(seq, stored)| (seq, stored.subject.clone(), stored.payload.clone()))
            .collect()
    }

    pub fn newest_epoch(&self) -> Option<(u64, EpochRecord)> {
        self.epochs.last().cloned()
    }

    /// Stores a frame, unless a guard fails.
    pub fn append(&mut self, guard: Guard, payload: Bytes) -> Option<u64> {
        let epoch_seq = self.epochs.last().map_or(0, |(seq, _)| *seq);
        if guard.epoch_seq.is_some_and(|expected| expected != epoch_seq)
            || guard.last_seq.is_some_and(|expected| expected != self.log_last())
        {
            return None;
        }
        let subject = subject::FRAMES.to_owned();
        self.log.push(Stored { subject, payload, forged: false });
        Some(self.log_last())
    }

    /// Stores an epoch record if the newest one still has the sequence `expected`.
    pub fn append_epoch(&mut self, record: EpochRecord, expected: u64) -> Option<u64> {
        if self.epochs.last().map_or(0, |(seq, _)| *seq) != expected {
            return None;
        }
        let payload = serde_json::to_vec(&record).expect("an epoch record can be serialised");
        let subject = subject::EPOCH.to_owned();
        self.log.push(Stored { subject, payload: payload.into(), forged: false });
        self.epochs.push((self.log_last(), record));
        Some(self.log_last())
    }

    /// Returns what is lost.
    pub fn roll_back_log(&mut self, last: u64) -> BTreeMap<u64, Bytes> {
        let lost = self.log.split_off(last as usize);
        self.epochs.retain(|(seq, _)| *seq <= last);
        (last + 1..).zip(lost.into_iter().map(|stored| stored.payload)).collect()
    }

    /// The chain after message `n`, as the log itself has it: a frame names the chain before it.
    pub fn chain_at(&self, n: u64) -> Option<Chain> {
        let stored = self.log.get(index(n)?)?;
        let head = FrameHead::read(&stored.payload).ok()?;
        Some(Chain::parse(&head.prev)?.extend(&stored.payload))
    }
}
