//! What is different about a bottle that is a container. Needs a Docker engine: the tests start their own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use engine::{Engine, Options};
use launcher::backend::docker::{EngineAddress, ImageChoice};
use launcher::backend::{AgentUser, RunEnd};
use launcher::probe::{ProbeTargets, probe};

use crate::support::world::World;
use crate::support::{Host, LIMIT, exec, python, run, start};

/// What the engine's own command line says.
pub(crate) fn docker(engine: &Engine, arguments: &[&str]) -> String {
    let mut command = Command::new("docker");
    command.arg("--host").arg(format!("unix://{}", engine.socket().display())).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The containers of a home, whatever their state is.
pub(crate) fn containers(engine: &Engine, home: &Path) -> Vec<String> {
    let label = format!("label=bot-bottle.owner={}", launcher::identity::lasting(home).unwrap());
    let ids = docker(engine, &["ps", "--all", "--quiet", "--no-trunc", "--filter", &label]);
    ids.lines().map(str::to_owned).collect()
}

/// Waits until a home has no container any more: the engine removes what has ended a moment later.
pub(crate) async fn emptied(engine: &Engine, home: &Path) {
    let emptied = async {
        while !containers(engine, home).is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, emptied).await.expect("the engine removes what has ended");
}

#[tokio::test]
async fn only_what_is_needed_can_be_written() {
    let Some(host) = Host::docker() else { return };
    let mut bottle = host.bottle("a-00000").await;
    let script = "
import os
print(sorted(os.listdir('/home')), sorted(os.listdir('/sys')), sorted(os.listdir('/.bot-bottle/way')), os.path.exists('/.dockerenv'))
print([n for _, n in __import__('socket').if_nameindex()], open('/etc/hosts').read().split(), repr(open('/etc/resolv.conf').read()))
for p in ('/x', '/usr/x', '/etc/x', '/etc/hosts', '/run/x', '/etc/bot-bottle/x', '/.bot-bottle/way/x', '/dev/x', '/sys/x', '/proc/sys/kernel/core_pattern'):
    try:
        open(p, 'w'); print('wrote', p)
    except OSError as e: pass
for p in ('/tmp/x', '/home/agent/x', '/dev/shm/x', '/var/tmp/y'):
    open(p, 'w').write('x')
import pwd
print(pwd.getpwuid(os.getuid()).pw_dir)
";
    insta::assert_snapshot!(python(&mut bottle, script).await, @r"
    ['agent'] [] [] True
    ['lo'] ['127.0.0.1', 'localhost', 'egress', 'gitgate', 'supervise', 'a-00000', '::1', 'localhost'] ''
    /home/agent
    ");
}

#[tokio::test]
async fn a_bottle_whose_container_is_stopped_or_killed_is_lost_and_its_container_goes() {
    let Some(engine) = Engine::shared() else { return };
    for order in [vec!["kill"], vec!["stop", "--time", "20"], vec!["rm", "--force"]] {
        let home = tempfile::tempdir().unwrap();
        let host = Host::docker_at(home.path(), engine.socket(), AgentUser::Ordinary);
        let mut bottle = host.bottle("a-00000").await;
        let (_output, writer) = std::io::pipe().unwrap();
        start(&mut bottle, &["sleep", "1000"], writer.into()).await;
        let id = containers(engine, home.path()).remove(0);
        docker(engine, &[&order[..], &[&id]].concat());
        for _ in 0..2 {
            let end = tokio::time::timeout(LIMIT, bottle.wait()).await.unwrap();
            assert_eq!(end, RunEnd::Lost, "{order:?}");
        }
        emptied(engine, home.path()).await;
    }
}

#[tokio::test]
async fn a_bottle_ends_with_its_launcher_and_leaves_no_container() {
    let Some(engine) = Engine::shared() else { return };
    let home = tempfile::tempdir().unwrap();
    let host = Host::docker_at(home.path(), engine.socket(), AgentUser::Ordinary);
    // The end of the channel is all that init hears of a launcher's death.
    drop(host.bottle("a-00000").await);
    let mut bottle = host.bottle("a-00001").await;
    let (mut output, writer) = std::io::pipe().unwrap();
    start(&mut bottle, &["sh", "-c", "trap '' TERM HUP IO; setsid sleep 1000 & sleep 1000"], writer.into())
        .await;
    drop(bottle);
    // The pipe ends only when every process that holds it is gone.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tell.send(std::io::Read::read_to_string(&mut output, &mut String::new()).is_ok())
    });
    assert_eq!(told.recv_timeout(LIMIT), Ok(true), "processes are left");
    emptied(engine, home.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_goes_takes_its_bottles_with_it() {
    type Go = fn(&Engine);
    for go in [Engine::kill as Go, Engine::stop as Go] {
        let Some(engine) = Engine::start(&Options { base: true, ..Options::default() }) else { return };
        let home = tempfile::tempdir().unwrap();
        let host = Host::docker_at(home.path(), engine.socket(), AgentUser::Ordinary);
        let mut bottle = host.bottle("a-00000").await;
        let (_output, writer) = std::io::pipe().unwrap();
        start(&mut bottle, &["sleep", "1000"], writer.into()).await;
        tokio::task::block_in_place(|| go(&engine));
        assert_eq!(tokio::time::timeout(LIMIT, bottle.wait()).await.unwrap(), RunEnd::Lost);
        let name = "a-00000".parse().unwrap();
        let error = host.backend.destroy(&name).await.unwrap_err();
        assert!(error.to_string().contains("use the Docker engine"), "{error}");
        // What it has is not forgotten meanwhile.
        assert_eq!(host.backend.list_owned().await.unwrap(), std::slice::from_ref(&name));
        tokio::task::block_in_place(|| engine.start_again());
        host.backend.destroy(&name).await.unwrap();
        assert!(containers(&engine, home.path()).is_empty());
        assert!(host.backend.list_owned().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_cannot_be_made_is_said_and_nothing_is_left() {
    let Some(engine) = Engine::shared() else { return };
    let home = tempfile::tempdir().unwrap();
    let host = Host::docker_with(home.path(), |config| {
        config.engine = EngineAddress::of(Some(&format!("unix://{}", engine.socket().display())));
        config.images = ImageChoice { usual: Some("nobody/has-this:1".to_owned()), extra_ca: None };
    });
    let refused = |error: launcher::backend::BackendError, words: &str| {
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(host.try_bottle("a-00000").await.err().unwrap(), "is not on the engine");
    let host = Host::docker_with(home.path(), |config| {
        config.engine = EngineAddress::of(Some(&format!("unix://{}", engine.socket().display())));
        config.init = "/bin/false".into();
    });
    refused(host.try_bottle("a-00001").await.err().unwrap(), "did not connect");
    host.backend.destroy(&"a-00001".parse().unwrap()).await.unwrap();
    emptied(engine, home.path()).await;
    // Somebody inside who is faster than init does not get to speak for it.
    let script = home.path().join("first");
    let text = "#!/usr/bin/python3
import os, socket, time
if os.fork() == 0:
    way = socket.socket(socket.AF_UNIX)
    way.connect('/.bot-bottle/way/init')
time.sleep(60)
";
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let host = Host::docker_with(home.path(), |config| {
        config.engine = EngineAddress::of(Some(&format!("unix://{}", engine.socket().display())));
        config.init = script;
    });
    refused(host.try_bottle("a-00002").await.err().unwrap(), "somebody else connected");
    host.backend.destroy(&"a-00002".parse().unwrap()).await.unwrap();
    emptied(engine, home.path()).await;
    let nowhere = home.path().join("nowhere.sock");
    for (address, words) in [
        (format!("unix://{}", nowhere.display()), "nothing listens there"),
        ("tcp://127.0.0.1:1".to_owned(), "only on an engine of this host"),
    ] {
        let host = Host::docker_with(home.path(), |config| config.engine = EngineAddress::of(Some(&address)));
        refused(host.backend.works().await.unwrap_err(), words);
        let name = launcher_slug();
        refused(host.try_bottle(&name).await.err().unwrap(), words);
        // Nothing was made there, so that there is nothing to be in the way of putting it away.
        host.backend.destroy(&name.parse().unwrap()).await.unwrap();
    }
}

/// An engine goes on with what a launcher has asked it for that has died meanwhile, and the next one may have looked by then.
#[tokio::test]
async fn a_container_that_came_late_goes_with_the_next_launcher() {
    let Some(world) = World::docker().await else { return };
    let (engine, launcher) = (world.engine.unwrap(), world.launcher().await);
    let owner = format!("bot-bottle.owner={}", launcher::identity::lasting(world.home.path()).unwrap());
    let made = ["create", "--network", "none", "--label", &owner, "--label", "bot-bottle.bottle=a-00000"];
    docker(engine, &[&made[..], &[engine::BASE_IMAGE, "true"]].concat());
    assert_eq!(containers(engine, world.home.path()).len(), 1);
    launcher.stop().await;
    // Nothing is left, which is looked for at the end.
    world.end().await;
}

fn launcher_slug() -> String {
    base::id::Slug::random(&"a".parse().unwrap()).to_string()
}

#[tokio::test]
async fn twenty_cycles_leave_nothing() {
    // Everything that the engine has is counted, and others would make and remove things meanwhile.
    let Some(engine) = &Engine::start(&Options { base: true, ..Options::default() }) else { return };
    let home = tempfile::tempdir().unwrap();
    let host = Host::docker_at(home.path(), engine.socket(), AgentUser::Ordinary);
    let others = |what: &[&str]| docker(engine, what).lines().count();
    let before = [others(&["network", "ls"]), others(&["image", "ls", "--all"])];
    for number in 0..20 {
        let name = format!("a-{number:05}");
        let bottle = host.bottle(&name).await;
        match number % 3 {
            0 => bottle.kill(),
            1 => drop(bottle),
            _ => assert_eq!(run(bottle, &["true"]).await.0, RunEnd::Exited(0)),
        }
        host.backend.destroy(&name.parse().unwrap()).await.unwrap();
    }
    assert_eq!(containers(engine, home.path()), Vec::<String>::new());
    assert_eq!(docker(engine, &["volume", "ls", "--quiet"]), "");
    assert_eq!([others(&["network", "ls"]), others(&["image", "ls", "--all"])], before);
    assert!(host.backend.list_owned().await.unwrap().is_empty());
}

#[tokio::test]
async fn limits_hold() {
    let Some(host) = Host::docker() else { return };
    let limits = launcher::limits::Limits {
        memory: Some(128 << 20),
        cpu_millis: Some(500),
        processes: Some(32),
        processes_assumed: false,
        disk: Some(8 << 20),
    };
    let mut bottle = host.limited_bottle("a-00000", limits).await;
    let script = "
import os, time
made = 0
try:
    while made < 100:
        if os.fork() == 0: time.sleep(5); os._exit(0)
        made += 1
except OSError: pass
print(made < 32)
for path in ('/tmp/x', '/var/tmp/x', '/dev/shm/x'):
    try: open(path, 'wb').write(bytes(16 << 20)); print('filled', path)
    except OSError as e: print(e.strerror)
";
    insta::assert_snapshot!(python(&mut bottle, script).await, @r"
    True
    No space left on device
    No space left on device
    No space left on device
    ");
    let hog = exec(&mut bottle, &["/usr/bin/python3", "-c", "x = bytearray(256 << 20); print(len(x))"]).await;
    assert_eq!((hog.code, hog.stdout.as_str()), (Some(128 + 9), ""));
}

/// What is mounted in an image is looked through, and a socket there is found.
#[tokio::test]
async fn a_socket_that_is_shown_is_found() {
    let Some(host) = Host::docker() else { return };
    let mut bottle = host.bottle("a-00000").await;
    let path = host.state.of(&"a-00000".parse().unwrap()).home().join("deep/agent.sock");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let refused = probe(&mut bottle, &ProbeTargets::canaries_only()).await.unwrap_err().to_string();
    assert!(refused.contains("a Unix socket at /home/agent/deep/agent.sock"), "{refused}");
}

/// The label counts, also where no state tells of a bottle; and another home's container is none of ours.
#[tokio::test]
async fn what_is_labelled_for_this_home_is_removed_and_nothing_else() {
    let Some(engine) = Engine::shared() else { return };
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for home in &homes {
        let owner = format!("bot-bottle.owner={}", launcher::identity::lasting(home.path()).unwrap());
        let made = ["create", "--network", "none", "--label", &owner, "--label", "bot-bottle.bottle=a-00000"];
        docker(engine, &[&made[..], &[engine::BASE_IMAGE, "true"]].concat());
    }
    let [host, other] =
        homes.each_ref().map(|home| Host::docker_at(home.path(), engine.socket(), AgentUser::Ordinary));
    let name = "a-00000".parse().unwrap();
    assert_eq!(host.backend.list_owned().await.unwrap(), std::slice::from_ref(&name));
    host.backend.destroy(&name).await.unwrap();
    assert!(containers(engine, homes[0].path()).is_empty());
    assert_eq!(containers(engine, homes[1].path()).len(), 1);
    other.backend.destroy(&name).await.unwrap();
    assert!(containers(engine, homes[1].path()).is_empty());
}
