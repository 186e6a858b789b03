//! `egress`: questions about the rules of the proxy.

pub mod explain;
pub mod learn;

use crate::args::Egress;
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Answers one.
///
/// # Errors
/// Those of the question.
pub async fn run(context: &Context, args: Egress) -> Result<Exit, Failure> {
    match args {
        Egress::Explain(args) => explain::run(context, &args),
        Egress::Learn(args) => learn::run(context, &args).await,
    }
}
