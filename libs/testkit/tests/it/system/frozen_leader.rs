//! A leader that stands still past its lease, after it has decided and before it has written: when it
//! wakes up, the broker refuses it, and it answers nobody.

use std::{collections::BTreeMap, time::Duration};

use nox_contract::{AnswerMessage, Frame, FrameNumber, JobId, Outcome, subject};
use nox_testkit::system::{
    checker::{LogEntry, check},
    cluster::{Cluster, Options, until},
    wiretap::{Heard, Wiretap},
};
use serde_json::Value;

use super::{mark, noop};

const WITHIN: Duration = Duration::from_secs(30);

/// What the broker says to an append that names an old epoch, or an old end of the log.
const REFUSALS: [u64; 2] = [10071, 10164];

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_froze_before_it_wrote_is_refused_when_it_wakes_up() {
    froze_at("scheduler.before_append:40", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_froze_before_it_handed_out_work_changes_nothing_when_it_wakes_up() {
    froze_at("scheduler.before_dispatch:25", false).await;
}

async fn froze_at(point: &str, writes: bool) {
    let options = Options { gateways: 2, schedulers: 2, ..Options::default() };
    let mut cluster = Cluster::servers(options).await.unwrap();
    cluster.schedulers[0].start_with(&[("NOX_FREEZE_POINT", point)]).unwrap();
    cluster.schedulers[0].wait_ready().await.unwrap();
    assert_eq!(cluster.wait_leader(WITHIN).await.unwrap(), 0);
    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();
    let answers = Wiretap::start(&cluster.nats_url, "_INBOX_gateway.>").await.unwrap();
    let client = cluster.client("ada");

    // A burst, so that much is decided at once.
    let mut round = 0;
    while !cluster.schedulers[0].is_frozen() {
        round += 1;
        assert!(round < 200, "the leader never came to {point}");
        let jobs: Vec<_> = (0..10)
            .map(|number| match number % 2 {
                0 => mark(&format!("{round}.{number}")),
                _ => noop(),
            })
            .collect();
        client.submit_bulk(round, &jobs, Some(&format!("round {round}"))).await;
    }
    let leads_now = async || {
        let leading = cluster.schedulers[1].metric("nox_scheduler_leading").await;
        Ok((leading == Some(1.0)).then_some(()))
    };
    until(WITHIN, "the standby to lead", leads_now).await.unwrap();
    // The new leader works for a while before the old one comes back.
    for number in 0..5 {
        client.submit(number, &mark(&format!("after {number}")), None).await;
    }

    let refusals = Wiretap::start(&cluster.nats_url, "_INBOX_scheduler.>").await.unwrap();
    cluster.schedulers[0].thaw();
    if writes {
        let refused = async || Ok(refusals.heard().into_iter().find(is_refusal));
        let refusal = until(WITHIN, "the log to refuse the old leader", refused).await.unwrap();
        println!("the broker said {}", String::from_utf8_lossy(&refusal.payload));
    }
    let term_ended = async || {
        let old = &cluster.schedulers[0];
        for reason in ["deposed", "lease_lost"] {
            let series = format!("nox_scheduler_terms_ended_total{{reason=\"{reason}\"}}");
            if old.metric(&series).await.is_some_and(|count| count >= 1.0) {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    };
    let reason = until(WITHIN, "the old leader to give up", term_ended).await.unwrap();
    println!("{point}: gave up as {reason}");

    cluster.settle(WITHIN).await.unwrap();
    let evidence = cluster.evidence().await.unwrap();
    let verdict = check(&evidence);
    println!("{:?}", verdict.counts);
    verdict.assert_clean();
    assert!(verdict.counts.terms >= 2, "nobody took over");
    assert_eq!(cluster.leader().await, Some(1), "the lease went back");
    assert_eq!(cluster.internal_errors(), 0);
    check_answers(&answers.heard(), &evidence.log);
}

/// Whether the log refused to store. The lease refuses its old holder with the same code, on the same
/// inbox; that proves nothing about the log.
fn is_refusal(heard: &Heard) -> bool {
    let Ok(reply) = serde_json::from_slice::<Value>(&heard.payload) else { return false };
    let code = reply["error"]["err_code"].as_u64();
    reply["stream"] == subject::EVENTS && code.is_some_and(|code| REFUSALS.contains(&code))
}

#[test]
fn a_refused_renewal_of_the_lease_is_no_refusal_of_the_log() {
    let reply = |stream: &str| {
        Heard {
        subject: "_INBOX_scheduler.1".to_owned(),
        payload: format!(
            r#"{{"error":{{"code":400,"err_code":10071,"description":"wrong last sequence: 7"}},"stream":"{stream}","seq":0}}"#
        )
        .into(),
    }
    };
    assert!(is_refusal(&reply("NOX_EVENTS")));
    assert!(!is_refusal(&reply("KV_NOX_LEASE")));
}

/// Whatever was answered is in the log, and nothing was answered twice.
fn check_answers(heard: &[Heard], log: &[LogEntry]) {
    let mut begun: BTreeMap<JobId, FrameNumber> = BTreeMap::new();
    for frame in log.iter().filter_map(|m| serde_json::from_slice::<Frame>(&m.payload).ok()) {
        for job in frame.entries.iter().filter_map(|entry| entry.job_id) {
            begun.entry(job).or_insert(frame.n);
        }
    }
    let mut answered: BTreeMap<(&str, u32), u32> = BTreeMap::new();
    let mut count = 0;
    for heard in heard {
        let Ok(message) = serde_json::from_slice::<AnswerMessage>(&heard.payload) else { continue };
        for answer in message.answers {
            count += 1;
            *answered.entry((heard.subject.as_str(), answer.part)).or_default() += 1;
            let Outcome::Accepted(accepted) = answer.outcome else { continue };
            let Some(job) = accepted.job_id else { continue };
            let n = begun.get(&job);
            assert!(n.is_some_and(|n| *n <= accepted.n), "{job} was answered, {n:?} in the log");
        }
    }
    assert!(count >= 20, "only {count} answers were heard");
    let twice: Vec<_> = answered.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "answered twice: {twice:?}");
}
