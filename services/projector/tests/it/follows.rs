//! It goes on, whatever happens around it.

use std::collections::BTreeMap;

use nox_contract::{FrameNumber, JobState, Position, subject};
use nox_projector::Config;
use nox_readmodel::{Filter, LogMessage, Rebuilt, audit, rebuild, switch};

use crate::system::{System, tenant};

/// All jobs have their rows, the accounts balance, and the rows are what the log makes of them.
async fn check(system: &System, jobs: usize) {
    let mut filter = Filter::of(tenant(), 1_000);
    filter.status = Some(JobState::Succeeded);
    assert_eq!(system.reader.jobs(&filter).await.unwrap().value.rows.len(), jobs);
    let differences = audit::ledger_differences(&system.postgres.url()).await.unwrap();
    assert_eq!(differences, []);
    let rebuilt = rebuilt(system).await;
    assert!(rebuilt.is_equal(), "{rebuilt:?}");
}

async fn rebuilt(system: &System) -> Rebuilt {
    let log = system.joined_log().await;
    let messages = futures_util::StreamExt::flat_map(log.follow(FrameNumber(1)), |chunk| {
        let messages: Vec<_> = match chunk {
            Ok(chunk) => chunk
                .into_iter()
                .map(|m| Ok(LogMessage { subject: m.subject, payload: m.payload }))
                .collect(),
            Err(error) => vec![Err(error)],
        };
        futures_util::stream::iter(messages)
    });
    rebuild(&system.postgres.url(), messages).await.unwrap()
}

#[tokio::test]
async fn rows_follow_the_log_and_a_restart_goes_on_where_the_rows_are() {
    let mut system = System::start().await;
    let projector = system.projector(system.config());
    system.write(|log| log.jobs(100)).await;
    system.caught_up().await;
    assert!(projector.runtime.readiness.is_ready());
    projector.stop().await;

    system.write(|log| log.jobs(100)).await;
    let projector = system.projector(system.config());
    system.caught_up().await;
    projector.stop().await;
    check(&system, 200).await;
}

#[tokio::test]
async fn a_projector_that_was_away_while_the_log_was_cut_goes_on_from_the_archive() {
    let mut system = System::start().await;
    let projector = system.projector(system.config());
    system.write(|log| log.jobs(100)).await;
    system.caught_up().await;
    projector.stop().await;

    // Part of what it lacks is in the archive alone, part in the stream alone.
    system.write(|log| log.jobs(100)).await;
    system.keep_and_cut().await;
    let cut = system.log.n().0 - 1;
    assert_eq!(system.broker.read_one(subject::EVENTS, cut).await.unwrap(), None);
    system.write(|log| log.jobs(50)).await;
    let projector = system.projector(system.config());
    system.caught_up().await;
    projector.stop().await;
    check(&system, 250).await;

    // An empty database is filled from both.
    system.postgres.psql("drop schema nox_1 cascade; drop schema nox cascade").await.unwrap();
    let projector = system.projector(system.config());
    system.caught_up().await;
    projector.stop().await;
    check(&system, 250).await;
}

/// The negative control: what the rows lack is nowhere, and nothing is skipped.
#[tokio::test]
async fn without_the_archive_a_projector_that_is_behind_a_cut_stops_and_says_at_which_frame() {
    let mut system = System::start().await;
    system.write(|log| log.jobs(10)).await;
    system.keep_and_cut().await;
    let projector = system.projector(Config { archive: None, ..system.config() });
    let error = projector.end().await.unwrap_err();
    assert!(error.contains("frame 2 of the log"), "{error}");
    assert!(error.contains("NOX_ARCHIVE"), "{error}");
    // With it, it goes on.
    let projector = system.projector(system.config());
    system.caught_up().await;
    projector.stop().await;
}

#[tokio::test]
async fn it_says_how_far_it_is_so_that_nothing_is_cut_before_it() {
    let mut system = System::start().await;
    let projector = system.projector(system.config());
    system.write(|log| log.jobs(10)).await;
    system.caught_up().await;
    let incarnation = system.broker.incarnation(subject::EVENTS).await.unwrap();
    let there = Position { incarnation, seq: system.log.n().0 };
    let told = BTreeMap::from([("projector".to_owned(), there)]);
    let readers = async || system.broker.readers().await.unwrap().positions;
    system.until("it is told", async || readers().await == told).await;
    projector.stop().await;
    // What was said last stands.
    assert_eq!(readers().await, told);
}

#[tokio::test]
async fn killed_servers_come_back_and_nothing_is_lost_or_doubled() {
    let mut system = System::start().await;
    let projector = system.projector(system.config());
    system.write(|log| log.jobs(50)).await;
    system.caught_up().await;

    system.postgres.kill9();
    system.write(|log| log.jobs(50)).await;
    let readiness = projector.runtime.readiness.clone();
    system.until("it says that Postgres is away", async || !readiness.is_ready()).await;
    system.postgres.restart().await.unwrap();
    system.caught_up().await;
    system.until("it says that Postgres is back", async || readiness.is_ready()).await;

    system.nats.kill9();
    system.nats.restart().await.unwrap();
    let mut link = system.broker.link();
    link.wait_for(|link| link.up).await.unwrap();
    system.write(|log| log.jobs(50)).await;
    system.caught_up().await;
    projector.stop().await;
    check(&system, 150).await;
}

/// No commit waits for the disk, and nothing that is written later finds out what a crash took away.
#[tokio::test]
async fn what_a_crash_of_postgres_took_away_is_folded_again_though_the_log_stands_still() {
    let mut system = System::start().await;
    let projector = system.projector(system.config());
    system.write(|log| log.jobs(10)).await;
    system.caught_up().await;
    system.postgres.write_late().await.unwrap();
    system.write(|log| log.jobs(10)).await;
    system.caught_up().await;
    projector.stop().await;
    system.postgres.kill9();
    system.postgres.restart().await.unwrap();
    let left = system.postgres.psql("select n from nox_1.projection").await.unwrap();
    assert!(left.parse::<u64>().unwrap() < system.log.n().0, "the control: something was lost");

    let projector = system.projector(system.config());
    system.caught_up().await;
    system.postgres.write_late().await.unwrap();
    system.write(|log| log.jobs(10)).await;
    system.caught_up().await;
    system.postgres.kill9();
    system.postgres.restart().await.unwrap();
    system.caught_up().await;
    projector.stop().await;
    check(&system, 30).await;
}

#[tokio::test]
async fn killed_at_any_point_it_loses_and_doubles_nothing() {
    let mut system = System::start().await;
    let mut jobs = 0;
    for point in [
        "projector.before_commit:1",
        "projector.after_commit:1",
        "projector.before_commit:2",
        "projector.after_commit:2",
    ] {
        let process = system.process(point);
        // Batches come one after the other while it lives.
        let mut end = std::pin::pin!(process.end());
        let status = loop {
            system.write(|log| log.jobs(20)).await;
            jobs += 20;
            tokio::select! {
                status = &mut end => break status,
                () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {}
            }
        };
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{point}");
    }
    let mut process = system.process("");
    system.caught_up().await;
    process.kill9();
    let filter = Filter::of(tenant(), 1_000);
    assert_eq!(system.reader.jobs(&filter).await.unwrap().value.rows.len(), jobs.min(1_000));
    assert!(rebuilt(&system).await.is_equal());
}

#[tokio::test]
async fn while_it_is_behind_it_says_by_how_much() {
    let mut system = System::start().await;
    let config = Config { delay_ms: 3_000, ..system.config() };
    let projector = system.projector(config);
    system.write(|log| log.jobs(50)).await;
    let lag = || {
        let families = projector.runtime.registry.gather();
        let family = families.iter().find(|family| family.name() == "nox_projection_lag_frames");
        family.map_or(0.0, |family| family.get_metric()[0].get_gauge().get_value())
    };
    system.until("it is behind", async || lag() > 0.0).await;
    system.caught_up().await;
    system.until("it is not behind", async || lag() == 0.0).await;
    projector.stop().await;
}

#[tokio::test]
async fn it_changes_over_to_rebuilt_rows() {
    let mut system = System::start().await;
    let projector = system.projector(system.config());
    system.write(|log| log.jobs(50)).await;
    system.caught_up().await;
    let rebuilt = rebuilt(&system).await;
    assert!(rebuilt.is_equal());

    assert!(switch(&system.postgres.url(), &rebuilt).await.unwrap());
    system.write(|log| log.jobs(50)).await;
    system.caught_up().await;
    let generation = system.postgres.psql("select n from nox_2.projection").await.unwrap();
    assert_eq!(generation, system.log.n().to_string());
    projector.stop().await;
    check(&system, 100).await;
}
