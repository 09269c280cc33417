//! Numbers come to the program and back as they were written.

use std::time::Duration;

use anyhow::Context;
use nox_testkit::system::cluster::{Cluster, Options, until};
use reqwest::Method;
use serde_json::{Value, value::RawValue};

const WITHIN: Duration = Duration::from_secs(30);

/// None of them is a double.
const NUMBERS: [&str; 4] =
    ["18446744073709551616", "1e400", "0.1000000000000000055", "-9007199254740993.5"];

#[tokio::test(flavor = "multi_thread")]
async fn numbers_keep_their_digits_from_request_to_program_to_answer() {
    // The control: what passes through doubles does not.
    for number in NUMBERS {
        let double = serde_json::from_str::<Value>(number).map(|value| value.to_string());
        assert_ne!(double.ok().as_deref(), Some(number));
    }
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let ada = cluster.client("ada");
    for number in NUMBERS {
        let body = format!("{{\"module\": \"digits\", \"inputs\": {{\"number\": {number}}}}}");
        let request = ada.request(0, Method::POST, "/jobs");
        let request = request.header("Content-Type", "application/json").body(body);
        let answer = ada.send(request).await.unwrap();
        assert_eq!(answer.status, 202, "{number}: {}", answer.body);
        let job = answer.body["job_id"].as_str().unwrap().to_owned();
        let ended = async || {
            let request = ada.request(0, Method::GET, &format!("/jobs/{job}"));
            let text = request.send().await?.error_for_status()?.text().await?;
            let ends = ["\"state\":\"succeeded\"", "\"state\":\"failed\""];
            Ok(ends.iter().any(|state| text.contains(state)).then_some(text))
        };
        let text = until(WITHIN, "the job to end", ended).await.context(number).unwrap();
        let at = |path: &[&str]| {
            let mut value: Box<RawValue> = serde_json::from_str(&text).unwrap();
            for name in path {
                let members: std::collections::BTreeMap<String, Box<RawValue>> =
                    serde_json::from_str(value.get()).unwrap_or_else(|e| panic!("{e}: {text}"));
                value = members.get(*name).unwrap_or_else(|| panic!("{name}: {text}")).clone();
            }
            value.get().to_owned()
        };
        assert_eq!(at(&["inputs", "number"]), number, "{text}");
        assert_eq!(at(&["outputs", "scalars", "of_json"]), number, "{text}");
        assert_eq!(at(&["outputs", "scalars", "of_text"]), number, "{text}");
    }
}
