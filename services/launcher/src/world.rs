//! What every part of a launcher works with.

use std::sync::Arc;

use base::clock::Clock;
use base::id::{LauncherId, Slug};
use bus::Bus;
use bus::keys::BottleMinter;
use futures::future::BoxFuture;
use telemetry::Tracer;

use crate::backends::Backends;
use crate::config::LauncherConfig;
use crate::identity::OwnHome;
use crate::step::Step;
use crate::terminal::Terminals;

/// Is told of each step of each launch as it begins; the launch waits for it.
pub type Observer = Arc<dyn Fn(Slug, Step) -> BoxFuture<'static, ()> + Send + Sync>;

/// What a launcher is given.
pub struct Deps {
    /// Its connection, as the role `launcher`.
    pub bus: Bus,
    /// Makes the bottles' bus identities.
    pub minter: BottleMinter,
    /// Makes the boundaries.
    pub backends: Backends,
    /// The time.
    pub clock: Clock,
    /// Hears of steps; see [`nobody`].
    pub observer: Observer,
}

/// An observer that does nothing.
#[must_use]
pub fn nobody() -> Observer {
    Arc::new(|_, _| Box::pin(std::future::ready(())))
}

/// [`Deps`], settings, and who this launcher is.
pub(crate) struct World {
    pub(crate) config: LauncherConfig,
    pub(crate) bus: Bus,
    pub(crate) minter: BottleMinter,
    pub(crate) backends: Backends,
    pub(crate) clock: Clock,
    pub(crate) observer: Observer,
    pub(crate) tracer: Tracer,
    pub(crate) terminals: Terminals,
    /// Held until the last bottle is put away.
    pub(crate) home: OwnHome,
}

impl World {
    /// Who this launcher is.
    pub(crate) fn id(&self) -> &LauncherId {
        self.home.id()
    }
}
