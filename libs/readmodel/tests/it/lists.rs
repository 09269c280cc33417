//! Lists of five million jobs. `make lists` runs it: it fills some gigabytes first.
#![expect(clippy::disallowed_methods, reason = "times are what is measured")]

use std::time::Duration;

use nox_contract::JobState;
use nox_readmodel::{Filter, Reader, rows::Owner};

use crate::{
    log::{module, tenant, user},
    support::Database,
};

const JOBS: u64 = 5_000_000;
const WITHIN: Duration = Duration::from_millis(10);

/// A row of job `i`; of `$status` and the columns that depend on it.
fn rows(table: &str, range: &str, status: &str) -> String {
    let (more, values, over) = match table {
        "jobs_live" => ("held, ended_at", "false, null", "''"),
        _ => (
            "outputs, ended_at",
            "null, timestamptz '2026-11-21 22:00Z' + i * interval '1 ms'",
            "jobs.status",
        ),
    };
    format!(
        "with jobs as materialized (
             select i,
                 -- A user of half of all jobs, a thousand others, and one who came five times.
                 case when i % 1000003 = 7 then 'seldom' when i % 2 = 0 then 'ada'
                      else 'user-' || i % 1000 end as user_id,
                 case when i % 1000003 = 9 then 'rare'
                      else (array['xtb', 'orca', 'command'])[1 + i % 3] end as module,
                 {status} as status
             from {range} as i
         )
         insert into {table} (id, tenant, user_id, module, status, tenant_run, user_run, attempt, inputs,
             cpu, mem_mb, wall_time_s, gpu, created_at, n, priority, submitted, failures,
             crashes, suspicions, period, reservation, reserved, used, overrun, frames, {more})
         select ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'acme', user_id, module,
             jobs.status, tenant_run, user_run, 1, '{{\"argv\": [\"true\"]}}', 1, 256, 60, 0,
             timestamptz '2026-11-21 22:00Z' + i * interval '1 ms', i / 100 + 2, 5,
             (i / 100 + 1)::bigint << 20 | i % 100,
             0, 0, 0, '2026-11-21', 60, 0, 0, 0, '\\x01', {values}
         from jobs join runs using (user_id, module)
         where runs.status = {over}"
    )
}

/// A table of the runs of every user, module and status.
async fn runs(database: &Database) {
    database
        .ask("create table runs (user_id text, module text, status text, tenant_run bigint, user_run bigint)")
        .await;
    let names: Vec<_> = (0..1_000).map(|user| format!("user-{user}")).collect();
    let tenant = tenant("acme");
    let over = [JobState::Succeeded, JobState::Failed, JobState::Canceled].map(Some);
    let mut rows = Vec::new();
    for name in names.iter().map(String::as_str).chain(["ada", "seldom"]) {
        let owners = [None, Some(&user(name))].map(|user| Owner::new(&tenant, user));
        for what in ["xtb", "orca", "command", "rare"] {
            for over in over.into_iter().chain([None]) {
                let status = over.map_or("", JobState::as_str);
                let [of_tenant, of_user] = owners.map(|owner| owner.run(&module(what), over));
                rows.push(format!("('{name}', '{what}', '{status}', {of_tenant}, {of_user})"));
            }
        }
    }
    for rows in rows.chunks(1_000) {
        database.ask(&format!("insert into runs values {}", rows.join(", "))).await;
    }
    database.ask("analyze runs").await;
}

async fn fill(database: &Database) {
    runs(database).await;
    // The first statistics, which stay until we make others.
    let ada = rows("jobs_ended", "generate_series(0, 100000, 2)", "'succeeded'");
    for sql in [
        "alter table jobs_ended set (autovacuum_enabled = off)",
        &ada,
        "analyze jobs_ended",
        "truncate jobs_ended",
    ] {
        database.ask(sql).await;
    }
    let step = JOBS / 10;
    for first in (0..JOBS).step_by(step as usize) {
        let status = "case when i % 1000003 in (11, 12) then 'failed' \
                      when i % 1000003 = 13 then 'canceled' else 'succeeded' end";
        let range = format!("generate_series({first}, {})", first + step - 1);
        database.ask(&rows("jobs_ended", &range, status)).await;
    }
    // Three that wait among all of those, of different ages, and one that runs.
    let queued = format!("unnest(array[{JOBS}, {JOBS} + 7, 2 * {JOBS}])");
    database.ask(&rows("jobs_live", &queued, "'queued'")).await;
    database.ask(&rows("jobs_live", &format!("unnest(array[{JOBS} + 8])"), "'running'")).await;
    // Old ones, in the place of some that ended.
    database
        .ask(
            "update jobs_live set submitted = (1 + ((submitted >> 20) * 7919) % 40000) << 20 | 200",
        )
        .await;
}

/// How long the fastest of some takes, first page and one from the middle; and how many rows came. The
/// machine is not ours alone.
async fn time(reader: &Reader, filter: &Filter) -> (Duration, usize) {
    let middle = Some(format!("{}.0", JOBS / 200).parse().unwrap());
    let (mut slowest, mut rows) = (Duration::ZERO, 0);
    for before in [None, middle] {
        let filter = Filter { before, ..filter.clone() };
        let mut fastest = Duration::MAX;
        for tries in 0..20 {
            if tries >= 3 && fastest <= WITHIN {
                break;
            }
            let began = std::time::Instant::now();
            let page = reader.jobs(&filter).await.unwrap().value;
            fastest = fastest.min(began.elapsed());
            rows = rows.max(page.rows.len());
        }
        slowest = slowest.max(fastest);
    }
    (slowest, rows)
}

#[tokio::test]
#[ignore = "fills five million rows"]
async fn lists_of_five_million_jobs_come_within_ten_milliseconds() {
    let database = Database::start().await;
    database.store().await;
    let began = std::time::Instant::now();
    fill(&database).await;
    println!("filled in {:.0} s", began.elapsed().as_secs_f64());
    let reader = database.reader();
    // Whatever the planner knows: what was so when all jobs were ada's; nothing; all.
    let statistics = [
        ("stale", "select 1"),
        ("none", "delete from pg_statistic where starelid = 'jobs_ended'::regclass"),
        ("fresh", "analyze jobs_live, jobs_ended"),
    ];
    let mut late = Vec::new();
    for (known, sql) in statistics {
        database.ask(sql).await;
        for status in [
            None,
            Some(JobState::Queued),
            Some(JobState::Running),
            Some(JobState::Succeeded),
            Some(JobState::Failed),
            Some(JobState::Canceled),
        ] {
            for who in [None, Some("ada"), Some("user-1"), Some("seldom"), Some("nobody")] {
                for what in [None, Some("xtb"), Some("rare")] {
                    let filter = Filter {
                        status,
                        user: who.map(user),
                        module: what.map(module),
                        ..Filter::of(tenant("acme"), 50)
                    };
                    let (took, rows) = time(&reader, &filter).await;
                    let asked = format!("{known:6} {status:?} {who:?} {what:?}");
                    println!("{asked:60} {:6.2} ms, {rows} rows", took.as_secs_f64() * 1e3);
                    if took > WITHIN {
                        late.push(asked);
                    }
                }
            }
        }
    }
    assert!(late.is_empty(), "{late:#?}");
    // All were found: of what is rare there are so many.
    for (status, count) in [
        (JobState::Queued, 3),
        (JobState::Running, 1),
        (JobState::Failed, 10),
        (JobState::Canceled, 5),
    ] {
        let filter = Filter { status: Some(status), ..Filter::of(tenant("acme"), 50) };
        assert_eq!(reader.jobs(&filter).await.unwrap().value.rows.len(), count, "{status}");
    }
    // The control: without its index the same question takes longer, or is given up.
    let filter = Filter { status: Some(JobState::Failed), ..Filter::of(tenant("acme"), 50) };
    database.ask("drop index jobs_ended_by_tenant").await;
    let begun = std::time::Instant::now();
    let answer = reader.jobs(&filter).await;
    assert!(
        begun.elapsed() > WITHIN,
        "{:?}: {:?}",
        begun.elapsed(),
        answer.map(|page| page.value.rows.len())
    );
}
