//! Two requests under one key while nobody decides.

use nox_contract::{TenantId, subject};
use nox_streams::Broker;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    stub_scheduler::Mood,
    system::{Reply, System, send, token, until},
};

struct Two {
    system: System,
    /// Of another gateway on the same servers.
    other: String,
    ada: String,
}

impl Two {
    /// Two gateways, and nobody who decides.
    async fn start() -> Self {
        let system = System::start().await;
        let (addr, _) = system.another_gateway().await;
        let two = Self { system, other: format!("http://{addr}/jobs"), ada: token("ada", "user") };
        until(async || {
            let noop = json!({"module": "noop"});
            two.at_other("warm", &noop).await.status == 202
        })
        .await;
        two.system.scheduler.set_mood(Mood::Sleep);
        two
    }

    async fn at_one(&self, key: &str, body: &Value) -> Reply {
        let request = self.system.request(Method::POST, "/jobs", &self.ada).json(body);
        send(request.header("idempotency-key", key)).await
    }

    async fn at_other(&self, key: &str, body: &Value) -> Reply {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(&self.other).bearer_auth(&self.ada).json(body);
        send(request.header("idempotency-key", key)).await
    }

    /// What was asked for in the job that the answer promises, once it is decided.
    async fn promised(&self, reply: &Reply) -> Value {
        let body = reply.expect(202);
        let path = format!("/jobs/{}", body["job_id"].as_str().unwrap());
        self.system.get(&path, &self.ada).await.expect(200)["inputs"].clone()
    }
}

fn saying(text: &str) -> Value {
    json!({"module": "xtb_hello", "inputs": {"text": text}})
}

#[tokio::test]
async fn the_second_of_two_requests_under_one_key_learns_of_the_conflict_while_nobody_decides() {
    let two = Two::start().await;
    let first = two.at_one("k", &saying("first")).await;
    assert_eq!(first.expect(202)["pending"], true);
    two.at_other("k", &saying("second")).await.expect_problem(422, "idempotency_conflict");
    two.at_one("k", &saying("third")).await.expect_problem(422, "idempotency_conflict");
    // The same request, by the other gateway, is promised as well.
    let again = two.at_other("k", &saying("first")).await;
    assert_eq!(again.expect(202)["job_id"], first.json()["job_id"]);
    // Another key is another job.
    let another = two.at_other("l", &saying("second")).await;
    assert_eq!(another.expect(202)["pending"], true);

    two.system.scheduler.set_mood(Mood::Decide);
    assert_eq!(two.promised(&first).await, saying("first")["inputs"]);
    assert_eq!(two.promised(&again).await, saying("first")["inputs"]);
    assert_eq!(two.promised(&another).await, saying("second")["inputs"]);
    two.at_one("k", &saying("second")).await.expect_problem(422, "idempotency_conflict");
    assert_eq!(two.at_other("k", &saying("first")).await.expect(202)["pending"], Value::Null);
}

#[tokio::test]
async fn of_two_requests_at_once_none_is_promised_what_the_other_gets() {
    let two = Two::start().await;
    let (one, other) = (saying("one"), saying("other"));
    let (first, second) = tokio::join!(two.at_one("k", &one), two.at_other("k", &other));
    two.system.scheduler.set_mood(Mood::Decide);
    let mut promised = 0;
    for (reply, body) in [(&first, &one), (&second, &other)] {
        match reply.status.as_u16() {
            202 => {
                assert_eq!(two.promised(reply).await, body["inputs"]);
                promised += 1;
            }
            422 => drop(reply.expect_problem(422, "idempotency_conflict")),
            _ => drop(reply.expect_problem(503, "unavailable")),
        }
    }
    assert!(promised < 2, "both are the one job");

    // Each learns which of them it became.
    let (first, second) = tokio::join!(two.at_one("k", &one), two.at_other("k", &other));
    let (winner, body, loser) =
        if first.status == 202 { (first, one, second) } else { (second, other, first) };
    loser.expect_problem(422, "idempotency_conflict");
    assert_eq!(two.promised(&winner).await, body["inputs"]);
}

#[tokio::test]
async fn what_waited_in_a_stream_that_is_gone_decides_nothing() {
    let system = System::start().await;
    let ada = token("ada", "user");
    system.scheduler.set_mood(Mood::Sleep);
    let ask = async |text: &str| {
        let request = system.request(Method::POST, "/jobs", &ada).json(&saying(text));
        send(request.header("idempotency-key", "k")).await
    };
    assert_eq!(ask("lost").await.expect(202)["pending"], true);
    // The control: as long as the stream is there, it decides.
    ask("another").await.expect_problem(422, "idempotency_conflict");

    system.replace(subject::COMMANDS).await;
    system.scheduler.take_up_commands().await;
    assert_eq!(ask("kept").await.expect(202)["pending"], true);
    ask("another").await.expect_problem(422, "idempotency_conflict");
}

/// What waits undecided in the last test, in messages and bytes of each.
const UNDECIDED: usize = 24;
const UNDECIDED_BYTES: usize = 512 * 1024;
/// Of submits, more than all else that their connection takes to the broker.
const SUBMITS: usize = 64;
const SUBMIT_BYTES: usize = 12 * 1024;

#[tokio::test]
async fn what_waits_undecided_is_read_beside_the_connection_of_the_submits() {
    let system = System::start().await;
    let ada = token("ada", "user");
    let text = "x".repeat(SUBMIT_BYTES);
    let jobs: Vec<_> = (0..SUBMITS).map(|_| saying(&text)).collect();
    system.post("/jobs/batch", &ada, &json!({"jobs": jobs, "atomic": false})).await.expect(200);
    let submits = gateway_connections(&system).await.into_iter().max_by_key(|one| one.taken);
    let submits = submits.unwrap();
    assert!(submits.taken > SUBMITS * SUBMIT_BYTES);

    system.scheduler.set_mood(Mood::Sleep);
    fill(&system.broker).await;
    let request = system.request(Method::POST, "/jobs", &ada).json(&saying("one"));
    let reply = send(request.header("idempotency-key", "k")).await;
    assert_eq!(reply.expect(202)["pending"], true);
    let (mut beside, mut among) = (0, 0);
    for connection in gateway_connections(&system).await {
        match connection.id == submits.id {
            true => among = connection.given - submits.given,
            false => beside += connection.given,
        }
    }
    assert!(beside > UNDECIDED * UNDECIDED_BYTES, "all is read: {beside} bytes");
    assert!(among < UNDECIDED_BYTES, "{among} bytes on the connection of the submits");
}

/// Writes to the commands what nobody decides, and nobody can read.
async fn fill(broker: &Broker) {
    let tenant = TenantId::new(TenantId::DEFAULT).unwrap();
    for _ in 0..UNDECIDED {
        let payload = vec![b'x'; UNDECIDED_BYTES].into();
        broker.publish(subject::commands(&tenant), None, payload).await.unwrap();
    }
}

/// A connection as the broker sees it.
struct Connection {
    id: u64,
    /// Bytes from the gateway, and to it.
    taken: usize,
    given: usize,
}

async fn gateway_connections(system: &System) -> Vec<Connection> {
    let found = system.nats.monitor("/connz").await.unwrap();
    let found = found["connections"].as_array().unwrap().iter();
    let gateways = found.filter(|one| one["name"] == "nox-gateway").map(|one| {
        let bytes = |name: &str| usize::try_from(one[name].as_u64().unwrap()).unwrap();
        Connection {
            id: one["cid"].as_u64().unwrap(),
            taken: bytes("in_bytes"),
            given: bytes("out_bytes"),
        }
    });
    gateways.collect()
}
