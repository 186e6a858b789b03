//! Places in names, commits and tags, and the ways to reach them.

use super::{Case, Hidden, NAMES, WHO, blotted, header, hex_of, message, names, tip};
use crate::made::base64;

pub(super) const NAMED: &[Case] = &[
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

pub(super) const RECORDED: &[Case] = &[
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

pub(super) const REACHED: &[Case] = &[
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
