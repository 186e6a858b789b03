//! The system calls that a bottle may not make.
//!
//! Everything else is allowed: agents run compilers, browsers and debuggers, and a list of what those need would
//! never be complete. What is refused opens kernel code that a bottle has no use for, reaches across the network
//! namespace (`AF_VSOCK`), or makes new namespaces with new rights in them. `ptrace` stays: it reaches only processes
//! of the same user in the same process namespace, init is closed to it, and since Linux 4.8 it cannot get around
//! this filter.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// `open_tree` with attributes, of Linux 6.15; the same number everywhere.
const OPEN_TREE_ATTR: c_long = 467;

/// Refused with `EPERM`, whatever the arguments.
const REFUSED: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

/// Answered with `ENOSYS`, so that programs fall back to what came before: `clone3` takes its flags from memory,
/// where a filter cannot look.
const ABSENT: &[c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_io_uring_setup];

/// Namespaces that `clone` may not make. `CLONE_NEWTIME` shares its bit with the exit signal there.
const CLONE_FLAGS: [i32; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];
const CLONE_NEWTIME: i32 = 0x80;

/// The execution domains that programs use: the default, 32-bit uname, and the question itself.
const PERSONALITIES: [u64; 5] = [0, 0x0008, 0x0002_0000, 0x0002_0008, 0xffff_ffff];

/// Typing into the terminal's input, and the console's selection: ways out of a shared terminal.
const TERMINAL_REQUESTS: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// The filter as programs to load one after the other; the strictest answer counts.
///
/// # Errors
/// This machine's architecture has no filter.
pub(super) fn programs() -> Result<Vec<Vec<u8>>, BackendError> {
    let absent = ABSENT.iter().map(|call| (*call, Vec::new())).collect();
    let mut programs = vec![compile(refused()?, libc::EPERM)?, compile(absent, libc::ENOSYS)?];
    if cfg!(target_arch = "x86_64") {
        programs.push(no_x32());
    }
    Ok(programs.iter().map(bytes).collect())
}

fn refused() -> Result<Rules, BackendError> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, sockets()?);
    rules
        .insert(libc::SYS_socketpair, vec![rule(vec![argument(0, SeccompCmpOp::Ne, flag(libc::AF_UNIX))?])?]);
    rules.insert(libc::SYS_clone, flags(&CLONE_FLAGS)?);
    let mut unshare = CLONE_FLAGS.to_vec();
    unshare.push(CLONE_NEWTIME);
    rules.insert(libc::SYS_unshare, flags(&unshare)?);
    let other = PERSONALITIES.iter().map(|known| argument(0, SeccompCmpOp::Ne, *known));
    rules.insert(libc::SYS_personality, vec![rule(other.collect::<Result<_, _>>()?)?]);
    let requests = TERMINAL_REQUESTS.iter().map(|r| rule(vec![argument(1, SeccompCmpOp::Eq, *r)?]));
    rules.insert(libc::SYS_ioctl, requests.collect::<Result<_, _>>()?);
    Ok(rules)
}

/// Unix, IPv4 and IPv6 sockets pass, and of netlink the routing family, with which the C library lists addresses.
fn sockets() -> Result<Vec<SeccompRule>, BackendError> {
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let other = families.iter().map(|family| argument(0, SeccompCmpOp::Ne, flag(*family)));
    let netlink = vec![
        argument(0, SeccompCmpOp::Eq, flag(libc::AF_NETLINK))?,
        argument(2, SeccompCmpOp::Ne, flag(libc::NETLINK_ROUTE))?,
    ];
    Ok(vec![rule(other.collect::<Result<_, _>>()?)?, rule(netlink)?])
}

fn flags(flags: &[i32]) -> Result<Vec<SeccompRule>, BackendError> {
    let bits = flags.iter().map(|f| u64::from(f.cast_unsigned()));
    bits.map(|bit| rule(vec![argument(0, SeccompCmpOp::MaskedEq(bit), bit)?])).collect()
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions)
}

/// Compares the lower half of an argument: the kernel takes these as 32-bit numbers and ignores the rest.
fn argument(place: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(place, SeccompCmpArgLen::Dword, operator, value)
}

fn flag(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

/// A program that kills callers of another architecture's calls, answers the given rules with `errno`, and allows
/// the rest.
fn compile(rules: Rules, errno: i32) -> Result<BpfProgram, BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let answer = SeccompAction::Errno(errno.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture)?.try_into()
}

/// Kills callers of the x32 interface: it has its own numbers for the calls above under the same architecture.
fn no_x32() -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    let statement = |code: u32, k| seccompiler::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    vec![
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        seccompiler::sock_filter {
            jf: 1,
            ..statement(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, X32_BIT)
        },
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ]
}

/// `struct sock_filter` as the kernel reads it.
fn bytes(program: &BpfProgram) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend_from_slice(&instruction.code.to_ne_bytes());
        bytes.extend_from_slice(&[instruction.jt, instruction.jf]);
        bytes.extend_from_slice(&instruction.k.to_ne_bytes());
    }
    bytes
}
