//! Labels of jobs, for whoever filters events by them: an event names its job by the id alone.

use std::collections::BTreeMap;

use crate::{Entry, Fact, JobId};

const NONE: &BTreeMap<String, String> = &BTreeMap::new();

/// Labels of jobs that were heard of or looked up. With more jobs than that, all are forgotten before the next frame:
/// whoever needs those again looks them up.
#[derive(Debug)]
pub struct KnownLabels {
    jobs_max: usize,
    of: BTreeMap<JobId, BTreeMap<String, String>>,
}

impl KnownLabels {
    pub fn new(jobs_max: usize) -> Self {
        Self { jobs_max, of: BTreeMap::new() }
    }

    /// Remembers the labels of a job that a fact of `entry` begins with.
    pub fn hear(&mut self, entry: &Entry, fact: &Fact) {
        let metadata = match fact {
            Fact::Submitted(job) | Fact::Drafted(job) => &job.metadata,
            Fact::Rejected(job) => &job.metadata,
            _ => return,
        };
        let Some(id) = entry.job_id else { return };
        self.insert(id, metadata.as_ref().map_or(NONE, |of| &of.labels).clone());
    }

    /// Forgets all where there are more than it is to remember. What one frame says beyond that stays until the next.
    pub fn make_room(&mut self) {
        if self.of.len() > self.jobs_max {
            self.of.clear();
        }
    }

    pub fn insert(&mut self, id: JobId, labels: BTreeMap<String, String>) {
        self.of.insert(id, labels);
    }

    /// `None` if they are not known; of what is no job, there are none.
    pub fn get(&self, id: Option<JobId>) -> Option<&BTreeMap<String, String>> {
        let Some(id) = id else { return Some(NONE) };
        self.of.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(job: u128, fact: &str) -> Entry {
        let id = uuid::Uuid::from_u128(job);
        serde_json::from_str(&format!(
            r#"{{"by":{{"src":"commands","seq":1,"part":0}},"tenant":"acme","job_id":"{id}","facts":[{fact}]}}"#
        ))
        .unwrap()
    }

    fn heard(known: &mut KnownLabels, job: u128, fact: &str) -> Option<JobId> {
        let entry = entry(job, fact);
        let crate::FactOrUnknown::Known(fact) = &entry.facts[0] else { panic!("{entry:?}") };
        known.hear(&entry, fact);
        entry.job_id
    }

    const ASKED: &str = r#""inputs":{},"requested_resources":{"cpu":1,"mem_mb":1,"wall_time_s":1},"metadata":{"labels":{"team":"a"}}"#;

    #[test]
    fn a_job_s_labels_are_known_from_its_beginning_whatever_that_is() {
        let team = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let submitted = format!(r#"{{"module_version":"1","priority":5,{ASKED}}}"#);
        let refusal = r#"{"code":"unknown_module","detail":"full"}"#;
        for fact in [
            format!(r#"{{"submitted":{submitted}}}"#),
            format!(r#"{{"drafted":{submitted}}}"#),
            format!(r#"{{"rejected":{{"refusal":{refusal},{ASKED}}}}}"#),
        ] {
            let mut known = KnownLabels::new(9);
            let id = heard(&mut known, 1, &fact);
            assert_eq!(known.get(id), Some(&team), "{fact}");
        }
        let mut known = KnownLabels::new(9);
        let id = heard(&mut known, 1, r#"{"draft_submitted":{}}"#);
        assert_eq!((known.get(id), known.get(None)), (None, Some(NONE)));
    }

    #[test]
    fn no_more_jobs_are_remembered_than_it_has_room_for_but_all_of_one_frame() {
        let mut known = KnownLabels::new(2);
        let ids = [0, 1, 2].map(|n| JobId(uuid::Uuid::from_u128(n)));
        let mut known_after = |n: usize| {
            known.make_room();
            ids[..n].iter().for_each(|id| known.insert(*id, BTreeMap::new()));
            known.make_room();
            ids.map(|id| known.get(Some(id)).is_some())
        };
        assert_eq!(known_after(2), [true, true, false]);
        assert_eq!(known_after(3), [false; 3]);
    }
}
