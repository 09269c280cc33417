//! What users are told about their quotas.

use nox_contract::{Limits, ProblemCode, Refusal};
use serde_json::json;

use crate::system::{System, token, until};

#[tokio::test]
async fn users_see_their_limits_their_usage_and_what_they_were_refused() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let metrics = system.get("/metrics", "").await.text;
    for line in [
        "nox_quota_violations_total{code=\"budget_exhausted\"} 0",
        "nox_job_running{module=\"xtb_hello\"} 0",
        "nox_job_failures_total{module=\"noop\"} 0",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} is not in\n{metrics}");
    }
    let none = system.get("/quotas/my/quotas", &ada).await.expect(200);
    assert_eq!(none["quotas"], json!([]));

    let limits = Limits {
        cpu_seconds: 500,
        queued_jobs: 10,
        running_jobs: 2,
        cpu: 4,
        mem_mb: 1_024,
        drafts: 5,
        starts_per_minute: 60,
    };
    system.scheduler.grant("default", "ada", limits).await;
    let quotas = system.get("/quotas/my/quotas", &ada).await.expect(200);
    let quotas = quotas["quotas"].as_array().unwrap();
    assert_eq!(quotas.len(), 7);
    assert_eq!(quotas[0], json!({"quota_type": "cpu_seconds", "limit": 500, "period": "day"}));

    let usage = system.get("/quotas/my/usage", &ada).await.expect(200);
    assert_eq!(usage["usage"][0]["quota_type"], "cpu_seconds");
    assert_eq!(usage["usage"][0]["current_usage"], 0);
    assert_eq!(usage["usage"][0]["limit"], 500);
    assert_eq!(usage["usage"][0]["percentage"], 0.0);

    let mut refusal = Refusal::new(ProblemCode::BudgetExhausted, "spent");
    refusal.quota = Some("cpu_seconds".to_owned());
    refusal.usage = Some(450);
    refusal.limit = Some(500);
    system.scheduler.violate("default", "ada", refusal).await;
    let violations = system.get("/quotas/my/violations", &ada).await.expect(200);
    let violation = &violations["violations"][0];
    assert_eq!(violation["code"], "budget_exhausted");
    assert_eq!(violation["quota_type"], "cpu_seconds");
    assert_eq!(violation["percentage"], 90.0);
    // They are shown for a second as they were read.
    let counted = "nox_quota_violations_total{code=\"budget_exhausted\"} 1";
    until(async || system.get("/metrics", "").await.text.contains(counted)).await;

    let eve = system.get("/quotas/my/violations", &token("eve", "user")).await.expect(200);
    assert_eq!(eve["violations"], json!([]));
    let wrong = system.get("/quotas/my/violations?limit=0", &ada).await;
    wrong.expect_problem(422, "invalid_request");
}
