//! What stands between us and Postgres: pools that see two databases, and poolers that share processes.

use std::{
    fs::Permissions,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        net::UnixStream,
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use nox_contract::FrameNumber;
use nox_readmodel::{Filter, LogMessage, Reader, Store, audit::content_hash, rebuild, switch};

use crate::{
    log::{JobOf, eventful, reserved, submitted_with, tenant},
    support::{Database, commit_all},
};

/// A failover that lost the last frames, while connections to the old server are still good.
#[tokio::test]
async fn what_is_said_of_rows_is_said_of_the_database_that_they_were_read_from() {
    let database = Database::start().await;
    let mut log = eventful(10);
    let job = JobOf::new("acme", "ada", "xtb", 1_000_000);
    let behind = database.postgres.create_database("behind").await.unwrap();
    let mut store = Store::new(&behind).unwrap();
    store.prepare().await.unwrap();
    commit_all(&mut store, log.batches(100)).await;
    let n = log.submit(&job);
    database.filled(&log, 100).await;

    let turns = database.postgres.in_turn(&["postgres", "behind"]).unwrap();
    let reader = Reader::new(&turns.url(), 4).unwrap();
    let (mut found, mut missing, mut torn) = (0, 0, 0);
    for _ in 0..60 {
        let reads = (0..4).map(|_| reader.job(&job.tenant, job.id));
        for at in futures_util::future::try_join_all(reads).await.unwrap() {
            assert_eq!(at.value.is_some(), at.progress.n >= n, "{at:?}");
            found += u32::from(at.value.is_some());
            missing += u32::from(at.value.is_none());
        }
        // The control: how far one read sees the rows says nothing of what another one finds.
        let progress = reader.progress();
        let (progress, at) = tokio::try_join!(progress, reader.job(&job.tenant, job.id)).unwrap();
        torn += u32::from(at.value.is_none() && progress.n >= n);
    }
    assert!(found > 0 && missing > 0, "{found} and {missing}: one database was never seen");
    assert!(torn > 0, "nothing was ever torn apart: the test proves nothing");
}

/// Where a pooler drops what a connection was begun with, a role may have another encoding as its own.
#[tokio::test]
async fn text_is_what_it_was_whatever_encoding_a_role_has() {
    let database = Database::start().await;
    database.ask("alter role nox set client_encoding = 'LATIN1'").await;
    let pooler = database.postgres.in_turn(&["postgres"]).unwrap();
    let mut log = eventful(1);
    let job = JobOf::new("acme", "ada", "xtb", 1_000_000);
    log.entry(&job.entity(), [submitted_with(r#"{"text": "é😀"}"#), reserved()]);
    let mut store = Store::new(&pooler.url()).unwrap();
    store.prepare().await.unwrap();
    commit_all(&mut store, log.batches(100)).await;

    let stored = "select encode(convert_to(inputs->>'text', 'UTF8'), 'hex') from jobs
                  order by submitted_n desc limit 1";
    assert_eq!(database.ask(stored).await, "c3a9f09f9880");
    let reader = Reader::new(&pooler.url(), 1).unwrap();
    let row = reader.job(&job.tenant, job.id).await.unwrap().value.unwrap();
    assert_eq!(row.inputs.unwrap().get(), r#"{"text": "é😀"}"#);
}

/// As Debian ships it, PgBouncer refuses whoever names a start-up parameter that it does not know.
#[tokio::test]
async fn behind_a_pooler_of_sessions_all_is_read_written_and_rebuilt_as_without() {
    let database = Database::start().await;
    let Some(pooler) = Pooler::start(&database, "session").await else { return };
    let mut log = eventful(60);
    let mut store = Store::new(&pooler.url).unwrap();
    store.prepare().await.unwrap();
    commit_all(&mut store, log.batches(9)).await;
    let reader = Reader::new(&pooler.url, 4).unwrap();
    assert_eq!(reader.progress().await.unwrap().n, log.n());
    assert_eq!(reader.jobs(&Filter::of(tenant("acme"), 5)).await.unwrap().value.rows.len(), 5);
    let in_public = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(database.ask(in_public).await, "0");

    let messages = log.messages.iter().cloned().map(Ok::<LogMessage, std::convert::Infallible>);
    let rebuilt = rebuild(&pooler.url, futures_util::stream::iter(messages)).await.unwrap();
    assert!(rebuilt.is_equal(), "{rebuilt:?}");
    assert!(switch(&pooler.url, &rebuilt).await.unwrap());
    let direct = content_hash(&database.url, None).await.unwrap();
    assert_eq!(direct, content_hash(&pooler.url, None).await.unwrap());
    assert_eq!(direct.generation, 2);
    let late = log.submit(&JobOf::new("acme", "ada", "xtb", 1_000_000));
    store.prepare().await.unwrap();
    store.commit(&log.batch_after(FrameNumber(late.0 - 1))).await.unwrap();
    assert_eq!(reader.progress().await.unwrap().n, late);
}

#[tokio::test]
async fn a_pooler_of_transactions_is_refused_by_name_and_setting() {
    let database = Database::start().await;
    let Some(pooler) = Pooler::start(&database, "transaction").await else { return };
    let mut store = Store::new(&pooler.url).unwrap();
    let mut refused = None;
    for _ in 0..5 {
        refused = store.prepare().await.err();
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.expect("one of them meets statements of another").to_string();
    assert!(refused.contains("PgBouncer needs pool_mode = session"), "{refused}");
}

/// A PgBouncer before a Postgres.
struct Pooler {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Pooler {
    /// `None` where the machine has none, unless it must have.
    async fn start(database: &Database, mode: &str) -> Option<Self> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
        let Some(program) = program.into_iter().find(|path| Path::new(path).exists()) else {
            let may_skip = std::env::var("CI").as_deref() != Ok("true");
            assert!(may_skip, "CI must have pgbouncer");
            println!("skipped: this machine has no pgbouncer");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("nox-").tempdir().unwrap();
        let path = folder.path();
        let socket = database.postgres.socket();
        let server = socket.parent().unwrap().display();
        let config = format!(
            "[databases]\n* = host={server}\n[pgbouncer]\nlisten_addr =\nlisten_port = 5432\n\
             unix_socket_dir = {}\nauth_type = any\npool_mode = {mode}\n\
             default_pool_size = 20\n[users]\n",
            path.display(),
        );
        let config = config.replace("* = ", "* = user=nox ");
        std::fs::write(path.join("pgbouncer.ini"), config).unwrap();
        // Both refuse to be root, and the server's folder lets in nobody but its owner.
        let above = socket.parent().and_then(Path::parent).unwrap();
        std::fs::set_permissions(above, Permissions::from_mode(0o711)).unwrap();
        let owner = std::fs::metadata(&socket).unwrap();
        let mut command = Command::new(program);
        if std::fs::metadata(path).unwrap().uid() != owner.uid() {
            chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
            command.uid(owner.uid()).gid(owner.gid());
        }
        let process = command
            .arg(path.join("pgbouncer.ini"))
            .current_dir(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("postgres://nox@localhost/postgres?host={}", path.display());
        let pooler = Self { process, url, _folder: folder };
        // The socket's file is there from `bind`, a moment before `listen` lets anybody in.
        let socket = pooler._folder.path().join(".s.PGSQL.5432");
        let listens = async {
            while UnixStream::connect(&socket).is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), listens).await.expect("pgbouncer listens");
        Some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
