//! Version 1 is tried by the tests of limits and stops, on machines that have it. Of version 2, what a kernel gives
//! without controllers is tried where it is mounted, and the rest against folders of that shape: they take what is
//! written, and bound nothing.

use std::process::{Child, Command};

use super::*;

#[test]
fn the_own_group_is_found_in_both_versions_and_in_containers() {
    let mounts = "\
25 30 0:22 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
26 30 0:23 /docker/abc /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids\n\
27 30 0:24 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    let own = "8:pids:/docker/abc/x\n4:memory:/a/b\n0::/user.slice\n";
    let found = |version, controller| own_folder(mounts, own, version, controller);
    let at = |path: &str| Some(PathBuf::from(path));
    assert_eq!(found(Version::V1, "memory"), at("/sys/fs/cgroup/memory/a/b"));
    assert_eq!(found(Version::V1, "pids"), at("/sys/fs/cgroup/pids/x"));
    assert_eq!(found(Version::V2, "memory"), at("/sys/fs/cgroup/unified/user.slice"));
    assert_eq!(found(Version::V1, "cpu"), None);
}

#[test]
fn a_count_is_found_by_its_whole_name() {
    let events = "low 1\noom 2\noom_kill 3\noom_group_kill 4\n";
    assert_eq!(value(events, "oom_kill"), 3);
    assert_eq!(value(events, "oom"), 2);
    assert_eq!(value(events, "max"), 0);
}

/// A folder that looks like a group of version 2 which was delegated to this process.
fn delegated(processes: &str) -> (tempfile::TempDir, Base) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cgroup.controllers"), "cpuset cpu io memory pids").unwrap();
    fs::write(folder.path().join("cgroup.procs"), processes).unwrap();
    let path = folder.path().to_owned();
    (folder, Base { version: Version::V2, memory: path.clone(), pids: path })
}

#[test]
fn version_2_is_taken_where_it_has_the_controllers() {
    let (folder, _) = delegated("");
    let path = folder.path().display();
    let mounts = format!(
        "24 30 0:24 / {path} rw - cgroup2 cgroup2 rw\n\
         25 30 0:25 / /m rw - cgroup cgroup rw,memory\n\
         26 30 0:26 / /p rw - cgroup cgroup rw,pids\n"
    );
    let own = "8:pids:/\n4:memory:/\n0::/\n";
    let versions = || places(&mounts, own).iter().map(Base::version).collect::<Vec<_>>();
    assert_eq!(versions(), [2, 1]);
    fs::write(folder.path().join("cgroup.controllers"), "cpuset cpu io").unwrap();
    assert_eq!(versions(), [1]);
}

#[test]
fn a_group_of_version_2_is_written_as_the_kernel_wants_it() {
    let (folder, base) = delegated("");
    // What a kernel has in each group and this folder has not.
    let own = folder.path().join("nox/probe");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("memory.events"), "low 0\noom 0\noom_kill 0\n").unwrap();
    fs::write(own.join("pids.events"), "max 0\n").unwrap();
    let base = base.begin("nox").unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("cgroup.subtree_control"), "+memory +pids");
    assert_eq!(read("nox/cgroup.subtree_control"), "+memory +pids");

    let group = base.group("job.1");
    group.make(&Limits::of_a_trial()).unwrap();
    let bytes = (64u64 << 20) + MEMORY_BYTES_SPARE;
    assert_eq!(read("nox/job.1/memory.max"), bytes.to_string());
    assert_eq!(read("nox/job.1/memory.swap.max"), "0");
    assert_eq!(read("nox/job.1/memory.oom.group"), "1");
    assert_eq!(read("nox/job.1/pids.max"), (64 + PROCESSES_SPARE).to_string());
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("nox/job.1/memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\n");
    write("nox/job.1/pids.events", "max 3\n");
    write("nox/job.1/memory.current", "4096\n");
    assert_eq!(group.refused().unwrap(), Refused { memory: 1, processes: 3 });
    assert_eq!(group.memory(), Some(4096));
    write("nox/job.1/cgroup.procs", "0\n41\n42\n");
    assert_eq!(group.processes(), [41, 42]);
    // The numbers are not this process's to kill: the kernel is told to, and nobody else.
    assert_eq!(group.kill(), 2);
    assert_eq!(read("nox/job.1/cgroup.kill"), "1");
    assert_eq!(read("nox/job.1/pids.max"), "0");
}

#[test]
fn a_group_with_others_in_it_is_not_divided() {
    let (folder, _) = delegated("1\n");
    // Neither root nor anybody else can write to it as it is.
    fs::create_dir(folder.path().join("cgroup.subtree_control")).unwrap();
    let refused = own_leaf(folder.path()).unwrap_err();
    assert!(refused.to_string().contains("other processes"), "{refused}");
}

/// Kills and removes a group of the kernel's version 2, which needs no controllers.
#[test]
fn everybody_in_a_group_of_version_2_is_killed_at_once() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let Some(own) = own_folder(&mounts, &own, Version::V2, "") else {
        println!("skipped: no group of version 2 is mounted");
        return;
    };
    let path = own.join(format!("nox-test-{}", std::process::id()));
    if let Err(error) = fs::create_dir(&path) {
        println!("skipped: {}: {error}", path.display());
        return;
    }
    let group = Cgroup { version: Version::V2, memory: path.clone(), pids: path.clone() };
    let script = "setsid sleep 600 & sleep 600 & kill -STOP $$; wait";
    let mut children: Vec<Child> = Vec::new();
    for _ in 0..2 {
        let wait = format!("until grep -q nox-test- /proc/self/cgroup; do :; done; {script}");
        let child = Command::new("sh").args(["-c", &wait]).spawn().unwrap();
        fs::write(path.join("cgroup.procs"), child.id().to_string()).unwrap();
        children.push(child);
    }
    while group.processes().len() < 6 {
        thread::sleep(LOOK_AGAIN);
    }
    assert!(group.kill_all() >= 6);
    assert_eq!(group.processes(), [0i32; 0]);
    for mut child in children {
        assert!(!child.wait().unwrap().success());
    }
    group.remove();
    assert!(!path.exists());
}
