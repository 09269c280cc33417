//! The log's stream is bounded, and nothing is lost: what is cut off is in the archive.

mod oldest;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use nox_archive::LogArchive;
use nox_contract::{FrameNumber, JobId, subject};
use nox_readmodel::audit::content_hash;
use nox_testkit::system::{
    checker::check,
    client::Client,
    cluster::{Cluster, Options, until},
    recorder::Heard,
    service::Kind,
};
use serde_json::{Value, json};

use super::noxctl;

const WITHIN: Duration = Duration::from_secs(120);

/// Of the log's stream: the least there can be, so that few jobs fill it.
const LOG_BYTES: &str = "8MiB";
/// Jobs a round, and the bytes of each: five MiB of log.
const JOBS: usize = 400;
const JOB_BYTES: usize = 13_000;

/// Where a leader can die while it archives the log and cuts its stream.
pub const POINTS: [&str; 4] = [
    "scheduler.before_archive",
    "scheduler.after_archive",
    "scheduler.before_cut",
    "scheduler.after_cut",
];

/// A system whose log is small, archived at once, and cut as soon as it may be.
async fn start() -> Cluster {
    start_with(LOG_BYTES).await
}

async fn start_with(log_bytes: &str) -> Cluster {
    let scheduler = |options: Options, name, value: &str| options.env(Kind::Scheduler, name, value);
    let options = [
        ("NOX_LOG_BYTES", log_bytes),
        ("NOX_ARCHIVE_EVERY_S", "1"),
        ("NOX_SNAPSHOT_ENTRIES", "50"),
        ("NOX_SNAPSHOT_MS", "100"),
    ];
    let options = options
        .into_iter()
        .fold(Options::default(), |options, (name, value)| scheduler(options, name, value));
    Cluster::start(options).await.unwrap()
}

/// Submits a round of jobs, in parts, so that the log is cut in between.
async fn round(client: &Client, name: &str) -> Vec<JobId> {
    let word = |i: u32| format!("{:08x}", i.wrapping_mul(2_654_435_761));
    let filler: String = (0..JOB_BYTES as u32 / 8).map(word).collect();
    let job = json!({"module": "noop", "inputs": {"filler": filler}});
    let mut jobs = Vec::new();
    for part in 0..JOBS / 50 {
        let key = format!("{name} {part}");
        for heard in client.submit_bulk(0, &vec![job.clone(); 50], Some(&key)).await {
            let Heard::Admitted { job, .. } = heard else { panic!("admission closed: {heard:?}") };
            jobs.push(job);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    jobs
}

/// Waits until the stream has lost its first frames; says which is the first that it has.
async fn until_cut(cluster: &Cluster, beyond: u64) -> u64 {
    let broker = cluster.broker().await.unwrap();
    let cut = async || {
        let last = broker.last_sequence(subject::EVENTS).await?;
        if broker.read_one(subject::EVENTS, beyond + 1).await?.is_some() {
            return Ok(None);
        }
        // Frames go from the beginning only.
        let (mut gone, mut there) = (beyond + 1, last);
        while gone + 1 < there {
            let middle = gone.midpoint(there);
            match broker.read_one(subject::EVENTS, middle).await? {
                Some(_) => there = middle,
                None => gone = middle,
            }
        }
        Ok(Some(there))
    };
    until(WITHIN, "the log to be cut", cut).await.unwrap()
}

/// Waits until the archive has all of the stream.
async fn until_archived(cluster: &Cluster) -> LogArchive {
    let archived = async || {
        let (log, last) = cluster.log().await?;
        let archive = log.archive().unwrap().clone();
        let first = FrameNumber(log.broker().first_frame().await?.unwrap_or(1));
        let end = archive.end_behind(first).await?;
        Ok(end.is_some_and(|(n, _)| n == last).then_some(archive))
    };
    until(WITHIN, "all of the log to be archived", archived).await.unwrap()
}

async fn events(client: &Client, job: JobId) -> Vec<Value> {
    let answer = client.get(0, &format!("/jobs/{job}/events")).await.unwrap();
    assert!(answer.status.is_success(), "{}", answer.body);
    answer.body["events"].as_array().unwrap().clone()
}

fn segment_files(cluster: &Cluster) -> Vec<PathBuf> {
    let log = fs::read_dir(cluster.folder().join("archive/log")).unwrap().next().unwrap();
    let mut files: Vec<_> =
        fs::read_dir(log.unwrap().path()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

async fn drop_rows(cluster: &Cluster) {
    let generation = cluster.schema().await.unwrap();
    let drop = format!("drop schema {generation} cascade; drop schema nox cascade");
    cluster.sql(&drop).await.unwrap();
}

fn flip_a_bit(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_log_that_was_cut_everything_is_there() {
    let mut cluster = start().await;
    let client = cluster.client("ada");
    let mut jobs = round(&client, "first").await;
    cluster.settle(WITHIN).await.unwrap();
    let first = until_cut(&cluster, 1).await;
    println!("the stream begins at frame {first}");

    // A projector that is away holds the log back up to a bound; then it is cut all the same.
    cluster.projector.kill9();
    let left_at = cluster.log().await.unwrap().1;
    jobs.extend(round(&client, "while the projector is away").await);
    jobs.extend(round(&client, "and longer").await);
    let begins = until_cut(&cluster, left_at.0).await;
    assert!(begins > left_at.0, "the log was not cut beyond the projector");
    cluster.projector.start().unwrap();
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();

    // The history of every job, and how long an archived one takes.
    let mut took = Vec::new();
    for job in &jobs {
        let begun = Instant::now();
        let told = events(&client, *job).await;
        took.push(begun.elapsed());
        assert!(told[0]["facts"][0]["submitted"].is_object(), "{told:?}");
        let facts = told.iter().flat_map(|entry| entry["facts"].as_array().unwrap());
        // Its module knows no such inputs.
        let ended = facts.filter(|fact| fact["failed"].is_object()).count();
        assert_eq!(ended, 1, "{told:?}");
    }
    took.sort();
    println!(
        "a job's history: median {:?}, slowest {:?}",
        took[took.len() / 2],
        took[took.len() - 1]
    );

    let archive = until_archived(&cluster).await;
    let mut took = Vec::new();
    for n in (2..first).step_by(usize::try_from(first / 50 + 1).unwrap()) {
        let begun = Instant::now();
        assert!(archive.frame(FrameNumber(n)).await.unwrap().is_some());
        took.push(begun.elapsed());
    }
    took.sort();
    let median = took[took.len() / 2];
    println!("an archived frame: median {median:?}, slowest {:?}", took[took.len() - 1]);
    assert!(median <= Duration::from_millis(50), "{took:?}");

    // Rows that are gone come back from archive and stream.
    let live = content_hash(&cluster.database_url, None).await.unwrap();
    cluster.projector.stop().await;
    drop_rows(&cluster).await;
    cluster.projector.start().unwrap();
    let again = async || {
        let hash = content_hash(&cluster.database_url, None).await;
        Ok(hash.ok().filter(|hash| hash.n >= live.n))
    };
    let again = until(WITHIN, "the rows to be back", again).await.unwrap();
    assert_eq!((again.n, again.hash), (live.n, live.hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_rebuilt_without_the_stream_and_damage_is_said() {
    let mut cluster = start().await;
    let client = cluster.client("ada");
    round(&client, "all").await;
    cluster.settle(WITHIN).await.unwrap();
    until_cut(&cluster, 1).await;
    until_archived(&cluster).await;
    let live = content_hash(&cluster.database_url, None).await.unwrap();
    let nats = cluster.nats_url.clone();
    let database = cluster.database_url.clone();
    let archive = cluster.folder().join("archive").to_str().unwrap().to_owned();
    let nothing = cluster.folder().join("nothing").to_str().unwrap().to_owned();
    let run = |args: &[&str], archive: &str| {
        let env = [
            ("NOX_NATS_URL", nats.as_str()),
            ("NOX_DATABASE_URL", &database),
            ("NOX_ARCHIVE", archive),
        ];
        let outcome = noxctl(args, &env);
        println!("noxctl {args:?}: {}", outcome.1);
        outcome
    };

    // With the stream, and without the archive.
    let (status, said) = run(&["log", "verify"], &archive);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(run(&["projection", "rebuild", "--dry-run"], &archive).0, Some(0));
    for args in [&["log", "verify"][..], &["projection", "rebuild"]] {
        let (status, said) = run(args, &nothing);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("frame 2 of the log is neither in the stream nor in"), "{said}");
    }

    // What is left of the log is not taken for all of it.
    let (status, said) = run(&["log", "repair"], &archive);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("was cut before message"), "{said}");

    // The stream is lost, and the broker with it.
    for service in cluster.services() {
        service.stop().await;
    }
    cluster.nats.stop().await;
    assert_eq!(run(&["log", "verify", "--from-archive"], &archive).0, Some(0));
    let rebuild = ["projection", "rebuild", "--from-archive"];
    let (status, said) = run(&rebuild, &archive);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains(&live.hash) && said.contains("equal"), "{said}");
    let rebuilt = content_hash(&cluster.database_url, None).await.unwrap();
    assert_eq!((rebuilt.n, &rebuilt.hash), (live.n, &live.hash));

    // The rows are lost as well.
    drop_rows(&cluster).await;
    let (status, said) = run(&rebuild, &archive);
    assert_eq!(status, Some(0), "{said}");
    let rebuilt = content_hash(&cluster.database_url, None).await.unwrap();
    assert_eq!((rebuilt.n, &rebuilt.hash), (live.n, &live.hash));

    // One bit.
    let (status, said) = run(&rebuild, &nothing);
    assert_eq!(status, Some(1), "{said}");
    let segment = segment_files(&cluster).remove(1);
    flip_a_bit(&segment);
    for args in [&["log", "verify", "--from-archive"][..], &rebuild] {
        let (status, said) = run(args, &archive);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(segment.file_name().unwrap().to_str().unwrap()), "{said}");
        assert!(said.contains("damaged"), "{said}");
    }
    let after = content_hash(&cluster.database_url, None).await.unwrap();
    assert_eq!((after.generation, after.hash), (rebuilt.generation, rebuilt.hash), "as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_dies_while_it_archives_or_cuts_loses_nothing() {
    // What waits for a new leader is decided faster than it is archived; there is room for a round of it.
    let mut cluster = start_with("16MiB").await;
    let client = cluster.client("ada");
    let mut jobs = Vec::new();
    for point in POINTS {
        let scheduler = &mut cluster.schedulers[0];
        scheduler.kill9();
        scheduler.start_with(&[("NOX_CRASH_POINT", point)]).unwrap();
        // Cut off in the middle; whoever is not answered in time is answered later.
        let round = tokio::spawn({
            let client = client.clone();
            async move { round(&client, point).await }
        });
        let status = cluster.schedulers[0].wait_ended(WITHIN).await.unwrap();
        assert_eq!(status.code(), None, "{point}: it ended by itself with {status}");
        cluster.schedulers[0].start().unwrap();
        jobs.extend(round.await.unwrap());
    }
    cluster.settle(WITHIN).await.unwrap();
    let verdict = check(&cluster.evidence().await.unwrap());
    verdict.assert_clean();
    until_cut(&cluster, 1).await;
    for job in jobs.iter().step_by(10) {
        assert!(!events(&client, *job).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_begins_with_the_log_however_many_leaders_there_were_before_it() {
    let late = Options::default().env(Kind::Scheduler, "NOX_ARCHIVE_EVERY_S", "3600");
    let mut cluster = Cluster::start(late).await.unwrap();
    let client = cluster.client("ada");
    client.submit_bulk(0, &[json!({"module": "noop", "inputs": {}})], Some("one")).await;
    cluster.settle(WITHIN).await.unwrap();
    let scheduler = &mut cluster.schedulers[0];
    scheduler.kill9();
    scheduler.start_with(&[("NOX_ARCHIVE_EVERY_S", "1")]).unwrap();
    let first = async || {
        let (log, _) = cluster.log().await?;
        Ok(log.archive().unwrap().segments().await?.first().map(|segment| segment.n_first))
    };
    let first = until(WITHIN, "the log to be archived", first).await.unwrap();
    assert_eq!(first, FrameNumber(1));
}

/// Puts a copy of a folder in the place of another one.
fn replace(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let status = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success());
}

/// Where the broker keeps the log.
fn log_folder(cluster: &Cluster) -> PathBuf {
    let accounts = fs::read_dir(cluster.folder().join("nats/jetstream")).unwrap();
    let mut streams = accounts.map(|account| account.unwrap().path().join("streams/NOX_EVENTS"));
    streams.find(|stream| stream.is_dir()).expect("the log's folder")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_end_gets_it_back_from_the_archive() {
    // There is room for what comes back.
    let mut cluster = start_with("64MiB").await;
    let client = cluster.client("ada");
    round(&client, "first").await;
    cluster.settle(WITHIN).await.unwrap();
    // As a power cut leaves a relaxed broker, or an operator who brings back an older copy.
    let copy = cluster.folder().join("copy");
    cluster.nats.stop().await;
    replace(&log_folder(&cluster), &copy);
    cluster.nats.restart().await.unwrap();
    cluster.wait_ready().await.unwrap();

    let jobs = round(&client, "lost with the log's end").await;
    cluster.settle(WITHIN).await.unwrap();
    until_archived(&cluster).await;
    let last = cluster.log().await.unwrap().1;
    let before = events(&client, jobs[0]).await;
    for service in cluster.services() {
        service.kill9();
    }
    cluster.nats.stop().await;
    replace(&copy, &log_folder(&cluster));
    cluster.nats.restart().await.unwrap();
    let lost = cluster.log().await.unwrap().1;
    assert!(lost < last, "the control: the log still goes on to {lost}");

    for scheduler in &mut cluster.schedulers {
        scheduler.start().unwrap();
    }
    cluster.wait_leader(WITHIN).await.unwrap();
    assert!(cluster.log().await.unwrap().1 > last, "a new leader begins behind the old end");
    cluster.start_services().unwrap();
    cluster.wait_ready().await.unwrap();
    assert_eq!(events(&client, jobs[0]).await, before);
    round(&client, "afterwards").await;
    cluster.settle(WITHIN).await.unwrap();
    check(&cluster.evidence().await.unwrap()).assert_clean();
    until_archived(&cluster).await;
}
