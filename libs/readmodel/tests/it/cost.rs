//! What a job costs. Run by hand: `cargo test --release -p nox-readmodel cost -- --ignored --nocapture`;
//! what checks and an index do, `cargo test -p nox-readmodel --test it variants_of -- --ignored --nocapture`.

use std::{fs, time::Duration};

use nox_contract::FrameNumber;
use nox_devkit::{Postgres, PostgresOptions};
use nox_readmodel::{Batch, LogMessage, Store};

use crate::{
    log::{JobOf, Log, reader_at},
    support::{Database, commit_all},
};

const JOBS: u64 = 20_000;
/// Of a tick in `/proc/<pid>/stat`.
const TICK_MICROS: u64 = 10_000;

fn no_op_jobs(in_flight: u64, entries: usize) -> Log {
    no_op_jobs_of(JOBS, in_flight, entries)
}

/// A log of no-op jobs, two entries each, `in_flight` at a time.
fn no_op_jobs_of(jobs: u64, in_flight: u64, entries: usize) -> Log {
    let mut log = Log::in_frames_of(entries);
    let users: Vec<String> = (0..20).map(|user| format!("user-{user}")).collect();
    log.open_tenant("default", &users.iter().map(String::as_str).collect::<Vec<_>>());
    let job = |number: u64| JobOf::new("default", &users[number as usize % 20], "command", number);
    for number in 0..jobs + in_flight {
        if number < jobs {
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

/// The tables as they are, and what else they might be.
const VARIANTS: [(&str, &str); 3] = [
    ("as they are", ""),
    ("without checks", WITHOUT_CHECKS),
    ("without jobs_live_busy", "drop index jobs_live_busy"),
];
const WITHOUT_CHECKS: &str = "do $$ declare of record; begin
    for of in select conrelid::regclass as of_table, conname from pg_constraint
              where contype = 'c' and conrelid in ('jobs_live'::regclass, 'jobs_ended'::regclass)
    loop execute format('alter table %s drop constraint %I', of.of_table, of.conname); end loop;
end $$";

/// Jobs of which each step is in a batch of its own: queued, assigned, running, over.
fn long_jobs(jobs: u64, at_once: u64) -> Log {
    let mut log = Log::in_frames_of(400);
    log.open_tenant("default", &["ada"]);
    for first in (0..jobs).step_by(at_once as usize) {
        let some: Vec<_> = (first..first + at_once)
            .map(|number| JobOf::new("default", "ada", "command", number))
            .collect();
        for job in &some {
            log.submit(job);
        }
        log.seal();
        for job in &some {
            log.assign(job, "exec-1", 1);
        }
        log.seal();
        for job in &some {
            log.start(job, "exec-1", 1);
        }
        log.seal();
        for job in &some {
            log.succeed(job, 1);
        }
        log.seal();
    }
    log
}

/// In turns, so that what else the machine does meets all alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_cost_of_variants_of_the_tables() {
    const ROUNDS: usize = 4;
    const LONG: u64 = 40_000;
    let short = no_op_jobs_of(100_000, 2_000, 400);
    let long = long_jobs(LONG, 2_000);
    for (name, log, jobs, batch) in [("short", &short, 100_000, 10), ("long", &long, LONG, 5)] {
        for round in 0..ROUNDS {
            for (variant, sql) in VARIANTS {
                let database = Database::start().await;
                let mut store = database.store().await;
                if !sql.is_empty() {
                    database.ask(sql).await;
                }
                let before = children_micros(database.postgres.pid().unwrap());
                commit_all(&mut store, log.batches(batch)).await;
                let micros = children_micros(database.postgres.pid().unwrap()) - before;
                drop(store);
                // Counts come when a connection ends.
                tokio::time::sleep(Duration::from_millis(500)).await;
                let hot = database
                    .ask(
                        "select n_tup_upd || ' updates, ' || n_tup_hot_upd || ' HOT'
                         from pg_stat_all_tables where relid = 'jobs_live'::regclass",
                    )
                    .await;
                let micros = micros as f64 / jobs as f64;
                println!("{name} jobs, round {round}, {variant:23}: {micros:5.1} µs a job; {hot}");
            }
        }
    }
}

fn uptime(text: &str) -> f64 {
    text.split_whitespace().next().unwrap().parse().unwrap()
}
