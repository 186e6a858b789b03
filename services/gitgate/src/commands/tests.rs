use super::*;
use crate::reference::InvalidRefName;

const ZERO: &str = "0000000000000000000000000000000000000000";

fn one() -> String {
    "a".repeat(40)
}

fn lines(lines: &[&str]) -> BytesMut {
    let mut text = Vec::new();
    for line in lines {
        pktline::put(&mut text, line.as_bytes());
    }
    pktline::flush(&mut text);
    BytesMut::from(&text[..])
}

fn read(mut arrived: BytesMut) -> Result<Commands, Flaw> {
    let mut parser = Parser::new(Format::Sha1, 3);
    assert!(parser.feed(&mut arrived)?, "not complete");
    Ok(parser.into_seen())
}

fn refused(given: &[&str]) -> Flaw {
    read(lines(given)).unwrap_err()
}

#[test]
fn commands_of_each_kind_are_read() {
    let (one, two) = (one(), "b".repeat(40));
    let commands = read(lines(&[
        &format!("shallow {two}"),
        &format!(
            "{ZERO} {one} refs/heads/new\0 report-status side-band-64k atomic object-format=sha1 agent=git/2"
        ),
        &format!("{one} {two} refs/heads/main\n"),
        &format!("{two} {ZERO} refs/tags/v1"),
    ]))
    .unwrap();
    let told: Vec<_> = commands
        .updates
        .iter()
        .map(|update| (update.name.as_str(), update.old.is_some(), update.new.is_some()))
        .collect();
    assert_eq!(
        told,
        [("refs/heads/new", false, true), ("refs/heads/main", true, true), ("refs/tags/v1", true, false)]
    );
    let wanted = Capabilities { report_status: true, side_band: true, atomic: true, push_options: false };
    assert_eq!(commands.capabilities, wanted);
    assert!(commands.has_pack());
}

#[test]
fn only_removals_have_no_pack() {
    assert!(!read(lines(&[&format!("{} {ZERO} refs/heads/x\0", one())])).unwrap().has_pack());
    // What a client sends first where it has much to send.
    assert_eq!(read(lines(&[])), Ok(Commands::default()));
}

#[test]
fn push_options_follow_where_they_were_announced() {
    let mut arrived = lines(&[&format!("{ZERO} {} refs/heads/x\0push-options", one())]);
    arrived.extend_from_slice(&lines(&["ci.skip", "topic=größe"]));
    arrived.extend_from_slice(b"PACK");
    let mut parser = Parser::new(Format::Sha1, 3);
    assert_eq!(parser.feed(&mut arrived), Ok(true));
    assert_eq!(parser.seen().options, ["ci.skip", "topic=größe"]);
    assert_eq!(&arrived[..], b"PACK");
    let mut arrived = lines(&[&format!("{ZERO} {} refs/heads/x\0push-options", one())]);
    arrived.extend_from_slice(&lines(&["two\nlines"]));
    assert_eq!(read(arrived), Err(Flaw::Option));
}

#[test]
fn everything_else_is_refused_for_a_reason() {
    let one = one();
    let update = |name: &str| format!("{ZERO} {one} {name}");
    let name = |name: &str, why| Flaw::Name { name: base::inert(name, 250), why };
    let x = update("refs/heads/x");
    for (given, flaw) in [
        (vec![format!("{ZERO} {ZERO} refs/heads/x")], Flaw::Command),
        (vec![format!("{ZERO} {one}")], Flaw::Command),
        (vec![format!("{ZERO} {} refs/heads/x", "A".repeat(40))], Flaw::Command),
        (vec![format!("{ZERO} {} refs/heads/x", "a".repeat(64))], Flaw::Format(Format::Sha1)),
        (vec![format!("{x}\0object-format=sha256")], Flaw::Format(Format::Sha1)),
        (vec![x.clone(), x.clone()], Flaw::Twice("refs/heads/x".parse().unwrap())),
        (vec![format!("{x}\0"), format!("{}\0", update("refs/heads/y"))], Flaw::Command),
        (vec![update("main")], name("main", InvalidRefName::NotFull)),
        (vec![update("refs/heads/a\u{1b}[2J")], name("refs/heads/a\u{1b}[2J", InvalidRefName::Malformed)),
        (vec![format!("{x}\0push-cert=nonce")], Flaw::Signed),
        (vec!["push-cert\0push-cert=x".to_owned()], Flaw::Signed),
        (vec![format!("{x}\0report-status-v2")], Flaw::Capability("report-status-v2".to_owned())),
        ((0..4).map(|n| update(&format!("refs/heads/{n}"))).collect(), Flaw::TooMany { limit: 3 }),
    ] {
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        assert_eq!(refused(&given), flaw, "{given:?}");
    }
    assert_eq!(read(BytesMut::from(&b"0001"[..])), Err(Flaw::Mark));
    assert_eq!(read(BytesMut::from(&b"GET / HT"[..])), Err(Flaw::NoLength(pktline::NoLength)));
}
