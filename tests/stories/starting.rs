//! `bot-bottle start` on a machine where nothing else was started (L1, L2, O1).

use harness::{Home, marked, soon, until};
use policy::EgressPolicy;

#[tokio::test]
async fn a_program_runs_and_its_code_and_words_come_back() {
    let home = Home::empty();
    home.write("talker", &["sh", "-c", "echo hello; echo oops >&2; exit 7"], &EgressPolicy::default());
    let ran = home.run(&["start", "talker", "--yes"]).await;
    ran.expect_code(7).expect_out("hello\n").expect_err("oops\n").expect_err("its state was kept");
    until("the end of every process", || marked(&home.marker).is_empty()).await;

    // Kept, since it failed; and removed when asked to.
    assert_eq!(home.path().join("state").read_dir().unwrap().count(), 1);
    home.run(&["cleanup", "--all"]).await.expect_code(0).expect_out("removed talker-");
    assert_eq!(home.path().join("state").read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_clean_end_leaves_nothing() {
    let home = Home::empty();
    home.write("quiet", &["true"], &EgressPolicy::default());
    let ran = home.run(&["start", "quiet", "--headless", "--json"]).await;
    let report = ran.expect_code(0).json();
    assert_eq!((&report["reason"], &report["code"]), (&"completed".into(), &0.into()), "{report}");
    assert_eq!(home.path().join("state").read_dir().unwrap().count(), 0);
    assert!(marked(&home.marker).is_empty());
}

#[tokio::test]
async fn what_the_agent_writes_is_inert_in_the_report() {
    let home = Home::empty();
    home.write("painter", &["printf", r"\033[31mred\n"], &EgressPolicy::default());
    let ran = home.run(&["start", "painter", "--headless", "--json"]).await;
    assert!(!ran.expect_code(0).out.contains('\u{1b}'), "{ran:?}");
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

#[tokio::test]
async fn each_mistake_has_its_code_and_its_cure() {
    let home = Home::empty();
    home.write("reviewer", &["true"], &EgressPolicy::default());
    home.write("lost", &["no-such-program"], &EgressPolicy::default());
    home.write_file("agents/orphan.md", "---\nbottle: nowhere\n---\n");
    home.run(&["start", "reviewr", "--yes"]).await.expect_code(66).expect_err("did you mean reviewer?");
    home.run(&["start", "orphan", "--yes"]).await.expect_code(66).expect_err("nowhere");
    home.run(&["start", "lost", "--yes"]).await.expect_code(71).expect_err("no-such-program");
    home.run(&["start", "reviewer", "--nonsense"]).await.expect_code(64);
    home.write_file("bottles/reviewer.md", "---\negres: {}\n---\n");
    let ran = home.run(&["start", "reviewer", "--yes"]).await;
    ran.expect_code(65).expect_err("bottles/reviewer.md:2:1: egres").expect_err("egress");
}

#[tokio::test]
async fn an_interrupt_ends_the_bottle() {
    let home = Home::empty();
    home.write("sleeper", &["sh", "-c", "echo up; exec sleep 600"], &EgressPolicy::default());
    let mut command = home.command(&["start", "sleeper", "--yes"]);
    let mut start = command.spawn().unwrap();
    let mut words = tokio::io::BufReader::new(start.stdout.take().unwrap());
    let mut line = String::new();
    soon("its first word", tokio::io::AsyncBufReadExt::read_line(&mut words, &mut line)).await.unwrap();
    assert_eq!(line, "up\n");
    let pid = rustix::process::Pid::from_raw(i32::try_from(start.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = soon("its end", start.wait()).await.unwrap();
    assert_eq!(status.code(), Some(128 + 15));
    until("the end of every process", || marked(&home.marker).is_empty()).await;
}
