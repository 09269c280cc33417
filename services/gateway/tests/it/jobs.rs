//! What the first users do, as they wrote it down.

use std::{process::Command, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt;
use nox_archive::{Archive, Log, SegmentBuilder};
use nox_contract::{Attempt, Chain, FrameNumber, JobId, subject};
use nox_streams::{LogPiece, LogStream};
use reqwest::Method;
use serde_json::{Value, json};

use crate::system::{System, send, tenant_token, token};

/// Runs curl as it stands in the first users' acceptance tests and reads what it prints.
async fn curl(arguments: &[&str]) -> Value {
    let arguments: Vec<_> = arguments.iter().map(|a| (*a).to_owned()).collect();
    let run = move || Command::new("curl").arg("-fsS").args(&arguments).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_first_users_acceptance_steps_work_as_written() {
    let system = System::start().await;
    let url = |path: &str| format!("http://{}{path}", system.addr);
    let authorization = format!("Authorization: Bearer {}", token("cafe-babe", "user"));

    // 1 to 3: health, registry, submission.
    let health = curl(&[&url("/health")]).await;
    assert_eq!(health["status"], "ok");
    assert!(health["jobs"].is_object());
    let modules = curl(&[&url("/modules")]).await;
    let modules = modules["modules"].as_array().unwrap();
    assert!(modules.iter().any(|m| m["name"] == "xtb_hello" && m["enabled"] == true));
    let body = r#"{
        "module":"xtb_hello",
        "inputs":{"text":"hello from M9"},
        "requested_resources":{"cpu":1,"mem_mb":256,"wall_time_s":60}
      }"#;
    let json_body = "Content-Type: application/json";
    let submitted = curl(&["-H", &authorization, "-H", json_body, "-d", body, &url("/jobs")]).await;
    let id = submitted["job_id"].as_str().unwrap();

    // 4: the job, queued and then succeeded.
    let job = curl(&["-H", &authorization, &url(&format!("/jobs/{id}"))]).await;
    assert_eq!(job["status"], "queued");
    system.scheduler.succeed(id.parse().unwrap()).await;
    let job = curl(&["-H", &authorization, &url(&format!("/jobs/{id}"))]).await;
    assert_eq!(job["id"], id);
    assert_eq!(job["module"], "xtb_hello");
    assert_eq!(job["user_id"], "cafe-babe");
    assert_eq!(job["status"], "succeeded");
    assert_eq!(job["inputs"], json!({"text": "hello from M9"}));
    assert_eq!(job["outputs"]["files"].as_array().unwrap().len(), 1);
    assert_eq!(job["outputs"]["metrics"]["duration_s"], 0.53);
    let resources = json!({"cpu": 1, "mem_mb": 256, "wall_time_s": 60});
    assert_eq!(job["requested_resources"], resources);
    for instant in ["created_at", "started_at", "ended_at"] {
        assert!(job[instant].is_string(), "{job}");
    }

    // 5: the list.
    let path = url("/jobs?status=succeeded&module=xtb_hello");
    let list = curl(&["-H", &authorization, &path]).await;
    assert_eq!(list["jobs"][0]["id"], id);

    // 6: cancel.
    let (id, _) = system.submit(&token("cafe-babe", "user"), "xtb_hello").await;
    let path = url(&format!("/jobs/{id}/cancel"));
    let canceled = curl(&["-X", "POST", "-H", &authorization, &path]).await;
    assert_eq!(canceled["status"], "canceled");

    // The metrics.
    let metrics = system.get("/metrics", &token("cafe-babe", "user")).await.text;
    for line in [
        r#"nox_job_submitted_total{module="xtb_hello",user_id="cafe-babe"} 2"#,
        r#"nox_job_duration_seconds_count{module="xtb_hello"} 1"#,
        r#"nox_http_requests_total{method="POST",route="/jobs",status="202"} 2"#,
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains("nox_http_request_duration_seconds_bucket{"));
}

#[tokio::test]
async fn a_cancel_that_comes_after_an_end_which_the_view_has_yet_to_show_is_told_of_that_end() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (id, n) = system.submit(&ada, "noop").await;
    let path = format!("/jobs/{id}");
    system.get(&format!("{path}?n={n}"), &ada).await.expect(200);
    system.scheduler.hold_projection().await;
    system.scheduler.succeed(id.parse().unwrap()).await;
    let project = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        system.scheduler.project().await;
    };
    let cancel = async { system.post(&format!("{path}/cancel"), &ada, &json!({})).await };
    let (cancel, ()) = tokio::join!(cancel, project);
    cancel.expect_problem(409, "already_ended");
}

#[tokio::test]
async fn an_answer_names_where_to_look_and_an_ended_job_stays_as_it_is() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let body = json!({"module": "noop", "priority": 9});
    let reply = system.post("/jobs", &ada, &body).await;
    let body = reply.expect(202);
    let id = body["id"].as_str().unwrap();
    assert_eq!(reply.headers["location"], format!("/jobs/{id}"));
    assert_eq!(body["status"], "queued");
    assert_eq!(body["state"], "queued");

    let n = body["n"].as_u64().unwrap();
    let job = system.get(&format!("/jobs/{id}?n={n}"), &ada).await.expect(200);
    assert_eq!(job["priority"], 9);
    assert_eq!(job["waiting"]["code"], "priority");
    assert!(job["waiting"]["message"].is_string());
    // What the job did not ask for, its module gives.
    let resources = json!({"cpu": 1, "mem_mb": 128, "wall_time_s": 60});
    assert_eq!(job["requested_resources"], resources);

    system.scheduler.succeed(id.parse().unwrap()).await;
    let cancel = system.post(&format!("/jobs/{id}/cancel"), &ada, &json!({})).await;
    cancel.expect_problem(409, "already_ended");
    let job = system.get(&format!("/jobs/{id}"), &ada).await.expect(200);
    assert_eq!(job["status"], "succeeded");

    let (id, _) = system.submit(&ada, "noop").await;
    let canceled = system.post(&format!("/jobs/{id}/cancel"), &ada, &json!({})).await.expect(200);
    let job = system.get(&format!("/jobs/{id}?n={}", canceled["n"]), &ada).await.expect(200);
    assert_eq!(job["status"], "canceled");
    let again = system.post(&format!("/jobs/{id}/cancel"), &ada, &json!({})).await.expect(200);
    assert_eq!(again["status"], "canceled");
}

#[tokio::test]
async fn lists_are_paged_without_gaps_or_repetitions() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let mut submitted = Vec::new();
    let mut n = 0;
    for _ in 0..25 {
        let (id, at) = system.submit(&ada, "noop").await;
        submitted.push(id);
        n = at;
    }
    system.submit(&token("eve", "user"), "noop").await;
    submitted.reverse();

    let mut listed = Vec::new();
    let mut path = format!("/jobs?limit=10&status=pending&n={n}");
    loop {
        let reply = system.get(&path, &ada).await;
        let page = reply.expect(200);
        let jobs = page["jobs"].as_array().unwrap().clone();
        listed.extend(jobs.into_iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        let links: Vec<_> = reply.headers["link"].to_str().unwrap().split(", ").collect();
        let first = format!("</jobs?limit=10&status=pending&n={n}>; rel=\"first\"");
        assert_eq!(links[0], first);
        let Some(link) = links.get(1) else {
            assert!(page["next"].is_null());
            break;
        };
        assert!(link.contains(page["next"].as_str().unwrap()) && link.ends_with("rel=\"next\""));
        path = link.strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
    }
    assert_eq!(listed, submitted);

    let reply = system.get("/jobs?status=sleeping", &ada).await;
    reply.expect_problem(422, "invalid_request");
    let none = system.get("/jobs?user_id=eve", &ada).await.expect(200);
    assert_eq!(none["jobs"], json!([]));
    let admin = token("root", "admin");
    let all = system.get("/jobs?module=noop&status=queued", &admin).await.expect(200);
    assert_eq!(all["jobs"].as_array().unwrap().len(), 26);
}

#[tokio::test]
async fn what_a_job_printed_and_went_through_can_be_read() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (id, _) = system.submit(&ada, "noop").await;
    let (tenant, job) = ("default".parse().unwrap(), id.parse().unwrap());
    // Of the second stream, the executor lost 5 bytes, and the broker 7 more.
    for (number, stream, text, offset, missing) in [
        (0, LogStream::Stdout, "one\n", 0, 0),
        (1, LogStream::Stderr, "two\n", 12, 5),
        (2, LogStream::Stdout, "three <é>\n", 4, 0),
    ] {
        let chunk = Bytes::from_static(text.as_bytes());
        let (attempt, length, end) = (Attempt(1), chunk.len() as u64, number == 2);
        let piece = LogPiece { attempt, number, stream, offset, length, missing, end };
        system.broker.append_log(&tenant, job, piece, chunk).await.unwrap();
    }

    let logs = system.get(&format!("/jobs/{id}/logs"), &ada).await.expect(200);
    assert_eq!(logs["job_id"], id);
    let chunks = logs["chunks"].as_array().unwrap();
    let texts: Vec<_> = chunks.iter().map(|c| (&c["stream"], &c["text"], &c["attempt"])).collect();
    let expected = [("stdout", "one\n"), ("stderr", "two\n"), ("stdout", "three <é>\n")];
    for (found, (stream, text)) in texts.into_iter().zip(expected) {
        assert_eq!(found, (&json!(stream), &json!(text), &json!(1)));
    }
    let told = |member: &str| chunks.iter().map(|c| c[member].clone()).collect::<Vec<_>>();
    assert_eq!(told("missing"), [0, 12, 0]);
    assert_eq!(
        (told("offset"), told("length")),
        (vec![json!(0), json!(12), json!(4)], vec![json!(4), json!(4), json!(11)])
    );
    assert_eq!(told("end"), [false, false, true]);
    let after = chunks[1]["seq"].as_u64().unwrap();
    let rest = system.get(&format!("/jobs/{id}/logs?after={after}"), &ada).await.expect(200);
    assert_eq!(rest["chunks"].as_array().unwrap().len(), 1);
    let end = rest["next"].as_u64().unwrap();
    let none = system.get(&format!("/jobs/{id}/logs?after={end}"), &ada).await.expect(200);
    assert_eq!((&none["chunks"], &none["next"]), (&json!([]), &json!(end)));

    // After the last number of all there is nothing, and a reader that goes on from there stays there.
    let end = u64::MAX;
    let none = system.get(&format!("/jobs/{id}/logs?after={end}"), &ada).await.expect(200);
    assert_eq!((&none["chunks"], &none["next"]), (&json!([]), &json!(end)));
    let none = system.get(&format!("/jobs/{id}/events?after={end}"), &ada).await.expect(200);
    assert_eq!((&none["events"], &none["next"]), (&json!([]), &json!(end)));

    let path = format!("/jobs/{id}/logs");
    let plain = system.request(Method::GET, &path, &ada).header("accept", "text/plain");
    let plain = send(plain).await;
    assert_eq!(plain.headers["content-type"], "text/plain; charset=utf-8");
    let gap = "[nox: 12 bytes of stderr are missing here]\n";
    assert_eq!(plain.text, format!("one\n{gap}two\nthree <é>\n"));

    system.scheduler.succeed(job).await;
    let events = system.get(&format!("/jobs/{id}/events"), &ada).await.expect(200);
    let events = events["events"].as_array().unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["job_id"], id);
    assert!(events[0]["facts"][0]["submitted"].is_object());
    assert!(events[1]["facts"][2]["succeeded"].is_object());
    let n = &events[0]["n"];
    let later = system.get(&format!("/jobs/{id}/events?after={n}"), &ada).await.expect(200);
    assert_eq!(later["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn numbers_stay_what_they_are_and_events_are_shown_as_they_were_written() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let inputs = r#"{"z": 9007199254740993,"a":[ 0.1000000000000000055511, 1.0, 1E2, "\u00e9" ]}"#;
    let request = system.request(Method::POST, "/jobs", &ada);
    let request = request.header("content-type", "application/json");
    let body = format!("{{\"module\":\"noop\",\"inputs\":{inputs}}}");
    let submitted = send(request.body(body)).await.expect(202);
    let (id, n) = (submitted["id"].as_str().unwrap(), &submitted["n"]);
    for path in [format!("/jobs/{id}?n={n}"), format!("/jobs?n={n}")] {
        let reply = system.get(&path, &ada).await;
        for number in ["9007199254740993", "0.1000000000000000055511", "1.0", "100"] {
            assert!(reply.text.contains(number), "{number} is not in {}", reply.text);
        }
    }

    let events = system.get(&format!("/jobs/{id}/events"), &ada).await;
    assert!(events.text.contains(inputs), "{}", events.text);
    let frame = system.broker.read_direct(subject::EVENTS, n.as_u64().unwrap()).await;
    let frame = String::from_utf8(frame.unwrap().unwrap().payload.to_vec()).unwrap();
    let entry = frame.split_once(r#""entries":[{"#).unwrap().1.strip_suffix("]}").unwrap();
    assert!(events.text.contains(entry), "{entry} is not in {}", events.text);

    // A schema keeps its numbers, too.
    let schema = json!({"maximum": 9_007_199_254_740_993_u64});
    system.scheduler.declare_module("exact", schema).await;
    for path in ["/modules/exact", "/modules"] {
        let reply = system.get(path, "").await;
        assert!(reply.text.contains("9007199254740993"), "{}", reply.text);
    }
}

#[tokio::test]
async fn modules_are_shown_and_switched() {
    let system = System::start().await;
    let module = system.get("/modules/xtb_hello", "").await.expect(200);
    assert_eq!(module["version"], "1.0.0");
    assert_eq!(module["caps"]["resources"]["mem_mb"], 128);
    assert_eq!(module["schema"]["inputs"]["required"], json!(["text"]));
    system.get("/modules/nothing", "").await.expect_problem(404, "module_not_found");
    system.get("/modules/No%20Name", "").await.expect_problem(404, "module_not_found");

    let admin = token("root", "admin");
    let off = system.post("/modules/xtb_hello/disable", &admin, &json!({})).await.expect(200);
    assert_eq!(off["enabled"], false);
    let path = format!("/modules/xtb_hello?n={}", off["n"]);
    assert_eq!(system.get(&path, "").await.expect(200)["enabled"], false);
    let on = system.post("/modules/xtb_hello/enable", &admin, &json!({})).await.expect(200);
    let path = format!("/modules?n={}", on["n"]);
    let modules = system.get(&path, "").await.expect(200);
    assert!(modules["modules"].as_array().unwrap().iter().all(|m| m["enabled"] == true));
    let nothing = system.post("/modules/nothing/enable", &admin, &json!({})).await;
    nothing.expect_problem(404, "module_not_found");
}

#[tokio::test]
async fn a_job_s_history_shows_nothing_of_others_that_the_same_timer_woke() {
    let system = System::start().await;
    let tokens = ["acme", "beta"].map(|tenant| tenant_token(tenant, "ada", "user"));
    let mut ids = Vec::new();
    for token in &tokens {
        ids.push(system.submit(token, "noop").await.0);
    }
    let woken: Vec<JobId> = ids.iter().map(|id| id.parse().unwrap()).collect();
    system.scheduler.wake(&woken).await;
    for (token, own, other) in [(&tokens[0], &ids[0], &ids[1]), (&tokens[1], &ids[1], &ids[0])] {
        let history = system.get(&format!("/jobs/{own}/events"), token).await;
        let events = history.expect(200);
        assert_eq!(events["events"].as_array().unwrap().len(), 2);
        assert_eq!(events["events"][1]["facts"][0]["waiting"]["code"], "priority");
        assert_eq!(events["events"][1]["by"]["src"], "timer");
        assert!(events["events"][1]["n"].is_u64() && events["events"][1]["epoch"].is_u64());
        assert!(events["events"][1]["at"].is_string());
        assert!(history.text.contains(own.as_str()));
        assert!(!history.text.contains(other.as_str()), "{}", history.text);
    }
}

/// The log, of which the archive keeps all up to its present end.
async fn keep(system: &System) -> Log {
    let archive = Archive::create(system.archive().to_str().unwrap()).unwrap();
    let (incarnation, last) = system.broker.extent(subject::EVENTS).await.unwrap();
    let log = Log::new(system.broker.clone(), incarnation, Some(&archive));
    let mut segment = SegmentBuilder::new(FrameNumber(0), Chain::START);
    let messages = log.read(FrameNumber(1), FrameNumber(last)).try_concat().await.unwrap();
    messages.iter().for_each(|message| segment.push(message).unwrap());
    log.archive().unwrap().put(segment.close().unwrap()).await.unwrap();
    log
}

#[tokio::test]
async fn a_job_s_history_stays_where_the_stream_does_not_have_it_any_more() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let (id, _) = system.submit(&ada, "noop").await;
    system.scheduler.succeed(id.parse().unwrap()).await;
    let path = format!("/jobs/{id}/events");
    let before = system.get(&path, &ada).await;
    assert_eq!(before.expect(200)["events"].as_array().unwrap().len(), 2);
    let events = before.expect(200)["events"].clone();
    let [first, last] = [0, 1].map(|place| events[place]["n"].as_u64().unwrap());

    let log = keep(&system).await;
    system.broker.cut_log(last).await.unwrap();
    assert_eq!(system.broker.read_direct(subject::EVENTS, first).await.unwrap(), None);
    assert_eq!(system.get(&path, &ada).await.text, before.text);
    let later = system.get(&format!("{path}?after={first}"), &ada).await.expect(200);
    assert_eq!(later["events"], json!([events[1]]));

    // The stream is lost: another one, with other frames of these numbers, says nothing of this job.
    system.replace(subject::EVENTS).await;
    assert_eq!(system.get(&path, &ada).await.text, before.text);

    // The archive withheld, damaged, and gone.
    let segment = log.archive().unwrap().segments().await.unwrap().remove(0);
    let folder = std::fs::read_dir(system.archive().join("log")).unwrap().next().unwrap().unwrap();
    let segment = folder.path().join(segment.name());
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[20] ^= 4;
    std::fs::write(&segment, bytes).unwrap();
    let damaged = system.get(&path, &ada).await.expect_problem(503, "unavailable");
    assert!(damaged["detail"].as_str().unwrap().contains("the archive is damaged"), "{damaged}");
    std::fs::remove_file(&segment).unwrap();
    system.get(&path, &ada).await.expect_problem(503, "unavailable");
    let gone = system.get(&path, &ada).await.expect_problem(503, "unavailable");
    assert!(gone["detail"].as_str().unwrap().contains("the archive does not have it"), "{gone}");
}

#[tokio::test]
async fn without_an_archive_a_history_that_the_stream_lost_is_a_clear_problem() {
    let mut system = System::start().await;
    let ada = token("ada", "user");
    let (id, _) = system.submit(&ada, "noop").await;
    system.scheduler.succeed(id.parse().unwrap()).await;
    let path = format!("/jobs/{id}/events");
    let events = system.get(&path, &ada).await.expect(200)["events"].clone();
    let [first, last] = [0, 1].map(|place| events[place]["n"].as_u64().unwrap());
    keep(&system).await;
    system.broker.cut_log(last).await.unwrap();

    system.read_from(&system.postgres.url()).await;
    system.until_ready().await;
    let problem = system.get(&path, &ada).await.expect_problem(503, "unavailable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("frame {first} ")), "{detail}");
    assert!(detail.contains("given no archive"), "{detail}");
    // What the stream has is told.
    let later = system.get(&format!("{path}?after={first}"), &ada).await.expect(200);
    assert_eq!(later["events"], json!([events[1]]));
}
