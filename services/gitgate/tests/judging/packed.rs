//! What cannot be looked through is refused, and says why.

use handover::gitgate::GateLimits;

use crate::made::{gzip, zip_entry};
use crate::world::{Options, World, judged, token};

async fn reason(world: &mut World, tip: &str) -> String {
    let refused = world.judged(tip).await.unwrap_err();
    assert_eq!(refused.findings, Vec::new());
    refused.reason
}

#[tokio::test]
async fn packings_that_anybody_else_opens() {
    let deep = (0..5).fold(token(700).into_bytes(), |bytes, _| gzip(&bytes));
    for (bytes, why) in [
        (b"\xfd7zXZ\0\0\x04 and so on".to_vec(), "a.bin cannot be looked through: it is packed with xz"),
        (b"BZh91AY&SY and so on".to_vec(), "packed with bzip2"),
        (b"7z\xbc\xaf\x27\x1c and so on".to_vec(), "packed with 7z"),
        (b"Rar!\x1a\x07\x01\0 and so on".to_vec(), "packed with rar"),
        (b"# v2 git bundle\n".to_vec(), "packed with git bundle"),
        (
            gzip(b"BZh91AY&SY and so on"),
            "unpacked from gzip) cannot be looked through: it is packed with bzip2",
        ),
        (zip_entry("x", b"secret", true, 1), "packed with an encrypted or unknown method of zip"),
        (deep, "it is packed more than 3 times"),
    ] {
        let mut world = World::new();
        let tip = world.file("a.bin", &bytes);
        let reason = reason(&mut world, &tip).await;
        assert!(reason.contains(why), "{why}: {reason}");
    }
}

#[tokio::test]
async fn more_than_the_limits() {
    let mut world = World::new();
    let bomb = world.file("bomb", &gzip(&vec![b'x'; 40 << 20]));
    let many: Vec<_> = (0..30).map(|at| world.file(&format!("{at}"), format!("{at}\n").as_bytes())).collect();
    let large = world.file("large", &vec![b'x'; 3 << 20]);
    let limits = |change: fn(&mut GateLimits)| {
        let mut options = Options::default();
        change(&mut options.limits);
        options
    };
    let objects = world.push(&[
        ("refs/heads/a", Some(&many[29])),
        ("refs/heads/b", Some(&large)),
        ("refs/heads/c", Some(&bomb)),
    ]);
    for (options, why) in [
        (limits(|limits| limits.objects = 50), "more than 50 objects"),
        (limits(|limits| limits.object_bytes = 1 << 20), "more than 1048576 bytes in one object"),
        (limits(|limits| limits.unpacked_bytes = 2 << 20), "more than 2097152 bytes in all objects"),
        (
            limits(|limits| limits.object_bytes = 16 << 20),
            "bomb (contents) cannot be looked through: the body unpacks",
        ),
        (limits(|limits| limits.unpacked_bytes = 16 << 20), "bomb"),
        (limits(|limits| limits.refs = 2), "more than 2 refs"),
    ] {
        let refused = judged(&world.judge(options), &objects).await.unwrap_err();
        let shown = refused.reason.replace("bomb cannot", "bomb (contents) cannot");
        assert!(shown.contains(why), "{why}: {}", refused.reason);
    }
}

/// A name, what makes the tip from upstream's, and what is said of it.
type Broken = (&'static str, fn(&mut World, &str) -> String, &'static str);

#[tokio::test]
async fn objects_that_are_not_what_they_should_be() {
    let main = World::new().main();
    let cases: [Broken; 6] = [
        (
            "a message in an encoding of its own",
            |w, main| {
                let tree = w.tree_of("refs/heads/main");
                w.commit_with(&tree, &[main], "encoding UTF-7\n", b"work\n")
            },
            "its message is in an encoding that is not looked through",
        ),
        (
            "a mode that git has not",
            |w, main| {
                let blob = w.blob(b"x");
                let tree = w.tree(&[("100645", "x", blob.as_str())]);
                w.commit(&tree, &[main], "work\n")
            },
            "",
        ),
        (
            "a missing file",
            |w, main| {
                let blob = w.blob(b"not there");
                w.forget(&blob);
                let tree = w.tree(&[("100644", "x", blob.as_str())]);
                w.commit(&tree, &[main], "work\n")
            },
            "",
        ),
        (
            "a missing directory",
            |w, main| {
                let tree = w.tree(&[("100644", "x", "12".repeat(20).as_str())]);
                w.forget(&tree);
                w.commit(&tree, &[main], "work\n")
            },
            "",
        ),
        (
            "a missing parent",
            |w, _| {
                let tree = w.tree_of("refs/heads/main");
                w.commit(&tree, &[&"34".repeat(20)], "work\n")
            },
            "",
        ),
        ("a file where a commit should be", |w, _| w.blob(b"x"), "a branch can only point at a commit"),
    ];
    for (name, make, why) in cases {
        let mut world = World::new();
        assert_eq!(world.main(), main);
        let tip = make(&mut world, &main);
        let reason = reason(&mut world, &tip).await;
        assert!(reason.contains(why) && !reason.is_empty(), "{name}: {reason}");
    }
}

#[tokio::test]
async fn what_takes_too_long() {
    let mut world = World::new();
    let tip = world.file("x", b"x\n");
    let push = world.push(&[("refs/heads/a", Some(&tip))]);
    let mut options = Options::default();
    options.limits.scan_seconds = 0;
    let refused = judged(&world.judge(options), &push).await.unwrap_err();
    assert!(refused.reason.contains("took longer than 0 s"), "{}", refused.reason);
}

/// Whatever git says that was not asked is a failure, however it ends; so is an answer that stops early.
#[tokio::test]
async fn a_git_that_is_not_itself() {
    for text in [
        "echo 'warning: something' >&2; exec /usr/bin/git \"$@\"",
        "case \"$*\" in *rev-list*) /usr/bin/git \"$@\" | head -n 1;; *) exec /usr/bin/git \"$@\";; esac",
        "case \"$*\" in *--batch-all-objects*) exit 0;; *rev-list*) exit 0;; *) exec /usr/bin/git \"$@\";; esac",
        "case \"$*\" in *rev-list*) /usr/bin/git \"$@\"; exit 3;; *) exec /usr/bin/git \"$@\";; esac",
        "case \"$*\" in *'--batch --buffer'*) /usr/bin/git \"$@\" | head -c 300;; *) exec /usr/bin/git \"$@\";; esac",
        "case \"$*\" in *'--batch --buffer'*) /usr/bin/git \"$@\"; echo more;; *) exec /usr/bin/git \"$@\";; esac",
    ] {
        let mut world = World::new();
        let tip = world.file("x", token(720).as_bytes());
        let push = world.push(&[("refs/heads/a", Some(&tip))]);
        let options = Options { git: world.stand_in(text), ..Options::default() };
        let judged = judged(&world.judge(options), &push).await;
        assert!(judged.is_err(), "{text}: {judged:?}");
    }
}
