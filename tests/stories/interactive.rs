//! A person at a program in a bottle (L1, L4, L5, L12), at a real terminal.

use harness::{Backend, Home, Pty, World, all_ended, below, freeze, on_each_backend, soon, thaw};
use policy::EgressPolicy;
use rustix::process::{Signal, kill_process};

/// Takes the title from the terminal's stack: the last thing but its settings.
const TITLE_BACK: &str = "\u{1b}[23;0t";
const DETACH: &str = "\u{1d}";

fn shell(home: &Home) {
    home.write("shell", &["bash", "--norc"], &EgressPolicy::default());
}

/// The bottle that runs.
async fn bottle(world: &World) -> String {
    let list = world.run(&["list", "--json"]).await.expect_code(0).json();
    list[0]["bottle"].as_str().unwrap().to_owned()
}

fn contains(shown: &[u8], text: &str) -> bool {
    shown.windows(text.len()).any(|window| window == text.as_bytes())
}

on_each_backend!(
    a_person_works_in_a_shell_and_the_terminal_comes_back_as_it_was,
    an_agent_is_picked_named_and_agreed_to,
    one_that_is_told_to_end_ends_its_run_and_gives_the_terminal_back,
    a_bottle_is_left_and_come_back_to_by_two,
    a_terminal_that_is_lost_leaves_its_bottle_running,
    what_is_hostile_does_not_reach_the_terminal_and_what_is_asked_is_answered,
    a_flood_does_not_hold_up_its_end,
    keys_wait_for_a_bus_that_is_away_and_come_once_in_their_order,
    a_headless_bottle_is_only_watched,
    a_key_is_echoed_before_a_person_wonders,
);

async fn a_person_works_in_a_shell_and_the_terminal_comes_back_as_it_was(on: Backend) {
    let home = Home::on(on);
    shell(&home);
    let mut person = Pty::start(&home, &["start", "shell", "--label", "night shift", "--color", "cyan"]);
    person.shows("start it? [y/N]").await;
    person.types("y\n");
    person.shows("\u{1b}[36mnight shift\u{1b}[0m: shell-").await;
    person.shows("\u{1b}[22;0t").await;
    person.shows("\u{1b}]2;night shift\u{1b}\\").await;
    assert!(!person.is_as_before());
    person.types("echo here-$((40 + 2))-$TERM-$COLORTERM; tty\r");
    person.shows("here-42-xterm-256color-truecolor").await;
    person.shows("/dev/pts/0").await;
    person.types("stty size\r");
    person.shows("24 80").await;
    person.resize(50, 132);
    // The size and the keys are messages of their own, and nobody promises their order.
    person.types("until [ \"$(stty size)\" = '50 132' ]; do sleep 0.02; done; echo resized-$((40 + 4))\r");
    person.shows("resized-44").await;
    // One that the signal itself ends: a handler could run in the moment before the sleep, and be forgotten there.
    let sleeper =
        "import signal, time; signal.signal(2, signal.SIG_DFL); print('sleeps-%d' % (40 + 3), flush=True)";
    person.types(&format!("python3 -c \"{sleeper}; time.sleep(600)\"\r"));
    person.shows("sleeps-43").await;
    person.types("\u{3}");
    person.types("echo code-$?\r");
    person.shows("code-130").await;
    // Nothing outlives this command's own services, so it cannot be left.
    person.types(DETACH);
    person.shows("(its services end with this command").await;
    person.types("exit 7\r");
    assert_eq!(person.code().await, Some(7));
    person.shows(TITLE_BACK).await;
    person.shows("ended by itself, exit code 7").await;
    assert!(person.is_as_before());
    all_ended(&home.marker).await;
}

async fn an_agent_is_picked_named_and_agreed_to(on: Backend) {
    let home = Home::on(on);
    shell(&home);
    home.write("other", &["true"], &EgressPolicy::default());
    home.write_file("agents/broken.md", "---\nbotle: x\n---\n");
    let mut person = Pty::start(&home, &["start"]);
    person.shows("start which agent?").await;
    person.shows("Esc leaves").await;
    person.types("she\r");
    person.shows("label [shell]: ").await;
    person.types("a\u{8}\n");
    person.shows("1 to 64 printable bytes").await;
    person.types("mine\n");
    person.shows("colour [none]: ").await;
    person.types("mauve\n");
    person.shows("choose one of black").await;
    person.types("\n");
    person.shows("start it? [y/N]").await;
    person.types("y\n");
    person.shows("mine: shell-").await;
    person.types("exit\r");
    assert_eq!(person.code().await, Some(0));
    assert!(person.is_as_before());

    let mut person = Pty::start(&home, &["start"]);
    person.shows("Esc leaves").await;
    person.types("\u{1b}");
    assert_eq!(person.code().await, Some(0));
    assert!(person.is_as_before());
    home.run(&["start"]).await.expect_code(64).expect_err("no terminal to pick an agent on");
}

async fn one_that_is_told_to_end_ends_its_run_and_gives_the_terminal_back(on: Backend) {
    let world = World::up_on(on).await;
    shell(&world.home);
    let mut person = Pty::start(&world.home, &["start", "shell", "--yes"]);
    person.shows("bash").await;
    // The program has the terminal in a state of its own.
    person.types("printf '\\e[?1049h\\e[?25l\\e[>1u\\e[?1003h'; echo up-$((1 + 1))\r");
    person.shows("up-2").await;
    kill_process(person.pid().unwrap(), Signal::TERM).unwrap();
    person.shows("(ending it; interrupt again to kill it)").await;
    // The shell passes that over, and is hung up on.
    assert_eq!(person.code().await, Some(128 + 1));
    for undone in ["\u{1b}[<1u", "\u{1b}[?25h", "\u{1b}[?1003l", "\u{1b}[?1049l", TITLE_BACK] {
        person.shows(undone).await;
    }
    person.shows("was stopped").await;
    assert!(person.is_as_before());
    world.down().await;
}

async fn a_bottle_is_left_and_come_back_to_by_two(on: Backend) {
    let world = World::up_on(on).await;
    shell(&world.home);
    let mut person = Pty::start(&world.home, &["start", "shell", "--yes", "--label", "shared"]);
    person.shows("bash").await;
    person.types("trap 'echo drawn-anew' WINCH; printf '\\e[?2004hmark'-; echo $((20 + 3))\r");
    person.shows("mark-23").await;
    person.types(DETACH);
    person.shows("goes on; `bot-bottle attach shell-").await;
    assert_eq!(person.code().await, Some(0));
    assert!(person.is_as_before());
    let bottle = bottle(&world).await;

    let mut first = Pty::start(&world.home, &["attach", &bottle, "--detach-key", "ctrl-q"]);
    // What was shown before, in its modes, and drawn anew although the size is the same.
    first.shows("\u{1b}]2;shared\u{1b}\\").await;
    first.shows("\u{1b}[?2004h").await;
    first.shows("mark-23").await;
    first.types("\r");
    first.shows("drawn-anew").await;
    let mut second = Pty::start(&world.home, &["attach", &bottle]);
    second.shows("mark-23").await;
    second.types("echo from-second-$((3 * 3))\r");
    first.shows("from-second-9").await;
    second.shows("from-second-9").await;
    first.types("echo from-first-$((4 * 4))\r");
    second.shows("from-first-16").await;
    // Another key is nothing but a key to the one who chose its own.
    first.types("\u{11}");
    first.shows("goes on").await;
    assert_eq!(first.code().await, Some(0));
    second.types("exit 4\r");
    assert_eq!(second.code().await, Some(4));
    second.shows("ended by itself, exit code 4").await;
    world.run(&["attach", &bottle]).await.expect_code(66).expect_err("does not run");
    world.down().await;
}

async fn a_terminal_that_is_lost_leaves_its_bottle_running(on: Backend) {
    let world = World::up_on(on).await;
    shell(&world.home);
    let mut person = Pty::start(&world.home, &["start", "shell", "--yes"]);
    person.shows("bash").await;
    person.types("echo up-$((1 + 1))\r");
    person.shows("up-2").await;
    let mut command = person.hang_up();
    soon("its end", command.wait()).await.unwrap();
    let bottle = bottle(&world).await;
    let mut again = Pty::start(&world.home, &["attach", &bottle]);
    again.shows("up-2").await;
    again.types("exit\r");
    assert_eq!(again.code().await, Some(0));
    world.down().await;
}

/// Asks the terminal where the cursor is, and says what it was answered; tries what a hostile program would.
const HOSTILE: &str = r#"
import os, sys, termios, tty
before = termios.tcgetattr(0)
tty.setraw(0)
out = sys.stdout.buffer
def say(text): out.write(text); out.flush()
for bad in (b'\x1b]52;c;ZXZpbA==\x07', b'\x1b]0;owned\x07', b'\x1b[21t', b'\x1bP$qm\x1b\\', b'\x1b]8;;http://x/\x1b\\',
            b'\x1b_Gt=f;L2V0Yw==\x1b\\', b'\x05', b'\x1b[5i', '\x9d52;c;eA==\x9c'.encode(), b'\x9b21t'):
    say(bad)
say(b'asking\x1b[6n')
answer = b''
while not answer.endswith(b'R'): answer += os.read(0, 100)
say(b'\x1b[>q')
name = b''
while not name.endswith(b'\\'): name += os.read(0, 100)
termios.tcsetattr(0, termios.TCSANOW, before)
print('heard', answer[1:].decode(), name[1:-2].decode())
"#;

async fn what_is_hostile_does_not_reach_the_terminal_and_what_is_asked_is_answered(on: Backend) {
    let home = Home::on(on);
    home.write("hostile", &["python3", "-c", HOSTILE], &EgressPolicy::default());
    let mut person = Pty::start(&home, &["start", "hostile", "--yes"]);
    person.shows("asking\u{1b}[6n").await;
    person.types("\u{1b}[12;34R");
    person.shows("heard [12;34R P>|bot-bottle ").await;
    assert_eq!(person.code().await, Some(0));
    for bad in
        ["]52", "]0;", "owned", "21t\u{1b}", "$q", "]8;", "_G", "L2V0", "\u{5}", "[5i", "\u{9d}", "\u{9b}"]
    {
        assert!(!contains(&person.all, bad), "{bad:?} in {:?}", String::from_utf8_lossy(&person.all));
    }
    assert!(person.is_as_before());
}

async fn a_flood_does_not_hold_up_its_end(on: Backend) {
    let home = Home::on(on);
    shell(&home);
    let mut person = Pty::start(&home, &["start", "shell", "--yes"]);
    person.shows("bash").await;
    person.types("yes flood\r");
    person.shows("flood\r\nflood\r\n").await;
    person.types("\u{3}");
    person.types("exit 9\r");
    assert_eq!(person.code().await, Some(9));
    assert!(person.is_as_before());
}

async fn keys_wait_for_a_bus_that_is_away_and_come_once_in_their_order(on: Backend) {
    let world = World::up_on(on).await;
    shell(&world.home);
    let mut person = Pty::start(&world.home, &["start", "shell", "--yes"]);
    person.shows("bash").await;
    person.types("cat\r");
    person.shows("cat\r\n").await;
    let bus = below(world.pid().unwrap(), "nats-server");
    let [bus] = bus[..] else { panic!("not one bus: {bus:?}") };
    freeze(bus).await;
    person.types("one-");
    person.shows("(nobody answers; keys wait)").await;
    person.types("two-");
    person.types("three\r");
    thaw(bus);
    // The echo, and what `cat` says. The title, which tells that somebody answers, comes between.
    person.shows("one-").await;
    person.shows("two-three\r\none-two-three\r\n").await;
    assert!(!contains(&person.all, "one-one") && !contains(&person.all, "two-two"));
    person.types("\u{4}exit\r");
    assert_eq!(person.code().await, Some(0));
    world.down().await;
}

async fn a_headless_bottle_is_only_watched(on: Backend) {
    let world = World::up_on(on).await;
    let bottle = crate::operator::running(&world).await;
    let mut person = Pty::start(&world.home, &["attach", &bottle]);
    person.shows("was started without a terminal").await;
    person.shows("up").await;
    assert!(person.is_as_before());
    world.run(&["stop", &bottle]).await.expect_code(0);
    assert_eq!(person.code().await, Some(128 + 15));
    world.down().await;
}

#[tokio::test]
async fn a_file_is_edited_until_nothing_is_wrong_with_it() {
    let home = Home::empty();
    home.run(&["edit", "helper"]).await.expect_code(66).expect_err("edit --new helper");
    // An editor that repairs what it broke the first time.
    let editor =
        "if grep -q botle \"$1\"; then sed -i s/botle/bottle/ \"$1\"; else sed -i s/bottle/botle/ \"$1\"; fi";
    home.write_file("editor", &format!("#!/bin/sh\n{editor}\n"));
    home.run(&["init"]).await.expect_code(0);
    let edit = |name: &'static str, more: &[&'static str], editor: &'static str| {
        let mut command = home.command(&[&["edit", name], more].concat());
        command.env("EDITOR", editor).env_remove("VISUAL");
        async move { soon("its end", command.output()).await.unwrap() }
    };
    let made = edit("helper", &["--new"], "true").await;
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let twice = edit("helper", &["--new"], "true").await;
    assert_eq!(twice.status.code(), Some(64), "{twice:?}");
    let broken = edit("helper", &[], "sh editor").await;
    assert_eq!(broken.status.code(), Some(65), "{broken:?}");
    assert!(String::from_utf8_lossy(&broken.stderr).contains("helper.md:2:1: botle"), "{broken:?}");
    let good = edit("helper", &[], "sh editor").await;
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let given_up = edit("nothing", &["--bottle", "--new"], "false").await;
    assert_eq!(given_up.status.code(), Some(70), "{given_up:?}");
    assert!(!home.path().join("bottles/nothing.md").exists());
}

#[tokio::test]
async fn a_shell_completes_names() {
    let home = Home::empty();
    shell(&home);
    home.write("sheriff", &["true"], &EgressPolicy::default());
    let lines = home.run(&["completions", "bash"]).await;
    lines.expect_code(0).expect_out("complete ");
    home.run(&["completions", "tcsh"]).await.expect_code(64);
    let mut asked = home.command(&["--", "bot-bottle", "start", "she"]);
    asked.env("COMPLETE", "bash").env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_INDEX", "2");
    asked.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true");
    let named = soon("its end", asked.output()).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&named.stdout), "shell\nsheriff");
}

/// Prints what a person waits for: from a key at one terminal to its echo there, through the command and the bus both ways.
#[expect(clippy::print_stdout, reason = "a person reads how long it took")]
async fn a_key_is_echoed_before_a_person_wonders(on: Backend) {
    let world = World::up_on(on).await;
    world.home.write(
        "cat",
        &["sh", "-c", "stty -icanon min 1; echo ready; exec cat > /dev/null"],
        &EgressPolicy::default(),
    );
    let mut person = Pty::start(&world.home, &["start", "cat", "--yes"]);
    person.shows("ready\r\n").await;
    let mut times = Vec::new();
    for number in 0..100_u32 {
        let key = char::from_u32(u32::from('a') + number % 26).unwrap().to_string();
        let start = std::time::Instant::now();
        person.types(&key);
        person.shows(&key).await;
        times.push(start.elapsed());
    }
    times.sort();
    println!("from key to echo: median {:?}, 95 of 100 within {:?}", times[50], times[95]);
    assert!(times[10] < std::time::Duration::from_millis(500), "{times:?}");
    person.types(DETACH);
    assert_eq!(person.code().await, Some(0));
    let bottle = bottle(&world).await;
    world.run(&["stop", &bottle, "--grace", "0"]).await.expect_code(0);
    world.down().await;
}
