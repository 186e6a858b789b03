//! gitleaks as a second opinion: what only it finds is found, and what is no opinion refuses.

use std::path::PathBuf;

use crate::world::{Options, World, judged, letters, token, tool};

#[tokio::test]
async fn what_is_no_opinion_refuses() {
    let gitleaks = tool("gitleaks");
    let gitleaks = gitleaks.display();
    for (text, why) in [
        ("cat >/dev/null; echo '[]'; exit 0".to_owned(), "it ended with 0"),
        ("cat >/dev/null; echo '[]'; exit 7".to_owned(), "it did not find the first secret"),
        ("cat >/dev/null; echo '[]'; exit 1".to_owned(), "it ended with 1"),
        ("cat >/dev/null; exit 7".to_owned(), "its report cannot be read"),
        ("cat >/dev/null; echo noise; exit 7".to_owned(), "its report cannot be read"),
        ("cat >/dev/null; echo noise >&2; exit 7".to_owned(), "it complained: noise"),
        ("cat >/dev/null; yes '[' | head -c 20000000; exit 7".to_owned(), "it"),
        ("exit 7".to_owned(), "it"),
        ("kill -9 $$".to_owned(), "it"),
        // Only the beginning reaches it.
        (format!("head -n 4 | {gitleaks} \"$@\""), "it did not find the last secret"),
        // What it found at the beginning is left out.
        (format!("tail -n +4 | {gitleaks} \"$@\""), "it did not find the first secret"),
    ] {
        let mut world = World::new();
        let tip = world.file("x", b"nothing\n");
        let options = Options { gitleaks: world.stand_in(&text), ..Options::default() };
        let push = world.push(&[("refs/heads/a", Some(&tip))]);
        let refused = judged(&world.judge(options), &push).await.unwrap_err();
        assert!(
            refused.reason.contains("gitleaks gave no opinion") && refused.reason.contains(why),
            "{text}: {}",
            refused.reason
        );
    }
}

#[tokio::test]
async fn one_that_hangs_refuses_in_time_and_is_ended() {
    let mut world = World::new();
    let tip = world.file("x", b"nothing\n");
    let mark = world.path("pid");
    let program = world.stand_in(&format!("echo $$ > {}; exec sleep 600", mark.display()));
    let mut options = Options { gitleaks: program, ..Options::default() };
    options.limits.scan_seconds = 10;
    let push = world.push(&[("refs/heads/a", Some(&tip))]);
    let judge = world.judge(options);
    let refused = judged(&judge, &push).await.unwrap_err();
    assert!(refused.reason.contains("took longer than 10 s"), "{}", refused.reason);
    let pid = std::fs::read_to_string(mark).unwrap();
    let gone = PathBuf::from(format!("/proc/{}", pid.trim()));
    let is_over = || {
        !gone.exists() || std::fs::read_to_string(gone.join("stat")).is_ok_and(|stat| stat.contains(") Z "))
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while !is_over() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn one_that_is_not_there_refuses() {
    let mut world = World::new();
    let tip = world.file("x", b"nothing\n");
    let options = Options { gitleaks: "/nowhere/gitleaks".into(), ..Options::default() };
    let push = world.push(&[("refs/heads/a", Some(&tip))]);
    let refused = judged(&world.judge(options), &push).await.unwrap_err();
    assert!(refused.reason.contains("it cannot be started"), "{}", refused.reason);
}

/// A form that only gitleaks' own rules know, in every kind of piece that it is given.
#[tokio::test]
async fn what_only_gitleaks_knows_is_found_in_its_place() {
    let mut world = World::new();
    let secret = format!("secretive_api_key = \"{}\"", letters(800, 40).to_ascii_lowercase());
    let long = format!("{}\n{secret}\n{}", "words and words\n".repeat(9000), "more words\n".repeat(9000));
    let file = world.blob(long.as_bytes());
    let wide = world.blob(&crate::made::utf16(&format!("a\n{secret}\n"), true, true));
    let packed = world.blob(&crate::made::gzip(format!("b\n\n{secret}\n").as_bytes()));
    let tree = world.tree(&[
        ("100644", "long.txt", file.as_str()),
        ("100644", "packed.gz", packed.as_str()),
        ("100644", "wide.txt", wide.as_str()),
    ]);
    let main = world.main();
    let tip = world.commit(&tree, &[&main], &format!("subject\n\n{secret}\n"));
    let refused = world.judged(&tip).await.unwrap_err();
    let mut places: Vec<_> =
        refused.findings.iter().map(|f| (f.place.as_str(), f.line, f.rule.as_str())).collect();
    places.sort_unstable();
    assert_eq!(
        places,
        [
            ("long.txt", Some(9002), "generic-api-key"),
            ("packed.gz (unpacked from gzip)", Some(3), "generic-api-key"),
            ("the message", None, "generic-api-key"),
            ("wide.txt", Some(2), "generic-api-key"),
        ]
    );
}

/// The operator's own rules hold for both scans, and what they do not name is not looked for.
#[tokio::test]
async fn the_operators_rules_are_the_rules() {
    let rules = "[[rules]]\nid = \"house\"\nregex = '''house-[0-9a-z]{12}'''\nkeywords = [\"house-\"]\n";
    let mut world = World::new();
    let judge = world.judge(Options { operator: Some(rules.to_owned()), ..Options::default() });
    let tip = world.file("x", format!("house-{}\n", "a1b2c3d4e5f6").as_bytes());
    let push = world.push(&[("refs/heads/a", Some(&tip))]);
    assert_eq!(judged(&judge, &push).await.unwrap_err().findings[0].rule, "house");
    let tip = world.file("x", token(810).as_bytes());
    let push = world.push(&[("refs/heads/a", Some(&tip))]);
    assert!(judged(&judge, &push).await.is_ok());
}
