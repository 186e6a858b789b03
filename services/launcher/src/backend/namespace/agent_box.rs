//! The bottle's box: what bubblewrap is told.

use std::path::PathBuf;

use base::id::Slug;

use super::arguments::Arguments;
use super::system::{System, Top};
use crate::backend::{AGENT_HOME, AgentUser, INIT, TRUST};

/// The size of each temporary file system unless a limit says otherwise.
const TEMPORARY: u64 = 1 << 30;

/// Everything that differs from one bottle to the next.
pub(super) struct AgentBox<'a> {
    pub(super) bottle: &'a Slug,
    pub(super) system: &'a System,
    pub(super) user: AgentUser,
    /// Host paths, as bubblewrap reaches them.
    pub(super) home: PathBuf,
    pub(super) trust: PathBuf,
    pub(super) init: PathBuf,
    /// Further host paths to show, and where.
    pub(super) programs: Vec<(PathBuf, PathBuf)>,
    /// Bytes of each temporary file system.
    pub(super) disk: Option<u64>,
    pub(super) seccomp: &'a [Vec<u8>],
}

/// The arguments, and the mount points that they make beside the kernel's own file systems.
pub(super) fn arguments(spec: &AgentBox<'_>) -> (Arguments, Vec<String>) {
    let mut a = Arguments::default();
    let mut mounts: Vec<String> = ["/", "/proc", "/dev", "/tmp"].map(str::to_owned).to_vec();
    isolate(&mut a, spec.bottle.as_str(), spec.user);
    mounts.extend(system(&mut a, spec.system));
    etc(&mut a, spec.bottle.as_str());
    let size = spec.disk.unwrap_or(TEMPORARY).to_string();
    a.push(["--size", &size, "--perms", "1777", "--tmpfs", "/tmp"]);
    a.push(["--size", &size, "--perms", "1777", "--tmpfs", "/dev/shm"]);
    // It is a temporary file system too, of no size.
    a.push(["--remount-ro", "/dev"]);
    a.push(["--dir", "/run", "--dir", "/var", "--symlink", "../tmp", "/var/tmp"]);
    for (option, source, destination) in [
        ("--bind", &spec.home, AGENT_HOME),
        ("--ro-bind", &spec.trust, TRUST),
        ("--ro-bind", &spec.init, INIT),
    ] {
        a.bind(option, source, destination);
        mounts.push(destination.to_owned());
    }
    for (source, destination) in &spec.programs {
        let destination = destination.to_string_lossy();
        a.bind("--ro-bind", source, &destination);
        mounts.push(destination.into_owned());
    }
    a.push(["--remount-ro", "/", "--chdir", AGENT_HOME]);
    for (number, program) in spec.seccomp.iter().enumerate() {
        a.with_data("--add-seccomp-fd", &format!("seccomp {number}"), program.clone());
    }
    (a, mounts)
}

fn isolate(a: &mut Arguments, name: &str, user: AgentUser) {
    let user = user.inside().to_string();
    a.push(["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]);
    a.push(["--unshare-cgroup-try", "--disable-userns", "--uid", &user, "--gid", &user, "--hostname", name]);
    a.push(["--cap-drop", "ALL", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]);
    a.push(["--proc", "/proc", "--dev", "/dev"]);
}

/// The host's programs, read-only; returns their mount points.
pub(super) fn system(a: &mut Arguments, system: &System) -> Vec<String> {
    let mut mounts = vec!["/usr".to_owned()];
    a.push(["--ro-bind", "/usr", "/usr"]);
    for top in &system.top {
        match top {
            Top::Link(name, target) => {
                a.push(["--symlink", target, &format!("/{name}")]);
            }
            Top::Directory(name) => {
                let path = format!("/{name}");
                a.push(["--ro-bind", &path, &path]);
                mounts.push(path);
            }
        }
    }
    for path in &system.settings {
        let path = path.to_string_lossy().into_owned();
        a.push(["--ro-bind", &path, &path]);
        mounts.push(path);
    }
    mounts
}

/// The bottle's own `/etc`: one user, no resolver, names for the sidecars, and the certificates where programs look.
fn etc(a: &mut Arguments, name: &str) {
    let hosts = format!("127.0.0.1 localhost egress gitgate supervise {name}\n::1 localhost\n");
    let passwd = format!(
        "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n\
         agent:x:1000:1000:agent:{AGENT_HOME}:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    );
    for (path, text) in [
        ("/etc/passwd", passwd.as_str()),
        ("/etc/group", "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n"),
        ("/etc/hosts", hosts.as_str()),
        (
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
        ),
        ("/etc/resolv.conf", ""),
        ("/etc/hostname", &format!("{name}\n")),
    ] {
        a.file(path, text.as_bytes().to_vec());
    }
    let bundle = format!("{TRUST}/ca-bundle.pem");
    let java = format!("{TRUST}/java-truststore.jks");
    for (target, link) in [
        (&bundle, "/etc/ssl/certs/ca-certificates.crt"),
        (&bundle, "/etc/ssl/cert.pem"),
        (&bundle, "/etc/pki/tls/certs/ca-bundle.crt"),
        (&java, "/etc/ssl/certs/java/cacerts"),
    ] {
        a.push(["--symlink", target, link]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_only_what_is_needed() {
        let system = System {
            top: vec![Top::Link("bin".into(), "usr/bin".into()), Top::Directory("lib64".into())],
            settings: vec!["/etc/localtime".into()],
        };
        let bottle = "reviewer-x1y2z".parse().unwrap();
        let (arguments, mounts) = arguments(&AgentBox {
            bottle: &bottle,
            system: &system,
            user: AgentUser::Ordinary,
            home: "/state/home".into(),
            trust: "/state/trust".into(),
            init: "/programs/bot-bottle-init".into(),
            programs: vec![("/packages".into(), "/opt/bot-bottle/a/node_modules".into())],
            disk: Some(4096),
            seccomp: &[vec![1], vec![2]],
        });
        insta::assert_snapshot!(arguments, @r#"
        --unshare-user
        --unshare-ipc
        --unshare-pid
        --unshare-net
        --unshare-uts
        --unshare-cgroup-try
        --disable-userns
        --uid 1000
        --gid 1000
        --hostname reviewer-x1y2z
        --cap-drop ALL
        --die-with-parent
        --new-session
        --as-pid-1
        --clearenv
        --proc /proc
        --dev /dev
        --ro-bind /usr /usr
        --symlink usr/bin /bin
        --ro-bind /lib64 /lib64
        --ro-bind /etc/localtime /etc/localtime
        --perms 0644
        --file </etc/passwd> /etc/passwd
        --perms 0644
        --file </etc/group> /etc/group
        --perms 0644
        --file </etc/hosts> /etc/hosts
        --perms 0644
        --file </etc/nsswitch.conf> /etc/nsswitch.conf
        --perms 0644
        --file </etc/resolv.conf> /etc/resolv.conf
        --perms 0644
        --file </etc/hostname> /etc/hostname
        --symlink /etc/bot-bottle/ca-bundle.pem /etc/ssl/certs/ca-certificates.crt
        --symlink /etc/bot-bottle/ca-bundle.pem /etc/ssl/cert.pem
        --symlink /etc/bot-bottle/ca-bundle.pem /etc/pki/tls/certs/ca-bundle.crt
        --symlink /etc/bot-bottle/java-truststore.jks /etc/ssl/certs/java/cacerts
        --size 4096
        --perms 1777
        --tmpfs /tmp
        --size 4096
        --perms 1777
        --tmpfs /dev/shm
        --remount-ro /dev
        --dir /run
        --dir /var
        --symlink ../tmp /var/tmp
        --bind /state/home /home/agent
        --ro-bind /state/trust /etc/bot-bottle
        --ro-bind /programs/bot-bottle-init /.bot-bottle/init
        --ro-bind /packages /opt/bot-bottle/a/node_modules
        --remount-ro /
        --chdir /home/agent
        --add-seccomp-fd <seccomp 0>
        --add-seccomp-fd <seccomp 1>
        "#);
        insta::assert_snapshot!(mounts.join(" "), @"/ /proc /dev /tmp /usr /lib64 /etc/localtime /home/agent /etc/bot-bottle /.bot-bottle/init /opt/bot-bottle/a/node_modules");
    }
}
