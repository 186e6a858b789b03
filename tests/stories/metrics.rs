//! What an operator reads of a running bottle's proxy (E17).

use harness::{Backend, Home, World, on_each_backend, soon};
use policy::EgressPolicy;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// Asks the proxy for a host that it refuses, then looks for the socket among the files, and among the sockets that have
/// a name.
const AGENT: &str = "
import os, urllib.request
try: urllib.request.urlopen('http://unlisted.example/', timeout=20)
except urllib.error.HTTPError as refusal: print(refusal.code)
found = []
for at, below, names in os.walk('/'):
    if at == '/': below[:] = [one for one in below if one not in ('proc', 'sys', 'usr')]
    if 'metrics.sock' in names: found.append(at)
print(found)
print('metrics.sock' in open('/proc/net/unix').read(), flush=True)
import time; time.sleep(600)
";

on_each_backend!(they_are_on_a_socket_of_the_host_and_not_of_the_bottle);

async fn they_are_on_a_socket_of_the_host_and_not_of_the_bottle(on: Backend) {
    let world = World::up_in(Home::on(on), &[("BOT_BOTTLE_METRICS", "on")]).await;
    world.home.write("counted", &["/usr/bin/python3", "-c", AGENT], &EgressPolicy::default());
    let mut start = world.home.command(&["start", "counted", "--yes"]).spawn().unwrap();
    let mut words = BufReader::new(start.stdout.take().unwrap()).lines();
    for expected in ["403", "[]", "False"] {
        assert_eq!(soon("its words", words.next_line()).await.unwrap().as_deref(), Some(expected));
    }
    let list = world.run(&["list", "--json"]).await.expect_code(0).json();
    let bottle = list[0]["bottle"].as_str().unwrap();
    let socket = world.home.path().join("state").join(bottle).join("egress/metrics.sock");
    let mut stream = UnixStream::connect(&socket).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    soon("the metrics", stream.read_to_string(&mut text)).await.unwrap();
    assert!(text.contains("\nbot_bottle_egress_connections_total 1\n"), "{text}");
    assert!(text.contains(r#"refusals_total{rule="unlisted-host"} 1"#), "{text}");
    world.run(&["stop", bottle]).await.expect_code(0);
    world.down().await;
}
