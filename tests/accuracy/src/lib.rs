//! How much of what must not leave is found, and how much else: a labelled corpus, the same everywhere.
//!
//! Everything is made from a seed and from text that stands here: no token in it was ever valid, and none stands in
//! the repository. The makers of tokens follow the providers' documents and know nothing of the scanner's rules.

pub mod disguise;
pub mod injection;
pub mod known;
pub mod measure;
pub mod negatives;
pub mod positives;
pub mod report;
pub mod rival;
pub mod rng;
pub mod surface;
pub mod tokens;
