//! The second sidecar: started, given its port and watched like the first, unless the bottle asks nobody (M4).

use bus::message::run::ExitReason;

use crate::support::world::{World, in_each_world};

/// Asks what listens at each port who it is and what it was handed.
const WHO: &str = "
import socket
for name, port in ('egress', 9099), ('supervise', 9100):
    try:
        peer = socket.create_connection((name, port), 5)
        peer.sendall(b'who')
        print(peer.recv(1000).decode())
    except OSError as error:
        print(type(error).__name__)
";

in_each_world!(
    "current_thread":
    the_door_has_a_port_and_an_identity_and_no_secret,
);

async fn the_door_has_a_port_and_an_identity_and_no_secret(world: World) {
    let launcher = world.launcher().await;
    world.agent(&["/usr/bin/python3", "-c", WHO], "");
    let exited = world.run("r1").await;
    let said = exited.result.unwrap();
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split(' ').collect()).collect();
    let (egress, door) = (&lines[0], &lines[1]);
    assert_eq!(door[1..], [exited.bottle.as_str(), "bottle", "bus", "trace", "v"]);
    assert_eq!(egress[1], exited.bottle.as_str());
    assert_ne!(egress[0], door[0], "two sidecars share an identity");

    world.agent(&["/usr/bin/python3", "-c", WHO], "supervise: false");
    let said = world.run("r2").await.result.unwrap();
    assert_eq!(said.lines().nth(1), Some("ConnectionRefusedError"));

    let die = "import socket, time; socket.create_connection(('supervise', 9100)).sendall(b'die'); time.sleep(1000)";
    world.agent(&["/usr/bin/python3", "-c", die], "");
    let exited = world.run("r3").await;
    assert_eq!((exited.reason, exited.code), (ExitReason::SidecarLost, 137));
    launcher.stop().await;
    world.end().await;
}
