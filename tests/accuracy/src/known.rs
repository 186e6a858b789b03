//! Texts with a secret in them that the scanner was told of.

use base::Secret;
use scan::Known;

use crate::disguise::{Disguise, ENCODED, KNOWN_ONLY, NONE, base32};
use crate::rng::{ALNUM, BASE64, HEX, LOWER, Rng, URL};
use crate::surface::{self, Sample, Surface};

/// A text with a known secret.
#[derive(Clone, Debug)]
pub struct KnownPositive {
    /// How it is disguised.
    pub disguise: &'static str,
    /// The text.
    pub sample: Sample,
}

/// Secrets that no rule knows the form of.
#[must_use]
pub fn secrets(seed: u64) -> Vec<String> {
    let mut rng = Rng::named(seed, "known secrets");
    (0..8)
        .flat_map(|_| {
            [
                rng.text(ALNUM, 32),
                rng.text(HEX, 40),
                rng.uuid(),
                rng.text(LOWER, 24),
                rng.text(URL, 43),
                format!("{}==", rng.text(BASE64, 86)),
                format!("{}!{}#{}", rng.text(ALNUM, 7), rng.text(ALNUM, 6), rng.text(ALNUM, 7)),
            ]
        })
        .collect()
}

/// The same as the scanner takes them.
#[must_use]
pub fn told(secrets: &[String]) -> Vec<Known> {
    let known = |(index, value): (usize, &String)| Known {
        name: format!("secret-{index}").into(),
        value: Secret::new(value.clone()),
        is_canary: false,
    };
    secrets.iter().enumerate().map(known).collect()
}

/// Every secret in every disguise.
#[must_use]
pub fn all(seed: u64) -> Vec<KnownPositive> {
    let mut all = Vec::new();
    for (index, secret) in secrets(seed).iter().enumerate() {
        let mut rng = Rng::named(seed, &format!("known {index}"));
        for disguise in [&NONE].into_iter().chain(ENCODED).chain(KNOWN_ONLY) {
            all.push(disguised(&mut rng, secret, disguise));
        }
        for surface in [Surface::Form, Surface::Multipart] {
            let sample = surface::split(&mut rng, surface, secret);
            all.push(KnownPositive { disguise: "split over fields", sample });
        }
        for (disguise, label) in [
            ("host label", secret.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")),
            ("host label, hex", hex::encode(secret)),
            ("host label, base32", base32(secret.as_bytes()).trim_end_matches('=').to_ascii_lowercase()),
        ] {
            all.push(KnownPositive { disguise, sample: host(&label) });
        }
    }
    all
}

fn disguised(rng: &mut Rng, secret: &str, disguise: &Disguise) -> KnownPositive {
    let value = (disguise.apply)(rng, secret);
    let is_text = value.is_ascii() && !value.contains(&0);
    let places: Vec<_> =
        surface::ALL.iter().copied().filter(|surface| is_text || surface.takes_bytes()).collect();
    let sample = rng.pick(&places).put(rng, "data", &value);
    KnownPositive { disguise: disguise.name, sample }
}

/// A name of labels of at most 63 bytes (RFC 1035 section 2.3.4).
fn host(label: &str) -> Sample {
    let labels: Vec<_> = label.as_bytes().chunks(63).map(String::from_utf8_lossy).collect();
    let labels = labels.join(".");
    let text = format!("{labels}.t.attacker.example").into_bytes();
    Sample { text, shape: scan::Shape::Plain, value: 0..labels.len() }
}
