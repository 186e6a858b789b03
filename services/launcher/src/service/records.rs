//! Records of bottles that are gone, on their way to the bus.

use std::sync::Arc;
use std::time::Duration;

use bus::Link;

use super::Shared;
use crate::records::{Registry, Shelf, deliver};

/// How often it is looked for some.
const AGAIN: Duration = Duration::from_secs(5);

/// Delivers them until the stop. What is left then is the next launcher's.
pub(super) async fn carry(shared: Arc<Shared>) {
    let world = &shared.world;
    let shelf = Shelf::below(&world.config.home);
    let registry =
        Registry { url: &world.config.bus_url, minter: &world.minter, bus: &world.bus, clock: &world.clock };
    let link = world.bus.link();
    let again_and_again = async {
        loop {
            if *link.borrow() == Link::Up {
                deliver(&shelf, &registry).await;
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        () = again_and_again => {}
        () = shared.life.stopping() => {}
    }
}
