//! What a real bottle is, from inside and from outside. Needs bubblewrap and user namespaces.

use std::os::fd::AsFd as _;

use crate::support::{Host, exec, on_each_backend, python, run, under_gvisor};
use launcher::backend::RunEnd;

on_each_backend!(
    the_agent_is_an_ordinary_user_without_rights,
    a_port_opened_inside_is_served_from_outside,
    the_programs_code_and_output_come_back,
    signals_reach_the_agent_and_everything_dies_with_it,
    errors_name_what_is_missing,
    what_a_killed_launcher_left_is_removed,
    an_archive_is_unpacked_inside_as_the_agent,
);

under_gvisor!(
    the_agent_is_an_ordinary_user_without_rights,
    a_port_opened_inside_is_served_from_outside,
    the_programs_code_and_output_come_back,
    signals_reach_the_agent_and_everything_dies_with_it,
    errors_name_what_is_missing,
    what_a_killed_launcher_left_is_removed,
    descriptors_of_the_launcher_stay_outside,
    an_archive_is_unpacked_inside_as_the_agent,
);

async fn the_agent_is_an_ordinary_user_without_rights(host: Host) {
    let mut bottle = host.bottle("a-00000").await;
    let status = exec(&mut bottle, &["cat", "/proc/self/status"]).await.stdout;
    for line in ["Uid:\t1000\t1000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "Seccomp:\t2"]
    {
        assert!(status.contains(line), "{line} in {status}");
    }
    // PR_GET_NO_NEW_PRIVS; gVisor tells of it only there.
    let asking = "import ctypes; print(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))";
    assert_eq!(python(&mut bottle, asking).await, "1");
    exec(&mut bottle, &["touch", "mine"]).await;
    let mine = host.state.of(&"a-00000".parse().unwrap()).home().join("mine").metadata().unwrap();
    assert_ne!(std::os::unix::fs::MetadataExt::uid(&mine), 0, "the agent is root on the host");
}

/// A process's group as the kernel shows it; 0 for one outside this process namespace.
fn group(process: &str) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(2).unwrap().to_owned()
}

/// The host's ids of the box and of init.
fn processes(host: &Host) -> [i32; 2] {
    let state = host.state.of(&"a-00000".parse().unwrap());
    let recorded = std::fs::read(state.path().join("namespace.json")).unwrap();
    let recorded: serde_json::Value = serde_json::from_slice(&recorded).unwrap();
    let pids = recorded["processes"].as_array().unwrap().iter();
    let pids: Vec<i32> =
        pids.map(|process| i32::try_from(process["pid"].as_i64().unwrap()).unwrap()).collect();
    pids.try_into().unwrap()
}

/// Otherwise Ctrl-C would end its box together with the launcher, which ends it in order.
#[tokio::test]
async fn its_box_is_no_member_of_the_launchers_process_group() {
    let host = Host::new();
    let _bottle = host.bottle("a-00000").await;
    for pid in processes(&host) {
        assert_ne!(group(&pid.to_string()), group("self"));
    }
}

#[tokio::test]
async fn a_bottle_whose_init_or_box_is_killed_is_lost() {
    for killed in [0, 1] {
        let host = Host::new();
        let mut bottle = host.bottle("a-00000").await;
        let (_output, writer) = std::io::pipe().unwrap();
        crate::support::start(&mut bottle, &["sleep", "1000"], writer.into()).await;
        let pid = rustix::process::Pid::from_raw(processes(&host)[killed]).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        for _ in 0..2 {
            let end = tokio::time::timeout(crate::support::LIMIT, bottle.wait()).await.unwrap();
            assert_eq!(end, RunEnd::Lost, "{killed}");
        }
    }
    // A program that ends as if it had been killed is not.
    let (end, _) = run(Host::new().bottle("a-00000").await, &["sh", "-c", "kill -KILL $$"]).await;
    assert_eq!(end, RunEnd::Exited(128 + 9));
}

#[tokio::test]
async fn only_what_is_needed_is_visible() {
    let host = Host::new();
    let mut bottle = host.bottle("a-00000").await;
    let script = "
import os
print(sorted(n for n in os.listdir('/') if not n.startswith('lib')))
print(sorted(os.listdir('/run')), sorted(os.listdir('/home')), sorted(os.listdir('/etc/bot-bottle')))
print([p for p in ('/root', '/sys', '/var/run', '/etc/shadow', '/etc/gitconfig', '/opt', '/srv', '/mnt') if os.path.exists(p)])
for p in ('/x', '/usr/x', '/etc/x', '/run/x', '/etc/bot-bottle/x', '/dev/x', '/proc/sys/kernel/core_pattern'):
    try:
        open(p, 'w'); print('wrote', p)
    except OSError as e: pass
for p in ('/tmp/x', '/home/agent/x', '/dev/shm/x', '/var/tmp/y'):
    open(p, 'w').write('x')
";
    let seen = python(&mut bottle, script).await;
    insta::assert_snapshot!(seen, @r#"
    ['.bot-bottle', 'bin', 'dev', 'etc', 'home', 'proc', 'run', 'sbin', 'tmp', 'usr', 'var']
    [] ['agent'] []
    []
    "#);
}

async fn a_port_opened_inside_is_served_from_outside(host: Host) {
    let mut bottle = host.bottle("a-00000").await;
    let listener = base::accept::Listener::from_descriptor(bottle.take_listeners().remove(0)).unwrap();
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        listener.accept().await.unwrap().write_all(b"hello from outside").await.unwrap();
    });
    let script = "
import socket
print(socket.create_connection(('egress', 9099), 5).recv(100).decode())
";
    assert_eq!(python(&mut bottle, script).await, "hello from outside");
    server.join_next().await.unwrap().unwrap();
}

async fn the_programs_code_and_output_come_back(host: Host) {
    let (end, output) =
        run(host.bottle("a-00000").await, &["sh", "-c", "echo out; echo err >&2; exit 7"]).await;
    assert_eq!((end, output.as_str()), (RunEnd::Exited(7), "out\nerr\n"));
    let (end, _) = run(host.bottle("a-00001").await, &["sh", "-c", "kill -SEGV $$"]).await;
    assert_eq!(end, RunEnd::Exited(128 + 11));
}

async fn signals_reach_the_agent_and_everything_dies_with_it(host: Host) {
    let mut bottle = host.bottle("a-00000").await;
    let script = "trap 'exit 42' TERM; sleep 1000 & setsid sleep 1000 & echo ready; wait";
    let (mut output, writer) = std::io::pipe().unwrap();
    crate::support::start(&mut bottle, &["sh", "-c", script], writer.into()).await;
    let mut ready = [0; 6];
    std::io::Read::read_exact(&mut output, &mut ready).unwrap();
    bottle.signal(rustix::process::Signal::TERM);
    let end = tokio::time::timeout(crate::support::LIMIT, bottle.wait()).await.unwrap();
    assert_eq!(end, RunEnd::Exited(42));
    // The pipe ends only when every process that held it is gone.
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
    assert_eq!(rest, "");
}

async fn errors_name_what_is_missing(host: Host) {
    let mut bottle = host.bottle("a-00000").await;
    for (argv, words) in [
        (vec!["no-such-program"], "in none of the bottle's PATH directories"),
        (vec!["/no/such/program"], "no such file inside the bottle"),
        (vec!["/etc/hosts"], "not executable"),
        (vec![], "the command is empty"),
    ] {
        let refused = bottle
            .exec(crate::support::command(&argv), String::new(), crate::support::LIMIT)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    }
    let late = bottle.exec(
        crate::support::command(&["sleep", "60"]),
        String::new(),
        std::time::Duration::from_millis(50),
    );
    assert_eq!(late.await.unwrap().code, None);
}

/// Acts as a launcher for the test below, when that one starts it; does nothing otherwise.
#[tokio::test]
async fn victim() {
    let Ok(home) = std::env::var("BOT_BOTTLE_TEST_VICTIM") else { return };
    let host = Host::at(home.as_ref());
    let mut bottle = host.bottle("a-00000").await;
    let inherited = std::io::stderr().as_fd().try_clone_to_owned().unwrap();
    crate::support::start(
        &mut bottle,
        &["sh", "-c", "setsid sleep 1000 & echo ready; sleep 1000"],
        inherited,
    )
    .await;
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn the_kernel_ends_every_bottle_of_a_killed_launcher() {
    let home = tempfile::tempdir().unwrap();
    let (output, writer) = std::io::pipe().unwrap();
    let mut launcher = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "boundary::victim", "--nocapture"])
        .env("BOT_BOTTLE_TEST_VICTIM", home.path())
        .stderr(writer)
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
    assert!(lines.any(|line| line.unwrap() == "ready"));
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    // The pipe ends only when every process that holds it is gone: the program, and what it put in the background.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(lines.count()));
    let ended = told.recv_timeout(crate::support::LIMIT);
    // Whatever came of it, nothing outlives this test.
    Host::at(home.path()).backend.destroy(&"a-00000".parse().unwrap()).await.unwrap();
    assert_eq!(ended, Ok(0), "processes are left");
}

async fn what_a_killed_launcher_left_is_removed(host: Host) {
    let bottle = host.bottle("a-00000").await;
    std::mem::forget(bottle);
    let name = "a-00000".parse().unwrap();
    assert_eq!(host.backend.list_owned().await.unwrap(), [name]);
    let name = host.backend.list_owned().await.unwrap().remove(0);
    host.backend.destroy(&name).await.unwrap();
    assert!(host.backend.list_owned().await.unwrap().is_empty());
    host.backend.destroy(&name).await.unwrap();
}

pub(crate) async fn descriptors_of_the_launcher_stay_outside(host: Host) {
    // A launcher may itself have been started with descriptors that are not close-on-exec.
    let open = std::fs::File::open("/etc/hostname").unwrap();
    rustix::io::fcntl_setfd(open.as_fd(), rustix::io::FdFlags::empty()).unwrap();
    let mut bottle = host.bottle("a-00000").await;
    let listing = exec(&mut bottle, &["ls", "-l", "/proc/self/fd"]).await.stdout;
    assert!(!listing.contains("hostname"), "{listing}");
}

async fn an_archive_is_unpacked_inside_as_the_agent(host: Host) {
    use std::io::{Seek as _, Write as _};
    let mut bottle = host.bottle("a-00000").await;
    let from = tempfile::tempdir().unwrap();
    std::fs::create_dir(from.path().join("d")).unwrap();
    std::fs::write(from.path().join("d/run"), "#!/bin/sh\necho it runs; id -u; ls -A\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(from.path().join("d/run"), executable).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", from.path().join("link")).unwrap();
    let limits = archive::Limits { bytes: 1000, entries: 10 };
    let rules =
        archive::Rules { links: archive::Odd::Keep, specials: archive::Odd::Skip, in_use: false, limits };
    let mut packed = tempfile::tempfile().unwrap();
    archive::pack(from.path(), &["".into()], &rules, &packed).unwrap();
    let how = |into: &str, links| launcher::backend::Unpacking { into: into.to_owned(), links, limits };
    for (into, links, words) in [("x", false, "symbolic link"), ("../x", true, "not plain and relative")] {
        packed.rewind().unwrap();
        let refused = bottle.unpack(packed.try_clone().unwrap(), how(into, links)).await.unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    }
    packed.rewind().unwrap();
    bottle.unpack(packed.try_clone().unwrap(), how("workspace/of/mine", true)).await.unwrap();
    let done = exec(&mut bottle, &["/home/agent/workspace/of/mine/d/run"]).await;
    assert!(done.stdout.starts_with("it runs\n1000\n"), "{done:?}");
    let file = host.state.of(&"a-00000".parse().unwrap()).home().join("workspace/of/mine/d/run");
    assert_ne!(std::os::unix::fs::MetadataExt::uid(&file.metadata().unwrap()), 0, "it is root's on the host");
    // What is no archive is a failure, after which the bottle goes on.
    packed.write_all(b"nonsense").unwrap();
    packed.rewind().unwrap();
    packed.set_len(100).unwrap();
    assert!(bottle.unpack(packed, how("y", true)).await.is_err());
    assert_eq!(run(bottle, &["true"]).await.0, RunEnd::Exited(0));
}
