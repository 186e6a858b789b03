//! Every place that a push has, and a secret in it: found there, and a push like it without the secret passes.

mod files;
mod objects;

use bus::message::push::Finding;

use crate::world::{Options, World, harmless, judged, letters, token};
use files::{CONTENTS, PACKED};
use objects::{NAMED, REACHED, RECORDED};

/// Where a secret was hidden.
pub(crate) struct Hidden {
    /// The ref that the push needs, if it needs one.
    pub(crate) tip: Option<(&'static str, String)>,
    /// The commit, or the object itself.
    commit: String,
    place: String,
    line: Option<u64>,
}

/// A hiding place: writes a text into it.
pub(crate) type Case = (&'static str, fn(&mut World, &str) -> Hidden);

/// A branch whose tip is the commit that has it.
fn tip(commit: String, place: &str, line: Option<u64>) -> Hidden {
    Hidden { tip: Some(("refs/heads/", commit.clone())), commit, place: place.to_owned(), line }
}

/// A file of a new commit.
fn contents(world: &mut World, bytes: &[u8], line: u64) -> Hidden {
    tip(world.file("a.bin", bytes), "a.bin", Some(line))
}

/// A file that unpacks into something.
fn unpacked(world: &mut World, bytes: &[u8], how: &str, line: u64) -> Hidden {
    tip(world.file("a.bin", bytes), &format!("a.bin (unpacked from {how})"), Some(line))
}

/// A commit with a message.
fn message(world: &mut World, message: &[u8]) -> Hidden {
    let (main, tree) = (world.main(), world.tree_of("refs/heads/main"));
    tip(world.commit_with(&tree, &[&main], "", message), "the message", None)
}

/// A commit with other headers.
fn header(world: &mut World, headers: &str, name: &str) -> Hidden {
    let (main, tree) = (world.main(), world.tree_of("refs/heads/main"));
    tip(world.commit_by(&tree, &[&main], headers, b"work\n"), &format!("the {name} header"), None)
}

/// A commit with a tree of its own.
fn names(world: &mut World, tree: &str, place: &str) -> Hidden {
    let main = world.main();
    tip(world.commit(tree, &[&main], "work\n"), place, None)
}

const WHO: &str = "Ann Author <ann@dev.example> 1700000000 +0000";
const NAMES: &str = "the names of files and directories";

fn hex_of(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// As a name is shown in which something was found.
fn blotted(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    scan::blot(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// All of them.
pub(crate) fn every_place() -> impl Iterator<Item = Case> {
    [CONTENTS, PACKED, NAMED, RECORDED, REACHED].into_iter().flatten().copied()
}

/// One push with every case in it, each on a ref of its own.
async fn push(cases: &[Case], text: impl Fn(usize) -> String) -> (Vec<Finding>, String, Vec<Hidden>) {
    let mut world = World::new();
    let hidden: Vec<Hidden> =
        cases.iter().enumerate().map(|(at, (_, hide))| hide(&mut world, &text(at))).collect();
    let refs = hidden.iter().enumerate().filter_map(|(at, hidden)| {
        hidden.tip.as_ref().map(|(space, tip)| (format!("{space}case-{at}"), tip.clone()))
    });
    let refs: Vec<_> = refs.collect();
    let updates: Vec<_> = refs.iter().map(|(name, tip)| (name.as_str(), Some(tip.as_str()))).collect();
    let push = world.push(&updates);
    match judged(&world.judge(Options::default()), &push).await {
        Ok(_) => (Vec::new(), String::new(), hidden),
        Err(refused) => (refused.findings, refused.reason, hidden),
    }
}

async fn all_are_found(cases: &[Case], seed: u64) {
    let (found, reason, hidden) = push(cases, |at| token(seed + at as u64)).await;
    for ((name, _), hidden) in cases.iter().zip(&hidden) {
        let is_there = |finding: &&Finding| {
            (&finding.commit, &finding.place, finding.line) == (&hidden.commit, &hidden.place, hidden.line)
        };
        let near: Vec<_> = found.iter().filter(|finding| finding.commit == hidden.commit).collect();
        assert!(
            found.iter().any(|finding| is_there(&finding)),
            "{name}: {reason}\nnear: {near:?}, wanted {:?} {:?} {:?}",
            hidden.commit,
            hidden.place,
            hidden.line
        );
    }
    for (at, (name, _)) in cases.iter().enumerate() {
        let secret = token(seed + at as u64);
        let told = format!("{reason}{found:?}");
        assert!(!told.contains(&secret) && !told.contains(&secret[4..30]), "{name}");
    }
    let (found, reason, _) = push(cases, |_| harmless()).await;
    assert_eq!((found, reason.as_str()), (Vec::new(), ""));
}

#[tokio::test]
async fn in_what_files_hold() {
    all_are_found(CONTENTS, 100).await;
}

#[tokio::test]
async fn in_what_files_unpack_into() {
    all_are_found(PACKED, 200).await;
}

#[tokio::test]
async fn in_names() {
    all_are_found(NAMED, 300).await;
}

#[tokio::test]
async fn in_commits() {
    all_are_found(RECORDED, 400).await;
}

#[tokio::test]
async fn wherever_it_is_reached_from() {
    all_are_found(REACHED, 500).await;
}

/// What upstream has rewritten away is in the mirror still: it is new again when a ref brings it back.
#[tokio::test]
async fn what_upstream_has_forgotten_is_new() {
    let mut world = World::new();
    let bad = world.file("old.txt", token(600).as_bytes());
    world.upstream("refs/heads/other", &bad);
    world.git("mirror", &["update-ref", "-d", "refs/heads/other"], b"");
    let push = world.push(&[("refs/heads/agent/x", Some(&bad))]);
    assert_eq!(push.quarantine, None);
    let refused = judged(&world.judge(Options::default()), &push).await.unwrap_err();
    assert_eq!(
        (refused.findings.len(), refused.findings[0].place.as_str()),
        (1, "old.txt"),
        "{}",
        refused.reason
    );
}

/// What upstream has is not scanned again, whatever is in it.
#[tokio::test]
async fn what_upstream_has_is_not_new() {
    let mut world = World::new();
    let bad = world.file("old.txt", token(610).as_bytes());
    world.upstream("refs/heads/other", &bad);
    let tree = world.tree_of(&bad);
    let next = world.commit(&tree, &[&bad], "more\n");
    assert_eq!(world.judged(&next).await.map(|passed| passed.objects), Ok(1));
}

/// Replace refs and grafts in the mirror show git another history; the judge sees the one that is pushed.
#[tokio::test]
async fn another_history_hides_nothing() {
    let mut world = World::new();
    let (main, clean) = (world.main(), world.blob(b"clean\n"));
    let tree = world.tree(&[("100644", "x.txt", clean.as_str())]);
    let innocent = world.commit(&tree, &[&main], "work\n");
    world.upstream("refs/heads/innocent", &innocent);
    let bad = world.file("x.txt", token(620).as_bytes());
    let tip = world.commit(&tree, &[&bad], "on top\n");
    world.git("mirror", &["update-ref", &format!("refs/replace/{bad}"), &innocent], b"");
    std::fs::create_dir_all(world.path("mirror/info")).unwrap();
    std::fs::write(world.path("mirror/info/grafts"), format!("{tip} {main}\n")).unwrap();
    std::fs::write(world.path("mirror/shallow"), format!("{tip}\n")).unwrap();
    let refused = world.judged(&tip).await.unwrap_err();
    assert_eq!(
        refused.findings.first().map(|f| (f.commit.clone(), f.place.clone())),
        Some((bad, "x.txt".to_owned()))
    );
}

/// Names that go upstream without being in any object. They are not repeated.
#[tokio::test]
async fn in_names_of_refs_and_options() {
    let mut world = World::new();
    let (clean, judge) = (world.file("x", b"x\n"), world.judge(Options::default()));
    let secret = token(630);
    let split = format!("refs/heads/{}/{}", &secret[..9], &secret[9..]);
    for name in [format!("refs/heads/{secret}"), format!("refs/tags/a-{secret}"), split] {
        let push = world.push(&[(&name, Some(&clean))]);
        let refused = judged(&judge, &push).await.unwrap_err();
        assert!(
            refused.reason.contains("name of a ref") && !refused.reason.contains(&secret[10..]),
            "{}",
            refused.reason
        );
    }
    let mut push = world.push(&[("refs/heads/a", Some(&clean))]);
    push.options = vec![format!("topic={}", &secret[..20]), secret[20..].to_owned()];
    assert!(judged(&judge, &push).await.unwrap_err().reason.contains("push option"));
}

/// The bottle's canary and the gate's own secrets, whole and in a disguise.
#[tokio::test]
async fn what_is_known_is_found_in_every_disguise() {
    let (canary, key) = (letters(640, 32), letters(641, 40));
    let mut world = World::new();
    let judge = world.judge(Options {
        canary: Some(canary.clone()),
        secrets: vec![("key of project".to_owned(), key.clone())],
        ..Options::default()
    });
    let dashed: String = canary.chars().flat_map(|c| [c, '-']).collect();
    let backwards: String = key.chars().rev().collect();
    for (text, rule) in [
        (canary.clone(), "canary"),
        (dashed, "canary"),
        (key, "known_secrets/key of project"),
        (backwards, "known_secrets/key of project"),
    ] {
        let tip = world.file("x.txt", format!("{text} # gitleaks:allow\n").as_bytes());
        let push = world.push(&[("refs/heads/agent/x", Some(&tip))]);
        let refused = judged(&judge, &push).await.unwrap_err();
        assert!(refused.findings.iter().any(|finding| finding.rule == rule), "{rule}: {refused:?}");
        // No comment excuses it.
        assert!(refused.reason.contains("take"), "{}", refused.reason);
    }
}

#[tokio::test]
async fn in_a_repository_with_longer_names() {
    let mut world = World::of("sha256");
    let clean = world.file("x.txt", b"nothing\n");
    assert!(world.judged(&clean).await.is_ok());
    let bad = world.file("x.txt", token(650).as_bytes());
    assert_eq!(world.judged(&bad).await.unwrap_err().findings[0].place, "x.txt");
}
