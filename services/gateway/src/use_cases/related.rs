//! Jobs that a job has to do with: by its row, and by the frame that made it.

use nox_contract::{Fact, Frame, JobId, Occurrence, ProblemCode, ScheduleId, Source};
use nox_readmodel::{
    Cursor, JobRow,
    query::{BlockingRow, Condition, Is},
};

use super::list::{self, Wanted};
use crate::{
    app::App, identity::auth::Caller, problem::ApiError, read::required::Required,
    use_cases::entries::unreadable,
};

/// Most jobs of a kind that are told.
pub const RELATED_MAX: usize = 100;

/// See the head of this file. Of jobs that the asker may not see, or that are gone, there is no word but their number.
#[derive(Default)]
pub struct Related {
    pub retry_of: Option<BlockingRow>,
    /// The jobs that repeat it, the first to have been submitted before others.
    pub retries: Vec<JobRow>,
    /// Whether these are all.
    pub has_all_retries: bool,
    /// The jobs that it was to wait for.
    pub follows: Vec<BlockingRow>,
    pub schedule_id: Option<ScheduleId>,
    /// Others that were submitted together with it.
    pub batch: Vec<BlockingRow>,
    /// How many of those that are named are not told.
    pub hidden: usize,
    /// Whether the frame that made it could be read: else what it alone knows is missing.
    pub log_known: bool,
}

pub async fn related(app: &App, caller: &Caller, row: &JobRow) -> Result<Related, ApiError> {
    let mut related = Related::default();
    let made = match made(app, row).await {
        Ok(made) => {
            related.log_known = true;
            made
        }
        Err(error) if error.code() == ProblemCode::Unavailable => Made::default(),
        Err(error) => return Err(error),
    };
    related.schedule_id = made.schedule_id;
    let repeated = Vec::from_iter(row.metadata.retry_of);
    related.retry_of = related.told(app, caller, &repeated).await?.pop();
    related.follows = related.told(app, caller, &made.follows).await?;
    related.batch = related.told(app, caller, &made.batch).await?;
    let before = format!("{}.{}", row.submitted_n, row.submitted_place).parse::<Cursor>();
    let wanted = Wanted {
        // Of the same module, as its retries are.
        module: Some(row.module.clone()),
        conditions: vec![Condition { is: Is::RetryOf(vec![row.id]), negated: false }],
        oldest_first: true,
        brief: true,
        limit: RELATED_MAX,
        before: Some(before.map_err(ApiError::internal)?),
        ..Wanted::default()
    };
    let found = list::list(app, caller, wanted, &Required::default(), |_| Ok(())).await?;
    related.has_all_retries = found.as_ref().is_none_or(|(page, ())| page.next.is_none());
    related.retries = found.map(|(page, ())| page.rows).unwrap_or_default();
    Ok(related)
}

impl Related {
    /// Those of `named` that the asker may see; the others are counted.
    async fn told(
        &mut self,
        app: &App,
        caller: &Caller,
        named: &[JobId],
    ) -> Result<Vec<BlockingRow>, ApiError> {
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let read = || app.reader.jobs_named(&caller.tenant, named);
        let mut rows = app.barrier.read(&Required::default(), read).await?.value;
        rows.retain(|row| caller.sees_jobs_of(&caller.tenant, &row.user_id));
        rows.truncate(RELATED_MAX);
        self.hidden += named.len() - rows.len();
        Ok(rows)
    }
}

/// What the frame says that made a job.
#[derive(Debug, Default, PartialEq)]
struct Made {
    follows: Vec<JobId>,
    schedule_id: Option<ScheduleId>,
    batch: Vec<JobId>,
}

async fn made(app: &App, row: &JobRow) -> Result<Made, ApiError> {
    let place = app.bulk.place().await?;
    let of_row = || app.reader.job_frames(&row.tenant, row.id, row.submitted_n);
    let named = app.barrier.read(&Required::default(), of_row).await?;
    let log = app.bulk.log(&place, named.progress.place().incarnation).await?;
    let read =
        |payload: &[u8]| serde_json::from_slice(payload).map(|frame| Made::of(row.id, &frame));
    app.bulk.frame(&place, &log, row.submitted_n, read).await?.map_err(unreadable)
}

impl Made {
    fn of(id: JobId, frame: &Frame) -> Self {
        let mut made = Self::default();
        let submitted = |fact: &Fact| match fact {
            Fact::Submitted(submitted) | Fact::Drafted(submitted) => Some(submitted.after.clone()),
            _ => None,
        };
        let own = frame.entries.iter().find_map(|entry| {
            let is_own = entry.job_id == Some(id);
            is_own.then(|| Some((entry, entry.known_facts().find_map(submitted)?))).flatten()
        });
        let Some((own, after)) = own else { return made };
        made.follows = after;
        for entry in &frame.entries {
            // What somebody asked for in one word; what is due at one time is not together.
            if let Some(other) = entry.job_id
                && other != id
                && entry.by == own.by
                && own.by.src == Source::Commands
                && entry.known_facts().any(|fact| submitted(fact).is_some())
            {
                made.batch.push(other);
            }
            let is_its = |fact: &Fact| match fact {
                Fact::ScheduleOccurred { outcome: Occurrence::Submitted { job_id }, .. }
                | Fact::ScheduleTriggered { job_id, .. } => *job_id == id,
                _ => false,
            };
            if entry.known_facts().any(is_its) {
                made.schedule_id = entry.schedule_id;
            }
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u8) -> JobId {
        format!("0193a000-0000-7000-8000-0000000000{number:02}").parse().unwrap()
    }

    fn frame(entries: &str) -> Frame {
        let text = format!(
            r#"{{"n":2,"epoch":1,"at":"2026-11-21T22:00:00Z","rules":1,"prev":"","pos":{{"commands":{{"seq":9,"part":0}},
            "reports":{{"seq":1,"part":0}}}},"entries":[{entries}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn submitted(number: u8, by: &str, after: &str) -> String {
        format!(
            r#"{{"by":{by},"tenant":"acme","job_id":"{}","user_id":"ada","module":"noop","facts":[
            {{"submitted":{{"module_version":"1","inputs":{{}},"requested_resources":{{"cpu":1,"mem_mb":1,"wall_time_s":60}},
            "priority":5,"after":[{after}]}}}}]}}"#,
            job(number)
        )
    }

    #[test]
    fn a_batch_is_what_one_command_made_and_nothing_else_of_the_frame() {
        let one = r#"{"src":"commands","seq":7,"part":0}"#;
        let other = r#"{"src":"commands","seq":7,"part":1}"#;
        let after = format!(r#""{}""#, job(9));
        let ended = format!(
            r#"{{"by":{one},"tenant":"acme","job_id":"{}","user_id":"ada","module":"noop","facts":[{{"canceled":{{"by":"ada"}}}}]}}"#,
            job(4)
        );
        let entries =
            [submitted(1, one, &after), submitted(2, one, ""), submitted(3, other, ""), ended];
        let made = Made::of(job(1), &frame(&entries.join(",")));
        let expected = Made { follows: vec![job(9)], batch: vec![job(2)], schedule_id: None };
        assert_eq!(made, expected);
        assert_eq!(Made::of(job(3), &frame(&entries.join(","))), Made::default());
        assert_eq!(Made::of(job(8), &frame(&entries.join(","))), Made::default());
    }

    #[test]
    fn a_job_of_a_schedule_names_it() {
        let by = r#"{"src":"timer","seq":1,"part":0}"#;
        let schedule = "0193a000-0000-7000-8000-0000000000ff";
        let occurred = format!(
            r#"{{"by":{by},"tenant":"acme","schedule_id":"{schedule}","user_id":"ada","facts":[{{"schedule_triggered":
            {{"job_id":"{}","by":"ada"}}}}]}}"#,
            job(1)
        );
        let entries = [occurred, submitted(1, by, ""), submitted(2, by, "")].join(",");
        let made = Made::of(job(1), &frame(&entries));
        assert_eq!(made.schedule_id, Some(schedule.parse().unwrap()));
        assert_eq!(made.batch, []);
        // The control: one that came beside it is of no schedule.
        assert_eq!(Made::of(job(2), &frame(&entries)).schedule_id, None);
    }
}
