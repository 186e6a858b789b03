//! The door as the launcher starts it.

use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Stdio;

use bus::Credentials;
use handover::Channel;
use handover::sidecar::{BusAccess, DoorHandover, Listeners, SidecarAnswer};
use tokio::process::{Child, Command};

use crate::agent::{Agent, Open};
use crate::support::{SOON, World, bottle, soon};

struct Program {
    child: Child,
    channel: Channel,
}

impl Program {
    fn start() -> Self {
        let (channel, theirs) = Channel::pair(SOON).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bot-bottle-door"));
        command.stdin(Stdio::from(OwnedFd::from(theirs.into_socket()))).stderr(Stdio::null()).env_clear();
        Self { child: command.kill_on_drop(true).spawn().unwrap(), channel }
    }

    fn is_told(&mut self, v: u32, world: &World, credentials: &Credentials) -> SidecarAnswer {
        let (jwt, seed) = (credentials.jwt().to_owned(), credentials.seed().clone());
        let bus = BusAccess { url: world.server.url().to_owned(), jwt, seed };
        self.channel.send(&DoorHandover { v, bottle: bottle(), bus, trace: None }, &[]).unwrap();
        self.channel.receive().unwrap().0
    }

    fn gets(&mut self, name: &str, listener: &TcpListener) -> SidecarAnswer {
        self.channel.send(&Listeners { names: vec![name.to_owned()] }, &[listener.as_fd()]).unwrap();
        self.channel.receive().unwrap().0
    }
}

fn ready() -> SidecarAnswer {
    SidecarAnswer::Ready { certificate: None }
}

#[tokio::test]
async fn it_opens_on_the_socket_that_it_gets_and_ends_with_its_launcher() {
    let world = World::start().await;
    world.store(1, &["a.example"]).await;
    let supervisor = world.supervise(SOON).await;
    let credentials = world.keys.mint_bottle(&bottle(), SOON * 10).unwrap();
    let mut program = Program::start();
    assert_eq!(program.is_told(1, &world, &credentials), ready());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = Open::elsewhere(listener.local_addr().unwrap());
    assert_eq!(program.gets("mcp", &listener), SidecarAnswer::Serving);
    drop(listener);
    let agent = Agent::at(&open).await;
    let routes = agent.calls("list-egress-routes", serde_json::json!({})).await.value;
    assert_eq!(routes["routes"][0]["host"], "a.example");
    let seed = credentials.seed().expose();
    for place in ["environ", "cmdline"] {
        let shown = std::fs::read(format!("/proc/{}/{place}", program.child.id().unwrap())).unwrap();
        assert!(!shown.windows(seed.len()).any(|window| window == seed.as_bytes()), "{place}");
    }
    let Program { mut child, channel } = program;
    drop(channel);
    assert!(soon("its end", child.wait()).await.unwrap().success());
    supervisor.stop().await;
}

#[tokio::test]
async fn what_it_cannot_serve_with_is_refused_with_the_reason() {
    let world = World::start().await;
    let own = world.keys.mint_bottle(&bottle(), SOON * 10).unwrap();
    let foreign = world.keys.mint_bottle(&"you-00000".parse().unwrap(), SOON * 10).unwrap();
    for (v, credentials, word) in [(1, &foreign, "those of you-00000"), (2, &own, "version 1")] {
        let mut program = Program::start();
        let SidecarAnswer::Failed { reason } = program.is_told(v, &world, credentials) else { panic!("{v}") };
        assert!(reason.contains(word), "{reason}");
        assert!(!soon("its end", program.child.wait()).await.unwrap().success());
    }
    let mut program = Program::start();
    assert_eq!(program.is_told(1, &world, &own), ready());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let SidecarAnswer::Failed { reason } = program.gets("proxy", &listener) else { panic!("it serves") };
    assert!(reason.contains("each named mcp"), "{reason}");
}
