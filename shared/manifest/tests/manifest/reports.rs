use manifest::{Home, Report};

use crate::{home, write};

/// The report with the temporary directories replaced.
fn shown(report: &Report, home: &Home, repo: &std::path::Path) -> String {
    report.to_string().replace(home.root().to_str().unwrap(), "HOME").replace(repo.to_str().unwrap(), "REPO")
}

#[test]
fn everything_is_reported_at_once() {
    let (_directory, home) = home(&[
        ("bottles/dev.md", "---\nextends: bsae\n---\n"),
        ("bottles/base.md", "---\nenv: {T: {from_host: TOKEN}}\n---\n"),
        ("bottles/loop.md", "---\n# itself\nextends: loop\n---\n"),
        (
            "bottles/token.md",
            "---\nextends: base\negress: {routes: [{host: a.example, auth: {scheme: token, token_ref: TOKEN}}]}\n---\n",
        ),
        ("bottles/bad.md", "---\nextens: x\nenv: {A: {from_hots: B}}\n---\n"),
        ("bottles/heir.md", "---\nextends: bad\n---\n"),
        ("bottles/README.txt", ""),
        ("agents/a.md", "---\nbottle: dve\n---\n"),
        ("agents/b.md", "---\nbottle: zzz\n---\n"),
        ("agents/c.md", "---\nbottle: bad\n---\n"),
        ("agents/d.md", "---\nbottle: base\nskills: [wirte, half]\n---\n"),
        ("skills/write/SKILL.md", "How to."),
        ("skills/half/README.md", ""),
    ]);
    let repo = tempfile::tempdir().unwrap();
    write(
        repo.path(),
        &[(".bot-bottle/agents/r.md", "---\nbotle: x\n---\n"), (".bot-bottle/bottles/x.md", "")],
    );
    let report = Report::of(home.clone(), Some(repo.path()));
    assert!(!report.is_clean());
    insta::assert_snapshot!(shown(&report, &home, repo.path()), @r#"
    HOME/bottles/README.txt: warning: passed over: a manifest is a file NAME.md
    REPO/.bot-bottle/bottles: warning: a repository cannot bring bottles; they are ignored. Bottles are loaded from the home only
    HOME/bottles/bad.md:2:1: extens: there is no such key here; did you mean `extends`?
    HOME/bottles/bad.md:3:10: env.A: the key `from_host` is missing
    HOME/bottles/bad.md:3:11: env.A.from_hots: there is no such key here; did you mean `from_host`?
    HOME/bottles/dev.md:2:1: extends: there is no bottle bsae, which is extended by dev; did you mean base?
    HOME/bottles/heir.md:2:1: extends: HOME/bottles/bad.md is broken
    HOME/bottles/loop.md:3:1: extends: bottles extend each other in a circle: loop -> loop
    HOME/bottles/token.md:1:1: env.T.from_host: together with what it extends: TOKEN holds a credential of this bottle; the agent must not have it
    HOME/agents/a.md:2:1: bottle: there is no bottle dve; did you mean dev?
    HOME/agents/b.md:2:1: bottle: there is no bottle zzz; write HOME/bottles/zzz.md
    HOME/agents/d.md:3:1: skills: there is no skill wirte in HOME/skills; did you mean write?
    REPO/.bot-bottle/agents/r.md:2:1: botle: there is no such key here; did you mean `bottle`?
    HOME/skills/half:1:1: it has no file SKILL.md
    11 files, 12 problems
    "#);
}

#[test]
fn a_clean_home_has_nothing_to_say() {
    let (_directory, home) =
        home(&[("bottles/base.md", "---\n---\n"), ("agents/a.md", "---\nbottle: base\n---\nHi.\n")]);
    let report = Report::of(home, None);
    assert!(report.is_clean());
    assert_eq!(report.to_string(), "2 files, 0 problems");
}
