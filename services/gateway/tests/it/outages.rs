//! Servers that go away and come back.

use serde_json::json;

use crate::system::{System, token, until};

#[tokio::test]
async fn without_a_database_known_modules_are_still_submitted_to() {
    let mut system = System::start().await;
    let ada = token("ada", "user");
    let (id, _) = system.submit(&ada, "noop").await;
    system.scheduler.hold_projection().await;
    system.postgres.kill9();

    system.submit(&ada, "noop").await;
    until(async || system.get("/readyz", "").await.status == 503).await;
    let reply = system.get(&format!("/jobs/{id}"), &ada).await;
    reply.expect_problem(503, "unavailable");
    assert!(reply.headers.contains_key("retry-after"));
    system.submit(&ada, "noop").await;
    // Liveness is not readiness: a restart would help nobody.
    assert_eq!(system.get("/livez", "").await.status, 200);

    system.postgres.restart().await.unwrap();
    // The crash may have taken the last commits with it.
    system.scheduler.fold_again(&system.postgres.url()).await;
    system.until_ready().await;
    system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
}

/// Waiting for what is away helps; where somebody has changed the tables, it does not.
#[tokio::test]
async fn a_column_that_is_missing_is_a_defect_and_no_outage() {
    let system = System::start().await;
    let ada = token("ada", "user");
    system.submit(&ada, "noop").await;
    let rename = async |from: &str, to: &str| {
        let sql = format!("alter table nox_1.schedules rename column {from} to {to}");
        system.postgres.psql(&sql).await.unwrap();
    };
    system.get("/schedules", &ada).await.expect(200);
    rename("created_at", "made_at").await;
    let reply = system.get("/schedules", &ada).await;
    let problem = reply.expect_problem(500, "internal");
    assert!(!reply.headers.contains_key("retry-after"), "{:?}", reply.headers);
    assert!(!problem.to_string().contains("created_at"), "{problem}");
    rename("made_at", "created_at").await;
    system.get("/schedules", &ada).await.expect(200);
}

#[tokio::test]
async fn without_a_broker_nothing_is_promised_and_with_it_all_goes_on() {
    let mut system = System::start().await;
    let ada = token("ada", "user");
    let (id, _) = system.submit(&ada, "noop").await;
    system.nats.kill9();

    let reply = system.post("/jobs", &ada, &json!({"module": "noop"})).await;
    reply.expect_problem(503, "unavailable");
    assert!(reply.headers.contains_key("retry-after"));
    // What is found is still shown; what is not found can't be called missing.
    system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
    let missing = system.get("/jobs/01930000-0000-7000-8000-000000000000", &ada).await;
    missing.expect_problem(503, "unavailable");

    system.nats.restart().await.unwrap();
    system.until_ready().await;
    until(async || {
        let reply = system.post("/jobs", &ada, &json!({"module": "noop"})).await;
        reply.status == 202
    })
    .await;
}

#[tokio::test]
async fn a_short_outage_of_the_broker_is_waited_out() {
    let mut system = System::start().await;
    let ada = token("ada", "user");
    system.submit(&ada, "noop").await;
    system.nats.kill9();
    let request =
        system.request(reqwest::Method::POST, "/jobs", &ada).json(&json!({"module": "noop"}));
    let submit = tokio::spawn(crate::system::send(request));
    system.nats.restart().await.unwrap();
    submit.await.unwrap().expect(202);
}

#[tokio::test]
async fn a_view_that_stands_still_while_the_log_goes_on_is_not_ready() {
    let system = System::start().await;
    let ada = token("ada", "user");
    system.scheduler.hold_projection().await;
    system.submit(&ada, "noop").await;
    until(async || {
        let reply = system.get("/readyz", "").await;
        let part = &reply.json()["parts"]["gateway.view"];
        reply.status == 503 && part["reason"].to_string().contains("stands still")
    })
    .await;
    system.get("/health", "").await.expect(503);
    system.scheduler.project().await;
    system.until_ready().await;
}
