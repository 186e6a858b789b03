//! What the stories are told with: a temporary home, the real programs, and promises that are checked at the end.
//!
//! ```text
//! let world = World::up().await;                       // `bot-bottle up` in a home of its own
//! world.home.write("curious", &["curl", URL], policy); // a bottle and an agent
//! let ran = world.home.run(&["start", "curious", "--yes"]).await;
//! ran.expect_code(0).expect_out("hello");
//! world.down().await;                                  // fails if anything is left behind
//! ```
//!
//! A story that starts bottles takes a [`Backend`] and has its world from [`World::up_on`]; [`on_each_backend!`] tells it on
//! each.

mod apart;
mod backend;
pub mod clients;
mod forge;
mod home;
mod model;
mod process;
mod pty;
mod pulls;
mod ran;
mod world;

pub use apart::{Apart, Part};
pub use backend::{Backend, containers, docker, host};
pub use cli::demo::origin::{Forge, Origin};
pub use engine::{BASE_IMAGE, Engine};
pub use forge::{FakeForge, TOKEN};
pub use home::Home;
pub use model::{Asked, Failure, Gate, Model, Turn};
pub use process::{all_ended, below, freeze, marked, mentioning, program, thaw};
pub use pty::Pty;
pub use pulls::{ACCOUNT, Comment, PullForge, Pulls};
pub use ran::Ran;
pub use world::World;

use std::future::Future;
use std::time::Duration;

/// The longest that any event of a story may take.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Waits for something that must happen.
///
/// # Panics
/// When it has not happened within [`LIMIT`].
pub async fn soon<F: Future>(what: &str, event: F) -> F::Output {
    match tokio::time::timeout(LIMIT, event).await {
        Ok(output) => output,
        Err(_) => panic!("waited {LIMIT:?} for {what}"),
    }
}
