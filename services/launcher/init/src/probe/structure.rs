//! What the bottle is made of: interfaces, routes, namespaces, mounts, sockets.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use boundary::probe::{Check, Finding, ProbePlan};

/// More directory entries than a bottle has before anything was copied into it.
const ENTRY_LIMIT: usize = 20_000;
/// Directories that hold programs of the host, read-only, or the kernel's own files.
const NOT_SEARCHED: [&str; 3] = ["/usr", "/proc", "/sys"];

/// Where the kernel's own file systems are, with whatever covers parts of them.
const KERNEL: [&str; 3] = ["/proc/", "/dev/", "/sys/"];

/// Everything that is not as it must be.
pub(super) fn check(plan: &ProbePlan) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(network_namespace(plan.host_network));
    findings.extend(lines("/proc/net/dev", 2, Check::Interface, |line| {
        let name = line.split(':').next().unwrap_or_default().trim();
        (name != "lo").then(|| format!("there is a network interface {name:?} besides lo"))
    }));
    findings.extend(lines("/proc/net/if_inet6", 0, Check::Interface, |line| {
        let name = line.split_whitespace().last().unwrap_or_default();
        (name != "lo").then(|| format!("the interface {name:?} has an IPv6 address"))
    }));
    findings.extend(lines("/proc/net/route", 1, Check::Route, |line| {
        Some(format!("there is an IPv4 route: {line}"))
    }));
    findings.extend(lines("/proc/net/ipv6_route", 0, Check::Route, |line| {
        let device = line.split_whitespace().last().unwrap_or_default();
        (device != "lo").then(|| format!("there is an IPv6 route over {device:?}"))
    }));
    findings.extend(resolver());
    findings.extend(lines("/proc/self/mountinfo", 0, Check::Mount, |line| {
        let point = line.split(' ').nth(4).unwrap_or_default();
        (!is_expected(point, &plan.mounts)).then(|| format!("{point} is mounted, and nobody asked for it"))
    }));
    findings.extend(sockets(plan));
    findings.extend(descriptors());
    findings
}

fn network_namespace(host: u64) -> Option<Finding> {
    match fs::metadata("/proc/self/ns/net") {
        Ok(ours) if ours.ino() != host => None,
        Ok(_) => Some(finding(Check::Namespace, "the network namespace is the host's own")),
        Err(error) => Some(unchecked("/proc/self/ns/net", &error)),
    }
}

fn resolver() -> Option<Finding> {
    match fs::read_to_string("/etc/resolv.conf") {
        Ok(text) if text.lines().any(|line| line.trim_start().starts_with("nameserver")) => {
            Some(finding(Check::Resolver, "/etc/resolv.conf names a resolver"))
        }
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(unchecked("/etc/resolv.conf", &error)),
    }
}

/// A mount is expected when it was asked for, or belongs to the kernel's file systems that every bottle has.
fn is_expected(point: &str, asked: &[String]) -> bool {
    asked.iter().any(|a| a == point) || KERNEL.iter().any(|prefix| point.starts_with(prefix))
}

/// Unix sockets are reachable through the file system from any network namespace.
fn sockets(plan: &ProbePlan) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut left = ENTRY_LIMIT;
    let mut look = |path: PathBuf, kind: fs::FileType, open: &mut Vec<PathBuf>| {
        if kind.is_socket() && plan.sockets.iter().any(|known| path == Path::new(known)) {
            return;
        }
        if kind.is_socket() {
            findings.push(finding(Check::Socket, &format!("there is a Unix socket at {}", path.display())));
        } else if kind.is_dir() && !NOT_SEARCHED.iter().any(|skipped| path == Path::new(skipped)) {
            open.push(path);
        }
    };
    let mut open = Vec::new();
    for root in roots(&plan.mounts) {
        // What is not there cannot be reached; the mounts are checked.
        let Ok(about) = fs::metadata(&root) else { continue };
        look(root, about.file_type(), &mut open);
    }
    while let Some(directory) = open.pop() {
        // What this user cannot list it cannot connect to by name either, unless it guesses; the mounts are checked.
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            left = left.saturating_sub(1);
            let Ok(kind) = entry.file_type() else { continue };
            look(entry.path(), kind, &mut open);
        }
        if left == 0 {
            let text = format!("more than {ENTRY_LIMIT} files to search for Unix sockets");
            findings.push(finding(Check::Unchecked, &text));
            return findings;
        }
    }
    findings
}

/// Where the search begins. What lies in a container's image is its own, and nobody can listen there; it may have any number
/// of files, so that only what is mounted in it is looked through.
fn roots(mounts: &[String]) -> Vec<PathBuf> {
    let all = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    // gVisor shows the image as a file system of its own.
    let of_image = ["overlay / overlay ", "none / 9p ", "none / lisafs ", "none / gofer ", "none / overlay "];
    let is_image = all.lines().any(|line| of_image.iter().any(|kind| line.starts_with(kind)));
    let mounted = mounts.iter().filter(|point| *point != "/").map(PathBuf::from);
    if is_image { mounted.collect() } else { vec![PathBuf::from("/")] }
}

fn descriptors() -> Vec<Finding> {
    let listing = match fs::read_dir("/proc/self/fd") {
        Ok(listing) => listing,
        Err(error) => return vec![unchecked("/proc/self/fd", &error)],
    };
    let targets = listing
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok_and(|number| number > 2));
    let targets = targets.map(|entry| fs::read_link(entry.path()).unwrap_or_default().display().to_string());
    let inherited = targets.filter(|target| !target.ends_with("/fd"));
    inherited
        .map(|target| finding(Check::Descriptor, &format!("a process inherits a descriptor of {target}")))
        .collect()
}

/// Runs `judge` over the lines of a kernel file, without its first `skip` ones. A file that does not exist belongs to
/// a feature that this kernel lacks.
fn lines(path: &str, skip: usize, check: Check, judge: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    match fs::read_to_string(path) {
        Ok(text) => text.lines().skip(skip).filter_map(|l| judge(l).map(|d| finding(check, &d))).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => vec![unchecked(path, &error)],
    }
}

pub(super) fn finding(check: Check, detail: &str) -> Finding {
    Finding { check, detail: detail.to_owned() }
}

pub(super) fn unchecked(path: &str, error: &io::Error) -> Finding {
    finding(Check::Unchecked, &format!("cannot read {path}: {error}"))
}
