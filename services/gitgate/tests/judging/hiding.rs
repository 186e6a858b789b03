//! Every place that a push has, and a secret in it: found there, and a push like it without the secret passes.

use bus::message::push::Finding;

use crate::made::{base64, escaped, gzip, percent, utf16, zip_entry, zlib};
use crate::world::{Options, World, harmless, judged, letters, token};

/// Where a secret was hidden.
struct Hidden {
    /// The ref that the push needs, if it needs one.
    tip: Option<(&'static str, String)>,
    /// The commit, or the object itself.
    commit: String,
    place: String,
    line: Option<u64>,
}

/// A hiding place: writes a text into it.
type Case = (&'static str, fn(&mut World, &str) -> Hidden);

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

const CONTENTS: &[Case] = &[
    ("plain", |w, s| contents(w, format!("a\nb = {s}\nc\n").as_bytes(), 2)),
    ("at the start", |w, s| contents(w, format!("{s}\nc\n").as_bytes(), 1)),
    ("at the end without a line's end", |w, s| contents(w, format!("a\n\n{s}").as_bytes(), 3)),
    ("lines of DOS", |w, s| contents(w, format!("a\r\nb {s}\r\nc\r\n").as_bytes(), 2)),
    ("one huge line", |w, s| {
        contents(w, format!("{}{s} {}", "x ".repeat(700_000), "y ".repeat(700_000)).as_bytes(), 1)
    }),
    ("far into a large file", |w, s| {
        contents(w, format!("{}{s}\n", "line\n".repeat(600_000)).as_bytes(), 600_001)
    }),
    ("across what is read at once", |w, s| {
        let before = (1 << 21) - 20;
        contents(
            w,
            format!("{}{s}\n{}", "0123456\n".repeat(before / 8), "x\n".repeat(9000)).as_bytes(),
            before as u64 / 8 + 1,
        )
    }),
    ("among zero bytes", |w, s| contents(w, &[&[0; 64], s.as_bytes(), &[0; 64]].concat(), 1)),
    ("in an executable", |w, s| {
        contents(w, &[b"\x7fELF\x02\x01\x01\0\0\0", s.as_bytes(), &[0, 255, 254]].concat(), 1)
    }),
    ("behind an image's first bytes", |w, s| {
        contents(w, &[b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR ", s.as_bytes()].concat(), 3)
    }),
    ("utf-16, little, with a mark", |w, s| contents(w, &utf16(&format!("a\n{s}\n"), true, true), 2)),
    ("utf-16, little, without one", |w, s| contents(w, &utf16(&format!("a\n{s}\n"), true, false), 2)),
    ("utf-16, big, with a mark", |w, s| contents(w, &utf16(&format!("a\n{s}\n"), false, true), 2)),
    ("utf-16, big, without one", |w, s| contents(w, &utf16(&format!("a\n{s}\n"), false, false), 2)),
    ("base64", |w, s| contents(w, base64(format!("token={s}\n").as_bytes()).as_bytes(), 1)),
    ("base64 in lines", |w, s| {
        let text = base64(format!("some words before it, token={s}, and some behind it\n").as_bytes());
        let lines: Vec<_> = text.as_bytes().chunks(64).collect();
        contents(w, &lines.join(&b'\n'), 1)
    }),
    ("hexadecimal", |w, s| {
        let digits: String = s.bytes().map(|byte| format!("{byte:02x}")).collect();
        contents(w, format!("x {digits}\n").as_bytes(), 1)
    }),
    ("percent", |w, s| contents(w, format!("x={}\n", percent(s)).as_bytes(), 1)),
    ("escapes", |w, s| contents(w, format!("{{\"x\":\"{}\"}}\n", escaped(s)).as_bytes(), 1)),
    ("a pointer of large file storage", |w, s| {
        contents(
            w,
            format!(
                "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9\nx {s}\n",
                "ab".repeat(32)
            )
            .as_bytes(),
            4,
        )
    }),
];

const PACKED: &[Case] = &[
    ("gzip", |w, s| unpacked(w, &gzip(format!("a\n{s}\n").as_bytes()), "gzip", 2)),
    ("gzip, then more of it", |w, s| {
        unpacked(w, &[gzip(b"first\n"), gzip(s.as_bytes())].concat(), "gzip", 2)
    }),
    ("gzip in gzip", |w, s| unpacked(w, &gzip(&gzip(s.as_bytes())), "gzip", 1)),
    ("gzip, cut off", |w, s| {
        let mut packed = gzip(format!("{s}\n{}", letters(9, 4000)).as_bytes());
        packed.truncate(packed.len() - 40);
        unpacked(w, &packed, "gzip", 1)
    }),
    ("gzip of utf-16", |w, s| unpacked(w, &gzip(&utf16(s, true, true)), "gzip", 1)),
    ("gzip of much", |w, s| {
        unpacked(w, &gzip(format!("{}{s}\n", "line\n".repeat(400_000)).as_bytes()), "gzip", 400_001)
    }),
    ("zlib", |w, s| unpacked(w, &zlib(s.as_bytes()), "deflate", 1)),
    ("zip", |w, s| {
        unpacked(w, &zip_entry("x.txt", format!("a\n{s}\n").as_bytes(), true, 0), "zip entry x.txt", 2)
    }),
    ("zip behind other bytes", |w, s| {
        let zip = [b"#!/bin/sh\n".to_vec(), zip_entry("y", s.as_bytes(), true, 0)].concat();
        unpacked(w, &zip, "zip entry y", 1)
    }),
    ("zip, the second entry", |w, s| {
        let zip = [zip_entry("x", b"nothing", true, 0), zip_entry("y", s.as_bytes(), true, 8)].concat();
        unpacked(w, &zip, "zip entry y", 1)
    }),
    ("zip, stored", |w, s| contents(w, &zip_entry("x", s.as_bytes(), false, 0), 1)),
    ("zip, a name in it", |w, s| contents(w, &zip_entry(s, b"nothing", true, 0), 1)),
    ("gzip in zip, stored", |w, s| unpacked(w, &zip_entry("x.gz", &gzip(s.as_bytes()), false, 0), "gzip", 1)),
    ("zip in gzip", |w, s| unpacked(w, &gzip(&zip_entry("x", s.as_bytes(), true, 0)), "zip entry x", 1)),
];

const NAMED: &[Case] = &[
    ("a file's name", |w, s| {
        let blob = w.blob(b"x\n");
        let tree = w.tree(&[("100644", s, blob.as_str())]);
        names(w, &tree, NAMES)
    }),
    ("a directory's name", |w, s| {
        let blob = w.blob(b"x\n");
        let inner = w.tree(&[("100644", "f", blob.as_str())]);
        let tree = w.tree(&[("40000", s, inner.as_str())]);
        names(w, &tree, NAMES)
    }),
    ("a path in parts", |w, s| {
        let blob = w.blob(b"y\n");
        let inner = w.tree(&[("100644", &s[14..], blob.as_str())]);
        let tree = w.tree(&[("40000", &s[..14], inner.as_str())]);
        let place = format!("{NAMES} in {}", &s[..14]);
        names(w, &tree, &place)
    }),
    ("names beside each other", |w, s| {
        let blob = w.blob(b"z\n");
        let tree = w.tree(&[("100644", &s[..20], blob.as_str()), ("100644", &s[20..], blob.as_str())]);
        names(w, &tree, NAMES)
    }),
    ("a name with a line's end", |w, s| {
        let blob = w.blob(b"x\n");
        let tree = w.tree(&[("100644", format!("a\n{s}"), blob.as_str())]);
        names(w, &tree, NAMES)
    }),
    ("a name that is no text", |w, s| {
        let blob = w.blob(b"x\n");
        let tree = w.tree(&[("100644", [b"\xff\xfe", s.as_bytes()].concat(), blob.as_str())]);
        names(w, &tree, NAMES)
    }),
    ("the commit of a submodule", |w, s| {
        let tree = w.tree(&[
            ("160000", "module", hex_of(&s[..20]).as_str()),
            ("160000", "other", hex_of(&s[20..]).as_str()),
        ]);
        names(w, &tree, NAMES)
    }),
    ("a submodule's address", |w, s| {
        let text = format!("[submodule \"a\"]\n\tpath = a\n\turl = https://host.example/{s}/a\n");
        tip(w.file(".gitmodules", text.as_bytes()), ".gitmodules", Some(3))
    }),
    ("a symbolic link's target", |w, s| {
        let blob = w.blob(format!("/tmp/{s}").as_bytes());
        let (tree, main) = (w.tree(&[("120000", "link", blob.as_str())]), w.main());
        tip(w.commit(&tree, &[&main], "work\n"), "link", Some(1))
    }),
    ("a file that can be run", |w, s| {
        let blob = w.blob(format!("#!/bin/sh\n# {s}\n").as_bytes());
        let (tree, main) = (w.tree(&[("100755", "run", blob.as_str())]), w.main());
        tip(w.commit(&tree, &[&main], "work\n"), "run", Some(2))
    }),
    ("attributes that call it binary", |w, s| {
        let (blob, attributes) =
            (w.blob(format!("q {s}\n").as_bytes()), w.blob(b"* binary -diff -text filter=lfs\n"));
        let tree =
            w.tree(&[("100644", ".gitattributes", attributes.as_str()), ("100644", "q.txt", blob.as_str())]);
        let main = w.main();
        tip(w.commit(&tree, &[&main], "work\n"), "q.txt", Some(1))
    }),
    ("a configuration of gitleaks that allows all", |w, s| {
        let blob = w.blob(format!("w {s}\n").as_bytes());
        let config = w.blob(b"[allowlist]\npaths = ['''.*''']\n");
        let tree =
            w.tree(&[("100644", ".gitleaks.toml", config.as_str()), ("100644", "w.txt", blob.as_str())]);
        let main = w.main();
        tip(w.commit(&tree, &[&main], "work\n"), "w.txt", Some(1))
    }),
];

const RECORDED: &[Case] = &[
    ("a message", |w, s| message(w, format!("subject\n\nthe key is {s}\n").as_bytes())),
    ("a subject", |w, s| message(w, s.as_bytes())),
    ("a trailer", |w, s| message(w, format!("subject\n\nReviewed-by: {s} <a@b>\n").as_bytes())),
    ("behind a zero byte", |w, s| message(w, format!("subject\n\0{s}\n").as_bytes())),
    ("over two lines", |w, s| message(w, format!("subject\n\n{}\n  {}\n", &s[..20], &s[20..]).as_bytes())),
    ("a message in base64", |w, s| message(w, base64(format!("token {s}").as_bytes()).as_bytes())),
    ("an author's name", |w, s| {
        header(w, &format!("author {s} <a@b> 1700000000 +0000\ncommitter {WHO}\n"), "author")
    }),
    ("an author's address", |w, s| {
        header(w, &format!("author A <{s}@b> 1700000000 +0000\ncommitter {WHO}\n"), "author")
    }),
    ("a committer", |w, s| {
        header(w, &format!("author {WHO}\ncommitter {s} <a@b> 1700000000 +0000\n"), "committer")
    }),
    ("a signature", |w, s| {
        header(
            w,
            &format!(
                "author {WHO}\ncommitter {WHO}\ngpgsig -----BEGIN PGP SIGNATURE-----\n {s}\n -----END PGP SIGNATURE-----\n"
            ),
            "gpgsig",
        )
    }),
    ("a merged tag", |w, s| {
        header(
            w,
            &format!(
                "author {WHO}\ncommitter {WHO}\nmergetag object {}\n type commit\n tag x\n \n {s}\n",
                "ab".repeat(20)
            ),
            "mergetag",
        )
    }),
    ("an unknown header", |w, s| {
        header(w, &format!("author {WHO}\ncommitter {WHO}\nx-note {s}\n"), "x-note")
    }),
    ("a header's name", |w, s| {
        let (main, tree) = (w.main(), w.tree_of("refs/heads/main"));
        let headers = format!("author {WHO}\ncommitter {WHO}\n{s} x\n");
        let blotted = format!("the {} header", blotted(s));
        tip(w.commit_by(&tree, &[&main], &headers, b"work\n"), &blotted, None)
    }),
    ("a message in latin-1", |w, s| {
        let (main, tree) = (w.main(), w.tree_of("refs/heads/main"));
        let text = [b"caf\xe9 ".as_slice(), s.as_bytes()].concat();
        tip(w.commit_with(&tree, &[&main], "encoding ISO-8859-1\n", &text), "the message", None)
    }),
];

const REACHED: &[Case] = &[
    ("a commit that a later one takes back", |w, s| {
        let bad = w.file("gone.txt", format!("1 {s}\n").as_bytes());
        let tree = w.tree_of("refs/heads/main");
        let later = w.commit(&tree, &[&bad], "take it back\n");
        Hidden { tip: Some(("refs/heads/", later)), commit: bad, place: "gone.txt".to_owned(), line: Some(1) }
    }),
    ("a file under its old name", |w, s| {
        let blob = w.blob(format!("2 {s}\n").as_bytes());
        let (old, new, main) = (
            w.tree(&[("100644", "old.txt", blob.as_str())]),
            w.tree(&[("100644", "new.txt", blob.as_str())]),
            w.main(),
        );
        let first = w.commit(&old, &[&main], "one\n");
        let second = w.commit(&new, &[&first], "renamed\n");
        Hidden {
            tip: Some(("refs/heads/", second)),
            commit: first,
            place: "old.txt".to_owned(),
            line: Some(1),
        }
    }),
    ("what a merge adds", |w, s| {
        let main = w.main();
        let (one, two) = (w.file("one.txt", b"one\n"), w.file("two.txt", b"two\n"));
        let blob = w.blob(format!("3 {s}\n").as_bytes());
        let tree = w.tree(&[("100644", "evil.txt", blob.as_str())]);
        let _ = main;
        tip(w.commit(&tree, &[&one, &two], "merge\n"), "evil.txt", Some(1))
    }),
    ("what a merge of four brings", |w, s| {
        let bad = w.file("fourth.txt", format!("4 {s}\n").as_bytes());
        let others = [w.file("1", b"1\n"), w.file("2", b"2\n"), w.file("3", b"3\n")];
        let tree = w.tree_of("refs/heads/main");
        let merge = w.commit(&tree, &[&others[0], &others[1], &others[2], &bad], "octopus\n");
        Hidden {
            tip: Some(("refs/heads/", merge)),
            commit: bad,
            place: "fourth.txt".to_owned(),
            line: Some(1),
        }
    }),
    ("a history of its own", |w, s| {
        let blob = w.blob(format!("5 {s}\n").as_bytes());
        let tree = w.tree(&[("100644", "root.txt", blob.as_str())]);
        tip(w.commit(&tree, &[], "root\n"), "root.txt", Some(1))
    }),
    ("a tag's message", |w, s| {
        let tag = {
            let main = w.main();
            w.tag(&main, "commit", "v1", &format!("release\n\n{s}\n"))
        };
        Hidden {
            tip: Some(("refs/tags/", tag.clone())),
            commit: tag,
            place: "the message".to_owned(),
            line: None,
        }
    }),
    ("a tag's own name", |w, s| {
        let tag = {
            let main = w.main();
            w.tag(&main, "commit", s, "release\n")
        };
        Hidden {
            tip: Some(("refs/tags/", tag.clone())),
            commit: tag,
            place: "the tag header".to_owned(),
            line: None,
        }
    }),
    ("a tagger", |w, s| {
        let text =
            format!("object {}\ntype commit\ntag v1\ntagger {s} <a@b> 1700000000 +0000\n\nx\n", w.main());
        let tag = w.object("tag", text.as_bytes());
        Hidden {
            tip: Some(("refs/tags/", tag.clone())),
            commit: tag,
            place: "the tagger header".to_owned(),
            line: None,
        }
    }),
    ("a tag in a tag", |w, s| {
        let inner = {
            let main = w.main();
            w.tag(&main, "commit", "inner", &format!("6 {s}\n"))
        };
        let outer = w.tag(&inner, "tag", "outer", "nothing\n");
        Hidden {
            tip: Some(("refs/tags/", outer)),
            commit: inner,
            place: "the message".to_owned(),
            line: None,
        }
    }),
    ("a tag of a file", |w, s| {
        let blob = w.blob(format!("7 {s}\n").as_bytes());
        let tag = w.tag(&blob, "blob", "file", "nothing\n");
        let place = format!("object {blob}");
        Hidden { tip: Some(("refs/tags/", tag)), commit: blob, place, line: Some(1) }
    }),
    ("a file under a tag's name", |w, s| {
        let blob = w.blob(format!("8 {s}\n").as_bytes());
        Hidden {
            tip: Some(("refs/tags/", blob.clone())),
            place: format!("object {blob}"),
            commit: blob,
            line: Some(1),
        }
    }),
    ("a tag of a directory", |w, s| {
        let blob = w.blob(format!("9 {s}\n").as_bytes());
        let tree = w.tree(&[("100644", "in.txt", blob.as_str())]);
        let tag = w.tag(&tree, "tree", "directory", "nothing\n");
        Hidden { tip: Some(("refs/tags/", tag)), commit: blob, place: "in.txt".to_owned(), line: Some(1) }
    }),
    ("a file that nothing reaches", |w, s| {
        let blob = w.blob(format!("10 {s}\n").as_bytes());
        Hidden {
            tip: None,
            place: format!("object {blob} (which no ref reaches)"),
            commit: blob,
            line: Some(1),
        }
    }),
    ("a directory that nothing reaches", |w, s| {
        let blob = w.blob(b"11\n");
        let tree = w.tree(&[("100644", s, blob.as_str())]);
        Hidden { tip: None, commit: tree, place: format!("{NAMES} (which no ref reaches)"), line: None }
    }),
    ("a commit that nothing reaches", |w, s| {
        let tree = w.tree_of("refs/heads/main");
        let commit = w.commit(&tree, &[], &format!("12 {s}\n"));
        Hidden { tip: None, commit, place: "the message (which no ref reaches)".to_owned(), line: None }
    }),
    ("a tag that nothing reaches", |w, s| {
        let tag = {
            let main = w.main();
            w.tag(&main, "commit", "v0", &format!("13 {s}\n"))
        };
        Hidden { tip: None, commit: tag, place: "the message (which no ref reaches)".to_owned(), line: None }
    }),
];

fn hex_of(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// As a name is shown in which something was found.
fn blotted(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    scan::blot(&mut bytes);
    String::from_utf8(bytes).unwrap()
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
