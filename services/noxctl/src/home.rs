//! The folder of a development system: its data, its secrets, and where it was last found.

use std::{
    env,
    fs::{DirBuilder, TryLockError},
    io::{Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
// Errors of these name the file.
use fs_err::{self as fs, File, OpenOptions, os::unix::fs::OpenOptionsExt};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::system::holder;

/// Where the folder is, unless something else is said: here, or in the nearest folder above that
/// has it.
pub const DEFAULT: &str = ".nox/data";

/// The log's archive within the folder.
pub const ARCHIVE: &str = "archive";

/// Who did what, within the folder.
pub const AUDIT: &str = "audit";

/// Kept files within the folder.
pub const ARTIFACTS: &str = "artifacts";

/// Locked by the process that runs there.
const LOCK: &str = "lock";

const IDENTITY: &str = "identity.json";
const PLACE: &str = "place.json";

/// The folder of a development system that runs, and whose only one this is.
pub struct Home {
    folder: PathBuf,
    pub identity: Identity,
    /// Where it was the last time, if there was one.
    pub before: Option<Place>,
    _lock: File,
}

/// Made once, so that a restart finds the same system.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    /// 64 hex digits: the scheduler proves attempts with it.
    pub cluster_key: String,
    /// Tokens of users are signed with it.
    pub jwt_secret: String,
    /// 64 hex digits: secrets of webhooks are computed from it. Folders of before have none.
    #[serde(default)]
    pub webhook_key: String,
    pub worker_id: String,
}

/// Where a development system is found.
#[derive(Clone, Serialize, Deserialize)]
pub struct Place {
    pub url: String,
    /// With its password.
    pub nats_url: String,
    pub nats_monitor_url: String,
    pub database_url: String,
    /// What tokens are signed with, where that is not the identity's own secret.
    #[serde(default)]
    pub jwt_secret: Option<String>,
}

impl Home {
    /// Takes the folder, and makes it first if need be.
    ///
    /// # Errors
    /// It cannot be written, or another system runs in it.
    pub fn open(folder: &Path) -> Result<Self> {
        let folder = std::path::absolute(folder)?;
        let cannot = || format!("cannot use the data folder {}", folder.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(cannot)?;
        let lock = private(&folder.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder::of_lock(&folder.join(LOCK));
                let holder = holder.map(|holder| format!(": {holder}")).unwrap_or_default();
                bail!(
                    "another `noxctl dev` runs in {}{holder}; give this one its own --data",
                    folder.display()
                )
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
        }
        let identity = match read::<Identity>(&folder.join(IDENTITY))? {
            Some(identity) if !identity.webhook_key.is_empty() => identity,
            Some(before) => {
                let identity = Identity { webhook_key: Identity::new()?.webhook_key, ..before };
                write(&folder.join(IDENTITY), &identity)?;
                identity
            }
            None => {
                let identity = Identity::new()?;
                write(&folder.join(IDENTITY), &identity)?;
                identity
            }
        };
        let before = read(&folder.join(PLACE))?;
        Ok(Self { folder, identity, before, _lock: lock })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets other commands find the system.
    pub fn announce(&self, place: &Place) -> Result<()> {
        write(&self.folder.join(PLACE), place)
    }
}

/// The folder that `named` names, else the default one.
pub fn folder(named: Option<&Path>) -> PathBuf {
    if let Some(named) = named {
        return named.to_owned();
    }
    let here = env::current_dir().unwrap_or_default();
    let known = here.ancestors().map(|above| above.join(DEFAULT)).find(|data| data.is_dir());
    known.unwrap_or_else(|| here.join(DEFAULT))
}

/// What the system in `folder` signs tokens with; `None` if there never was one.
pub fn jwt_secret(folder: &Path) -> Result<Option<String>> {
    if let Some(secret) = place(folder)?.and_then(|place| place.jwt_secret) {
        return Ok(Some(secret));
    }
    let identity: Option<Identity> = read(&folder.join(IDENTITY))?;
    Ok(identity.map(|identity| identity.jwt_secret))
}

/// What the system in `folder` proves attempts with; `None` if there never was one.
pub fn cluster_key(folder: &Path) -> Result<Option<String>> {
    let identity: Option<Identity> = read(&folder.join(IDENTITY))?;
    Ok(identity.map(|identity| identity.cluster_key))
}

/// Where the system in `folder` was last found; `None` if there never was one.
pub fn place(folder: &Path) -> Result<Option<Place>> {
    read(&folder.join(PLACE))
}

impl Identity {
    pub fn new() -> Result<Self> {
        let worker: [u8; 4] = random()?;
        Ok(Self {
            cluster_key: hex(&random::<32>()?),
            jwt_secret: hex(&random::<32>()?),
            webhook_key: hex(&random::<32>()?),
            worker_id: format!("dev-{}", hex(&worker)),
        })
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let value = serde_json::from_str(&text);
    value.map(Some).with_context(|| format!("{} is damaged; move it aside", path.display()))
}

/// Replaces the file whole, so that a crash leaves the old one or the new one.
fn write<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let new = path.with_extension("new");
    let mut file = private(&new)?;
    file.set_len(0)?;
    file.write_all(&serde_json::to_vec_pretty(value)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    Ok(())
}

/// Opens a file that its owner alone may read.
fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_keeps_its_identity_and_has_one_system() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("a/b");
        let home = Home::open(&folder).unwrap();
        let key = home.identity.cluster_key.clone();
        assert_eq!(key.len(), 64);
        let refused = Home::open(&folder).err().unwrap().to_string();
        assert!(refused.contains("another `noxctl dev`"), "{refused}");
        let own = format!("(process {})", std::process::id());
        assert!(refused.contains(&own), "{refused}");

        drop(home);
        assert_eq!(Home::open(&folder).unwrap().identity.cluster_key, key);
    }

    #[test]
    fn secrets_are_for_their_owner_alone() {
        let temp = tempfile::tempdir().unwrap();
        drop(Home::open(temp.path()).unwrap());
        let mode = fs::metadata(temp.path().join(IDENTITY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
