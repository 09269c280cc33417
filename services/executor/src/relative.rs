//! Files beneath a work directory. None of their names leads out of it.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

pub use nox_manifest::relative::{Glob, RelativePath, matches};
use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat2},
    path::Arg,
};

/// Opens `path` beneath `folder`. The kernel refuses whatever would lead out of it, and every link.
pub fn open_beneath(folder: impl AsFd, path: impl Arg, flags: OFlags) -> io::Result<OwnedFd> {
    // Without O_NONBLOCK, opening a FIFO would wait for its other end.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(folder, path, flags, Mode::empty(), resolve)?)
}
