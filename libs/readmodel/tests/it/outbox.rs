//! The outbox of webhooks, against a real Postgres.

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{
    Chain, DeliveryId, EventType, FactPlace, FrameNumber, Incarnation, Timestamp, WebhookId,
    WebhookSpec,
};
use nox_readmodel::{
    Outbox, OutboxError,
    outbox::{Attempted, Due, Limits, NewDelivery, OutboxPlace, StoredTarget, Taken},
};
use uuid::Uuid;

use crate::support::Database;

const LOG: &str = "a log";

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + second * 1_000_000)
}

fn id(n: u128) -> WebhookId {
    WebhookId(Uuid::from_u128(n))
}

fn target(is_on: bool) -> StoredTarget {
    StoredTarget {
        tenant: "acme".parse().unwrap(),
        owner: "ada".parse().unwrap(),
        spec: WebhookSpec {
            url: "https://hooks.example.org/".to_owned(),
            description: String::new(),
            filter: Default::default(),
            of_tenant: false,
            enabled: true,
        },
        expires_at: None,
        rotation: 1,
        previous_until: Some(at(9)),
        is_on,
        set_in: FrameNumber(7),
    }
}

fn delivery(webhook: u128, n: u64) -> NewDelivery {
    let place = FactPlace { n: FrameNumber(n), entry: 0, fact: 0 };
    NewDelivery {
        webhook_id: id(webhook),
        delivery_id: DeliveryId::of_event(id(webhook), place),
        event_id: place,
        event_type: EventType::Succeeded,
        body: format!(r#"{{"id":"{place}"}}"#),
    }
}

fn place(n: u64) -> OutboxPlace {
    let chain = (0..n).fold(Chain::START, |chain, n| chain.extend(&n.to_be_bytes()));
    OutboxPlace { n: FrameNumber(n), chain }
}

/// What makes webhooks 1 and 2, with three deliveries of the first and one of the second.
fn first() -> Taken {
    Taken {
        webhooks: BTreeMap::from([(id(1), Some(target(true))), (id(2), Some(target(true)))]),
        deliveries: vec![delivery(1, 1), delivery(1, 2), delivery(1, 3), delivery(2, 1)],
        again: Vec::new(),
    }
}

struct Filled {
    database: Database,
    outbox: Outbox,
}

impl Filled {
    async fn start() -> Self {
        let database = Database::start().await;
        let outbox = Outbox::new(&database.url, Uuid::from_u128(1)).unwrap();
        let attached = outbox.attach(&Incarnation(LOG.into())).await.unwrap();
        assert_eq!((attached.place, attached.webhooks.len()), (place(0), 0));
        outbox.take((place(0), place(3)), &first(), at(0)).await.unwrap();
        Self { database, outbox }
    }

    async fn states(&self, webhook: u128) -> String {
        let sql = format!(
            "select string_agg(state, ' ' order by seq) from nox_outbox.deliveries where webhook_id = '{}'",
            id(webhook)
        );
        self.database.ask(&sql).await.trim().to_owned()
    }

    async fn due(&self, webhook: u128, now: i64) -> Vec<i64> {
        let due = self.outbox.due(&[id(webhook)], &[], 9, at(now)).await.unwrap();
        due.into_iter().map(|due| due.seq).collect()
    }
}

#[tokio::test]
async fn what_was_taken_is_there_once_with_its_place() {
    let filled = Filled::start().await;
    // It is not known whether it was taken in: that is the same again.
    filled.outbox.take((place(0), place(3)), &first(), at(0)).await.unwrap();
    assert_eq!(filled.states(1).await, "pending pending pending");
    // The same events on another way change nothing.
    let again = Taken { deliveries: first().deliveries, ..Taken::default() };
    filled.outbox.take((place(3), place(4)), &again, at(0)).await.unwrap();
    assert_eq!(filled.states(1).await, "pending pending pending");

    let next = Outbox::new(&filled.database.url, Uuid::from_u128(2)).unwrap();
    let attached = next.attach(&Incarnation(LOG.into())).await.unwrap();
    assert_eq!(attached.place, place(4));
    assert_eq!(attached.webhooks[&id(1)], target(true));
    let other = next.attach(&Incarnation("another log".into())).await.unwrap_err();
    assert!(matches!(other, OutboxError::OtherLog { .. }), "{other}");
}

#[tokio::test]
async fn whoever_attached_last_writes_and_nobody_else() {
    let filled = Filled::start().await;
    let next = Outbox::new(&filled.database.url, Uuid::from_u128(2)).unwrap();
    next.attach(&Incarnation(LOG.into())).await.unwrap();
    let is_another =
        |outcome: Result<(), OutboxError>| matches!(outcome, Err(OutboxError::Another));
    let old = &filled.outbox;
    assert!(is_another(old.take((place(3), place(4)), &Taken::default(), at(0)).await));
    assert!(is_another(old.attempted(&[]).await));
    next.take((place(3), place(4)), &Taken::default(), at(0)).await.unwrap();
    // And nobody from another place than where it is.
    assert!(is_another(next.take((place(3), place(5)), &Taken::default(), at(0)).await));
}

#[tokio::test]
async fn attempts_move_deliveries_and_say_how_an_endpoint_is() {
    let filled = Filled::start().await;
    let due = filled.due(1, 0).await;
    assert_eq!(due.len(), 3);
    let skipped = filled.outbox.due(&[id(1)], &due[..2], 9, at(0)).await.unwrap();
    assert_eq!(skipped.len(), 1, "what is under way is not due");
    let made = |seq, taken, again_at: Option<i64>| Attempted {
        seq,
        webhook_id: id(1),
        due_at: at(0),
        attempt: 1,
        at: at(1),
        again_at: again_at.map(at),
        taken,
        status: Some(500),
        error: None,
    };
    let all = [made(due[0], false, Some(5)), made(due[1], false, None)];
    filled.outbox.attempted(&all).await.unwrap();
    assert_eq!(filled.states(1).await, "pending failed pending");
    assert_eq!(filled.due(1, 4).await, [due[2]]);
    assert_eq!(filled.due(1, 5).await, [due[2], due[0]], "the first ones first");
    assert_eq!(filled.outbox.failing(at(2), 2).await.unwrap(), [(id(1), FrameNumber(7))]);
    assert_eq!(filled.outbox.failing(at(2), 3).await.unwrap(), []);
    assert_eq!(filled.outbox.failing(at(1), 2).await.unwrap(), [], "not for long enough");
    filled.outbox.attempted(&[made(due[2], true, None)]).await.unwrap();
    assert_eq!(filled.states(1).await, "pending failed delivered");
    assert_eq!(filled.outbox.failing(at(2), 0).await.unwrap(), []);

    // Sent once more, from the beginning.
    let again = vec![(id(1), delivery(1, 2).delivery_id), (id(1), delivery(1, 3).delivery_id)];
    let again = Taken { again, ..Taken::default() };
    filled.outbox.take((place(3), place(4)), &again, at(2)).await.unwrap();
    let due = filled.outbox.due(&[id(1)], &[], 9, at(2)).await.unwrap();
    assert_eq!(due.iter().map(|due| due.attempts).collect::<Vec<_>>(), [0, 0]);
}

#[tokio::test]
async fn what_is_asked_for_anew_while_an_attempt_is_under_way_stays_due() {
    let filled = Filled::start().await;
    let again = vec![(id(1), delivery(1, 1).delivery_id)];
    let again = Taken { again, ..Taken::default() };
    let made = |due: &Due, taken: bool| Attempted {
        seq: due.seq,
        webhook_id: id(1),
        due_at: due.due_at,
        attempt: due.attempts + 1,
        at: at(20),
        again_at: (!taken).then(|| at(10)),
        taken,
        status: Some(204),
        error: None,
    };
    // Neither the first attempt's end nor the second one's is what becomes of the new one.
    let due = filled.outbox.due(&[id(1)], &[], 1, at(0)).await.unwrap().remove(0);
    filled.outbox.take((place(3), place(4)), &again, at(1)).await.unwrap();
    filled.outbox.attempted(&[made(&due, true)]).await.unwrap();
    assert_eq!(filled.states(1).await, "pending pending pending");
    let others = filled.due(1, 0).await;
    let due = filled.outbox.due(&[id(1)], &others, 1, at(1)).await.unwrap().remove(0);
    filled.outbox.attempted(&[made(&due, false)]).await.unwrap();
    let due = filled.outbox.due(&[id(1)], &others, 1, at(10)).await.unwrap().remove(0);
    assert_eq!(due.attempts, 1);
    filled.outbox.take((place(4), place(5)), &again, at(10)).await.unwrap();
    for taken in [true, false] {
        filled.outbox.attempted(&[made(&due, taken)]).await.unwrap();
        let anew = filled.outbox.due(&[id(1)], &others, 1, at(10)).await.unwrap().remove(0);
        assert_eq!((anew.seq, anew.attempts), (due.seq, 0));
    }
}

#[tokio::test]
async fn what_was_sent_is_noted_while_something_is_being_taken_in() {
    let filled = Filled::start().await;
    let due = filled.due(1, 0).await;
    // As a transaction that takes in has it.
    let taking = filled.database.ask("update nox_outbox.place set n = n; select pg_sleep(5)");
    let is_held = async || {
        let sleepers = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        filled.database.ask(sleepers).await.trim() == "1"
    };
    let noting = async {
        while !is_held().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let attempted = Attempted {
            seq: due[0],
            webhook_id: id(1),
            due_at: at(0),
            attempt: 1,
            at: at(1),
            again_at: None,
            taken: true,
            status: Some(204),
            error: None,
        };
        filled.outbox.attempted(&[attempted]).await.unwrap();
        assert_eq!(filled.states(1).await, "delivered pending pending");
        assert!(is_held().await, "it was not waited for");
        // The negative control: what is removed waits.
        let limits =
            Limits { pending_max: 9, bytes_max: 1_000, ended_max: 9, keep: Duration::from_secs(9) };
        let pruned = filled.outbox.prune(limits, at(1));
        assert!(tokio::time::timeout(Duration::from_millis(200), pruned).await.is_err());
    };
    tokio::join!(taking, noting);
}

#[tokio::test]
async fn one_that_is_off_has_nothing_to_send_and_of_one_that_is_gone_nothing_is_left() {
    let filled = Filled::start().await;
    let webhooks = BTreeMap::from([(id(1), Some(target(false))), (id(2), None)]);
    // Also what came in the same stretch.
    let taken = Taken { webhooks, deliveries: vec![delivery(1, 4)], ..Taken::default() };
    filled.outbox.take((place(3), place(4)), &taken, at(1)).await.unwrap();
    assert_eq!(filled.states(1).await, "canceled canceled canceled canceled");
    assert_eq!((filled.states(2).await, filled.due(1, 9).await), (String::new(), vec![]));
    assert_eq!(filled.outbox.waiting().await.unwrap(), 0);
}

#[tokio::test]
async fn the_oldest_are_dropped_beyond_a_bound_and_what_is_over_is_forgotten() {
    let filled = Filled::start().await;
    let keep = Duration::from_secs(60);
    let limits = Limits { pending_max: 2, bytes_max: 1_000, ended_max: 9, keep };
    let removed = filled.outbox.prune(limits, at(0)).await.unwrap();
    assert_eq!((removed.dropped, removed.forgotten), (1, 0));
    assert_eq!(filled.states(1).await, "dropped pending pending");
    assert_eq!(filled.states(2).await, "pending", "each has its own bound");
    let counted =
        filled.database.ask("select dropped from nox_outbox.webhooks order by webhook_id");
    assert_eq!(counted.await.trim(), "1\n0");
    let bytes = u64::try_from(delivery(1, 1).body.len()).unwrap();
    let small = Limits { bytes_max: bytes, ..limits };
    assert_eq!(filled.outbox.prune(small, at(1)).await.unwrap().dropped, 1);
    assert_eq!(filled.states(1).await, "dropped pending", "of the ended ones as well");
    assert_eq!(filled.outbox.prune(limits, at(62)).await.unwrap().forgotten, 1);
    assert_eq!(filled.states(1).await, "pending", "what waits is kept");
    // A gateway is told the same.
    let mut store = filled.database.store().await;
    store.checkpoint().await.unwrap();
    let reader = filled.database.reader();
    let listed = reader.deliveries(id(1), None, 9).await.unwrap().value;
    assert_eq!((listed.len(), listed[0].state.as_str()), (1, "pending"));
    assert_eq!(reader.endpoint(id(1)).await.unwrap().value.unwrap().dropped, 2);
    assert!(reader.has_delivery(id(1), delivery(1, 3).delivery_id).await.unwrap().value);
    assert!(!reader.has_delivery(id(2), delivery(1, 3).delivery_id).await.unwrap().value);
}
