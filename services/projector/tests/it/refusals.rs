//! Postgres refuses for a while, for reasons that pass: it says so, and goes on by itself.

use std::time::Duration;

use nox_readmodel::Reader;
use nox_service::Secret;

use crate::system::System;

/// Rows in a database of their own, and a role that is no superuser and has a password.
struct Tenancy {
    system: System,
    url: String,
}

impl Tenancy {
    async fn start() -> Self {
        let mut system = System::start().await;
        let sql = |sql: &'static str| system.postgres.psql(sql);
        sql("create role app login password 'secret'").await.unwrap();
        let url = system.postgres.create_database("rows").await.unwrap();
        sql("alter database rows owner to app").await.unwrap();
        system.ask_for_passwords_of("app").await;
        let url = url.replace("//nox@", "//app:secret@");
        system.reader = Reader::new(&url, 2).unwrap();
        Self { system, url }
    }
}

const DISCONNECT: &str = "select pg_terminate_backend(pid) from pg_stat_activity
                          where usename = 'app' and pid <> pg_backend_pid()";

#[tokio::test]
async fn it_waits_out_whatever_may_pass_and_says_why_it_is_not_ready() {
    let mut tenancy = Tenancy::start().await;
    let mut config = tenancy.system.config();
    config.database_url = Secret::new(&tenancy.url);
    let projector = tenancy.system.projector(config);
    tenancy.system.write(|log| log.jobs(20)).await;
    tenancy.system.caught_up().await;

    let refusals = [
        // A standby that was promoted late, a disk that is full with many a provider.
        (
            "25006",
            "alter role app set default_transaction_read_only = on",
            "alter role app reset default_transaction_read_only",
        ),
        (
            "42501",
            "revoke insert on nox_1.jobs_ended from app",
            "grant insert on nox_1.jobs_ended to app",
        ),
        ("28P01", "alter role app password 'another'", "alter role app password 'secret'"),
        ("28000", "alter role app nologin", "alter role app login"),
        ("53300", "alter role app connection limit 0", "alter role app connection limit 50"),
        (
            "3D000",
            "alter database rows rename to elsewhere",
            "alter database elsewhere rename to rows",
        ),
        (
            "P0001",
            "create function nox_1.refuse() returns trigger language plpgsql
             as 'begin raise exception ''not today''; end';
             create trigger refuse before update on nox_1.projection
             execute function nox_1.refuse()",
            "drop function nox_1.refuse cascade",
        ),
        // What an operator added refuses all jobs alike, and is no job's data.
        (
            "23514",
            "alter table nox_1.projection add constraint few check (n < 0) not valid",
            "alter table nox_1.projection drop constraint few",
        ),
        (
            "23514",
            "create function nox_1.refuse() returns trigger language plpgsql
             as 'begin raise exception ''no'' using errcode = ''23514''; end';
             create trigger refuse before insert on nox_1.metrics
             execute function nox_1.refuse()",
            "drop function nox_1.refuse cascade",
        ),
        // Even in words that are otherwise said of data, or of a statement that is wrong.
        (
            "22P05",
            "create function nox_1.refuse() returns trigger language plpgsql
             as 'begin raise exception ''no'' using errcode = ''22P05''; end';
             create trigger refuse before insert on nox_1.metrics
             execute function nox_1.refuse()",
            "drop function nox_1.refuse cascade",
        ),
        (
            "42601",
            "create function nox_1.refuse() returns trigger language plpgsql
             as 'begin execute ''selct''; return new; end';
             create trigger refuse before insert on nox_1.metrics
             execute function nox_1.refuse()",
            "drop function nox_1.refuse cascade",
        ),
        (
            "42703",
            "alter table nox_1.jobs_ended rename column worker_id to worker",
            "alter table nox_1.jobs_ended rename column worker to worker_id",
        ),
    ];
    for (code, refuse, allow) in refusals {
        let readiness = projector.runtime.readiness.clone();
        let database = if code == "3D000" { "postgres" } else { "rows" };
        let postgres = &tenancy.system.postgres;
        // What the session was begun with, it keeps.
        postgres.psql(DISCONNECT).await.unwrap();
        postgres.psql_in(database, refuse).await.unwrap();
        postgres.psql(DISCONNECT).await.unwrap();
        tenancy.system.write(|log| log.jobs(5)).await;
        let says = || format!("{:?}", readiness.snapshot().parts["projector.postgres"]);
        tenancy
            .system
            .until(&format!("it says {code}"), async || {
                assert!(!projector.task.is_finished(), "{code} has ended the projector");
                says().contains(code)
            })
            .await;
        tenancy.system.postgres.psql_in(database, allow).await.unwrap();
        tenancy.system.caught_up().await;
        tenancy.system.until("it is ready again", async || readiness.is_ready()).await;
    }
    let parked = tenancy.system.postgres.psql_in("rows", "select count(*) from nox_1.parked");
    assert_eq!(parked.await.unwrap(), "0");
    projector.stop().await;
}

/// Preparing the database makes what is missing, and not what somebody took away.
#[tokio::test]
async fn while_a_table_is_missing_it_is_not_ready_and_says_which_and_what_to_do() {
    let mut system = System::start().await;
    let projector = system.projector(system.config());
    let readiness = projector.runtime.readiness.clone();
    system.write(|log| log.jobs(20)).await;
    system.caught_up().await;

    for back in ["alter table nox_1.away rename to jobs_live", "drop schema nox_1 cascade"] {
        system.postgres.psql("alter table nox_1.jobs_live rename to away").await.unwrap();
        system.write(|log| log.jobs(5)).await;
        let says = || format!("{:?}", readiness.snapshot().parts["projector.postgres"]);
        let words = ["42P01", "jobs_live", "drop schema nox_1 cascade"];
        let told = || words.iter().all(|word| says().contains(word));
        system.until("it says what is missing", async || told()).await;
        // Over many tries.
        for _ in 0..300 {
            assert!(!readiness.is_ready());
            assert!(says().contains("42P01"), "{}", says());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(told(), "{}", says());
        system.postgres.psql(back).await.unwrap();
        system.caught_up().await;
        system.until("it is ready again", async || readiness.is_ready()).await;
    }
    projector.stop().await;
}

#[tokio::test]
async fn a_generation_that_nothing_names_any_more_is_named_again() {
    let mut system = System::start().await;
    let projector = system.projector(system.config());
    system.write(|log| log.jobs(20)).await;
    system.caught_up().await;
    system.postgres.psql("delete from nox.generation").await.unwrap();
    system.write(|log| log.jobs(5)).await;
    system.caught_up().await;

    // Where the rows were, only the rows themselves knew.
    system.postgres.psql("delete from nox_1.projection").await.unwrap();
    system.write(|log| log.jobs(5)).await;
    let readiness = projector.runtime.readiness.clone();
    let says = || format!("{:?}", readiness.snapshot().parts["projector.postgres"]);
    let told = || says().contains("drop schema nox_1 cascade");
    system.until("it says what to do", async || told()).await;
    assert!(says().contains("projection"), "{}", says());
    system.postgres.psql("drop schema nox_1 cascade").await.unwrap();
    system.caught_up().await;
    system.until("it is ready again", async || readiness.is_ready()).await;
    projector.stop().await;
}
