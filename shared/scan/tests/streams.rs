//! Bodies in pieces: the same findings however they are cut, and never a byte of a secret ahead of its verdict.

mod support;

use proptest::prelude::*;
use scan::{Enabled, Finding, Next, Shape, Stream};
use support::{Disguise, detectors, secret, token};

/// What became of a body.
#[derive(Debug, Default, PartialEq, Eq)]
struct Passage {
    left: Vec<u8>,
    findings: Vec<Finding>,
}

/// Sends a body in pieces of the given lengths, over and over, until the first finding.
fn until_found(body: &[u8], cuts: &[usize]) -> Passage {
    let mut stream = Stream::new(detectors(), Enabled::default(), Shape::Plain);
    let mut passage = Passage::default();
    let mut rest = body;
    for cut in cuts.iter().cycle() {
        let (piece, later) = rest.split_at((*cut).min(rest.len()));
        rest = later;
        stream.push(piece);
        if rest.is_empty() {
            stream.end();
        }
        loop {
            match stream.poll().expect("simple enough") {
                Next::Bytes(bytes) => passage.left.extend_from_slice(&bytes),
                Next::Finding(finding) => {
                    passage.findings.push(finding);
                    return passage;
                }
                Next::More => break,
                Next::End => return passage,
            }
        }
    }
    unreachable!("the body ends");
}

fn body(before: usize, value: &[u8], after: usize) -> Vec<u8> {
    let words = b"lorem ipsum dolor sit amet, \"consectetur\": 17;\n";
    let filler = |length| words.iter().copied().cycle().take(length);
    filler(before).chain(*b" ").chain(value.iter().copied()).chain(*b" ").chain(filler(after)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn however_a_body_is_cut_the_findings_are_the_same_and_nothing_of_the_secret_leaves(
        // A block ends after 65,536 bytes.
        before in prop_oneof![0..200usize, 65_380..65_540usize, 60_000..80_000usize, 120_000..150_000usize],
        after in prop_oneof![0..100usize, 5_000..20_000usize, 60_000..80_000usize],
        cuts in prop::collection::vec(prop_oneof![1..40usize, 1_000..9_000usize, 30_000..90_000usize], 1..6),
        disguise in any::<prop::sample::Index>(),
    ) {
        let disguise = Disguise::ALL[disguise.index(Disguise::ALL.len())];
        for plain in [token(), secret()] {
            let value = disguise.put_on(&plain);
            let sent = body(before, &value, after);
            let whole = until_found(&sent, &[sent.len()]);
            let cut = until_found(&sent, &cuts);
            prop_assert_eq!(&whole.findings, &cut.findings);
            prop_assert_eq!(whole.findings.len(), 1, "{:?} of {}", disguise, plain);
            prop_assert!(cut.left.len() <= before + 1 + disguise.lead(), "{:?}: part of it left", disguise);
            prop_assert_eq!(&cut.left, &sent[..cut.left.len()]);
        }
    }

    #[test]
    fn a_clean_body_passes_unchanged(
        body in prop::collection::vec(any::<u8>(), 0..200_000),
        cuts in prop::collection::vec(1..70_000usize, 1..4),
    ) {
        let passage = until_found(&body, &cuts);
        prop_assert_eq!(passage.findings, vec![]);
        prop_assert!(passage.left == body);
    }
}

#[test]
fn a_stream_holds_no_more_than_a_block_and_what_is_looked_at_with_it() {
    let mut stream = Stream::new(detectors(), Enabled::default(), Shape::Plain);
    let mut most = 0;
    for _ in 0..1_000 {
        stream.push(&body(1_000, b"", 1_000));
        while let Next::Bytes(_) = stream.poll().expect("simple enough") {}
        most = most.max(stream.held());
    }
    assert!(most <= 80 << 10, "{most}");
}

#[test]
fn what_was_passed_leaves_and_is_not_told_of_again() {
    // Two blocks have a part of it.
    let sent = body(65_515, token().as_bytes(), 100_000);
    let mut stream = Stream::new(detectors(), Enabled::default(), Shape::Plain);
    stream.push(&sent);
    stream.end();
    let mut left = Vec::new();
    let mut told = 0;
    loop {
        match stream.poll().expect("simple enough") {
            Next::Bytes(bytes) => left.extend_from_slice(&bytes),
            Next::Finding(_) => {
                told += 1;
                stream.pass();
            }
            Next::More | Next::End => break,
        }
    }
    assert_eq!(told, 1);
    assert!(left == sent);
}

#[test]
fn a_redacted_value_is_blotted_out_and_everything_else_stays_in_place() {
    for disguise in Disguise::ALL {
        let value = disguise.put_on(&token());
        let sent = body(70_000, &value, 9_000);
        let mut stream = Stream::new(detectors(), Enabled::default(), Shape::Plain);
        stream.push(&sent);
        stream.end();
        let mut left = Vec::new();
        loop {
            match stream.poll().expect("simple enough") {
                Next::Bytes(bytes) => left.extend_from_slice(&bytes),
                Next::Finding(_) => stream.redact().expect("it can be blotted out"),
                Next::More | Next::End => break,
            }
        }
        assert_eq!(left.len(), sent.len());
        assert_eq!(left[..70_000], sent[..70_000]);
        assert_eq!(left[left.len() - 9_000..], sent[sent.len() - 9_000..]);
        let again = detectors().scan(&left, Enabled::default(), &Shape::Plain).expect("simple enough");
        assert_eq!(again, vec![], "{disguise:?}");
    }
}

#[test]
fn a_pause_lets_all_go_but_a_last_word_in_which_a_secret_may_have_begun() {
    let mut stream = Stream::new(detectors(), Enabled::default(), Shape::Plain);
    let token = token();
    let (first, second) = token.split_at(20);
    stream.push(format!("data: hello {first}").as_bytes());
    assert_eq!(stream.poll(), Ok(Next::More));
    stream.settle().expect("simple enough");
    assert_eq!(stream.poll(), Ok(Next::Bytes("data: hello ".into())));
    assert_eq!(stream.poll(), Ok(Next::More));
    stream.push(second.as_bytes());
    stream.end();
    assert!(matches!(stream.poll(), Ok(Next::Finding(_))));

    for harmless in ["message 17", "{\"id\":5}", "\0\0\0\0\x05hello"] {
        let mut stream = Stream::new(detectors(), Enabled::default(), Shape::Plain);
        stream.push(harmless.as_bytes());
        stream.settle().expect("simple enough");
        assert_eq!(stream.poll(), Ok(Next::Bytes(harmless.into())));
    }
}

#[test]
fn who_trickles_a_secret_gets_hardly_more_than_its_beginning_through() {
    for (plain, most) in [(token(), 4), (secret(), 12)] {
        let mut stream = Stream::new(detectors(), Enabled::default(), Shape::Plain);
        let mut left = 0;
        for byte in plain.bytes() {
            stream.push(&[byte]);
            stream.settle().expect("simple enough");
            while let Next::Bytes(bytes) = stream.poll().expect("simple enough") {
                left += bytes.len();
            }
        }
        stream.end();
        assert!(matches!(stream.poll(), Ok(Next::Finding(_))));
        assert!(left < most, "{left} bytes left");
    }
}
