//! `bot-bottle start` on a machine where nothing else was started (L1, L2, O1).

use std::process::Stdio;

use harness::{Backend, Home, World, all_ended, marked, on_each_backend, soon};
use policy::EgressPolicy;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

on_each_backend!(
    a_program_runs_and_its_code_and_words_come_back,
    a_program_ignores_no_signal_though_its_services_do,
    a_clean_end_leaves_nothing,
    what_the_agent_writes_is_inert_in_the_report,
    what_the_agent_writes_cannot_steer_a_terminal,
    each_mistake_has_its_code_and_its_cure,
    an_interrupt_ends_the_bottle,
    starts_share_the_services_of_the_first,
    starts_at_the_same_time_all_come_to_their_end,
    starts_one_upon_the_other_all_come_to_their_end,
    services_stay_for_whoever_holds_them,
    whoever_used_a_killed_starts_services_takes_over,
    the_death_of_the_services_is_noticed,
);

async fn a_program_runs_and_its_code_and_words_come_back(on: Backend) {
    let home = Home::on(on);
    home.write("talker", &["sh", "-c", "echo hello; echo oops >&2; exit 7"], &EgressPolicy::default());
    let ran = home.run(&["start", "talker", "--yes"]).await;
    ran.expect_code(7).expect_out("hello\n").expect_err("oops\n").expect_err("its state was kept");
    all_ended(&home.marker).await;

    // Kept, since it failed; and removed when asked to.
    assert_eq!(home.path().join("state").read_dir().unwrap().count(), 1);
    home.run(&["cleanup", "--all"]).await.expect_code(0).expect_out("removed talker-");
    assert_eq!(home.path().join("state").read_dir().unwrap().count(), 0);
}

/// Services that a script starts in the background ignore interrupts, and hang-ups with `nohup`.
async fn a_program_ignores_no_signal_though_its_services_do(on: Backend) {
    let home = Home::on(on);
    home.write("looker", &["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"], &EgressPolicy::default());
    let start = home.command(&["start", "looker", "--yes"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP INT QUIT USR1 USR2 TSTP; exec \"$@\"", "sh"])
        .arg(start.as_std().get_program());
    command.args(start.as_std().get_args()).current_dir(home.path()).kill_on_drop(true);
    command
        .envs(start.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env_remove("NATS_URL");
    let ended = soon("its end", command.output()).await.unwrap();
    let out = String::from_utf8_lossy(&ended.stdout).into_owned();
    let sets: Vec<_> = out.split_whitespace().filter_map(|word| u64::from_str_radix(word, 16).ok()).collect();
    // From 32 on they are the C libraries' own.
    let standard = (1 << 31) - 1;
    assert_eq!(sets.iter().map(|set| set & standard).collect::<Vec<_>>(), [0, 0], "{ended:?}");
}

async fn a_clean_end_leaves_nothing(on: Backend) {
    let home = Home::on(on);
    home.write("quiet", &["true"], &EgressPolicy::default());
    let ran = home.run(&["start", "quiet", "--headless", "--json"]).await;
    let report = ran.expect_code(0).json();
    assert_eq!((&report["reason"], &report["code"]), (&"completed".into(), &0.into()), "{report}");
    assert_eq!(home.path().join("state").read_dir().unwrap().count(), 0);
    assert!(marked(&home.marker).is_empty());
}

async fn what_the_agent_writes_is_inert_in_the_report(on: Backend) {
    let home = Home::on(on);
    home.write("painter", &["printf", r"\033[31mred\n"], &EgressPolicy::default());
    let ran = home.run(&["start", "painter", "--headless", "--json"]).await;
    assert!(!ran.expect_code(0).out.contains('\u{1b}'), "{ran:?}");
}

async fn what_the_agent_writes_cannot_steer_a_terminal(on: Backend) {
    let home = Home::on(on);
    home.write(
        "painter",
        &["sh", "-c", r"printf '\033]0;owned\a' >&2; printf '\033[2J'"],
        &EgressPolicy::default(),
    );
    // Standard output is a file, which gets the bytes; standard error is a terminal, which must not.
    let line = format!("{} start painter --yes > written", harness::program("bot-bottle").display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(home.path());
    command.env("BOT_BOTTLE_HOME", home.path()).env("BOT_BOTTLE_PROBE", "canaries").env_remove("NATS_URL");
    command.envs(on.variables());
    let shown = soon("the command's end", command.output()).await.unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(r"\u{1b}]0;owned") && !shown.contains('\u{1b}'), "{shown:?}");
    assert_eq!(std::fs::read(home.path().join("written")).unwrap(), b"\x1b[2J");
}

#[tokio::test]
async fn nothing_starts_that_nobody_agreed_to() {
    let home = Home::empty();
    home.write("talker", &["echo", "hello"], &EgressPolicy::default());
    home.run(&["start", "talker"]).await.expect_code(64).expect_err("--yes");
    let ran = home.run(&["start", "talker", "--dry-run"]).await;
    ran.expect_code(0).expect_err("talker");
    assert!(!home.path().join("state").exists(), "a dry run made a bottle");
}

async fn each_mistake_has_its_code_and_its_cure(on: Backend) {
    let home = Home::on(on);
    home.write("reviewer", &["true"], &EgressPolicy::default());
    home.write("lost", &["no-such-program"], &EgressPolicy::default());
    home.write_file("agents/orphan.md", "---\nbottle: nowhere\n---\n");
    home.run(&["start", "reviewr", "--yes"]).await.expect_code(66).expect_err("did you mean reviewer?");
    home.run(&["start", "orphan", "--yes"]).await.expect_code(66).expect_err("nowhere");
    home.run(&["start", "lost", "--yes"]).await.expect_code(71).expect_err("no-such-program");
    let wrong: [(&[&str], &str); 5] = [
        (&["start", "reviewer", "--nonsense"], "--nonsense"),
        (&["start", "reviewer", "--color", "mauve"], "choose one of black"),
        (&["start", "reviewer", "--label", "a\nb"], "1 to 64 printable bytes"),
        (&["start", "reviewer", "--backend", "dokcer"], "this release has namespace and docker"),
        (&["events", "--since", "abc"], "a whole number of minutes"),
    ];
    for (command, cure) in wrong {
        home.run(command).await.expect_code(64).expect_err(cure);
    }
    home.write_file("bottles/reviewer.md", "---\negres: {}\n---\n");
    let ran = home.run(&["start", "reviewer", "--yes"]).await;
    ran.expect_code(65).expect_err("bottles/reviewer.md:2:1: egres").expect_err("egress");
}

/// A `start` of a program that says `up` and runs until it is told to stop.
struct Sleeper {
    command: Child,
    words: Lines<BufReader<ChildStdout>>,
}

impl Sleeper {
    fn write(home: &Home, name: &str) {
        home.write(name, &["sh", "-c", "echo up; exec sleep 600"], &EgressPolicy::default());
    }

    async fn start(home: &Home, name: &str) -> Self {
        let mut command = home.command(&["start", name, "--yes"]).stderr(Stdio::inherit()).spawn().unwrap();
        let words = BufReader::new(command.stdout.take().unwrap()).lines();
        let mut sleeper = Self { command, words };
        let word = soon("its first word", sleeper.words.next_line()).await.unwrap();
        assert_eq!(word.as_deref(), Some("up"));
        sleeper
    }

    async fn code(mut self) -> Option<i32> {
        soon("its end", self.command.wait()).await.unwrap().code()
    }
}

/// Waits until an agent's program runs; its bottle.
async fn running(home: &Home, agent: &str) -> String {
    loop {
        let list = home.run(&["list", "--json"]).await.expect_code(0).json();
        let is_meant = |one: &&serde_json::Value| one["agent"] == agent && one["state"] == "running";
        if let Some(found) = list.as_array().unwrap().iter().find(is_meant) {
            return found["bottle"].as_str().unwrap().to_owned();
        }
    }
}

async fn an_interrupt_ends_the_bottle(on: Backend) {
    let home = Home::on(on);
    Sleeper::write(&home, "sleeper");
    let sleeper = Sleeper::start(&home, "sleeper").await;
    let pid = i32::try_from(sleeper.command.id().unwrap()).ok().and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::INT).unwrap();
    assert_eq!(sleeper.code().await, Some(128 + 15));
    all_ended(&home.marker).await;
}

async fn starts_share_the_services_of_the_first(on: Backend) {
    let home = Home::on(on);
    Sleeper::write(&home, "first");
    Sleeper::write(&home, "second");
    let first = Sleeper::start(&home, "first").await;
    let second = Sleeper::start(&home, "second").await;
    let [of_first, of_second] = [running(&home, "first").await, running(&home, "second").await];

    // The first one's command brought the services up, and stays for the second.
    home.run(&["stop", &of_first]).await.expect_code(0);
    soon("the first one's end", async {
        while home.run(&["list", "--json"]).await.expect_code(0).json().as_array().unwrap().len() != 1 {}
    })
    .await;
    home.run(&["stop", &of_second]).await.expect_code(0);
    assert_eq!(second.code().await, Some(128 + 15));
    assert_eq!(first.code().await, Some(128 + 15));
}

async fn starts_at_the_same_time_all_come_to_their_end(on: Backend) {
    let home = Home::on(on);
    for name in ["one", "two", "three"] {
        home.write(name, &["echo", name], &EgressPolicy::default());
    }
    // Whichever brings the services up retires them as soon as the others allow it.
    let (one, two, three) = tokio::join!(
        home.run(&["start", "one", "--yes"]),
        home.run(&["start", "two", "--yes"]),
        home.run(&["start", "three", "--yes"]),
    );
    one.expect_code(0).expect_out("one\n");
    two.expect_code(0).expect_out("two\n");
    three.expect_code(0).expect_out("three\n");
    assert_eq!(home.path().join("state").read_dir().unwrap().count(), 0);
    assert!(marked(&home.marker).is_empty());
}

async fn starts_one_upon_the_other_all_come_to_their_end(on: Backend) {
    let home = Home::on(on);
    home.write("quick", &["echo", "done"], &EgressPolicy::default());
    // Each begins about when the services of another one end.
    let starts = (0..3).map(async |_| {
        for _ in 0..3 {
            home.run(&["start", "quick", "--yes"]).await.expect_code(0).expect_out("done\n");
        }
    });
    futures::future::join_all(starts).await;
    assert!(marked(&home.marker).is_empty());
}

async fn services_stay_for_whoever_holds_them(on: Backend) {
    let home = Home::on(on);
    home.write("quick", &["echo", "done"], &EgressPolicy::default());
    let held = std::fs::File::create(home.path().join("users.lock")).unwrap();
    held.lock_shared().unwrap();
    let mut start = home.command(&["start", "quick", "--yes"]).spawn().unwrap();
    let mut words = BufReader::new(start.stderr.take().unwrap()).lines();
    soon("its word that it waits", async {
        while !words.next_line().await.unwrap().unwrap().contains("others use these services") {}
    })
    .await;
    home.run(&["status"]).await.expect_code(0);
    drop(held);
    assert_eq!(soon("its end", start.wait()).await.unwrap().code(), Some(0));
}

async fn whoever_used_a_killed_starts_services_takes_over(on: Backend) {
    let home = Home::on(on);
    Sleeper::write(&home, "first");
    home.write(
        "second",
        &["sh", "-c", "echo up; until test -e go; do sleep 0.05; done; echo over"],
        &EgressPolicy::default(),
    );
    let mut first = Sleeper::start(&home, "first").await;
    let mut second = Sleeper::start(&home, "second").await;
    first.command.kill().await.unwrap();
    // Its program ran no longer than its launcher, and begins anew.
    let mut word = async || soon("its words", second.words.next_line()).await.unwrap();
    assert_eq!(word().await.as_deref(), Some("up"));
    let mut all = home.path().join("state").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let is_second = |path: &std::path::PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("second-"))
    };
    std::fs::write(all.find(is_second).unwrap().join("home/workspace/go"), "").unwrap();
    assert_eq!(word().await.as_deref(), Some("over"));
    // The request of the killed one is on the same queue, and is not given up either.
    let first = soon("the first one's next bottle", running(&home, "first")).await;
    home.run(&["stop", &first]).await.expect_code(0);
    assert_eq!(second.code().await, Some(0));
    all_ended(&home.marker).await;
}

async fn the_death_of_the_services_is_noticed(on: Backend) {
    let mut world = World::up_on(on).await;
    Sleeper::write(&world.home, "sleeper");
    let sleeper = Sleeper::start(&world.home, "sleeper").await;
    world.kill().await;
    assert_eq!(sleeper.code().await, Some(69));
}
