//! The newest frames, and which of them concern whom.
//!
//! Viewers listen to a tenant or to one job, and are woken for what concerns those alone. Each is told from here
//! whatever is here of what it wants next; what has left the ring it reads in the log itself. So nobody is waited
//! for, and nobody's slowness costs more than its own reading.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use nox_contract::{FrameNumber, JobId, TenantId};
use tokio::sync::watch;

use super::frame::HubFrame;

/// Frames that are kept, in bytes of their payloads, and in number: a viewer that comes back within seconds to a
/// busy log, or within an hour to a quiet one, is served from memory.
const BYTES_MAX: usize = 16 * 1024 * 1024;
const FRAMES_MAX: usize = 8_192;

/// What a viewer listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// All of a tenant, and what concerns everybody.
    Tenant(TenantId),
    Job(TenantId, JobId),
}

/// What is there for a viewer.
pub enum Look {
    /// Frames that concern it, in order, and the newest frame that there is: none between concerns it.
    Here(Vec<Arc<HubFrame>>, FrameNumber),
    /// Frames that concern it have left, up to this one.
    Gone(FrameNumber),
    /// The log is followed no further.
    Broken,
}

/// See the head of this file.
pub struct Ring {
    frames: VecDeque<Arc<HubFrame>>,
    bytes: usize,
    newest: FrameNumber,
    tenants: BTreeMap<TenantId, OfTenant>,
    is_broken: bool,
    limits: (usize, usize),
}

#[derive(Default)]
struct OfTenant {
    all: Option<Heard>,
    jobs: BTreeMap<JobId, Heard>,
}

/// What was heard of a topic that somebody listens to.
struct Heard {
    listeners: usize,
    /// Frames in the ring that concern it.
    frames: VecDeque<FrameNumber>,
    /// The newest frame that has left the ring and may have concerned it.
    gone: FrameNumber,
    news: watch::Sender<()>,
}

impl Ring {
    /// Begins behind `newest`.
    pub fn new(newest: FrameNumber) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            newest,
            tenants: BTreeMap::new(),
            is_broken: false,
            limits: (FRAMES_MAX, BYTES_MAX),
        }
    }

    pub fn newest(&self) -> FrameNumber {
        self.newest
    }

    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The log goes no further here, and all who listen hear that.
    pub fn break_off(&mut self) {
        self.is_broken = true;
        for of in self.tenants.values_mut() {
            of.all.iter_mut().chain(of.jobs.values_mut()).for_each(|heard| heard.tell());
        }
    }

    /// The record of a term, which concerns nobody.
    pub fn pass(&mut self, n: FrameNumber) {
        self.newest = n;
    }

    /// Takes the next frame in, and tells those whom it concerns.
    pub fn take(&mut self, frame: HubFrame) {
        self.newest = frame.n;
        self.bytes += frame.bytes;
        let n = frame.n;
        concerned(&mut self.tenants, &frame, |heard| {
            if heard.frames.back() != Some(&n) {
                heard.frames.push_back(n);
                heard.tell();
            }
        });
        self.frames.push_back(Arc::new(frame));
        let (frames_max, bytes_max) = self.limits;
        while self.frames.len() > frames_max || self.bytes > bytes_max {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.bytes -= oldest.bytes;
            concerned(&mut self.tenants, &oldest, |heard| {
                if heard.frames.front() == Some(&oldest.n) {
                    heard.frames.pop_front();
                    heard.gone = oldest.n;
                }
            });
        }
    }

    /// One more listens to `topic`.
    pub fn enter(&mut self, topic: &Topic) -> watch::Receiver<()> {
        let before = self.frames.front().map_or(self.newest, |oldest| FrameNumber(oldest.n.0 - 1));
        let concerning = |concerns: &dyn Fn(&HubFrame) -> bool| {
            let frames = self.frames.iter().filter(|frame| concerns(frame));
            let (frames, news) = (frames.map(|frame| frame.n).collect(), watch::Sender::new(()));
            Heard { listeners: 0, frames, gone: before, news }
        };
        let heard = match topic {
            Topic::Tenant(tenant) => {
                let concerns = |frame: &HubFrame| {
                    let mut entries = frame.entries.iter();
                    entries.any(|of| of.tenant == *tenant || of.tenant.is_system())
                };
                let of = self.tenants.entry(tenant.clone()).or_default();
                of.all.get_or_insert_with(|| concerning(&concerns))
            }
            Topic::Job(tenant, job) => {
                let concerns = |frame: &HubFrame| {
                    let mut entries = frame.entries.iter();
                    entries.any(|of| of.job_id == Some(*job) && of.tenant == *tenant)
                };
                let of = self.tenants.entry(tenant.clone()).or_default();
                of.jobs.entry(*job).or_insert_with(|| concerning(&concerns))
            }
        };
        heard.listeners += 1;
        heard.news.subscribe()
    }

    /// One listens no more.
    pub fn leave(&mut self, topic: &Topic) {
        let (tenant, job) = match topic {
            Topic::Tenant(tenant) => (tenant, None),
            Topic::Job(tenant, job) => (tenant, Some(job)),
        };
        let Some(of) = self.tenants.get_mut(tenant) else { return };
        let is_last = |heard: &mut Heard| {
            heard.listeners -= 1;
            heard.listeners == 0
        };
        match job {
            None => {
                of.all.take_if(is_last);
            }
            Some(job) => {
                if of.jobs.get_mut(job).is_some_and(is_last) {
                    of.jobs.remove(job);
                }
            }
        }
        if of.all.is_none() && of.jobs.is_empty() {
            self.tenants.remove(tenant);
        }
    }

    /// What is there from frame `from` on for somebody who listens to `topic`; at most `max` frames.
    pub fn look(&self, topic: &Topic, from: FrameNumber, max: usize) -> Look {
        let heard = match topic {
            Topic::Tenant(tenant) => self.tenants.get(tenant).and_then(|of| of.all.as_ref()),
            Topic::Job(tenant, job) => self.tenants.get(tenant).and_then(|of| of.jobs.get(job)),
        };
        let Some(heard) = heard.filter(|_| !self.is_broken) else { return Look::Broken };
        if heard.gone >= from {
            return Look::Gone(heard.gone);
        }
        let first = heard.frames.partition_point(|n| *n < from);
        let wanted = heard.frames.iter().skip(first);
        let frames: Vec<_> = wanted.take(max).filter_map(|n| self.frame(*n)).collect();
        let newest = match frames.last() {
            Some(last) if frames.len() == max => last.n,
            _ => self.newest,
        };
        Look::Here(frames, newest)
    }

    fn frame(&self, n: FrameNumber) -> Option<Arc<HubFrame>> {
        let place = self.frames.binary_search_by_key(&n, |frame| frame.n).ok()?;
        self.frames.get(place).cloned()
    }
}

impl Heard {
    fn tell(&mut self) {
        self.news.send_replace(());
    }
}

/// Does something for each topic that a frame concerns, once or more.
fn concerned(
    tenants: &mut BTreeMap<TenantId, OfTenant>,
    frame: &HubFrame,
    mut told: impl FnMut(&mut Heard),
) {
    for entry in &frame.entries {
        if entry.tenant.is_system() {
            tenants.values_mut().filter_map(|of| of.all.as_mut()).for_each(&mut told);
            continue;
        }
        let Some(of) = tenants.get_mut(&entry.tenant) else { continue };
        of.all.iter_mut().for_each(&mut told);
        if let Some(job) = &entry.job_id {
            of.jobs.get_mut(job).into_iter().for_each(&mut told);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    fn job(number: u8) -> JobId {
        format!("0193a000-0000-7000-8000-0000000000{number:02}").parse().unwrap()
    }

    /// A frame with an entry for each of these jobs.
    fn frame(n: u64, jobs: &[(&str, u8)]) -> HubFrame {
        let entries: Vec<_> = jobs
            .iter()
            .map(|(tenant, of)| {
                format!(
                    r#"{{"by":{{"src":"match","seq":0,"part":0}},"tenant":"{tenant}","job_id":"{}","user_id":"ada","module":"xtb","facts":[]}}"#,
                    job(*of)
                )
            })
            .collect();
        let text =
            format!(r#"{{"n":{n},"at":"2026-11-21T22:00:00Z","entries":[{}]}}"#, entries.join(","));
        HubFrame::read(FrameNumber(n), &Bytes::from(text)).unwrap()
    }

    fn numbers(look: Look) -> (Vec<u64>, u64) {
        match look {
            Look::Here(frames, newest) => {
                (frames.iter().map(|frame| frame.n.0).collect(), newest.0)
            }
            Look::Gone(n) => panic!("{n} has left"),
            Look::Broken => panic!("it is broken"),
        }
    }

    #[test]
    fn whoever_listens_is_woken_for_what_concerns_it_and_nothing_is_parsed_for_that() {
        let mut ring = Ring::new(FrameNumber(4));
        let (acme, one) = (Topic::Tenant(tenant("acme")), Topic::Job(tenant("acme"), job(1)));
        let mut of_acme = ring.enter(&acme);
        let mut of_one = ring.enter(&one);
        ring.take(frame(5, &[("other", 1)]));
        assert!(!of_acme.has_changed().unwrap() && !of_one.has_changed().unwrap());
        ring.take(frame(6, &[("acme", 2)]));
        assert!(of_acme.has_changed().unwrap() && !of_one.has_changed().unwrap());
        of_acme.mark_unchanged();
        ring.pass(FrameNumber(7));
        ring.take(frame(8, &[("acme", 1), ("acme", 1)]));
        assert!(of_acme.has_changed().unwrap() && of_one.has_changed().unwrap());
        of_one.mark_unchanged();
        ring.take(frame(9, &[("_system", 3)]));
        assert!(!of_one.has_changed().unwrap());
        assert_eq!(numbers(ring.look(&acme, FrameNumber(5), 100)), (vec![6, 8, 9], 9));
        assert_eq!(numbers(ring.look(&acme, FrameNumber(5), 2)), (vec![6, 8], 8));
        assert_eq!(numbers(ring.look(&one, FrameNumber(5), 100)), (vec![8], 9));
        assert_eq!(numbers(ring.look(&one, FrameNumber(9), 100)), (vec![], 9));
        assert!(ring.frames.iter().flat_map(|frame| &frame.entries).all(|of| !of.is_parsed()));
    }

    #[test]
    fn what_has_left_is_known_to_have_left_by_those_whom_it_concerned() {
        let mut ring = Ring { limits: (2, usize::MAX), ..Ring::new(FrameNumber(0)) };
        let (acme, other) = (Topic::Tenant(tenant("acme")), Topic::Tenant(tenant("other")));
        let _listens = (ring.enter(&acme), ring.enter(&other));
        ring.take(frame(1, &[("acme", 1)]));
        ring.take(frame(2, &[("other", 1)]));
        ring.take(frame(3, &[("other", 1)]));
        assert!(matches!(ring.look(&acme, FrameNumber(1), 9), Look::Gone(FrameNumber(1))));
        assert_eq!(numbers(ring.look(&acme, FrameNumber(2), 9)), (vec![], 3));
        assert_eq!(numbers(ring.look(&other, FrameNumber(1), 9)), (vec![2, 3], 3));
        // Of what left before anybody listened, nobody knows whom it concerned.
        let late = Topic::Job(tenant("acme"), job(1));
        let _late = ring.enter(&late);
        assert!(matches!(ring.look(&late, FrameNumber(1), 9), Look::Gone(FrameNumber(1))));
        assert_eq!(numbers(ring.look(&late, FrameNumber(2), 9)), (vec![], 3));
    }

    #[test]
    fn nothing_is_kept_of_a_topic_that_nobody_listens_to() {
        let mut ring = Ring::new(FrameNumber(0));
        let topics = [Topic::Tenant(tenant("acme")), Topic::Job(tenant("acme"), job(1))];
        for topic in topics.iter().chain(&topics) {
            ring.enter(topic);
        }
        topics.iter().for_each(|topic| ring.leave(topic));
        assert!(matches!(ring.look(&topics[1], FrameNumber(1), 9), Look::Here(..)));
        topics.iter().for_each(|topic| ring.leave(topic));
        assert!(ring.tenants.is_empty());
    }

    #[test]
    fn all_hear_that_the_log_is_followed_no_further() {
        let mut ring = Ring::new(FrameNumber(0));
        let topic = Topic::Tenant(tenant("acme"));
        let listens = ring.enter(&topic);
        ring.break_off();
        assert!(listens.has_changed().unwrap());
        assert!(matches!(ring.look(&topic, FrameNumber(1), 9), Look::Broken));
    }
}
