//! Detection does not get worse than what the documentation promises.

use accuracy::{known, measure, negatives, positives, report};

#[test]
fn the_corpus_is_large_enough_and_always_the_same() {
    let (once, again) = (positives::all(measure::SEED), positives::all(measure::SEED));
    assert!(once.len() >= 400);
    assert!(negatives::all(measure::SEED).len() >= 400);
    assert!(known::all(measure::SEED).len() >= 400);
    assert!(once.iter().zip(&again).all(|(one, other)| one.sample.text == other.sample.text));
}

#[test]
fn detection_keeps_its_promises() {
    let measured = measure::run(measure::SEED).expect("every text can be judged");
    let table = report::table(&measured);
    assert!(measured.clear.rate() >= 0.97, "{table}");
    assert!(measured.encoded.rate() >= 0.92, "{table}");
    assert!(measured.known.rate() >= 0.98, "{table}");
    assert!(measured.false_positives.rate() <= 0.005, "{table}");
}
