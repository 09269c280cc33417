//! Shutting in the thread that is about to start an attempt's program: whatever holds for the thread
//! holds for what it starts, and not for the process that it belongs to.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::{
    process::{Gid, Uid, geteuid},
    thread::{
        CapabilitySet, CapabilitySets, clear_ambient_capability_set,
        remove_capability_from_bounding_set, set_capabilities, set_thread_groups,
        set_thread_res_gid, set_thread_res_uid,
    },
};

use super::{
    Level,
    fault::Fault,
    landlock::{self, Reach},
    order::Order,
    seccomp::{self, Calls},
    stage::show_in_place,
};

/// The system's folders: programs, libraries, and what belongs to them.
pub const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// The parts of /etc that programs need. The rest of it may be what only root should know.
const ETC: [&str; 19] = [
    "alternatives",
    "ca-certificates.conf",
    "fonts",
    "gai.conf",
    "host.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "magic",
    "mime.types",
    "openmpi",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];

/// Those that say who is who, which the level `isolated` makes for itself.
const ETC_NAMES: [&str; 4] = ["group", "hosts", "nsswitch.conf", "passwd"];

/// Those that say how names are found, where the machine's network is granted.
const ETC_NETWORK: &str = "resolv.conf";

/// The parts of /etc that are there.
pub fn etc(network: bool) -> Vec<PathBuf> {
    let mut names: Vec<String> = ETC.map(str::to_owned).to_vec();
    if network {
        names.push(ETC_NETWORK.to_owned());
    }
    // Python's folders have its version in their names.
    let entries = fs::read_dir("/etc").into_iter().flatten().flatten();
    let entries = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.extend(entries.filter(|name| name.starts_with("python")));
    let paths = names.iter().map(|name| Path::new("/etc").join(name));
    paths.filter(|path| path.exists()).collect()
}

/// Shuts the calling thread in as far as the order's level says that a thread is to be.
///
/// # Errors
/// A layer that the level needs is not there.
pub fn confine(order: &Order) -> io::Result<()> {
    let confinement = &order.confinement;
    let reach = match confinement.level {
        Level::None => return Ok(()),
        Level::Process => {
            if let Some(user) = confinement.user {
                let program = [order.program.as_path(), &order.folder];
                let shown: Vec<&Path> =
                    confinement.read.iter().map(PathBuf::as_path).chain(program).collect();
                show_in_place(&shown, user)?;
                bound_capabilities();
                become_user(user)?;
            }
            if confinement.has(Fault::Capabilities) {
                give_up_capabilities()?;
            }
            let mut read: Vec<PathBuf> = SYSTEM.map(PathBuf::from).to_vec();
            read.extend(etc(confinement.network));
            read.extend(ETC_NAMES.map(|name| Path::new("/etc").join(name)));
            read.extend(["/proc".into(), "/sys/devices/system".into()]);
            read.extend(confinement.read.iter().cloned());
            Reach { read, write: vec![&order.folder], tcp: confinement.network }
        }
        // In there is only what may be read, and the network is its own.
        Level::Isolated => Reach {
            read: vec!["/".into()],
            write: vec![&order.folder, Path::new("/tmp"), Path::new("/dev/shm")],
            tcp: true,
        },
    };
    let has_landlock = confinement.landlock || confinement.level == Level::Process;
    if has_landlock && confinement.has(Fault::Landlock) {
        landlock::restrict(&reach).map_err(io::Error::other)?;
    }
    if !confinement.has(Fault::Seccomp) {
        return Ok(());
    }
    let calls = Calls {
        level: confinement.level,
        network: confinement.network,
        counted: confinement.cgroup.is_some(),
    };
    seccomp::apply(calls).map_err(io::Error::other)
}

/// Root without capabilities owns root's files, and may do nothing else that others may not.
fn give_up_capabilities() -> io::Result<()> {
    if geteuid().is_root() {
        bound_capabilities();
    }
    let none = CapabilitySet::empty();
    clear_ambient_capability_set()?;
    Ok(set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?)
}

/// No program that this thread starts gets a capability again.
fn bound_capabilities() {
    for capability in CapabilitySet::all() {
        // Of one that this kernel does not know, there is none to give up.
        let _ = remove_capability_from_bounding_set(capability);
    }
}

/// Makes the calling thread, and what it starts, a user that nobody else is, in that user's own group. For
/// good: with root's number, its capabilities go.
pub fn become_user(user: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    Ok(set_thread_res_uid(uid, uid, uid)?)
}
