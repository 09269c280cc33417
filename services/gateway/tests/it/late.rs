//! Acknowledgements that come late, and answers that cannot be read.

use nox_contract::{ProblemCode, Refusal, subject};
use serde_json::{Value, json};

use crate::{
    proxy::{Held, Proxy},
    stub_scheduler::Mood,
    system::{Reply, System, send, token, until},
};

/// A gateway whose broker can be made to be heard late.
struct Late {
    system: System,
    proxy: Proxy,
    url: String,
    ada: String,
}

impl Late {
    async fn start(nameless: bool) -> Self {
        let system = System::start().await;
        let proxy = Proxy::start(&system.nats.url(), nameless).await;
        let (addr, _) = system.another_gateway_at(proxy.url.clone()).await;
        let late = Self { system, proxy, url: format!("http://{addr}"), ada: token("ada", "user") };
        // What a submit needs to know is known, and its connection is used.
        late.post("/jobs", &json!({"module": "noop"})).await.expect(202);
        late
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        send(client.post(format!("{}{path}", self.url)).bearer_auth(&self.ada).json(body)).await
    }

    /// Has a submit refused whose acknowledgement and answer come only after it was published again;
    /// how many copies of it the broker stored, and whether it became a job.
    async fn refused_late(&self) -> (u64, bool) {
        let last = async || self.system.broker.last_sequence(subject::COMMANDS).await.unwrap();
        let before = last().await;
        let published = self.proxy.commands_published();
        let full = Refusal::new(ProblemCode::QueueFull, "too many");
        self.system.scheduler.set_mood(Mood::RefuseOnce(full));
        self.proxy.hold(Held::AcksAndAnswers);
        let job = json!({"module": "xtb_hello", "inputs": {"text": "late"}});
        let (reply, ()) = tokio::join!(self.post("/jobs", &job), async {
            until(async || self.proxy.commands_published() == published + 2).await;
            self.proxy.hold(Held::Nothing);
        });
        reply.expect_problem(429, "queue_full");

        self.system.scheduler.set_mood(Mood::Decide);
        // Decided behind whatever came before.
        let next = self.post("/jobs", &json!({"module": "noop"})).await.expect(202);
        let path = format!("/jobs?module=xtb_hello&n={}", next["n"]);
        let list = self.system.get(&path, &self.ada).await.expect(200);
        (last().await - before - 1, !list["jobs"].as_array().unwrap().is_empty())
    }
}

#[tokio::test]
async fn what_was_refused_is_not_admitted_by_a_copy_of_the_same_message() {
    let late = Late::start(false).await;
    assert_eq!(late.refused_late().await, (1, false));
}

/// The negative control of the above: the broker is not told that it is the same message.
#[tokio::test]
async fn without_its_name_a_copy_would_be_admitted_after_the_refusal() {
    let late = Late::start(true).await;
    assert_eq!(late.refused_late().await, (2, true));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_durable_commands_pending() {
    let late = Late::start(false).await;
    let bulk = json!({"jobs": vec![json!({"module": "noop"}); 50], "atomic": false});
    for words in ["no JSON", "[]", r#"{"answers": [{"part": 0}, {"part": "all"}]}"#] {
        late.system.scheduler.set_mood(Mood::Say(words.to_owned()));
        // It comes before the acknowledgement does.
        late.proxy.hold(Held::Acks);
        let decided = late.system.scheduler.messages().await.len();
        let (reply, ()) = tokio::join!(late.post("/jobs/batch", &bulk), async {
            until(async || late.system.scheduler.messages().await.len() > decided).await;
            late.proxy.hold(Held::Nothing);
        });
        for answer in reply.expect(200)["jobs"].as_array().unwrap() {
            assert_eq!(answer["accepted"]["pending"], true, "{words}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_refusal_with_an_unknown_code_is_a_refusal_with_its_text() {
    let late = Late::start(false).await;
    let refused = json!({"refused": {"code": "moon_phase", "detail": "come back at full moon"}});
    let words = json!({"answers": [{"part": 0, "outcome": refused}]});
    late.system.scheduler.set_mood(Mood::Say(words.to_string()));
    let reply = late.post("/jobs", &json!({"module": "noop"})).await;
    let problem = reply.expect_problem(422, "refused");
    assert_eq!(problem["detail"], "moon_phase: come back at full moon");
}
