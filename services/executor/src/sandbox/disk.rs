//! What an attempt's folder holds: the sum of its files, which no kernel bounds without quotas.
//!
//! A look takes time, and a program writes meanwhile: the bound is of the sum at a look. A file without a
//! name that is mapped and not open is not seen.

use std::{
    collections::BTreeMap,
    ffi::CStr,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};

/// Folders that are open at a time; deeper ones are not looked into, and count as too many files.
const DEPTH_MAX: usize = 256;

/// Bytes and files of a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// What they take of the disk: of a file with holes, not those.
    pub bytes: u64,
    /// Files, folders and whatever else has a name.
    pub files: u64,
}

/// Looks through `folder`, no further than until it holds more than `most`. No link is followed.
///
/// # Errors
/// The folder itself cannot be opened.
pub fn look(folder: &Path, most: Held) -> Result<Held, Errno> {
    let mut held = Held::default();
    let mut open = vec![entries(&open_folder(CWD, folder)?)?];
    loop {
        let depth = open.len();
        let Some(folder) = open.last_mut() else { break };
        let Some(Ok(entry)) = folder.read() else {
            open.pop();
            continue;
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        held.files += 1;
        // What is gone by now takes nothing.
        let is_folder = folder.fd().is_ok_and(|parent| {
            statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
                held.bytes += u64::try_from(stat.st_blocks).unwrap_or_default() * 512;
                FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            })
        });
        if held.bytes > most.bytes || held.files > most.files {
            break;
        }
        if is_folder {
            if depth == DEPTH_MAX {
                return Ok(Held { files: u64::MAX, ..held });
            }
            let inner = folder.fd().and_then(|parent| open_folder(parent, name));
            if let Ok(inner) = inner.and_then(|inner| entries(&inner)) {
                open.push(inner);
            }
        }
    }
    Ok(held)
}

/// Bytes of files that these processes have open, and that have no name any more, on the disk of
/// `folder`.
pub fn nameless(pids: &[i32], folder: &Path) -> u64 {
    let Ok(device) = std::fs::metadata(folder).map(|folder| folder.dev()) else { return 0 };
    let mut files = BTreeMap::new();
    for pid in pids {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        for file in open.filter_map(|entry| std::fs::metadata(entry.path()).ok()) {
            if file.is_file() && file.nlink() == 0 && file.dev() == device {
                files.insert(file.ino(), file.blocks() * 512);
            }
        }
    }
    files.into_values().sum()
}

/// Opens a folder of the attempt, which may have closed it to everybody: nothing hides in there.
fn open_folder(
    parent: impl std::os::fd::AsFd,
    path: impl rustix::path::Arg,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = openat(parent, path, flags | OFlags::PATH, Mode::empty())?;
    let readable: &CStr = c".";
    match openat(&found, readable, flags | OFlags::RDONLY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let itself = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found));
            let mode = Mode::RUSR | Mode::WUSR | Mode::XUSR;
            rustix::fs::chmod(itself, mode)?;
            openat(&found, readable, flags | OFlags::RDONLY, Mode::empty())
        }
        opened => opened,
    }
}

fn entries(folder: &OwnedFd) -> Result<Dir, Errno> {
    Dir::read_from(folder)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    const MOST: Held = Held { bytes: 1 << 40, files: 1_000_000 };

    #[test]
    fn everything_in_a_folder_is_counted_and_no_link_is_followed() {
        let place = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("large"), vec![1; 1 << 20]).unwrap();
        fs::create_dir_all(place.path().join("a/b")).unwrap();
        for name in ["1", "a/2", "a/b/3"] {
            fs::write(place.path().join(name), vec![1; 100_000]).unwrap();
        }
        std::os::unix::fs::symlink(other.path(), place.path().join("link")).unwrap();
        // Closed to its owner, who may be this very user.
        fs::set_permissions(place.path().join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        let held = look(place.path(), MOST).unwrap();
        assert_eq!(held.files, 6);
        assert!((300_000..500_000).contains(&held.bytes), "{held:?}");
        let few = look(place.path(), Held { files: 2, ..MOST }).unwrap();
        assert_eq!(few.files, 3);
        assert!(look(&place.path().join("none"), MOST).is_err());
    }

    #[test]
    fn a_file_of_holes_takes_nothing() {
        let place = tempfile::tempdir().unwrap();
        fs::File::create(place.path().join("holes")).unwrap().set_len(1 << 40).unwrap();
        let held = look(place.path(), MOST).unwrap();
        assert!(held.files == 1 && held.bytes < 1 << 20, "{held:?}");
    }
}
