//! What every match of an expression begins with: a few comparisons where the engine would cost ten times that.

use regex_syntax::hir::{Class, Hir, HirKind};

/// More alternatives than this are not followed.
const MOST_HEADS: usize = 64;
/// Longer heads would not turn away more.
const LONGEST_HEAD: usize = 24;

/// The bytes that may stand at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bytes([u128; 2]);

impl Bytes {
    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 7)] |= 1 << (byte & 127);
    }

    fn has(self, byte: u8) -> bool {
        self.0[usize::from(byte >> 7)] >> (byte & 127) & 1 == 1
    }

    /// Whether it is this letter in one or both cases, and nothing else.
    fn is_only(self, letter: u8) -> bool {
        let mut both = Self::default();
        both.add(letter.to_ascii_lowercase());
        both.add(letter.to_ascii_uppercase());
        self != Self::default() && self.0[0] & !both.0[0] == 0 && self.0[1] & !both.0[1] == 0
    }
}

/// One way to begin.
#[derive(Clone, Debug, Default)]
struct Head {
    bytes: Vec<Bytes>,
    /// What follows is not known.
    ended: bool,
}

/// All ways to begin: a match begins with one of them.
#[derive(Clone, Debug)]
pub(super) struct Heads(Vec<Head>);

impl Heads {
    /// `None` when there are too many ways to begin, or one that begins with nothing in particular.
    pub(super) fn of(expression: &Hir) -> Option<Self> {
        let heads = extend(vec![Head::default()], expression)?;
        heads.iter().all(|head| !head.bytes.is_empty()).then_some(Self(heads))
    }

    /// Whether every match begins with one of the keywords, so that only those places need be looked at.
    pub(super) fn begin_with(&self, keywords: &[String]) -> bool {
        let begins = |head: &Head, keyword: &str| {
            !keyword.is_empty()
                && head.bytes.len() >= keyword.len()
                && head.bytes.iter().zip(keyword.bytes()).all(|(bytes, letter)| bytes.is_only(letter))
        };
        self.0.iter().all(|head| keywords.iter().any(|keyword| begins(head, keyword)))
    }

    /// Whether a match could begin the text.
    pub(super) fn could_begin(&self, text: &[u8]) -> bool {
        self.0.iter().any(|head| {
            head.bytes.len() <= text.len()
                && head.bytes.iter().zip(text).all(|(bytes, byte)| bytes.has(*byte))
        })
    }
}

/// Appends to each head what `expression` begins with.
fn extend(heads: Vec<Head>, expression: &Hir) -> Option<Vec<Head>> {
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(heads),
        HirKind::Literal(literal) => Some(literal.0.iter().fold(heads, |heads, byte| {
            let mut one = Bytes::default();
            one.add(*byte);
            append(heads, one)
        })),
        HirKind::Class(class) => match bytes_of(class) {
            Some(bytes) => Some(append(heads, bytes)),
            None => Some(end(heads)),
        },
        HirKind::Capture(capture) => extend(heads, &capture.sub),
        HirKind::Concat(parts) => parts.iter().try_fold(heads, extend),
        HirKind::Repetition(repetition) => {
            let times = usize::try_from(repetition.min).ok()?.min(LONGEST_HEAD);
            let heads = (0..times).try_fold(heads, |heads, _| extend(heads, &repetition.sub))?;
            Some(if repetition.max == Some(repetition.min) { heads } else { end(heads) })
        }
        HirKind::Alternation(branches) => {
            let (ended, open): (Vec<_>, Vec<_>) = heads.into_iter().partition(|head| head.ended);
            branches.iter().try_fold(ended, |mut all, branch| {
                all.extend(extend(open.clone(), branch)?);
                (all.len() <= MOST_HEADS).then_some(all)
            })
        }
    }
}

fn append(mut heads: Vec<Head>, bytes: Bytes) -> Vec<Head> {
    for head in heads.iter_mut().filter(|head| !head.ended) {
        head.bytes.push(bytes);
        head.ended = head.bytes.len() == LONGEST_HEAD;
    }
    heads
}

fn end(mut heads: Vec<Head>) -> Vec<Head> {
    heads.iter_mut().for_each(|head| head.ended = true);
    heads
}

fn bytes_of(class: &Class) -> Option<Bytes> {
    let Class::Bytes(class) = class else { return None };
    let mut bytes = Bytes::default();
    for range in class.ranges() {
        (range.start()..=range.end()).for_each(|byte| bytes.add(byte));
    }
    Some(bytes)
}
