//! What is printed while the broker is away: it is stored later, or told to be missing, and counted.

use std::time::Duration;

use nox_contract::{AttemptEnd, JobId, StartWork};
use nox_streams::{LogChunk, LogGaps};

use crate::lifecycle::Stage;

/// Bytes of the printing jobs: nearly what is kept of a stream, and more than goes through in a moment.
const PRINTED: u64 = 15_000_000;

/// What the one prints first, for more than a second; with the rest it is within what is kept.
const STEPS: u64 = 50;
const STEP_BYTES: u64 = 30_000;

/// How long a broker may need to take in what has waited, on a busy machine.
const STORED_WITHIN: Duration = Duration::from_secs(60);

impl Stage {
    /// A job that prints so much, to its end and no further.
    fn print(&mut self, script: &str) -> StartWork {
        self.script(&format!("{script}; yes 123456789 | head -c {PRINTED}; echo end >&2"))
    }

    /// All that is stored of a log, once it has its end.
    async fn whole_log(&self, job: JobId) -> Vec<LogChunk> {
        let tenant = "acme".parse().unwrap();
        let read = async {
            let mut log: Vec<LogChunk> = Vec::new();
            loop {
                let after = log.last().map_or(0, |chunk| chunk.seq);
                let page = self
                    .broker
                    .read_logs(&tenant, job, after, 64, 8 << 20)
                    .await
                    .unwrap_or_default();
                let is_empty = page.is_empty();
                log.extend(page);
                if is_empty && log.iter().filter(|chunk| chunk.end).count() == 2 {
                    return log;
                }
                if is_empty {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        let read = tokio::time::timeout(STORED_WITHIN, read).await;
        read.unwrap_or_else(|_| panic!("the log has no end: {}", self.log()))
    }
}

/// How many bytes are there, and how many are told to be missing.
fn sum(log: &[LogChunk]) -> (u64, u64) {
    let mut gaps = LogGaps::new(true);
    let (mut present, mut missing) = (0, 0);
    for chunk in log {
        let before = gaps.before(chunk).expect("no chunk is there twice");
        present += chunk.length;
        missing += before;
        if chunk.length > 0 {
            assert_eq!(chunk.bytes.len() as u64, chunk.length);
        }
    }
    (present, missing)
}

/// The executor's own count of what is lost.
async fn count_of_lost(admin: u16) -> u64 {
    let url = format!("http://127.0.0.1:{admin}/metrics");
    let mut curl = std::process::Command::new("curl");
    let answer = curl.args(["-fsS", "--max-time", "10", &url]).output().unwrap();
    let text = String::from_utf8(answer.stdout).unwrap();
    let line =
        text.lines().find_map(|line| line.strip_prefix("nox_executor_log_bytes_lost_total "));
    line.unwrap_or_else(|| panic!("no count in {text}")).parse::<f64>().unwrap() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_print_on_while_the_broker_is_away_and_nothing_of_it_is_lost() {
    for crash in [false, true] {
        let mut stage = Stage::new().await;
        let port = nox_devkit::free_port([127, 0, 0, 1].into()).unwrap();
        let _executor = stage.executor(&[("NOX_ADMIN_ADDR", &format!("127.0.0.1:{port}"))]);
        stage.hello().await;
        // The one prints all the time while the broker goes, the other while it is away.
        let steadily = format!(
            "for i in $(seq {STEPS}); do yes 123456789 | head -c {STEP_BYTES}; sleep 0.02; done"
        );
        let jobs = [stage.print(&steadily), stage.print("sleep 1")];
        for _ in &jobs {
            assert!(matches!(stage.said().await, nox_contract::Report::Started(_)));
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
        if crash {
            // Killed with a piece under way, which it has read and never stored.
            stage.nats.freeze();
            tokio::time::sleep(Duration::from_millis(300)).await;
            stage.nats.kill9();
            tokio::time::sleep(Duration::from_secs(3)).await;
            stage.nats.restart().await.unwrap();
        } else {
            stage.nats.freeze();
            tokio::time::sleep(Duration::from_secs(3)).await;
            stage.nats.thaw();
        }
        let mut present = Vec::new();
        for job in &jobs {
            let (printed, missing) = sum(&stage.whole_log(job.job_id).await);
            assert_eq!(missing, 0, "crash: {crash}");
            present.push(printed);
        }
        assert_eq!(present, [STEPS * STEP_BYTES + PRINTED + 4, PRINTED + 4], "crash: {crash}");
        assert_eq!(count_of_lost(port).await, 0);
        for _ in &jobs {
            let end = stage.ended().await.end;
            assert!(!format!("{end:?}").contains("log_bytes_lost"), "{end:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_longer_fits_is_marked_counted_and_said_in_the_job() {
    let mut stage = Stage::new().await;
    let port = nox_devkit::free_port([127, 0, 0, 1].into()).unwrap();
    let _executor = stage.executor(&[("NOX_ADMIN_ADDR", &format!("127.0.0.1:{port}"))]);
    stage.hello().await;
    // More than the executor keeps in hand of all attempts together.
    let jobs: Vec<_> = (0..6)
        .map(|n| stage.print(if n == 0 { "trap 'exit 3' EXIT; sleep 1" } else { "sleep 1" }))
        .collect();
    for _ in &jobs {
        assert!(matches!(stage.said().await, nox_contract::Report::Started(_)));
    }
    stage.nats.freeze();
    let lost = async {
        while count_of_lost(port).await == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(STORED_WITHIN, lost).await.expect("something is lost");
    stage.nats.thaw();

    let (mut all, mut missing) = (0, std::collections::BTreeMap::new());
    for job in &jobs {
        let (present, lost) = sum(&stage.whole_log(job.job_id).await);
        assert_eq!(present + lost, PRINTED + 4);
        all += lost;
        missing.insert(job.job_id, lost);
    }
    assert_eq!(count_of_lost(port).await, all);
    for _ in &jobs {
        let ended = stage.ended().await;
        let lost = missing[&ended.job_id];
        let told = match &ended.end {
            AttemptEnd::Succeeded { outputs } => outputs.get().to_owned(),
            AttemptEnd::Failed { error, .. } => error.message.clone(),
            AttemptEnd::HandedBack(why) => panic!("{why:?}"),
        };
        let failed = matches!(ended.end, AttemptEnd::Failed { .. });
        assert_eq!(failed, ended.job_id == jobs[0].job_id, "{told}");
        let said = if failed {
            format!("; {lost} bytes of its log are lost")
        } else {
            format!(r#""log_bytes_lost":{lost}"#)
        };
        assert_eq!(told.contains(&said), lost > 0, "{said} in {told}");
        assert_eq!(told.contains("log_incomplete"), lost > 0 && !failed, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_stops_stores_the_ends_of_logs_first() {
    let mut stage = Stage::new().await;
    let executor = stage.executor(&[]);
    stage.hello().await;
    let job = stage.print("sleep 0.5");
    assert!(matches!(stage.said().await, nox_contract::Report::Started(_)));
    executor.stop().await;
    let (present, missing) = sum(&stage.whole_log(job.job_id).await);
    assert_eq!((present, missing), (PRINTED + 4, 0));
}
