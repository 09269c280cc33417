//! Who on this machine has what somebody else wants, as far as `/proc` tells: others' processes are told to
//! root alone.

use std::{fmt, net::SocketAddr, os::unix::fs::MetadataExt, path::Path};

use procfs::{
    Current, LockType, Locks,
    net::TcpState,
    process::{FDTarget, Process, all_processes},
};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: i32,
    pub program: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.program, self.pid)
    }
}

/// Who listens at the address, or at its port at all addresses.
pub fn of_address(address: SocketAddr) -> Option<Holder> {
    let sockets = [procfs::net::tcp(), procfs::net::tcp6()];
    let is_it = |local: SocketAddr| {
        let (asked, taken) = (address.ip().to_canonical(), local.ip().to_canonical());
        let same = asked == taken || asked.is_unspecified() || taken.is_unspecified();
        local.port() == address.port() && same
    };
    let inode = sockets.into_iter().flatten().flatten().find_map(|socket| {
        let is_taken = socket.state == TcpState::Listen && is_it(socket.local_address);
        is_taken.then_some(socket.inode)
    })?;
    let has = |process: &Process| {
        process.fd().is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|file| file.target == FDTarget::Socket(inode)))
        })
    };
    all_processes().ok()?.flatten().find(has).and_then(|process| holder(&process))
}

/// Who has locked the file.
pub fn of_lock(file: &Path) -> Option<Holder> {
    let inode = file.metadata().ok()?.ino();
    let locks = Locks::current().ok()?.0;
    let lock =
        locks.into_iter().find(|lock| lock.inode == inode && lock.lock_type == LockType::FLock);
    holder(&Process::new(lock?.pid?).ok()?)
}

fn holder(process: &Process) -> Option<Holder> {
    // The name of the program's file; the first word of its command line says less where it is a script's.
    let file = process.exe().ok().and_then(|path| path.file_name()?.to_str().map(str::to_owned));
    let program = file.or_else(|| process.stat().ok().map(|stat| stat.comm))?;
    Some(Holder { pid: process.pid, program })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_and_who_has_locked_is_named() {
        let own = i32::try_from(std::process::id()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(of_address(address).unwrap().pid, own);
        let anywhere = SocketAddr::new("0.0.0.0".parse().unwrap(), address.port());
        assert_eq!(of_address(anywhere).unwrap().pid, own);
        drop(listener);
        assert_eq!(of_address(address), None);

        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(of_lock(file.path()), None);
        file.as_file().lock().unwrap();
        let holder = of_lock(file.path()).unwrap();
        assert_eq!(holder.pid, own);
        assert!(holder.to_string().contains("noxctl"), "{holder}");
    }
}
