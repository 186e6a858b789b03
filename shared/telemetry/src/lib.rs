//! Spans (E17, O5): what was done, for how long and in which trace, told to the OpenTelemetry collector that the
//! operator names. Without one nothing of this is initialised.
//!
//! ```text
//! Tracer::open ─▶ Open ──dropped──▶ bounded queue ─▶ one task ── POST …/v1/traces (OTLP, JSON) ──▶ collector
//! ```
//!
//! Whoever makes spans never waits: a full queue loses them, and how many is logged when the collector takes spans
//! again. `docs/telemetry.md` fixes names and attributes.

#[cfg(feature = "collector")]
pub mod collector;

mod endpoint;
mod export;
mod otlp;
mod post;
mod span;
mod tracer;

pub use endpoint::{Endpoint, InvalidUrl, UnusableEndpoint};
pub use span::{Kind, Span, Value};
pub use tracer::{Open, Tracer};
