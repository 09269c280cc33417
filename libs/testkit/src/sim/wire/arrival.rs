//! What arrives at the broker: it is stored or refused, answered, and told to whoever waits for it.

use std::sync::Arc;

use bytes::Bytes;
use nox_contract::{Beat, Source, WorkMessage, WorkerId, subject};

use super::{
    super::{broker::Stored, faults::Fault},
    Ask, Call, Happening, MS, Party, Publish, Reply, Step, Wire,
};

impl Wire {
    /// The log as whoever asks finds it. That there is none of a message that was written is a violation.
    pub fn read_joined(&mut self, from: u64, max: usize) -> Option<Vec<(u64, String, Bytes)>> {
        match self.broker.read_joined(from, max) {
            Ok(records) => Some(records),
            Err(n) => {
                self.oracle
                    .fail(format!("message {n} is neither in the log's stream nor archived"));
                None
            }
        }
    }

    /// What the stream lost last is archived as it was written, and a takeover needs none of it.
    pub fn check_cut(&mut self) {
        let before = self.broker.log_first();
        let gone = self.broker.read_log(1, before as usize - 1);
        let is_kept = |(seq, _, payload): &(u64, String, Bytes)| {
            self.broker.archive.message(*seq).is_some_and(|kept| kept.payload == *payload)
        };
        if let Some((seq, ..)) = gone.iter().find(|message| !is_kept(message)) {
            let why = format!("cut before {before}, and {seq} is not in the archive as it was");
            return self.oracle.fail(why);
        }
        let is_believed = |n: u64, chain| n >= before && self.broker.chain_at(n) == Some(chain);
        if !self.broker.snapshots.iter().any(|kept| is_believed(kept.n, kept.chain)) {
            self.oracle.fail(format!("cut before {before}, which a takeover needs"));
        }
    }

    pub(super) fn answer(&mut self, from: Party, life: u64, call: Call, ask: Ask) {
        if self.is_cut(from) || self.strikes(Fault::ReadFails) {
            return self.give_up(from, life, call, self.now);
        }
        let reply = match ask {
            Ask::Listener(worker) => match self.is_heard_by_anybody(&worker) {
                // Who listens says nothing.
                true => return,
                false => Reply::Nobody { reports: self.broker.reports.last() },
            },
            Ask::Attachment => Reply::Attachment(self.broker.attachment()),
            Ask::Epoch => Reply::Epoch(self.broker.newest_epoch()),
            Ask::Log { from, max } => match self.read_joined(from, max) {
                Some(records) => Reply::Log { last: self.broker.log_last(), records },
                None => Reply::Unknown,
            },
            Ask::Frames(numbers) => {
                let read =
                    numbers.iter().map(|n| self.read_joined(*n, 1)).collect::<Option<Vec<_>>>();
                match read {
                    Some(read) => {
                        let records = read.into_iter().flatten().collect();
                        Reply::Log { last: self.broker.log_last(), records }
                    }
                    None => Reply::Unknown,
                }
            }
        };
        self.reply(from, life, call, reply);
    }

    pub(super) fn arrive(
        &mut self,
        from: Party,
        life: u64,
        call: Call,
        publish: Publish,
        acked: bool,
    ) {
        if self.is_cut(from) {
            let keeps = self.link(from).keeps;
            if acked {
                self.give_up(from, life, call, self.now);
            }
            if keeps && self.broker.up {
                let at = self.link(from).cut_until.max(self.link(from).up);
                self.link(from).up = at;
                self.push(at, Step::Arrival { from, life, call, publish, acked: false });
            }
            return;
        }
        let reply = self.store(from, publish);
        if let (Call::Command { index }, Party::Client(id), Reply::Stored(seq)) =
            (call, from, &reply)
        {
            let incarnation = self.broker.commands.incarnation();
            self.oracle.on_command_stored(&format!("client-{id}.{index}"), incarnation, *seq);
        }
        // What was under way for long and comes too late is what the log had there before.
        if let (Call::Append { term, .. }, Reply::Stored(_), true) = (call, &reply, acked)
            && self.doomed.contains(&(from, life, term))
        {
            self.oracle.fail(format!("{from:?} goes on in a log that lost what it had written"));
        }
        if acked && matches!(call, Call::Append { .. }) && self.strikes(Fault::AckOvertaken) {
            let at = self.now + self.between(1, 30 * MS);
            self.schedule(at, from, life, Happening::Reply(call, reply));
        } else if acked {
            self.reply(from, life, call, reply);
        }
    }

    fn store(&mut self, from: Party, publish: Publish) -> Reply {
        match publish {
            Publish::Log { guard, payload } => {
                let full = self.broker.full_until > self.now;
                let stored = if full || self.strikes(Fault::PublishRefused) {
                    None
                } else {
                    self.broker.append(guard, payload)
                };
                self.note(format_args!(
                    "log: {from:?} appends a frame after {:?}: {stored:?}",
                    guard.last_seq
                ));
                stored.map_or(Reply::Refused, |seq| self.logged(seq))
            }
            Publish::Epoch { record, expected } => {
                let epoch = record.epoch;
                let full = self.broker.full_until > self.now;
                let stored = if full { None } else { self.broker.append_epoch(record, expected) };
                self.note(format_args!("log: {from:?} begins epoch {epoch}: {stored:?}"));
                stored.map_or(Reply::Refused, |seq| self.logged(seq))
            }
            Publish::Commands { .. } | Publish::Reports { .. }
                if self.strikes(Fault::PublishRefused) =>
            {
                Reply::Refused
            }
            Publish::Commands { tenant, payload } => {
                let subject = subject::commands(&tenant);
                let stored = Stored { subject, payload, forged: false };
                let seq = self.broker.store_input(Source::Commands, stored);
                self.note(format_args!("commands: {seq} from {from:?}"));
                self.tell_terms(Source::Commands);
                Reply::Stored(seq)
            }
            Publish::Reports { worker, payload, forged } => {
                let stored = Stored { subject: subject::reports(&worker), payload, forged };
                let seq = self.broker.store_input(Source::Reports, stored);
                self.note(format_args!("reports: {seq} from {from:?}"));
                self.tell_terms(Source::Reports);
                Reply::Stored(seq)
            }
            Publish::Work { worker, message } => {
                self.hand_out(&worker, message);
                Reply::Stored(0)
            }
            Publish::Beat { worker, beat } => {
                self.pass_beat_on(&worker, &beat);
                Reply::Stored(0)
            }
        }
    }

    fn logged(&mut self, seq: u64) -> Reply {
        for (seq, subject, payload) in self.broker.read_log(seq, 1) {
            self.lost.retain(|at, lost| *at != seq || *lost != payload);
            if self.lost.is_empty() {
                // The very same frames were still on their way: nothing is lost any more.
                self.doomed.clear();
            }
            if self.trace.print {
                println!("{:>10} {seq}: {}", "", String::from_utf8_lossy(&payload));
            }
            self.oracle.on_log(&self.broker, seq, &subject, &payload);
        }
        self.tell_readers();
        Reply::Stored(seq)
    }

    pub(super) fn tell_readers(&mut self) {
        let (now, readers): (_, Vec<_>) =
            (self.now, self.broker.readers.iter().map(|(id, s)| (*id, *s)).collect());
        for (id, reader) in readers {
            if !reader.told[0] {
                self.broker.readers.entry(id).and_modify(|s| s.told[0] = true);
                let at = now + self.delay() + self.between(0, 20 * MS);
                self.schedule(at, Party::Projector(id), reader.life, Happening::Fetch);
            }
        }
    }

    /// Lets the terms that read an input stream know that there is more.
    pub fn tell_terms(&mut self, src: Source) {
        let terms: Vec<_> = self.broker.terms.iter().map(|(id, s)| (*id, *s)).collect();
        for (id, term) in terms {
            self.tell_term(id, term.term, src);
        }
    }

    pub fn tell_term(&mut self, id: usize, term: u64, src: Source) {
        let which = usize::from(src == Source::Reports);
        let Some(reader) = self.broker.terms.get_mut(&id).filter(|s| s.term == term) else {
            return;
        };
        if std::mem::replace(&mut reader.told[which], true) {
            return;
        }
        let life = reader.life;
        let at = self.now + self.delay() + self.between(0, 5 * MS);
        self.schedule(at, Party::Scheduler(id), life, Happening::Feed { term, src });
    }

    /// Work is kept nowhere, and a message of it may get lost, come twice, or late.
    fn hand_out(&mut self, worker: &WorkerId, message: Arc<WorkMessage>) {
        let of_worker = self.broker.workers.iter().filter(|((name, _), _)| name == worker);
        let receivers: Vec<_> = of_worker.map(|((_, id), life)| (*id, *life)).collect();
        for (id, life) in receivers {
            self.hand_to(id, life, message.clone());
        }
    }

    fn hand_to(&mut self, id: usize, life: u64, message: Arc<WorkMessage>) {
        let party = Party::Executor(id);
        if self.strikes(Fault::WorkLost) {
            return;
        }
        let mut at = self.down(party);
        if self.strikes(Fault::WorkOutOfOrder) {
            at = self.now + self.between(1, 500 * MS);
        }
        if self.strikes(Fault::WorkTwice) {
            let again = at + self.between(0, 2_000 * MS);
            self.schedule(again, party, life, Happening::Work(message.clone()));
        }
        self.schedule(at, party, life, Happening::Work(message));
    }

    fn is_heard_by_anybody(&mut self, worker: &WorkerId) -> bool {
        let of_worker = self.broker.workers.keys().filter(|(name, _)| name == worker);
        let ids: Vec<_> = of_worker.map(|(_, id)| *id).collect();
        ids.into_iter().any(|id| !self.is_cut(Party::Executor(id)))
    }

    /// NOX_BEATS: to whoever leads; in order, but not in step with the reports.
    fn pass_beat_on(&mut self, worker: &WorkerId, beat: &Beat) {
        let terms: Vec<_> = self.broker.terms.iter().map(|(id, s)| (*id, *s)).collect();
        for (id, reader) in terms {
            if self.strikes(Fault::BeatLost) {
                continue;
            }
            let mut at = self.now + self.delay();
            if self.strikes(Fault::BeatSlow) {
                at += self.slowly(0, 1_500);
            }
            at = at.max(reader.beat_at);
            self.broker.terms.entry(id).and_modify(|s| s.beat_at = at);
            let (term, worker, beat) = (reader.term, worker.clone(), beat.clone());
            let happening = Happening::Beat { term, worker, beat };
            self.schedule(at, Party::Scheduler(id), reader.life, happening);
        }
    }
}
