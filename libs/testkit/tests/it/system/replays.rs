//! The log of a real system is proved and decided again by `noxctl`, and modelled.

use std::time::Duration;

use nox_archive::{Archive, SegmentBuilder};
use nox_contract::{Chain, Fact, FactOrUnknown, Frame, FrameNumber, Incarnation, subject};
use nox_streams::Message;
use nox_testkit::system::{
    checker::{LogEntry, check},
    cluster::{CLUSTER_KEY, Cluster, Options, until},
    service::Kind,
};
use serde_json::{Value, json};

use super::{admitted, mark, noop, noxctl};

const WITHIN: Duration = Duration::from_secs(60);

/// What `noxctl` says as a document, and how it ended; what it says of an error stands behind the document.
fn said(args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, Value) {
    let args = [&["-o", "jsonl"], args].concat();
    let (status, said) = noxctl(&args, env);
    let document = said.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
    (status, document.unwrap_or_else(|| panic!("{args:?}: {said}")))
}

fn number(document: &Value, member: &str) -> u64 {
    document[member].as_u64().unwrap_or_else(|| panic!("{member} in {document}"))
}

/// The place of a fact: of its frame, its entry there, and in that.
type Place = (FrameNumber, usize, usize);

/// Takes a core second from what the first job used, and makes the chain again, so that the log is whole.
fn doctored(log: &[LogEntry]) -> (Vec<Message>, Place) {
    let (mut chain, mut place) = (Chain::START, None);
    let mut messages = Vec::new();
    for LogEntry { seq, subject, payload } in log {
        let mut payload = payload.clone();
        if subject != subject::EPOCH {
            let mut frame: Frame = serde_json::from_slice(&payload).unwrap();
            frame.prev = chain.to_string();
            for (e, entry) in frame.entries.iter_mut().enumerate() {
                for (f, fact) in entry.facts.iter_mut().enumerate() {
                    if let FactOrUnknown::Known(Fact::Settled { cpu_seconds, .. }) = fact
                        && place.is_none()
                    {
                        *cpu_seconds -= 1;
                        place = Some((frame.n, e, f));
                    }
                }
            }
            payload = serde_json::to_vec(&frame).unwrap().into();
        }
        chain = chain.extend(&payload);
        messages.push(Message { seq: *seq, subject: subject.clone(), payload });
    }
    (messages, place.expect("somebody used something"))
}

/// Keeps messages as an archive of a log of their own.
async fn archived_in(folder: &std::path::Path, messages: &[Message]) -> String {
    let location = folder.to_str().unwrap().to_owned();
    let mut builder = SegmentBuilder::new(FrameNumber(0), Chain::START);
    for message in messages {
        builder.push(message).unwrap();
    }
    let log = Archive::create(&location).unwrap().log(&Incarnation("doctored".to_owned()));
    log.put(builder.close().unwrap()).await.unwrap();
    location
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_proved_decided_again_and_modelled() {
    let options = Options { slots: 2, ..Options::default() };
    let options = options.env(Kind::Scheduler, "NOX_ARCHIVE_EVERY_S", "1");
    let mut cluster = Cluster::start(options).await.unwrap();
    let client = cluster.client("ada");
    let secretive = json!({"module": "talker", "inputs": {"password": "begins", "sleep": 0}});
    let (secretive, _) = admitted(client.submit(0, &secretive, Some("secretive")).await);
    for round in 0..3 {
        let mut jobs = vec![noop(); 20];
        jobs.push(json!({"module": "noop", "inputs": {"fail": "error"}}));
        jobs.push(mark(&format!("round {round}")));
        client.submit_bulk(0, &jobs, Some(&format!("round {round}"))).await;
        // Another leader goes on in the middle of it.
        if round == 1 {
            cluster.schedulers[0].kill9();
            cluster.schedulers[0].start().unwrap();
        }
    }
    cluster.settle(WITHIN).await.unwrap();
    let verdict = check(&cluster.evidence().await.unwrap());
    verdict.assert_clean();
    assert!(verdict.counts.facts_compared > 200, "{:?}", verdict.counts);

    let archive = cluster.folder().join("archive").to_str().unwrap().to_owned();
    let nats = [("NOX_NATS_URL", cluster.nats_url.as_str()), ("NOX_ARCHIVE", &archive)];
    let keyed = [nats[0], nats[1], ("NOX_CLUSTER_KEY", CLUSTER_KEY)];
    let (status, ledger) = said(&["ledger", "verify"], &nats);
    assert_eq!((status, number(&ledger, "difference")), (Some(0), 0), "{ledger}");
    let (status, replay) = said(&["replay", "verify"], &keyed);
    assert_eq!((status, number(&replay, "divergences")), (Some(0), 0), "{replay}");
    assert_eq!(number(&replay, "facts_compared"), verdict.counts.facts_compared);
    assert_eq!((number(&replay, "facts_taken"), number(&replay, "inputs_gone_up_to")), (0, 0));
    println!("{ledger}\n{replay}");

    // The control: by another key, no report of an attempt would have been believed.
    let other = "08".repeat(32);
    let (status, replay) =
        said(&["replay", "verify"], &[nats[0], nats[1], ("NOX_CLUSTER_KEY", &other)]);
    assert_eq!((status, number(&replay, "divergences")), (Some(1), 1), "{replay}");
    assert_eq!(replay["divergence"]["by"]["src"], "reports", "{replay}");

    // With a slot more for every job, nobody waits for one.
    let (status, model) = said(&["replay", "what-if", "--slots", "*=100"], &keyed);
    assert_eq!(status, Some(0), "{model}");
    let of = |side: &str, measure: &str| number(&model["all"][side], measure);
    for measure in ["jobs", "succeeded", "failed", "canceled"] {
        assert_eq!(of("model", measure), of("recorded", measure), "{measure}: {model}");
        assert_eq!(of("what_if", measure), of("recorded", measure), "{measure}: {model}");
    }
    assert!(of("what_if", "wait_max_ms") < of("model", "wait_max_ms"), "{model}");
    println!("{}", model["all"]);

    // A doctored entry in a log that is whole.
    let log = cluster.read_log().await.unwrap();
    let (messages, (n, entry, fact)) = doctored(&log);
    let location = archived_in(&cluster.folder().join("doctored"), &messages).await;
    let env = [("NOX_ARCHIVE", location.as_str())];
    assert_eq!(noxctl(&["log", "verify", "--from-archive"], &env).0, Some(0));
    let (status, ledger) = said(&["ledger", "verify", "--from-archive"], &env);
    assert_eq!(status, Some(1), "{ledger}");
    let fault = &ledger["fault"];
    assert_eq!(fault["n"], json!(n), "{ledger}");
    assert_eq!((number(fault, "entry"), number(fault, "fact")), (entry as u64, fact as u64));

    let job = log.iter().find_map(|message| {
        let frame: Frame = serde_json::from_slice(&message.payload).ok()?;
        frame.entries.iter().find_map(|entry| entry.job_id)
    });
    let job = job.unwrap().to_string();
    let file = cluster.folder().join("capsule.json");
    let file = file.to_str().unwrap();
    let (status, told) = noxctl(&["capsule", "export", &job, "--to-file", file], &nats);
    assert_eq!(status, Some(0), "{told}");
    let (status, told) = noxctl(&["capsule", "open", file], &[]);
    assert_eq!(status, Some(0), "{told}");
    for word in ["submitted", "assigned", "succeeded", "configured", "module_declared", "granted"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    // What is named as a secret is masked where it stands, and in what the job printed.
    let file = cluster.folder().join("secretive.json");
    let file = file.to_str().unwrap();
    let job = secretive.to_string();
    assert_eq!(noxctl(&["capsule", "export", &job, "--to-file", file], &nats).0, Some(0));
    let text = std::fs::read_to_string(file).unwrap();
    let capsule: Value = serde_json::from_str(&text).unwrap();
    assert!(!text.contains("begins"), "{text}");
    assert_eq!(capsule["masked"], 1, "{text}");
    let printed: String = capsule["printed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["text"].as_str().unwrap())
        .collect();
    assert!(printed.contains("attempt 1 ***") && printed.contains("attempt 1 ends"), "{printed}");
    assert_eq!(capsule["queue"]["workers"][0]["slots"], 2, "{text}");

    // A fact that does not exist, and rows of then.
    let (status, words) = noxctl(&["events", "replay", "--fact", "suceeded"], &nats);
    assert!(status == Some(2) && words.contains("did you mean succeeded?"), "{words}");
    let rows = [nats[0], nats[1], ("NOX_DATABASE_URL", cluster.database_url.as_str())];
    for live in ["nox_1", "public", "Monday"] {
        let (status, words) = noxctl(&["events", "replay", "--to-schema", live], &rows);
        assert_eq!(status, Some(2), "{words}");
    }
    let (status, words) =
        noxctl(&["events", "replay", "--to-schema", "monday", "--from", "2"], &rows);
    assert_eq!(status, Some(2), "{words}");
    let (status, words) = noxctl(&["events", "replay", "--to-schema", "monday"], &rows);
    assert_eq!(status, Some(0), "{words}");
    let count = "select count(*) from monday.jobs where status = 'succeeded'";
    assert_eq!(cluster.sql(count).await.unwrap(), of("recorded", "succeeded").to_string());

    let file = cluster.folder().join("report.html");
    let span = ["--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z", "--to-file"];
    let report = [&["report"], &span[..], &[file.to_str().unwrap()]].concat();
    assert_eq!(noxctl(&report, &nats).0, Some(0));
    let page = std::fs::read_to_string(file).unwrap();
    assert!(page.contains("67 jobs submitted, 64 succeeded, 3 failed"), "{page}");

    let file = cluster.folder().join("again.jsonl");
    let file = file.to_str().unwrap();
    let (status, _) = noxctl(&["events", "replay", "--fact", "failed", "--to-file", file], &nats);
    assert_eq!(status, Some(0));
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(text.lines().count() as u64, of("recorded", "failed"), "{text}");

    // What was consumed is removed one day, and then taken as it is recorded; so it is from the archive alone.
    let broker = cluster.broker().await.unwrap();
    let last = broker.last_sequence(subject::EVENTS).await.unwrap();
    let archived = async || {
        let incarnation = broker.incarnation(subject::EVENTS).await?;
        let end = cluster.archive()?.log(&incarnation).end().await?;
        Ok((end.0.0 >= last).then_some(()))
    };
    until(WITHIN, "the log to be archived", archived).await.unwrap();
    let alone = [("NOX_ARCHIVE", archive.as_str()), keyed[2]];
    let (status, replay) = said(&["replay", "verify", "--from-archive"], &alone);
    assert_eq!((status, number(&replay, "divergences")), (Some(0), 0), "{replay}");
    let (compared, taken) = (number(&replay, "facts_compared"), number(&replay, "facts_taken"));
    assert!(compared > 0 && taken > 0, "{replay}");
    let (status, ledger) = said(&["ledger", "verify", "--from-archive"], &alone);
    assert_eq!((status, number(&ledger, "difference")), (Some(0), 0), "{ledger}");
    assert_eq!(number(&ledger, "facts"), compared + taken);
}
