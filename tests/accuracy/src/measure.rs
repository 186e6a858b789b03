//! Runs the scanner over the corpus and counts.

use std::collections::BTreeMap;

use base::Secret;
use scan::{Detector, Detectors, Enabled, Finding, Rules};
use serde::Serialize;

use crate::positives::Positive;
use crate::surface::Sample;
use crate::{known, negatives, positives};

/// The corpus that the numbers of the documentation were measured on.
pub const SEED: u64 = 20_250_304;

/// How many of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Found.
    pub found: usize,
    /// Looked at.
    pub of: usize,
}

impl Count {
    /// From 0 to 1; 0 of nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a corpus has thousands of texts")]
    pub fn rate(self) -> f64 {
        self.found as f64 / self.of.max(1) as f64
    }

    /// Counts one more.
    pub fn add(&mut self, found: bool) {
        self.of += 1;
        self.found += usize::from(found);
    }
}

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    /// Tokens that stand in the clear.
    pub clear: Count,
    /// Tokens behind one or two decoders.
    pub encoded: Count,
    /// Known secrets, in the clear and disguised.
    pub known: Count,
    /// Texts without a secret in which one was seen.
    pub false_positives: Count,
    /// By disguise; in the clear by surface.
    pub by_disguise: BTreeMap<String, Count>,
    /// Known secrets by disguise.
    pub known_by_disguise: BTreeMap<String, Count>,
    /// By provider: in the clear and encoded.
    pub by_provider: BTreeMap<String, (Count, Count)>,
    /// By kind of text without a secret.
    pub by_negative: BTreeMap<String, Count>,
    /// The rule that was seen in a text without a secret.
    pub false_rules: BTreeMap<String, usize>,
    /// What was not seen: whose or which, how disguised, where.
    pub missed: Vec<String>,
}

/// Everything, on the corpus of `seed`.
///
/// # Errors
/// If the scanner cannot be built, or finds a text of the corpus too complex to judge.
pub fn run(seed: u64) -> anyhow::Result<Measured> {
    let key = Secret::new("a key that only this run knows".to_owned());
    let tokens = Detectors::new(Rules::standard(), Vec::new(), key.clone());
    let mut measured = Measured::default();
    for positive in positives::all(seed) {
        let found =
            sees(&tokens, &positive.sample, |detector| matches!(detector, Detector::TokenPattern(_)))?;
        measured.count(&positive, found);
    }
    let told = known::told(&known::secrets(seed));
    let only_known = Enabled { token_patterns: false, known_secrets: true, entropy: false };
    let both = Detectors::new(Rules::standard(), told, key);
    for positive in known::all(seed) {
        let findings = both.scan(&positive.sample.text, only_known, &positive.sample.shape)?;
        let found = findings.iter().any(|finding| overlaps(finding, &positive.sample));
        measured.known.add(found);
        if !found {
            measured.missed.push(format!("known secret: {}", positive.disguise));
        }
        measured.known_by_disguise.entry(positive.disguise.to_owned()).or_default().add(found);
    }
    // With the known secrets in: they must not see themselves where they are not.
    for negative in negatives::all(seed) {
        let findings = both.scan(&negative.text, Enabled::default(), &negative.shape)?;
        measured.false_positives.add(!findings.is_empty());
        measured.by_negative.entry(negative.kind.to_owned()).or_default().add(!findings.is_empty());
        for finding in findings {
            *measured.false_rules.entry(finding.detector.to_string()).or_default() += 1;
        }
    }
    Ok(measured)
}

/// Whether a detector sees the value.
///
/// # Errors
/// If the text is too complex to judge.
pub fn sees(detectors: &Detectors, sample: &Sample, which: fn(&Detector) -> bool) -> anyhow::Result<bool> {
    let findings = detectors.scan(&sample.text, Enabled::default(), &sample.shape)?;
    Ok(findings.iter().any(|finding| which(&finding.detector) && overlaps(finding, sample)))
}

fn overlaps(finding: &Finding, sample: &Sample) -> bool {
    let place = |offset: usize| u64::try_from(offset).unwrap_or(u64::MAX);
    finding.span.start < place(sample.value.end) && finding.span.end > place(sample.value.start)
}

impl Measured {
    fn count(&mut self, positive: &Positive, found: bool) {
        let provider = self.by_provider.entry(positive.provider.to_owned()).or_default();
        let label = if positive.steps == 0 {
            self.clear.add(found);
            provider.0.add(found);
            format!("none ({})", positive.surface.name())
        } else {
            self.encoded.add(found);
            provider.1.add(found);
            positive.disguise.to_owned()
        };
        self.by_disguise.entry(label).or_default().add(found);
        if !found {
            self.missed.push(format!(
                "{}: {}, {}",
                positive.provider,
                positive.disguise,
                positive.surface.name()
            ));
        }
    }
}
