//! Removing folders, whatever a program made of them: deeper than any stack, or closed to everybody.
//!
//! A folder is moved to a heap first, out of everybody's way, and so is each folder in it before that
//! is emptied in turn. There is never a path to walk down: two folders are open at a time, whatever
//! the depth, and what cannot be removed lies in the heap and stops nobody.

use std::{
    ffi::CStr,
    fs::{self, Permissions},
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, renameat, unlinkat},
    io::Errno,
};

/// Where folders lie that are to be removed.
#[derive(Debug, Clone)]
pub struct Heap {
    path: PathBuf,
}

impl Heap {
    /// The heap `path`, on the file system of the folders that it is for. It need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Moves `folder` to the heap; returns its name there. Takes no time, however much is in it.
    pub fn set_aside(&self, folder: &Path) -> io::Result<String> {
        fs::DirBuilder::new().recursive(true).create(&self.path)?;
        let name = folder.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
        // Moving a folder writes to it, too.
        open(CWD, folder)?;
        Ok(Moves { heap: open(CWD, &self.path)?, name, last: 0 }.take(CWD, folder)?)
    }

    /// Removes what lies in the heap as `name`, with all that is in it; no link is followed. Blocks.
    ///
    /// # Errors
    /// The first thing that could not be removed. Everything else is gone all the same.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let heap = open(CWD, &self.path)?;
        let mut removal = Removal {
            moves: Moves { heap: heap.try_clone()?, name, last: 0 },
            waiting: vec![name.to_owned()],
            error: None,
        };
        while let Some(name) = removal.waiting.pop() {
            let emptied = open(&heap, &*name).and_then(|folder| removal.empty(&folder));
            removal.note(emptied);
            removal.note(unlinkat(&heap, &*name, AtFlags::REMOVEDIR));
        }
        removal.error.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Removes all that lies in the heap, as far as that can be done. Blocks.
    pub fn clear(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if let Err(error) = self.remove(&name.to_string_lossy()) {
                let folder = entry.path();
                tracing::warn!(folder = %folder.display(), %error, "Cannot remove a folder");
            }
        }
    }
}

/// Moves to the heap, under names that begin alike.
struct Moves<'m> {
    heap: OwnedFd,
    name: &'m str,
    last: u64,
}

impl Moves<'_> {
    /// Moves `path` beneath `folder`; returns its new name.
    fn take(
        &mut self,
        folder: impl AsFd,
        path: impl rustix::path::Arg + Copy,
    ) -> Result<String, Errno> {
        loop {
            self.last += 1;
            let name = format!("{}-{}", self.name, self.last);
            match renameat(&folder, path, &self.heap, &*name) {
                Ok(()) => return Ok(name),
                // Left there by an earlier removal; an empty folder is simply replaced.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

struct Removal<'r> {
    moves: Moves<'r>,
    /// Folders in the heap that have yet to be emptied.
    waiting: Vec<String>,
    error: Option<Errno>,
}

impl Removal<'_> {
    /// Removes the files in `folder`, and moves the folders in it to the heap.
    fn empty(&mut self, folder: &OwnedFd) -> Result<(), Errno> {
        let mut entries = Dir::read_from(folder)?;
        loop {
            let mut taken = 0;
            while let Some(entry) = entries.read() {
                let entry = entry?;
                let name = entry.file_name();
                if name != c"." && name != c".." {
                    let outcome = self.take_out(folder, name);
                    taken += usize::from(outcome.is_ok());
                    self.note(outcome);
                }
            }
            // Some file systems skip entries while others are taken out.
            if taken == 0 {
                return Ok(());
            }
            entries.rewind();
        }
    }

    fn take_out(&mut self, folder: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        match unlinkat(folder, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {
                open(folder, name)?;
                self.waiting.push(self.moves.take(folder, name)?);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Remembers what went wrong first. What is gone already is as good as removed.
    fn note(&mut self, outcome: Result<(), Errno>) {
        if let Err(error) = outcome
            && error != Errno::NOENT
        {
            self.error.get_or_insert(error);
        }
    }
}

/// Opens a folder of ours that may have been closed to everybody, its owner included.
fn open(parent: impl AsFd, path: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = openat(parent, path, flags | OFlags::PATH, Mode::empty())?;
    // Through the descriptor, for by its name this would follow a link. If it is not ours to open,
    // the next line says so.
    let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
    let _ = fs::set_permissions(itself, Permissions::from_mode(0o700));
    openat(&found, c".", flags | OFlags::RDONLY, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::{
        fs::mkdirat,
        thread::{CapabilitySet, capabilities, set_capabilities},
    };
    use tempfile::TempDir;

    use super::*;

    fn place() -> (TempDir, PathBuf, Heap) {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let heap = Heap::new(place.path().join("heap"));
        (place, folder, heap)
    }

    fn remove(folder: &Path, heap: &Heap) -> io::Result<()> {
        heap.remove(&heap.set_aside(folder)?)
    }

    fn left(heap: &Heap) -> usize {
        fs::read_dir(&heap.path).unwrap().count()
    }

    /// With a small stack, for a folder that is too deep for a usual one takes long to make.
    #[test]
    fn a_folder_deeper_than_the_stack_is_removed() {
        let (_place, folder, heap) = place();
        let mut at = open(CWD, &folder).unwrap();
        for _ in 0..5_000 {
            mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = open(&at, "d").unwrap();
        }
        drop(at);
        let removal = std::thread::Builder::new().stack_size(128 * 1024).spawn({
            let (folder, heap) = (folder.clone(), heap.clone());
            move || remove(&folder, &heap)
        });
        removal.unwrap().join().unwrap().unwrap();
        assert!(!folder.exists());
        assert_eq!(left(&heap), 0);
    }

    /// As an ordinary user, whoever runs the test: this thread gives up what root may do beyond.
    #[test]
    fn a_folder_that_its_program_closed_is_removed() {
        let (_place, folder, heap) = place();
        fs::create_dir_all(folder.join("a/b/c")).unwrap();
        fs::write(folder.join("a/b/file"), "x").unwrap();
        for closed in ["a/b/c", "a/b", "a", ""] {
            let mode = Permissions::from_mode(if closed == "a" { 0o500 } else { 0 });
            fs::set_permissions(folder.join(closed), mode).unwrap();
        }
        let as_ordinary_user = std::thread::spawn({
            let heap = heap.clone();
            move || {
                let mut sets = capabilities(None).unwrap();
                sets.effective = CapabilitySet::empty();
                set_capabilities(None, sets).unwrap();
                let refused = fs::read_dir(&folder).unwrap_err().kind();
                (refused, remove(&folder, &heap).map_err(|error| error.kind()))
            }
        });
        let outcome = as_ordinary_user.join().unwrap();
        assert_eq!(outcome, (io::ErrorKind::PermissionDenied, Ok(())));
        assert_eq!(left(&heap), 0);
    }

    #[test]
    fn what_links_lead_to_stays() {
        let (place, folder, heap) = place();
        let other = place.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("file"), "x").unwrap();
        symlink(&other, folder.join("link")).unwrap();
        symlink("/nonexistent", folder.join("dangling")).unwrap();
        fs::create_dir(folder.join("wide")).unwrap();
        for n in 0..5_000 {
            fs::create_dir(folder.join(format!("wide/{n}"))).unwrap();
            fs::write(folder.join(format!("wide/{n}.txt")), "x").unwrap();
        }
        remove(&folder, &heap).unwrap();
        assert!(other.join("file").exists());
        assert_eq!(left(&heap), 0);
    }

    #[test]
    fn names_that_an_earlier_removal_left_are_in_nobodys_way() {
        let (_place, folder, heap) = place();
        for _ in 0..3 {
            fs::create_dir_all(folder.join("sub")).unwrap();
            heap.set_aside(&folder).unwrap();
        }
        assert_eq!(left(&heap), 3);
        heap.clear();
        assert_eq!(left(&heap), 0);
    }
}
