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

/// A system call: its name, as the kernel and Docker write it, and its number here.
pub(super) type Call = (&'static str, c_long);

macro_rules! calls {
    ($($call:ident),* $(,)?) => { &[$((stringify!($call), libc::$call)),*] };
}

/// Refused with `EPERM`, whatever the arguments.
const REFUSED: &[Call] = calls![
    SYS_acct,
    SYS_add_key,
    SYS_adjtimex,
    SYS_bpf,
    SYS_chroot,
    SYS_clock_adjtime,
    SYS_clock_settime,
    SYS_delete_module,
    SYS_fanotify_init,
    SYS_finit_module,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fspick,
    SYS_init_module,
    SYS_kexec_file_load,
    SYS_kexec_load,
    SYS_keyctl,
    SYS_lookup_dcookie,
    SYS_mount,
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_open_by_handle_at,
    SYS_open_tree,
    SYS_perf_event_open,
    SYS_pivot_root,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_reboot,
    SYS_request_key,
    SYS_setns,
    SYS_settimeofday,
    SYS_swapoff,
    SYS_swapon,
    SYS_syslog,
    SYS_umount2,
    SYS_userfaultfd,
    SYS_vhangup,
];
/// The same, where the processor has them.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[Call] = calls![SYS_ioperm, SYS_iopl, SYS_uselib];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[Call] = &[];
/// The same, for calls that are newer than the C library's list.
const REFUSED_NEW: &[Call] = &[("SYS_open_tree_attr", OPEN_TREE_ATTR)];

/// Answered with `ENOSYS`, so that programs fall back to what came before: `clone3` takes its flags from memory,
/// where a filter cannot look.
const ABSENT: &[Call] = calls![SYS_clone3, SYS_io_uring_enter, SYS_io_uring_register, SYS_io_uring_setup];

/// Calls that are refused with `EPERM` whatever their arguments are.
pub(super) fn always_refused() -> impl Iterator<Item = Call> {
    [REFUSED, REFUSED_HERE, REFUSED_NEW].concat().into_iter().map(named)
}

/// Calls that are answered with `ENOSYS`.
pub(super) fn always_absent() -> impl Iterator<Item = Call> {
    ABSENT.iter().copied().map(named)
}

fn named((name, number): Call) -> Call {
    (name.strip_prefix("SYS_").unwrap_or(name), number)
}

/// Namespaces that `clone` may not make. `CLONE_NEWTIME` shares its bit with the exit signal there.
pub(super) const CLONE_FLAGS: [i32; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];
pub(super) const CLONE_NEWTIME: i32 = 0x80;

/// The families of sockets that there may be.
pub(super) const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The execution domains that programs use: the default, 32-bit uname, and the question itself.
pub(super) const PERSONALITIES: [u64; 5] = [0, 0x0008, 0x0002_0000, 0x0002_0008, 0xffff_ffff];

/// Typing into the terminal's input, and the console's selection: ways out of a shared terminal.
pub(super) const TERMINAL_REQUESTS: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// The filter as programs to load one after the other; the strictest answer counts.
///
/// # Errors
/// This machine's architecture has no filter.
pub(super) fn programs() -> Result<Vec<Vec<u8>>, BackendError> {
    let absent = always_absent().map(|(_, call)| (call, Vec::new())).collect();
    let mut programs = vec![compile(refused()?, libc::EPERM)?, compile(absent, libc::ENOSYS)?];
    if cfg!(target_arch = "x86_64") {
        programs.push(no_x32());
    }
    Ok(programs.iter().map(bytes).collect())
}

fn refused() -> Result<Rules, BackendError> {
    let mut rules: Rules = always_refused().map(|(_, call)| (call, Vec::new())).collect();
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
    let other = FAMILIES.iter().map(|family| argument(0, SeccompCmpOp::Ne, flag(*family)));
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
