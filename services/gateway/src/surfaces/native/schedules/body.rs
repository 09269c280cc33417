//! What is sent of a schedule.

use nox_contract::Overlap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::request::Asked;
use crate::{extract::Incoming, object, problem::ApiError, use_cases::schedules::Wanted};

/// Largest body, in bytes: that of a job, and the rest.
const BODY_BYTES_MAX: usize = 128 * 1024;
/// How late an occurrence may be submitted where nothing else is said, in seconds.
const CATCH_UP_S: u32 = 3_600;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SetSchedule")]
pub struct SetBody {
    /// For people; 1 to 128 bytes.
    name: String,
    /// Five fields (names, ranges, lists, steps), or a word such as `@daily`.
    cron: String,
    /// As IANA names it; `UTC` if absent.
    #[serde(default = "utc")]
    time_zone: String,
    /// What becomes of an occurrence while a job of the schedule has not ended.
    #[serde(default)]
    overlap: Overlap,
    /// How late an occurrence may still be submitted after a downtime, in seconds, at most a week; of several
    /// the last one is.
    #[serde(default = "catch_up_s")]
    #[schemars(range(max = 604_800))]
    catch_up_s: u32,
    /// As the body of `POST /jobs`, without `run_at` and `after`, and no draft.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    job: Box<RawValue>,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn catch_up_s() -> u32 {
    CATCH_UP_S
}

/// Reads what a schedule is to be.
pub async fn read(incoming: &mut Incoming) -> Result<Wanted, ApiError> {
    parse(incoming.json(BODY_BYTES_MAX).await?.text())
}

fn parse(text: &str) -> Result<Wanted, ApiError> {
    let SetBody { name, cron, time_zone, overlap, catch_up_s, job } = object::read(text)?;
    let asked = Asked::parse(job.get()).map_err(|error| error.within("/job"))?;
    let Asked { job, moved, manner: _ } = asked;
    Ok(Wanted { name, cron, time_zone, overlap, catch_up_s, job, moved })
}

#[cfg(test)]
mod tests {
    use nox_contract::ProblemCode;

    use super::*;
    use crate::problem::FieldError;

    fn body(job: &str) -> String {
        format!(r#"{{"name":"n","cron":"@daily","job":{job}}}"#)
    }

    fn pointers(job: &str) -> Vec<String> {
        let error = parse(&body(job)).map(|_| ()).unwrap_err();
        error.errors().iter().map(|FieldError { pointer, .. }| pointer.clone()).collect()
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let wanted = parse(&body(r#"{"module":"m","inputs":{}}"#)).unwrap();
        assert_eq!((&*wanted.time_zone, wanted.catch_up_s), ("UTC", 3_600));
        assert_eq!(wanted.overlap, Overlap::Skip);
        let job = r#"{"module":"m","inputs":{},"labels":{"a":"b"},"release_id":"7",
                      "concurrency":{"key":"k","limit":2},"draft":false}"#;
        let job = parse(&body(job)).unwrap().job;
        assert_eq!(job.metadata.labels["a"], "b");
        assert_eq!(job.metadata.release_id.as_deref(), Some("7"));
        assert_eq!(job.concurrency.unwrap().limit, 2);
    }

    #[test]
    fn what_is_wrong_with_the_job_is_named_where_it_stands() {
        assert_eq!(pointers(r#"{"module":"m","inputs":{},"priority":10}"#), ["/job/priority"]);
        let several = pointers(r#"{"module":"m","inputs":{},"labels":{"a b":""},"x~/y":1}"#);
        assert_eq!(several, ["/job/labels/a b", "/job/x~0~1y"]);
        assert_eq!(pointers(r#"{"module":"m","inputs":{"a":"\u0000"}}"#), ["/job/inputs"]);
        assert_eq!(pointers("7"), ["/job"]);
    }

    #[test]
    fn a_body_has_each_member_that_it_needs_once_and_no_other() {
        for text in [
            r#"{"name":"n","cron":"@daily"}"#,
            r#"{"name":"n","cron":"@daily","job":{},"run_at":1}"#,
            r#"{"name":"n","name":"n","cron":"@daily","job":{}}"#,
            "[]",
        ] {
            let code = parse(text).map(|_| ()).unwrap_err().code();
            assert_eq!(code, ProblemCode::InvalidRequest, "{text}");
        }
    }
}
