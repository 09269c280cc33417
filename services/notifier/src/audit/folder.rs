//! The folder of the audit's files, held by one process.
//!
//! A file is named by the frame that its first line is of, and is full where the next frame would begin beyond
//! [`FILE_BYTES`]: which line stands in which file follows from the log alone, so that two folders of one log are
//! equal byte for byte, whatever became of who wrote them.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use nox_contract::{Chain, FactPlace, audit::Act};

use super::line;

/// A file that has this many bytes gets no further frame. Large enough that years are few files, small enough to be
/// looked into.
pub const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Who holds it has the folder.
const LOCK: &str = "lock";
const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";

/// Why nothing can be written now, or ever.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("another notifier writes the audit in {0}")]
    Taken(PathBuf),
    #[error("cannot write the audit: {0}")]
    Io(#[from] io::Error),
    /// Somebody has to look: what would be added could not be proved.
    #[error("the last line of {} {what}: see noxctl audit verify", .file.display())]
    Broken { file: PathBuf, what: String },
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    file_bytes: u64,
    /// The file that is written, and its length up to the last line that is on the disk.
    current: Option<(File, PathBuf, u64)>,
    /// Of the last line.
    last: Option<FactPlace>,
    chain: Chain,
    /// What was written may be more than is known.
    in_doubt: bool,
    _lock: File,
}

impl Folder {
    /// Makes the folder, or goes on with it: behind the last whole line. What stands behind that was not written to
    /// its end, and is cut off.
    pub(super) fn open(path: &Path, file_bytes: u64) -> Result<Self, Error> {
        fs::create_dir_all(path)?;
        let lock = File::create(path.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Taken(path.to_owned()),
            TryLockError::Error(error) => error.into(),
        })?;
        let mut folder = Self {
            path: path.to_owned(),
            file_bytes,
            current: None,
            last: None,
            chain: Chain::START,
            in_doubt: false,
            _lock: lock,
        };
        folder.resume()?;
        Ok(folder)
    }

    /// The last act that is on the disk.
    pub(super) fn last(&self) -> Option<FactPlace> {
        self.last
    }

    /// Adds those of `acts` that are behind the last one. When this returns, all of them are on the disk; of one that
    /// failed, some may be, and it can be called again with the same.
    pub(super) fn add(&mut self, acts: &[Act]) -> Result<(), Error> {
        if self.in_doubt {
            self.resume()?;
        }
        let last = self.last;
        let mut new = acts.iter().filter(|act| Some(act.id) > last).peekable();
        if new.peek().is_none() {
            return Ok(());
        }
        self.in_doubt = true;
        let mut text = String::new();
        let (mut chain, mut last) = (self.chain, self.last);
        for act in new {
            let (line, hash) = line::write(act, chain).map_err(io::Error::from)?;
            let begins = last.is_none_or(|last| last.n != act.n);
            let bytes = self.current.as_ref().map_or(0, |(_, _, bytes)| *bytes);
            if self.current.is_none() || begins && bytes + text.len() as u64 >= self.file_bytes {
                self.write(&text)?;
                text.clear();
                self.begin(act)?;
            }
            text.push_str(&line);
            (chain, last) = (hash, Some(act.id));
        }
        self.write(&text)?;
        (self.chain, self.last, self.in_doubt) = (chain, last, false);
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        let Some((file, _, bytes)) = self.current.as_mut().filter(|_| !text.is_empty()) else {
            return Ok(());
        };
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        *bytes += text.len() as u64;
        Ok(())
    }

    fn begin(&mut self, act: &Act) -> Result<(), Error> {
        let path = self.path.join(format!("{PREFIX}{:020}{SUFFIX}", act.n.0));
        let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        File::open(&self.path)?.sync_all()?;
        self.current = Some((file, path, 0));
        Ok(())
    }

    /// Finds the last whole line, and cuts off what is behind it.
    fn resume(&mut self) -> Result<(), Error> {
        (self.current, self.last, self.chain) = (None, None, Chain::START);
        while let Some(path) = files(&self.path)?.pop() {
            let text = fs::read(&path)?;
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            if whole == 0 {
                // Begun, and nothing of it written to its end.
                fs::remove_file(&path)?;
                File::open(&self.path)?.sync_all()?;
                continue;
            }
            let lines = &text[..whole - 1];
            let begins = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let broken = |what: String| Error::Broken { file: path.clone(), what };
            let last = std::str::from_utf8(&lines[begins..]);
            let last = last.map_err(|_| broken("is no text".to_owned()))?;
            let last = line::read(last).map_err(broken)?;
            let file = OpenOptions::new().append(true).open(&path)?;
            if whole < text.len() {
                file.set_len(whole as u64)?;
                file.sync_all()?;
            }
            (self.last, self.chain) = (Some(last.act.id), last.hash);
            self.current = Some((file, path, whole as u64));
            break;
        }
        self.in_doubt = false;
        Ok(())
    }
}

/// The audit's files in a folder, in the order of their names, which is that of their lines.
///
/// # Errors
/// The folder cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests;
