//! What each layer is for: ways out that succeed as soon as it alone is taken away.

use nox_executor::sandbox::{Level, fault::Fault};

/// Layers, and ways out of a level that nothing else closes.
pub struct Missed {
    pub faults: &'static [Fault],
    pub level: Level,
    pub succeed: &'static [&'static str],
}

const fn missed(
    faults: &'static [Fault],
    level: Level,
    succeed: &'static [&'static str],
) -> Missed {
    Missed { faults, level, succeed }
}

pub const MISSED: &[Missed] = &[
    missed(
        &[Fault::Namespaces],
        Level::Isolated,
        &[
            "another job's file",
            "keys of the system",
            "sight of another process",
            "the machine's name",
        ],
    ),
    missed(&[Fault::Seccomp], Level::Isolated, &["netlink to the firewall", "no filter of calls"]),
    missed(
        &[Fault::Seccomp],
        Level::Process,
        &["datagram to the machine", "netlink about sockets"],
    ),
    missed(&[Fault::Landlock], Level::Process, &["another job's file"]),
    missed(&[Fault::Landlock], Level::Isolated, &["signal to the supervisor"]),
    missed(&[Fault::Rlimits], Level::Process, &["higher limit of its own"]),
    missed(&[Fault::Rlimits], Level::Isolated, &["higher limit of its own"]),
    missed(&[Fault::Cgroup], Level::Process, &["more memory than it asked for"]),
    missed(&[Fault::Cgroup], Level::Isolated, &["more memory than it asked for"]),
    // Who is no root has none, and namespaces drop them as well.
    missed(&[Fault::Capabilities, Fault::User], Level::Process, &["capabilities"]),
    // Another user's processes cannot be signalled, nor can what is outside of Landlock's domain.
    missed(&[Fault::Landlock, Fault::User], Level::Process, &["signal to the executor"]),
    // Landlock and seccomp each set the bit for themselves, and bubblewrap does in namespaces: at
    // `isolated` nothing but all of them is missed.
    missed(
        &[Fault::NoNewPrivs, Fault::Landlock, Fault::Seccomp],
        Level::Process,
        &["new privileges"],
    ),
];
