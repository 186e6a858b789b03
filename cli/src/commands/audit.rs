//! `audit`: the trail of decisions.

mod describe;
mod export;
mod progress;
mod show;
mod verify;

use bus::{Bus, BusError, Follow, Since, layout};
use supervisor::audit::Stored;

use crate::args::audit::Audit;
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Runs `audit show`, `verify` or `export`.
///
/// # Errors
/// As each of them.
pub async fn run(context: &Context, args: Audit) -> Result<Exit, Failure> {
    match args {
        Audit::Show(args) => show::run(context, &args).await,
        Audit::Verify(args) => verify::run(context, &args).await,
        Audit::Export(args) => export::run(context, &args).await,
    }
}

/// The whole trail as it is stored.
async fn trail(bus: &Bus) -> Result<Follow<Stored>, BusError> {
    bus.follow(layout::AUDIT, ">", Since::All).await
}
