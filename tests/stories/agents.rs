//! Real agent clients in real bottles, against a model that plays a script (P1 to P4).

mod bottle;
mod failing;
mod resumed;
mod whole;

pub(crate) use bottle::Client;
pub(crate) use whole::token;
