//! The numbers as people read them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::measure::{Count, Measured};

/// The tables.
#[must_use]
pub fn table(measured: &Measured) -> String {
    let mut out = String::new();
    part(&mut out, "tokens, by encoding", &measured.by_disguise);
    part(&mut out, "known secrets, by disguise", &measured.known_by_disguise);
    heading(&mut out, "tokens, by provider: in the clear, encoded");
    for (provider, (clear, encoded)) in &measured.by_provider {
        line(&mut out, provider, &format!("{}   {}", shown(*clear), shown(*encoded)));
    }
    part(&mut out, "texts without a secret: seen in", &measured.by_negative);
    for (detector, times) in &measured.false_rules {
        line(&mut out, detector, &format!("{times} times, wrongly"));
    }
    heading(&mut out, "all");
    for (name, count, wanted) in summary(measured) {
        line(&mut out, name, &format!("{}   wanted {wanted}", shown(count)));
    }
    out
}

/// The four numbers that count, with what is wanted of them.
#[must_use]
pub fn summary(measured: &Measured) -> [(&'static str, Count, &'static str); 4] {
    [
        ("recall in the clear", measured.clear, "0.97 or more"),
        ("recall behind one or two decoders", measured.encoded, "0.92 or more"),
        ("recall of known secrets", measured.known, "0.98 or more"),
        ("false-positive rate", measured.false_positives, "0.005 or less"),
    ]
}

fn part(out: &mut String, title: &str, counts: &BTreeMap<String, Count>) {
    heading(out, title);
    for (name, count) in counts {
        line(out, name, &shown(*count));
    }
}

fn heading(out: &mut String, title: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n{title}");
}

fn line(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "  {name:<40} {text}");
}

fn shown(count: Count) -> String {
    format!("{:.3} ({:>4}/{:<4})", count.rate(), count.found, count.of)
}
