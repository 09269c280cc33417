//! This worker's data folder: its lock, the name that it keeps over restarts, and the note that its
//! process was asked to stop.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use nox_contract::{InstanceId, SessionId};
use nox_service::ids;

/// Held by one process at a time.
const LOCK: &str = "lock";
/// Who comes back with it is the same worker; a copy of the folder elsewhere would be, too.
const INSTANCE: &str = "instance";
/// The session whose process was asked to stop.
const STOPPING: &str = "stopping";

/// The folder, held by this process.
#[derive(Debug)]
pub struct Instance {
    pub folder: PathBuf,
    pub id: InstanceId,
    _lock: File,
}

impl Instance {
    /// Makes the folder, and makes sure that it is nobody else's.
    pub fn claim(folder: &Path) -> anyhow::Result<Self> {
        let make = || {
            fs::create_dir_all(folder)?;
            Ok::<_, io::Error>((folder.canonicalize()?, File::create(folder.join(LOCK))?))
        };
        let (folder, lock) = make().with_context(|| format!("cannot use {}", folder.display()))?;
        lock.try_lock()
            .with_context(|| format!("another executor of this name uses {}", folder.display()))?;
        let id = identify(&folder).with_context(|| format!("cannot use {}", folder.display()))?;
        Ok(Self { folder, id, _lock: lock })
    }
}

fn identify(folder: &Path) -> io::Result<InstanceId> {
    let file = folder.join(INSTANCE);
    let known = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
    if let Some(known) = known {
        return Ok(known);
    }
    let id = InstanceId(ids::unique());
    write_whole(&file, &id.to_string())?;
    Ok(id)
}

/// Notes that the process of `session` was asked to stop: if it is cut off before it could say so,
/// its successor says it.
pub fn note_stopping(folder: &Path, session: SessionId) -> io::Result<()> {
    write_whole(&folder.join(STOPPING), &session.to_string())
}

/// The session that was asked to stop.
pub fn stopping(folder: &Path) -> Option<SessionId> {
    fs::read_to_string(folder.join(STOPPING)).ok()?.trim().parse().ok()
}

/// The note was passed on.
pub fn forget_stopping(folder: &Path) {
    // What is left of it is passed on again, which changes nothing.
    let _ = fs::remove_file(folder.join(STOPPING));
}

/// A reader sees the old text or the new one.
fn write_whole(file: &Path, text: &str) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    File::open(&new)?.sync_all()?;
    fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_name_and_is_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let claim = || Instance::claim(&folder.path().join("executor-1"));
        let first = claim().unwrap();
        assert!(claim().unwrap_err().to_string().contains("another executor of this name uses"));
        let id = first.id;
        drop(first);
        assert_eq!(claim().unwrap().id, id);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Instance::claim(other.path()).unwrap().id, id);
    }
}
