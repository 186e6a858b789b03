//! What a process in the bottle may do to the kernel.

use std::fs;

use boundary::probe::{Check, Finding};
use rustix::fs::{Access, access};
use rustix::io::Errno;

use rustix::thread::{CapabilitySet, capability_is_in_ambient_set, no_new_privs};

use super::structure::{finding, unchecked};

const STATUS: &str = "/proc/self/status";
/// Kernel settings that would be a way out: each names a program or acts on the whole host.
const SETTINGS: [&str; 6] = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hotplug",
    "/proc/sys/fs/binfmt_misc/register",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sysrq-trigger",
];

/// Everything that is not as it must be; to be root is among it, unless that is meant.
pub(super) fn check(root_is_meant: bool) -> Vec<Finding> {
    let mut findings = match fs::read_to_string(STATUS) {
        Ok(status) => rights(&status, root_is_meant),
        Err(error) => vec![unchecked(STATUS, &error)],
    };
    let writable = SETTINGS.iter().filter(|path| access(**path, Access::WRITE_OK).is_ok());
    findings.extend(writable.map(|path| finding(Check::Kernel, &format!("{path} can be written"))));
    findings
}

/// Whether this kernel has no such set at all.
fn has_no_ambient_set() -> bool {
    matches!(capability_is_in_ambient_set(CapabilitySet::CHOWN), Err(Errno::INVAL | Errno::NOSYS))
}

fn rights(status: &str, root_is_meant: bool) -> Vec<Finding> {
    let value = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    };
    let mut findings = Vec::new();
    let mut expect = |good: bool, detail: String| {
        if !good {
            findings.push(finding(Check::Privilege, &detail));
        }
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let bits = value(set);
        if set == "CapAmb" && bits.is_empty() && has_no_ambient_set() {
            continue;
        }
        expect(
            u64::from_str_radix(&bits, 16) == Ok(0),
            format!("the capability set {set} is not empty ({bits})"),
        );
    }
    // gVisor says it only to who asks.
    let is_bounded = value("NoNewPrivs") == "1" || no_new_privs() == Ok(true);
    expect(is_bounded, "a program can gain privileges (no_new_privs is off)".to_owned());
    expect(value("Seccomp") == "2", "no seccomp filter is installed".to_owned());
    let users = value("Uid");
    let root = users.is_empty() || users.split_whitespace().any(|id| id == "0");
    expect(!root || root_is_meant, format!("the agent would run as root (user ids {users})"));
    findings
}
