//! Secrets in bodies, in any disguise and cut anywhere (E9).

use std::sync::{Arc, LazyLock};

use base::Secret;
use scan::{Detectors, Enabled, Finding, Known, Next, Rules, Shape, Stream, StreamError};

use crate::cut::{Pieces, byte};

/// Bodies larger than a block are judged in several; up to here the stream sees what one look sees.
const ONE_BLOCK: usize = 64 << 10;

/// A byte of an input that stands for a secret: so no kept input holds anything that looks like one.
const STANDS_FOR: [(u8, fn() -> String); 3] = [(1, token), (2, secret), (3, canary)];

/// A token of a documented form.
fn token() -> String {
    ["gh", "p_", &scattered(7, 36)].concat()
}

/// A secret of the bottle, of no known form.
fn secret() -> String {
    scattered(11, 40)
}

fn canary() -> String {
    scattered(13, 32)
}

/// Letters and digits that look random.
fn scattered(seed: u64, count: usize) -> String {
    let alphabet: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        alphabet[(state >> 33) as usize % alphabet.len()]
    };
    (0..count).map(next).collect()
}

/// The input with every secret written out.
fn written_out(data: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(data.len());
    for byte in data {
        match STANDS_FOR.iter().find(|(stands, _)| stands == byte) {
            Some((_, make)) => body.extend_from_slice(make().as_bytes()),
            None => body.push(*byte),
        }
    }
    body
}

static DETECTORS: LazyLock<Arc<Detectors>> = LazyLock::new(|| {
    let known = [("SECRET", secret()), ("CANARY", canary())].map(|(name, value)| Known {
        name: name.into(),
        value: Secret::new(value),
        is_canary: name == "CANARY",
    });
    let key = Secret::new("a key that stays the same".to_owned());
    Arc::new(Detectors::new(Rules::standard(), known.into(), key))
});

/// A body, behind one byte for its shape and what is looked for, and three for how it is cut.
pub fn check(mut data: &[u8]) {
    let settings = byte(&mut data);
    let (lengths, body) = data.split_at(data.len().min(3));
    let data = [lengths, &written_out(body)].concat();
    let shape = match settings & 3 {
        0 => Shape::Form,
        1 => Shape::Multipart(b"boundary".to_vec()),
        _ => Shape::Plain,
    };
    let enabled = Enabled {
        token_patterns: settings & 4 == 0,
        known_secrets: settings & 8 == 0,
        entropy: settings & 16 != 0,
    };
    let whole = Pieces::of(&data).whole();
    let judge = |pieces: &mut dyn Iterator<Item = &[u8]>, on_finding: OnFinding| {
        pass(Stream::new(Arc::clone(&DETECTORS), enabled, shape.clone()), pieces, on_finding)
    };
    let at_once = judge(&mut std::iter::once(whole), OnFinding::Pass);
    let cut = judge(&mut Pieces::of(&data), OnFinding::Pass);
    assert_eq!(at_once, cut, "how a body is cut changes what is found");
    let Ok(seen) = at_once else { return };
    assert!(seen.left == whole, "a body that may pass arrives as it was");
    for finding in &seen.findings {
        assert!(
            finding.span.start < finding.span.end && finding.span.end <= whole.len() as u64,
            "{finding:?}"
        );
    }
    if whole.len() <= ONE_BLOCK {
        assert_eq!(
            DETECTORS.scan(whole, enabled, &shape).as_ref(),
            Ok(&seen.findings),
            "one look sees the same"
        );
    }
    check_redaction(judge(&mut Pieces::of(&data), OnFinding::Redact), whole, enabled, &shape);
}

/// What was redacted has its length, and what was found in it is not there any more.
fn check_redaction(redacted: Result<Seen, StreamError>, whole: &[u8], enabled: Enabled, shape: &Shape) {
    let Ok(seen) = redacted else { return };
    assert_eq!(seen.left.len(), whole.len());
    if whole.len() <= ONE_BLOCK {
        let left = DETECTORS.scan(&seen.left, enabled, shape);
        assert_eq!(left.as_deref(), Ok(&[][..]), "found again after it was blotted out");
    }
}

#[derive(Clone, Copy, PartialEq)]
enum OnFinding {
    Pass,
    Redact,
}

#[derive(Debug, PartialEq)]
struct Seen {
    left: Vec<u8>,
    findings: Vec<Finding>,
}

/// Sends a body through a stream.
fn pass(
    mut stream: Stream,
    pieces: &mut dyn Iterator<Item = &[u8]>,
    on_finding: OnFinding,
) -> Result<Seen, StreamError> {
    let mut seen = Seen { left: Vec::new(), findings: Vec::new() };
    loop {
        match stream.poll()? {
            Next::Bytes(bytes) => seen.left.extend_from_slice(&bytes),
            Next::Finding(finding) => {
                assert!(seen.left.len() as u64 <= finding.span.start.max(stream_start(&seen)), "{finding:?}");
                seen.findings.push(finding);
                match on_finding {
                    OnFinding::Pass => stream.pass(),
                    OnFinding::Redact => stream.redact()?,
                }
            }
            Next::More => match pieces.next() {
                Some(piece) => stream.push(piece),
                None => stream.end(),
            },
            Next::End => return Ok(seen),
        }
    }
}

/// Where the last finding that passed ended: behind it another may begin before what has left.
fn stream_start(seen: &Seen) -> u64 {
    seen.findings.last().map_or(0, |finding| finding.span.end)
}
