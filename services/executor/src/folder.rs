//! The private folder of an attempt, and the journal: that the folder is there says that something
//! of the attempt may run.
//!
//! `<data>/attempts/<job>.<attempt>/` holds `attempt.json` and `work/`, which is all that the program sees of it.
//! The first line of `attempt.json` is the journal, written before the spawn; each that follows says by what the
//! attempt is found when it is to be ended, and the last counts. One file, for a new one costs a file system more than
//! all else here: ext4 looks for a number that was not in use for minutes.
//!
//! When nothing runs any more, the folder goes to `<data>/removed/`, and from there for good. Nothing is synced to
//! disk: this must survive the end of the executor, and with the machine's end nothing runs anyway.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, lchown},
    path::{Path, PathBuf},
};

use nox_contract::{Attempt, JobId, SessionId, StartWork, Timestamp, Token};
use serde::{Deserialize, Serialize};

use crate::{relative::RelativePath, removal::Heap, sandbox::Holders};

const ATTEMPTS: &str = "attempts";
/// Beside the attempts: what is there blocks no attempt and no start.
const REMOVED: &str = "removed";
const JOURNAL: &str = "attempt.json";
const WORK: &str = "work";

/// The environment variable of an attempt's processes that names their work directory: who bears it
/// belongs to the attempt.
pub const MARK: &str = "NOX_WORK_DIR";

/// What has to be known of an attempt when the executor that began it is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    pub session: SessionId,
    pub job_id: JobId,
    pub attempt: Attempt,
    pub token: Token,
    /// When it was about to be spawned, by the wall clock.
    pub at: Timestamp,
}

/// One attempt's folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    heap: Heap,
}

impl Folder {
    /// Makes a fresh one, which nobody else can look into. Blocks.
    pub fn create(data: &Path, start: &StartWork) -> io::Result<Self> {
        let root = data.join(ATTEMPTS).join(format!("{}.{}", start.job_id, start.attempt));
        private().recursive(true).create(data.join(ATTEMPTS))?;
        let folder = Self { root, heap: heap(data) };
        // A reused folder would show an old run's files; what is there was meant to be removed.
        if folder.root.exists() {
            folder.remove();
        }
        private().create(&folder.root)?;
        private().create(folder.work())?;
        Ok(folder)
    }

    /// All folders that an earlier process left behind.
    pub fn left_behind(data: &Path) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(data.join(ATTEMPTS)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        entries.map(|entry| Ok(Self { root: entry?.path(), heap: heap(data) })).collect()
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Its name, which no other attempt of this executor has.
    pub fn name(&self) -> String {
        self.root.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub fn work(&self) -> PathBuf {
        self.root.join(WORK)
    }

    /// The environment entry that marks the attempt's processes.
    pub fn mark(&self) -> String {
        format!("{MARK}={}", self.work().display())
    }

    /// Makes a folder in it for its program. Nothing of the attempt runs yet, so nothing can be in the way.
    pub fn make(&self, path: &Path) -> io::Result<()> {
        private().recursive(true).create(path)
    }

    /// Writes an input file. Nothing of the attempt runs yet, so nothing can be in the way.
    pub fn write(&self, path: &RelativePath, text: &str) -> io::Result<()> {
        let path = self.work().join(path.as_str());
        if let Some(parent) = path.parent() {
            private().recursive(true).create(parent)?;
        }
        fs::write(path, text)
    }

    /// Notes that the attempt is about to be spawned. A reader sees the whole note or none of it.
    pub fn begin(&self, journal: &Journal) -> io::Result<()> {
        let written = self.root.join(format!("{JOURNAL}.new"));
        // The attempt's own user may pass its folder.
        let mut file = fs::File::options();
        let mut file = file.write(true).create(true).truncate(true).mode(0o600).open(&written)?;
        file.write_all(&line(journal)?)?;
        fs::rename(written, self.root.join(JOURNAL))
    }

    /// Notes by what its processes are found, after [`Self::begin`].
    pub fn held_by(&self, holders: &Holders) -> io::Result<()> {
        let mut file = fs::File::options().append(true).open(self.root.join(JOURNAL))?;
        file.write_all(&line(holders)?)
    }

    /// Gives all that the program sees of it to the user that the attempt runs as, and the group of that
    /// number, and lets that user pass on the way. Nothing of the attempt runs yet.
    pub fn give_to(&self, user: u32) -> io::Result<()> {
        give(&self.work(), user)?;
        lchown(&self.root, None, Some(user))?;
        let passed = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        passed(&self.root, 0o710)?;
        self.root.parent().map_or(Ok(()), |attempts| passed(attempts, 0o711))
    }

    pub fn journal(&self) -> Option<Journal> {
        serde_json::from_str(self.noted()?.lines().next()?).ok()
    }

    pub fn holders(&self) -> Option<Holders> {
        // A line may have been cut off in the middle: then the one before counts.
        let noted = self.noted()?;
        noted.lines().skip(1).filter_map(|line| serde_json::from_str(line).ok()).last()
    }

    fn noted(&self) -> Option<String> {
        fs::read_to_string(self.root.join(JOURNAL)).ok()
    }

    /// Removes it with all that is in it. Nothing of the attempt may run. Blocks.
    pub fn remove(&self) {
        if let Some(name) = self.set_aside()
            && let Err(error) = self.heap.remove(&name)
        {
            let folder = self.root.display();
            tracing::warn!(%folder, %error, "Cannot remove all of an attempt's folder");
        }
    }

    /// Forgets it at once; [`clear_removed`] removes what is in it. Returns its name in the heap.
    pub fn set_aside(&self) -> Option<String> {
        let moved = self.heap.set_aside(&self.root);
        moved
            .inspect_err(|error| {
                let folder = self.root.display();
                tracing::warn!(%folder, %error, "Cannot set an attempt's folder aside");
            })
            .ok()
    }
}

fn line(note: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(note)?;
    line.push(b'\n');
    Ok(line)
}

fn give(path: &Path, user: u32) -> io::Result<()> {
    lchown(path, Some(user), Some(user))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user)?;
        }
    }
    Ok(())
}

/// Removes the folders that were set aside, and what could not be removed earlier. Blocks.
pub fn clear_removed(data: &Path) {
    heap(data).clear();
}

fn heap(data: &Path) -> Heap {
    Heap::new(data.join(REMOVED))
}

fn private() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    builder
}
