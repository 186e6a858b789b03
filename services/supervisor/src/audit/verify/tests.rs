use bus::message::audit::{Component, Decision, Source};
use proptest::prelude::*;

use super::super::{AuditKey, Chain, Draft, Keys};
use super::*;

fn key(seed: u8) -> AuditKey {
    AuditKey::from_seed(&[seed; 32])
}

fn keys() -> Keys {
    Keys::new([key(1).public()])
}

/// A trail with a checkpoint after `every` records and at its end.
fn trail(records: u64, every: u64) -> Vec<Vec<u8>> {
    let (key, mut chain, mut lines) = (key(1), Chain::default(), Vec::new());
    let at = "2026-11-21T12:00:00Z".parse().unwrap();
    let mut add = |chain: &mut Chain, bytes: Vec<u8>| {
        chain.take(&bytes).unwrap();
        lines.push(bytes);
    };
    let opened = chain.seal(at, &key).unwrap();
    add(&mut chain, opened);
    for n in 1..=records {
        let draft = Draft {
            at,
            component: Component::Egress,
            bottle: Some("me-00000".parse().unwrap()),
            source: Some(Source { stream: "EVENTS".into(), sequence: n }),
            decision: Decision::PolicyRunning { revision: n, refused: None },
        };
        let next = chain.next(draft).unwrap();
        add(&mut chain, next);
        if chain.unsealed() == every || n == records {
            let seal = chain.seal(at, &key).unwrap();
            add(&mut chain, seal);
        }
    }
    lines
}

fn verify_with(keys: &Keys, anchors: &[Anchor], lines: &[Vec<u8>]) -> Report {
    let mut verifier = Verifier::new(keys, anchors.iter().copied());
    for line in lines {
        verifier.push(line);
    }
    verifier.finish()
}

fn verify(lines: &[Vec<u8>]) -> Report {
    verify_with(&keys(), &[], lines)
}

fn anchor(lines: &[Vec<u8>], sequence: usize) -> Anchor {
    Anchor { sequence: sequence as u64, hash: Digest::of(&lines[sequence - 1]) }
}

fn fault(report: &Report) -> (u64, &Why) {
    let fault = report.fault.as_ref().unwrap_or_else(|| panic!("nothing was found"));
    assert_eq!(report.records, fault.sequence - 1);
    (fault.sequence, &fault.why)
}

#[test]
fn a_whole_trail_is_whole() {
    let lines = trail(10, 4);
    let end = lines.len() as u64;
    let report = verify(&lines);
    let checkpoint = Some(anchor(&lines, lines.len()));
    assert_eq!(report, Report { records: end, unsealed: 0, checkpoint, fault: None });
    let report = verify(&lines[..lines.len() - 1]);
    assert_eq!((report.records, report.unsealed, report.fault), (end - 1, 2, None));
    assert_eq!(verify(&[]).fault, None);
}

#[test]
fn who_signs_must_be_known() {
    let lines = trail(3, 4);
    let other = Keys::new([key(2).public()]);
    let report = verify_with(&other, &[], &lines);
    assert_eq!(fault(&report), (1, &Why::UnknownKey { key: key(1).public().to_string() }));
    let both = Keys::parse(&(key(2).public().to_pem() + &key(1).public().to_pem())).unwrap();
    assert_eq!(verify_with(&both, &[], &lines).fault, None);
}

/// Whoever may write the stream and has no key: the chain after the edit is written anew, and fits.
#[test]
fn a_chain_that_is_written_anew_fails_at_the_next_checkpoint() {
    let lines = trail(10, 4);
    let (mut forged, mut chain) = (Vec::new(), Chain::default());
    for (at, line) in lines.iter().enumerate() {
        let mut record: bus::message::audit::AuditRecord = serde_json::from_slice(line).unwrap();
        record.previous = chain.last().hash.to_string();
        if at == 7 {
            record.bottle = Some("you-00000".parse().unwrap());
        }
        let bytes = serde_json::to_vec(&record).unwrap();
        chain.take(&bytes).unwrap();
        forged.push(bytes);
    }
    assert_eq!(forged[..7], lines[..7]);
    // Records 2 to 5 were sealed by 6, 7 to 10 by 11.
    assert_eq!(fault(&verify(&forged)), (11, &Why::BadSignature));
}

/// Nor does it help to leave the checkpoints out.
#[test]
fn records_without_checkpoints_are_found() {
    let lines = trail(MOST_UNSEALED + 1, MOST_UNSEALED + 1);
    assert_eq!(fault(&verify(&lines)), (MOST_UNSEALED + 2, &Why::Unsealed));
    assert_eq!(verify(&trail(MOST_UNSEALED, MOST_UNSEALED)).fault, None);
    let mut chain = Chain::default();
    let draft = Draft {
        at: "2026-11-21T12:00:00Z".parse().unwrap(),
        component: Component::Egress,
        bottle: None,
        source: None,
        decision: Decision::PolicyRunning { revision: 1, refused: None },
    };
    let first = chain.next(draft).unwrap();
    chain.take(&first).unwrap();
    assert_eq!(fault(&verify(&[first])), (1, &Why::Unsealed));
}

#[test]
fn what_was_seen_must_be_there() {
    let lines = trail(10, 4);
    let seen = [anchor(&lines, 11)];
    assert_eq!(verify_with(&keys(), &seen, &lines).fault, None);
    // Everything after a checkpoint is gone: all that is left fits.
    assert_eq!(verify(&lines[..6]).fault, None);
    let report = verify_with(&keys(), &seen, &lines[..6]);
    assert_eq!(fault(&report), (7, &Why::Truncated { seen: 11 }));
    let report = verify_with(&keys(), &seen, &[]);
    assert_eq!(fault(&report), (1, &Why::Truncated { seen: 11 }));
    // Another trail of the same key, or the same one rolled back and gone on with.
    let other = trail(10, 3);
    let report = verify_with(&keys(), &seen, &other);
    assert_eq!(fault(&report), (11, &Why::Rewritten));
}

/// One way of changing a trail, and the first record that is bad then.
#[derive(Clone, Debug)]
enum Tamper {
    Edit { record: usize, byte: usize, to: u8 },
    Delete(usize),
    Swap(usize, usize),
    Truncate(usize),
    Cut { record: usize, left: usize },
    Repeat(usize),
    Sign(usize),
}

impl Tamper {
    /// Changes the trail; none if that changes nothing.
    fn apply(&self, lines: &mut Vec<Vec<u8>>) -> Option<u64> {
        let length = lines.len();
        let bad = match *self {
            Self::Edit { record, byte, to } => {
                let line = &mut lines[record % length];
                let byte = byte % line.len();
                if line[byte] == to {
                    return None;
                }
                line[byte] = to;
                record % length
            }
            Self::Delete(record) => {
                lines.remove(record % length);
                record % length
            }
            Self::Swap(a, b) => {
                lines.swap(a % length, b % length);
                if a % length == b % length {
                    return None;
                }
                (a % length).min(b % length)
            }
            Self::Truncate(left) => {
                lines.truncate(left % length);
                left % length
            }
            Self::Cut { record, left } => {
                let line = &mut lines[record % length];
                line.truncate(left % line.len());
                record % length
            }
            Self::Repeat(record) => {
                let line = lines[record % length].clone();
                lines.insert(record % length + 1, line);
                record % length + 1
            }
            Self::Sign(record) => {
                // Another signature of the same length at a signed record.
                let signed: Vec<usize> = (0..length).filter(|&n| split_of(&lines[n])).collect();
                let at = signed[record % signed.len()];
                let digits = key(2).sign(b"something else");
                let from = lines[at].len() - digits.len() - 2;
                lines[at][from..from + digits.len()].copy_from_slice(digits.as_bytes());
                at
            }
        };
        Some(bad as u64 + 1)
    }
}

fn split_of(line: &[u8]) -> bool {
    split(line).is_some()
}

fn tampers() -> impl Strategy<Value = Tamper> {
    let any = any::<usize>;
    prop_oneof![
        4 => (any(), any(), proptest::num::u8::ANY).prop_map(|(record, byte, to)| Tamper::Edit { record, byte, to }),
        // Digits stay digits, so that the record can still be read.
        4 => (any(), any(), b'0'..=b'9').prop_map(|(record, byte, to)| Tamper::Edit { record, byte, to }),
        2 => any().prop_map(Tamper::Delete),
        2 => (any(), any()).prop_map(|(a, b)| Tamper::Swap(a, b)),
        2 => any().prop_map(Tamper::Truncate),
        1 => (any(), any()).prop_map(|(record, left)| Tamper::Cut { record, left }),
        1 => any().prop_map(Tamper::Repeat),
        1 => any().prop_map(Tamper::Sign),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_change_is_found_and_the_right_record_named(
        records in 1_u64..20,
        every in 1_u64..7,
        tamper in tampers(),
    ) {
        let mut lines = trail(records, every);
        let whole = lines.clone();
        let seen = anchor(&lines, lines.len());
        if let Some(bad) = tamper.apply(&mut lines) {
            let report = verify_with(&keys(), &[seen], &lines);
            prop_assert!(report.fault.is_some(), "{tamper:?} was not found");
            prop_assert_eq!(fault(&report).0, bad, "{:?} of {}: {:?}", tamper, whole.len(), report.fault);
        } else {
            prop_assert_eq!(lines, whole);
        }
    }
}

#[test]
fn a_fault_says_what_is_wrong() {
    let lines = trail(10, 4);
    let told = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        let end = [anchor(&trail(10, 4), 14)];
        verify_with(&keys(), &end, &lines).fault.map_or_else(String::new, |fault| fault.to_string())
    };
    let reports = [
        told(&|lines| lines[3] = String::from_utf8_lossy(&lines[3]).replace("me-0", "me-1").into_bytes()),
        told(&|lines| drop(lines.remove(3))),
        told(&|lines| lines.swap(3, 5)),
        told(&|lines| lines.truncate(6)),
        told(&|lines| lines[3].truncate(40)),
        told(&|lines| {
            let end = lines[5].len() - 5;
            lines[5][end] ^= 1;
        }),
    ];
    insta::assert_snapshot!(reports.join("\n"), @r"
    record 4 was edited: the records around it are chained to another
    record 4 is missing: record 5 is at its place
    record 4 is not at its place: record 6 is there, and it comes later
    record 7 is missing: the trail ends before it, and record 14 was there when it was looked at last
    record 4 cannot be read: EOF while parsing a string at line 1 column 40
    record 6 is not signed as it should be: it was edited, or one since the last checkpoint was and the chain after it written anew
    ");
}
