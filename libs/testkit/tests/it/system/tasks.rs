//! Workers over HTTP: they register jobs in rooms, claim tasks of them, and say how these went.

mod clients;
mod crowd;

use std::time::Duration;

use nox_testkit::system::{
    checker::{Rule, check},
    client::{Answer, Client},
    cluster::{Cluster, Options, until},
    service::Kind,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(30);
const JOBLIB: &str = "/v1/joblib";

async fn ask(client: &Client, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = client.request(0, method, &format!("{JOBLIB}{path}"));
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    client.send(request).await.unwrap()
}

/// Registers a job that turns things, in a room.
async fn register(client: &Client, room: &str, name: &str) -> Answer {
    let schema = json!({"type": "object", "properties": {"angle": {"type": "number"}}});
    let body = json!({"category": "modifiers", "name": name, "schema": schema});
    ask(client, Method::PUT, &format!("/rooms/{room}/jobs"), Some(body)).await
}

async fn submit(client: &Client, room: &str, job: &str, payload: Value) -> Value {
    let path = format!("/rooms/{room}/tasks/{job}");
    let answer = ask(client, Method::POST, &path, Some(json!({"payload": payload}))).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    answer.body
}

/// What the client's own worker is given; `null` if nothing.
async fn claim(client: &Client) -> Value {
    let answer = ask(client, Method::POST, "/tasks/claim", None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body["task"].clone()
}

async fn patch(client: &Client, task: &Value, body: Value) -> Answer {
    let id = task["id"].as_str().unwrap();
    ask(client, Method::PATCH, &format!("/tasks/{id}"), Some(body)).await
}

async fn status(client: &Client, task: &Value) -> Value {
    let id = task["id"].as_str().unwrap();
    let answer = ask(client, Method::GET, &format!("/tasks/{id}"), None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

/// Waits until the task is like that.
async fn until_status(client: &Client, task: &Value, wanted: &str) -> Value {
    let look = async || {
        let seen = status(client, task).await;
        Ok((seen["status"] == wanted).then_some(seen))
    };
    until(WITHIN, wanted, look).await.unwrap()
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, kind: &str, title: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.body["type"], format!("/v1/problems/{kind}"), "{}", answer.body);
    assert_eq!(answer.body["title"], title);
    assert_eq!(answer.body["status"], status);
    let kind = answer.headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/problem+json"), "{kind}");
}

async fn well(cluster: &Cluster) {
    cluster.settle(WITHIN).await.unwrap();
    let mut verdict = check(&cluster.evidence().await.unwrap());
    // Only what is asked of `/jobs` is recorded.
    let recorded = [Rule::NothingInvented, Rule::CancelWasAsked];
    verdict.violations.retain(|violation| !recorded.contains(&violation.rule));
    verdict.assert_clean();
    assert_eq!(cluster.internal_errors(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_registered_submitted_claimed_and_completed_as_the_document_says() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let (ada, bob) = (cluster.client("ada"), cluster.client("bob"));
    let root = cluster.client_with(json!({"sub": "root", "role": "admin"}));

    let me = ada.get(0, "/v1/me").await.unwrap();
    assert_eq!((me.status, &me.body["id"]), (StatusCode::OK, &json!("ada")));

    // Registration: who may, what fits, and that it may be repeated.
    let made = register(&ada, "room_123", "Rotate").await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(made.body["full_name"], "room_123:modifiers:Rotate");
    assert_eq!(made.body["workers"], json!([made.body["worker_id"]]));
    let again = register(&ada, "room_123", "Rotate").await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &made.body));
    assert_refused(&register(&ada, "@global", "Rotate").await, 403, "forbidden", "Not allowed");
    assert_eq!(register(&root, "@global", "Rotate").await.status, StatusCode::CREATED);
    for room in ["a@b", "a:b", "%20%0A"] {
        let refused = register(&ada, room, "Rotate").await;
        assert_refused(&refused, 400, "invalid-room-id", "Bad Request");
    }
    let other = json!({"category": "modifiers", "name": "Rotate", "schema": {"type": "object"}});
    let refused = ask(&bob, Method::PUT, "/rooms/room_123/jobs", Some(other.clone())).await;
    assert_refused(&refused, 409, "schema-conflict", "Conflict");
    // Elsewhere it may be another one.
    let elsewhere = ask(&bob, Method::PUT, "/rooms/room_7/jobs", Some(other)).await;
    assert_eq!(elsewhere.status, StatusCode::CREATED);
    let dance = json!({"category": "dances", "name": "Rotate", "schema": {}});
    let refused = ask(&ada, Method::PUT, "/rooms/room_123/jobs", Some(dance)).await;
    assert_refused(&refused, 400, "invalid-category", "Bad Request");
    for (body, place) in [
        (json!({"category": "modifiers", "name": "a:b", "schema": {}}), "/name"),
        (json!({"category": "modifiers", "name": "", "schema": {}}), "/name"),
        (json!({"category": "modifiers", "name": "A", "schema": [1]}), "/schema"),
    ] {
        let refused = ask(&ada, Method::PUT, "/rooms/room_123/jobs", Some(body)).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.body["errors"][0]["pointer"]),
            (422, &json!(place))
        );
    }

    // A worker is its user's: nobody else begins to be it, whether it is there or not.
    let foreign = "5f0c2d3e-1a2b-4c3d-8e9f-0a1b2c3d4e5f";
    for id in [foreign, made.body["worker_id"].as_str().unwrap()] {
        let body = json!({"category": "modifiers", "name": "Mine", "schema": {}, "worker_id": id});
        let refused = ask(&bob, Method::PUT, "/rooms/room_123/jobs", Some(body)).await;
        assert_refused(&refused, 404, "worker-not-found", "Not Found");
    }

    // Listing: the room's own and those for all.
    let names = async |room: &str| {
        let listed = ask(&bob, Method::GET, &format!("/rooms/{room}/jobs"), None).await;
        assert_eq!(listed.status, StatusCode::OK, "{}", listed.body);
        let items = listed.body["items"].as_array().unwrap();
        items.iter().map(|job| job["full_name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("room_123").await, ["@global:modifiers:Rotate", "room_123:modifiers:Rotate"]);
    assert_eq!(names("@global").await, ["@global:modifiers:Rotate"]);
    let one = ask(&bob, Method::GET, "/rooms/room_123/jobs/@global:modifiers:Rotate", None).await;
    assert_eq!(one.body["category"], "modifiers");
    for missing in ["room_123/jobs/room_7:modifiers:Rotate", "room_123/jobs/nothing"] {
        let refused = ask(&bob, Method::GET, &format!("/rooms/{missing}"), None).await;
        assert_refused(&refused, 404, "job-not-found", "Not Found");
    }

    // Submission.
    let path = "/rooms/room_123/tasks/room_123:modifiers:Rotate";
    let submitted = ask(&bob, Method::POST, path, Some(json!({"payload": {"angle": 1e2}}))).await;
    assert_eq!(submitted.status, StatusCode::ACCEPTED, "{}", submitted.body);
    let task = submitted.body.clone();
    let place = format!("{JOBLIB}/tasks/{}", task["id"].as_str().unwrap());
    assert_eq!(submitted.headers["location"], *place);
    assert_eq!((&task["status"], &task["queue_position"]), (&json!("pending"), &json!(0)));
    let second = submit(&bob, "room_123", "room_123:modifiers:Rotate", json!({})).await;
    assert_eq!(second["queue_position"], 1);
    let unknown = "/rooms/room_123/tasks/room_123:modifiers:Nothing";
    let refused = ask(&bob, Method::POST, unknown, Some(json!({}))).await;
    assert_refused(&refused, 404, "job-not-found", "Not Found");
    let why = bob.get(0, &format!("/jobs/{}", task["id"].as_str().unwrap())).await.unwrap();
    assert_eq!(why.body["waiting"]["code"], "claim");

    // Nobody but who registered it is given it, and nothing moves a task that nobody has.
    assert_eq!(claim(&bob).await, Value::Null);
    for to in ["running", "completed", "failed", "claimed", "pending"] {
        let refused = patch(&bob, &task, json!({"status": to})).await;
        assert_refused(&refused, 409, "invalid-task-transition", "Conflict");
    }
    let claimed = claim(&ada).await;
    assert_eq!((&claimed["id"], &claimed["status"]), (&task["id"], &json!("claimed")));
    assert_eq!(
        (&claimed["payload"], &claimed["room_id"]),
        (&json!({"angle": 1e2}), &json!("room_123"))
    );
    assert_eq!(claimed["worker_id"], made.body["worker_id"]);
    let refused = patch(&ada, &claimed, json!({"status": "completed"})).await;
    assert_refused(&refused, 409, "invalid-task-transition", "Conflict");
    // Strangers have no say, whoever submitted it does.
    let stranger = cluster.client("eve");
    let refused = patch(&stranger, &claimed, json!({"status": "running"})).await;
    assert_refused(&refused, 403, "forbidden", "Not allowed");

    let running = patch(&ada, &claimed, json!({"status": "running"})).await;
    assert_eq!((running.status, &running.body["status"]), (StatusCode::OK, &json!("running")));
    for (wrong, place) in [
        (json!({"percent": 101}), "/progress/percent"),
        (json!({"message": "a\u{0}b"}), "/progress/message"),
        (json!({}), "/progress"),
    ] {
        let refused = patch(&ada, &claimed, json!({"progress": wrong})).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.body["errors"][0]["pointer"]),
            (422, &json!(place))
        );
    }
    let progress = json!({"progress": {"percent": 40, "message": "turning"}});
    let told = patch(&ada, &claimed, progress.clone()).await;
    assert_eq!(told.body["progress"], progress["progress"]);
    // No more often than once a second.
    for percent in [41.5, 42.0] {
        let told = patch(&ada, &claimed, json!({"progress": {"percent": percent}})).await;
        assert_eq!((told.status, &told.body["progress"]["percent"]), (StatusCode::OK, &json!(40)));
    }
    let native = bob.get(0, &format!("/jobs/{}", task["id"].as_str().unwrap())).await.unwrap();
    assert_eq!(
        (&native.body["state"], &native.body["progress"]["percent"]),
        (&json!("running"), &json!(40))
    );
    let done =
        json!({"status": "completed", "result": {"turned": 18446744073709551616_u128.to_string()}});
    let completed = patch(&ada, &claimed, done.clone()).await;
    assert_eq!(completed.body["status"], "completed", "{}", completed.body);
    assert_eq!(completed.body["result"], done["result"]);
    for to in ["running", "completed", "failed", "cancelled"] {
        let refused = patch(&ada, &claimed, json!({"status": to})).await;
        assert_refused(&refused, 409, "invalid-task-transition", "Conflict");
    }

    // Failure and cancellation, of whoever submitted it.
    let claimed = claim(&ada).await;
    assert_eq!(claimed["id"], second["id"]);
    let third = submit(&bob, "room_123", "room_123:modifiers:Rotate", json!({})).await;
    for (status, task) in [("claimed", &second), ("pending", &third)] {
        let path = format!("/rooms/room_123/tasks?status={status}");
        let listed = ask(&bob, Method::GET, &path, None).await;
        assert_eq!(
            (&listed.body["total"], &listed.body["items"][0]["id"]),
            (&json!(1), &task["id"])
        );
    }
    let stale = patch(&bob, &claimed, json!({"status": "cancelled", "attempt": 9})).await;
    assert_refused(&stale, 409, "invalid-task-transition", "Conflict");
    patch(&bob, &third, json!({"status": "cancelled"})).await;
    patch(&ada, &claimed, json!({"status": "running"})).await;
    let failed = patch(&ada, &claimed, json!({"status": "failed", "error": "no axis"})).await;
    assert_eq!(
        (&failed.body["status"], &failed.body["error"]),
        (&json!("failed"), &json!("no axis"))
    );
    for claimed_first in [false, true] {
        let task = submit(&bob, "room_123", "room_123:modifiers:Rotate", json!({})).await;
        if claimed_first {
            assert_eq!(claim(&ada).await["id"], task["id"]);
        }
        let canceled = patch(&bob, &task, json!({"status": "cancelled"})).await;
        assert_eq!(canceled.body["status"], "cancelled", "{}", canceled.body);
        let refused = patch(&ada, &task, json!({"status": "running"})).await;
        assert_refused(&refused, 409, "invalid-task-transition", "Conflict");
    }
    assert_eq!(claim(&ada).await, Value::Null);

    let listed = ask(&bob, Method::GET, "/rooms/room_123/tasks?limit=2", None).await;
    assert_eq!(
        (&listed.body["total"], listed.body["items"].as_array().unwrap().len()),
        (&json!(5), 2)
    );
    let completed = ask(&bob, Method::GET, "/rooms/room_123/tasks?status=completed", None).await;
    assert_eq!(completed.body["items"][0]["id"], task["id"]);
    for missing in ["/tasks/0193a000-0000-7000-8000-000000000001", "/tasks/nothing"] {
        let refused = ask(&bob, Method::GET, missing, None).await;
        assert_refused(&refused, 404, "task-not-found", "Not Found");
    }
    // A job that is no task is none here.
    let job = ada.post(0, "/jobs", &json!({"module": "noop", "inputs": {}})).await.unwrap();
    let id = job.body["job_id"].as_str().unwrap();
    let refused = ask(&ada, Method::GET, &format!("/tasks/{id}"), None).await;
    assert_refused(&refused, 404, "task-not-found", "Not Found");
    well(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_nothing_of_anothers_rooms_workers_and_tasks() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let id = "5f0c2d3e-1a2b-4c3d-8e9f-0a1b2c3d4e5f";
    let of =
        |tenant: &str| cluster.client_with(json!({"sub": id, "role": "admin", "tenant": tenant}));
    let (acme, other) = (of("acme"), of("other"));
    assert_eq!(register(&acme, "@global", "Rotate").await.status, StatusCode::CREATED);
    let task = submit(&acme, "room", "@global:modifiers:Rotate", json!({})).await;

    // The same user id, the same worker id, and an admin at that: of another tenant.
    assert_eq!(claim(&other).await, Value::Null);
    let id = task["id"].as_str().unwrap();
    let refused = ask(&other, Method::GET, &format!("/tasks/{id}"), None).await;
    assert_refused(&refused, 404, "task-not-found", "Not Found");
    let refused = patch(&other, &task, json!({"status": "cancelled"})).await;
    assert_refused(&refused, 404, "task-not-found", "Not Found");
    let listed = ask(&other, Method::GET, "/rooms/room/jobs", None).await;
    assert_eq!(listed.body["total"], 0);
    let path = "/rooms/room/tasks/@global:modifiers:Rotate";
    let refused = ask(&other, Method::POST, path, Some(json!({}))).await;
    assert_refused(&refused, 404, "job-not-found", "Not Found");
    let worker = format!("/workers/{}", "5f0c2d3e-1a2b-4c3d-8e9f-0a1b2c3d4e5f");
    for method in [Method::PATCH, Method::DELETE] {
        let refused = ask(&other, method, &worker, None).await;
        assert_refused(&refused, 404, "worker-not-found", "Not Found");
    }
    // What they register by the same name is their own.
    let own = json!({"category": "modifiers", "name": "Rotate", "schema": {"title": "Mine"}});
    let made = ask(&other, Method::PUT, "/rooms/@global/jobs", Some(own)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert_eq!(claim(&other).await, Value::Null);
    assert_eq!(claim(&acme).await["id"], task["id"]);
    patch(&acme, &task, json!({"status": "cancelled"})).await;
    well(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_falls_silent_loses_its_tasks_and_one_that_goes_hands_them_back() {
    let options = Options::default()
        .env(Kind::Gateway, "ZNDRAW_JOBLIB_WORKER_TIMEOUT_SECONDS", "2")
        .env(Kind::Gateway, "ZNDRAW_JOBLIB_SWEEPER_INTERVAL_SECONDS", "1");
    let mut cluster = Cluster::start(options).await.unwrap();
    let (ada, bob) = (cluster.client("ada"), cluster.client("bob"));
    let job = "room:modifiers:Rotate";
    register(&ada, "room", "Rotate").await;
    register(&bob, "room", "Rotate").await;
    let (first, second) =
        (submit(&bob, "room", job, json!({})).await, submit(&bob, "room", job, json!({})).await);
    let (running, held) = (claim(&ada).await, claim(&ada).await);
    assert_eq!((&running["id"], &held["id"]), (&first["id"], &second["id"]));
    patch(&ada, &running, json!({"status": "running"})).await;

    // Bob lives, and ada says nothing any more.
    let heart = async {
        loop {
            let beat = ask(&bob, Method::PATCH, "/workers/bob", None).await;
            assert_eq!(beat.status, StatusCode::OK, "{}", beat.body);
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    };
    let told = async {
        let failed = until_status(&bob, &first, "failed").await;
        assert!(failed["error"].as_str().unwrap().contains("heartbeat"), "{failed}");
        let pending = until_status(&bob, &second, "pending").await;
        assert_eq!(pending["worker_id"], Value::Null);
        let refused = ask(&ada, Method::PATCH, "/workers/ada", None).await;
        assert_refused(&refused, 404, "worker-not-found", "Not Found");
        let late = patch(&ada, &running, json!({"status": "completed"})).await;
        assert_refused(&late, 409, "invalid-task-transition", "Conflict");
        let claimed = claim(&bob).await;
        assert_eq!((&claimed["id"], &claimed["attempt"]), (&second["id"], &json!(2)));

        // A leader that goes in between knows who is there.
        cluster.schedulers[0].kill9();
        cluster.schedulers[0].start().unwrap();
        cluster.schedulers[0].wait_ready().await.unwrap();
        let running = async || {
            let told = patch(&bob, &claimed, json!({"status": "running"})).await;
            Ok((told.status == StatusCode::OK).then_some(()))
        };
        until(WITHIN, "the task to run", running).await.unwrap();
    };
    tokio::select! {
        () = heart => unreachable!(),
        () = told => {}
    }

    // Bob goes: that is no task's fault, and not its end.
    let gone = ask(&bob, Method::DELETE, "/workers/bob", None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let refused = ask(&bob, Method::DELETE, "/workers/bob", None).await;
    assert_refused(&refused, 404, "worker-not-found", "Not Found");
    let pending = until_status(&bob, &second, "pending").await;
    assert_eq!(pending["error"], Value::Null);
    // A job with an open task stays, until that has ended.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(ask(&bob, Method::GET, &format!("/rooms/room/jobs/{job}"), None).await.status, 200);
    patch(&bob, &second, json!({"status": "cancelled"})).await;
    let gone = async || {
        let listed = ask(&bob, Method::GET, "/rooms/room/jobs", None).await;
        Ok((listed.body["total"] == 0).then_some(()))
    };
    until(WITHIN, "the job to go", gone).await.unwrap();
    // And comes back, with another schema if need be.
    let new = json!({"category": "modifiers", "name": "Rotate", "schema": {"title": "New"}});
    let made = ask(&bob, Method::PUT, "/rooms/room/jobs", Some(new)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    well(&cluster).await;
}
