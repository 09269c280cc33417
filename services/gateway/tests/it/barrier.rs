//! A reader never misses an acknowledged write.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::{
    stub_scheduler::Mood,
    system::{System, send, token},
};

#[tokio::test]
async fn a_projection_that_lags_is_waited_for_and_never_taken_for_the_truth() {
    let system = System::start().await;
    let ada = token("ada", "user");
    system.scheduler.hold_projection().await;
    let (id, n) = system.submit(&ada, "noop").await;
    let path = format!("/jobs/{id}");

    // It does not come in time: no answer rather than a wrong one.
    let reply = system.get(&path, &ada).await;
    reply.expect_problem(503, "lagging");
    assert!(reply.headers.contains_key("retry-after"));
    let nothing = "/jobs/01930000-0000-7000-8000-000000000000";
    system.get(nothing, &ada).await.expect_problem(503, "lagging");
    system.get(&format!("/jobs?n={n}"), &ada).await.expect_problem(503, "lagging");
    let by_header = system.request(Method::GET, "/jobs", &ada).header("nox-min-n", n);
    send(by_header).await.expect_problem(503, "lagging");
    // A list that asks for nothing new is what it is.
    let list = system.get("/jobs", &ada).await.expect(200);
    assert_eq!(list["jobs"], json!([]));

    // It comes while they wait.
    let waiting = [path.clone(), format!("/jobs?n={n}"), format!("{path}?n={n}")];
    let waiting = waiting.each_ref().map(|path| system.get(path, &ada));
    let project = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        system.scheduler.project().await;
    };
    let (replies, ()) = tokio::join!(futures_util::future::join_all(waiting), project);
    for reply in &replies {
        reply.expect(200);
    }
    assert_eq!(replies[1].json()["jobs"][0]["id"], id);
    system.get(nothing, &ada).await.expect_problem(404, "job_not_found");
}

#[tokio::test]
async fn a_command_that_nobody_has_decided_keeps_the_word_missing_back() {
    let system = System::start().await;
    let ada = token("ada", "user");
    // Somebody else's submit, acknowledged and undecided: it might be the very job.
    system.scheduler.set_mood(Mood::Sleep);
    let id = nox_service::ids::job_id();
    let command = json!({"commands": [{"submit": {
        "job_id": id, "user_id": "ada", "role": "user", "module": "noop", "inputs": {},
        "requested_resources": {"cpu": 1, "mem_mb": 1, "wall_time_s": 1}, "seen": 0,
    }}]});
    let subject = "nox.cmd.default".to_owned();
    system.broker.publish(subject, None, command.to_string().into()).await.unwrap();

    system.get(&format!("/jobs/{id}"), &ada).await.expect_problem(503, "lagging");
    system.scheduler.set_mood(Mood::Decide);
    system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
}

#[tokio::test]
async fn what_is_found_is_shown_at_once_unless_something_newer_is_asked_for() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (id, _) = system.submit(&ada, "noop").await;
    system.scheduler.hold_projection().await;
    let canceled = system.post(&format!("/jobs/{id}/cancel"), &ada, &json!({})).await.expect(200);
    let n = canceled["n"].as_u64().unwrap();

    let job = system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
    assert_eq!(job["status"], "queued");
    let reply = system.get(&format!("/jobs/{id}?n={n}"), &ada).await;
    reply.expect_problem(503, "lagging");
    system.scheduler.project().await;
    let job = system.get(&format!("/jobs/{id}?n={n}"), &ada).await.expect(200);
    assert_eq!(job["status"], "canceled");
    // A number that no event has: waiting for it would be no good advice.
    let (near, far) = (n + 1_000, u64::MAX);
    let paths =
        [format!("/jobs?n={near}"), format!("/jobs/{id}?n={far}"), format!("/modules?n={far}")];
    let replies = paths.each_ref().map(|path| system.get(path, &ada));
    for reply in futures_util::future::join_all(replies).await {
        reply.expect_problem(422, "invalid_request");
    }
    let reply = system.get("/jobs?n=x", &ada).await;
    reply.expect_problem(422, "invalid_request");
}

#[tokio::test]
async fn after_a_cancel_every_gateway_shows_the_job_canceled() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (other, other_runtime) = system.another_gateway().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    // The view is some way behind all the time.
    let lagging = async {
        loop {
            system.scheduler.hold_projection().await;
            tokio::time::sleep(Duration::from_millis(30)).await;
            system.scheduler.project().await;
        }
    };
    let cancels = async {
        for _ in 0..20 {
            let (id, _) = system.submit(&ada, "noop").await;
            let path = format!("/jobs/{id}/cancel");
            system.post(&path, &ada, &json!({})).await.expect(200);
            let job = client.get(format!("http://{other}/jobs/{id}")).bearer_auth(&ada);
            let job = send(job).await.expect(200);
            assert_eq!(job["status"], "canceled");
            let list = client.get(format!("http://{other}/jobs?status=queued")).bearer_auth(&ada);
            assert_eq!(send(list).await.expect(200)["jobs"], json!([]));
        }
        let root = token("root", "admin");
        for (word, enabled) in [("disable", false), ("enable", true)] {
            system.post(&format!("/modules/noop/{word}"), &root, &json!({})).await.expect(200);
            let module = client.get(format!("http://{other}/modules/noop"));
            assert_eq!(send(module).await.expect(200)["enabled"], enabled);
        }
    };
    tokio::select! {
        () = cancels => {}
        () = lagging => {}
    }
    other_runtime.stop.cancel();
}

#[tokio::test]
async fn a_module_that_was_just_declared_is_not_called_unknown() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let body = json!({"module": "brand_new"});
    system.post("/jobs", &ada, &body).await.expect_problem(422, "unknown_module");

    system.scheduler.hold_projection().await;
    system.scheduler.declare_module("brand_new", json!(true)).await;
    system.post("/jobs", &ada, &body).await.expect_problem(503, "lagging");
    let project = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        system.scheduler.project().await;
    };
    let (reply, ()) = tokio::join!(system.post("/jobs", &ada, &body), project);
    reply.expect(202);
}

#[tokio::test]
async fn of_two_databases_behind_one_address_the_older_one_is_never_the_answer() {
    let mut system = System::start().await;
    let ada = token("ada", "user");
    let behind = system.postgres.create_database("behind").await.unwrap();
    system.scheduler.copy_to(&behind).await;
    let (id, n) = system.submit(&ada, "noop").await;
    let turns = system.postgres.in_turn(&["postgres", "behind"]).unwrap();
    system.read_from(&turns.url()).await;

    let (mut shown, mut listed) = (0, false);
    for _ in 0..30 {
        let paths = [format!("/jobs/{id}"), format!("/jobs/{id}?n={n}"), format!("/jobs?n={n}")];
        let reads = paths.iter().cycle().take(9).map(|path| system.get(path, &ada));
        for reply in futures_util::future::join_all(reads).await {
            if reply.status == 503 {
                reply.expect_problem(503, "lagging");
                continue;
            }
            shown += 1;
            assert!(reply.expect(200).to_string().contains(&id), "{}", reply.text);
        }
        // Who names nothing is not shown what was before what somebody was shown.
        let lists = (0..4).map(|_| system.get("/jobs", &ada));
        let before = listed;
        for reply in futures_util::future::join_all(lists).await {
            let has = reply.status == 200 && reply.text.contains(&id);
            assert!(has || !before || reply.status == 503, "{}", reply.text);
            listed |= has;
        }
    }
    assert!(listed && shown > 100, "only {shown} were shown");
}

/// Commits of rows do not wait for the disk. After a crash the rows are behind what was shown.
#[tokio::test]
async fn what_a_crash_of_postgres_took_away_is_waited_for_and_never_said_not_to_be_there() {
    let mut system = System::start().await;
    let ada = token("ada", "user");
    system.postgres.write_late().await.unwrap();
    let (id, n) = system.submit(&ada, "noop").await;
    let path = format!("/jobs/{id}");
    system.get(&path, &ada).await.expect(200);
    assert!(system.get("/jobs", &ada).await.expect(200).to_string().contains(&id));

    system.postgres.kill9();
    system.postgres.restart().await.unwrap();
    let left = system.postgres.psql("select count(*) from nox_1.jobs").await.unwrap();
    assert_eq!(left, "0", "the control: the row was lost");
    // Whatever is asked, nothing older is answered than what was shown.
    for path in [path.clone(), format!("{path}?n={n}"), "/jobs".to_owned(), format!("/jobs?n={n}")]
    {
        system.get(&path, &ada).await.expect_problem(503, "lagging");
    }
    let reads = [system.get(&path, &ada), system.get("/jobs", &ada)];
    let again = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        system.scheduler.fold_again(&system.postgres.url()).await;
    };
    let (replies, ()) = tokio::join!(futures_util::future::join_all(reads), again);
    for reply in replies {
        assert!(reply.expect(200).to_string().contains(&id), "{}", reply.text);
    }
}

#[tokio::test]
async fn a_command_in_a_stream_that_was_made_anew_is_not_taken_for_one_that_was_folded() {
    let system = System::start().await;
    let ada = token("ada", "user");
    for _ in 0..5 {
        system.submit(&ada, "noop").await;
    }
    // The new stream's first command, while all of the old one's are folded.
    system.replace("NOX_COMMANDS").await;
    let id = nox_service::ids::job_id();
    let command = json!({"commands": [{"submit": {
        "job_id": id, "user_id": "ada", "role": "user", "module": "noop", "inputs": {},
        "requested_resources": {"cpu": 1, "mem_mb": 1, "wall_time_s": 1}, "seen": 0,
    }}]});
    let subject = "nox.cmd.default".to_owned();
    system.broker.publish(subject, None, command.to_string().into()).await.unwrap();

    let reply = system.get(&format!("/jobs/{id}"), &ada).await;
    reply.expect_problem(503, "lagging");
    assert!(reply.text.contains("another one"), "{}", reply.text);
    system.scheduler.take_up_commands().await;
    system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
    let nothing = "/jobs/01930000-0000-7000-8000-000000000000";
    system.get(nothing, &ada).await.expect_problem(404, "job_not_found");
}
