//! `demo`: the main job end to end, with evidence. It listens on loopback only and writes to a temporary home.

mod crash;
mod first;
pub mod origin;
mod person;
mod pushes;
mod report;
mod world;

use crate::args::Demo;
use crate::exit::{Exit, Failure};

use report::Report;
use world::World;

/// Plays every scenario and prints a line for each. Ends with [`Exit::No`] unless every line is `ok`.
///
/// # Errors
/// The demo itself could not be set up.
pub async fn run(args: &Demo) -> Result<Exit, Failure> {
    let mut report = Report::default();
    let mut world = World::start(args.keep).await?;
    report.line("host services", true, &format!("private bus at {}, supervisor, launcher", world.url));
    first::play(&world, &mut report).await?;
    crash::play(&mut world, &mut report).await?;
    world.verify(&mut report).await?;
    world.stop(&mut report).await?;
    Ok(report.finish())
}
