//! What a Docker network leaks that has no way out, and a bottle does not, since it is on none. The engine's host here is a
//! network namespace that only it has, with a listener and a resolver of the test.

use std::io::{BufRead as _, BufReader, Lines};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use engine::{BASE_IMAGE, Engine, Options};
use launcher::backend::AgentUser;

use crate::support::{Host, python};

/// Listens on every address of its host, and resolves every name on the loopback; writes what it hears, each line at once.
const OF_THE_HOST: &str = "
import os, socket, threading
def say(*words): os.write(1, (' '.join(words) + '\\n').encode())
service = socket.create_server(('0.0.0.0', 0))
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
resolver.bind(('127.0.0.1', 53))
def resolve():
    while True:
        question, whose = resolver.recvfrom(512)
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        say('asked', '.'.join(labels))
        kind = question[at + 1:at + 3]
        answers = 1 if kind == b'\\0\\1' else 0
        answer = question[:2] + b'\\x81\\x80\\0\\1' + bytes([0, answers]) + b'\\0\\0\\0\\0' + question[12:at + 5]
        answer += b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4\\xc6\\x33\\x64\\7' * answers
        resolver.sendto(answer, whose)
threading.Thread(target=resolve, daemon=True).start()
say(str(service.getsockname()[1]))
while True:
    with service.accept()[0] as connection:
        connection.settimeout(5)
        say('heard', connection.recv(100).decode())
";

/// Reaches for the host of its network, and asks for a name that holds a secret.
fn attempts(gateway: &str, port: &str, who: &str) -> String {
    format!(
        "
import socket
try:
    with socket.create_connection(({gateway:?}, {port}), 5) as way: way.sendall(b'{who}')
    print('reached')
except OSError as error: print(error.strerror)
try: print(socket.gethostbyname('secret-of-{who}.example'))
except OSError as error: print('no name')
"
    )
}

/// The service and the resolver.
struct OfTheHost {
    child: Child,
    words: Lines<BufReader<ChildStdout>>,
}

impl OfTheHost {
    fn start(engine: &Engine) -> Self {
        let mut command = engine.within("/usr/bin/python3");
        let mut child = command.args(["-c", OF_THE_HOST]).stdout(Stdio::piped()).spawn().unwrap();
        let words = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, words }
    }

    fn word(&mut self) -> String {
        self.words.next().unwrap().unwrap()
    }
}

impl Drop for OfTheHost {
    fn drop(&mut self) {
        // One that has ended has nothing to be asked.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn docker(engine: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("docker");
    command.arg("--host").arg(format!("unix://{}", engine.display())).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn an_internal_network_leaks_to_the_host_and_its_resolver_and_a_bottle_does_not() {
    let options = Options { base: true, resolver: Some(Ipv4Addr::LOCALHOST), ..Options::default() };
    let Some(engine) = Engine::start(&options) else { return };
    let mut host = OfTheHost::start(&engine);
    let port = host.word();
    docker(engine.socket(), &["network", "create", "--internal", "inner"]);
    let gateway = "{{(index .IPAM.Config 0).Gateway}}";
    let gateway = docker(engine.socket(), &["network", "inspect", "--format", gateway, "inner"]);

    let script = attempts(&gateway, &port, "a-container");
    let run = ["run", "--rm", "--network", "inner", BASE_IMAGE, "/usr/bin/python3", "-c", &script];
    assert_eq!(docker(engine.socket(), &run), "reached\n198.51.100.7", "the network does not leak any more");
    let mut heard = [host.word(), host.word()];
    heard.sort();
    assert_eq!(heard, ["asked secret-of-a-container.example", "heard a-container"]);

    for user in [AgentUser::Ordinary, AgentUser::Root] {
        let home = tempfile::tempdir().unwrap();
        let bottles = Host::docker_at(home.path(), engine.socket(), user);
        let mut bottle = bottles.bottle("a-00000").await;
        for address in [&*gateway, "127.0.0.1", &engine.outside().to_string()] {
            let seen = python(&mut bottle, &attempts(address, &port, "a-bottle")).await;
            let refused =
                if address == "127.0.0.1" { "Connection refused" } else { "Network is unreachable" };
            assert_eq!(seen, format!("{refused}\nno name"), "{address}");
        }
        // The engine's own resolver is where a container of a network asks.
        let asks = "
import socket
way = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
way.settimeout(2)
try:
    way.connect(('127.0.0.11', 53))
    way.send(b'\\0\\7\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\10a-bottle\\0\\0\\1\\0\\1')
    print(way.recv(100))
except OSError as error: print(error.strerror)
";
        assert_eq!(python(&mut bottle, asks).await, "Connection refused");
        bottle.kill();
        bottle.wait().await;
        bottles.backend.destroy(&"a-00000".parse().unwrap()).await.unwrap();
    }
    // It would have heard them before this: it is asked by the same container as before.
    docker(engine.socket(), &run);
    let mut heard = [host.word(), host.word()];
    heard.sort();
    assert_eq!(heard, ["asked secret-of-a-container.example", "heard a-container"]);
}
