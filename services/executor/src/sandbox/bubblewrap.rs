//! The namespaces of the level `isolated`, made by bubblewrap: a small program that has done nothing
//! else for ten years, and runs every Flatpak.
//!
//! It is never root. Where the executor is, the supervisor becomes the attempt's own user before, and so
//! what is in there is nobody on the machine, whatever it becomes in its namespaces.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{
    confine::SYSTEM,
    etc::RESOLVER,
    init,
    order::{Namespaces, Order},
    stage::{Numbered, is_closed},
};

/// The user and group that an attempt is in its own namespace.
pub const USER: u32 = 1000;

/// What the machine is called in there.
const HOST: &str = "nox";

/// Where the first process finds its program in there.
const INIT: &str = "/run/nox-init";

/// Where bubblewrap, and the script that it is unpacked with, find programs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What is said where an upgrade has replaced the program since the executor was started.
pub const REPLACED: &str = "the executor's program was replaced";

/// Starts bubblewrap on this thread, and in its namespaces the first process. It ends when this thread
/// does. Returns the socket to that process.
pub fn start(order: &Order, namespaces: &Namespaces) -> io::Result<(Child, UnixStream)> {
    let own = own_program()?;
    // Another user may be unable to reach what it is to be shown; making a stage takes about a millisecond.
    let needs_stage = order.confinement.user.is_some_and(|user| {
        let named = [&namespaces.bubblewrap, &namespaces.etc, &order.folder, &own];
        named.into_iter().chain(&order.confinement.read).any(|path| is_closed(path, user))
    });
    let mut stage = needs_stage.then(Numbered::default);
    let mut shown = |path: &Path| match &mut stage {
        Some(stage) => stage.add(path.to_owned()),
        None => path.to_owned(),
    };
    let arguments = arguments(order, namespaces, &own, &mut shown);
    let program = shown(&namespaces.bubblewrap);
    if let Some(stage) = stage {
        stage.show()?;
    }
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        // Whoever looks for what is left of the attempt finds this one, too.
        .envs(order.env.iter().filter(|(name, _)| name == crate::folder::MARK).cloned())
        .current_dir("/")
        // By it they are killed together, as long as its first process has no session of its own yet.
        .process_group(0)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit());
    if let Some(user) = order.confinement.user {
        // The standard library also leaves all other groups.
        command.uid(user).gid(user);
    }
    Ok((command.spawn()?, ours))
}

fn arguments(
    order: &Order,
    namespaces: &Namespaces,
    own_program: &Path,
    shown: &mut impl FnMut(&Path) -> PathBuf,
) -> Vec<String> {
    let mut text = |path: &Path| shown(path).display().to_string();
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
    add(&["--ro-bind", &text(&namespaces.etc), "/etc"]);
    if confinement.network {
        let resolver = format!("/etc/{RESOLVER}");
        add(&["--ro-bind-try", &resolver, &resolver]);
    }
    add(&["--proc", "/proc", "--dev", "/dev"]);
    for (folder, bytes) in [("/dev/shm", order.limits.shm_bytes), ("/tmp", order.limits.tmp_bytes)]
    {
        // Without a bound, 0, it would be half of the machine's memory.
        let bytes = bytes.max(4096).to_string();
        add(&["--perms", "1777", "--size", &bytes, "--tmpfs", folder]);
    }
    for path in &confinement.read {
        add(&["--ro-bind", &text(path), &path.display().to_string()]);
    }
    let folder = order.folder.display().to_string();
    add(&["--bind", &text(&order.folder), &folder]);
    add(&["--ro-bind", &text(own_program), INIT]);
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
