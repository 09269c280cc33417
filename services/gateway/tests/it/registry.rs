//! Accounts, API keys and schedules over HTTP.

use serde_json::{Value, json};

use crate::system::{System, tenant_token, token};

const LIMITS: &str = r#"{"cpu_seconds":500,"queued_jobs":10,"running_jobs":2,"cpu":4,"mem_mb":1024,"drafts":10,"starts_per_minute":60}"#;

#[tokio::test]
async fn an_admin_sets_limits_and_a_user_sees_its_own_alone() {
    let system = System::start().await;
    let (root, ada, eve) = (token("root", "admin"), token("ada", "user"), token("eve", "user"));
    let body: Value =
        json!({"limits": serde_json::from_str::<Value>(LIMITS).unwrap(), "reason": "a deadline"});
    system.get("/quotas/ada", &ada).await.expect_problem(404, "account_not_found");
    system.put("/quotas/ada", &ada, &body).await.expect_problem(403, "forbidden");
    let set = system.put("/quotas/ada", &root, &body).await.expect(200);
    assert_eq!(set["account"], "user/ada");
    let seen = system.get("/quotas/ada", &ada).await.expect(200);
    assert_eq!((&seen["limits"]["cpu"], &seen["change"]["by"]), (&json!(4), &json!("root")));
    assert_eq!(seen["change"]["reason"], "a deadline");
    let types: Vec<_> =
        seen["usage"].as_array().unwrap().iter().map(|of| of["quota_type"].clone()).collect();
    assert_eq!(types, ["cpu_seconds", "queued_jobs", "running_jobs"]);
    system.get("/quotas/ada", &eve).await.expect_problem(404, "account_not_found");
    let listed = system.get("/quotas", &root).await.expect(200);
    assert_eq!(listed["accounts"].as_array().unwrap().len(), 1);
    assert_eq!(system.get("/quotas", &eve).await.expect(200)["accounts"], json!([]));
    // Another tenant's admin has other accounts.
    let elsewhere = tenant_token("acme", "root", "admin");
    system.get("/quotas/ada", &elsewhere).await.expect_problem(404, "account_not_found");
    system.put("/tenants/default/quotas", &elsewhere, &body).await.expect_problem(403, "forbidden");
    system.put("/tenants/acme/quotas", &root, &body).await.expect(200);
    // Page by page.
    system.put("/quotas/eve", &root, &body).await.expect(200);
    let first = system.get("/quotas?limit=1", &root).await.expect(200);
    assert_eq!(
        (&first["accounts"][0]["account"], &first["next"]),
        (&json!("user/ada"), &json!("user/ada"))
    );
    let rest = system.get("/quotas?limit=1&cursor=user%2Fada", &root).await.expect(200);
    assert_eq!(
        (&rest["accounts"][0]["account"], &rest["next"]),
        (&json!("user/eve"), &json!(null))
    );
    let wrong = json!({"limits": {"cpu_seconds": -1}, "reason": ""});
    system.put("/quotas/ada", &root, &wrong).await.expect_problem(422, "invalid_request");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "it measures")]
async fn a_key_acts_as_its_maker_and_is_worth_nothing_when_it_is_revoked() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let wanted = json!({"name": "ci", "scopes": ["compute:read"]});
    let created = system.post("/keys", &ada, &wanted).await.expect(201);
    let (id, key) = (created["id"].as_str().unwrap(), created["secret"].as_str().unwrap());
    let me = system.get("/quotas/my/usage", key).await.expect(200);
    assert_eq!(me["user_id"], "ada");
    // It is narrowed down, and does not look after keys.
    system.post("/keys", key, &wanted).await.expect_problem(403, "forbidden");
    system.get("/keys", key).await.expect_problem(403, "forbidden");
    let listed = system.get("/keys", &ada).await.expect(200);
    assert_eq!(listed["keys"][0]["name"], "ci");
    assert!(!listed.to_string().contains("secret") && !listed.to_string().contains("hash"));
    for role in ["admin", "root"] {
        let more = json!({"name": "ci", "role": role});
        system.post("/keys", &ada, &more).await.expect_problem(422, "invalid_request");
    }
    let service = json!({"name": "ci", "service": "robot"});
    system.post("/keys", &ada, &service).await.expect_problem(422, "invalid_request");
    let service = system.post("/keys", &token("root", "admin"), &service).await.expect(201);
    assert_eq!(service["user_id"], "service:robot");

    let bad =
        system.get("/quotas/my/usage", "nonsense").await.expect_problem(401, "unauthenticated");
    assert_eq!(system.delete(&format!("/keys/{id}"), &ada).await.status, 204);
    let other = if key.ends_with('0') { '1' } else { '0' };
    let unknown = format!("{}{other}", &key[..key.len() - 1]);
    for worthless in [unknown.as_str(), "nox_", "nox_0_0"] {
        let refused = system.get("/quotas/my/usage", worthless).await;
        let refused = refused.expect_problem(401, "unauthenticated");
        assert_eq!(refused["detail"], bad["detail"], "{worthless}");
    }
    let begun = std::time::Instant::now();
    while system.get("/quotas/my/usage", key).await.status != 401 {
        assert!(begun.elapsed().as_secs() < 7, "a revoked key still passes");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_schedule_is_read_back_with_the_times_at_which_it_is_due() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let job = json!({"module": "xtb_hello", "inputs": {"text": "hello"}});
    let wanted =
        json!({"name": "nightly", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "job": job});
    let created = system.post("/schedules", &ada, &wanted).await.expect(201);
    // As the scheduler said, and not as the gateway would.
    assert!(created["next_due_at"].as_str().unwrap().starts_with("9999-12-31T"));
    let path = format!("/schedules/{}", created["id"].as_str().unwrap());
    let seen = system.get(&format!("{path}?next=5"), &ada).await.expect(200);
    assert_eq!((&seen["cron"], &seen["overlap"]), (&json!("30 2 * * *"), &json!("skip")));
    assert_eq!(seen["next_times"].as_array().unwrap().len(), 5);
    assert_eq!(seen["job"]["inputs"], json!({"text": "hello"}));
    system.get(&path, &token("eve", "user")).await.expect_problem(404, "schedule_not_found");
    let listed = system.get("/schedules", &ada).await.expect(200);
    assert_eq!(listed["schedules"].as_array().unwrap().len(), 1);
    for (member, value) in [
        ("cron", json!("61 2 * * *")),
        ("cron", json!("0 0 30 2 *")),
        ("time_zone", json!("Europe/Atlantis")),
        ("overlap", json!("never")),
        ("catch_up_s", json!(604_801)),
        ("name", json!("")),
        (
            "job",
            json!({"module": "xtb_hello", "inputs": {"text": "a"}, "run_at": "2030-01-01T00:00:00Z"}),
        ),
    ] {
        let mut wrong = wanted.clone();
        wrong[member] = value;
        system.post("/schedules", &ada, &wrong).await.expect_problem(422, "invalid_request");
    }
}
