//! A program at a terminal of its own. Needs bubblewrap, nats-server and Python.

use std::time::{Duration, Instant};

use base::id::{ClientId, Slug};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bus::message::run::{ExitReason, Output};
use bus::message::start::{StartRequest, StopRequest};
use bus::message::terminal::{Size, Terminal, TerminalAct, TerminalOutcome, TerminalReply, TerminalRequest};
use bus::{Follow, Since, layout};

use crate::support::LIMIT;
use crate::support::world::{Events, Running, World, in_each_world, request};

const SIZE: Size = Size { rows: 24, cols: 80 };
/// Shows each line that it is given, once.
const REPEATS: &[&str] = &["sh", "-c", "stty -echo; echo ready; exec cat"];

/// A bottle with a terminal, and somebody at it.
struct Seat {
    world: World,
    launcher: Running,
    events: Events,
    bottle: Slug,
    client: ClientId,
    next: u64,
    output: Follow<Output>,
    seen: Vec<u8>,
}

impl Seat {
    async fn at(world: World, argv: &[&str]) -> Self {
        world.agent_with(argv, "prompt: none", "");
        let launcher = world.launcher().await;
        let mut events = world.events().await;
        let terminal = Terminal { rows: 24, cols: 80, term: "xterm-256color".into(), truecolor: true };
        let start = StartRequest { terminal: Some(terminal), ..request("r1") };
        world.operator.publish(&start).await.unwrap();
        let bottle = events.started().await.bottle;
        let subject = format!("bottle.output.{bottle}");
        let output = world.operator.follow(layout::OUTPUT, &subject, Since::All).await.unwrap();
        let client = ClientId::random();
        let mut seat = Self { world, launcher, events, bottle, client, next: 0, output, seen: Vec::new() };
        assert_eq!(seat.act(TerminalAct::Attach { size: SIZE }).await.outcome, TerminalOutcome::Accepted);
        seat
    }

    async fn act(&mut self, act: TerminalAct) -> TerminalReply {
        let (client, sequence) = (self.client.clone(), self.next);
        self.next += 1;
        self.say(client, sequence, act).await
    }

    async fn say(&self, client: ClientId, sequence: u64, act: TerminalAct) -> TerminalReply {
        let request =
            TerminalRequest { v: Default::default(), bottle: self.bottle.clone(), client, sequence, act };
        self.world.operator.request(&request, LIMIT).await.unwrap()
    }

    async fn types(&mut self, text: &str) {
        let typed = self.act(input(text)).await;
        assert_eq!(typed.outcome, TerminalOutcome::Accepted, "{typed:?}");
    }

    /// Waits until the terminal has shown this, and forgets what was shown up to it.
    async fn shows(&mut self, text: &str) {
        let end = tokio::time::Instant::now() + LIMIT;
        loop {
            let found = self.seen.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(at) = found {
                self.seen.drain(..at + text.len());
                return;
            }
            let piece = tokio::time::timeout_at(end, self.output.next()).await;
            let piece =
                piece.unwrap_or_else(|_| panic!("no {text:?} in {:?}", String::from_utf8_lossy(&self.seen)));
            self.seen.extend(BASE64_STANDARD.decode(piece.unwrap().message.unwrap().data).unwrap());
        }
    }

    async fn end(self) {
        self.launcher.stop().await;
        self.world.end().await;
    }
}

fn input(text: &str) -> TerminalAct {
    TerminalAct::Input { data: BASE64_STANDARD.encode(text) }
}

in_each_world!(
    "current_thread":
    a_program_has_a_terminal_of_the_bottles_own,
    a_shell_that_ignores_the_stop_is_hung_up_on,
    what_is_sent_again_is_typed_once_and_in_order,
    the_terminal_of_whoever_typed_last_answers,
    a_program_that_does_not_read_does_not_hold_up_the_launcher,
    a_headless_bottle_has_no_terminal_and_says_so,
    an_echo_comes_at_once,
);

async fn a_program_has_a_terminal_of_the_bottles_own(world: World) {
    let mut seat = Seat::at(world, &["bash", "--norc"]).await;
    seat.types("tty; stty size; echo $TERM-$COLORTERM; test -e /dev/console || echo no-console\r").await;
    for shown in ["/dev/pts/0", "24 80", "xterm-256color-truecolor", "no-console"] {
        seat.shows(shown).await;
    }
    // Nobody else's terminal is in reach, and what pushes into one is refused at this one, too.
    let push = "import fcntl; fcntl.ioctl(0, 0x5412, b'x')";
    seat.types(&format!("ls /dev/pts | tr '\\n' .; python3 -c \"{push}\"\r")).await;
    seat.shows("0.ptmx.").await;
    seat.shows("PermissionError").await;
    let wide = Size { rows: 50, cols: 132 };
    assert_eq!(seat.act(TerminalAct::Resize { size: wide }).await.outcome, TerminalOutcome::Accepted);
    seat.types("stty size\r").await;
    seat.shows("50 132").await;
    // An interrupt ends what runs in the foreground, and not the shell.
    // One that the signal itself ends: a handler could run in the moment before the sleep, and be forgotten there.
    let sleeper =
        "import signal, time; signal.signal(2, signal.SIG_DFL); print('sleeps-%d' % (40 + 3), flush=True)";
    seat.types(&format!("python3 -c \"{sleeper}; time.sleep(600)\"\r")).await;
    seat.shows("sleeps-43").await;
    seat.types("\u{3}").await;
    seat.types("echo code-$?\r").await;
    seat.shows("code-130").await;
    seat.types("exit 7\r").await;
    let exited = seat.events.exited().await;
    assert_eq!((exited.reason, exited.code, &exited.result), (ExitReason::Completed, 7, &None));
    seat.end().await;
}

async fn a_shell_that_ignores_the_stop_is_hung_up_on(world: World) {
    let mut seat = Seat::at(world, &["bash", "--norc", "-i"]).await;
    seat.types("echo up-$((1 + 1))\r").await;
    seat.shows("up-2").await;
    let stop = StopRequest { v: Default::default(), bottle: seat.bottle.clone(), grace_ms: Some(60_000) };
    seat.world.operator.request(&stop, LIMIT).await.unwrap();
    let exited = seat.events.exited().await;
    assert_eq!((exited.reason, exited.code), (ExitReason::Stopped, 128 + 1));
    seat.end().await;
}

async fn what_is_sent_again_is_typed_once_and_in_order(world: World) {
    let mut seat = Seat::at(world, REPEATS).await;
    seat.shows("ready\r\n").await;
    seat.types("one\r").await;
    let (client, sequence) = (seat.client.clone(), seat.next - 1);
    let again = seat.say(client.clone(), sequence, input("one\r")).await;
    assert_eq!(again.outcome, TerminalOutcome::Accepted);
    let early = seat.say(client, sequence + 2, input("three\r")).await;
    assert_eq!(early.outcome, TerminalOutcome::OutOfOrder, "{early:?}");
    let stranger = seat.say(ClientId::random(), 0, input("x\r")).await;
    assert_eq!(stranger.outcome, TerminalOutcome::Unknown);
    seat.types("two\r").await;
    seat.shows("one\r\ntwo\r\n").await;

    let long = "x".repeat(bus::message::terminal::INPUT_LIMIT + 1);
    let sequence = seat.next;
    for bad in [
        input(&long),
        TerminalAct::Input { data: "?".into() },
        TerminalAct::Resize { size: Size { rows: 0, cols: 1 } },
    ] {
        let reply = seat.say(seat.client.clone(), sequence, bad).await;
        assert_eq!(reply.outcome, TerminalOutcome::Invalid, "{reply:?}");
    }
    seat.types("\u{4}").await;
    assert_eq!(seat.events.exited().await.code, 0);
    seat.end().await;
}

async fn the_terminal_of_whoever_typed_last_answers(world: World) {
    let mut seat = Seat::at(world, REPEATS).await;
    seat.shows("ready\r\n").await;
    let other = ClientId::random();
    let answer = |text: &str| TerminalAct::Answer { data: BASE64_STANDARD.encode(text) };
    let attached = seat.say(other.clone(), 0, TerminalAct::Attach { size: SIZE }).await;
    assert_eq!(attached.outcome, TerminalOutcome::Accepted);
    seat.act(answer("first\r")).await;
    seat.say(other.clone(), 1, answer("second\r")).await;
    seat.types("typed\r").await;
    seat.say(other, 2, answer("third\r")).await;
    seat.act(answer("fourth\r")).await;
    seat.shows("second\r\ntyped\r\nfourth\r\n").await;
    seat.types("\u{4}").await;
    seat.events.exited().await;
    seat.end().await;
}

async fn a_program_that_does_not_read_does_not_hold_up_the_launcher(world: World) {
    let mut seat = Seat::at(world, &["sh", "-c", "stty raw -echo; echo ready; exec sleep 600"]).await;
    seat.shows("ready").await;
    let most = "x".repeat(bus::message::terminal::INPUT_LIMIT);
    let mut outcome = TerminalOutcome::Accepted;
    // What the terminal takes, and what waits for it, is a few hundred KiB.
    for _ in 0..200 {
        outcome = seat.act(input(&most)).await.outcome;
        if outcome != TerminalOutcome::Accepted {
            break;
        }
    }
    assert_eq!(outcome, TerminalOutcome::Busy);
    seat.next -= 1;
    let resized = seat.act(TerminalAct::Resize { size: Size { rows: 30, cols: 90 } }).await;
    assert_eq!(resized.outcome, TerminalOutcome::Accepted);
    let stop = StopRequest { v: Default::default(), bottle: seat.bottle.clone(), grace_ms: None };
    seat.world.operator.request(&stop, LIMIT).await.unwrap();
    seat.events.exited().await;
    seat.end().await;
}

async fn a_headless_bottle_has_no_terminal_and_says_so(world: World) {
    world.agent(&["sh", "-c", "tty; exec sleep 600"], "");
    let launcher = world.launcher().await;
    let mut events = world.events().await;
    world.start("r1").await;
    let bottle = events.started().await.bottle;
    let attach = |bottle: &Slug| TerminalRequest {
        v: Default::default(),
        bottle: bottle.clone(),
        client: ClientId::random(),
        sequence: 0,
        act: TerminalAct::Attach { size: SIZE },
    };
    // The record says that it runs a moment after the event does.
    let headless = async {
        loop {
            let reply = world.operator.request(&attach(&bottle), LIMIT).await.unwrap();
            if reply.outcome == TerminalOutcome::Headless {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, headless).await.unwrap();
    let reply = world.operator.request(&attach(&"tester-00000".parse().unwrap()), LIMIT).await.unwrap();
    assert_eq!(reply.outcome, TerminalOutcome::Over, "{reply:?}");
    launcher.stop().await;
    world.end().await;
}

/// Prints what a person at the terminal waits for: from a key to its echo, over the bus both ways.
async fn an_echo_comes_at_once(world: World) {
    let mut seat =
        Seat::at(world, &["sh", "-c", "stty -icanon min 1; echo ready; exec cat > /dev/null"]).await;
    seat.shows("ready").await;
    let mut times = Vec::new();
    for number in 0..100_u32 {
        let key = char::from_u32(u32::from('a') + number % 26).unwrap().to_string();
        let start = Instant::now();
        seat.types(&key).await;
        seat.shows(&key).await;
        times.push(start.elapsed());
    }
    times.sort();
    eprintln!("from key to echo: median {:?}, 95 of 100 within {:?}", times[50], times[95]);
    assert!(times[10] < Duration::from_millis(500), "{times:?}");
    seat.end().await;
}
