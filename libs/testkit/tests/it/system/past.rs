//! Queue, workers and accounts as they were: at any place of the log what a fold from its beginning says.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use nox_archive::{ClosedState, LogArchive, StateInfo};
use nox_contract::{FrameNumber, JobId, Timestamp, UserId};
use nox_core::State;
use nox_protocol::{Fold, snapshot};
use nox_streams::Message;
use nox_testkit::system::{
    client::{Answer, Client},
    cluster::{Cluster, Options, until},
    service::Kind,
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde_json::{Value, json};

use super::{admitted, noop, noxctl, setting, slow_mark};

const WITHIN: Duration = Duration::from_secs(120);
/// Most bytes of a state here.
const STATE_BYTES: u64 = 1 << 30;

/// A system that is archived at once, whose log is cut soon, and of which states are kept often.
async fn start() -> Cluster {
    let mut options = Options { slots: 2, ..Options::default() };
    for (name, value) in [
        ("NOX_LOG_BYTES", "8MiB"),
        ("NOX_ARCHIVE_EVERY_S", "1"),
        ("NOX_SNAPSHOT_ENTRIES", "50"),
        ("NOX_SNAPSHOT_MS", "100"),
    ] {
        options = options.env(Kind::Scheduler, name, value);
    }
    Cluster::start(options).await.unwrap()
}

/// Jobs that wait for slots, for others, for an instant; and some that fill the log.
async fn load(ada: &Client, bob: &Client, name: &str) {
    let filler = "0123456789abcdef".repeat(800);
    let large = json!({"module": "noop", "inputs": {"filler": filler}});
    for part in 0..5 {
        let key = format!("{name} large {part}");
        ada.submit_bulk(0, &vec![large.clone(); 60], Some(&key)).await;
        let slow: Vec<_> = (0..6).map(|of| slow_mark(&format!("{key} {of}"), 0.1)).collect();
        bob.submit_bulk(0, &slow, Some(&format!("{key} slow"))).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let key = |of: &str| format!("{name} {of}");
    let first = slow_mark(&key("first"), 0.5);
    let (first, _) = admitted(bob.submit(0, &first, Some(&key("first"))).await);
    let mut then = noop();
    then["after"] = json!([first]);
    admitted(bob.submit(0, &then, Some(&key("then"))).await);
    let mut later = noop();
    later["run_at"] = json!("2999-01-01T00:00:00Z");
    admitted(ada.submit(0, &later, Some(&key("later"))).await);
}

/// All messages of the log.
async fn messages(cluster: &Cluster) -> Vec<Message> {
    let (log, last) = cluster.log().await.unwrap();
    let chunks: Vec<_> = log.read(FrameNumber(1), last).try_collect().await.unwrap();
    chunks.into_iter().flatten().collect()
}

/// What a user is to be told of a state.
fn told(state: &State, user: &UserId) -> Value {
    let mut jobs = BTreeMap::new();
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    for (id, job) in state.jobs().filter(|(_, job)| job.owner.user_id == *user) {
        *states.entry(job.job.state().as_str()).or_default() += 1;
        let waiting = job.job.waiting().map(|code| code.as_str());
        let one = json!([id, job.job.state(), waiting, job.job.attempt, job.job.worker_id()]);
        jobs.insert((job.job.submitted_n, job.submitted_place), one);
    }
    let seen = |id: &JobId| {
        state
            .job(*id)
            .is_some_and(|job| job.owner.user_id == *user && job.job.state().as_str() != "queued")
    };
    let workers = state.workers.iter().map(|(id, worker)| {
        let running: Vec<_> = worker.assignments.keys().filter(|id| seen(id)).collect();
        json!([id, worker.capacity, running])
    });
    let tenant = "default".parse().unwrap();
    let account = state.ledger.user(&tenant, user).map(|account| {
        let balance = account.periods.last_key_value().map(|(_, balance)| balance);
        let used = balance.map_or(0, |balance| balance.reserved + balance.used);
        json!([used, account.queued_jobs, account.running_jobs])
    });
    json!({
        "states": states,
        "jobs": jobs.into_values().take(1_000).collect::<Vec<_>>(),
        "workers": workers.collect::<Vec<_>>(),
        "account": account,
    })
}

async fn get(client: &Client, path: &str) -> Answer {
    let answer = client.get(0, path).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer
}

/// The same as a gateway tells it, and the frame that it names.
async fn asked(client: &Client, as_of: &str) -> (Value, u64) {
    let queue = get(client, &format!("/queue?limit=1000&as_of={as_of}")).await.body;
    let jobs = queue["jobs"].as_array().unwrap().iter().map(|job| {
        json!([job["id"], job["state"], job["waiting_code"], job["attempt"], job["worker_id"]])
    });
    let workers = get(client, &format!("/workers?limit=1000&as_of={as_of}")).await.body;
    let workers = workers["workers"].as_array().unwrap().iter().map(|worker| {
        let running = worker["running"].as_array().unwrap().iter();
        let mut running: Vec<_> = running.map(|job| job["job_id"].clone()).collect();
        running.sort_by_key(ToString::to_string);
        json!([worker["id"], worker["capacity"], running])
    });
    let usage = get(client, &format!("/quotas/my/usage?as_of={as_of}")).await.body;
    let usage = usage["usage"].as_array().unwrap();
    let account: Vec<_> = usage.iter().map(|of| of["current_usage"].clone()).collect();
    let told = json!({
        "states": queue["states"],
        "jobs": jobs.collect::<Vec<_>>(),
        "workers": workers.collect::<Vec<_>>(),
        "account": if account.is_empty() { Value::Null } else { json!(account) },
    });
    (told, queue["n"].as_u64().unwrap())
}

/// What users are to be told behind each message.
fn truth(messages: &[Message], users: &[&UserId]) -> BTreeMap<u64, Vec<Value>> {
    let mut fold = Fold::default();
    let mut truth = BTreeMap::new();
    for message in messages {
        assert!(fold.take(&message.subject, &message.payload, None).unwrap());
        let of_users = users.iter().map(|user| told(fold.state(), user)).collect();
        truth.insert(message.seq, of_users);
    }
    truth
}

async fn kept(archive: &LogArchive) -> Vec<StateInfo> {
    archive.states().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_of_then_is_what_a_fold_from_the_beginning_says() {
    let cluster = start().await;
    let (ada, bob) = (cluster.client("ada"), cluster.client("bob"));
    load(&ada, &bob, "first").await;
    load(&ada, &bob, "second").await;
    // What the routes of now say where nothing goes on, to be asked for later.
    let quiet = async || {
        let before = cluster.log().await?.1;
        let usage = get(&bob, "/quotas/my/usage").await.body["usage"].clone();
        let open = get(&bob, "/jobs?state=queued,running").await.body["jobs"].clone();
        let is_quiet = open.as_array().is_some_and(Vec::is_empty);
        Ok((is_quiet && cluster.log().await?.1 == before).then_some((before, usage)))
    };
    let (quiet_at, usage) = until(WITHIN, "nothing to go on", quiet).await.unwrap();
    load(&ada, &bob, "third").await;
    let archive = until(
        WITHIN,
        "the archive to have the log and states, and the log to be cut",
        async || {
            let (log, last) = cluster.log().await?;
            let archive = log.archive().unwrap().clone();
            let first = log.broker().first_frame().await?.unwrap_or(1);
            let is_there = first > 1 && archive.end().await?.0 >= FrameNumber(last.0 - 20);
            Ok((is_there && kept(&archive).await.len() >= 5).then_some(archive))
        },
    )
    .await
    .unwrap();

    let messages = messages(&cluster).await;
    let last = messages.len() as u64;
    let users = [ada.user(), bob.user()];
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let count = setting("NOX_TEST_PLACES", 100);
    let mut places: Vec<u64> = (0..count).map(|_| rng.random_range(1..=last)).collect();
    // Exactly where states are, and on either side.
    let states = kept(&archive).await;
    places.extend(states.iter().take(5).flat_map(|info| [info.n.0 - 1, info.n.0, info.n.0 + 1]));
    places.extend([1, 2, quiet_at.0, last]);
    places.retain(|n| (1..=last).contains(n));
    let known = truth(&messages, &users);
    let mut took = Vec::new();
    for n in &places {
        for (client, expected) in [&ada, &bob].into_iter().zip(&known[n]) {
            let begun = Instant::now();
            let (told, at) = asked(client, &n.to_string()).await;
            took.push(begun.elapsed());
            assert_eq!((&told, at), (expected, *n), "as of {n}");
        }
    }
    took.sort();
    println!(
        "{} places of {last}, {} states kept: three questions take {:?} in the middle, {:?} at most",
        places.len(),
        states.len(),
        took[took.len() / 2],
        took[took.len() - 1]
    );
    // The control: what is told of two places is not the same.
    assert_ne!(known[&1], known[&last]);
    let waits = |of: &&Vec<Value>| {
        let jobs = of[1]["jobs"].to_string();
        jobs.contains("priority") || jobs.contains("resources")
    };
    assert!(known.values().filter(waits).count() > 0, "nobody waited anywhere");

    // What was told then is told of then.
    let then = get(&bob, &format!("/quotas/my/usage?as_of={quiet_at}")).await.body;
    assert_eq!(then["usage"], usage);

    // By an instant: all that was decided up to it.
    let instant = |n: u64| -> Option<Timestamp> {
        let message = &messages[n as usize - 1];
        let document: Value = serde_json::from_slice(&message.payload).unwrap();
        document["at"].as_str().map(|at| at.parse().unwrap())
    };
    for n in places.iter().take(20) {
        let at = instant(*n).unwrap();
        let up_to = (*n..=last).take_while(|n| instant(*n).unwrap() <= at).last().unwrap();
        let (told, found) = asked(&bob, &at.to_string()).await;
        assert_eq!((&told, found), (&known[&up_to][1], up_to), "as of {at}");
    }

    // A job that waited then says for what.
    let waiting = (1..=last).rev().find_map(|n| {
        let mut jobs = known[&n][1]["jobs"].as_array()?.iter();
        let job = jobs.find(|job| job[2] == "dependency")?;
        Some((n, job[0].as_str()?.to_owned()))
    });
    let (n, job) = waiting.expect("somebody waited for another job");
    let why = get(&bob, &format!("/jobs/{job}/why?as_of={n}")).await.body;
    assert_eq!(why["code"], "dependency", "{why}");
    assert_eq!(why["blocked_by"]["jobs"].as_array().unwrap().len(), 1, "{why}");

    // A page goes on where the one before ended.
    let n = *places.iter().max_by_key(|n| known[n][1]["jobs"].as_array().unwrap().len()).unwrap();
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&bob, &format!("/queue?limit=3&as_of={n}{cursor}")).await.body;
        paged.extend(page["jobs"].as_array().unwrap().iter().map(|job| job["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let all = known[&n][1]["jobs"].as_array().unwrap().iter().map(|job| job[0].clone());
    assert_eq!(paged, all.collect::<Vec<_>>());

    doctored_states(&cluster, &ada, &archive, &messages).await;
    refusals(&ada, &bob, last).await;
    assert_eq!(cluster.internal_errors(), 0);
}

/// States that do not say what they should are passed over.
async fn doctored_states(
    cluster: &Cluster,
    ada: &Client,
    archive: &LogArchive,
    messages: &[Message],
) {
    let states = kept(archive).await;
    // With some frames behind it before the next.
    let pair = states.windows(2).filter(|pair| pair[1].n.0 > pair[0].n.0 + 8).nth(1);
    let info = pair.expect("states that are not too near to each other")[0].clone();
    let folder = fs::read_dir(cluster.folder().join("archive/state")).unwrap().next().unwrap();
    let folder = folder.unwrap().path();
    let file = |n: FrameNumber| {
        let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        let name = format!("{:020}-", n.0);
        let is_it = |path: &std::path::PathBuf| {
            path.file_name().unwrap().to_str().unwrap().starts_with(&name)
        };
        files.into_iter().find(is_it).unwrap()
    };
    let (tenant, user) = ("default".parse().unwrap(), ada.user());
    let expected = |n: u64| {
        let mut fold = Fold::default();
        for message in &messages[..n as usize] {
            fold.take(&message.subject, &message.payload, None).unwrap();
        }
        fold.state().ledger.user(&tenant, user).map_or(0, |account| account.queued_jobs)
    };
    let queued = async |n: u64| {
        let usage = get(ada, &format!("/quotas/my/usage?as_of={n}")).await.body;
        let usage = usage["usage"].as_array().unwrap();
        let of = usage.iter().find(|of| of["quota_type"] == "queued_jobs");
        of.map_or(0, |of| of["current_usage"].as_u64().unwrap())
    };
    let said = archive.state(&info, STATE_BYTES).await.unwrap().unwrap();
    let mut state: Value = serde_json::from_slice(&said).unwrap();
    let account =
        &mut state["state"]["ledger"]["tenants"]["default"]["users"]["ada"]["queued_jobs"];
    *account = json!(account.as_u64().unwrap() + 7);
    let lie = serde_json::to_vec(&state).unwrap();
    let whole = fs::read(file(info.n)).unwrap();
    let n = info.n.0;
    assert_eq!(queued(n).await, u64::from(expected(n)));

    // The control: one that is consistent with itself and with the log would be believed, so the others below are not.
    fs::remove_file(file(info.n)).unwrap();
    let closed = ClosedState::new((info.n, info.at, info.chain), snapshot::FORMAT, &lie).unwrap();
    archive.put_state(closed).await.unwrap();
    assert_eq!(queued(n + 1).await, u64::from(expected(n + 1)) + 7);

    // Another content than its name says, half of it, nothing.
    for (of, content) in (2..).zip([&whole[..], &whole[..whole.len() / 2], &[]]) {
        let name = file(info.n);
        fs::write(&name, content).unwrap();
        assert_eq!(queued(n + of).await, u64::from(expected(n + of)));
    }
    // One of another history: the chain says so, though all of it is in order.
    fs::remove_file(file(info.n)).unwrap();
    let other = info.chain.extend(b"another history");
    let closed = ClosedState::new((info.n, info.at, other), snapshot::FORMAT, &lie).unwrap();
    archive.put_state(closed).await.unwrap();
    assert_eq!(queued(n + 5).await, u64::from(expected(n + 5)));
    // One that is a fold of less than its name says.
    fs::remove_file(file(info.n)).unwrap();
    let before = &states[0];
    let said = archive.state(before, STATE_BYTES).await.unwrap().unwrap();
    let closed = ClosedState::new((info.n, info.at, info.chain), snapshot::FORMAT, &said).unwrap();
    archive.put_state(closed).await.unwrap();
    assert_eq!(queued(n + 6).await, u64::from(expected(n + 6)));
    let log = cluster.gateways[0].log();
    assert!(log.contains("Cannot use a state in the archive"), "{log}");
    assert!(log.contains("The log disagrees with a state in the archive"), "{log}");
}

/// What cannot be told says so; the command line asks the same.
async fn refusals(ada: &Client, bob: &Client, last: u64) {
    for path in ["/queue", "/workers", "/quotas/my/usage", "/quotas/ada"] {
        for wrong in ["yesterday", "-1", "999999999"] {
            let refused = ada.get(0, &format!("{path}?as_of={wrong}")).await.unwrap();
            assert_eq!(
                (refused.status.as_u16(), refused.code()),
                (422, "invalid_request"),
                "{path}"
            );
            assert_eq!(refused.body["errors"][0]["pointer"], "?as_of", "{}", refused.body);
        }
    }
    let refused = bob.get(0, &format!("/quotas/ada?as_of={last}")).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.code()), (404, "account_not_found"));
    let refused = ada.get(0, "/workers/nobody?as_of=1").await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.code()), (404, "worker_not_found"));

    let (url, place) = (ada.url(0, ""), last.to_string());
    let env = [("NOX_URL", url.as_str()), ("NOX_TOKEN", ada.token())];
    for args in [
        &["queue", "--at", &place][..],
        &["worker", "list", "--at", &place],
        &["worker", "get", "executor-0", "--at", &place],
        &["quota", "get", "ada", "--at", &place],
        &["quota", "usage", "--at", &place],
    ] {
        let (status, said) = noxctl(args, &env);
        assert_eq!(status, Some(0), "{args:?}: {said}");
        assert!(!said.trim().is_empty(), "{args:?}");
    }
    let (status, said) = noxctl(&["queue", "--at", "yesterday"], &env);
    assert_eq!(status, Some(2), "{said}");
}
