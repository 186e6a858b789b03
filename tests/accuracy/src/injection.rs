//! How well injections are told from texts about them, and from everything else.
//!
//! The texts stand in `injection/`: those in `tuned` were looked at while the phrases were written; those in `held`
//! were written before them by the same hand, which remembers, and are only counted; those in `fresh` were written
//! when the phrases stood, and are only counted. Those in `second` were written by somebody who had not read the phrases,
//! in more styles; a seed divides them, and one half was looked at afterwards. What to expect of texts by others is
//! nearest to the other half.

use std::fmt;

use base64::Engine as _;
use scan::injection::{Confidence, Signal, assess};

use crate::rng::Rng;

const FILES: [(Part, Kind, &str); 8] = [
    (Part::Tuned, Kind::Attack, include_str!("injection/tuned/attacks.txt")),
    (Part::Tuned, Kind::Benign, include_str!("injection/tuned/benign.txt")),
    (Part::Held, Kind::Attack, include_str!("injection/held/attacks.txt")),
    (Part::Held, Kind::Benign, include_str!("injection/held/benign.txt")),
    (Part::Fresh, Kind::Attack, include_str!("injection/fresh/attacks.txt")),
    (Part::Fresh, Kind::Benign, include_str!("injection/fresh/benign.txt")),
    (Part::Second, Kind::Attack, include_str!("injection/second/attacks.txt")),
    (Part::Second, Kind::Benign, include_str!("injection/second/benign.txt")),
];

/// Which part of the corpus a text is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Looked at while the detector was made.
    Tuned,
    /// Only counted.
    Held,
    /// Only counted, and written afterwards.
    Fresh,
    /// The half of the second corpus that was looked at.
    Second,
    /// The other half, only counted.
    SecondHeld,
}

/// What divides the second corpus.
const DIVISION: u64 = 20_260_117;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It tries to instruct a model.
    Attack,
    /// It has nothing to do with that.
    Benign,
    /// It is about such attempts.
    About,
}

/// One text.
pub struct Sample {
    /// Its part of the corpus.
    pub part: Part,
    /// What it is.
    pub kind: Kind,
    /// Where such a text is met: `html`, `issue`, ….
    pub surface: &'static str,
    /// Its language, as two letters.
    pub language: &'static str,
    /// What is judged.
    pub text: String,
}

/// All texts.
#[must_use]
pub fn corpus() -> Vec<Sample> {
    FILES.iter().flat_map(|&(part, kind, file)| samples(part, kind, file)).collect()
}

fn samples(part: Part, kind: Kind, file: &'static str) -> impl Iterator<Item = Sample> {
    let mut division = Rng::named(DIVISION, &format!("{kind:?}"));
    file.split("%%% ").skip(1).map(move |entry| {
        let is_held = part == Part::Second && division.below(2) == 1;
        let part = if is_held { Part::SecondHeld } else { part };
        let (head, text) = entry.split_once('\n').unwrap_or((entry, ""));
        let mut head = head.split(", ");
        let (surface, language) = (head.next().unwrap_or_default(), head.next().unwrap_or_default());
        let kind = if head.next() == Some("about") { Kind::About } else { kind };
        Sample { part, kind, surface, language, text: unfold(text.trim_end()) }
    })
}

/// Writes out the disguises that no editor shows: `{{tags|…}}` and the like.
fn unfold(text: &str) -> String {
    let mut unfolded = String::new();
    let mut left = text;
    while let Some((before, disguise, plain, behind)) = disguised(left) {
        unfolded.push_str(before);
        unfolded.push_str(&disguised_as(disguise, plain));
        left = behind;
    }
    unfolded + left
}

fn disguised(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (inside, behind) = rest.split_once("}}")?;
    let (disguise, plain) = inside.split_once('|').unwrap_or((inside, ""));
    Some((before, disguise, plain, behind))
}

fn disguised_as(disguise: &str, plain: &str) -> String {
    let shifted = |by: u32| plain.chars().filter_map(|c| char::from_u32(u32::from(c) + by)).collect();
    match disguise {
        "tags" => shifted(0xe0000),
        "cancel" => "\u{e007f}".to_owned(),
        "wide" => plain
            .chars()
            .filter_map(|c| if c == ' ' { Some(c) } else { char::from_u32(u32::from(c) + 0xfee0) })
            .collect(),
        "zero" => plain.chars().flat_map(|c| [c, '\u{200b}']).collect(),
        "base64" => base64::engine::general_purpose::STANDARD.encode(plain),
        "escape" => plain.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
        "cyr" => plain
            .chars()
            .map(|c| match c {
                'a' => 'а',
                'e' => 'е',
                'i' => 'і',
                'o' => 'о',
                'p' => 'р',
                'c' => 'с',
                other => other,
            })
            .collect(),
        // Template text of ordinary samples.
        _ => format!("{{{{{disguise}}}}}"),
    }
}

/// How many texts of one kind got which confidence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// All of them.
    pub texts: usize,
    /// Medium or high.
    pub noticed: usize,
    /// High.
    pub high: usize,
}

impl Count {
    /// The share that was noticed, 0 to 1.
    #[must_use]
    pub fn noticed_share(self) -> f64 {
        share(self.noticed, self.texts)
    }

    /// The share that was found with high confidence, 0 to 1.
    #[must_use]
    pub fn high_share(self) -> f64 {
        share(self.high, self.texts)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred texts")]
fn share(some: usize, all: usize) -> f64 {
    if all == 0 { 0.0 } else { some as f64 / all as f64 }
}

/// Counts over a part of the corpus.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    /// Attacks: the noticed share is the recall.
    pub attacks: Count,
    /// Texts that are none, those about attacks included: the noticed share is the false-positive rate.
    pub benign: Count,
    /// Those about attacks.
    pub about: Count,
}

/// The whole measurement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accuracy {
    /// The part that was looked at.
    pub tuned: Row,
    /// The part that was not.
    pub held: Row,
    /// The part that could not be.
    pub fresh: Row,
    /// The half of the second corpus that was looked at.
    pub second: Row,
    /// The half that was not.
    pub second_held: Row,
    /// Everything.
    pub all: Row,
}

/// Judges every text once.
#[must_use]
pub fn measure() -> Accuracy {
    let mut accuracy = Accuracy::default();
    for sample in corpus() {
        let confidence = assess(sample.text.as_bytes()).confidence;
        let part = match sample.part {
            Part::Tuned => &mut accuracy.tuned,
            Part::Held => &mut accuracy.held,
            Part::Fresh => &mut accuracy.fresh,
            Part::Second => &mut accuracy.second,
            Part::SecondHeld => &mut accuracy.second_held,
        };
        for row in [part, &mut accuracy.all] {
            let counts: &mut [&mut Count] = match sample.kind {
                Kind::Attack => &mut [&mut row.attacks],
                Kind::Benign => &mut [&mut row.benign],
                Kind::About => &mut [&mut row.benign, &mut row.about],
            };
            for count in counts {
                count.texts += 1;
                count.noticed += usize::from(confidence >= Confidence::Medium);
                count.high += usize::from(confidence == Confidence::High);
            }
        }
    }
    accuracy
}

/// The texts of the parts that may be looked at that were judged wrongly, with what was found: what to work on next.
#[must_use]
pub fn mistakes() -> Vec<(Sample, Vec<Signal>)> {
    let wrong = |sample: Sample| {
        let found = assess(sample.text.as_bytes());
        let noticed = found.confidence > Confidence::None;
        (noticed != (sample.kind == Kind::Attack)).then_some((sample, found.signals))
    };
    let is_seen = |sample: &Sample| matches!(sample.part, Part::Tuned | Part::Second);
    corpus().into_iter().filter(is_seen).filter_map(wrong).collect()
}

impl fmt::Display for Accuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "injection      attacks  recall  (high)   benign  false  (high)   about  false")?;
        for (name, row) in [
            ("tuned", self.tuned),
            ("held out", self.held),
            ("fresh", self.fresh),
            ("second, tuned", self.second),
            ("second, held", self.second_held),
            ("all", self.all),
        ] {
            writeln!(
                f,
                "{name:<13} {:>8}  {:>6.3}  {:>6.3} {:>8}  {:>5.3}  {:>6.3} {:>7}  {:>5.3}",
                row.attacks.texts,
                row.attacks.noticed_share(),
                row.attacks.high_share(),
                row.benign.texts,
                row.benign.noticed_share(),
                row.benign.high_share(),
                row.about.texts,
                row.about.noticed_share(),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_what_it_says() {
        let corpus = corpus();
        let of = |kind| corpus.iter().filter(|sample| sample.kind == kind).count();
        assert_eq!([of(Kind::Attack), of(Kind::About), of(Kind::Benign)], [189, 135, 135]);
        assert!(corpus.iter().all(|sample| !sample.text.is_empty() && sample.language.len() == 2));
    }

    #[test]
    fn recall_and_false_positives_hold() {
        let accuracy = measure();
        println!("{accuracy}");
        assert!(accuracy.all.attacks.noticed_share() >= 0.6, "{accuracy}");
        assert!(accuracy.all.benign.noticed_share() <= 0.03, "{accuracy}");
    }
}
