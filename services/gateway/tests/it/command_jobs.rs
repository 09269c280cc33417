//! Raw commands: who may have them run, and how their jobs are told.

use nox_contract::{Command, Submit};
use reqwest::Method;
use serde_json::{Value, json};

use crate::system::{Reply, System, send, tenant_token, token};

/// The input schema of the module as Nox comes with it.
const SCHEMA: &str = include_str!("../../../../modules/command/inputs.json");

async fn started(roles: &'static str) -> System {
    let mut system = System::start().await;
    let schema = serde_json::from_str(SCHEMA).unwrap();
    system.scheduler.declare_module("command", schema).await;
    if !roles.is_empty() {
        system.commands_for(roles).await;
    }
    system
}

async fn submits(system: &System) -> Vec<Submit> {
    let commands = system.scheduler.commands().await.into_iter();
    let submits = commands.filter_map(|command| match command {
        Command::Submit(submit) => Some(*submit),
        _ => None,
    });
    submits.collect()
}

async fn keyed(system: &System, token: &str, body: &Value) -> Reply {
    let request = system.request(Method::POST, "/jobs", token).json(body);
    send(request.header("idempotency-key", "k")).await
}

#[tokio::test]
async fn a_command_is_created_and_told_in_the_words_of_its_first_users() {
    let system = started("user,admin").await;
    let ada = token("ada", "user");
    let command = "/bin/echo hello && sleep 1 && /bin/echo done";
    let reply = system.post("/jobs", &ada, &json!({"command": command})).await;
    let body = reply.expect(201);
    let id = body["id"].as_str().unwrap().to_owned();
    assert_eq!(reply.headers["location"], format!("/jobs/{id}"));
    assert_eq!(body["job_id"], body["id"]);
    assert_eq!((&body["status"], &body["state"]), (&json!("pending"), &json!("queued")));

    let job = system.get(&format!("/jobs/{id}?n={}", body["n"]), &ada).await.expect(200);
    assert_eq!((&job["status"], &job["state"]), (&json!("pending"), &json!("queued")));
    assert_eq!(job["createdBy"], "ada");
    assert!(job["createdAt"].is_string() && job["createdAt"] == job["created_at"], "{job}");
    assert_eq!(job["inputs"], json!({"command": command}));
    assert_eq!(job["module"], "command");

    system.scheduler.succeed(id.parse().unwrap()).await;
    let job = system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
    assert_eq!((&job["status"], &job["state"]), (&json!("success"), &json!("succeeded")));
    for word in ["success", "succeeded", "completed"] {
        let listed = system.get(&format!("/jobs?module=command&status={word}"), &ada).await;
        assert_eq!(listed.expect(200)["jobs"][0]["status"], "success", "{word}");
    }
    let rows = system.get(&format!("/jobs/{id}/status"), &ada).await.expect(200);
    assert_eq!(rows.as_array().unwrap().last().unwrap()["output"], "Process exited with code 0");

    let id = system.post("/jobs", &ada, &json!({"command": "false"})).await.expect(201);
    let id = id["id"].as_str().unwrap().to_owned();
    let canceled = system.post(&format!("/jobs/{id}/cancel"), &ada, &json!({})).await.expect(200);
    assert_eq!(
        (&canceled["status"], &canceled["state"]),
        (&json!("cancelled"), &json!("canceled"))
    );
    let id = system.post("/jobs", &ada, &json!({"command": "false"})).await.expect(201);
    let id = id["id"].as_str().unwrap().to_owned();
    system.scheduler.fail(id.parse().unwrap()).await;
    let job = system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
    assert_eq!((&job["status"], &job["state"]), (&json!("failure"), &json!("failed")));

    // Of another's there is nothing to be seen, and a job of a module has its own words.
    let eve = system.get(&format!("/jobs/{id}"), &token("eve", "user")).await;
    eve.expect_problem(404, "job_not_found");
    let (id, n) = system.submit(&ada, "noop").await;
    let job = system.get(&format!("/jobs/{id}?n={n}"), &ada).await.expect(200);
    assert_eq!(job["status"], "queued");
    assert!(job.get("createdAt").is_none() && job.get("createdBy").is_none(), "{job}");
}

#[tokio::test]
async fn a_command_is_a_line_for_the_shell_and_nothing_else_beside_it() {
    let system = started("user").await;
    let ada = token("ada", "user");
    let ask = async |body: Value| system.post("/jobs", &ada, &body).await;
    for command in
        [json!(""), json!(" \n"), json!("x".repeat(2_001)), json!(5), json!(null), json!({})]
    {
        let body = ask(json!({"command": command})).await.expect_problem(400, "invalid_command");
        assert_eq!(body["errors"][0]["pointer"], "/command", "{command}");
    }
    let nul = ask(json!({"command": "true\u{0}"})).await.expect_problem(400, "invalid_command");
    assert_eq!(nul["errors"][0]["pointer"], "/command");
    for command in ["x".repeat(2_000), "é".repeat(2_000), "-x".to_owned(), "a\nb".to_owned()] {
        ask(json!({"command": command})).await.expect(201);
        assert_eq!(
            submits(&system).await.pop().unwrap().inputs.get(),
            json!({"command": command}).to_string()
        );
    }
    for (body, places) in [
        (json!({}), vec!["/module"]),
        (json!({"command": "true", "module": "noop"}), vec!["/module", "/command"]),
        (json!({"command": "true", "engine": "xtb"}), vec!["/engine", "/command"]),
        (json!({"module": "noop", "engine": "xtb"}), vec!["/module", "/engine"]),
        (json!({"command": "", "module": "noop"}), vec!["/module", "/command"]),
        (json!({"command": "true", "inputs": {}}), vec!["/inputs"]),
        (json!({"command": "true", "kind": "opt_properties"}), vec!["/kind"]),
        (json!({"module": "noop", "kind": "opt_properties"}), vec!["/kind"]),
    ] {
        let problem = ask(body.clone()).await.expect_problem(422, "invalid_request");
        let errors = problem["errors"].as_array().unwrap();
        let found: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
        assert_eq!(found, places, "{body}");
        if !places[0].starts_with("/kind") && !places[0].starts_with("/inputs") {
            for word in ["module", "engine", "command"] {
                assert!(errors[0]["detail"].as_str().unwrap().contains(word), "{problem}");
            }
        }
    }
}

#[tokio::test]
async fn commands_are_for_the_roles_that_the_operator_names_whichever_way_they_are_asked_for() {
    let mut system = started("user").await;
    let (ada, admin) = (token("ada", "user"), token("root", "admin"));
    let raw = json!({"command": "id"});
    let by_name = json!({"module": "command", "inputs": {"command": "id"}});
    let first = keyed(&system, &ada, &raw).await.expect(201);
    assert_eq!(keyed(&system, &ada, &raw).await.expect(201), first);
    // The other way to the same job has its own status, and is the same job.
    assert_eq!(keyed(&system, &ada, &by_name).await.expect(202), first);

    // Off, as it is where nobody has said anything.
    system.commands_for("").await;
    let before = submits(&system).await.len();
    for token in [&ada, &admin] {
        for body in [&raw, &by_name] {
            let problem = system.post("/jobs", token, body).await.expect_problem(403, "forbidden");
            assert!(problem["detail"].as_str().unwrap().contains("NOX_COMMAND_ROLES"), "{problem}");
            keyed(&system, token, body).await.expect_problem(403, "forbidden");
        }
        let bulk = json!({"jobs": [raw, {"module": "noop"}, by_name], "atomic": false});
        let answers = system.post("/jobs/batch", token, &bulk).await.expect(200);
        assert_eq!(answers["jobs"][0]["problem"]["code"], "forbidden");
        assert!(answers["jobs"][1]["accepted"].is_object());
        assert_eq!(answers["jobs"][2]["problem"]["code"], "forbidden");
    }
    let since: Vec<_> = submits(&system).await.split_off(before);
    assert!(since.iter().all(|submit| submit.module.as_str() == "noop"), "{since:?}");

    // For some, and in a bulk as well.
    system.commands_for("admin,acme/user").await;
    system.post("/jobs", &ada, &raw).await.expect_problem(403, "forbidden");
    system.post("/jobs", &admin, &raw).await.expect(201);
    let acme = tenant_token("acme", "ada", "user");
    let answers =
        system.post("/jobs/batch", &acme, &json!({"jobs": [raw, by_name], "atomic": false})).await;
    for answer in answers.expect(200)["jobs"].as_array().unwrap() {
        assert_eq!(answer["accepted"]["status"], "pending", "{answer}");
    }
}

#[tokio::test]
async fn where_nobody_can_run_commands_the_refusal_says_what_is_needed() {
    let mut system = System::start().await;
    system.commands_for("user").await;
    let reply = system.post("/jobs", &token("ada", "user"), &json!({"command": "id"})).await;
    let problem = reply.expect_problem(422, "unknown_module");
    assert!(problem["detail"].as_str().unwrap().contains("isolated"), "{problem}");
}
