//! Jobs of releases, as the second seed's clients ask for them (`/api`), with the modules that ship.

use std::{path::Path, time::Duration};

use nox_testkit::system::{
    client::{Answer, Client},
    cluster::{Cluster, Options, until},
};
use reqwest::Method;
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(60);

const NFO: &str =
    "Title....: Some Film\r\nVideo....: x264, 1920x1080, 8000 kbps\r\nAudio....: AC3 5.1\r\n";

/// A system whose executor serves the modules of releases.
async fn start() -> Cluster {
    let mut cluster = Cluster::servers(Options::default()).await.unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules");
    let own = cluster.folder().join("modules");
    for name in ["readnfo", "nfofix", "dirfix", "repack", "packaging", "nfo.py", "release.py"] {
        copy(&shipped.join(name), &own.join(name));
    }
    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();
    cluster
}

pub fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

async fn create(client: &Client, job_type: &str, release: &str, config: Value) -> String {
    let body = json!({"job_type": job_type, "release_id": release, "config_json": config});
    let answer = client.post(0, "/api/jobs", &body).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.body["status"], "pending");
    answer.body["job_id"].as_str().unwrap().to_owned()
}

async fn get(client: &Client, path: &str) -> Answer {
    client.get(0, path).await.unwrap()
}

async fn until_status(client: &Client, job: &str, wanted: &str) -> Value {
    let path = format!("/api/jobs/{job}/status");
    let look = async || {
        let seen = get(client, &path).await.body;
        Ok((seen["status"] == wanted).then_some(seen))
    };
    until(WITHIN, wanted, look).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_begun_read_mended_and_packed_in_the_words_of_its_clients() {
    let cluster = start().await;
    let ada = cluster.client("ada");
    let ready = async || {
        let modules = get(&ada, "/modules").await.body.to_string();
        Ok(modules.contains("packaging").then_some(()))
    };
    until(WITHIN, "the modules", ready).await.unwrap();

    // The wizard begins a release, whose job is a draft.
    let asked = json!({"group": "GRP", "release_type": "Film.1080p", "rule_id": 7});
    let draft = ada.post(0, "/api/wizard/draft", &asked).await.unwrap();
    assert_eq!(draft.status, 201, "{}", draft.body);
    let release = draft.body["release_id"].as_str().unwrap();
    let drafted = draft.body["job_id"].as_str().unwrap();
    let seen = get(&ada, &format!("/api/jobs/{drafted}")).await.body;
    assert_eq!((&seen["status"], &seen["release_id"]), (&json!("draft"), &json!(release)));
    assert_eq!(seen["created_by"], "ada");

    // Its NFO is read, by an action of the release.
    let path = format!("/api/releases/{release}/actions/readnfo");
    let read = ada.post(0, &path, &json!({"nfo": NFO})).await.unwrap();
    assert_eq!(read.status, 201, "{}", read.body);
    let read = read.body["job_id"].as_str().unwrap().to_owned();
    let analysis = format!("/api/wizard/jobs/{read}/analysis");
    let early = get(&ada, &analysis).await;
    assert!([200, 404].contains(&early.status.as_u16()), "{}", early.body);
    let status = until_status(&ada, &read, "completed").await;
    assert_eq!((&status["job_id"], &status["progress"]), (&json!(read), &json!(100)));
    assert!(status["created_at"].is_string() && status["state"] == "succeeded");
    let wizard = get(&ada, &format!("/api/wizard/jobs/{read}/status")).await.body;
    assert_eq!(wizard, get(&ada, &format!("/api/jobs/{read}/status")).await.body);
    let found = get(&ada, &analysis).await.body;
    assert_eq!(found["metadata"]["title"], "Some Film");
    assert_eq!(found["mediainfo"]["video"]["codec"], "x264");
    assert!(found["structure"]["line_ends"].is_object(), "{found}");
    assert_eq!(get(&ada, &format!("/api/wizard/jobs/{drafted}/analysis")).await.status, 404);

    // The other types do their small work.
    let fixed = create(&ada, "nfofix", release, json!({"nfo": NFO})).await;
    until_status(&ada, &fixed, "completed").await;
    let packed = json!({
        "release": "Some.Film.2026.1080p.WEB.x264-GRP",
        "files": [{"name": "film.nfo", "text": NFO}],
    });
    let packed = create(&ada, "packaging", release, packed).await;
    until_status(&ada, &packed, "completed").await;

    // A name that leaves the folder is refused by the job, with its words in the log.
    let wrong = json!({"release": "X.Y-GRP", "files": [{"name": "../x", "text": ""}]});
    let wrong = create(&ada, "packaging", "another", wrong).await;
    until_status(&ada, &wrong, "failed").await;
    let logs = get(&ada, &format!("/api/jobs/{wrong}/logs")).await.body;
    let text = logs["logs"].as_str().unwrap();
    assert!(text.starts_with('[') && text.contains("] [ERROR] "), "{logs}");
    let next = logs["next"].as_u64().unwrap();
    let rest = get(&ada, &format!("/api/jobs/{wrong}/logs?since={next}")).await.body;
    assert_eq!((&rest["logs"], &rest["next"]), (&json!(""), &json!(next)));
    let detail = get(&ada, &format!("/api/jobs/{wrong}")).await.body;
    assert_eq!((&detail["status"], &detail["logs"]), (&json!("failed"), &logs["logs"]));
    assert!(detail["error"].is_string());
    let wizard = get(&ada, &format!("/api/wizard/jobs/{wrong}/logs")).await.body;
    assert_eq!(wizard["logs"], logs["logs"]);

    lists(&cluster, &ada, release, drafted).await;
    permissions(&cluster, &ada, drafted).await;
    assert_eq!(cluster.internal_errors(), 0);
}

async fn lists(cluster: &Cluster, ada: &Client, release: &str, drafted: &str) {
    let all = get(ada, "/api/jobs").await.body;
    assert_eq!((&all["total"], &all["page"], &all["per_page"]), (&json!(5), &json!(1), &json!(50)));
    assert_eq!(all["pages"], 1);
    assert_eq!(all["jobs"][4]["job_id"], drafted, "newest first");
    for (query, total) in [
        ("status=completed", 3),
        ("status=failed", 1),
        ("status=draft", 1),
        ("job_type=packaging", 3),
        ("release_id=another", 1),
        ("user_id=ada", 5),
        ("user_id=eve", 0),
        ("status=completed&job_type=packaging", 1),
    ] {
        let listed = get(ada, &format!("/api/jobs?{query}")).await.body;
        assert_eq!(listed["total"], total, "{query}: {listed}");
        assert_eq!(listed["jobs"].as_array().unwrap().len(), total, "{query}");
    }
    let second = get(ada, "/api/jobs?page=2&per_page=2").await.body;
    assert_eq!((&second["pages"], &second["total"]), (&json!(3), &json!(5)));
    assert_eq!(second["jobs"][0], all["jobs"][2]);
    let of_release = get(ada, &format!("/api/releases/{release}/jobs")).await.body;
    assert_eq!(of_release["total"], 4);
    for job in of_release["jobs"].as_array().unwrap() {
        assert_eq!(job["release_id"], release);
    }
    for wrong in ["page=0", "per_page=0", "per_page=101", "status=done", "stauts=failed"] {
        assert_eq!(get(ada, &format!("/api/jobs?{wrong}")).await.status, 422, "{wrong}");
    }
    let eve = cluster.client("eve");
    assert_eq!(get(&eve, &format!("/api/releases/{release}/jobs")).await.body["total"], 0);
    let admin = cluster.client_with(json!({"sub": "boss", "role": "admin"}));
    assert_eq!(get(&admin, &format!("/api/releases/{release}/jobs")).await.body["total"], 4);
}

async fn permissions(cluster: &Cluster, ada: &Client, drafted: &str) {
    let path = format!("/api/jobs/{drafted}/cancel");
    let cancel =
        async |client: &Client| client.send(client.request(0, Method::PUT, &path)).await.unwrap();
    let eve = cluster.client("eve");
    let refused = cancel(&eve).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (404, "job_not_found"));
    assert!(refused.body["message"].is_string());
    let canceled = cancel(ada).await;
    assert_eq!((canceled.status.as_u16(), &canceled.body["status"]), (200, &json!("cancelled")));
    assert_eq!(cancel(ada).await.status, 200);
    let nowhere = get(ada, "/api/jobs/17").await;
    assert_eq!((nowhere.status.as_u16(), nowhere.code()), (400, "invalid_id"));
    let unknown = json!({"job_type": "unknown", "release_id": "1", "config_json": {}});
    assert_eq!(ada.post(0, "/api/jobs", &unknown).await.unwrap().status, 422);
    let action = ada.post(0, "/api/releases/1/actions/noop", &json!({})).await.unwrap();
    assert_eq!((action.status.as_u16(), action.code()), (404, "module_not_found"));
}
