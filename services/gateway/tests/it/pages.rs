//! Pages are bounded by bytes, whatever stands in them, and are read only where there is room.

use nox_gateway::HttpLimits;
use serde_json::{Value, json};

use crate::system::{System, token};

const KIB: usize = 1024;

async fn submit(system: &System, token: &str, jobs: usize, inputs: &Value) {
    let mut n = 0;
    for _ in 0..jobs {
        let job = json!({"module": "noop", "inputs": inputs});
        n = system.post("/jobs", token, &job).await.expect(202)["n"].as_u64().unwrap();
    }
    system.get(&format!("/jobs?limit=1&n={n}"), token).await.expect(200);
}

/// Postgres writes 1e300 with 301 digits: sixteen kilobytes became eight hundred.
#[tokio::test]
async fn inputs_count_with_all_the_digits_that_their_numbers_have() {
    let system = System::start().await;
    let ada = token("ada", "user");
    for number in ["1e300", "1e-300", "-12.5e299"] {
        let numbers = |count: usize| vec![number; count].join(",");
        let job = |count| format!(r#"{{"module":"noop","inputs":{{"a":[{}]}}}}"#, numbers(count));
        let post = async |job: String| {
            let request = system.request(reqwest::Method::POST, "/jobs", &ada);
            crate::system::send(request.header("content-type", "application/json").body(job)).await
        };
        for count in [60, 2_700] {
            let refused = post(job(count)).await.expect_problem(413, "body_too_large");
            assert_eq!(refused["errors"][0]["pointer"], "/inputs", "{refused}");
        }
        let n = post(job(50)).await.expect(202)["n"].as_u64().unwrap();
        let page = system.get(&format!("/jobs?limit=1&n={n}"), &ada).await;
        page.expect(200);
        assert!(page.text.len() < 20 * KIB, "{}", page.text.len());
    }
}

#[tokio::test]
async fn a_page_ends_where_it_has_enough_bytes_and_none_is_missed() {
    let system = System::start().await;
    let ada = token("ada", "user");
    submit(&system, &ada, 120, &json!({"text": "x".repeat(16_000)})).await;
    submit(&system, &ada, 20, &json!({})).await;

    let (mut path, mut pages, mut seen) = ("/jobs?limit=200".to_owned(), 0, Vec::new());
    loop {
        let page = system.get(&path, &ada).await;
        assert!(page.text.len() < 600 * KIB, "{}", page.text.len());
        let page = page.expect(200);
        let jobs = page["jobs"].as_array().unwrap();
        assert!(!jobs.is_empty());
        seen.extend(jobs.iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/jobs?limit=200&cursor={next}");
    }
    let mut distinct = seen.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((seen.len(), distinct.len()), (140, 140));
    assert!((4..=8).contains(&pages), "{pages}");
}

#[tokio::test]
async fn a_page_is_read_only_where_there_is_room_for_what_it_becomes() {
    let limits = HttpLimits { connections_max: 100, memory_mb: 1, address_percent: 100 };
    let system = System::start_with(limits).await;
    let ada = token("ada", "user");
    submit(&system, &ada, 30, &json!({"text": "x".repeat(16_000)})).await;

    // The answer alone would fit, and what it is made of does not.
    system.get("/jobs?limit=28", &ada).await.expect_problem(503, "overloaded");
    let page = system.get("/jobs?limit=10", &ada).await.expect(200);
    assert_eq!(page["jobs"].as_array().unwrap().len(), 10);
}
