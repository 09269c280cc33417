//! Jobs by `engine` and `kind`, in the words of their first users.

use nox_contract::{Command, Submit};
use serde_json::{Value, json};

use crate::system::{System, send, token};

const XTB: &str = include_str!("../../../../modules/xtb/inputs.json");
const ORCA: &str = include_str!("../../../../modules/orca/inputs.json");
const GAUSSIAN: &str = include_str!("../../../../modules/gaussian/inputs.json");

const WATER: &str = "3\nwater\nO 0 0 0.12\nH 0 0.76 -0.48\nH 0 -0.76 -0.48\n";

async fn started() -> System {
    let system = System::start().await;
    for (name, schema) in [("xtb", XTB), ("orca", ORCA)] {
        system.scheduler.declare_module(name, serde_json::from_str(schema).unwrap()).await;
    }
    system
}

async fn last(system: &System) -> Submit {
    let commands = system.scheduler.commands().await.into_iter();
    let submits = commands.filter_map(|command| match command {
        Command::Submit(submit) => Some(*submit),
        _ => None,
    });
    submits.last().unwrap()
}

#[tokio::test]
async fn an_engine_s_job_is_answered_and_told_as_its_first_users_expect() {
    let system = started().await;
    let ada = token("ada", "user");
    let params = json!({"gfn": 2, "opt": true, "hess": false, "uhf": 0, "chrg": 0});
    let inputs = json!({"xyz": WATER, "charge": 0, "multiplicity": 1, "params": params});
    let body = json!({"engine": "xtb", "kind": "opt_properties", "inputs": inputs});
    let reply = system.post("/jobs", &ada, &body).await;
    let answer = reply.expect(202);
    let id = answer["job_id"].as_str().unwrap().to_owned();
    assert_eq!(reply.headers["location"], format!("/jobs/{id}"));
    assert_eq!(answer["id"], answer["job_id"]);
    assert_eq!((&answer["status"], &answer["state"]), (&json!("pending"), &json!("queued")));
    assert!(answer["message"].is_string() && answer["progress"] == 0, "{answer}");

    let submit = last(&system).await;
    assert_eq!(submit.module.as_str(), "xtb");
    let inputs: Value = serde_json::from_str(submit.inputs.get()).unwrap();
    let params = json!({"gfn": 2, "opt": true, "hess": false});
    let expected = json!({"xyz": WATER, "charge": 0, "multiplicity": 1, "params": params,
                          "kind": "opt_properties"});
    assert_eq!(inputs, expected);

    let path = format!("/jobs/{id}");
    let job = system.get(&format!("{path}?n={}", answer["n"]), &ada).await.expect(200);
    assert_eq!((&job["status"], &job["state"]), (&json!("pending"), &json!("queued")));
    assert_eq!((&job["engine"], &job["kind"]), (&json!("xtb"), &json!("opt_properties")));
    system.get(&format!("{path}/artifacts"), &ada).await.expect(404);
    system.scheduler.succeed(id.parse().unwrap()).await;
    let job = system.get(&path, &ada).await.expect(200);
    assert_eq!((&job["status"], &job["state"]), (&json!("completed"), &json!("succeeded")));
    let artifacts = system.get(&format!("{path}/artifacts"), &ada).await.expect(200);
    assert!(artifacts["scalars"].is_object() && artifacts["artifacts"].is_array(), "{artifacts}");

    // The same module by its name is a job of a module.
    let body = json!({"module": "xtb", "inputs": {"xyz": WATER}});
    let answer = system.post("/jobs", &ada, &body).await.expect(202);
    assert_eq!(answer["status"], "queued");
    assert!(answer.get("message").is_none() && answer.get("progress").is_none(), "{answer}");
    let path = format!("/jobs/{}?n={}", answer["id"].as_str().unwrap(), answer["n"]);
    let job = system.get(&path, &ada).await.expect(200);
    assert!(job["status"] == "queued" && job.get("engine").is_none(), "{job}");
}

#[tokio::test]
async fn what_an_engine_is_asked_for_reaches_its_module() {
    let system = started().await;
    let ada = token("ada", "user");
    let translated = async |engine: &str, inputs: Value| -> Value {
        let body = json!({"engine": engine, "kind": "opt_properties", "inputs": inputs});
        system.post("/jobs", &ada, &body).await.expect(202);
        serde_json::from_str(last(&system).await.inputs.get()).unwrap()
    };
    let radical = "1\n\nN 0 0 0\n";
    let kind = "opt_properties";
    for (engine, inputs, expected) in [
        // What is not said is what the kind says: optimized first.
        (
            "xtb",
            json!({"xyz": WATER}),
            json!({"xyz": WATER, "params": {"opt": true}, "kind": kind}),
        ),
        // What is sent and not set says nothing.
        (
            "xtb",
            json!({"xyz": WATER, "charge": null, "params": {"uhf": null, "opt": false}}),
            json!({"xyz": WATER, "params": {"opt": false}, "kind": kind}),
        ),
        (
            "xtb",
            json!({"xyz": radical, "params": {"uhf": 3, "chrg": 0.0, "gfn": "ff"}}),
            json!({"xyz": radical, "charge": 0.0, "multiplicity": 4, "kind": kind,
                   "params": {"gfn": "ff", "opt": true}}),
        ),
        // As a flag it says nothing that the multiplicity does not say.
        (
            "xtb",
            json!({"xyz": radical, "multiplicity": 4, "params": {"uhf": true}}),
            json!({"xyz": radical, "multiplicity": 4, "params": {"opt": true}, "kind": kind}),
        ),
        (
            "orca",
            json!({"xyz": WATER, "charge": 1, "params": {"chrg": 1e0, "hess": true}}),
            json!({"xyz": WATER, "charge": 1, "task": "Opt Freq", "kind": kind}),
        ),
        (
            "orca",
            json!({"xyz": WATER, "params": {"opt": false, "keywords": "HF STO-3G"}}),
            json!({"xyz": WATER, "task": "SP", "keywords": "HF STO-3G", "kind": kind}),
        ),
    ] {
        assert_eq!(translated(engine, inputs.clone()).await, expected, "{inputs}");
    }
    system.scheduler.declare_module("gaussian", serde_json::from_str(GAUSSIAN).unwrap()).await;
    let inputs = translated("gaussian", json!({"xyz": WATER, "params": {"hess": true}})).await;
    assert_eq!(inputs["task"], "Opt Freq");
}

#[tokio::test]
async fn what_no_engine_can_do_is_refused_with_its_place_in_the_body() {
    let system = started().await;
    let ada = token("ada", "user");
    let xtb = |inputs: Value| json!({"engine": "xtb", "kind": "opt_properties", "inputs": inputs});
    let orca =
        |inputs: Value| json!({"engine": "orca", "kind": "opt_properties", "inputs": inputs});
    let params = |params: Value| xtb(json!({"xyz": WATER, "params": params}));
    for (body, place) in [
        (json!({"engine": "psi4", "kind": "opt_properties", "inputs": {"xyz": WATER}}), "/engine"),
        (json!({"engine": 5, "kind": "opt_properties"}), "/engine"),
        (json!({"engine": "xtb", "kind": "docking", "inputs": {"xyz": WATER}}), "/kind"),
        (xtb(json!([])), "/inputs"),
        (xtb(json!({})), "/inputs"),
        (xtb(json!({"xyz": WATER, "xyzz": 1})), "/inputs/xyzz"),
        (xtb(json!({"xyz": WATER, "params": 5})), "/inputs/params"),
        (params(json!({"gfn": 3})), "/inputs/params/gfn"),
        (params(json!({"opt": "yes"})), "/inputs/params/opt"),
        (params(json!({"grid": 4})), "/inputs/params/grid"),
        (params(json!({"keywords": "HF"})), "/inputs/params/keywords"),
        // Against what is said beside them.
        (xtb(json!({"xyz": WATER, "charge": 0, "params": {"chrg": 1}})), "/inputs/params/chrg"),
        (xtb(json!({"xyz": WATER, "multiplicity": 1, "params": {"uhf": 2}})), "/inputs/params/uhf"),
        (params(json!({"uhf": true})), "/inputs/params/uhf"),
        (params(json!({"uhf": -1})), "/inputs/params/uhf"),
        (params(json!({"uhf": "2"})), "/inputs/params/uhf"),
        // Against the molecule, found by the module's schema.
        (params(json!({"uhf": 1})), "/inputs/params/uhf"),
        (params(json!({"chrg": 100})), "/inputs/params/chrg"),
        (params(json!({"chrg": "+"})), "/inputs/params/chrg"),
        (xtb(json!({"xyz": WATER, "charge": 100})), "/inputs/charge"),
        (xtb(json!({"xyz": "1\n\nO 0 0 0,5\n"})), "/inputs/xyz"),
        (orca(json!({"xyz": WATER, "params": {"gfn": 2}})), "/inputs/params/gfn"),
        (orca(json!({"xyz": WATER, "params": {"opt": 1}})), "/inputs/params/opt"),
        (orca(json!({"xyz": WATER, "params": {"keywords": "!"}})), "/inputs/params/keywords"),
    ] {
        let reply = system.post("/jobs", &ada, &body).await;
        assert_eq!(reply.status, 422, "{body}: {}", reply.text);
        assert_eq!(reply.json()["errors"][0]["pointer"], place, "{body}: {}", reply.text);
    }
    // An engine that no machine has.
    let body = json!({"engine": "gaussian", "kind": "opt_properties", "inputs": {"xyz": WATER}});
    system.post("/jobs", &ada, &body).await.expect_problem(422, "unknown_module");
}

/// 5,000 atoms: more than inputs take inline, and less than an upload.
#[tokio::test]
async fn a_protein_s_geometry_is_uploaded_and_accepted_by_every_engine() {
    let system = started().await;
    system.scheduler.declare_module("gaussian", serde_json::from_str(GAUSSIAN).unwrap()).await;
    let ada = token("ada", "user");
    let atoms = (0..5_000).map(|n| {
        let (x, y, z) = (n % 20, n / 20 % 20, n / 400);
        format!("C {:.6} {:.6} {:.6}\n", 1.5 * f64::from(x), 1.5 * f64::from(y), 1.5 * f64::from(z))
    });
    let xyz = format!("5000\na block of carbon\n{}", atoms.collect::<String>());
    assert!(xyz.len() > 100_000);
    let inline = json!({"engine": "xtb", "kind": "opt_properties", "inputs": {"xyz": xyz}});
    system.post("/jobs", &ada, &inline).await.expect_problem(413, "body_too_large");

    let put = system.request(reqwest::Method::PUT, "/uploads", &ada).body(xyz.clone());
    let upload = send(put).await.expect(201);
    let refers = json!({"$upload": upload["id"], "sha256": upload["sha256"]});
    for engine in ["xtb", "orca", "gaussian"] {
        let inputs = json!({"xyz": refers});
        let body = json!({"engine": engine, "kind": "opt_properties", "inputs": inputs});
        system.post("/jobs", &ada, &body).await.expect(202);
        let inputs: Value = serde_json::from_str(last(&system).await.inputs.get()).unwrap();
        assert_eq!(inputs["xyz"], refers, "{engine}");
        let body = json!({"module": engine, "inputs": {"xyz": refers}});
        system.post("/jobs", &ada, &body).await.expect(202);
    }
    // It is read as a molecule: one atom more than it says.
    let put = system.request(reqwest::Method::PUT, "/uploads", &ada).body(xyz + "C 99 99 99\n");
    let upload = send(put).await.expect(201);
    let inputs = json!({"xyz": {"$upload": upload["id"], "sha256": upload["sha256"]}});
    let body = json!({"engine": "xtb", "kind": "opt_properties", "inputs": inputs});
    let problem = system.post("/jobs", &ada, &body).await.expect_problem(422, "invalid_inputs");
    assert_eq!(problem["errors"][0]["pointer"], "/inputs/xyz");
}
