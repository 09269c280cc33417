//! How far a process says that it is stands in its job while it runs.

use std::{fs, time::Duration};

use nox_testkit::system::{
    checker::check,
    cluster::{Cluster, Options, until},
};
use serde_json::json;

use super::admitted;

const WITHIN: Duration = Duration::from_secs(30);

const CLIMBER: &str = r#"
name = "climber"
version = "1"
sandbox = "none"
input_schema = { type = "object" }

[resources]
cpu = 1
mem_mb = 64
wall_time_s = 60

[run]
program = "/bin/sh"
args = ["-c", "for i in 1 2 3 4 5 6 7 8 9; do printf 'step %s0%% of the way\r' $i; sleep 0.5; done; echo", "climber"]

[progress]
pattern = 'step (?<percent>\d+)% (?<message>.*)'
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_prints_of_its_progress_is_shown_at_most_once_a_second_and_the_latest_stays()
{
    let cluster = Cluster::servers(Options::default()).await.unwrap();
    let folder = cluster.folder().join("modules/climber");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("module.toml"), CLIMBER).unwrap();
    let mut cluster = cluster;
    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();
    let client = cluster.client("ada");
    let body = json!({"module": "climber", "inputs": {}});
    let job = admitted(client.submit(0, &body, Some("one")).await).0;

    let mut seen = Vec::new();
    let look = async || {
        let shown = client.get(0, &format!("/jobs/{job}")).await.map_err(anyhow::Error::msg)?.body;
        Ok(Some(shown))
    };
    loop {
        let shown = until(WITHIN, "the job", look).await.unwrap();
        let percent = shown["progress"]["percent"].as_u64();
        if percent.is_some() && percent != seen.last().copied() {
            assert_eq!(shown["progress"]["message"], "of the way");
            seen.extend(percent);
        }
        if !shown["ended_at"].is_null() {
            assert_eq!(shown["state"], "succeeded", "{shown}");
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("progress seen: {seen:?}");
    // Nine steps in four and a half seconds: as many as may be told, in order.
    assert!((3..=6).contains(&seen.len()), "{seen:?}");
    assert!(seen.is_sorted() && seen.iter().all(|percent| percent % 10 == 0), "{seen:?}");
    let events = client.get(0, &format!("/jobs/{job}/events")).await.unwrap().body.to_string();
    assert_eq!(events.matches("\"progressed\"").count(), seen.len(), "{events}");
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
}
