//! Calls of the kernel that no engine needs, and that escapes are made of: refused, with the error of a
//! kernel that does not allow or does not have them.
//!
//! A list of what is refused, not of what is allowed: strangers' programs call what they like, and what
//! keeps them in are namespaces and Landlock. This closes ways around those, and doors to code of the
//! kernel that few look at.

use std::{collections::BTreeMap, env::consts::ARCH};

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter, sock_filter,
};

use super::Level;

/// What a filter depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    pub level: Level,
    /// Whether the program may use the machine's network.
    pub network: bool,
    /// Whether memory that belongs to no process is counted, as a cgroup does.
    pub counted: bool,
}

/// Refused with EPERM, whatever the arguments.
const FORBIDDEN: &[c_long] = &[
    // Mounts, roots and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    // Other processes' memory and files.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // Code in the kernel.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    // Keys are of a user, not of a namespace.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The machine's own affairs.
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_settimeofday,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_vhangup,
];

/// The same, where only this architecture has them.
#[cfg(target_arch = "x86_64")]
const FORBIDDEN_HERE: &[c_long] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_kexec_file_load,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const FORBIDDEN_HERE: &[c_long] = &[];

/// Refused with ENOSYS, so that programs do what they do on older kernels: the arguments of `clone3`
/// are out of a filter's sight, and what `io_uring` does is done out of every filter's sight.
const ABSENT: &[c_long] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Memory that belongs to no process, and that nobody but a cgroup counts.
const UNCOUNTED: &[c_long] = &[libc::SYS_memfd_create, libc::SYS_memfd_secret];

/// What outlives its processes where they have no namespace of their own for it.
const OUTLIVING: &[c_long] =
    &[libc::SYS_shmget, libc::SYS_msgget, libc::SYS_semget, libc::SYS_mq_open];

const NEW_NAMESPACES: &[i32] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    0x80, // CLONE_NEWTIME, which is not in every libc
];

/// Types a line into the terminal as if its user had.
const TERMINAL_INPUT: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Refuses these calls to the calling thread, and to all that it starts.
pub fn apply(calls: Calls) -> Result<(), String> {
    for program in programs(calls)? {
        apply_filter(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn programs(calls: Calls) -> Result<Vec<BpfProgram>, String> {
    let mut forbidden: BTreeMap<c_long, Vec<SeccompRule>> = BTreeMap::new();
    for call in FORBIDDEN.iter().chain(FORBIDDEN_HERE) {
        forbidden.insert(*call, Vec::new());
    }
    let bits = |flags: &[i32], argument| {
        let masks = flags.iter().map(|flag| u64::from(flag.cast_unsigned()));
        masks.map(|bit| rule(&[(argument, SeccompCmpOp::MaskedEq(bit), bit)])).collect()
    };
    let new_namespaces: Result<Vec<_>, _> = bits(NEW_NAMESPACES, 0);
    forbidden.insert(libc::SYS_clone, new_namespaces?);
    let input = TERMINAL_INPUT.map(|request| rule(&[(1, SeccompCmpOp::Eq, request)]));
    forbidden.insert(libc::SYS_ioctl, input.into_iter().collect::<Result<_, _>>()?);
    forbidden.extend(sockets(calls)?);

    let mut absent: Vec<c_long> = ABSENT.to_vec();
    if !calls.counted {
        absent.extend(UNCOUNTED);
    }
    if calls.level < Level::Isolated {
        absent.extend(OUTLIVING);
    }
    let absent = absent.into_iter().map(|call| (call, Vec::new())).collect();
    let compile = |rules, errno: i32| {
        let arch = ARCH.try_into().map_err(|_| format!("there is no filter for {ARCH}"))?;
        let action = SeccompAction::Errno(errno.cast_unsigned());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch);
        filter.and_then(BpfProgram::try_from).map_err(|error| error.to_string())
    };
    let mut programs = vec![compile(forbidden, libc::EPERM)?, compile(absent, libc::ENOSYS)?];
    if cfg!(target_arch = "x86_64") {
        programs.push(no_second_numbers());
    }
    Ok(programs)
}

/// Which sockets are refused.
fn sockets(calls: Calls) -> Result<BTreeMap<c_long, Vec<SeccompRule>>, String> {
    let mut rules = BTreeMap::new();
    let domain = |value: i32| (0, SeccompCmpOp::Ne, u64::from(value.cast_unsigned()));
    let others = match (calls.level, calls.network) {
        // A network of its own, or what was granted.
        (Level::Isolated, _) => {
            vec![libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]
        }
        // No local sockets: whoever listens there takes it for the executor's user.
        (_, true) => vec![libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK],
        (_, false) => {
            rules.insert(libc::SYS_socket, Vec::new());
            return Ok(rules);
        }
    };
    let others: Vec<_> = others.into_iter().map(domain).collect();
    let raw = u64::from(libc::SOCK_RAW.cast_unsigned());
    let raw_of = |domain: i32| {
        rule(&[
            (0, SeccompCmpOp::Eq, u64::from(domain.cast_unsigned())),
            (1, SeccompCmpOp::MaskedEq(0xf), raw),
        ])
    };
    // Of the kernel's own sockets only the one that names addresses and routes.
    let netlink = rule(&[
        (0, SeccompCmpOp::Eq, u64::from(libc::AF_NETLINK.cast_unsigned())),
        (2, SeccompCmpOp::Ne, u64::from(libc::NETLINK_ROUTE.cast_unsigned())),
    ]);
    rules.insert(
        libc::SYS_socket,
        vec![rule(&others)?, netlink?, raw_of(libc::AF_INET)?, raw_of(libc::AF_INET6)?],
    );
    Ok(rules)
}

/// A rule of conditions that must all hold: argument, comparison, value.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, String> {
    let conditions = conditions.iter().map(|(argument, operator, value)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
    });
    let conditions = conditions.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    SeccompRule::new(conditions).map_err(|error| error.to_string())
}

/// Refuses the second set of numbers that this architecture has for all calls (x32), with which a list
/// of what is refused could be passed by. `seccompiler` ends a program that calls as another
/// architecture, but does not know of these.
fn no_second_numbers() -> BpfProgram {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_GREATER_OR_EQUAL: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const SECOND_NUMBERS: u32 = 0x4000_0000;
    let refused = u32::from(SeccompAction::Errno(libc::ENOSYS.cast_unsigned()));
    let allowed = u32::from(SeccompAction::Allow);
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        // The number comes first in what a filter is shown.
        instruction(LOAD_WORD, 0, 0, 0),
        instruction(JUMP_IF_GREATER_OR_EQUAL, 0, 1, SECOND_NUMBERS),
        instruction(RETURN, 0, 0, refused),
        instruction(RETURN, 0, 0, allowed),
    ]
}
