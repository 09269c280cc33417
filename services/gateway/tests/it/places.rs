//! What is wrong with a request is named by its place in that very request, whatever it is read as inside.

use serde_json::json;

use crate::system::{System, token};

#[tokio::test]
async fn what_is_wrong_with_a_job_is_named_where_its_request_has_it() {
    let system = System::start().await;
    let schema = json!({"type": "object", "properties": {"nfo": {"type": "string"}}});
    system.scheduler.declare_module("readnfo", schema).await;
    let ada = token("ada", "user");
    let scheduled = |job| json!({"name": "n", "cron": "@daily", "job": job});
    for (path, body, code, pointer) in [
        ("/jobs", json!({"module": "nothing"}), "unknown_module", Some("/module")),
        ("/schedules", scheduled(json!({"module": "no"})), "unknown_module", Some("/job/module")),
        (
            "/schedules",
            scheduled(json!({"engine": "orca", "inputs": {"xyz": "1\n\nHe 0 0 0\n"}})),
            "unknown_module",
            Some("/job/engine"),
        ),
        ("/api/jobs", json!({"job_type": "nothing"}), "unknown_module", Some("/job_type")),
        (
            "/api/jobs",
            json!({"job_type": "readnfo", "config_json": {"nfo": 7}}),
            "invalid_inputs",
            Some("/config_json/nfo"),
        ),
        ("/api/releases/r/actions/readnfo", json!({"nfo": 7}), "invalid_inputs", Some("/nfo")),
        // Its path says what is to be done.
        ("/api/releases/r/actions/repack", json!({}), "unknown_module", None),
    ] {
        let problem = system.post(path, &ada, &body).await.expect_problem(422, code);
        let told = problem["errors"][0]["pointer"].as_str();
        assert_eq!(told, pointer, "{path} {body}: {problem}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_named_by_its_parameter() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let number = "must be a whole number from 0 to 18446744073709551615";
    for (path, pointer, detail) in [
        ("/jobs?n=x", "?n", number),
        ("/jobs?n=1&n=2", "?n", "stands there twice"),
        ("/modules?n=", "?n", number),
        ("/me?verbose=1", "?verbose", "is not known here; nothing is"),
        ("/quotas?page=2", "?page", "is not known here; there are limit, cursor"),
        ("/quotas?cursor=2", "?cursor", "not the cursor of a page"),
        ("/workers?cursor=executor-1", "?cursor", "not the cursor of a page"),
    ] {
        let problem = system.get(path, &ada).await.expect_problem(422, "invalid_request");
        assert_eq!(problem["errors"], json!([{"pointer": pointer, "detail": detail}]), "{path}");
        assert_eq!(problem["detail"], format!("{pointer}: {detail}"), "{path}");
    }
}
