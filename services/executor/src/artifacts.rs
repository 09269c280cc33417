//! The files of an attempt that are kept: found beneath its work directory without following any
//! link, and copied into the artifact store.

use std::{
    fs::{File, Metadata},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::Path,
};

use bytes::BytesMut;
use nox_contract::{StartWork, artifact};
use object_store::{ObjectStoreExt, WriteMultipart, local::LocalFileSystem};
use rustix::{
    fs::{Dir, OFlags},
    io::Errno,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use crate::{
    failure::Failure,
    manifest::Keep,
    relative::{RelativePath, matches, open_beneath},
};

/// Most files of one attempt; each is named in the event that completes the job.
const FILES_MAX: usize = 200;

/// Most names that a pattern may stand for; of those, the folders are gone through.
const NAMES_MAX: usize = 10_000;

/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;

/// Parts of a file on their way to the store.
const PARTS_IN_FLIGHT: usize = 4;

/// A kept file, as the outputs name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artifact {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

/// Where kept files go.
#[derive(Debug)]
pub struct Artifacts {
    store: LocalFileSystem,
}

/// A file that is to be kept, open.
#[derive(Debug)]
pub struct Found {
    name: String,
    file: File,
}

impl Artifacts {
    /// A folder on this machine, made if it is absent. `durable` files survive a power cut before
    /// the fact that names them is written.
    pub fn in_folder(folder: &Path, durable: bool) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { store: LocalFileSystem::new_with_prefix(folder)?.with_fsync(durable) })
    }

    /// Copies `found` into the attempt's own prefix. Nobody sees it there before the fact that
    /// completes the job names the attempt.
    pub async fn keep(&self, start: &StartWork, found: Found) -> Result<Artifact, Failure> {
        let Found { name, file } = found;
        let StartWork { tenant, user_id, job_id, attempt, .. } = start;
        let path = format!("{}/{name}", artifact::prefix(tenant, user_id, *job_id, *attempt));
        let path = object_store::path::Path::parse(path)
            .map_err(|error| Failure::output_invalid(format!("{name}: {error}")))?;
        let (bytes, sha256) = self
            .copy(file, &path)
            .await
            .map_err(|error| Failure::artifacts(format!("cannot keep {name}: {error}")))?;
        Ok(Artifact { name, bytes, sha256 })
    }

    async fn copy(
        &self,
        file: File,
        path: &object_store::path::Path,
    ) -> anyhow::Result<(u64, String)> {
        let mut file = tokio::fs::File::from_std(file);
        let mut writer = WriteMultipart::new(self.store.put_multipart(path).await?);
        let mut hash = Sha256::new();
        let mut bytes = 0;
        loop {
            let mut chunk = BytesMut::with_capacity(READ_BYTES);
            if file.read_buf(&mut chunk).await? == 0 {
                break;
            }
            hash.update(&chunk);
            bytes += chunk.len() as u64;
            writer.wait_for_capacity(PARTS_IN_FLIGHT).await?;
            writer.put(chunk.freeze());
        }
        writer.finish().await?;
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((bytes, sha256))
    }
}

/// Opens all files that are to be kept. Nothing of the attempt runs any more. Blocks.
pub fn find(rules: &[Keep], work: &OwnedFd) -> Result<Vec<Found>, Failure> {
    let mut all: Vec<Found> = Vec::new();
    for rule in rules {
        let found = find_one(rule, work)?;
        if found.is_empty() && rule.required {
            return Err(Failure::output_missing(format!("there is no file {}", rule.path)));
        }
        for found in found {
            if !all.iter().any(|other| other.name == found.name) {
                all.push(found);
            }
        }
        if all.len() > FILES_MAX {
            return Err(Failure::output_invalid(format!("more than {FILES_MAX} files to keep")));
        }
    }
    Ok(all)
}

fn find_one(rule: &Keep, work: &OwnedFd) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for name in expand(rule, work)? {
        let invalid = |reason: &str| Failure::output_invalid(format!("{name}: {reason}"));
        let opened = open_beneath(work, &name, OFlags::RDONLY);
        let file = match opened.map(File::from) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // What a pattern only happens to match may be a link; a name must not.
            Err(_) if rule.path.is_pattern() => continue,
            Err(error) => return Err(invalid(&explain(&error))),
        };
        let metadata = file.metadata().map_err(|error| invalid(&error.to_string()))?;
        match unfit(&metadata, rule.bytes_max) {
            None => found.push(Found { name, file }),
            Some(Unfit::Kind(_)) if rule.path.is_pattern() => {}
            Some(Unfit::Kind(reason)) => return Err(invalid(reason)),
            Some(Unfit::Size) => {
                let (bytes, most) = (metadata.len(), rule.bytes_max);
                return Err(invalid(&format!("{bytes} bytes, and at most {most} are kept")));
            }
        }
    }
    Ok(found)
}

enum Unfit {
    Kind(&'static str),
    Size,
}

fn unfit(metadata: &Metadata, bytes_max: u64) -> Option<Unfit> {
    if !metadata.is_file() {
        return Some(Unfit::Kind("it is no regular file"));
    }
    // Another name of the file may be anywhere.
    if metadata.nlink() > 1 {
        return Some(Unfit::Kind("it is a hard link"));
    }
    (metadata.len() > bytes_max).then_some(Unfit::Size)
}

fn explain(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::LOOP | Errno::XDEV) => "it is a link or leads out of the work directory".into(),
        _ => error.to_string(),
    }
}

/// The names that a rule stands for, in order; folders are entered without following a link.
fn expand(rule: &Keep, work: &OwnedFd) -> Result<Vec<String>, Failure> {
    let mut paths = vec![String::new()];
    for name in rule.path.names() {
        let is_pattern = name.contains(['*', '?']);
        let mut next = Vec::new();
        for path in paths {
            let join = |name: &str| {
                if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
            };
            if is_pattern {
                next.extend(list(work, &path, name)?.iter().map(|name| join(name)));
            } else {
                next.push(join(name));
            }
        }
        if next.len() > NAMES_MAX {
            return Err(Failure::output_invalid(format!("{} matches too many names", rule.path)));
        }
        paths = next;
    }
    paths.sort();
    Ok(paths)
}

/// The names in a folder that `pattern` stands for and that can be a file's name outside: text without
/// control characters.
fn list(work: &OwnedFd, path: &str, pattern: &str) -> Result<Vec<String>, Failure> {
    let path = if path.is_empty() { "." } else { path };
    let Ok(folder) = open_beneath(work.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY) else {
        return Ok(Vec::new());
    };
    let failed = |error: Errno| Failure::artifacts(format!("cannot list {path}: {error}"));
    let mut names = Vec::new();
    for entry in Dir::new(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_str().ok().map(str::to_owned);
        let name = name.filter(|name| matches(pattern, name));
        let name = name.and_then(|name| RelativePath::try_from(name).ok());
        names.extend(name.map(|name| name.as_str().to_owned()));
        if names.len() > NAMES_MAX {
            return Err(Failure::output_invalid(format!(
                "{path} has more than {NAMES_MAX} names like {pattern}"
            )));
        }
    }
    Ok(names)
}
