//! The `/etc` that isolated attempts see: one folder with what programs need of the machine's, copied, and names
//! that are the same everywhere. One folder is one mount; each part for itself would be two, and those were a
//! third of the time that namespaces take.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Mutex,
};

use super::confine::etc;

/// What is said of who is who; no secrets, and the same for all.
const NAMES: [(&str, &str); 4] = [
    (
        "passwd",
        "root:x:0:0:root:/:/bin/sh\nnox:x:1000:1000:nox:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    ),
    ("group", "root:x:0:\nnox:x:1000:\nnogroup:x:65534:\n"),
    ("hosts", "127.0.0.1 localhost nox\n::1 localhost\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];

/// Where the machine's own is shown, to those to whom the network is granted.
pub const RESOLVER: &str = "resolv.conf";

/// Folders in folders of the machine's, at most; its own are three deep.
const DEPTH_MAX: usize = 8;

/// The folder, made again where the machine's has changed.
#[derive(Debug)]
pub struct Etc {
    /// Holds one folder for each state of the machine's that there was.
    folder: PathBuf,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    /// Where each part was and when it was last changed.
    seen: Vec<(PathBuf, i64, i64)>,
    path: PathBuf,
    number: u64,
}

impl Etc {
    /// Makes copies below `folder`; what is left there of an earlier process goes.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, current: Mutex::new(None) }
    }

    /// Where the copy is. It is made once, and again when a part of the machine's has changed: attempts that
    /// run keep the one that they began with.
    pub fn current(&self) -> io::Result<PathBuf> {
        let mut current = self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let parts = etc(false);
        let seen: Vec<_> = parts
            .iter()
            .filter_map(|part| {
                let found = fs::metadata(part).ok()?;
                Some((part.clone(), found.mtime(), found.mtime_nsec()))
            })
            .collect();
        if let Some(current) = current.as_ref().filter(|current| current.seen == seen) {
            return Ok(current.path.clone());
        }
        let number = match current.as_ref() {
            Some(current) => current.number + 1,
            None => {
                let _ = fs::remove_dir_all(&self.folder);
                1
            }
        };
        let path = self.folder.join(number.to_string());
        copy(&parts, &path)?;
        *current = Some(Current { seen, path: path.clone(), number });
        Ok(path)
    }
}

/// What cannot be read is left out, as everything is that programs can do without.
fn copy(parts: &[PathBuf], to: &Path) -> io::Result<()> {
    make_folder(to)?;
    for part in parts {
        let Ok(name) = part.strip_prefix("/etc") else { continue };
        let target = to.join(name);
        if let Some(parent) = target.parent() {
            make_folder(parent)?;
        }
        // The part itself may be a link to where the machine keeps it.
        let source = fs::canonicalize(part)?;
        copy_tree(&source, &target, 0)?;
    }
    for (name, text) in NAMES.into_iter().chain([(RESOLVER, "")]) {
        fs::write(to.join(name), text)?;
        fs::set_permissions(to.join(name), Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn copy_tree(source: &Path, target: &Path, depth: usize) -> io::Result<()> {
    let found = fs::symlink_metadata(source)?;
    if found.is_symlink() {
        return symlink(fs::read_link(source)?, target);
    }
    if found.is_file() {
        // Also the permissions.
        return match fs::copy(source, target) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            copied => copied.map(drop),
        };
    }
    if !found.is_dir() || depth == DEPTH_MAX {
        return Ok(());
    }
    make_folder(target)?;
    for entry in fs::read_dir(source).into_iter().flatten().flatten() {
        copy_tree(&entry.path(), &target.join(entry.file_name()), depth + 1)?;
    }
    Ok(())
}

/// One that everybody may look into, whatever the mask of new files.
fn make_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_etc_is_what_programs_need_and_names_of_nobody() {
        let place = tempfile::tempdir().unwrap();
        let made = Etc::new(place.path().join("etc"));
        let path = made.current().unwrap();
        let names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        for (name, text) in NAMES {
            assert_eq!(fs::read_to_string(path.join(name)).unwrap(), text);
        }
        assert!(!names.iter().any(|name| name == "shadow" || name == "hostname"), "{names:?}");
        if Path::new("/etc/ld.so.cache").exists() {
            let cache = fs::read(path.join("ld.so.cache")).unwrap();
            assert_eq!(cache, fs::read("/etc/ld.so.cache").unwrap());
        }
        // The same as long as nothing changes.
        assert_eq!(made.current().unwrap(), path);
        // The control: what was seen is not what is there.
        made.current.lock().unwrap().as_mut().unwrap().seen.clear();
        assert_ne!(made.current().unwrap(), path);
        assert!(path.join("passwd").exists(), "attempts that run still have it");
    }
}
