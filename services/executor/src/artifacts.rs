//! The files of an attempt that are kept: found beneath its work directory without following any
//! link, and copied into the artifact store.

use std::{
    ffi::OsStr,
    fs::{File, Metadata},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
};

use bytes::BytesMut;
use nox_contract::{
    StartWork,
    artifact::{self, Artifact},
};
use nox_store::{Artifacts, StoreError, artifacts::Owner, media_type};
use rustix::{
    fs::{Dir, OFlags},
    io::Errno,
};
use tokio::io::AsyncReadExt;

use crate::{
    failure::Failure,
    manifest::Keep,
    relative::{matches, open_beneath},
};

/// Most files of one attempt; each is named in the event that completes the job.
const FILES_MAX: usize = 200;

/// Most bytes of all their names; a name stands in that event up to ten times as long, encoded.
const NAMES_BYTES_MAX: usize = 24 * 1024;

/// Most names that a pattern may stand for; of those, the folders are gone through.
const NAMES_MAX: usize = 10_000;

/// Longest path of a file beneath the work directory, in bytes.
const PATH_BYTES_MAX: usize = 512;

/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;

/// A pattern stands for something that is not kept: a link, a file with several names or with too long a
/// path, or what is neither file nor folder.
pub const SKIPPED: &str = "files_skipped";

/// A file that is to be kept, open.
#[derive(Debug)]
pub struct Found {
    name: String,
    file: File,
    bytes_max: u64,
}

/// The files to keep.
#[derive(Debug, Default)]
pub struct AllFound {
    pub files: Vec<Found>,
    /// Whether a pattern stood for something else as well.
    pub skipped: bool,
}

/// Whose files those of an attempt are.
pub fn owner(start: &StartWork) -> Owner<'_> {
    let StartWork { tenant, user_id, job_id, attempt, .. } = start;
    Owner { tenant, user: user_id, job: *job_id, attempt: *attempt }
}

/// Copies `found` into the attempt's own prefix. Nobody sees it there before the fact that completes the
/// job names the attempt.
pub async fn keep(
    artifacts: &Artifacts,
    start: &StartWork,
    found: Found,
) -> Result<Artifact, Failure> {
    let Found { name, file, bytes_max } = found;
    let cannot = |error: StoreError| {
        tracing::warn!(job.id = %start.job_id, error = error.details(), "Cannot keep a file");
        Failure::artifacts(format!("cannot keep {name}: {error}"))
    };
    let mut file = tokio::fs::File::from_std(file);
    let mut writer = artifacts.write(owner(start), &name).await.map_err(cannot)?;
    loop {
        let mut chunk = BytesMut::with_capacity(READ_BYTES);
        let read = file.read_buf(&mut chunk).await.map_err(|error| cannot(error.into()))?;
        if read == 0 {
            break;
        }
        writer.write(chunk.freeze()).await.map_err(cannot)?;
        // Whoever still holds the file may write to it.
        if writer.size() > bytes_max {
            writer.abort().await;
            return Err(too_large(&name, bytes_max));
        }
    }
    let written = writer.finish().await.map_err(cannot)?;
    let mime = media_type::of(&name).to_owned();
    Ok(Artifact { name, mime, size: written.size, sha256: written.sha256 })
}

/// Removes what an attempt has left that did not succeed. What cannot be removed is collected later.
pub async fn forget(artifacts: &Artifacts, start: &StartWork) {
    if let Err(error) = artifacts.remove(owner(start)).await {
        tracing::warn!(job.id = %start.job_id, error = error.details(), "Cannot remove files");
    }
}

/// Opens all files that are to be kept. Nothing of the attempt runs any more. Blocks.
pub fn find(rules: &[Keep], work: &OwnedFd) -> Result<AllFound, Failure> {
    let mut all = AllFound::default();
    let mut names_bytes = 0;
    for rule in rules {
        let before = all.files.len();
        let mut is_there = false;
        for path in expand(rule, work, &mut all.skipped)? {
            let name = artifact::name(&path);
            if all.files.iter().any(|other| other.name == name) {
                is_there = true;
                continue;
            }
            if let Some(found) = open(rule, work, &path, name, &mut all.skipped)? {
                names_bytes += found.name.len();
                all.files.push(found);
            }
            // Each is open.
            if all.files.len() > FILES_MAX {
                let many = format!("more than {FILES_MAX} files to keep");
                return Err(Failure::output_invalid(many));
            }
        }
        if rule.required && !is_there && all.files.len() == before {
            return Err(Failure::output_missing(format!("there is no file {}", rule.path)));
        }
        if names_bytes > NAMES_BYTES_MAX {
            let names = format!("the names of the files to keep have over {NAMES_BYTES_MAX} bytes");
            return Err(Failure::output_invalid(names));
        }
    }
    Ok(all)
}

/// The file at `path`, if it is one to be kept. What a pattern only happens to stand for may be something
/// else; a name must not.
fn open(
    rule: &Keep,
    work: &OwnedFd,
    path: &[u8],
    name: String,
    skipped: &mut bool,
) -> Result<Option<Found>, Failure> {
    let mut unfit = |reason: &str| -> Result<Option<Found>, Failure> {
        if rule.path.is_pattern() {
            *skipped = true;
            return Ok(None);
        }
        Err(Failure::output_invalid(format!("{name}: {reason}")))
    };
    let file = match open_beneath(work, path, OFlags::RDONLY).map(File::from) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return unfit(&explain(&error)),
    };
    let metadata = match file.metadata() {
        Ok(metadata) => metadata,
        Err(error) => return unfit(&error.to_string()),
    };
    if metadata.is_dir() && rule.path.is_pattern() {
        return Ok(None);
    }
    if let Some(reason) = no_file(&metadata) {
        return unfit(reason);
    }
    if metadata.len() > rule.bytes_max {
        return Err(too_large(&name, rule.bytes_max));
    }
    Ok(Some(Found { name, file, bytes_max: rule.bytes_max }))
}

fn no_file(metadata: &Metadata) -> Option<&'static str> {
    if !metadata.is_file() {
        return Some("it is no regular file");
    }
    // Another name of the file may be anywhere.
    (metadata.nlink() > 1).then_some("it is a hard link")
}

fn too_large(name: &str, most: u64) -> Failure {
    Failure::output_invalid(format!("{name}: it has more than the {most} bytes that are kept"))
}

fn explain(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::LOOP | Errno::XDEV) => "it is a link or leads out of the work directory".into(),
        _ => error.to_string(),
    }
}

/// The paths that a rule stands for, in order; folders are entered without following a link.
fn expand(rule: &Keep, work: &OwnedFd, skipped: &mut bool) -> Result<Vec<Vec<u8>>, Failure> {
    let mut paths = vec![Vec::new()];
    for name in rule.path.names() {
        let is_pattern = name.contains(['*', '?']);
        let mut next = Vec::new();
        for path in paths {
            if is_pattern {
                next.extend(list(work, &path, name)?.iter().map(|name| join(&path, name)));
            } else {
                next.push(join(&path, name.as_bytes()));
            }
        }
        if next.len() > NAMES_MAX {
            return Err(Failure::output_invalid(format!("{} matches too many names", rule.path)));
        }
        paths = next;
    }
    let found = paths.len();
    paths.retain(|path| path.len() <= PATH_BYTES_MAX);
    *skipped |= paths.len() < found;
    paths.sort();
    Ok(paths)
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, name].join(&b'/') }
}

/// The names in a folder that `pattern` stands for.
fn list(work: &OwnedFd, path: &[u8], pattern: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let path = OsStr::from_bytes(if path.is_empty() { b"." } else { path });
    let Ok(folder) = open_beneath(work.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY) else {
        return Ok(Vec::new());
    };
    let shown = || artifact::name(path.as_bytes());
    let failed = |error: Errno| Failure::artifacts(format!("cannot list {}: {error}", shown()));
    let mut names = Vec::new();
    for entry in Dir::new(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") || !matches(pattern, name) {
            continue;
        }
        names.push(name.to_vec());
        if names.len() > NAMES_MAX {
            let folder = shown();
            return Err(Failure::output_invalid(format!(
                "{folder} has more than {NAMES_MAX} names like {pattern}"
            )));
        }
    }
    Ok(names)
}
