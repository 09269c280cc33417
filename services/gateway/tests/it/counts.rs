//! How many jobs there are, by what, and how it went with them: of those that the asker may see.

use reqwest::Method;
use serde_json::{Value, json};

use crate::system::{System, in_an_hour, send, sign, tenant_token, token};

async fn submit(system: &System, token: &str, body: &Value, count: usize) -> Vec<String> {
    let body = json!({"jobs": vec![body; count]});
    let jobs = system.post("/jobs/batch", token, &body).await.expect(202);
    let id = |of: &Value| of["accepted"]["job_id"].as_str().unwrap().to_owned();
    jobs["jobs"].as_array().unwrap().iter().map(id).collect()
}

/// A facet as pairs of values and counts.
fn values(counts: &Value, facet: &str) -> Value {
    let values = counts["by"][facet]["values"].as_array().unwrap().iter();
    json!(values.map(|of| json!([of["value"], of["count"]])).collect::<Vec<_>>())
}

#[tokio::test]
async fn counts_are_of_the_jobs_that_the_asker_sees_and_of_no_others() {
    let system = System::start().await;
    let (ada, eve, root) = (token("ada", "user"), token("eve", "user"), token("root", "admin"));
    let strange = tenant_token("umbra", "ada", "admin");
    let red = json!({"module": "noop", "labels": {"colour": "red"}, "priority": 7});
    let blue = json!({"module": "noop", "labels": {"colour": "blue"}});
    let plain = json!({"module": "xtb_hello", "inputs": {"text": "a"}});
    let reds = submit(&system, &ada, &red, 3).await;
    submit(&system, &ada, &blue, 2).await;
    submit(&system, &ada, &plain, 1).await;
    submit(&system, &eve, &red, 4).await;
    submit(&system, &strange, &red, 5).await;
    system.post(&format!("/jobs/{}/cancel", reds[0]), &ada, &json!({})).await.expect(200);

    let by = "by=status,module,user_id,priority,label.colour";
    let own = system.get(&format!("/jobs/counts?{by}"), &ada).await.expect(200);
    assert_eq!((&own["count"], &own["is_exact"]), (&json!(6), &json!(true)));
    assert_eq!(values(&own, "status"), json!([["queued", 5], ["canceled", 1]]));
    assert_eq!(values(&own, "module"), json!([["noop", 5], ["xtb_hello", 1]]));
    assert_eq!(values(&own, "user_id"), json!([["ada", 6]]));
    assert_eq!(values(&own, "priority"), json!([["5", 3], ["7", 3]]));
    assert_eq!(values(&own, "label.colour"), json!([["red", 3], ["blue", 2], [null, 1]]));
    assert_eq!(own["by"]["status"]["values"][0]["is_exact"], true);
    // Another's are asked for in vain, also where they are the facet.
    for path in ["/jobs/counts?user_id=eve&by=user_id", "/jobs/counts?user_id=eve,ada&by=user_id"] {
        let told = system.get(path, &ada).await.expect(200);
        assert!(!told.to_string().contains("eve"), "{told}");
    }
    assert_eq!(system.get("/jobs/counts?user_id=eve", &ada).await.expect(200)["count"], 0);
    // Admins count their tenant's, and no other's.
    let all = system.get(&format!("/jobs/counts?{by}"), &root).await.expect(200);
    assert_eq!(
        (&all["count"], &values(&all, "user_id")),
        (&json!(10), &json!([["ada", 6], ["eve", 4]]))
    );
    let other = system.get(&format!("/jobs/counts?{by}"), &strange).await.expect(200);
    assert_eq!((&other["count"], &values(&other, "user_id")), (&json!(5), &json!([["ada", 5]])));

    // What is chosen of a facet leaves the others their numbers.
    let path = "/jobs/counts?status=canceled&label=colour%3Dred&by=status,label.colour,module";
    let chosen = system.get(path, &ada).await.expect(200);
    assert_eq!(chosen["count"], 1);
    assert_eq!(values(&chosen, "status"), json!([["queued", 2], ["canceled", 1]]));
    assert_eq!(values(&chosen, "label.colour"), json!([["red", 1]]));
    assert_eq!(values(&chosen, "module"), json!([["noop", 1]]));

    // A token that may only look may look at this.
    let claims =
        json!({"sub": "ada", "role": "user", "scope": "compute:read", "exp": in_an_hour()});
    let reads = sign(&claims);
    assert_eq!(system.get("/jobs/counts", &reads).await.expect(200)["count"], 6);
    assert_eq!(system.get("/jobs/counts", "").await.status, 401);

    let counts = system.get("/jobs/counts", &ada).await;
    let tag = counts.headers["etag"].as_bytes();
    let again = system.request(Method::GET, "/jobs/counts", &ada).header("if-none-match", tag);
    assert_eq!(send(again).await.status, 304);
    for (query, pointer) in [
        ("by=colour", "?by"),
        ("by=status&by=module", "?by"),
        ("limit=5", "?limit"),
        ("cursor=1.0", "?cursor"),
        ("sort=created_at", "?sort"),
        ("stauts=queued", "?stauts"),
        ("priority=10", "?priority"),
    ] {
        let refused = system.get(&format!("/jobs/counts?{query}"), &ada).await;
        let refused = refused.expect_problem(422, "invalid_request");
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{query}: {refused}");
    }
    let listed = system.get("/jobs?priority=7", &ada).await.expect(200);
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn figures_of_a_span_are_of_the_jobs_that_the_asker_sees() {
    let system = System::start().await;
    let (ada, strange) = (token("ada", "user"), tenant_token("umbra", "ada", "admin"));
    let noop = json!({"module": "noop"});
    let jobs = submit(&system, &ada, &noop, 3).await;
    submit(&system, &strange, &noop, 5).await;
    system.scheduler.succeed(jobs[0].parse().unwrap()).await;
    system.post(&format!("/jobs/{}/cancel", jobs[1]), &ada, &json!({})).await.expect(200);
    let stats = system.get("/jobs/stats?parts=4&module=noop", &ada).await.expect(200);
    let told = ["submitted", "succeeded", "failed", "canceled"].map(|name| stats[name].clone());
    assert_eq!(told, [3, 1, 0, 1].map(Value::from), "{stats}");
    assert_eq!((&stats["is_exact"], &stats["part_s"]), (&json!(true), &json!(900.0)));
    assert_eq!(stats["parts"].as_array().unwrap().len(), 4);
    assert_eq!(stats["wait_s"]["count"], stats["run_s"]["count"]);
    // The same for a moment to whoever sees the same, and to nobody else.
    submit(&system, &ada, &noop, 1).await;
    let again = system.get("/jobs/stats?parts=4&module=noop", &ada).await.expect(200);
    assert_eq!(again["submitted"], 3);
    let other = system.get("/jobs/stats?parts=4&module=noop", &strange).await.expect(200);
    assert_eq!(other["submitted"], 5);
    // The control: before all of that, nothing happened.
    let path = "/jobs/stats?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z";
    let nothing = system.get(path, &ada).await.expect(200);
    assert_eq!((&nothing["submitted"], &nothing["run_s"]["p95"]), (&json!(0), &Value::Null));
    for query in ["parts=0", "from=yesterday", "n=1", "limit=1", "from=2999-01-01T00:00:00Z"] {
        let refused = system.get(&format!("/jobs/stats?{query}"), &ada).await;
        refused.expect_problem(422, "invalid_request");
    }
}

#[tokio::test]
async fn a_brief_list_is_the_list_without_inputs_and_outputs() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let hello = json!({"module": "xtb_hello", "inputs": {"text": "a"}});
    let jobs = submit(&system, &ada, &hello, 3).await;
    system.scheduler.succeed(jobs[0].parse().unwrap()).await;
    for query in ["", "&module!=noop", "&status=queued"] {
        let mut full = system.get(&format!("/jobs?limit=2{query}"), &ada).await.expect(200);
        let brief = system.get(&format!("/jobs?limit=2&view=brief{query}"), &ada).await;
        assert!(brief.headers.contains_key("etag"));
        assert!(brief.headers["link"].to_str().unwrap().contains("view=brief"));
        let brief = brief.expect(200);
        for job in full["jobs"].as_array_mut().unwrap() {
            let members = job.as_object_mut().unwrap();
            // The control: they are there otherwise.
            assert!(members.remove("inputs").is_some() && members.remove("outputs").is_some());
        }
        assert_eq!(brief, full, "{query}");
    }
    let whole = system.get("/jobs?view=full", &ada).await.text;
    assert_eq!(whole, system.get("/jobs", &ada).await.text);
    for query in ["view=short", "view=", "view=full&view=full"] {
        let refused = system.get(&format!("/jobs?{query}"), &ada).await;
        refused.expect_problem(422, "invalid_request");
    }
    // What acts on jobs has no view.
    let act = system.post("/jobs/cancel?status=queued&view=brief", &ada, &json!({})).await;
    act.expect_problem(422, "invalid_request");
}
