//! Many at once: claims are exclusive and in order, and nobody waits longer than needed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use nox_contract::{Fact, Frame};
use nox_testkit::system::{
    cluster::{Cluster, Options},
    service::Kind,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::{JOBLIB, ask, claim, patch, register, status, submit, until_status, well};

const TASKS: usize = 500;
const CLAIMERS: usize = 64;
const JOB: &str = "room:modifiers:Rotate";

#[tokio::test(flavor = "multi_thread")]
async fn of_many_claimers_each_task_has_one_and_the_oldest_go_first() {
    let options = Options { gateways: 2, ..Options::default() };
    let cluster = Cluster::start(options).await.unwrap();
    // As many workers as there are users, and several of one user.
    let claimers: Vec<_> =
        (0..CLAIMERS).map(|i| cluster.client(&format!("worker-{}", i / 2))).collect();
    for claimer in claimers.iter().step_by(2) {
        assert!(register(claimer, "room", "Rotate").await.status.is_success());
    }
    let boss = cluster.client("boss");
    let mut submitted = Vec::new();
    for i in 0..TASKS {
        let task = submit(&boss, "room", JOB, json!({"i": i})).await;
        submitted.push(task["id"].as_str().unwrap().to_owned());
    }
    let claimed: Vec<_> = join_all(claimers.iter().enumerate().map(async |(place, claimer)| {
        let mut claimed = Vec::new();
        loop {
            let request = claimer.request(place, Method::POST, &format!("{JOBLIB}/tasks/claim"));
            let answer = claimer.send(request).await.unwrap();
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            let task = answer.body["task"].clone();
            if task.is_null() {
                return claimed;
            }
            patch(claimer, &task, json!({"status": "running"})).await;
            let done = patch(claimer, &task, json!({"status": "completed"})).await;
            assert_eq!(done.body["status"], "completed", "{}", done.body);
            claimed.push(task["id"].as_str().unwrap().to_owned());
        }
    }))
    .await;
    let all: Vec<_> = claimed.concat();
    assert_eq!(all.len(), TASKS, "each task is claimed once");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), TASKS);
    assert!(claimed.iter().filter(|of| !of.is_empty()).count() > CLAIMERS / 2);

    let order = assigned(&cluster).await;
    assert_eq!(order, submitted, "the oldest go first");
    well(&cluster).await;
}

/// The tasks in the order in which the log gave them to workers.
async fn assigned(cluster: &Cluster) -> Vec<String> {
    let mut order = Vec::new();
    for entry in cluster.read_log().await.unwrap() {
        let Ok(frame) = serde_json::from_slice::<Frame>(&entry.payload) else { continue };
        for entry in &frame.entries {
            for fact in entry.known_facts() {
                if let (Fact::Assigned { request: Some(_), .. }, Some(id)) = (fact, entry.job_id) {
                    order.push(id.to_string());
                }
            }
        }
    }
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_task_hears_of_its_end_at_once_and_no_longer_than_asked() {
    let options =
        Options::default().env(Kind::Gateway, "ZNDRAW_JOBLIB_LONG_POLL_MAX_WAIT_SECONDS", "3");
    let cluster = Cluster::start(options).await.unwrap();
    let ada = cluster.client("ada");
    register(&ada, "room", "Rotate").await;
    let wait = async |task: &Value, seconds: u32| {
        let path = format!("{JOBLIB}/tasks/{}", task["id"].as_str().unwrap());
        let request =
            ada.request(0, Method::GET, &path).header("Prefer", format!("wait={seconds}"));
        let answer = ada.send(request).await.unwrap();
        (answer, Instant::now())
    };
    // No longer than asked for, and than allowed.
    let task = submit(&ada, "room", JOB, json!({})).await;
    let began = Instant::now();
    let (answer, at) = wait(&task, 100).await;
    assert_eq!(answer.headers["preference-applied"], "wait=3");
    assert_eq!(answer.body["status"], "pending");
    let waited = at - began;
    assert!(waited >= Duration::from_secs(3) && waited < Duration::from_secs(8), "{waited:?}");

    let mut late = Vec::new();
    for _ in 0..20 {
        claim(&ada).await;
        patch(&ada, &task_of(&ada).await, json!({"status": "running"})).await;
        let running = task_of(&ada).await;
        let ((answer, heard), ended) = tokio::join!(wait(&running, 3), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let done = patch(&ada, &running, json!({"status": "completed"})).await;
            assert_eq!(done.status, StatusCode::OK, "{}", done.body);
            Instant::now()
        });
        assert_eq!(answer.body["status"], "completed");
        late.push(heard.saturating_duration_since(ended));
        // What has ended is not waited for.
        let began = Instant::now();
        let (_, at) = wait(&running, 3).await;
        assert!(at - began < Duration::from_secs(1));
        submit(&ada, "room", JOB, json!({})).await;
    }
    late.sort();
    println!("long polls end {:?} (p50), {:?} (max) behind the change", late[10], late[19]);
    assert!(late[10] <= Duration::from_millis(20), "{late:?}");
    patch(&ada, &task_of(&ada).await, json!({"status": "cancelled"})).await;
    well(&cluster).await;
}

/// The newest task of the room.
async fn task_of(client: &nox_testkit::system::client::Client) -> Value {
    let listed = ask(client, Method::GET, "/rooms/room/tasks?limit=1", None).await;
    listed.body["items"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_asker_has_gone_is_taken_back() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let ada = cluster.client("ada");
    register(&ada, "room", "Rotate").await;
    for _ in 0..20 {
        let task = submit(&ada, "room", JOB, json!({})).await;
        let address = ada.url(0, "").trim_start_matches("http://").to_owned();
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let request = format!(
            "POST {JOBLIB}/tasks/claim HTTP/1.1\r\nhost: nox\r\nauthorization: Bearer {}\r\n\
             content-length: 0\r\n\r\n",
            ada.token()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(stream);
        // Whether it was claimed and taken back or never claimed, it can be claimed.
        let again = nox_testkit::system::cluster::until(
            Duration::from_secs(20),
            "the task to come back",
            async || {
                let claimed = claim(&ada).await;
                Ok((claimed["id"] == task["id"]).then_some(claimed))
            },
        );
        let claimed = again.await;
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => panic!("{error:#}: {}", status(&ada, &task).await),
        };
        patch(&ada, &claimed, json!({"status": "cancelled"})).await;
        until_status(&ada, &task, "cancelled").await;
    }
    well(&cluster).await;
}

/// What a thousand workers cost that have nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_workers_cost_little() {
    const WORKERS: usize = 1_000;
    /// A third of the time after which they would be given up, as long as they are watched.
    const BEAT: Duration = Duration::from_secs(20);
    /// So many of them are watched: as many beats a second as all of them make.
    const WATCHED: usize = 500;
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let quiet = Instant::now();
    let before = Cost::of(&cluster);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let without =
        (Cost::of(&cluster).cpu - before.cpu).as_secs_f64() / quiet.elapsed().as_secs_f64();
    let clients: Vec<_> = (0..WORKERS).map(|i| cluster.client(&format!("worker-{i}"))).collect();
    for clients in clients.chunks(50) {
        join_all(clients.iter().map(async |client| {
            let answer = register(client, "room", "Rotate").await;
            assert!(answer.status.is_success(), "{}", answer.body);
        }))
        .await;
    }
    let began = Instant::now();
    let registered = Cost::of(&cluster);
    let mut next = Instant::now();
    for client in &clients[..WATCHED] {
        let beat = client.request(0, Method::PATCH, &format!("{JOBLIB}/workers/{}", client.user()));
        assert_eq!(client.send(beat).await.unwrap().status, StatusCode::OK);
        next += BEAT / WORKERS as u32;
        tokio::time::sleep_until(next.into()).await;
    }
    let after = Cost::of(&cluster);
    let cores =
        (after.cpu - registered.cpu).as_secs_f64() / began.elapsed().as_secs_f64() - without;
    let memory = after.rss.saturating_sub(before.rss);
    println!(
        "1,000 idle workers: {:.1} MiB, {:.2} % of a core in all services, beyond what they take without them",
        memory as f64 / 1048576.0,
        cores * 100.0
    );
    // All services and their background, in a debug build.
    assert!(memory < 100 * 1024 * 1024, "{memory} bytes");
    assert!(cores < 0.25, "{cores} cores");
    well(&cluster).await;
}

/// What the services have used: their resident memory, and time on processors.
struct Cost {
    rss: u64,
    cpu: Duration,
}

impl Cost {
    fn of(cluster: &Cluster) -> Self {
        let services =
            cluster.gateways.iter().chain(&cluster.schedulers).chain([&cluster.projector]);
        let mut cost = Self { rss: 0, cpu: Duration::ZERO };
        for pid in services.filter_map(|service| service.pid()) {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
            let ticks: u64 =
                fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
            cost.cpu += Duration::from_millis(ticks * 10);
            cost.rss += fields[21].parse::<u64>().unwrap() * 4096;
        }
        cost
    }
}
