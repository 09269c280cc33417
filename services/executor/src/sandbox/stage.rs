//! Showing what lies in folders of root's to a user who may not pass them: in a mount namespace of the
//! thread that asks, and so to what it starts.

use std::{
    collections::BTreeSet,
    fs::{self, File, Permissions},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

/// Where [`Numbered`] shows what it is given.
const STAGE: &str = "/tmp";

/// Permissions to pass a folder.
const PASSED_BY_OWNER: u32 = 0o100;
const PASSED_BY_GROUP: u32 = 0o010;
const PASSED_BY_OTHERS: u32 = 0o001;

/// Paths under names of their own, for bubblewrap to take them from.
#[derive(Debug, Default)]
pub struct Numbered {
    paths: Vec<PathBuf>,
}

impl Numbered {
    /// Returns the name under which `path` is to be found.
    pub fn add(&mut self, path: PathBuf) -> PathBuf {
        self.paths.push(path);
        Path::new(STAGE).join(self.paths.len().to_string())
    }

    /// Shows all of them under those names.
    pub fn show(&self) -> io::Result<()> {
        own_mounts()?;
        // Before the stage is there, for some may lie below it.
        let opened = self.paths.iter().map(|path| open(path)).collect::<io::Result<Vec<_>>>()?;
        cover(Path::new(STAGE))?;
        for (n, source) in opened.iter().enumerate() {
            bind(source, &Path::new(STAGE).join((n + 1).to_string()))?;
        }
        Ok(())
    }
}

/// Shows `paths`, which are absolute, to a user where they are: a folder on the way that is closed to that user
/// is covered by an empty one, in which nothing but they is to be found. What can be reached stays as it is.
///
/// # Errors
/// A folder is closed, and nothing can be mounted here.
pub fn show_in_place(paths: &[&Path], user: u32) -> io::Result<()> {
    let mut hidden: Vec<(&Path, PathBuf)> = Vec::new();
    for path in paths {
        if let Some(folder) = closed_above(path, user) {
            hidden.push((path, folder));
        }
    }
    let Some((_, folder)) = hidden.first() else { return Ok(()) };
    own_mounts().map_err(|error| {
        let folder = folder.display();
        io::Error::other(format!(
            "{folder} is closed to others, and nothing can be mounted: {error}"
        ))
    })?;
    // What is in a folder that is shown comes with it.
    hidden.sort();
    hidden.dedup_by(|(inner, _), (outer, _)| inner.starts_with(outer));
    let opened = hidden.iter().map(|(path, _)| open(path)).collect::<io::Result<Vec<_>>>()?;
    let folders: BTreeSet<&PathBuf> = hidden.iter().map(|(_, folder)| folder).collect();
    for folder in folders {
        cover(folder)?;
    }
    for (source, (path, folder)) in opened.iter().zip(&hidden) {
        make_way(folder, path)?;
        bind(source, path)?;
    }
    Ok(())
}

/// Makes the folders between one that is covered and `path`, whatever the mask of new files.
fn make_way(covered: &Path, path: &Path) -> io::Result<()> {
    let mut missing: Vec<&Path> =
        path.ancestors().skip(1).take_while(|folder| *folder != covered).collect();
    missing.reverse();
    for folder in missing.into_iter().filter(|folder| !folder.exists()) {
        fs::create_dir(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o711))?;
    }
    Ok(())
}

/// Whether a user, who is in the group of the same number alone, cannot reach `path`.
pub fn is_closed(path: &Path, user: u32) -> bool {
    closed_above(path, user).is_some()
}

/// The first folder on the way to `path` that the user, who is in the group of the same number alone, may
/// not pass.
fn closed_above(path: &Path, user: u32) -> Option<PathBuf> {
    let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
    folders.reverse();
    let is_closed = |folder: &&Path| {
        fs::metadata(folder).is_ok_and(|found| {
            let passed_by = match (found.uid() == user, found.gid() == user) {
                (true, _) => PASSED_BY_OWNER,
                (_, true) => PASSED_BY_GROUP,
                _ => PASSED_BY_OTHERS,
            };
            found.mode() & passed_by == 0
        })
    };
    folders.into_iter().find(is_closed).map(Path::to_owned)
}

/// Only after [`own_mounts`]: what was opened before is of other mounts.
fn open(path: &Path) -> io::Result<OwnedFd> {
    let opened = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    opened.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

/// Puts an empty folder in the place of `folder`.
fn cover(folder: &Path) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(mount("tmpfs", folder, "tmpfs", flags, Some(c"mode=755"))?)
}

/// Shows a folder or file as `target`, which is not there yet.
fn bind(source: &OwnedFd, target: &Path) -> io::Result<()> {
    let source = format!("/proc/thread-self/fd/{}", source.as_raw_fd());
    if fs::metadata(&source)?.is_dir() {
        fs::create_dir(target)?;
    } else {
        File::create(target)?;
    }
    Ok(mount_bind_recursive(&source, target)?)
}

/// Gives this thread a mount namespace of its own, out of which nothing spreads.
#[expect(unsafe_code, reason = "no safe function does it")]
fn own_mounts() -> io::Result<()> {
    // SAFETY: what is unsafe of it is a table of descriptors that threads no longer share; this does
    // not touch it.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}
