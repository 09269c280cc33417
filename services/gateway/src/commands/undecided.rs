//! Submits with a key that wait in NOX_COMMANDS while nobody decides, whichever gateway they came by.
//!
//! Read only while somebody has to be told that a job is pending, each message once for all who ask,
//! and forgotten as soon as the scheduler answers again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use nox_contract::{Command, CommandMessage, Incarnation, JobId, Position, TenantId};
use nox_streams::Error;
use tokio::sync::Mutex;

use crate::read::bulk::Bulk;

/// Most submits that are remembered; about 200 bytes each. An outage in which more come by is told of
/// as what it is.
const ENTRIES_MAX: usize = 200_000;

/// A submit of a job, as it stands in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub fingerprint: String,
    /// Whoever asked was promised that the job will exist.
    pub promised: bool,
}

/// What the submits of one job lead to, for one who asks with a fingerprint of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// None of another's is among them.
    Free,
    /// The job will exist, and be this one.
    Ours,
    /// The job will exist, and be another's.
    Theirs,
    /// Which it will be, if any, is for the scheduler to say.
    Unclear,
}

/// Why it cannot be said.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    #[error("what was asked for is decided by now")]
    Decided,
    #[error("more than {ENTRIES_MAX} submits wait for the scheduler")]
    Full,
    #[error("the stream of commands ends at {last}, and not behind {after}, or is another one")]
    Gone { last: u64, after: u64 },
    #[error(transparent)]
    Broker(#[from] Error),
}

pub struct Undecided {
    bulk: Arc<Bulk>,
    index: Mutex<Index>,
    is_empty: AtomicBool,
}

/// Of one life of the stream: what waited in another one is decided by nobody.
#[derive(Default)]
struct Index {
    incarnation: Incarnation,
    tenants: HashMap<TenantId, Kept>,
    count: usize,
}

/// What is known of a tenant's messages in (`from`, `up_to`].
#[derive(Default)]
struct Kept {
    from: u64,
    up_to: u64,
    jobs: HashMap<JobId, Vec<(u64, Waiting)>>,
    /// In the order of the stream, for what is dropped first.
    order: VecDeque<(u64, JobId)>,
}

impl Undecided {
    pub fn new(bulk: Arc<Bulk>) -> Self {
        Self { bulk, index: Mutex::default(), is_empty: AtomicBool::new(true) }
    }

    /// The submits of `job` in the order in which they will be decided: all behind `after`, up to
    /// which everything is decided, and up to `last`, where the stream ended lately.
    ///
    /// # Errors
    /// They cannot be read, or are too many. `Decided`: others have asked from a later place; ask
    /// again from there.
    pub async fn of(
        &self,
        tenant: &TenantId,
        job: JobId,
        after: &Position,
        last: &Position,
    ) -> Result<Vec<Waiting>, Unknown> {
        if !last.reaches(after) {
            return Err(Unknown::Gone { last: last.seq, after: after.seq });
        }
        let mut index = self.index.lock().await;
        self.is_empty.store(false, Ordering::Relaxed);
        if index.incarnation != last.incarnation {
            *index = Index { incarnation: last.incarnation.clone(), ..Index::default() };
        }
        let read = self.read(&mut index, tenant, after.seq, last.seq).await;
        if let Err(error) = read {
            if !matches!(error, Unknown::Decided) {
                // What was read so far is of no use any more.
                *index = Index::default();
            }
            return Err(error);
        }
        let waiting = index.tenants.get(tenant).and_then(|kept| kept.jobs.get(&job));
        Ok(waiting.into_iter().flatten().map(|(_, waiting)| waiting.clone()).collect())
    }

    async fn read(
        &self,
        index: &mut Index,
        tenant: &TenantId,
        after: u64,
        last: u64,
    ) -> Result<(), Unknown> {
        let Index { tenants, count, .. } = index;
        let kept = tenants.entry(tenant.clone()).or_insert_with(|| Kept {
            from: after,
            up_to: after,
            ..Kept::default()
        });
        if after < kept.from {
            return Err(Unknown::Decided);
        }
        *count -= kept.forget(after);
        while kept.up_to < last {
            let page = self.bulk.commands(tenant, kept.up_to).await?;
            let Some(newest) = page.last().map(|message| message.seq) else {
                kept.up_to = last;
                break;
            };
            for message in page {
                *count += kept.take(message.seq, &message.payload);
            }
            kept.up_to = newest;
            if *count > ENTRIES_MAX {
                return Err(Unknown::Full);
            }
        }
        Ok(())
    }

    /// The scheduler decides again: there is nothing to remember.
    pub fn forget(&self) {
        if !self.is_empty.load(Ordering::Relaxed)
            && let Ok(mut index) = self.index.try_lock()
        {
            *index = Index::default();
            self.is_empty.store(true, Ordering::Relaxed);
        }
    }
}

impl Kept {
    /// Drops what is decided; says how much that was.
    fn forget(&mut self, decided: u64) -> usize {
        let mut dropped = 0;
        while let Some((seq, job)) = self.order.front().copied().filter(|(seq, _)| *seq <= decided)
        {
            self.order.pop_front();
            if let Some(waiting) = self.jobs.get_mut(&job) {
                waiting.retain(|(at, _)| *at > seq);
                if waiting.is_empty() {
                    self.jobs.remove(&job);
                }
            }
            dropped += 1;
        }
        self.from = self.from.max(decided);
        self.up_to = self.up_to.max(decided);
        dropped
    }

    /// Remembers the keyed submits of a message; says how many there are.
    fn take(&mut self, seq: u64, payload: &[u8]) -> usize {
        // What nobody can read, the scheduler consumes unread.
        let Ok(message) = serde_json::from_slice::<CommandMessage>(payload) else { return 0 };
        let mut taken = 0;
        for command in message.commands {
            let submits = match command {
                Command::Submit(submit) => vec![*submit],
                Command::SubmitBatch(batch) => batch.jobs,
                _ => continue,
            };
            for submit in submits {
                let Some(fingerprint) = submit.fingerprint else { continue };
                let waiting = Waiting { fingerprint, promised: submit.pending };
                self.jobs.entry(submit.job_id).or_default().push((seq, waiting));
                self.order.push_back((seq, submit.job_id));
                taken += 1;
            }
        }
        taken
    }
}

/// Judges the submits of a job in their order.
///
/// The first that was promised becomes the job, or a failed one, unless one before it has been
/// admitted: so if those before it are all of one mind, it is certain whose the job will be.
pub fn standing(waiting: &[Waiting], fingerprint: &str) -> Standing {
    let promised = waiting.iter().position(|one| one.promised);
    let deciding = &waiting[..promised.map_or(waiting.len(), |place| place + 1)];
    let ours = deciding.iter().filter(|one| one.fingerprint == fingerprint).count();
    let alike = deciding.windows(2).all(|pair| pair[0].fingerprint == pair[1].fingerprint);
    match (promised.is_some(), alike) {
        (true, true) if ours > 0 => Standing::Ours,
        (true, true) => Standing::Theirs,
        (false, true) if ours == deciding.len() => Standing::Free,
        _ => Standing::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a` is a submit with the fingerprint `a`, `A` the same promised.
    fn stands(waiting: &str, fingerprint: &str) -> Standing {
        let waiting: Vec<_> = waiting
            .chars()
            .map(|name| Waiting {
                fingerprint: name.to_ascii_lowercase().to_string(),
                promised: name.is_ascii_uppercase(),
            })
            .collect();
        standing(&waiting, fingerprint)
    }

    #[test]
    fn the_first_promise_decides_unless_another_s_submit_stands_before_it() {
        for (waiting, ours, theirs) in [
            ("", Standing::Free, Standing::Free),
            ("a", Standing::Free, Standing::Unclear),
            ("aA", Standing::Ours, Standing::Theirs),
            ("A", Standing::Ours, Standing::Theirs),
            ("aAb", Standing::Ours, Standing::Theirs),
            ("aAbB", Standing::Ours, Standing::Theirs),
            ("aAbA", Standing::Ours, Standing::Theirs),
            // If `a` is refused, `b` may be admitted, and neither is known.
            ("ab", Standing::Unclear, Standing::Unclear),
            ("abA", Standing::Unclear, Standing::Unclear),
            ("baA", Standing::Unclear, Standing::Unclear),
            ("abBA", Standing::Unclear, Standing::Unclear),
        ] {
            assert_eq!(stands(waiting, "a"), ours, "{waiting} for a");
            assert_eq!(stands(waiting, "b"), theirs, "{waiting} for b");
        }
        assert_eq!(stands("abA", "c"), Standing::Unclear);
    }

    #[test]
    fn what_is_decided_is_dropped_and_what_cannot_be_read_does_not_count() {
        let submit = |job: u128, fingerprint: &str| {
            format!(
                r#"{{"submit":{{"job_id":"{}","user_id":"ada","role":"user","module":"m","inputs":{{}},
                   "requested_resources":{{"cpu":1,"mem_mb":1,"wall_time_s":1}},"seen":0{fingerprint}}}}}"#,
                id(job)
            )
        };
        let message = |commands: &[String]| format!(r#"{{"commands":[{}]}}"#, commands.join(","));
        let mut kept = Kept::default();
        let keyed = submit(1, r#","fingerprint":"a""#);
        let both = message(&[keyed.clone(), r#"{"teleport":{}}"#.into(), submit(2, "")]);
        assert_eq!(kept.take(5, both.as_bytes()), 1);
        assert_eq!(kept.take(6, b"no JSON"), 0);
        assert_eq!(kept.take(7, message(&[keyed]).as_bytes()), 1);

        let seqs = |kept: &Kept| -> Vec<u64> {
            kept.jobs.get(&id(1)).into_iter().flatten().map(|(seq, _)| *seq).collect()
        };
        assert_eq!(seqs(&kept), [5, 7]);
        assert_eq!(kept.forget(6), 1);
        assert_eq!((seqs(&kept), kept.from), (vec![7], 6));
        assert_eq!(kept.forget(7), 1);
        assert!(kept.jobs.is_empty() && kept.order.is_empty());
    }

    fn id(number: u128) -> JobId {
        format!("{number:032x}").parse().unwrap()
    }
}
