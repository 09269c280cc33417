//! What a job costs. Run by hand: `cargo test --release -p nox-readmodel cost -- --ignored --nocapture`.

use std::fs;

use nox_contract::FrameNumber;
use nox_devkit::{Postgres, PostgresOptions};
use nox_readmodel::{Batch, LogMessage, Store};

use crate::log::{JobOf, Log, reader_at};

const JOBS: u64 = 20_000;
/// Of a tick in `/proc/<pid>/stat`.
const TICK_MICROS: u64 = 10_000;

/// A log of no-op jobs, two entries each, `in_flight` at a time.
fn no_op_jobs(in_flight: u64, entries: usize) -> Log {
    let mut log = Log::in_frames_of(entries);
    let users: Vec<String> = (0..20).map(|user| format!("user-{user}")).collect();
    log.open_tenant("default", &users.iter().map(String::as_str).collect::<Vec<_>>());
    let job = |number: u64| JobOf::new("default", &users[number as usize % 20], "command", number);
    for number in 0..JOBS + in_flight {
        if number < JOBS {
            log.submit_and_assign(&job(number), "exec-1");
        }
        if number >= in_flight {
            log.start_and_succeed(&job(number - in_flight), "exec-1");
        }
    }
    log.seal();
    log
}

/// CPU time of a process so far, in microseconds.
fn cpu_micros(pid: u32) -> u64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0 };
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * TICK_MICROS
}

/// CPU time of a process's children, of those that live.
fn children_micros(pid: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().map(|child| cpu_micros(child.parse().unwrap())).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_cost_of_a_no_op_job() {
    for (in_flight, entries, batch) in
        [(50, 10, 10), (50, 100, 10), (500, 100, 10), (2_000, 400, 8), (2_000, 400, 32)]
    {
        let folder = tempfile::tempdir().unwrap();
        let postgres =
            Postgres::start(PostgresOptions::new(folder.path().join("pg"))).await.unwrap();
        let log = no_op_jobs(in_flight, entries);
        let mut store = Store::new(&postgres.url()).unwrap();
        store.prepare().await.unwrap();
        let messages: Vec<Vec<LogMessage>> =
            log.messages.chunks(batch).map(<[LogMessage]>::to_vec).collect();

        let own = cpu_micros(std::process::id());
        let theirs = children_micros(postgres.pid().unwrap());
        let clock = fs::read_to_string("/proc/uptime").unwrap();
        let mut reader = reader_at(&log.messages, FrameNumber(0));
        for messages in messages {
            let batch = Batch::read(&mut reader, messages).unwrap();
            store.commit(&batch).await.unwrap();
        }
        let wall = uptime(&fs::read_to_string("/proc/uptime").unwrap()) - uptime(&clock);
        let own = cpu_micros(std::process::id()) - own;
        let theirs = children_micros(postgres.pid().unwrap()) - theirs;
        let bytes = postgres
            .psql("select 'jobs ' || pg_total_relation_size('nox_1.jobs') / 20000 || ' B/job'")
            .await
            .unwrap();
        println!(
            "{in_flight:>5} in flight, {batch:>2} frames of {entries:>3} a batch: postgres {:>3} µs/job, projector \
             {:>3} µs/job, {:>6.0} jobs/s; {bytes}",
            theirs / JOBS,
            own / JOBS,
            JOBS as f64 / wall,
        );
    }
}

fn uptime(text: &str) -> f64 {
    text.split_whitespace().next().unwrap().parse().unwrap()
}
