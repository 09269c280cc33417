//! Tables that a newer version has made.

use nox_readmodel::{Remedy, Store};

use crate::support::Database;

#[tokio::test]
async fn tables_of_a_newer_version_are_refused_with_what_they_have() {
    let database = Database::start().await;
    let prepare = async || Store::new(&database.url).unwrap().prepare().await;
    prepare().await.unwrap();
    let newer = "insert into nox_1._sqlx_migrations \
                 (version, description, success, checksum, execution_time) \
                 values (999, 'of a newer version', true, '', 0)";
    database.ask(newer).await;
    let error = prepare().await.unwrap_err();
    assert_eq!(error.remedy(), Remedy::Stop, "{error}");
    let said = chain(&error);
    assert!(said.contains("newer version of Nox") && said.contains("migration 999"), "{said}");
}

/// The error and all that it comes from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said += &format!(": {error}");
        source = error.source();
    }
    said
}
