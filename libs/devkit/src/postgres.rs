//! One Postgres with a cluster of its own, reached through a socket in its data folder.
//!
//! A socket, not a port: its folder lets in nobody but the owner (and root), so it needs no password,
//! and a restart never finds its port taken.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
// Errors of these name the file.
use fs_err::os::unix::fs::{OpenOptionsExt, chown, symlink};
use fs_err::{self as fs, OpenOptions};
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{POLL, Process, children, send};
use crate::tools::{self, PostgresPrograms};
use crate::turns::Turns;

pub(crate) const SOCKET: &str = ".s.PGSQL.5432";
/// The smaller of what Linux (107) and macOS (103) allow for a socket's path, in bytes.
const SOCKET_PATH_MAX: usize = 103;

/// Recovery after a crash reads back at most the log since the last checkpoint.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// It takes a second; a machine under load a few.
const INITDB_WITHIN: Duration = Duration::from_secs(120);
/// 40 MB in a thousand files.
const COPY_WITHIN: Duration = Duration::from_secs(60);
/// Fast shutdown aborts what runs and writes a checkpoint.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Creating a database copies a few MB.
const PSQL_WITHIN: Duration = Duration::from_secs(60);
/// 50 ms apart: for what is left of a predecessor to go away.
const START_TRIES: u32 = 200;
/// The same for one that takes connections: it has had the time to hear that it should end.
const START_TRIES_BESIDE_READY: u32 = 20;
/// In [`POLL`]s: for a goodbye in `drop`, where there is no runtime to wait with.
const DROP_POLLS_MAX: u32 = 400;

/// How to start a [`Postgres`].
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The cluster's folder. It is made when absent; one of another major version is moved aside.
    pub data: PathBuf,
    /// For tests: nothing waits for the disk, and a new cluster is the copy of another one. A power cut may then ruin the cluster, but a crash of
    /// Postgres alone loses nothing that was committed.
    pub fast: bool,
    /// How long recovery may take; 60 s unless set.
    pub ready_within: Duration,
}

impl PostgresOptions {
    /// Durable.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), fast: false, ready_within: READY_WITHIN }
    }
}

/// A running Postgres. Dropping it ends it at once, without a checkpoint.
pub struct Postgres {
    programs: PostgresPrograms,
    options: PostgresOptions,
    owner: Option<Owner>,
    socket: Socket,
    /// `None` while it is stopped or killed.
    process: Option<Process>,
}

/// Whom the servers run as when we are root, which Postgres refuses to be.
#[derive(Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

/// Where clients find the socket.
struct Socket {
    folder: PathBuf,
    /// The detour when the data folder's path is too long: a link in a short one.
    _detour: Option<TempDir>,
}

impl Postgres {
    /// Starts Postgres on the cluster in `options.data` and waits until it takes connections.
    ///
    /// As root it runs under the user who owns the cluster; a new one belongs to `postgres`, else
    /// to `nobody`. That user need not be able to enter the folders above.
    ///
    /// # Errors
    /// No programs were found, the folder cannot be written, another Postgres runs on it, or it was
    /// not ready in time; the message quotes its log.
    pub async fn start(mut options: PostgresOptions) -> Result<Self> {
        let programs = tools::postgres()?;
        options.data = std::path::absolute(&options.data)?;
        let data = &options.data;

        let parent = data.parent().context("the root folder cannot be a cluster")?;
        fs::create_dir_all(parent)?;
        move_aside_other_version(data, programs.version.major())?;
        let owner = owner_of(data)?;
        if version_of_cluster(data)?.is_none() {
            if options.fast {
                copy_cluster(&programs, owner, data).await?;
            } else {
                create_cluster(&programs, owner, data).await?;
            }
        }
        let socket = socket_for(data)?;

        let process = launch(&programs, &options, owner).await?;
        Ok(Self { programs, options, owner, socket, process: Some(process) })
    }

    /// The maintenance database, for its one user.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Makes the database if there is none of this name, and returns its URL.
    ///
    /// # Errors
    /// The name is not 1 to 63 of `a-z`, `0-9` and `_`, or Postgres does not run.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        ensure!(
            (1..=63).contains(&name.len()) && name.chars().all(plain),
            "{name:?} is no name for a database"
        );
        // template1 cannot be copied while somebody is connected to it; template0 never is.
        match self.psql(&format!("create database \"{name}\" template template0")).await {
            Err(error) if error.to_string().contains("already exists") => {}
            created => {
                created?;
            }
        }
        Ok(self.url_of(name))
    }

    /// An address whose connections go to `databases` in turn.
    ///
    /// # Errors
    /// No socket can be made.
    pub fn in_turn(&self, databases: &[&str]) -> Result<Turns> {
        Turns::start(self.socket(), databases)
    }

    /// The socket that it listens on.
    pub fn socket(&self) -> PathBuf {
        self.socket.folder.join(SOCKET)
    }

    /// Runs SQL in the maintenance database and returns the rows as psql prints them, bare.
    ///
    /// # Errors
    /// Postgres does not run or refuses the statement; the message is its own.
    pub async fn psql(&self, sql: &str) -> Result<String> {
        self.psql_in("postgres", sql).await
    }

    /// Whatever was committed is on the disk now. Of what is committed later without waiting for that, a crash within
    /// ten seconds takes everything away.
    ///
    /// # Errors
    /// As for [`psql`](Self::psql).
    pub async fn write_late(&self) -> Result<()> {
        for sql in
            ["alter system set wal_writer_delay = '10s'", "select pg_reload_conf()", "checkpoint"]
        {
            self.psql(sql).await?;
        }
        Ok(())
    }

    /// Runs SQL in another database.
    ///
    /// # Errors
    /// As for [`psql`](Self::psql).
    pub async fn psql_in(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = tokio::process::Command::new(self.programs.folder.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--dbname", &self.url_of(database), "--command", sql])
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PSQL_WITHIN, psql.output())
            .await
            .context("psql does not come back")??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        ensure!(output.status.success(), "psql: {}", text(&output.stderr));
        Ok(text(&output.stdout))
    }

    /// The postmaster, `None` while it is stopped or killed.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Ends connections and stops in order; after 20 s by force. Does nothing while it is stopped.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            for child in children(process.pid()) {
                send(child, Signal::CONT);
            }
            process.stop(Signal::INT, STOP_WITHIN).await;
        }
    }

    /// Stops it if it runs, and starts it on the same cluster, under the same URL.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await;
        self.process = Some(launch(&self.programs, &self.options, self.owner).await?);
        Ok(())
    }

    /// `kill -9` of the postmaster and of every process it has started.
    pub fn kill9(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // Frozen, it starts no others while we look; first, so that it cannot begin a recovery.
        process.freeze();
        let children = children(process.pid());
        process.kill();
        for child in children {
            send(child, Signal::KILL);
        }
    }

    /// Stops all of it in its tracks, connections open, until [`thaw`](Self::thaw).
    pub fn freeze(&mut self) {
        if let Some(process) = &mut self.process {
            process.freeze();
            for child in children(process.pid()) {
                send(child, Signal::STOP);
            }
        }
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&mut self) {
        if let Some(process) = &mut self.process {
            for child in children(process.pid()) {
                send(child, Signal::CONT);
            }
            process.signal(Signal::CONT);
        }
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://nox@localhost/{database}?host={}", url_encoded(&self.socket.folder))
    }
}

impl Drop for Postgres {
    /// Immediate shutdown: unlike SIGKILL it leaves no shared memory behind.
    fn drop(&mut self) {
        self.thaw();
        let Some(process) = &mut self.process else { return };
        process.signal(Signal::QUIT);
        for _ in 0..DROP_POLLS_MAX {
            if !matches!(process.ended(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL);
        }
        self.kill9();
    }
}

/// Runs the postmaster until it is ready.
///
/// Backends of a killed one may live on for a moment, and Postgres rightly refuses to start beside
/// them: then it is tried again.
async fn launch(
    programs: &PostgresPrograms,
    options: &PostgresOptions,
    owner: Option<Owner>,
) -> Result<Process> {
    let data = &options.data;
    let ready = tokio::time::timeout(options.ready_within, async {
        let mut tries = 0;
        loop {
            disown_foreign_pid(data)?;
            let mut process = spawn_postmaster(programs, options, owner)?;
            if ready(&mut process, data).await? {
                return anyhow::Ok(process);
            }
            let said = process.said();
            let (_, ready) = pid_and_readiness(data);
            let tries_max = if ready { START_TRIES_BESIDE_READY } else { START_TRIES };
            tries += 1;
            ensure!(
                tries < tries_max && is_still_going_down(&said),
                "postgres does not start:\n{said}"
            );
            tokio::time::sleep(10 * POLL).await;
        }
    });
    ready.await.with_context(|| {
        format!(
            "postgres not ready after {:?}, see {}",
            options.ready_within,
            log_of(data).display()
        )
    })?
}

fn spawn_postmaster(
    programs: &PostgresPrograms,
    options: &PostgresOptions,
    owner: Option<Owner>,
) -> Result<Process> {
    let mut command = Command::new(programs.folder.join("postgres"));
    let inherit = enter(&mut command, owner, &options.data)?;
    let mut set = |setting: &str| {
        command.arg("-c").arg(setting);
    };
    set("listen_addresses=");
    // Relative to the data folder, so that no path is too long on this side.
    set("unix_socket_directories=.");
    // A pool for each service, and tests that run side by side.
    set("max_connections=200");
    // Compiling a plan takes longer than any of our statements.
    set("jit=off");
    set("timezone=UTC");
    set("log_timezone=UTC");
    set("log_checkpoints=off");
    if options.fast {
        // `synchronous_commit` stays on: without it a killed Postgres forgets what it committed in
        // the last moments, and without fsync it costs next to nothing.
        set("fsync=off");
        set("full_page_writes=off");
    }
    Process::spawn(command, &log_of(&options.data), Signal::INT, inherit)
}

/// Returns true once connections are taken, false when the process has ended.
async fn ready(process: &mut Process, data: &Path) -> Result<bool> {
    loop {
        if process.ended()?.is_some() {
            return Ok(false);
        }
        if pid_and_readiness(data) == (Some(process.pid()), true) {
            return Ok(true);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What `postmaster.pid` says in its first and its eighth line: what pg_ctl waits for, too.
fn pid_and_readiness(data: &Path) -> (Option<u32>, bool) {
    let file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let mut lines = file.lines();
    let pid = lines.next().and_then(|pid| pid.parse().ok());
    (pid, lines.nth(6).is_some_and(|state| state.trim() == "ready"))
}

fn is_still_going_down(said: &str) -> bool {
    said.contains("is still in use")
        || said.contains("lock file") && said.contains("already exists")
}

/// Makes a stale `postmaster.pid` passable whose pid belongs to some other program by now, as it
/// often does in a restarted container.
///
/// Postgres would take that program for its predecessor. It takes its own parent's pid for stale, and
/// the rest of the file stays, by which it finds backends that still hold the shared memory.
fn disown_foreign_pid(data: &Path) -> Result<()> {
    let path = data.join("postmaster.pid");
    let Ok(file) = fs::read_to_string(&path) else { return Ok(()) };
    let Some((pid, rest)) = file.split_once('\n') else { return Ok(()) };
    let Ok(comm) = fs::read_to_string(format!("/proc/{pid}/comm")) else { return Ok(()) };
    if comm.trim() == "postgres" {
        return Ok(());
    }
    // As root we write into another user's folder, who shall not choose the file for us.
    let not_a_link = OFlags::NOFOLLOW.bits().cast_signed();
    let mut file =
        OpenOptions::new().write(true).truncate(true).custom_flags(not_a_link).open(&path)?;
    write!(file, "{}\n{rest}", std::process::id())?;
    Ok(())
}

/// Lets `command` run as the owner, with `data` as its data folder.
///
/// The folders above may be closed to that user, as /root is. So it gets the folder as an open
/// descriptor, whose name under /proc leads there directly.
fn enter(command: &mut Command, owner: Option<Owner>, data: &Path) -> Result<Option<OwnedFd>> {
    command.env("LC_ALL", "C").arg("-D");
    let Some(owner) = owner else {
        command.arg(data);
        return Ok(None);
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(data, flags, Mode::empty())
        .with_context(|| format!("cannot open {}", data.display()))?;
    // Setting the user also drops root's further groups.
    command.uid(owner.uid).gid(owner.gid).arg(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    Ok(Some(folder))
}

/// Whom to run as: nobody else, unless we are root.
fn owner_of(data: &Path) -> Result<Option<Owner>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    if let Ok(known) = fs::metadata(data)
        && known.uid() != 0
    {
        return Ok(Some(Owner { uid: known.uid(), gid: known.gid() }));
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let owner = ["postgres", "nobody"].iter().find_map(|name| user(&users, name));
    owner.map(Some).context("Postgres refuses to run as root, and there is no user `nobody`")
}

fn user(passwd: &str, name: &str) -> Option<Owner> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2).map(str::parse);
    Some(Owner { uid: numbers.next()?.ok()?, gid: numbers.next()?.ok()? })
}

/// Makes a cluster.
async fn create_cluster(
    programs: &PostgresPrograms,
    owner: Option<Owner>,
    data: &Path,
) -> Result<()> {
    let new = beside(data)?;
    if let Some(owner) = owner {
        chown(new.path(), Some(owner.uid), Some(owner.gid))?;
    }
    let mut command = Command::new(programs.folder.join("initdb"));
    let inherit = enter(&mut command, owner, new.path())?;
    // Bytewise order and UTF-8 on every machine; the socket's folder decides who may enter.
    command.args(["--username=nox", "--auth=trust", "--no-locale", "--encoding=UTF8"]);
    let mut process = Process::spawn(command, &log_of(data), Signal::KILL, inherit)?;
    let status = process.wait(INITDB_WITHIN).await.context("initdb")?;
    ensure!(status.success(), "initdb failed:\n{}", process.said());
    put(new, data)
}

/// Copies a cluster that is made once for each version and owner: a third of the work of making one, of which
/// tests need hundreds.
async fn copy_cluster(
    programs: &PostgresPrograms,
    owner: Option<Owner>,
    data: &Path,
) -> Result<()> {
    let folder = tools::Search::from_env().tools.unwrap_or_else(std::env::temp_dir);
    let uid = owner.map_or_else(|| rustix::process::geteuid().as_raw(), |owner| owner.uid);
    let original = folder.join(format!("cluster-{}-{uid}", programs.version));
    if version_of_cluster(&original)?.is_none() {
        let made = create_cluster(programs, owner, &original).await;
        // Somebody else may have been quicker.
        if version_of_cluster(&original)?.is_none() {
            made?;
        }
    }
    let new = beside(data)?;
    let mut copy = tokio::process::Command::new("cp");
    copy.arg("-a").arg(original.join(".")).arg(new.path()).kill_on_drop(true);
    let copied = tokio::time::timeout(COPY_WITHIN, copy.output()).await.context("cp")??;
    let said = String::from_utf8_lossy(&copied.stderr);
    ensure!(copied.status.success(), "cannot copy {}: {said}", original.display());
    put(new, data)
}

/// Where a cluster is made, to be moved to its place when it is whole.
fn beside(data: &Path) -> Result<TempDir> {
    let parent = data.parent().context("the root folder cannot be a cluster")?;
    Ok(tempfile::Builder::new().prefix(".postgres-").tempdir_in(parent)?)
}

fn put(new: TempDir, data: &Path) -> Result<()> {
    fs::rename(new.path(), data)
        .with_context(|| format!("cannot put a new cluster at {}", data.display()))?;
    // It has moved: there is nothing left to clean up.
    let _ = new.keep();
    Ok(())
}

/// Postgres reads no other version's files. They may hold the only copy of something, so they stay.
fn move_aside_other_version(data: &Path, major: u32) -> Result<()> {
    let Some(version) = version_of_cluster(data)? else { return Ok(()) };
    if version == major.to_string() {
        return Ok(());
    }
    let aside = (1..)
        .map(|n| PathBuf::from(format!("{}.v{version}-{n}", data.display())))
        .find(|aside| !aside.exists())
        .context("no free name to move a cluster to")?;
    fs::rename(data, &aside)?;
    tracing::warn!(
        cluster.version = version,
        cluster.moved_to = %aside.display(),
        "Moved aside a cluster of another Postgres version"
    );
    Ok(())
}

fn version_of_cluster(data: &Path) -> Result<Option<String>> {
    match fs::read_to_string(data.join("PG_VERSION")) {
        Ok(version) => Ok(Some(version.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => bail!("cannot read the cluster in {}: {error}", data.display()),
    }
}

/// Beside the data folder, which belongs to Postgres alone.
fn log_of(data: &Path) -> PathBuf {
    PathBuf::from(format!("{}.log", data.display()))
}

fn socket_for(data: &Path) -> Result<Socket> {
    if data.as_os_str().len() + 1 + SOCKET.len() <= SOCKET_PATH_MAX {
        return Ok(Socket { folder: data.to_owned(), _detour: None });
    }
    let detour = tempfile::Builder::new().prefix("nox-").tempdir()?;
    let folder = detour.path().join("pg");
    symlink(data, &folder)?;
    Ok(Socket { folder, _detour: Some(detour) })
}

fn url_encoded(path: &Path) -> String {
    let mut encoded = String::new();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
