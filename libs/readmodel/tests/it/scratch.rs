//! Rows in a schema of somebody's own are those of a projection, and nothing else is touched.

use nox_contract::Incarnation;
use nox_readmodel::{audit::content_hash, scratch};

use crate::{log::eventful, rebuild::messages, support::Database};

#[tokio::test]
async fn a_scratch_schema_has_the_rows_of_then_and_touches_no_others() {
    let (database, log) = (Database::start().await, eventful(40));
    database.filled(&log, 50).await;
    let life = Incarnation("life".to_owned());
    let before = content_hash(&database.url, None).await.unwrap();
    let ask = async |sql: &str| database.postgres.psql(sql).await.unwrap();

    let taken =
        scratch::fill(&database.url, "monday", &life, messages(&log.messages)).await.unwrap();
    assert_eq!(taken.n, log.n());
    for table in ["jobs_live", "jobs_ended", "quota_balances", "workers", "metrics"] {
        let differ = format!(
            "select count(*) from ((table nox_1.{table} except table monday.{table})
             union all (table monday.{table} except table nox_1.{table})) as differ"
        );
        // Columns of JSON cannot be compared as they are.
        let text = differ
            .replace("table nox_1", "select to_jsonb(t)::text from nox_1")
            .replace("table monday", "select to_jsonb(t)::text from monday")
            .replace(&format!(".{table}"), &format!(".{table} t"));
        assert_eq!(ask(&text).await, "0", "{table}");
    }
    assert_ne!(ask("select count(*) from monday.jobs_ended").await, "0");

    // Again, as of an earlier place: it takes the place of the first.
    let some = &log.messages[..log.messages.len() / 2];
    let taken = scratch::fill(&database.url, "monday", &life, messages(some)).await.unwrap();
    assert_eq!(taken.n.0 as usize, some.len());
    assert_eq!(ask("select n from monday.projection").await, some.len().to_string());

    // What is no scratch stays as it is, and so do the rows that are served.
    ask("create schema theirs; create table theirs.kept (x int)").await;
    for name in ["theirs", "nox_1", "nox", "public"] {
        let refused = scratch::fill(&database.url, name, &life, messages(some)).await;
        assert!(refused.is_err(), "{name}");
    }
    assert_eq!(ask("select count(*) from theirs.kept").await, "0");
    assert_eq!(content_hash(&database.url, None).await.unwrap(), before);
    let left = ask("select count(*) from pg_namespace where nspname like 'nox_9%'").await;
    assert_eq!(left, "0", "nothing is left of what was refused");
}
