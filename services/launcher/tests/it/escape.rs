//! The escape suite: what an agent tries that has the whole bottle to itself and all the time it wants. It is the same for
//! every backend, and for an agent that is root there. Every address here was opened by the test itself.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;

use launcher::backend::{AgentUser, RunEnd};

use crate::boundary::descriptors_of_the_launcher_stay_outside;
use crate::probe::{a_bottle_is_closed, what_can_be_reached_is_found};
use crate::seccomp::{callers_of_another_interface_are_killed, what_opens_the_kernel_is_refused};
use crate::support::{Host, for_each_agent, run};

for_each_agent!(
    a_bottle_is_closed,
    what_can_be_reached_is_found,
    what_opens_the_kernel_is_refused,
    callers_of_another_interface_are_killed,
    descriptors_of_the_launcher_stay_outside,
    the_agent_cannot_look_at_init_or_the_channel,
    nothing_that_takes_rights_succeeds,
    nothing_of_the_host_is_written_or_read,
    no_socket_leads_out,
);

/// What is common to the scripts: an attempt is refused, or is told. Each script also makes one that must succeed.
const ATTEMPTS: &str = include_str!("escape/attempts.py");

/// What a script's attempts, run as the agent, came to beyond being refused; and how many there were.
async fn attempted(host: &Host, script: &str) -> (Vec<String>, usize) {
    let script = format!("{ATTEMPTS}\n{script}\nprint(made)\n");
    let (end, output) = run(host.bottle("a-00000").await, &["/usr/bin/python3", "-c", &script]).await;
    assert_eq!(end, RunEnd::Exited(0), "{output}");
    let mut lines: Vec<String> = output.lines().map(str::to_owned).collect();
    let made = lines.pop().unwrap().parse().unwrap();
    (lines, made)
}

async fn the_agent_cannot_look_at_init_or_the_channel(host: Host) {
    let (open, made) = attempted(&host, include_str!("escape/init.py")).await;
    assert_eq!((open.as_slice(), made), (["control"].map(str::to_owned).as_slice(), 20));
}

async fn nothing_that_takes_rights_succeeds(host: Host) {
    let (open, made) = attempted(&host, include_str!("escape/rights.py")).await;
    assert_eq!((open.as_slice(), made), (["control"].map(str::to_owned).as_slice(), 53));
}

async fn nothing_of_the_host_is_written_or_read(host: Host) {
    let of_the_host = tempfile::NamedTempFile::new().unwrap();
    let own = NAMESPACED.map(|name| format!("/proc/sys/kernel/{name}"));
    let files = include_str!("escape/files.py");
    let script = format!("of_the_host = {:?}\nown = {own:?}\n{files}", of_the_host.path());
    let before = settings();
    let (open, made) = attempted(&host, &script).await;
    let open: Vec<&str> = open.iter().map(String::as_str).filter(|path| !is_its_own(path, &host)).collect();
    assert_eq!(open, ["control"]);
    assert!(made > 300, "only {made} files were tried");
    assert_eq!(settings(), before, "a setting of the host has changed");
}

/// The host's own values of the settings that namespaces of a bottle have, too, but for what changes by itself.
fn settings() -> Vec<(PathBuf, String)> {
    let of = |path: PathBuf| std::fs::read_to_string(&path).ok().map(|value| (path, value));
    let files = |place: &str| std::fs::read_dir(place).into_iter().flatten().flatten();
    let kernel = files("/proc/sys/kernel")
        .filter(|file| NAMESPACED[1..].contains(&&*file.file_name().to_string_lossy()));
    kernel.chain(files("/proc/sys/fs/mqueue")).filter_map(|file| of(file.path())).collect()
}

/// What every process or message namespace has a value of its own of.
const NAMESPACED: [&str; 11] = [
    "ns_last_pid",
    "auto_msgmni",
    "msgmax",
    "msgmnb",
    "msgmni",
    "pid_max",
    "sem",
    "shm_rmid_forced",
    "shmall",
    "shmmax",
    "shmmni",
];

/// Whether what can be written reaches no further than the bottle: on `namespace`, who made its namespaces may set what is
/// theirs alone; root of a container owns its `/dev`.
fn is_its_own(path: &str, host: &Host) -> bool {
    let setting = path.strip_prefix("/proc/sys/").unwrap_or_default();
    let namespaced = setting.strip_prefix("kernel/").is_some_and(|name| NAMESPACED.contains(&name));
    match host.backend.name() {
        "namespace" => namespaced || setting.starts_with("net/") || setting.starts_with("fs/mqueue/"),
        _ => host.user == AgentUser::Root && path == "write /dev/x",
    }
}

async fn no_socket_leads_out(host: Host) {
    // Of this host: they hear whoever shares its network.
    let [tcp, everywhere] = ["127.0.0.1:0", "0.0.0.0:0"].map(|at| TcpListener::bind(at).unwrap());
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    [&tcp, &everywhere].iter().for_each(|listener| listener.set_nonblocking(true).unwrap());
    udp.set_nonblocking(true).unwrap();
    let ports = [&tcp, &everywhere].map(|listener| listener.local_addr().unwrap().port());
    // Where containers of the engine that are on a network reach this host.
    let outside = match host.backend.name() {
        "docker" => engine::Engine::shared().unwrap().outside(),
        _ => Ipv4Addr::LOCALHOST,
    };
    let script = format!(
        "tcp = {ports:?}\nudp = {}\noutside = '{outside}'\n{}",
        udp.local_addr().unwrap().port(),
        include_str!("escape/sockets.py")
    );
    let (open, made) = attempted(&host, &script).await;
    assert_eq!((open.as_slice(), made), (["control"].map(str::to_owned).as_slice(), 19));
    let heard = tcp.accept().is_ok() || everywhere.accept().is_ok() || udp.recv(&mut [0; 1]).is_ok();
    assert!(!heard, "the host heard from the bottle");
}
