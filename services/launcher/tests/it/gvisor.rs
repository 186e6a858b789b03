//! Bottles that are containers under gVisor (`runsc`): no descriptor leaves them, so that init forwards. Needs a Docker engine,
//! which the tests start themselves, and `deploy/tools/runsc`; a machine that cannot run that says so.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use base::accept::Listener;
use engine::Engine;
use launcher::backend::docker::EngineAddress;
use launcher::backend::{BottleFile, Boundary, Place, RunEnd};
use launcher::limits::Limits;
use launcher::probe::{ProbeTargets, probe};
use manifest::settings::RuntimeName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::docker::{containers, docker, emptied};
use crate::support::{Host, LIMIT, command, python, run, start};

#[tokio::test]
async fn it_is_another_kernel_and_only_the_sockets_of_its_ports_are_shown() {
    let Some(host) = Host::gvisor() else { return };
    let mut bottle = host.bottle("a-00000").await;
    probe(&mut bottle, &ProbeTargets::canaries_only()).await.unwrap();
    assert_eq!(bottle.sockets(), ["/.bot-bottle/way/9099"]);
    let script = "
import os
print('2016' in os.uname().version, sorted(os.listdir('/.bot-bottle/way')))
for path in ('/x', '/usr/x', '/etc/hosts', '/etc/bot-bottle/x', '/.bot-bottle/way/x', '/proc/sys/kernel/core_pattern'):
    try: open(path, 'w'); print('wrote', path)
    except OSError: pass
for what in (os.unlink, lambda path: os.rename(path, path + 'x'), lambda path: os.chmod(path, 0)):
    try: what('/.bot-bottle/way/9099'); print('changed')
    except OSError: pass
for path in ('/tmp/x', '/home/agent/x', '/dev/shm/x', '/var/tmp/y'):
    open(path, 'w').write('x')
";
    assert_eq!(python(&mut bottle, script).await, "True ['9099']");
    // One more that nobody asked for is found as ever.
    let way = host.state.of(&"a-00000".parse().unwrap()).path().join("docker/way/other");
    let _listener = std::os::unix::net::UnixListener::bind(way).unwrap();
    let refused = probe(&mut bottle, &ProbeTargets::canaries_only()).await.unwrap_err().to_string();
    assert!(refused.contains("a Unix socket at /.bot-bottle/way/other"), "{refused}");
}

/// This gVisor lists more of a process that is closed to inspection than Linux does, and opens none of it.
#[tokio::test]
async fn the_agent_cannot_reach_into_init() {
    let Some(host) = Host::gvisor() else { return };
    let script = "
import ctypes, os
for what in ['mem', 'cwd/x', 'root/x'] + ['fd/%d' % n for n in range(3, 12)]:
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
        try: os.open('/proc/1/' + what, flags); print('opened', what)
        except OSError: pass
libc = ctypes.CDLL(None, use_errno=True)
print('ptrace', libc.ptrace(16, 1, 0, 0), ctypes.get_errno())
class Piece(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]
address = int(next(open('/proc/1/maps')).split('-')[0], 16)
room = ctypes.create_string_buffer(8)
here, there = Piece(ctypes.addressof(room), 8), Piece(address, 8)
print('read', libc.process_vm_readv(1, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
";
    let (end, output) = run(host.bottle("a-00000").await, &["/usr/bin/python3", "-c", script]).await;
    assert_eq!((end, output.as_str()), (RunEnd::Exited(0), "ptrace -1 1\nread -1\n"));
}

/// gVisor lets the first process be killed and stopped from inside. It is the agent's own bottle that ends so, or that is
/// ended by whoever waits for it.
#[tokio::test]
async fn an_agent_that_ends_its_init_has_lost_its_bottle() {
    let Some(host) = Host::gvisor() else { return };
    let mut bottle = told_to(&host, "a-00000", "kill -KILL 1; echo over; exec sleep 1000").await;
    assert_eq!(tokio::time::timeout(LIMIT, bottle.wait()).await.unwrap(), RunEnd::Lost);

    let mut bottle = told_to(&host, "a-00001", "kill -STOP 1; echo stopped; exec sleep 1000").await;
    bottle.signal(rustix::process::Signal::TERM);
    bottle.kill();
    assert_eq!(tokio::time::timeout(LIMIT, bottle.wait()).await.unwrap(), RunEnd::Lost);
}

/// A bottle whose agent has done something to init, which had said before that the program runs.
async fn told_to(host: &Host, name: &str, deed: &str) -> Box<dyn Boundary> {
    let mut bottle = host.bottle(name).await;
    let (mut output, writer) = std::io::pipe().unwrap();
    let script = format!("until [ -e \"$0\" ]; do :; done; {deed}");
    start(&mut bottle, &["sh", "-c", &script, "/home/agent/go"], writer.into()).await;
    let go = BottleFile { place: Place::Home, path: "go".into(), content: Vec::new() };
    bottle.copy_in(vec![go]).await.unwrap();
    // Its word, or its end.
    let _ = std::io::Read::read(&mut output, &mut [0; 1]).unwrap();
    bottle
}

#[tokio::test]
async fn what_is_forwarded_keeps_its_bytes_and_its_ends() {
    let Some(host) = Host::gvisor() else { return };
    let mut bottle = host.bottle("a-00000").await;
    let listener = Listener::from_descriptor(bottle.take_listeners().remove(0)).unwrap();
    // Answers once the client has closed its half.
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut clients = JoinSet::new();
        loop {
            let mut client = listener.accept().await.unwrap();
            clients.spawn(async move {
                let mut bytes = Vec::new();
                client.read_to_end(&mut bytes).await.unwrap();
                bytes.reverse();
                client.write_all(&bytes).await.unwrap();
            });
        }
    });
    let script = "
import hashlib, os, socket, threading
done = []
def one(number):
    text = os.urandom(300000)
    client = socket.create_connection(('egress', 9099), 20)
    threading.Thread(target=lambda: (client.sendall(text), client.shutdown(socket.SHUT_WR))).start()
    back = b''
    while piece := client.recv(65536): back += piece
    done.append(back == text[::-1])
threads = [threading.Thread(target=one, args=(n,)) for n in range(40)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(done), all(done))
";
    assert_eq!(python(&mut bottle, script).await, "40 True");
    // A sidecar that is gone is a closed connection, and no client waits for ever.
    server.shutdown().await;
    let gone = "
import socket
try: print(socket.create_connection(('egress', 9099), 20).recv(1))
except ConnectionError: print(b'')
";
    assert_eq!(python(&mut bottle, gone).await, "b''");
}

#[tokio::test]
async fn a_bottle_that_is_killed_or_left_is_over_and_its_container_goes() {
    let Some(engine) = Engine::with_gvisor() else { return };
    for order in [Some("kill"), Some("stop"), None] {
        let Some(host) = Host::gvisor() else { return };
        let home = host.home();
        let mut bottle = host.bottle("a-00000").await;
        let (mut output, writer) = std::io::pipe().unwrap();
        start(
            &mut bottle,
            &["sh", "-c", "trap '' TERM HUP IO; setsid sleep 1000 & sleep 1000"],
            writer.into(),
        )
        .await;
        if let Some(order) = order {
            let id = containers(engine, home).remove(0);
            docker(engine, &[order, &id]);
            assert_eq!(tokio::time::timeout(LIMIT, bottle.wait()).await.unwrap(), RunEnd::Lost, "{order}");
        }
        // The end of the channel is all that init hears of a launcher's death.
        drop(bottle);
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            tell.send(std::io::Read::read_to_string(&mut output, &mut String::new()).is_ok())
        });
        assert_eq!(told.recv_timeout(LIMIT), Ok(true), "processes are left");
        emptied(engine, home).await;
    }
}

/// Where a limit is met gVisor may die, or never answer again: neither holds anybody up.
#[tokio::test]
async fn a_command_that_fills_its_memory_or_hangs_has_an_end() {
    let Some(engine) = Engine::with_gvisor() else { return };
    let Some(host) = Host::gvisor() else { return };
    let limits = Limits { memory: Some(192 << 20), processes: Some(32), ..Limits::default() };
    let mut bottle = host.limited_bottle("a-00000", limits).await;
    let forks = "
import os
for _ in range(20):
    if os.fork() == 0: os._exit(0)
    os.wait()
print('forked')
";
    assert_eq!(python(&mut bottle, forks).await, "forked");
    let hangs = bottle.exec(command(&["sleep", "1000"]), String::new(), Duration::from_millis(300)).await;
    assert_eq!(hangs.unwrap().code, None);
    let within = Duration::from_secs(5);
    let began = Instant::now();
    let fills =
        command(&["/usr/bin/python3", "-c", "x = [bytearray(1 << 20) for _ in range(2000)]; print(len(x))"]);
    let filled = bottle.exec(fills, String::new(), within).await;
    assert!(!filled.is_ok_and(|outcome| outcome.code == Some(0)), "it was not limited");
    assert!(began.elapsed() < within + LIMIT);
    bottle.kill();
    tokio::time::timeout(LIMIT, bottle.wait()).await.unwrap();
    drop(bottle);
    host.backend.destroy(&"a-00000".parse().unwrap()).await.unwrap();
    emptied(engine, host.home()).await;
}

/// Whoever reaches the way is not init unless it is in the container's control groups.
#[tokio::test]
async fn somebody_on_the_host_does_not_speak_for_init() {
    let Some(engine) = Engine::with_gvisor() else { return };
    let home = tempfile::tempdir().unwrap();
    let silent = home.path().join("silent");
    std::fs::write(&silent, "#!/bin/sh\nsleep 60\n").unwrap();
    std::fs::set_permissions(&silent, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut host = Host::docker_with(home.path(), |config| {
        config.engine = EngineAddress::of(Some(&format!("unix://{}", engine.socket().display())));
        config.init = silent;
    });
    host.runtime = Some(RuntimeName::Runsc);
    let way = host.state.of(&"a-00000".parse().unwrap()).path().join("docker/way/init");
    let connecting = tokio::task::spawn_blocking(move || connect(&way));
    let refused = host.try_bottle("a-00000").await.err().unwrap().to_string();
    assert!(refused.contains("somebody else connected"), "{refused}");
    drop(connecting.await.unwrap());
    host.backend.destroy(&"a-00000".parse().unwrap()).await.unwrap();
    emptied(engine, home.path()).await;
}

fn connect(way: &Path) -> UnixStream {
    let until = Instant::now() + LIMIT;
    loop {
        match UnixStream::connect(way) {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn five_cycles_leave_nothing() {
    let Some(engine) = Engine::with_gvisor() else { return };
    let Some(host) = Host::gvisor() else { return };
    for number in 0..5 {
        let name = format!("a-{number:05}");
        let bottle = host.bottle(&name).await;
        match number % 3 {
            0 => bottle.kill(),
            1 => drop(bottle),
            _ => assert_eq!(run(bottle, &["true"]).await.0, RunEnd::Exited(0)),
        }
        host.backend.destroy(&name.parse().unwrap()).await.unwrap();
    }
    assert_eq!(containers(engine, host.home()), Vec::<String>::new());
    assert_eq!(docker(engine, &["volume", "ls", "--quiet"]), "");
    assert!(host.backend.list_owned().await.unwrap().is_empty());
}
