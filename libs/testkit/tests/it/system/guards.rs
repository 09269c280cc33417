//! What each of an append's two guards keeps out, tried against the broker itself with the real
//! machines of a leader. Both together let nothing in; without either, the checker sees what got in.
//!
//! The switches are the protocol's own for negative controls; no service can be told to use them.

use std::time::Duration;

use nox_contract::{
    Command, CommandMessage, Incarnation, RawJson, Resources, Source, Submit, TenantId, subject,
};
use nox_core::Rules;
use nox_devkit::{NatsOptions, NatsServer};
use nox_protocol::{
    Faults, Leader, LeaderConfig, Now, Takeover,
    appender::Guard,
    leader::{Effect, LOSSES_MAX},
    sequencer::SealedFrame,
    takeover::{Attachment, TakeoverEffect},
};
use nox_streams::{Broker, ConnectOptions, Durability, Headers, PublishError};
use nox_testkit::system::checker::{Evidence, LogEntry, Rule, Verdict, check};
use uuid::Uuid;

const SUBMITS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_leader_is_kept_out_by_the_epoch_guard() {
    let rig = Rig::start().await;
    let both = rig.deposed(Faults::default()).await;
    assert_eq!((both.let_in, both.refused > 10), (0, true), "{both:?}");
    both.verdict.assert_clean();

    let rig = Rig::start().await;
    let without = rig.deposed(Faults { epoch_guard_off: true, ..Faults::default() }).await;
    assert!(without.let_in > 0, "the control shows nothing: {without:?}");
    assert!(without.verdict.breaks(Rule::NewestLeaderAlone), "{}", without.verdict);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_refused_message_is_kept_out_by_the_sequence_guard() {
    let rig = Rig::start().await;
    let both = rig.refused_in_between(Faults::default()).await;
    assert_eq!((both.let_in, both.refused > 10), (3, true), "{both:?}");
    both.verdict.assert_clean();

    let rig = Rig::start().await;
    let without =
        rig.refused_in_between(Faults { predicted_sequence_off: true, ..Faults::default() }).await;
    assert!(without.let_in > 3, "the control shows nothing: {without:?}");
    assert!(without.verdict.breaks(Rule::NoGap), "{}", without.verdict);
    assert!(without.verdict.breaks(Rule::ChainHolds), "{}", without.verdict);
}

/// What came of a leader's appends.
#[derive(Debug)]
struct Outcome {
    let_in: usize,
    refused: usize,
    verdict: Verdict,
}

struct Rig {
    broker: Broker,
    // The folder goes last.
    _nats: NatsServer,
    _folder: tempfile::TempDir,
}

/// An append that was decided and not sent yet.
struct Append {
    guard: Guard,
    subject: &'static str,
    frame: SealedFrame,
}

impl Rig {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let nats = NatsServer::start(NatsOptions::new(folder.path().join("nats"))).await.unwrap();
        let options = ConnectOptions {
            url: nats.url(),
            service: "testkit",
            monitor_url: None,
            sync: Durability::Relaxed,
        };
        let broker = Broker::connect(options).await.unwrap();
        broker.declare().await.unwrap();
        Self { broker, _nats: nats, _folder: folder }
    }

    /// A leader decides a burst and stands still; another one begins a term; the first goes on.
    async fn deposed(&self, faults: Faults) -> Outcome {
        let mut leader = self.lead("one", faults).await;
        let appends = decide_burst(&mut leader);
        let newest = self.broker.epoch().await.unwrap().unwrap();
        let mut record = newest.record;
        record.epoch = record.epoch.next();
        record.leader = "two".to_owned();
        self.broker.append_epoch(&record, newest.seq).await.unwrap();
        self.send(appends).await
    }

    /// The broker refuses one message in the middle of a leader's burst, for reasons of its own.
    async fn refused_in_between(&self, faults: Faults) -> Outcome {
        let mut leader = self.lead("one", faults).await;
        let mut appends = decide_burst(&mut leader);
        // The stream takes no such subject, so nobody stores it.
        appends[3].subject = "nox.nowhere";
        self.send(appends).await
    }

    /// Takes over as a scheduler does, and writes what a term begins with.
    async fn lead(&self, name: &str, faults: Faults) -> Leader {
        let incarnation = Incarnation("of a test".to_owned());
        let attachment = Attachment {
            commands: incarnation.clone(),
            commands_last: SUBMITS,
            reports: incarnation,
            reports_last: 0,
        };
        let at = now().at;
        let mut takeover =
            Takeover::new(name.to_owned(), at, attachment.clone(), None, None, Faults::default());
        let mut effect = takeover.start();
        let ready = loop {
            effect = match effect {
                TakeoverEffect::ReadEpoch => {
                    let newest = self.broker.epoch().await.unwrap();
                    takeover.on_epoch(newest.map(|epoch| (epoch.seq, epoch.record)))
                }
                TakeoverEffect::AppendEpoch { record, expected } => {
                    let seq = self.broker.append_epoch(&record, expected).await.unwrap();
                    takeover.on_epoch_appended(seq)
                }
                TakeoverEffect::ReadLog { from, .. } => {
                    let log = self.broker.read_log(from).await.unwrap();
                    let log: Vec<_> =
                        log.into_iter().map(|m| (m.seq, m.subject, m.payload)).collect();
                    takeover.on_log(&log).unwrap().unwrap()
                }
                TakeoverEffect::Attach => {
                    takeover.on_attachment(attachment.clone()).unwrap().unwrap()
                }
                TakeoverEffect::Lead(ready) => break *ready,
            };
        };
        let config = LeaderConfig {
            rules: Rules::default(),
            // All of a burst at once, and a frame for each of its submits.
            window: 2 * SUBMITS as usize,
            frame_bytes: 1,
            losses_max: LOSSES_MAX,
            worker_lease: Duration::from_secs(15),
            probing: None,
            scheduler: Default::default(),
            faults,
        };
        let mut leader = Leader::begin(ready, config, now()).unwrap();
        while let Some(effect) = leader.poll().unwrap() {
            let Effect::Append { guard, frame } = effect else { continue };
            let n = frame.n;
            let append = Append { guard, subject: subject::FRAMES, frame };
            let seq = self.append(append).await.unwrap();
            leader.on_stored(n, seq);
        }
        leader
    }

    /// Sends everything without waiting in between, and hears what came of it.
    async fn send(&self, appends: Vec<Append>) -> Outcome {
        let sent: Vec<_> = appends.into_iter().map(|append| self.append(append)).collect();
        let (mut let_in, mut refused) = (0, 0);
        for outcome in sent {
            match outcome.await {
                Ok(_) => let_in += 1,
                Err(_) => refused += 1,
            }
        }
        let log = self.broker.read_log(1).await.unwrap();
        let log = log.into_iter().map(|m| LogEntry {
            seq: m.seq,
            subject: m.subject,
            payload: m.payload,
        });
        let mut verdict = check(&Evidence { log: log.collect(), ..Evidence::default() });
        // Of jobs nothing is said here.
        verdict.violations.retain(|v| !matches!(v.rule, Rule::NothingInvented));
        Outcome { let_in, refused, verdict }
    }

    /// Publishes at once under the guards that there are.
    fn append(&self, append: Append) -> impl Future<Output = Result<u64, PublishError>> + use<> {
        let Append { guard, subject, frame } = append;
        let mut headers = Headers::new();
        if let Some(epoch_seq) = guard.epoch_seq {
            headers.push(("Nats-Expected-Last-Subject-Sequence", epoch_seq.to_string()));
            let of = subject::EPOCH.to_owned();
            headers.push(("Nats-Expected-Last-Subject-Sequence-Subject", of));
        }
        if let Some(last_seq) = guard.last_seq {
            headers.push(("Nats-Expected-Last-Sequence", last_seq.to_string()));
        }
        let ack = self.broker.publish(subject.to_owned(), Some(headers), frame.payload);
        async move { Ok(ack.await?.seq) }
    }
}

/// Twenty promised submits of a module that nobody has: each makes a job that is refused.
fn decide_burst(leader: &mut Leader) -> Vec<Append> {
    let tenant: TenantId = "acme".parse().unwrap();
    for seq in 1..=SUBMITS {
        let submit = Submit {
            module_version: None,
            worker_labels: Default::default(),
            job_id: nox_contract::JobId(Uuid::from_u128(seq.into())),
            user_id: "ada".parse().unwrap(),
            role: "user".to_owned(),
            module: "nowhere".parse().unwrap(),
            inputs: RawJson::default(),
            requested_resources: Resources { cpu: 1, mem_mb: 1, wall_time_s: 1, gpu: 0 },
            priority: 5,
            run_at: None,
            after: Vec::new(),
            fingerprint: None,
            seen: leader.state().n,
            pending: true,
            task: None,
            metadata: None,
            concurrency: None,
            draft: false,
            traceparent: None,
        };
        let commands = vec![Command::Submit(Box::new(submit))];
        let message = serde_json::to_vec(&CommandMessage::new(None, commands)).unwrap();
        let subject = subject::commands(&tenant);
        leader.on_input(Source::Commands, seq, &subject, &message, now()).unwrap();
    }
    leader.end_turn(now()).unwrap();
    let mut appends = Vec::new();
    while let Some(effect) = leader.poll().unwrap() {
        if let Effect::Append { guard, frame } = effect {
            appends.push(Append { guard, subject: subject::FRAMES, frame });
        }
    }
    assert!(appends.len() as u64 >= SUBMITS);
    appends
}

fn now() -> Now {
    let at = "2026-11-21T22:00:00Z".parse().unwrap();
    Now { at, wall: at, monotonic: Duration::from_secs(1) }
}
