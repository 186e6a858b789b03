//! Texts that have nothing to hide, in the kinds that clients really send.

mod api;
mod binary;
mod code;
mod examples;
mod lists;
mod prose;
mod web;

use scan::Shape;

use crate::rng::Rng;

/// A text without a secret.
#[derive(Clone, Debug)]
pub struct Negative {
    /// Of which kind.
    pub kind: &'static str,
    /// The text.
    pub text: Vec<u8>,
    /// How it is divided.
    pub shape: Shape,
}

/// A kind and what makes one of it.
type Kind = (&'static str, fn(&mut Rng) -> Vec<u8>);

/// Texts of each kind.
const EACH: usize = 15;

/// All of them.
#[must_use]
pub fn all(seed: u64) -> Vec<Negative> {
    let kinds =
        [lists::KINDS, web::KINDS, code::KINDS, prose::KINDS, api::KINDS, binary::KINDS, examples::KINDS];
    let mut all = Vec::new();
    for (kind, make) in kinds.concat() {
        let mut rng = Rng::named(seed, kind);
        for _ in 0..EACH {
            let shape = if kind.starts_with("form") { Shape::Form } else { Shape::Plain };
            all.push(Negative { kind, text: make(&mut rng), shape });
        }
    }
    all
}
