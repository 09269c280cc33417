//! Who may ask for what: every endpoint, asked by everybody there is, with every scope. What is expected is read
//! from the description that the gateway serves, which is made of the policy that it holds up.

use std::{collections::BTreeMap, panic::AssertUnwindSafe};

use futures_util::FutureExt;

use nox_testkit::system::{
    client::{Answer, Client},
    cluster::{Cluster, Options},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// Nobody knows it, and everybody would see it: it stands in all that is Ada's.
const CANARY: &str = "canary-7f3a91";

/// Requests of another tenant that look for it, unless `NOX_TEST_CANARIES` says how many.
const STRANGE_REQUESTS: usize = 2_000;

/// An endpoint as it is described.
#[derive(Clone)]
struct Operation {
    id: String,
    method: Method,
    path: String,
    role: String,
    relation: String,
    /// What the document has for an example.
    body: Option<Value>,
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Object {
    /// Nothing, or what is everybody's.
    None,
    Job,
    Task,
    Worker,
    Topic,
    Key,
    Schedule,
    Webhook,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_of_the_policy_is_as_it_is_described() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let operations = described(&cluster).await;
    assert!(operations.len() > 35, "{}", operations.len());
    let owner = of(&cluster, "acme", "ada", "user");
    register(&owner).await;
    // Those who are let in come last: what they do may end the object.
    let askers = [
        ("nobody", None, false),
        ("forged", Some(["acme", "ada", "user"]), false),
        ("without a role", Some(["acme", "ada", "guest"]), false),
        ("another tenant's user", Some(["umbra", "mallory", "user"]), false),
        ("another tenant's admin", Some(["umbra", "mallory", "admin"]), false),
        ("another user", Some(["acme", "eve", "user"]), false),
        ("an operator", Some(["default", "root", "admin"]), false),
        ("an admin", Some(["acme", "boss", "admin"]), true),
        ("the owner", Some(["acme", "ada", "user"]), true),
    ];
    let mut cells = BTreeMap::new();
    for operation in &operations {
        for (name, asker, is_near) in &askers {
            for scope in ["", "compute:read", "compute:write"] {
                let cell = Cell { owner: &owner, operation, name, scope };
                let asker = asker.map(|[tenant, user, role]| {
                    let claims =
                        json!({"sub": user, "tenant": tenant, "role": role, "scope": scope});
                    cluster.client_with(claims)
                });
                let outcome = cell.judge(asker.as_ref(), *is_near).await;
                cell.tidy_up().await;
                *cells.entry(outcome).or_insert(0) += 1;
            }
        }
    }
    println!("{} operations, cells by their outcome: {cells:?}", operations.len());
    assert_eq!(cells.values().sum::<usize>(), operations.len() * askers.len() * 3);
    // The control: a policy that is held up otherwise than it is described is noticed.
    for (id, doctor, asker) in [
        ("get_job", Doctor::Role("anyone"), askers[0]),
        ("enable_module", Doctor::Role("user"), askers[5]),
        ("get_job", Doctor::Relation("none"), askers[5]),
        ("update_task", Doctor::Relation("tenant"), askers[5]),
        ("get_task", Doctor::Relation("owner_or_admin"), askers[5]),
    ] {
        let operation = operations.iter().find(|operation| operation.id == id).unwrap();
        let operation = &doctored(operation, doctor);
        let (name, asker, is_near) = asker;
        let asker = asker.map(|[tenant, user, role]| of(&cluster, tenant, user, role));
        let cell = Cell { owner: &owner, operation, name, scope: "" };
        let judged = AssertUnwindSafe(cell.judge(asker.as_ref(), is_near)).catch_unwind().await;
        assert!(judged.is_err(), "{id} by {name}: {judged:?}");
    }
    assert_eq!(cluster.internal_errors(), 0);
}

enum Doctor {
    Role(&'static str),
    Relation(&'static str),
}

fn doctored(operation: &Operation, doctor: Doctor) -> Operation {
    let mut operation = operation.clone();
    match doctor {
        Doctor::Role(role) => role.clone_into(&mut operation.role),
        Doctor::Relation(relation) => relation.clone_into(&mut operation.relation),
    }
    operation
}

struct Cell<'a> {
    owner: &'a Client,
    operation: &'a Operation,
    name: &'a str,
    scope: &'a str,
}

impl Cell<'_> {
    /// Asks, and holds the answer against what the description says; tells which it was.
    async fn judge(&self, asker: Option<&Client>, is_near: bool) -> &'static str {
        let Operation { id, method, path, role, relation, .. } = self.operation;
        let what = format!("{id} by {}, scope {:?}", self.name, self.scope);
        let object = object(path);
        let place = self.fresh(object).await;
        let answer = self.ask(asker, path, &place).await;
        let is_let_in = role == "anyone";
        if is_let_in {
            assert!(![401, 403].contains(&answer.status.as_u16()), "{what}: {}", answer.body);
            if self.operation.body.is_some() {
                // An example is taken, unless the object or the modules of this system do not allow it.
                let unlike =
                    ["not_ended", "invalid_task_transition", "unknown_module", "schema_conflict"];
                let is_unlike = unlike.iter().any(|code| answer.body["code"] == *code);
                assert!(answer.status.is_success() || is_unlike, "{what}: {}", answer.body);
            }
            return "open";
        }
        if ["nobody", "forged"].contains(&self.name) {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}: {}", answer.body);
            return "unauthenticated";
        }
        let reads = *method == Method::GET;
        let narrow = match self.scope {
            "compute:read" => !reads,
            "compute:write" => reads,
            _ => false,
        };
        let lacks_role = match role.as_str() {
            "operator" => self.name != "an operator",
            "admin" => !self.name.contains("admin") && self.name != "an operator",
            _ => self.name == "without a role",
        };
        if narrow || lacks_role {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}: {}", answer.body);
            return "forbidden";
        }
        let of_tenant = is_near || self.name == "another user";
        let is_related = match relation.as_str() {
            "owner_or_admin" => is_near,
            "tenant" | "holder" => of_tenant,
            _ => true,
        };
        let elsewhere = nowhere(object);
        let nothing = self.ask(asker, path, &elsewhere).await;
        let (answered, of_nothing) =
            (anonymized(&answer, &place), anonymized(&nothing, &elsewhere));
        if object != Object::None && !is_related {
            // What is not there and what is not theirs must look alike, to the byte.
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{what}: {}", answer.body);
            assert_eq!(answered, of_nothing, "{what}");
            return "as if it were not there";
        }
        if relation == "holder" && !is_near {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}: {}", answer.body);
            return "forbidden";
        }
        assert!(![401, 403].contains(&answer.status.as_u16()), "{what}: {}", answer.body);
        if self.operation.body.is_some() {
            // An example is taken, unless the object or the modules of this system do not allow it.
            let unlike =
                ["not_ended", "invalid_task_transition", "unknown_module", "schema_conflict"];
            let is_unlike = unlike.iter().any(|code| answer.body["code"] == *code);
            assert!(answer.status.is_success() || is_unlike, "{what}: {}", answer.body);
        }
        if object != Object::None {
            assert_ne!(answered, of_nothing, "{what}");
        }
        "let in"
    }

    async fn ask(&self, asker: Option<&Client>, path: &str, place: &[(&str, String)]) -> Answer {
        let filled = place.iter().fold(path.to_owned(), |path, (name, value)| {
            path.replace(&format!("{{{name}}}"), value)
        });
        assert!(!filled.contains('{'), "{filled}: what this path names is not known here");
        let method = self.operation.method.clone();
        let anybody = self.owner;
        let request = match asker {
            Some(asker) if self.name != "forged" => asker.request(0, method.clone(), &filled),
            Some(asker) => {
                anonymous(anybody, &method, &filled).bearer_auth(format!("{}x", asker.token()))
            }
            None => anonymous(anybody, &method, &filled),
        };
        let request = match &self.operation.body {
            Some(body) => request.json(body),
            None => request,
        };
        if self.operation.id != "stream_job" {
            return anybody.send(request).await.unwrap();
        }
        // Who is let in is told for as long as the job has not ended.
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = match status.is_success() {
            true => Value::Null,
            false => answer.json().await.unwrap(),
        };
        Answer { status, headers, body }
    }

    /// Of keys and schedules a user has a hundred at most, of webhooks twenty.
    async fn tidy_up(&self) {
        let folder = match object(&self.operation.path) {
            Object::Key => "/keys",
            Object::Schedule => "/schedules",
            Object::Webhook => "/webhooks",
            _ => return,
        };
        let kept = self.owner.get(0, folder).await.unwrap().body;
        let all = kept[&folder[1..]].as_array().cloned().unwrap_or_default();
        for one in all {
            let path = format!("{folder}/{}", one["id"].as_str().unwrap());
            let request = self.owner.request(0, Method::DELETE, &path);
            assert!(self.owner.send(request).await.unwrap().status.is_success(), "{path}");
        }
    }

    /// An object of Ada's that nobody has touched yet.
    async fn fresh(&self, object: Object) -> Vec<(&'static str, String)> {
        let mut place = nowhere(object);
        let id = match object {
            Object::None => return place,
            Object::Job => {
                let body = json!({"module": "noop", "inputs": {"mark": CANARY}, "run_at": "2099-01-01T00:00:00Z"});
                id(&self.owner.post(0, "/jobs", &body).await.unwrap())
            }
            Object::Task => {
                let path = "/v1/joblib/rooms/lab/tasks/lab:modifiers:Rotate";
                let payload = json!({"payload": {"a": CANARY}});
                id(&self.owner.post(0, path, &payload).await.unwrap())
            }
            Object::Worker => {
                let path = "/v1/joblib/workers";
                let request = self.owner.request(0, Method::POST, path);
                id(&self.owner.send(request).await.unwrap())
            }
            Object::Topic => "lab:modifiers:Rotate".to_owned(),
            Object::Key => {
                let body = json!({"name": CANARY, "role": "user"});
                id(&self.owner.post(0, "/keys", &body).await.unwrap())
            }
            Object::Schedule => {
                let answer = self.owner.post(0, "/schedules", &schedule(CANARY)).await.unwrap();
                id(&answer)
            }
            Object::Webhook => {
                let url = "https://hooks.example.org/";
                let body = json!({"url": url, "description": CANARY, "enabled": false});
                id(&self.owner.post(0, "/webhooks", &body).await.unwrap())
            }
        };
        place.last_mut().unwrap().1 = id;
        place
    }
}

#[track_caller]
fn id(answer: &Answer) -> String {
    let id = answer.body["id"].as_str();
    id.unwrap_or_else(|| panic!("{}: {}", answer.status, answer.body)).to_owned()
}

fn object(path: &str) -> Object {
    match path {
        _ if path.contains("/jobs/{id}") => Object::Job,
        _ if path.starts_with("/keys/{id}") => Object::Key,
        _ if path.starts_with("/schedules/{id}") => Object::Schedule,
        _ if path.starts_with("/webhooks/{id}") => Object::Webhook,
        _ if path.contains("{task_id}") => Object::Task,
        _ if path.contains("{worker_id}") => Object::Worker,
        _ if path.contains("{job_name}") => Object::Topic,
        _ => Object::None,
    }
}

/// What is everybody's, or whose name each tenant has for something of its own.
const EVERYBODYS: [(&str, &str); 8] = [
    ("room_id", "lab"),
    ("name", "noop"),
    ("release_id", "7"),
    ("job_type", "repack"),
    ("id", "executor-0"),
    ("user", "ada"),
    ("tenant", "acme"),
    ("path", "jobs"),
];

fn schedule(mark: &str) -> Value {
    let job = json!({"module": "noop", "inputs": {"mark": mark}});
    json!({"name": mark, "cron": "0 0 1 1 *", "job": job})
}

/// What a path's parts are filled with so that they name nothing; the last is the object's own.
fn nowhere(object: Object) -> Vec<(&'static str, String)> {
    let id = Uuid::new_v4().to_string();
    match object {
        Object::None => EVERYBODYS.map(|(name, value)| (name, value.to_owned())).to_vec(),
        Object::Job => vec![("name", "result.txt".to_owned()), ("id", id)],
        Object::Key | Object::Schedule => vec![("id", id)],
        Object::Webhook => vec![("delivery_id", Uuid::nil().to_string()), ("id", id)],
        Object::Task => vec![("task_id", id)],
        Object::Worker => vec![("worker_id", id)],
        Object::Topic => {
            vec![("room_id", "lab".to_owned()), ("job_name", "lab:modifiers:Nothing".to_owned())]
        }
    }
}

fn anonymous(client: &Client, method: &Method, path: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().request(method.clone(), client.url(0, path))
}

/// An answer without what each request has of its own: its id, and what it asks for.
fn anonymized(answer: &Answer, place: &[(&str, String)]) -> (StatusCode, String) {
    let mut body = answer.body.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
    }
    let object = place.last().map_or("", |(_, value)| value);
    (answer.status, body.to_string().replace(object, "it"))
}

fn of(cluster: &Cluster, tenant: &str, user: &str, role: &str) -> Client {
    cluster.client_with(json!({"sub": user, "tenant": tenant, "role": role}))
}

async fn described(cluster: &Cluster) -> Vec<Operation> {
    let document = cluster.client("anybody").get(0, "/openapi.json").await.unwrap().body;
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let text = |name: &str| operation[name].as_str().unwrap().to_owned();
            operations.push(Operation {
                id: text("operationId"),
                method: method.to_ascii_uppercase().parse().unwrap(),
                path: path.clone(),
                role: text("x-nox-role"),
                relation: text("x-nox-relation"),
                body: operation["requestBody"]["content"]["application/json"]
                    .get("example")
                    .cloned(),
            });
        }
    }
    operations
}

async fn register(owner: &Client) {
    let body = json!({"category": "modifiers", "name": "Rotate", "schema": {"title": CANARY}});
    let request = owner.request(0, Method::PUT, "/v1/joblib/rooms/lab/jobs").json(&body);
    assert!(owner.send(request).await.unwrap().status.is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_of_another_tenant_ever_sees_what_is_not_its_own() {
    let wanted = std::env::var("NOX_TEST_CANARIES").ok().and_then(|text| text.parse().ok());
    let wanted = wanted.unwrap_or(STRANGE_REQUESTS);
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let owner = of(&cluster, "acme", "ada", "user");
    register(&owner).await;
    let operations = described(&cluster).await;
    let cell = |operation| Cell { owner: &owner, operation, name: "", scope: "" };
    let mut places = Vec::new();
    for object in [
        Object::Job,
        Object::Task,
        Object::Worker,
        Object::Topic,
        Object::Key,
        Object::Schedule,
        Object::Webhook,
    ] {
        places.push((object, cell(&operations[0]).fresh(object).await));
    }
    // The control: whoever may see it does.
    let seen = owner.get(0, &format!("/jobs/{}", places[0].1.last().unwrap().1)).await.unwrap();
    assert!(seen.body.to_string().contains(CANARY));

    let strangers = ["user", "admin"].map(|role| of(&cluster, "umbra", "mallory", role));
    let mut asked = 0;
    while asked < wanted {
        for operation in &operations {
            for stranger in &strangers {
                let object = object(&operation.path);
                let own = places.iter().find(|(of, _)| *of == object);
                let place = own.map_or_else(|| nowhere(object), |(_, place)| place.clone());
                let answer = cell(operation).ask(Some(stranger), &operation.path, &place).await;
                let said = format!("{:?} {}", answer.headers, answer.body);
                assert!(!said.contains(CANARY), "{}: {said}", operation.id);
                asked += 1;
            }
        }
    }
    println!("{asked} requests of another tenant saw nothing of the first one's");
    assert_eq!(cluster.internal_errors(), 0);
}
