//! A sidecar's box: the host's network, and of its files only the system, what names are resolved by, and at
//! most one directory to write to. A parser that an agent breaks reaches nothing else.

use std::path::PathBuf;

use super::agent_box::system;
use super::arguments::Arguments;
use super::system::System;
use crate::backend::SIDECAR_SPOOL;

/// What name resolution and TLS need; absent files are passed over.
const NETWORK: [&str; 7] = [
    "/etc/ca-certificates",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
];

/// The size of its temporary file system.
const TEMPORARY: &str = "67108864";

/// Everything that differs from one sidecar to the next.
pub(super) struct SidecarBox<'a> {
    /// `egress`, `door`, `gitgate`.
    pub(super) name: &'a str,
    pub(super) system: &'a System,
    /// Host paths, as bubblewrap reaches them.
    pub(super) program: PathBuf,
    /// A program beside its own, by name.
    pub(super) beside: Option<(&'static str, PathBuf)>,
    /// The directory that it may write to, if it has one.
    pub(super) spool: Option<PathBuf>,
    pub(super) seccomp: &'a [Vec<u8>],
}

/// Where the sidecar's program is inside its box.
pub(super) fn program(name: &str) -> String {
    format!("/.bot-bottle/{name}")
}

/// The arguments.
pub(super) fn arguments(spec: &SidecarBox<'_>) -> Arguments {
    let mut a = Arguments::default();
    a.push(["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]);
    a.push(["--disable-userns", "--uid", "1000", "--gid", "1000", "--hostname", spec.name]);
    a.push(["--cap-drop", "ALL", "--die-with-parent", "--new-session", "--clearenv"]);
    a.push(["--proc", "/proc", "--dev", "/dev"]);
    system(&mut a, spec.system);
    for path in NETWORK {
        a.push(["--ro-bind-try", path, path]);
    }
    // Some programs, ssh among them, do not run for a user that has no name.
    a.file("/etc/passwd", b"sidecar:x:1000:1000::/nonexistent:/usr/sbin/nologin\n".to_vec());
    a.push(["--size", TEMPORARY, "--perms", "1777", "--tmpfs", "/tmp", "--remount-ro", "/dev"]);
    if let Some(spool) = &spec.spool {
        a.bind("--bind", spool, SIDECAR_SPOOL);
    }
    a.bind("--ro-bind", &spec.program, &program(spec.name));
    if let Some((name, path)) = &spec.beside {
        a.bind("--ro-bind", path, &program(name));
    }
    let directory = if spec.spool.is_some() { SIDECAR_SPOOL } else { "/" };
    a.push(["--remount-ro", "/", "--chdir", directory]);
    for (number, filter) in spec.seccomp.iter().enumerate() {
        a.with_data("--add-seccomp-fd", &format!("seccomp {number}"), filter.clone());
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::namespace::system::Top;

    #[test]
    fn a_sidecar_has_the_network_and_no_home() {
        let system = System { top: vec![Top::Link("bin".into(), "usr/bin".into())], settings: Vec::new() };
        let arguments = arguments(&SidecarBox {
            name: "egress",
            system: &system,
            program: "/programs/bot-bottle-egress".into(),
            beside: Some(("helper", "/programs/helper".into())),
            spool: Some("/state/egress".into()),
            seccomp: &[vec![1]],
        });
        insta::assert_snapshot!(arguments, @r#"
        --unshare-user
        --unshare-ipc
        --unshare-pid
        --unshare-uts
        --unshare-cgroup-try
        --disable-userns
        --uid 1000
        --gid 1000
        --hostname egress
        --cap-drop ALL
        --die-with-parent
        --new-session
        --clearenv
        --proc /proc
        --dev /dev
        --ro-bind /usr /usr
        --symlink usr/bin /bin
        --ro-bind-try /etc/ca-certificates /etc/ca-certificates
        --ro-bind-try /etc/host.conf /etc/host.conf
        --ro-bind-try /etc/hosts /etc/hosts
        --ro-bind-try /etc/nsswitch.conf /etc/nsswitch.conf
        --ro-bind-try /etc/pki /etc/pki
        --ro-bind-try /etc/resolv.conf /etc/resolv.conf
        --ro-bind-try /etc/ssl/certs /etc/ssl/certs
        --perms 0644
        --file </etc/passwd> /etc/passwd
        --size 67108864
        --perms 1777
        --tmpfs /tmp
        --remount-ro /dev
        --bind /state/egress /spool
        --ro-bind /programs/bot-bottle-egress /.bot-bottle/egress
        --ro-bind /programs/helper /.bot-bottle/helper
        --remount-ro /
        --chdir /spool
        --add-seccomp-fd <seccomp 0>
        "#);
    }
}
