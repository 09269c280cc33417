//! The namespaces of the level `isolated`, made by bubblewrap: a small program that has done nothing
//! else for ten years, and runs every Flatpak.
//!
//! It is never root. Where the executor is, the supervisor becomes the attempt's own user before, and so
//! what is in there is nobody on the machine, whatever it becomes in its namespaces.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

use super::{
    confine::{SYSTEM, etc},
    init,
    order::{Namespaces, Order},
};

/// The user and group that an attempt is in its own namespace.
pub const USER: u32 = 1000;

/// What the machine is called in there.
const HOST: &str = "nox";

/// Where the first process finds its program in there.
const INIT: &str = "/run/nox-init";

/// Where a thread of root's shows bubblewrap what lies behind folders that are closed to others; in a
/// mount namespace of that thread.
const STAGE: &str = "/tmp";

/// Where bubblewrap, and the script that it is unpacked with, find programs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What is said where an upgrade has replaced the program since the executor was started.
pub const REPLACED: &str = "the executor's program was replaced";

/// What an attempt is shown instead of the machine's own; no secrets, and the same for all.
const ETC: [(&str, &str); 4] = [
    (
        "passwd",
        "root:x:0:0:root:/:/bin/sh\nnox:x:1000:1000:nox:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    ),
    ("group", "root:x:0:\nnox:x:1000:\nnogroup:x:65534:\n"),
    ("hosts", "127.0.0.1 localhost nox\n::1 localhost\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];

/// Writes the files of `/etc` that attempts are shown, to `folder`.
pub fn write_etc(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, text) in ETC {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// Starts bubblewrap on this thread, and in its namespaces the first process. It ends when this thread
/// does. Returns the socket to that process.
pub fn start(order: &Order, namespaces: &Namespaces) -> io::Result<(Child, UnixStream)> {
    let mut sources = Sources::default();
    let arguments = arguments(order, namespaces, &own_program()?, &mut sources);
    let program = match namespaces.user {
        None => namespaces.bubblewrap.clone(),
        Some(_) => {
            let program = sources.add(namespaces.bubblewrap.clone(), true);
            sources.stage()?;
            program
        }
    };
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        // Whoever looks for what is left of the attempt finds this one, too.
        .envs(order.env.iter().filter(|(name, _)| name == crate::folder::MARK).cloned())
        .current_dir("/")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit());
    if let Some(user) = namespaces.user {
        // The standard library also leaves all other groups.
        command.uid(user).gid(user);
    }
    Ok((command.spawn()?, ours))
}

fn arguments(
    order: &Order,
    namespaces: &Namespaces,
    own_program: &Path,
    sources: &mut Sources,
) -> Vec<String> {
    let is_staged = namespaces.user.is_some();
    let mut text = |path: PathBuf| sources.add(path, is_staged).display().to_string();
    let mut arguments = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    let confinement = &order.confinement;
    add(&["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]);
    add(&["--unshare-cgroup-try", "--disable-userns", "--die-with-parent", "--new-session"]);
    if !confinement.network {
        add(&["--unshare-net"]);
    }
    let user = USER.to_string();
    add(&["--as-pid-1", "--uid", &user, "--gid", &user, "--hostname", HOST, "--cap-drop", "ALL"]);
    for folder in SYSTEM {
        match fs::read_link(folder) {
            Ok(target) => add(&["--symlink", &target.display().to_string(), folder]),
            Err(_) if Path::new(folder).is_dir() => add(&["--ro-bind", folder, folder]),
            Err(_) => {}
        }
    }
    for path in etc(confinement.network) {
        let path = path.display().to_string();
        add(&["--ro-bind", &path, &path]);
    }
    let own_etc = text(namespaces.etc.clone());
    for (name, _) in ETC {
        add(&["--ro-bind", &format!("{own_etc}/{name}"), &format!("/etc/{name}")]);
    }
    add(&["--proc", "/proc", "--dev", "/dev"]);
    for (folder, bytes) in [("/dev/shm", order.limits.shm_bytes), ("/tmp", order.limits.tmp_bytes)]
    {
        // Without a bound, 0, it would be half of the machine's memory.
        let bytes = bytes.max(4096).to_string();
        add(&["--perms", "1777", "--size", &bytes, "--tmpfs", folder]);
    }
    for path in &confinement.read {
        add(&["--ro-bind", &text(path.clone()), &path.display().to_string()]);
    }
    let folder = order.folder.display().to_string();
    add(&["--bind", &text(order.folder.clone()), &folder]);
    add(&["--ro-bind", &text(own_program.to_owned()), INIT]);
    // These were made in memory, and would be a place to write to.
    add(&["--remount-ro", "/dev", "--remount-ro", "/"]);
    add(&["--chdir", &folder, "--", INIT, init::ARGUMENT]);
    arguments
}

/// Where this very program is. The link itself would lead out of the namespace that it is shown in.
fn own_program() -> io::Result<PathBuf> {
    let own = fs::read_link("/proc/self/exe")?;
    if own.exists() {
        return Ok(own);
    }
    Err(io::Error::other(format!("{REPLACED}: start the executor again")))
}

/// What is to be seen in the namespaces.
#[derive(Debug, Default)]
struct Sources {
    paths: Vec<PathBuf>,
}

impl Sources {
    /// Returns the name under which bubblewrap finds `path`.
    fn add(&mut self, path: PathBuf, is_staged: bool) -> PathBuf {
        if !is_staged {
            return path;
        }
        self.paths.push(path);
        Path::new(STAGE).join(self.paths.len().to_string())
    }

    /// Shows all of them under those names, to this thread and what it starts.
    fn stage(&self) -> io::Result<()> {
        own_mounts()?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        // Before the stage is there, for some may lie below it; and only now, for what was opened before
        // is of other mounts.
        let opened = self.paths.iter().map(|path| {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let opened = openat(CWD, path, flags, Mode::empty());
            opened.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
        });
        let opened: Vec<OwnedFd> = opened.collect::<io::Result<_>>()?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", STAGE, "tmpfs", flags, Some(c"mode=755"))?;
        for (n, source) in opened.iter().enumerate() {
            let target = Path::new(STAGE).join((n + 1).to_string());
            let source = format!("/proc/thread-self/fd/{}", source.as_raw_fd());
            if fs::metadata(&source)?.is_dir() {
                fs::create_dir(&target)?;
            } else {
                File::create(&target)?;
            }
            mount_bind_recursive(&source, &target)?;
        }
        Ok(())
    }
}

/// Gives this thread a mount namespace of its own.
#[expect(unsafe_code, reason = "no safe function does it")]
fn own_mounts() -> io::Result<()> {
    // SAFETY: what is unsafe of it is a table of descriptors that threads no longer share; this does
    // not touch it.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?)
}
