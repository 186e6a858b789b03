//! What the proxy and the git gate look for in bytes: secrets on their way out, instructions on their way in.
//!
//! Pure: no I/O, no logs, no clock. Outbound, [`Detectors`] judge a text or, as a [`Stream`], a body of any length in
//! constant memory. A text is looked at as it stands and in every normal form that bounded decoders can reach
//! (percent, base64, base32, hex, escapes, entities, UTF-16, fields joined, separators removed). What was found is
//! a [`Finding`]: the detector, the place, the decoders it took, a keyed digest; never the value.

mod classes;
pub mod coding;
mod decode;
mod detectors;
mod entropy;
mod finding;
pub mod injection;
mod known;
mod literals;
pub mod rules;
pub mod sse;
mod stream;
mod view;
mod window;

pub use decode::Shape;
pub use detectors::{Detectors, Enabled, TooComplex};
pub use finding::{Decoding, Detector, Digest, Finding, SecretName, Via};
pub use known::Known;
pub use rules::{RuleError, Rules};
pub use stream::{LOOK_AHEAD, Next, Stream, StreamError, blot};
