//! What somebody is told of itself and of the system that it asks.

use serde_json::{Value, json};

use crate::system::{System, in_an_hour, sign, tenant_token, token};

#[tokio::test]
async fn an_asker_is_told_what_its_token_lets_it_do() {
    let mut system = System::start().await;
    let me = async |system: &System, token: &str| system.get("/me", token).await.expect(200);
    let root = me(&system, &token("root", "admin")).await;
    assert_eq!(root["scopes"], json!(["compute:read", "compute:write"]));
    assert_eq!((&root["is_operator"], &root["may_run_commands"]), (&json!(true), &json!(false)));
    assert!(root["expires_at"].is_string() && root["key_id"].is_null());
    let all = root["operations"].as_array().unwrap().clone();
    let described = system.get("/openapi.json", "").await.expect(200);
    let paths = described["paths"].as_object().unwrap().values();
    let count = paths.map(|methods| methods.as_object().unwrap().len()).sum::<usize>();
    assert_eq!(all.len(), count, "an operator may ask for everything that there is");

    let expiry = in_an_hour();
    let claims = json!({"sub": "ada", "role": "user", "scope": "compute:read", "exp": expiry});
    let narrow = sign(&claims);
    let ada = me(&system, &narrow).await;
    assert_eq!(ada["scopes"], json!(["compute:read"]));
    let may =
        |asker: &Value, id: &str| asker["operations"].as_array().unwrap().contains(&json!(id));
    assert!(may(&ada, "list_jobs") && !may(&ada, "cancel_job") && !may(&ada, "list_acts"));
    // It is so.
    assert_eq!(system.post("/jobs", &narrow, &json!({"module": "noop"})).await.status, 403);
    assert_eq!(system.get("/audit", &narrow).await.status, 403);
    let boss = tenant_token("acme", "boss", "admin");
    assert!(may(&me(&system, &boss).await, "list_acts"));
    assert!(!may(&me(&system, &boss).await, "get_system"));
    assert_eq!(system.get("/system", &boss).await.status, 403);

    system.commands_for("user").await;
    assert_eq!(me(&system, &token("ada", "user")).await["may_run_commands"], true);
}

#[tokio::test]
async fn everybody_is_told_which_system_it_is_and_operators_how_it_is() {
    let system = System::start().await;
    let info = system.get("/info", "").await;
    assert!(info.headers.contains_key("etag"));
    let info = info.expect(200);
    assert_eq!((&info["name"], &info["color"]), (&json!("Bench 7"), &json!("#00aa55")));
    let features =
        json!({"archive": true, "webhooks": true, "commands": false, "rate_limits": false});
    assert_eq!(info["features"], features, "{info}");
    assert_eq!(info["limits"]["upload_bytes_max"], 64 << 20);

    let root = token("root", "admin");
    let (_, n) = system.submit(&root, "noop").await;
    system.get(&format!("/jobs?n={n}"), &root).await.expect(200);
    let told = system.get("/system", &root).await.expect(200);
    let events = told["streams"].as_array().unwrap().iter().find(|of| of["name"] == "NOX_EVENTS");
    let events = events.unwrap();
    assert!(events["last_seq"].as_u64() >= Some(n), "{told}");
    assert!(told["projection"]["n"].as_u64() >= Some(n), "{told}");
    assert_eq!(told["archive"]["segments"], 0, "{told}");
    assert_eq!((&told["readers"], &told["troubles"]), (&json!([]), &json!([])), "{told}");
    // It may be some seconds old.
    assert_eq!(system.get("/system", &root).await.expect(200)["at"], told["at"]);
}

/// While nothing is projected, time passes.
#[tokio::test]
async fn how_long_the_rows_are_behind_is_told_in_seconds() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let lag = async || system.get("/health", "").await.expect(200)["jobs"]["view_lag_s"].as_f64();
    assert_eq!(lag().await, Some(0.0));
    system.scheduler.hold_projection().await;
    system.submit(&ada, "noop").await;
    crate::system::until(async || lag().await > Some(0.1)).await;
    system.scheduler.project().await;
    crate::system::until(async || lag().await == Some(0.0)).await;
}
