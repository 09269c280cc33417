//! Ways out of a sandbox that are known to be tried. Each script says `ESCAPED` if it succeeds, and does
//! no harm then.
//!
//! Words in double angle brackets stand for what the test has put there to be reached.

/// One way out.
pub struct Attack {
    pub name: &'static str,
    pub how: How,
    /// From which level on it must not succeed.
    pub closed: Closed,
    /// Who succeeds with it where nothing shuts them in: the control, which shows that the attack is one.
    pub control: Control,
}

pub enum How {
    /// Succeeds if this shell command does.
    Shell(&'static str),
    /// Succeeds if the machine has this file afterwards.
    Plant(&'static str),
    /// Succeeds if this Python statement raises nothing, and `ok` is not false.
    Python(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    Process,
    Isolated,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Control {
    Anybody,
    Root,
    /// It is shut in everywhere, would do harm, or depends on the machine.
    Nobody,
}

use self::Closed::{Isolated, Process};
use self::Control::{Anybody, Nobody, Root};
use self::How::{Plant, Python, Shell};

const fn attack(name: &'static str, how: How, closed: Closed, control: Control) -> Attack {
    Attack { name, how, closed, control }
}

pub const ATTACKS: &[Attack] = &[
    // Files.
    attack("another job's file", Shell("cat <<other>>/secret"), Process, Anybody),
    attack("list of other jobs", Shell("ls <<data>>/attempts | grep other"), Process, Anybody),
    attack("write to another job", Plant("<<other>>/planted"), Process, Anybody),
    attack("another user's artifact", Shell("cat <<artifacts>>/secret"), Process, Anybody),
    attack("planted artifact", Plant("<<artifacts>>/planted"), Process, Anybody),
    attack("keys of the system", Shell("cat <<key>>"), Process, Anybody),
    attack("own journal with its token", Shell("cat ../attempt.json"), Process, Anybody),
    attack("beside the own folder", Plant("<<data>>/attempts/planted"), Process, Anybody),
    attack(
        "own folder renamed",
        Shell("mv ../work ../moved && mv ../moved ../work"),
        Process,
        Anybody,
    ),
    attack("file of /tmp outside", Plant("<<outside>>/planted"), Process, Anybody),
    attack("link to another job", Shell("ln -s <<other>>/secret l && cat l"), Process, Anybody),
    attack("hard link to a key", Shell("ln <<key>> hard && cat hard"), Process, Anybody),
    attack("shadow", Shell("head -c1 /etc/shadow"), Process, Root),
    attack("root's home", Shell("cat /root/.profile || cat /root/.bashrc"), Process, Root),
    attack("write to /usr", Shell("touch /usr/nox-escape && rm /usr/nox-escape"), Process, Root),
    attack("write to /etc", Shell("touch /etc/nox-escape && rm /etc/nox-escape"), Process, Root),
    attack("write to /", Shell("touch /nox-escape && rm /nox-escape"), Process, Root),
    attack("write to /dev", Shell("touch /dev/nox-escape && rm /dev/nox-escape"), Process, Root),
    attack("write to /run", Shell("touch /run/nox-escape && rm /run/nox-escape"), Process, Root),
    attack("write to /dev/shm that stays", Plant("/dev/shm/<<mark>>"), Process, Anybody),
    attack(
        "block device node",
        Python("import os, stat; os.mknod('n', stat.S_IFBLK | 0o600, os.makedev(7, 0))"),
        Process,
        Root,
    ),
    attack(
        "raw disk",
        Shell("for d in /dev/vd? /dev/sd? /dev/nvme?n?; do head -c1 $d && exit 0; done; exit 1"),
        Process,
        Nobody,
    ),
    attack(
        "memory of the machine",
        Shell("head -c1 /dev/mem || head -c1 /dev/kmem || head -c1 /proc/kcore"),
        Process,
        Nobody,
    ),
    attack("chroot", Python("import os; os.chroot('.')"), Process, Root),
    attack("root of process 1", Shell("cat /proc/1/root<<key>>"), Process, Nobody),
    attack("root of the executor", Shell("cat /proc/<<executor>>/root<<key>>"), Process, Anybody),
    attack("folder of the executor", Shell("ls /proc/<<executor>>/cwd/"), Process, Anybody),
    attack(
        "descriptors of the executor",
        Shell("readlink /proc/<<executor>>/fd/0"),
        Process,
        Anybody,
    ),
    attack("descriptors of the parent", Shell("readlink /proc/$PPID/fd/0"), Process, Anybody),
    attack(
        "descriptors left open",
        Python("import os; ok = [f for f in os.listdir('/proc/self/fd') if int(f) > 3]"),
        Process,
        Nobody,
    ),
    attack(
        "setuid through a file of its own",
        Shell("cp /usr/bin/id i && chmod 4755 i && grep -q 'NoNewPrivs:.0' /proc/self/status"),
        Process,
        Nobody,
    ),
    // Processes.
    attack("signal to another process", Shell("kill -CONT <<victim>>"), Process, Anybody),
    attack("signal to the executor", Shell("kill -CONT <<executor>>"), Process, Anybody),
    // Not SIGCONT, which may be sent to whoever is in the same session, and does nothing to who runs.
    attack("signal to the supervisor", Shell("kill -0 $PPID"), Process, Anybody),
    attack(
        "signal to a thread of the supervisor",
        Python(
            "import os; p = os.getppid(); ok = [t for t in os.listdir(f'/proc/{p}/task') if call(234, p, int(t), 0) == 0]",
        ),
        Process,
        Anybody,
    ),
    attack("sight of another process", Shell("test -d /proc/<<victim>>"), Isolated, Anybody),
    attack(
        "environment of the executor",
        Shell("head -c1 /proc/<<executor>>/environ"),
        Process,
        Anybody,
    ),
    attack("memory of the executor", Shell("head -c1 /proc/<<executor>>/maps"), Process, Anybody),
    attack(
        "memory of another process",
        Python("ok = open('/proc/<<victim>>/mem', 'rb')"),
        Process,
        Anybody,
    ),
    attack(
        "trace of another process",
        Python("ok = call(101, 0x4206, <<victim>>, 0, 0) == 0"),
        Process,
        Anybody,
    ),
    attack(
        "trace of the first process",
        Python("ok = call(101, 0x4206, 1, 0, 0) == 0"),
        Process,
        Nobody,
    ),
    attack(
        "signal by descriptor",
        Python(
            "import os, signal; signal.pidfd_send_signal(os.pidfd_open(<<victim>>), signal.SIGCONT)",
        ),
        Process,
        Anybody,
    ),
    attack(
        "priority of another process",
        Python("import os; os.setpriority(os.PRIO_PROCESS, <<victim>>, 5)"),
        Isolated,
        Root,
    ),
    attack(
        "processors of another process",
        Python("import os; os.sched_setaffinity(<<victim>>, os.sched_getaffinity(<<victim>>))"),
        Isolated,
        Anybody,
    ),
    attack(
        "limits of another process",
        Python("import resource; resource.prlimit(<<victim>>, resource.RLIMIT_CORE)"),
        Isolated,
        Anybody,
    ),
    attack(
        "higher limit of its own",
        Python("import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (9999, 9999))"),
        Process,
        Nobody,
    ),
    attack(
        "more memory than it asked for",
        Python(
            "import os; f = os.memfd_create('x'); ok = [os.write(f, bytes(1 << 20)) for i in range(200)]",
        ),
        Process,
        Nobody,
    ),
    attack(
        "no end by the memory killer",
        Shell("echo -900 > /proc/self/oom_score_adj"),
        Process,
        Nobody,
    ),
    attack(
        "handler of core dumps",
        Python("import os; os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY)"),
        Process,
        Root,
    ),
    attack(
        "orders to the kernel",
        Python("import os; os.open('/proc/sysrq-trigger', os.O_WRONLY)"),
        Process,
        Nobody,
    ),
    attack(
        "out of its cgroup",
        Shell(
            "for f in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do echo 0 > $f && exit 0; done; exit 1",
        ),
        Process,
        Root,
    ),
    attack(
        "typing into a terminal",
        Python("import fcntl; fcntl.ioctl(open('/dev/tty'), 0x5412, b'x')"),
        Process,
        Nobody,
    ),
    attack(
        "talk to the first process's supervisor",
        Python("import os; ok = os.readlink('/proc/1/fd/0')"),
        Process,
        Nobody,
    ),
    attack(
        "other program as first process",
        Python("import os; os.open('/run/nox-init', os.O_WRONLY)"),
        Process,
        Nobody,
    ),
    // Network.
    attack(
        "port of the machine",
        Python("import socket; socket.create_connection(('127.0.0.1', <<port>>), 2)"),
        Process,
        Anybody,
    ),
    attack(
        "datagram to the machine",
        Python(
            "import socket; s = socket.socket(2, 2); s.settimeout(1); s.sendto(b'x', ('127.0.0.1', <<udp>>)); ok = s.recv(1)",
        ),
        Process,
        Anybody,
    ),
    attack(
        "abstract socket",
        Python("import socket; socket.socket(1).connect('\\x00<<mark>>')"),
        Process,
        Anybody,
    ),
    attack(
        "socket in a folder",
        Python("import socket; socket.socket(1).connect('<<socket>>')"),
        Process,
        Anybody,
    ),
    attack(
        "interfaces of the machine",
        Python("import socket; ok = [n for _, n in socket.if_nameindex() if n != 'lo']"),
        Process,
        Nobody,
    ),
    attack(
        "routes of the machine",
        Python("ok = len(open('/proc/net/route').readlines()) > 1"),
        Isolated,
        Nobody,
    ),
    attack(
        "address of cloud metadata",
        Python("import socket; socket.create_connection(('169.254.169.254', 80), 1)"),
        Process,
        Nobody,
    ),
    attack("raw socket", Python("import socket; socket.socket(2, 3, 1)"), Process, Root),
    attack("packet socket", Python("import socket; socket.socket(17, 3, 0x300)"), Process, Root),
    attack(
        "netlink to the firewall",
        Python("import socket; socket.socket(16, 3, 12)"),
        Process,
        Anybody,
    ),
    attack(
        "netlink about sockets",
        Python("import socket; socket.socket(16, 3, 4)"),
        Process,
        Anybody,
    ),
    attack(
        "socket to the hypervisor",
        Python("import socket; socket.socket(40, 1, 0)"),
        Process,
        Nobody,
    ),
    attack(
        "ciphers of the kernel",
        Python("import socket; socket.socket(38, 5, 0)"),
        Process,
        Nobody,
    ),
    // Kernel.
    attack("user namespace", Python("ok = call(272, 0x10000000) == 0"), Process, Nobody),
    attack("mount namespace", Python("ok = call(272, 0x20000) == 0"), Process, Root),
    attack(
        "user namespace by clone",
        Python(
            "import os\np = call(56, 0x10000000 | 17, 0, 0, 0, 0)\nif p == 0: os._exit(0)\nok = p > 0",
        ),
        Process,
        Anybody,
    ),
    attack(
        "call as a 32-bit program",
        Python(
            "import mmap, ctypes\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(bytes.fromhex('53b814000000cd805bc3'))\nok = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))() > 0",
        ),
        Process,
        Nobody,
    ),
    attack("call by a second number", Python("ok = call(0x40000000 | 39) > 0"), Process, Nobody),
    // Identity.
    attack(
        "capabilities",
        Shell("grep -E 'Cap(Eff|Prm|Amb|Inh):.*[1-9a-f]' /proc/self/status"),
        Process,
        Root,
    ),
    attack(
        "bound of capabilities",
        Shell("grep -E 'CapBnd:.*[1-9a-f]' /proc/self/status"),
        Isolated,
        Anybody,
    ),
    attack("new privileges", Shell("grep -q 'NoNewPrivs:.0' /proc/self/status"), Process, Nobody),
    attack("no filter of calls", Shell("grep -q 'Seccomp:.0' /proc/self/status"), Process, Anybody),
    attack("root in its namespace", Shell("test $(id -u) = 0"), Isolated, Root),
    attack("become root", Python("import os; os.setresuid(0, 0, 0)"), Isolated, Root),
    attack("become somebody else", Python("import os; os.setresuid(1, 1, 1)"), Process, Root),
    attack(
        "groups of the executor",
        Shell("grep -E 'Groups:.*[1-9]' /proc/self/status"),
        Isolated,
        Nobody,
    ),
    attack("environment with a secret", Shell("env | grep -q NOX_TEST_SECRET"), Process, Nobody),
    attack(
        "its files open to others",
        Shell("touch f && test $(stat -c %a f) != 600"),
        Process,
        Nobody,
    ),
    attack("the machine's name", Shell("test $(uname -n) = <<host>>"), Isolated, Anybody),
];

/// Calls of the kernel that are refused before their arguments are looked at: with such as these, the
/// kernel would complain about them. Numbers of x86-64.
pub const CALLS: &[(&str, &str)] = &[
    ("mount", "165, 0, 0, 0, 0, 0"),
    ("umount2", "166, 0, -1"),
    ("pivot_root", "155, 0, 0"),
    ("setns", "308, -1, 0"),
    ("fsopen", "430, 0, -1"),
    ("fsconfig", "431, -1, -1, 0, 0, 0"),
    ("fsmount", "432, -1, -1, -1"),
    ("fspick", "433, -1, 0, -1"),
    ("move_mount", "429, -1, 0, -1, 0, -1"),
    ("open_tree", "428, -1, 0, -1"),
    ("mount_setattr", "442, -1, 0, -1, 0, 0"),
    ("process_vm_readv", "310, -1, 0, 0, 0, 0, -1"),
    ("process_vm_writev", "311, -1, 0, 0, 0, 0, -1"),
    ("pidfd_getfd", "438, -1, -1, 0"),
    ("kcmp", "312, -1, -1, -1, 0, 0"),
    ("open_by_handle_at", "304, -1, 0, 0"),
    ("bpf", "321, -1, 0, 0"),
    ("perf_event_open", "298, 0, -1, -1, -1, -1"),
    ("userfaultfd", "323, -1"),
    ("init_module", "175, 0, 0, 0"),
    ("finit_module", "313, -1, 0, -1"),
    ("delete_module", "176, 0, 0"),
    ("kexec_load", "246, 0, 0, 0, -1"),
    ("add_key", "248, 0, 0, 0, 0, 0"),
    ("request_key", "249, 0, 0, 0, 0"),
    ("keyctl", "250, -1, 0, 0, 0, 0"),
    ("adjtimex", "159, 0"),
    ("clock_settime", "227, -1, 0"),
    ("fanotify_init", "300, -1, -1"),
    ("reboot", "169, 0, 0, 0, 0"),
    ("swapon", "167, 0, -1"),
    ("swapoff", "168, 0"),
    ("sethostname", "170, 0, 1"),
    ("syslog", "103, -1, 0, 0"),
    ("io_uring_setup", "425, 0, 0"),
    ("io_uring_enter", "426, -1, 0, 0, 0, 0, 0"),
    ("clone3", "435, 0, 0"),
    ("iopl", "172, 9"),
    ("ioperm", "173, -1, 0, 0"),
];
