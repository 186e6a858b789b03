//! Two bottles at the same time (invariant 1).

use harness::{Backend, World, soon};
use policy::EgressPolicy;

const LISTEN: &str = "
import socket
tcp = socket.create_server(('127.0.0.1', 7777))
abstract = socket.socket(socket.AF_UNIX)
abstract.bind('\\0neighbour')
abstract.listen()
print('listening', flush=True)
tcp.settimeout(600)
tcp.accept()
";

const VISIT: &str = "
import socket, sys
found = []
for family, address in ((socket.AF_INET, ('127.0.0.1', 7777)), (socket.AF_UNIX, '\\0neighbour')):
    try:
        way = socket.socket(family)
        way.settimeout(5)
        way.connect(address)
        found.append(str(address))
    except OSError as error:
        print(address, error)
sys.exit(len(found))
";

#[tokio::test]
async fn a_bottle_cannot_reach_another() {
    cannot_reach(World::up().await, ["namespace", "namespace"]).await;
}

#[tokio::test]
async fn a_container_cannot_reach_another_bottle_of_any_kind() {
    let Some(docker) = Backend::docker() else { return };
    for neighbour in ["namespace", "docker"] {
        cannot_reach(World::up_on(docker).await, [neighbour, "docker"]).await;
    }
}

async fn cannot_reach(world: World, [of_neighbour, of_visitor]: [&str; 2]) {
    world.home.write("neighbour", &["python3", "-c", LISTEN], &EgressPolicy::default());
    world.home.write("visitor", &["python3", "-c", VISIT], &EgressPolicy::default());
    let mut neighbour =
        world.home.command(&["start", "neighbour", "--yes", "--backend", of_neighbour]).spawn().unwrap();
    let words = tokio::io::BufReader::new(neighbour.stdout.take().unwrap());
    let word = soon("the neighbour", tokio::io::AsyncBufReadExt::lines(words).next_line()).await;
    assert_eq!(word.unwrap().as_deref(), Some("listening"));

    let visit = world.run(&["start", "visitor", "--yes", "--backend", of_visitor]).await;
    visit.expect_code(0).expect_out("Connection refused");

    let list = world.run(&["list", "--json"]).await.json();
    world.run(&["stop", list[0]["bottle"].as_str().unwrap(), "--grace", "1"]).await.expect_code(0);
    soon("its end", neighbour.wait()).await.unwrap();
    world.down().await;
}
