use super::*;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

fn update(name: &str) -> Update {
    Update { name: name.parse().unwrap(), old: None, new: Some("a".repeat(40).parse().unwrap()) }
}

fn said(code: i32, out: &str) -> Option<Outcome> {
    let ended = Ended { status: ExitStatus::from_raw(code << 8), out: out.into(), complaints: Vec::new() };
    outcome(&ended, &[update("refs/heads/a"), update("refs/heads/b")])
}

#[test]
fn upstream_is_believed_only_where_it_speaks_of_every_ref() {
    let both = "To ssh://x\n*\ta:refs/heads/a\t[new branch]\n=\ta:refs/heads/b\t[up to date]\nDone\n";
    assert_eq!(said(0, both), Some(Outcome::Taken));
    assert_eq!(said(0, "To ssh://x\n*\ta:refs/heads/a\t[new branch]\nDone\n"), None);
    assert_eq!(said(128, ""), None);
    let one = "!\ta:refs/heads/a\t[remote rejected] (hook declined)\n";
    assert_eq!(said(1, one), None);
    let mixed = format!("{one}*\ta:refs/heads/b\t[new branch]\n");
    assert_eq!(said(1, &mixed), None);
}

#[test]
fn a_refusal_names_each_ref_and_upstreams_own_reason() {
    let out = "!\ta:refs/heads/a\t[rejected] (stale info)\n!\ta:refs/heads/b\t[remote rejected] (no \u{1b}[31mway)\n";
    let Some(Outcome::Refused { reason, refs }) = said(1, out) else { panic!("not refused") };
    assert_eq!(reason, "upstream has another refs/heads/a by now; fetch first");
    let told: Vec<_> = refs.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(told, ["fetch first", "no \\u{1b}[31mway"]);
}
