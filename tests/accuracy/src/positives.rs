//! Texts with a token in them.

use crate::disguise::{Disguise, ENCODED, NONE};
use crate::rng::Rng;
use crate::surface::{self, Sample, Surface};
use crate::tokens::{KINDS, Kind};

/// A text with a token, and how it was made.
#[derive(Clone, Debug)]
pub struct Positive {
    /// Whose token.
    pub provider: &'static str,
    /// How it is disguised.
    pub disguise: &'static str,
    /// Decoders that it takes to see it.
    pub steps: u8,
    /// Where it stands.
    pub surface: Surface,
    /// The text.
    pub sample: Sample,
}

/// What a field is called that says nothing about its value.
const NEUTRAL: &[&str] = &["q", "data", "note", "payload", "content", "state", "comment", "blob", "input"];

/// Every kind of token in the clear on every surface, and in every disguise on one of them.
#[must_use]
pub fn all(seed: u64) -> Vec<Positive> {
    let mut all = Vec::new();
    for (index, kind) in KINDS.iter().enumerate() {
        let mut rng = Rng::named(seed, &format!("{} {index}", kind.provider));
        for surface in surface::ALL {
            all.push(in_the_clear(&mut rng, kind, *surface));
        }
        for disguise in ENCODED {
            all.push(disguised(&mut rng, kind, disguise));
        }
        for surface in [Surface::Form, Surface::Multipart] {
            let text = payload(&mut rng, kind);
            let sample = surface::split(&mut rng, surface, &text);
            all.push(Positive {
                provider: kind.provider,
                disguise: "split over fields",
                steps: 1,
                surface,
                sample,
            });
        }
    }
    all
}

fn in_the_clear(rng: &mut Rng, kind: &Kind, surface: Surface) -> Positive {
    let token = (kind.make)(rng);
    let name = kind.name.unwrap_or_else(|| rng.pick::<&str>(NEUTRAL));
    let sample = surface.put(rng, name, token.as_bytes());
    Positive { provider: kind.provider, disguise: NONE.name, steps: NONE.steps, surface, sample }
}

fn disguised(rng: &mut Rng, kind: &Kind, disguise: &Disguise) -> Positive {
    let text = payload(rng, kind);
    let value = (disguise.apply)(rng, &text);
    let is_text = value.is_ascii() && !value.contains(&0);
    let places: Vec<_> =
        surface::ALL.iter().copied().filter(|surface| is_text || surface.takes_bytes()).collect();
    let surface = *rng.pick(&places);
    let name = rng.pick::<&str>(NEUTRAL);
    let sample = surface.put(rng, name, &value);
    Positive { provider: kind.provider, disguise: disguise.name, steps: disguise.steps, surface, sample }
}

/// What is sent: a token that says whose it is goes alone or with a name, another one needs its name.
fn payload(rng: &mut Rng, kind: &Kind) -> String {
    let token = (kind.make)(rng);
    match kind.name {
        Some(name) => format!("{name}={token}"),
        None if rng.below(3) == 0 => format!("VALUE={token}"),
        None => token,
    }
}
