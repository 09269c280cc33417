//! Bytes on disk.

use std::{io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

use anyhow::Result;
use fs_err as fs;

/// What `stat` counts blocks in, on every file system.
const BLOCK: u64 = 512;

/// What is written beside the data of a cluster, and is used again and again.
const WRITE_AHEAD_LOG: &str = "pg_wal";

/// What a system keeps on disk, in bytes that are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disk {
    /// The broker's whole store.
    pub broker: u64,
    /// Of that, the log of frames.
    pub log: u64,
    /// Without the write-ahead log.
    pub postgres: u64,
    pub archive: u64,
}

impl Disk {
    /// Of the system in the data folder `home`.
    pub fn of(home: &Path) -> Result<Self> {
        let broker = home.join("nats");
        let log = broker.join("jetstream/$G/streams/NOX_EVENTS");
        Ok(Self {
            broker: taken(&broker, "")?,
            log: taken(&log, "")?,
            postgres: taken(&home.join("postgres"), WRITE_AHEAD_LOG)?,
            archive: taken(&home.join("archive"), "")?,
        })
    }

    /// Each part by its name.
    pub fn parts(self) -> [(&'static str, u64); 4] {
        let Self { broker, log, postgres, archive } = self;
        [("broker", broker), ("broker, log", log), ("postgres", postgres), ("archive", archive)]
    }
}

/// What the files below `folder` take, those in folders called `except` left out; a folder that is not
/// there takes nothing, nor does a file that goes while it is looked at.
fn taken(folder: &Path, except: &str) -> Result<u64> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = 0;
    for entry in entries {
        let entry = entry?;
        let metadata = match fs::symlink_metadata(entry.path()) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        bytes += match metadata.is_dir() {
            true if entry.file_name() == except => 0,
            true => taken(&entry.path(), except)?,
            false => metadata.blocks() * BLOCK,
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_counts_and_the_write_ahead_log_does_not() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Disk::of(home.path()).unwrap(), Disk::default());
        for folder in ["nats/jetstream/$G/streams/NOX_EVENTS", "postgres/base", "postgres/pg_wal"] {
            let folder = home.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("file"), vec![1; 1 << 16]).unwrap();
        }
        let disk = Disk::of(home.path()).unwrap();
        assert!(disk.broker >= 1 << 16 && disk.broker == disk.log, "{disk:?}");
        assert!(((1 << 16)..(2 << 16)).contains(&disk.postgres), "{disk:?}");
    }
}
