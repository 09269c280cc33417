//! The audit: who did what stands in files, once, whatever becomes of the notifier; admins see their tenant's; and
//! each movement of a budget names its fact.

use std::{collections::BTreeMap, path::Path, process::Output, time::Duration};

use anyhow::Result;
use nox_archive::Log;
use nox_contract::{Fact, FactOrUnknown, FactPlace, Frame, FrameNumber, subject};
use nox_testkit::system::{
    client::Client,
    cluster::{Cluster, Options, until},
    service::{Kind, Service},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{admitted, disk_full::Disk, noop};

const WITHIN: Duration = Duration::from_secs(60);
/// In inputs, and in no audit.
const CANARY: &str = "canary-51c0de";
/// Of the one token that says why it asks.
const TOKEN: &str = "token-of-root";

async fn noxctl(cluster: &Cluster, words: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    Command::new(test.ancestors().nth(2).unwrap().join("noxctl"))
        .args(words)
        .env("NOX_NATS_URL", &cluster.nats_url)
        .output()
        .await
        .unwrap()
}

/// All lines of the audit's files.
fn lines(folder: &Path) -> Vec<Value> {
    let files = files(folder);
    let text: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(listed) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    files.sort();
    files
}

/// All rows of a list, page by page.
async fn all(client: &Client, path: &str, member: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(0, &format!("{path}{cursor}")).await.unwrap();
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        rows.extend(page.body[member].as_array().unwrap().iter().cloned());
        match page.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

async fn frames(cluster: &Cluster) -> Result<BTreeMap<u64, Frame>> {
    use futures_util::TryStreamExt;
    let broker = cluster.broker().await?;
    let incarnation = broker.incarnation(subject::EVENTS).await?;
    let last = FrameNumber(broker.last_sequence(subject::EVENTS).await?);
    let log = Log::new(broker, incarnation, None);
    let chunks: Vec<_> = log.read(FrameNumber(1), last).try_collect().await?;
    let messages = chunks.into_iter().flatten();
    let frames = messages.filter_map(|of| serde_json::from_slice::<Frame>(&of.payload).ok());
    Ok(frames.map(|frame| (frame.n.0, frame)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_what_is_written_once_and_proved_and_shown_to_admins_of_the_tenant_alone() {
    let mut cluster = Cluster::start(Options::default()).await.unwrap();
    let folder = cluster.folder().join("audit");
    let path = folder.to_str().unwrap().to_owned();
    cluster.notifier.kill9();
    cluster.notifier.start_with(&[("NOX_AUDIT", &path)]).unwrap();
    cluster.notifier.wait_ready().await.unwrap();

    let of = |sub: &str, role: &str, tenant: &str| {
        cluster.client_with(json!({"sub": sub, "role": role, "tenant": tenant, "jti": TOKEN}))
    };
    let (ada, root) = (of("ada", "user", "acme"), of("root", "admin", "acme"));
    let (bob, strange) = (of("bob", "user", "acme"), of("root", "admin", "umbra"));
    let system = of("root", "admin", "default");
    let body =
        json!({"module": "noop", "inputs": {"mark": CANARY}, "run_at": "2099-01-01T00:00:00Z"});
    let submit = ada.request(0, Method::POST, "/jobs").json(&body);
    let submit = submit.header("x-request-id", "the-request").header("nox-reason", "Prüfung");
    // Nobody is trusted here, so nobody is believed.
    let submit = submit.header("x-forwarded-for", "203.0.113.7");
    let job = ada.send(submit).await.unwrap().body["job_id"].as_str().unwrap().to_owned();
    let key = ada.post(0, "/keys", &json!({"name": "ci", "role": "user"})).await.unwrap();
    let (key_id, secret) = (key.body["id"].as_str().unwrap(), key.body["secret"].as_str().unwrap());
    let cancel = async |client: &Client, reason: &str| {
        let request = client.request(0, Method::POST, &format!("/jobs/{job}/cancel"));
        client.send(request.header("nox-reason", reason)).await.unwrap()
    };
    assert_eq!(cancel(&root, "a\tb").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(cancel(&root, "it was a mistake").await.status.is_success());
    let limits = json!({"cpu_seconds": 1_000_000, "queued_jobs": 1_000, "running_jobs": 100, "cpu": 99,
        "mem_mb": 99_000, "drafts": 9, "starts_per_minute": 6_000});
    let set = json!({"limits": limits, "reason": "a deadline"});
    let request = root.request(0, Method::PUT, "/quotas/ada").json(&set);
    assert!(root.send(request).await.unwrap().status.is_success());
    let request = root.request(0, Method::DELETE, &format!("/keys/{key_id}"));
    assert!(root.send(request).await.unwrap().status.is_success());

    // Jobs that run, while the notifier is killed again and again.
    for (round, count) in (0..).zip([20, 20, 20, 20, 20, 900]) {
        let jobs: Vec<_> = (0..count).map(|_| json!({"module": "noop", "inputs": {}})).collect();
        let batch = json!({"jobs": jobs});
        let answer = ada.post(0, "/jobs/batch", &batch).await.unwrap();
        assert!(answer.status.is_success(), "{round}: {}", answer.body);
        cluster.notifier.kill9();
        cluster.notifier.start_with(&[("NOX_AUDIT", &path)]).unwrap();
        cluster.notifier.wait_ready().await.unwrap();
    }
    until(WITHIN, "the jobs", async || {
        let open = ada.get(0, "/jobs?status=queued,running&limit=1").await;
        let open = open.map_err(anyhow::Error::msg)?;
        Ok(open.body["jobs"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })
    .await
    .unwrap();
    let shown = all(&root, "/audit?limit=200", "acts").await;
    until(WITHIN, "the audit", async || {
        let verified = noxctl(&cluster, &["--json", "audit", "verify", "--log", &path]).await;
        Ok(verified.status.success().then_some(()))
    })
    .await
    .unwrap();

    // What stands there, and what admins are shown, is the same; others are shown nothing.
    let written = lines(&folder);
    let mut of_acme: Vec<_> =
        written.iter().filter(|act| act["tenant"] == "acme").cloned().collect();
    of_acme.reverse();
    for act in &mut of_acme {
        act.as_object_mut().unwrap().retain(|name, _| name != "prev" && name != "hash");
    }
    assert_eq!(shown, of_acme);
    let oldest = all(&root, "/audit?sort=at&limit=170", "acts").await;
    assert!(oldest.iter().eq(shown.iter().rev()));
    let find = |verb: &str, id: &str| {
        let found: Vec<_> =
            shown.iter().filter(|act| act["verb"] == verb && act["object"]["id"] == id).collect();
        assert_eq!(found.len(), 1, "{verb} {id}: {found:?}");
        found[0].clone()
    };
    let submitted = find("job.submit", &job);
    assert_eq!(submitted["request_id"], "the-request");
    assert_eq!((&submitted["reason"], &submitted["token_id"]), (&json!("Prüfung"), &json!(TOKEN)));
    assert_eq!((&submitted["from"], &submitted["role"]), (&json!("127.0.0.1"), &json!("user")));
    let canceled = find("job.cancel", &job);
    assert_eq!((&canceled["user_id"], &canceled["role"]), (&json!("root"), &json!("admin")));
    assert_eq!(
        (&canceled["reason"], &canceled["outcome"]),
        (&json!("it was a mistake"), &json!("done"))
    );
    assert_eq!(find("quota.set", "user/ada")["reason"], "a deadline");
    find("key.create", key_id);
    find("key.revoke", key_id);
    assert_eq!(shown.iter().filter(|act| act["verb"] == "job.submit").count(), 1 + 100 + 900);
    for act in &written {
        let text = act.to_string();
        for hidden in [CANARY, secret, ada.token(), root.token()] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
    let chosen = all(&root, &format!("/audit?job_id={job}&verb=job&user_id=root"), "acts").await;
    assert_eq!(chosen, std::slice::from_ref(&canceled));
    let at = canceled["at"].as_str().unwrap();
    let since = all(&root, &format!("/audit?since={at}"), "acts").await;
    let until_then = all(&root, &format!("/audit?until={at}"), "acts").await;
    assert_eq!(since.len() + until_then.len(), shown.len());
    assert!(since.contains(&canceled) && !until_then.contains(&canceled));
    assert!(all(&strange, "/audit?limit=200", "acts").await.is_empty());
    assert_eq!(bob.get(0, "/audit").await.unwrap().status, StatusCode::FORBIDDEN);

    // The owner is told why, and not from where; nobody else is told anything.
    let acts = all(&ada, &format!("/jobs/{job}/acts?limit=1"), "acts").await;
    let told = |act: &Value| [&act["verb"], &act["user_id"], &act["reason"]].map(Value::clone);
    let told: Vec<_> = acts.iter().map(told).collect();
    let expected = [
        json!(["job.cancel", "root", "it was a mistake"]),
        json!(["job.submit", "ada", "Prüfung"]),
    ];
    assert_eq!(json!(told), json!(expected));
    assert!(acts[0]["from"].is_null() && acts[0]["token_id"].is_null() && acts[0]["n"].is_u64());
    assert!(acts[1]["from"].is_string() && acts[1]["token_id"] == TOKEN);
    let by_admin = all(&root, &format!("/jobs/{job}/acts?limit=1"), "acts").await;
    assert!(by_admin[0]["from"].is_string());
    for client in [&bob, &strange] {
        let answer = client.get(0, &format!("/jobs/{job}/acts")).await.unwrap();
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    let seen = async || {
        let n = cluster.broker().await.unwrap().last_sequence(subject::EVENTS).await.unwrap();
        let rows = ada.get(0, &format!("/jobs?limit=1&n={n}")).await.unwrap();
        assert!(rows.status.is_success(), "{}", rows.body);
    };
    // A word about many jobs is one about each.
    let later = json!({"module": "noop", "inputs": {}, "labels": {"which": "bulk"},
        "run_at": "2099-01-01T00:00:00Z"});
    let batch = json!({"jobs": [later.clone(), later]});
    let made = ada.post(0, "/jobs/batch", &batch).await.unwrap().body;
    seen().await;
    let many = ada.request(0, Method::POST, "/jobs/cancel?label=which%3Dbulk");
    assert!(ada.send(many.header("nox-reason", "too many")).await.unwrap().status.is_success());
    seen().await;
    let many = ada.request(0, Method::POST, "/jobs/retry?label=which%3Dbulk");
    let retried = ada.send(many.header("nox-reason", "once more")).await.unwrap().body;
    seen().await;
    for place in 0..2 {
        let id = made["jobs"][place]["accepted"]["job_id"].as_str().unwrap();
        let acts = all(&ada, &format!("/jobs/{id}/acts?limit=9"), "acts").await;
        assert_eq!(
            (&acts[0]["verb"], &acts[0]["reason"]),
            (&json!("job.cancel"), &json!("too many"))
        );
        assert_eq!(acts[1]["reason"], Value::Null, "the control: {}", acts[1]);
        let id = retried["jobs"][place]["job_id"].as_str().unwrap();
        let acts = all(&ada, &format!("/jobs/{id}/acts?limit=9"), "acts").await;
        assert_eq!(
            (&acts[0]["verb"], &acts[0]["reason"]),
            (&json!("job.submit"), &json!("once more"))
        );
    }
    let other = &made["jobs"][1]["accepted"]["job_id"];
    let id = made["jobs"][0]["accepted"]["job_id"].as_str().unwrap();
    let related = ada.get(0, &format!("/jobs/{id}/related")).await.unwrap().body;
    assert_eq!(related["batch"][0]["job_id"], *other, "{related}");
    assert_eq!(related["retries"].as_array().unwrap().len(), 1, "{related}");
    let told = system.get(0, "/system").await.unwrap().body;
    let names: Vec<_> = told["readers"].as_array().unwrap().iter().map(|of| &of["name"]).collect();
    assert!(names.contains(&&json!("projector")) && names.contains(&&json!("audit")), "{told}");
    assert_eq!(told["troubles"], json!([]), "{told}");
    assert!(told["streams"].as_array().unwrap().iter().all(|of| of["bytes"].is_u64()), "{told}");
    let lines =
        root.request(0, Method::GET, "/audit?sort=at").header("accept", "application/x-ndjson");
    let lines = lines.send().await.unwrap();
    assert!(lines.headers().contains_key("link"));
    assert_eq!(lines.text().await.unwrap().lines().count(), 50);

    // A line less, and the log says which one is not there; a file that was doctored proves itself wrong.
    let file = files(&folder).pop().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let less = &text[..text.trim_end().rfind('\n').unwrap() + 1];
    cluster.notifier.kill9();
    for (doctored, named) in [
        (less.to_owned(), "is not in the audit"),
        (text.replacen("it was a mistake", "it was an order", 1), "is not what its hash says"),
    ] {
        std::fs::write(&file, doctored).unwrap();
        let verified = noxctl(&cluster, &["audit", "verify", "--log", &path]).await;
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert_eq!(verified.status.code(), Some(1), "{said}");
        assert!(said.contains(named), "{said}");
    }

    // The ledger: the sum of its pages is the balance, and each entry is a fact of the log that gives its amount.
    let frames = frames(&cluster).await.unwrap();
    let bytes = |frame: &Frame| serde_json::to_vec(frame).unwrap().len();
    let bare = |frame: &Frame| {
        let none = (Vec::new(), Vec::new());
        bytes(&Frame { askers: none.0, asked: none.1, ..frame.clone() })
    };
    let (all_bytes, rest): (usize, usize) =
        frames.values().fold((0, 0), |(a, b), frame| (a + bytes(frame), b + bare(frame)));
    println!("{all_bytes} bytes of frames, {} of them say who asked", all_bytes - rest);
    // 1,001 jobs, most of them of one request.
    assert!((all_bytes - rest) * 100 <= all_bytes * 2, "{all_bytes} {rest}");
    let entries = all(&ada, "/quotas/ada/ledger?limit=170", "entries").await;
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    let mut granted = None;
    for entry in &entries {
        let place: FactPlace = entry["id"].as_str().unwrap().parse().unwrap();
        let of = &frames[&place.n.0].entries[place.entry as usize];
        let FactOrUnknown::Known(fact) = &of.facts[place.fact as usize] else { panic!("{place}") };
        let amount = match fact {
            Fact::Granted { cpu_seconds, .. }
            | Fact::Reserved { cpu_seconds, .. }
            | Fact::Settled { cpu_seconds, .. }
            | Fact::Released { cpu_seconds, .. } => *cpu_seconds,
            other => panic!("{place}: {other:?}"),
        };
        assert_eq!(entry["fact"], fact.name());
        assert_eq!(entry["cpu_seconds"], amount);
        assert_eq!(entry["job_id"].as_str(), of.job_id.map(|id| id.to_string()).as_deref());
        match fact {
            // Newest first: the first is what counts.
            Fact::Granted { .. } => drop(granted.get_or_insert(amount)),
            fact => *sums.entry(fact.name().to_owned()).or_default() += amount,
        }
    }
    let sum = |name: &str| sums.get(name).copied().unwrap_or_default();
    let (reserved, used) = (sum("reserved") - sum("settled") - sum("released"), sum("settled"));
    let account = ada.get(0, "/quotas/ada").await.unwrap().body;
    let budget = &account["usage"][0];
    assert_eq!(budget["limit"], granted.unwrap(), "{account}");
    assert_eq!((&budget["reserved"], &budget["used"]), (&json!(reserved), &json!(used)));
    assert_eq!(budget["free"], granted.unwrap() - reserved - used);
    let of_job = all(&ada, &format!("/quotas/ada/ledger?job_id={job}"), "entries").await;
    assert!(of_job.len() >= 2 && of_job.iter().all(|entry| entry["job_id"] == job));
    let refused = bob.get(0, "/quotas/ada/ledger").await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.code()), (404, "account_not_found"));
    assert_eq!(cluster.internal_errors(), 0);
}

/// Waits until the audit is all that the log says.
async fn is_whole(cluster: &Cluster, folder: &str) {
    until(WITHIN, "the audit", async || {
        let verified = noxctl(cluster, &["audit", "verify", "--log", folder]).await;
        Ok(verified.status.success().then_some(()))
    })
    .await
    .unwrap();
}

/// Waits until a service is not ready, and says why in these words.
async fn says(service: &Service, words: &str) {
    until(WITHIN, words, async || {
        let said = service.readyz().await;
        Ok(said.filter(|(ready, said)| !ready && said.contains(words)).map(drop))
    })
    .await
    .unwrap();
}

async fn run_jobs(client: &Client, count: usize, key: &str) {
    for heard in client.submit_bulk(0, &vec![noop(); count], Some(key)).await {
        admitted(heard);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_whose_disk_is_full_says_so_loses_nothing_and_goes_on_when_there_is_room() {
    let mounted = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(mounted.path()) else { return };
    let folder = mounted.path().join("audit");
    let path = folder.to_str().unwrap();
    let mut cluster = Cluster::start(Options::default()).await.unwrap();
    cluster.notifier.kill9();
    cluster.notifier.start_with(&[("NOX_AUDIT", path)]).unwrap();
    cluster.notifier.wait_ready().await.unwrap();
    let client = cluster.client("ada");
    run_jobs(&client, 20, "before").await;
    is_whole(&cluster, path).await;

    disk.fill(0);
    run_jobs(&client, 100, "full").await;
    says(&cluster.notifier, "the audit waits for its disk").await;
    assert_eq!(cluster.notifier.log().matches("The audit waits for its disk").count(), 1);
    // Nothing else waits, and the negative control: what could not be written is missed.
    cluster.settle(WITHIN).await.unwrap();
    super::feed::is_whole(&cluster, WITHIN).await.unwrap();
    let verified = noxctl(&cluster, &["audit", "verify", "--log", path]).await;
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(!verified.status.success(), "{said}");

    // Room is enough, without a restart.
    disk.make_room();
    is_whole(&cluster, path).await;
    cluster.notifier.wait_ready().await.unwrap();

    // The same where the process goes in between: what it had begun to write is cut off, and written whole.
    disk.fill(0);
    run_jobs(&client, 100, "killed").await;
    says(&cluster.notifier, "the audit waits for its disk").await;
    cluster.notifier.kill9();
    cluster.notifier.start_with(&[("NOX_AUDIT", path)]).unwrap();
    says(&cluster.notifier, "the audit waits for its disk").await;
    disk.make_room();
    is_whole(&cluster, path).await;
    let submits = lines(&folder).iter().filter(|act| act["verb"] == "job.submit").count();
    assert_eq!(submits, 220, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_notifier_waits_for_the_folder_of_the_audit_and_goes_on_when_it_is_free() {
    let mut cluster = Cluster::start(Options::default()).await.unwrap();
    let folder = cluster.folder().join("audit");
    let path = folder.to_str().unwrap();
    cluster.notifier.kill9();
    cluster.notifier.start_with(&[("NOX_AUDIT", path)]).unwrap();
    cluster.notifier.wait_ready().await.unwrap();
    // One that has nothing to do but the audit.
    let mut second = cluster.notifier.another("notifier-1").unwrap();
    second.forget("NOX_DATABASE_URL");
    second.forget("NOX_WEBHOOK_KEY");
    second.start_with(&[("NOX_AUDIT", path), ("NOX_FEED", "off")]).unwrap();
    says(&second, "another notifier writes the audit in").await;
    let client = cluster.client("ada");
    run_jobs(&client, 20, "first").await;
    is_whole(&cluster, path).await;
    says(&second, "another notifier writes the audit in").await;

    cluster.notifier.kill9();
    run_jobs(&client, 20, "second").await;
    second.wait_ready().await.unwrap();
    is_whole(&cluster, path).await;
    let submits = lines(&folder).iter().filter(|act| act["verb"] == "job.submit").count();
    assert_eq!(submits, 40, "each once");
    // And the first one waits now.
    cluster.notifier.start_with(&[("NOX_AUDIT", path)]).unwrap();
    says(&cluster.notifier, "another notifier writes the audit in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_the_client_s_address_is_told_and_nobody_else_is_believed() {
    let options = Options { gateways: 2, ..Options::default() };
    let options = options.env(Kind::Gateway, "NOX_TRUSTED_PROXIES", "127.0.0.0/8,10.0.0.0/8");
    let mut cluster = Cluster::start(options).await.unwrap();
    // The second one trusts another proxy than whom it hears.
    cluster.gateways[1].stop().await;
    cluster.gateways[1].start_with(&[("NOX_TRUSTED_PROXIES", "10.0.0.0/8")]).unwrap();
    cluster.gateways[1].wait_ready().await.unwrap();
    let (ada, root) = (
        cluster.client("ada"),
        cluster.client_with(json!({"sub": "root", "role": "admin", "tenant": "default"})),
    );
    let submit = async |gateway: usize, said: &[(&str, &str)]| {
        let request = ada.request(gateway, Method::POST, "/jobs").json(&noop());
        let named =
            said.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        ada.send(named).await.unwrap()
    };
    const SPOOFED: &str = "192.0.2.66, 203.0.113.7, 10.1.1.1";
    for (gateway, said, from) in [
        (0, &[("x-forwarded-for", SPOOFED)][..], "203.0.113.7"),
        (0, &[("forwarded", "for=192.0.2.66, for=\"[2001:db8::7]:80\"")], "2001:db8::7"),
        (0, &[], "127.0.0.1"),
        (1, &[("x-forwarded-for", SPOOFED)], "127.0.0.1"),
        (1, &[("forwarded", "for=203.0.113.7")], "127.0.0.1"),
        (1, &[("x-forwarded-for", "no address")], "127.0.0.1"),
    ] {
        let job = submit(gateway, said).await.body["job_id"].as_str().unwrap().to_owned();
        let acts = all(&root, &format!("/audit?verb=job.submit&job_id={job}"), "acts").await;
        assert_eq!(acts.len(), 1, "{acts:?}");
        assert_eq!(acts[0]["from"], from, "{gateway} {said:?}");
    }
    for said in [
        &[("x-forwarded-for", "no address")][..],
        &[("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=192.0.2.66")],
    ] {
        let refused = submit(0, said).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (400, "ambiguous_head"), "{said:?}");
    }
    // What is no block of addresses is refused at the start.
    cluster.gateways[1].stop().await;
    cluster.gateways[1].start_with(&[("NOX_TRUSTED_PROXIES", "the-proxy")]).unwrap();
    assert!(!cluster.gateways[1].wait_ended(WITHIN).await.unwrap().success());
    assert!(cluster.gateways[1].log().contains("must be a block of addresses"));
}
