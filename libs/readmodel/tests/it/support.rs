//! A Postgres for a test, and a look at its tables.

use nox_devkit::{Postgres, PostgresOptions};
use nox_readmodel::{Batch, Reader, Store};
use tempfile::TempDir;

use crate::log::Log;

/// A Postgres of the test's own.
pub struct Database {
    pub postgres: Postgres,
    pub url: String,
    _folder: TempDir,
}

impl Database {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options =
            PostgresOptions { fast: true, ..PostgresOptions::new(folder.path().join("pg")) };
        let postgres = Postgres::start(options).await.unwrap();
        let url = postgres.url();
        Self { postgres, url, _folder: folder }
    }

    /// A store that is attached to the current generation.
    pub async fn store(&self) -> Store {
        self.store_keeping(None).await
    }

    /// One that keeps rows for so many days.
    pub async fn store_keeping(&self, days: Option<u32>) -> Store {
        let mut store = Store::new(&self.url).unwrap().keeping(days);
        store.prepare().await.unwrap();
        store
    }

    /// A store that has taken in all of `log`, in batches of `size`.
    pub async fn filled(&self, log: &Log, size: usize) -> Store {
        let mut store = self.store().await;
        commit_all(&mut store, log.batches(size)).await;
        store
    }

    pub fn reader(&self) -> Reader {
        Reader::new(&self.url, 4).unwrap()
    }

    /// What a statement answers in the rows of generation 1: `|` between columns, a line a row.
    pub async fn ask(&self, sql: &str) -> String {
        self.postgres.psql(&format!("set search_path = nox_1; {sql}")).await.unwrap()
    }
}

pub async fn commit_all(store: &mut Store, batches: Vec<Batch>) -> usize {
    let mut parked = 0;
    for batch in batches {
        parked += store.commit(&batch).await.unwrap().parked;
    }
    parked
}
