//! Schedules over HTTP, with the scheduler that leads and the clock that there is.

use std::{collections::BTreeMap, path::Path, time::Duration};

use nox_testkit::system::{
    client::{Answer, Client},
    cluster::{Cluster, Options, until},
    service::Kind,
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{mark, noop, slow_mark};

/// A minute and what the machine takes.
const MINUTE: Duration = Duration::from_secs(90);
const WITHIN: Duration = Duration::from_secs(30);

/// Somebody who asks, and the document that says what may be answered.
struct Asker<'c> {
    client: &'c Client,
    /// The token that is shown.
    token: String,
    document: Value,
}

impl<'c> Asker<'c> {
    async fn new(client: &'c Client) -> Self {
        let document = client.get(0, "/openapi.json").await.unwrap().body;
        Self { client, token: client.token().to_owned(), document }
    }

    /// The same who shows an API key.
    fn with_key(&self, key: &str) -> Self {
        let document = self.document.clone();
        Self { client: self.client, token: key.to_owned(), document }
    }

    /// Asks; whatever is answered has to stand in the document.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let url = self.client.url(0, path);
        let request = reqwest::Client::new().request(method.clone(), url).bearer_auth(&self.token);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = self.client.send(request).await.unwrap();
        let address = path.split('?').next().unwrap_or_default();
        let mut words: Vec<&str> = address.split('/').collect();
        if let Some(id) = words.get_mut(2) {
            *id = "{id}";
        }
        let operation = &self.document["paths"][words.join("/")];
        let operation = &operation[method.as_str().to_lowercase()]["responses"];
        let described = &operation[answer.status.as_str()];
        let said = format!("{method} {path}: {} {}", answer.status, answer.body);
        assert!(described.is_object(), "{said} is in no document");
        if !answer.status.is_success() {
            let code = format!("`{}`", answer.code());
            assert!(described["description"].as_str().unwrap().contains(&code), "{said}");
        }
        answer
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Option<&Value>) -> Answer {
        self.ask(Method::POST, path, body).await
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }

    /// Makes a schedule; where it is.
    async fn made(&self, body: &Value) -> String {
        let answer = self.post("/schedules", Some(body)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        format!("/schedules/{}", answer.body["id"].as_str().unwrap())
    }
}

fn schedule(cron: &str, job: Value) -> Value {
    json!({"name": "again", "cron": cron, "job": job})
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, pointers: &[&str]) {
    assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{}", answer.body);
    let errors = answer.body["errors"].as_array().cloned().unwrap_or_default();
    let found: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(found, pointers, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_made_shown_changed_paused_triggered_and_deleted() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let (ada, eve) = (cluster.client("ada"), cluster.client("eve"));
    let (ada, eve) = (Asker::new(&ada).await, Asker::new(&eve).await);
    // This one is due by itself at the next minute; the rest is tried meanwhile.
    let every_minute = ada.made(&schedule("* * * * *", mark("by the clock"))).await;
    let first = ada.get(&every_minute).await.body["next_due_at"].clone();

    // When it is due next is known from the first answer on.
    let body = schedule("0 0 1 1 *", noop());
    let created = ada.post("/schedules", Some(&body)).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let due = created.body["next_due_at"].as_str().unwrap().to_owned();
    assert!(due.ends_with("-01-01T00:00:00Z"), "{due}");
    let one = format!("/schedules/{}", created.body["id"].as_str().unwrap());
    let shown = ada.get(&format!("{one}?next=3")).await.body;
    assert_eq!((&shown["next_due_at"], &shown["next_times"][0]), (&json!(due), &json!(due)));
    assert_eq!(shown["next_times"].as_array().unwrap().len(), 3);
    assert_eq!((&shown["paused"], &shown["pause_reason"]), (&json!(false), &Value::Null));
    assert_eq!(ada.get("/schedules").await.body["schedules"].as_array().unwrap().len(), 2);
    let page = ada.get("/schedules?limit=1").await.body;
    let rest = format!("/schedules?cursor={}", page["next"].as_str().unwrap());
    assert_eq!(ada.get(&rest).await.body["schedules"].as_array().unwrap().len(), 1);

    // A change is known at once as well.
    let other = schedule("0 0 2 1 *", noop());
    let changed = ada.put(&one, &other).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let due = changed.body["next_due_at"].clone();
    assert!(due.as_str().unwrap().ends_with("-01-02T00:00:00Z"), "{due}");
    assert_eq!(ada.get(&one).await.body["next_due_at"], due);

    for _ in 0..2 {
        let paused = ada.post(&format!("{one}/pause"), None).await;
        assert_eq!((paused.status.as_u16(), &paused.body["next_due_at"]), (200, &Value::Null));
        let shown = ada.get(&one).await.body;
        assert_eq!((&shown["pause_reason"], &shown["next_times"]), (&json!("asked"), &json!([])));
    }
    // What is changed while it is paused stays paused.
    assert_eq!(ada.put(&one, &body).await.body["next_due_at"], Value::Null);
    assert_eq!(ada.put(&one, &other).await.body["next_due_at"], Value::Null);
    let resumed = ada.post(&format!("{one}/resume"), None).await;
    assert_eq!((resumed.status.as_u16(), &resumed.body["next_due_at"]), (200, &due));
    assert_eq!(ada.get(&one).await.body["next_due_at"], due);

    // A trigger submits at once, whatever the times.
    let triggered = ada.post(&format!("{one}/trigger"), None).await;
    assert_eq!(triggered.status, 202, "{}", triggered.body);
    let job = format!("/jobs/{}", triggered.body["job_id"].as_str().unwrap());
    ends(ada.client, &job, "succeeded").await;
    assert_eq!(ada.get(&one).await.body["last_job_id"], triggered.body["job_id"]);

    problems(&ada, &eve, &one).await;

    assert_eq!(ada.delete(&one).await.status, 200);
    for answer in [ada.get(&one).await, ada.delete(&one).await, ada.put(&one, &body).await] {
        refused(&answer, 404, "schedule_not_found", &[]);
    }

    // The minute has come: once, and as it was said.
    let occurred = until(MINUTE, "an occurrence", async || {
        let shown = ada.get(&every_minute).await.body;
        Ok((shown["last"]["outcome"] == "submitted").then_some(shown))
    });
    let occurred = occurred.await.unwrap();
    assert_eq!(occurred["last"]["due_at"], first);
    let job = format!("/jobs/{}", occurred["last_job_id"].as_str().unwrap());
    ends(ada.client, &job, "succeeded").await;
    assert_eq!(cluster.internal_errors(), 0);
}

/// What is wrong with a request is named where it stands, under a code that is documented.
async fn problems(ada: &Asker<'_>, eve: &Asker<'_>, one: &str) {
    let with = |member: &str, value: Value| {
        let mut body = schedule("@daily", noop());
        body["job"][member] = value;
        body
    };
    let draft = with("draft", json!(true));
    let at = with("run_at", json!("2099-01-01T00:00:00Z"));
    let after = with("after", json!([Uuid::new_v4()]));
    for method in [Method::POST, Method::PUT] {
        let path = if method == Method::POST { "/schedules" } else { one };
        for (body, pointer) in [
            (schedule("61 * * * *", noop()), "/cron"),
            (schedule("0 0 30 2 *", noop()), "/cron"),
            (draft.clone(), "/job/draft"),
            (at.clone(), "/job/run_at"),
            (after.clone(), "/job/after"),
            (with("priority", json!(10)), "/job/priority"),
            (with("labels", json!({"a b": "c"})), "/job/labels/a b"),
            (with("concurrency", json!({"key": "k", "limit": 0})), "/job/concurrency/limit"),
            (with("surprise", json!(1)), "/job/surprise"),
        ] {
            let answer = ada.ask(method.clone(), path, Some(&body)).await;
            refused(&answer, 422, "invalid_request", &[pointer]);
        }
        let unknown = schedule("@daily", json!({"module": "nothing", "inputs": {}}));
        let answer = ada.ask(method.clone(), path, Some(&unknown)).await;
        refused(&answer, 422, "unknown_module", &["/job/module"]);
        let unfit = schedule("@daily", json!({"module": "mark", "inputs": {"mark": 7}}));
        let answer = ada.ask(method.clone(), path, Some(&unfit)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (422, "invalid_inputs"));
        assert_eq!(answer.body["errors"][0]["pointer"], "/job/inputs/mark", "{}", answer.body);
    }
    let body = schedule("@daily", noop());
    for path in [one.to_owned(), format!("/schedules/{}", Uuid::new_v4()), "/schedules/7".into()] {
        let answers = [
            eve.get(&path).await,
            eve.put(&path, &body).await,
            eve.post(&format!("{path}/pause"), None).await,
            eve.post(&format!("{path}/resume"), None).await,
            eve.post(&format!("{path}/trigger"), None).await,
            eve.delete(&path).await,
        ];
        for answer in answers {
            refused(&answer, 404, "schedule_not_found", &[]);
        }
    }
    refused(&ada.get(&format!("{one}?next=101")).await, 422, "invalid_request", &["?next"]);
}

async fn ends(client: &Client, job: &str, state: &str) {
    let what = format!("{job} to be {state}");
    let ended = until(WITHIN, &what, async || {
        let shown = client.get(0, job).await.map_err(anyhow::Error::msg)?.body;
        Ok((shown["state"] == state).then_some(()))
    });
    ended.await.unwrap();
}

/// At half past two each day from the 25th on, of both months in which clocks change in Berlin.
#[tokio::test(flavor = "multi_thread")]
async fn on_both_days_on_which_clocks_change_it_is_due_once() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let ada = cluster.client("ada");
    let ada = Asker::new(&ada).await;
    let mut body = schedule("30 2 25-31 3,10 *", noop());
    body["time_zone"] = json!("Europe/Berlin");
    let one = ada.made(&body).await;
    // Two years of seven days in each of the two months.
    let times = ada.get(&format!("{one}?next=28")).await.body["next_times"].clone();
    let times: Vec<&str> =
        times.as_array().unwrap().iter().map(|at| at.as_str().unwrap()).collect();
    let mut by_month: BTreeMap<&str, Vec<(u32, &str)>> = BTreeMap::new();
    for at in &times {
        let day = at[8..10].parse().unwrap();
        by_month.entry(&at[..7]).or_default().push((day, &at[11..]));
    }
    let whole = by_month.iter().filter(|(_, days)| days.len() == 7);
    let mut seen = [0, 0];
    for (month, days) in whole {
        assert!(days.is_sorted() && days.windows(2).all(|two| two[0].0 < two[1].0), "{days:?}");
        let year: u32 = month[..4].parse().unwrap();
        let is_spring = month.ends_with("03");
        let change = last_sunday(year, if is_spring { 3 } else { 10 });
        for (day, time) in days {
            let expected = match (is_spring, day.cmp(&change)) {
                (true, std::cmp::Ordering::Less) => "01:30:00Z",
                // There is no half past two: it is due at three o'clock, which follows two.
                (true, std::cmp::Ordering::Equal) => "01:00:00Z",
                // It comes twice, and is due the first time.
                (true, std::cmp::Ordering::Greater) | (false, std::cmp::Ordering::Less) => {
                    "00:30:00Z"
                }
                (false, std::cmp::Ordering::Equal) => "00:30:00Z",
                (false, std::cmp::Ordering::Greater) => "01:30:00Z",
            };
            assert_eq!(*time, expected, "{month}-{day}");
        }
        seen[usize::from(is_spring)] += 1;
    }
    assert!(seen[0] >= 1 && seen[1] >= 1, "{times:?}");
}

/// The day of the last Sunday of a month of 31 days.
fn last_sunday(year: u32, month: u32) -> u32 {
    // Sakamoto's method, for months from March on: 0 is a Sunday.
    let of_month = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4][month as usize - 1];
    let weekday = (year + year / 4 - year / 100 + year / 400 + of_month + 31) % 7;
    31 - weekday
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_its_owners_and_of_the_key_that_set_it() {
    let options = Options::default().env(Kind::Gateway, "NOX_COMMAND_ROLES", "user");
    let mut cluster = Cluster::servers(options).await.unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules/command");
    let own = cluster.folder().join("modules/command");
    std::fs::create_dir(&own).unwrap();
    for name in ["module.toml", "inputs.json"] {
        std::fs::copy(shipped.join(name), own.join(name)).unwrap();
    }
    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();
    let (ada, root) =
        (cluster.client("ada"), cluster.client_with(json!({"sub": "root", "role": "admin"})));
    let (ada, root) = (Asker::new(&ada).await, Asker::new(&root).await);

    let others = async {
        kept(&ada).await;
        uploads(&ada, &root).await;
        keys(&ada).await;
    };
    tokio::join!(overlap(&ada), others);

    // What an operator takes away meanwhile is not to be had by a trigger.
    let body = schedule("0 0 1 1 *", json!({"command": "true"}));
    let made = ada.post("/schedules", Some(&body)).await;
    if made.status == 422 {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{}", made.body);
        println!("without commands: this machine cannot isolate: {}", made.body);
        return;
    }
    let one = format!("/schedules/{}", made.body["id"].as_str().unwrap());
    let trigger = format!("{one}/trigger");
    assert_eq!(ada.post(&trigger, None).await.status, 202);
    cluster.gateways[0].stop().await;
    cluster.gateways[0].start_with(&[("NOX_COMMAND_ROLES", "admin")]).unwrap();
    cluster.gateways[0].wait_ready().await.unwrap();
    refused(&ada.post(&trigger, None).await, 403, "forbidden", &[]);
    // An admin may run commands, but it is to be a job of Ada's.
    refused(&root.post(&trigger, None).await, 403, "forbidden", &[]);
    let other = schedule("0 0 2 1 *", json!({"command": "true"}));
    refused(&root.put(&one, &other).await, 403, "forbidden", &[]);
    let of_root = root.made(&other).await;
    assert_eq!(root.post(&format!("{of_root}/trigger"), None).await.status, 202);
    assert_eq!(cluster.internal_errors(), 0);
}

/// What the job is found by, and how many of it run, reach the job.
async fn kept(ada: &Asker<'_>) {
    let mut body = schedule("0 0 1 1 *", noop());
    body["job"]["labels"] = json!({"team": "spectra"});
    body["job"]["release_id"] = json!("2026.11");
    body["job"]["concurrency"] = json!({"key": "licence", "limit": 2});
    let one = ada.made(&body).await;
    let shown = ada.get(&one).await.body["job"].clone();
    let triggered = ada.post(&format!("{one}/trigger"), None).await.body;
    let job = format!("/jobs/{}", triggered["job_id"].as_str().unwrap());
    let job = ada.client.get(0, &job).await.unwrap().body;
    for member in ["labels", "release_id", "concurrency"] {
        assert_eq!(shown[member], body["job"][member], "{shown}");
        assert_eq!(job[member], body["job"][member], "{job}");
    }
    assert_eq!(ada.delete(&one).await.status, 200);
}

/// Uploads are those of the owner, whoever changes it.
async fn uploads(ada: &Asker<'_>, root: &Asker<'_>) {
    let put = async |asker: &Asker<'_>, text: &'static str| {
        let request = asker.client.request(0, Method::PUT, "/uploads").body(text);
        let upload = asker.client.send(request).await.unwrap().body;
        json!({"$upload": upload["id"], "sha256": upload["sha256"]})
    };
    let (of_ada, of_root) = (put(ada, "ada's").await, put(root, "root's").await);
    let of = |upload: &Value| {
        schedule("0 0 1 1 *", json!({"module": "mark", "inputs": {"mark": upload}}))
    };
    let one = ada.made(&of(&of_ada)).await;
    let changed = root.put(&one, &of(&of_root)).await;
    refused(&changed, 422, "invalid_inputs", &["/job/inputs/mark"]);
    let mut other = of(&of_ada);
    other["name"] = json!("by root");
    assert_eq!(root.put(&one, &other).await.status, 200);
    let shown = ada.get(&one).await.body;
    assert_eq!((&shown["user_id"], &shown["name"]), (&json!("ada"), &json!("by root")));
    let triggered = root.post(&format!("{one}/trigger"), None).await;
    let job = format!("/jobs/{}", triggered.body["job_id"].as_str().unwrap());
    ends(ada.client, &job, "succeeded").await;
    assert_eq!(ada.delete(&one).await.status, 200);
}

/// A job that was triggered hides none that goes on.
async fn overlap(ada: &Asker<'_>) {
    let one = ada.made(&schedule("* * * * *", slow_mark("goes on", 86_400.0))).await;
    let first = ada.post(&format!("{one}/trigger"), None).await.body;
    let first = format!("/jobs/{}", first["job_id"].as_str().unwrap());
    // Another one comes and goes.
    let changed = ada.put(&one, &schedule("* * * * *", noop())).await;
    assert_eq!(changed.status, 200);
    let second = ada.post(&format!("{one}/trigger"), None).await.body;
    ends(ada.client, &format!("/jobs/{}", second["job_id"].as_str().unwrap()), "succeeded").await;
    let outcome = until(MINUTE, "an occurrence", async || {
        let last = ada.get(&one).await.body["last"]["outcome"].clone();
        Ok(last.as_str().map(str::to_owned))
    });
    assert_eq!(outcome.await.unwrap(), "skipped");
    let canceled = ada.client.post(0, &format!("{first}/cancel"), &json!({})).await.unwrap();
    assert_eq!(canceled.status, 200, "{}", canceled.body);
    // The control: with nothing that goes on, the next one is submitted.
    let next = until(MINUTE, "the next occurrence", async || {
        let last = ada.get(&one).await.body["last"]["outcome"].clone();
        Ok((last == "submitted").then_some(()))
    });
    next.await.unwrap();
    assert_eq!(ada.delete(&one).await.status, 200);
}

/// A schedule that a key set is paused when that is revoked, and a person may let it go on.
async fn keys(ada: &Asker<'_>) {
    let key = ada.client.post(0, "/keys", &json!({"name": "ci"})).await.unwrap().body;
    let machine = ada.with_key(key["secret"].as_str().unwrap());
    let by_key = machine.made(&schedule("0 0 1 1 *", noop())).await;
    let own = ada.made(&schedule("0 0 1 1 *", noop())).await;
    assert_eq!(ada.get(&by_key).await.body["key_id"], key["id"]);
    let path = format!("/keys/{}", key["id"].as_str().unwrap());
    let revoked = ada.client.request(0, Method::DELETE, &path);
    assert_eq!(ada.client.send(revoked).await.unwrap().status, 204);
    let shown = ada.get(&by_key).await.body;
    assert_eq!(
        (&shown["paused"], &shown["pause_reason"], &shown["next_due_at"]),
        (&json!(true), &json!("key_revoked"), &Value::Null)
    );
    // What nobody made with the key goes on.
    assert_eq!(ada.get(&own).await.body["paused"], json!(false));
    // Within the seconds in which the gateway believes it, the scheduler does not.
    let answer = machine.post("/schedules", Some(&schedule("0 0 1 1 *", noop()))).await;
    refused(&answer, 401, "unauthenticated", &[]);
    let resumed = ada.post(&format!("{by_key}/resume"), None).await;
    assert!(resumed.body["next_due_at"].is_string(), "{}", resumed.body);
    let shown = ada.get(&by_key).await.body;
    assert_eq!((&shown["paused"], &shown["key_id"]), (&json!(false), &Value::Null));
}
